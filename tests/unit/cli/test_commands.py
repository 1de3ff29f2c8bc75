"""Every command: its help, its exit code, its words."""

import json
import subprocess
import sys
import tomllib

import click
import pytest

from gateway.cli import COMMANDS, cli
from gateway.cli.answers import (
    EXIT_CODES,
    exit_code,
    fail,
    finding_line,
    language,
    plain,
    table,
)
from gateway.cli.wrongly import words
from gateway.errors import (
    Broken,
    Conflict,
    Finding,
    GatewayError,
    Misconfigured,
    Rejected,
    Severity,
    Text,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unknown,
    Unreadable,
    Untrusted,
)
from tests.support.commands import ROOT, call

BUILT = {
    "init", "conf check", "run", "demo", "simulate vxp",
    "simulate edoc-soap", "pack", "unpack", "inspect", "send",
    "inbox", "confirm", "status", "account add", "account list", "account revoke", "queue list",
    "queue show", "queue dead", "queue hold", "queue release", "queue retry", "queue withdraw",
    "queue replay", "queue forecast", "ledger verify", "ledger checkpoint", "evidence export",
    "evidence verify", "ledger witness", "ledger begin-epoch", "key list", "key rotate",
    "ledger stamp",
    "ledger stamps",
    "ledger rehash",
    "evidence refresh",
    "quarantine list", "quarantine show", "quarantine open", "quarantine return",
    "simulate rest",
    "reconcile",
}  # fmt: skip


def leaves() -> dict[str, click.Command]:
    """Every command that does something, by its words."""
    context = click.Context(cli)
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found.update({f"{name} {sub}": made for sub, made in command.commands.items()})
        else:
            found[name] = command
    return found


def test_the_commands_are_those_that_are_built_and_no_others_pretend() -> None:
    assert set(leaves()) == BUILT


@pytest.mark.parametrize("words", sorted(BUILT))
def test_help_shows_an_example_of_this_very_command(words, capsys) -> None:
    ran = call(capsys, *words.split(), "--help")
    assert ran.code == 0
    example = ran.out.split("Example:", 1)[1]
    assert f"edoc-gateway {words}" in example


@pytest.mark.parametrize("words", ["conf", "simulate", "account", "queue", "ledger", ""])
def test_help_of_a_group_shows_an_example_too(words, capsys) -> None:
    ran = call(capsys, *words.split(), "--help")
    assert ran.code == 0
    assert f"edoc-gateway {words}".rstrip() in ran.out.split("Example:", 1)[1]


@pytest.mark.parametrize("words", sorted(BUILT))
def test_every_command_speaks_the_language_it_is_asked_for(words) -> None:
    assert any("--lang" in p.opts for p in leaves()[words].params)


PROGRAMS_READ = BUILT - {"run", "simulate vxp", "simulate edoc-soap", "simulate rest"}


@pytest.mark.parametrize("words", sorted(PROGRAMS_READ))
def test_where_a_program_would_read_there_is_json(words) -> None:
    assert any("--json" in p.opts for p in leaves()[words].params)


def test_help_waits_for_no_driver() -> None:
    heavy = ["sqlalchemy", "aiohttp", "cryptography", "lxml", "rich", "psycopg", "alembic"]
    program = (
        "import sys\n"
        "from gateway.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Rejected, 65), (Conflict, 65), (Unknown, 65), (TooLarge, 65), (Unauthenticated, 65),
        (Untrusted, 65), (Unreadable, 65), (Broken, 70), (Unavailable, 75), (Misconfigured, 78),
    ],
)  # fmt: skip
def test_an_error_ends_with_the_code_of_its_family(problem, code) -> None:
    assert exit_code(problem(Text("vi", "en"))) == code


def test_each_of_the_five_families_has_its_code() -> None:
    assert set(EXIT_CODES) == set(GatewayError.__subclasses__())


