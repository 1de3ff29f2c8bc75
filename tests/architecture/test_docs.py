"""What the pages say is held against the code, so that they cannot drift apart."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

import gateway
from gateway.api.app import PUBLIC, ROUTES
from gateway.cli import COMMANDS, cli
from tests.support.commands import ROOT
from tests.support.diagrams import DIAGRAMS

NOTES = (
    "edoc-gateway receipt v1",
    "edoc-gateway reconciliation v1",
    "edoc-gateway key change v1",
    "edoc-gateway consistency v1",
    "edoc-gateway rehashed v1",
)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = {
    "fpdf2": "fpdf",
    "psycopg[binary]": "psycopg",
    "python-pkcs11": "pkcs11",
    "prometheus-client": "prometheus_client",
    "rfc3161-client": "rfc3161_client",
    "zlib-ng": "zlib_ng",
}


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("title", list(DIAGRAMS))
def test_the_diagrams_are_those_of_the_tables(title) -> None:
    found = re.search(
        re.escape(title) + r":\n\n```mermaid\n(.*?)\n```", page("docs/architecture.md"), re.DOTALL
    )
    assert found, title
    assert found[1] == DIAGRAMS[title]


# -- dependencies


def declared(group: str) -> set[str]:
    project = tomllib.loads(page("pyproject.toml"))["project"]
    lines = project["dependencies"] if group == "run" else project["optional-dependencies"][group]
    return {re.split(r"[<>=;\[ ]", line, maxsplit=1)[0].lower() for line in lines}


def rows(heading: str) -> dict[str, list[str]]:
    section = page("docs/dependencies.md").split(f"## {heading}\n")[1].split("\n## ")[0]
    found = {}
    for line in section.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "package":
            for name in cells[0].split(", "):
                found[name] = cells[1:]
    return found


def test_every_direct_dependency_has_its_reason_and_no_other_is_listed() -> None:
    assert set(rows("To run")) == declared("run")
    assert set(rows("To test and to build")) == declared("dev")
    for name, cells in {**rows("To run"), **rows("To test and to build")}.items():
        assert all(cells), f"{name}: a cell is empty"


def imported_by() -> dict[str, set[str]]:
    """Third-party module -> our packages that import it."""
    found: dict[str, set[str]] = {}
    for folder in ("gateway", "adapters"):
        for file in (ROOT / folder).rglob("*.py"):
            part = file.relative_to(ROOT / folder).parts[0].removesuffix(".py")
            home = "adapters" if folder == "adapters" else part
            for module in re.findall(
                r"^\s*(?:from|import) (\w+)", file.read_text("utf-8"), re.MULTILINE
            ):
                found.setdefault(module, set()).add(home)
    return found


def test_where_a_dependency_is_said_to_be_used_it_is_imported_and_nowhere_is_nowhere() -> None:
    used = imported_by()
    for name, (where, *_) in rows("To run").items():
        module = NAMES.get(name, name).replace("-", "_")
        homes = used.get(module, set())
        if where in ("not yet", "(data)"):
            assert homes == set(), f"{name} is used after all: {homes}"
        else:
            assert set(where.split(", ")) <= homes, f"{name}: {where} is not in {homes}"


# -- commands, addresses, links


def code_of(path: Path) -> list[str]:
    """Lines that stand in blocks of shell, or in blocks without a language."""
    lines, language = [], None
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("```"):
            language = line[3:] if language is None else None
        elif language in ("", "sh"):
            lines.append(line)
    return lines


def shown() -> list[tuple[str, str]]:
    """(page, what follows `edoc-gateway`), from code and from words between backticks."""
    lines = [
        (path.name, line)
        for path in PAGES
        for line in [
            *code_of(path),
            *re.findall(r"`(edoc-gateway [^`]+)`", path.read_text("utf-8")),
        ]
    ]
    # the ledger's notes open with this name too, followed by what they are
    return [
        (name, line.removeprefix("edoc-gateway ").partition("#")[0])
        for name, line in lines
        if line.startswith("edoc-gateway ") and not line.startswith(NOTES)
    ]


def test_every_command_a_page_shows_exists_with_its_options() -> None:
    context = click.Context(cli)
    assert len(shown()) >= 20
    for name, line in shown():
        words = line.split()
        command = cli.get_command(context, words[0])
        assert command is not None, f"{name}: {line}"
        if isinstance(command, click.Group) and len(words) > 1:
            assert words[1] in command.commands, f"{name}: {line}"
            command = command.commands[words[1]]
        known = {o for p in command.params for o in p.opts}
        assert {w for w in words if w.startswith("-")} <= known, f"{name}: {line}"


def test_the_readmes_list_every_command() -> None:
    for name in ("README.md", "README.vi.md"):
        listed = re.findall(r"`([a-z]+)(?: [a-z]+)?`", page(name))
        assert set(COMMANDS) <= set(listed), set(COMMANDS) - set(listed)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_every_address_a_page_names_is_served(path) -> None:
    served = {re.sub(r"{\w+:(?:[^{}]|{[^{}]*})*}", "{}", r.path) for r in ROUTES}
    served |= {address for address, _ in PUBLIC}
    for address in re.findall(r"/v1/[A-Za-z0-9/{}$_.-]*[A-Za-z0-9}]", path.read_text("utf-8")):
        plain = re.sub(r"{\w+}|\$\w+", "{}", address)
        plain = re.sub(r"/attachments/\d+$", "/attachments/{}", plain)
        assert plain in served, f"{path.name}: {address}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_both_readmes_have_the_same_headings_links_and_tables() -> None:
    def skeleton(name: str) -> tuple[int, list[str], int]:
        text = page(name)
        links = re.findall(r"\]\((docs/[^)]+|gateway/[^)]+|CHANGELOG.md)\)", text)
        return len(re.findall(r"^## ", text, re.MULTILINE)), links, text.count("\n| ")

    assert skeleton("README.md") == skeleton("README.vi.md")


# -- the tour and the floors


def test_the_tour_names_only_what_exists() -> None:
    tour = gateway.__doc__ or ""
    for name in re.findall(r"^    (\w+(?:\.\w+)?)  ", tour, re.MULTILINE):
        module, _, act = name.partition(".")
        found = import_module(f"gateway.{module}")
        if act:
            inside = [getattr(found, n) for n in dir(found)]
            acts = {a for owner in [found, *inside] for a in dir(owner)}
            assert any(a == act or a.startswith(f"{act}_") for a in acts), name
    for worker in re.findall(r"workers/(\w+)", tour):
        assert (ROOT / f"gateway/workers/{worker}.py").exists()
    for file in re.findall(r"`(\w+\.py)`|(docs/\w+\.md)", tour):
        assert (ROOT / "gateway" / file[0]).exists() if file[0] else (ROOT / file[1]).exists()


def test_the_page_of_the_house_names_every_module_of_the_top_floor() -> None:
    text = page("docs/architecture.md").split("## 2.")[1].split("## 3.")[0]
    modules = {p.stem for p in (ROOT / "gateway").iterdir() if not p.name.startswith(("_", "py"))}
    missing = {m for m in modules if f"`{m}`" not in text}
    assert missing == set()


def test_the_version_has_an_entry_in_the_changelog() -> None:
    project = tomllib.loads(page("pyproject.toml"))["project"]
    assert gateway.__version__ == project["version"]
    assert f"\n## {gateway.__version__}\n" in page("CHANGELOG.md")


def test_exit_codes_are_the_same_wherever_they_are_told() -> None:
    from gateway.cli.answers import EXIT_CODES

    table = page("docs/architecture.md").split("## 6.")[1]
    for family, code in EXIT_CODES.items():
        assert re.search(rf"`{family.__name__}` \|.*\| {code} \|", table)
        for name in ("README.md", "README.vi.md", "docs/operators.md"):
            assert re.search(rf"\b{code} ", page(name)), name


def test_nothing_here_speaks_of_a_machine_it_was_made_on() -> None:
    for path in [*PAGES, *(ROOT / "systemd").iterdir(), *(ROOT / "gateway/cli").glob("*.py")]:
        assert not re.search(r"/(work|root|home)/", path.read_text("utf-8")), path


def test_pages_are_not_wider_than_a_terminal_can_show() -> None:
    for path in (ROOT / "docs/architecture.md", ROOT / "README.md", ROOT / "README.vi.md"):
        for line in Path(path).read_text("utf-8").splitlines():
            assert len(line) <= 130 or line.startswith("|"), f"{path.name}: {line}"
