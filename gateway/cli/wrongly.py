"""A command that was called wrongly: what is wrong and what would be right, in both languages.

In:     what click refuses, or `Wrongly`, which the commands raise themselves.
Out:    text for people, on stderr: how to call it, and what was wrong.
Fails:  never: words of click that are not known here are shown as they are.
Never:  decides anything; the exit code (64) is the caller's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import click

from gateway.cli.answers import complain, language, told
from gateway.errors import Text

_LANGUAGES = ("vi", "en")
_NAMES = {
    "File": "Tệp",
    "Directory": "Thư mục",
    "Path": "Đường dẫn",
    "integer": "số nguyên",
    "integer range": "số nguyên",
    "float": "số",
    "boolean": "giá trị có/không",
}
# click's sentence -> ours; groups are values, or one of `_NAMES`
_SENTENCES: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern, re.DOTALL), vi)
    for pattern, vi in (
        (r"Missing command\.", "Thiếu lệnh con."),
        (r"Got unexpected extra arguments? \((.*)\)", "Thừa tham số: {0}"),
        (r"Option (.+) requires an argument\.", "Tùy chọn {0} cần một giá trị."),
        (r"Option (.+) requires (\d+) arguments\.", "Tùy chọn {0} cần {1} giá trị."),
        (r"Option (.+) does not take a value\.", "Tùy chọn {0} không nhận giá trị."),
        (r"Argument (.+) takes (\d+) values\.", "Tham số {0} nhận {1} giá trị."),
        (r"(.+) is not one of (.+)\.", "{0} không phải một trong {1}."),
        (r"(.+) does not match the formats? (.+)\.", "{0} không viết theo dạng {1}."),
        (r"(.+) is not a valid ([a-z ]+)\.", "{0} không phải {1}."),
        (r"(.+) is not in the range (.+)\.", "{0} không nằm trong khoảng {1}."),
        (r"(File|Directory|Path) (.+) does not exist\.", "{0} {1} không tồn tại."),
        (r"(File|Directory|Path) (.+) is a file\.", "{0} {1} lại là một tệp."),
        (r"(File|Directory|Path) (.+) is a directory\.", "{0} {1} lại là một thư mục."),
        (r"(File|Directory|Path) (.+) is not readable\.", "{0} {1} không đọc được."),
        (r"(File|Directory|Path) (.+) is not writable\.", "{0} {1} không ghi được."),
        (r"(.+) is not ('.+')\.", "{0} không phải {1}."),
    )
)
_DAY = "'%Y-%m-%d'"


class Wrongly(click.UsageError):
    """Arguments that do not go together."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(vi, en)


def language_of(args: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """The one that `--lang` asks for, where the rest of the command was not understood."""
    asked = [
        after if word == "--lang" else word.removeprefix("--lang=")
        for word, after in zip(args, [*args[1:], ""], strict=True)
        if word == "--lang" or word.startswith("--lang=")
    ]
    known = [word for word in asked if word in _LANGUAGES]
    return known[-1] if known else language(environ)


def show(problem: click.UsageError, lang: str) -> None:
    """How to call it, where to read more, and what was wrong."""
    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        problem.show()
        return
    if (ctx := problem.ctx) is not None:
        usage = ctx.get_usage()
        complain(usage.replace("Usage:", "Cách dùng:", 1) if lang == "vi" else usage)
        complain(
            f"Thử '{ctx.command_path} --help' để xem hướng dẫn.\n"
            if lang == "vi"
            else f"Try '{ctx.command_path} --help' for help.\n"
        )
    said = told(words(problem), lang)
    complain(f"Lỗi: {said}" if lang == "vi" else f"Error: {said}")


def words(problem: click.UsageError) -> Text:
    """What was wrong, in both languages."""
    en = problem.format_message().replace(_DAY, "YYYY-MM-DD")
    match problem:
        case Wrongly(text=text):
            return text
        case click.exceptions.NoSuchCommand(command_name=name):
            known = _commands(problem.ctx)
            vi = f"Không có lệnh {name!r}.{_perhaps(problem.possibilities)}"
            return Text(f"{vi} Có: {known}.", f"{en} There are: {known}.")
        case click.NoSuchOption(option_name=name):
            return Text(f"Không có tùy chọn {name!r}.{_perhaps(problem.possibilities)}", en)
        case click.MissingParameter():
            return Text(_missing(problem), en)
        case click.BadParameter():
            hint = _hint(problem)
            where = f" cho {hint}" if hint else ""
            return Text(f"Giá trị không hợp lệ{where}: {_in_vietnamese(problem.message)}", en)
        case _:
            return Text(_in_vietnamese(problem.message), en)


def _commands(ctx: click.Context | None) -> str:
    if ctx is None or not isinstance(ctx.command, click.Group):
        return "-"
    return ", ".join(ctx.command.list_commands(ctx))


def _perhaps(possibilities: Sequence[str] | None) -> str:
    if not possibilities:
        return ""
    return f" Có phải: {', '.join(repr(one) for one in sorted(possibilities))}?"


def _missing(problem: click.MissingParameter) -> str:
    param = problem.param
    kind = "tùy chọn" if isinstance(param, click.Option) else "tham số"
    said = f"Thiếu {kind} {_hint(problem)}".rstrip() + "."
    if param is not None and isinstance(param.type, click.Choice):
        said += f" Một trong: {', '.join(repr(str(one)) for one in param.type.choices)}."
    return said


def _hint(problem: click.BadParameter) -> str:
    """The name of what it is about, as the caller writes it."""
    hint = problem.param_hint
    if hint is None and problem.param is not None:
        hint = problem.param.get_error_hint(problem.ctx)
    return " / ".join(hint) if isinstance(hint, list | tuple) else str(hint or "")


def _in_vietnamese(message: str) -> str:
    for pattern, vi in _SENTENCES:
        if found := pattern.fullmatch(message):
            values = [_NAMES.get(value, value) for value in found.groups()]
            return vi.format(*values).replace(_DAY, "YYYY-MM-DD")
    return message