def test_every_finding_is_printed_with_path_code_words_and_rule(capsys) -> None:
    findings = (
        Finding(
            "to[0].organ_id", "agency.unknown", Severity.ERROR, Text("lạ", "strange"), "Điều 1"
        ),
        Finding("files", "content.no_file", Severity.ERROR, Text("thiếu", "missing"), "Điều 2"),
    )
    with pytest.raises(click.exceptions.Exit) as end:
        fail(Rejected(Text("Không được", "No"), findings=findings), "vi", as_json=False)
    said = capsys.readouterr()
    assert end.value.exit_code == 65
    assert said.out == ""
    assert "Không được [request.rejected]" in said.err
    assert "  to[0].organ_id: lỗi: lạ [agency.unknown] (Điều 1)" in said.err
    assert "  files: lỗi: thiếu [content.no_file] (Điều 2)" in said.err


STEERING = "a\x1b[2Jb\x9b31mc\u202ed\re"


def test_what_a_stranger_wrote_cannot_steer_the_terminal(capsys) -> None:
    finding = Finding(STEERING, "x.y", Severity.ERROR, Text(STEERING, STEERING), STEERING)
    problem = Rejected(Text(STEERING, STEERING), findings=(finding,))
    for as_json in (False, True):
        with pytest.raises(click.exceptions.Exit):
            fail(problem, "en", as_json=as_json)
        said = capsys.readouterr()
        shown = said.out + said.err
        assert not set("\x1b\x9b\u202e\r") & set(shown)
        assert "\\u009b31mc" in shown
        if as_json:
            assert json.loads(said.out)["findings"][0]["path"] == STEERING
    table(("h",), [(STEERING,)], "")
    assert not set("\x1b\x9b\u202e\r") & set(capsys.readouterr().out)


def test_vietnamese_is_shown_as_it_is() -> None:
    assert plain("Độ mật: Tuyệt mật — “ấ”\n\t→") == "Độ mật: Tuyệt mật — “ấ”\n\t→"


def test_a_finding_without_path_and_rule_has_no_empty_brackets() -> None:
    finding = Finding("", "x.y", Severity.NOTE, Text("a", "b"))
    assert finding_line(finding, "en") == "note: b [x.y]"


@pytest.mark.parametrize(
    ("environ", "spoken"),
    [
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "vi_VN"}, "vi"),
        ({"LANG": "C.UTF-8"}, "vi"),
        ({}, "vi"),
    ],
)
def test_the_language_is_the_terminals_and_vietnamese_when_it_says_nothing(environ, spoken) -> None:
    assert language(environ) == spoken


@pytest.mark.parametrize(
    "args",
    [
        ["no-such-command"], ["inspect"], ["inspect", "--no-such-option"],
        ["inspect", "/no/such/file"], ["run", "no-such-job"], ["send"],
        ["queue", "list", "--state", "SENT"], ["init", "x", "--profile", "province"],
    ],
)  # fmt: skip
def test_a_command_called_wrongly_ends_with_64(args, capsys) -> None:
    ran = call(capsys, *args)
    assert ran.code == 64
    assert ran.out == ""
    assert "Cách dùng: edoc-gateway" in ran.err or "Usage: edoc-gateway" in ran.err


@pytest.mark.parametrize(
    ("args", "vi", "en"),
    [
        (["nosuch"], "Không có lệnh 'nosuch'. Có: init, conf", "There are: init, conf"),
        (["queue", "hodl"], "Có phải: 'hold'?", "Did you mean 'hold'?"),
        (["queue", "hold"], "Thiếu tham số 'TRANSFER_ID'.", "Missing argument 'TRANSFER_ID'."),
        (["unpack", __file__], "Thiếu tùy chọn '-d' / '--dir", "Missing option '-d' / '--dir"),
        (["inspect", "--nope", "x"], "Không có tùy chọn '--nope'.", "No such option '--nope'."),
        (["queue", "hold", "a", "b"], "Thừa tham số: b", "unexpected extra argument (b)"),
        (["queue", "dead", "--cause", "x"], "'x' không phải một trong 'unit', 'peer'", "'unit'"),
        (["queue", "list", "--limit", "0"], "0 không nằm trong khoảng 1<=x<=200.", "1<=x<=200"),
        (["queue", "list", "--limit", "x"], "'x' không phải số nguyên.", "not a valid integer"),
        (["queue", "list", "--state", "x"], "không có trạng thái: X; có:", "no such state: X"),
        (["queue", "dead", "--cause"], "Tùy chọn '--cause' cần một giá trị.", "requires an arg"),
        (["queue", "list", "--json=1"], "Tùy chọn '--json' không nhận giá trị.", "not take a val"),
        (["reconcile", "--day", "x"], "'x' không viết theo dạng YYYY-MM-DD.", "YYYY-MM-DD"),
        (["inspect", "/no/file"], "Tệp '/no/file' không tồn tại.", "does not exist."),
        (["inspect", "/"], "Tệp '/' lại là một thư mục.", "is a directory."),
        (["run", "--metrics", "x"], "cần HOST:PORT", "needs HOST:PORT"),
    ],
)
def test_what_was_called_wrongly_is_told_in_the_language_asked_for(args, vi, en, capsys) -> None:
    for lang, said, other in (("vi", vi, "Error:"), ("en", en, "Lỗi:")):
        place = 2 if args[0] == "queue" else 1
        ran = call(capsys, *args[:place], f"--lang={lang}", *args[place:])
        assert ran.code == 64
        assert said in ran.err
        assert other not in ran.err


def test_every_refusal_of_click_has_vietnamese_words() -> None:
    """What a later version of click words anew would be shown in English."""
    asked = click.Context(click.Command("x"))
    number = click.IntRange(1, 2)
    for kind, value in (
        (click.Choice(["a", "b"]), "c"),
        (click.Choice(["a"]), "c"),
        (click.INT, "x"),
        (click.FLOAT, "x"),
        (number, "x"),
        (number, "3"),
        (click.DateTime(["%Y-%m-%d"]), "x"),
        (click.Path(exists=True), "/no/such"),
        (click.Path(exists=True, file_okay=False), __file__),
        (click.Path(exists=True, dir_okay=False), "/"),
    ):
        with pytest.raises(click.BadParameter) as refused:
            kind.convert(value, None, asked)
        said = words(refused.value)
        assert said.vi.startswith("Giá trị không hợp lệ: ")
        assert " is " not in said.vi
        assert " not " not in said.vi


def test_a_command_that_needs_a_gateway_asks_which(capsys, monkeypatch) -> None:
    monkeypatch.delenv("EDOC_GATEWAY_CONF", raising=False)
    ran = call(capsys, "ledger", "verify", "--lang", "en")
    assert (ran.code, ran.out) == (78, "")
    assert "conf.not_named" in ran.err
    assert "EDOC_GATEWAY_URL" not in ran.err, "no gateway is asked here"
    monkeypatch.delenv("EDOC_GATEWAY_URL", raising=False)
    assert "EDOC_GATEWAY_URL" in call(capsys, "queue", "list", "--lang", "en").err


def test_a_client_without_address_says_which_variable_to_set(capsys, monkeypatch) -> None:
    monkeypatch.delenv("EDOC_GATEWAY_URL", raising=False)
    ran = call(capsys, "inbox", "--lang", "en")
    assert ran.code == 78
    assert "EDOC_GATEWAY_URL" in ran.err


def test_with_json_an_error_is_json_too(capsys, monkeypatch) -> None:
    monkeypatch.delenv("EDOC_GATEWAY_CONF", raising=False)
    ran = call(capsys, "ledger", "verify", "--json", "--lang", "vi")
    assert ran.code == 78
    assert ran.json()["ok"] is False
    assert ran.json()["code"] == "conf.not_named"


def test_the_version_is_the_packages(capsys) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert call(capsys, "--version").out.strip().endswith(declared)
