"""Every code that a problem or a finding can carry, found in the sources.

`python -m tests.support.codes` brings schemas/api/errors.json up to date: it adds what is new, with
the texts that stand beside the code, drops what is gone, and leaves the other texts alone.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.api.deps import ApiLimits
from gateway.errors import Text
from gateway.safexml import Limits

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "schemas" / "api" / "errors.json"
_CODE = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z0-9_]*)+")
# dotted words that are no codes, though they begin like one
NOT_CODES = frozenset(
    {
        "arrival.id",
        "business.about",
        "business.type",
        "collect.unconfirmed",
        "document.id",
        "ledger.vkey",
        "sandbox.g22",
        "sandbox.h14",
        "transfer.id",
    }
)
_OVER = Text("Vượt giới hạn {limit} = {allowed}", "over the limit {limit} = {allowed}")
_NO_REFUSAL = frozenset(
    {"ratio_floor_bytes", "memory_upload_bytes", "page", "wait_seconds", "idle_seconds"}
)
# words of another vocabulary: events of logs and records
OTHER_WORDS = "telemetry"


class Found(NamedTuple):
    code: str
    vi: str
    en: str


def in_sources() -> dict[str, Found]:
    """Code -> the first texts that stand beside it; "" where they are made elsewhere."""
    trees = [
        ast.parse(path.read_text("utf-8"))
        for path in sorted((ROOT / "gateway").rglob("*.py"))
        if OTHER_WORDS not in path.parts
    ]
    sure = [found for tree in trees for found in _declared(tree)]
    sure += [Found(f"limit.{name}", _OVER.vi, _OVER.en) for name in _limits()]
    families = {found.code.partition(".")[0] for found in sure}
    passed_on = [found for tree in trees for found in _mentioned(tree, families)]
    listed: dict[str, Found] = {}
    for found in (*sure, *passed_on, *_in_rules()):
        known = listed.get(found.code)
        if known is None or not known.vi:
            listed[found.code] = found
    for code in NOT_CODES:
        listed.pop(code, None)
    return listed


def _limits() -> Iterator[str]:
    """Every refusal by size names its limit: `limit.<key>`."""
    for shape in (Limits, ApiLimits):
        for field in dataclasses.fields(shape):
            if field.name not in _NO_REFUSAL:
                yield field.name
    yield "distinct_names"


def _declared(tree: ast.AST) -> Iterator[Found]:
    """`code="..."`, `default_code = "..."`, the second argument of Finding."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == "default_code":
                yield from _code(node.value, [])
        elif isinstance(node, ast.Call):
            named = any(keyword.arg == "code" for keyword in node.keywords)
            if not (named or _called(node) == "Finding"):
                continue  # to look for its texts would read the whole file for every call in it
            texts = list(_texts(node)) or list(_named_texts(node, tree))
            for keyword in node.keywords:
                if keyword.arg == "code":
                    yield from _code(keyword.value, texts)
            if _called(node) == "Finding" and len(node.args) > 1:
                yield from _code(node.args[1], texts)


def _mentioned(tree: ast.AST, families: set[str]) -> Iterator[Found]:
    """Codes handed to a function that makes the finding or the error."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for place, argument in enumerate(node.args):
            for found in _code(argument, []):
                if found.code.partition(".")[0] in families:
                    after = [_template(a) for a in node.args[place + 1 :]]
                    spoken = [t for t in after if " " in t] or [
                        t for pair in _texts(node) for t in pair
                    ]
                    vi, en = (spoken[0], spoken[1]) if len(spoken) > 1 else ("", "")
                    yield Found(found.code, vi, en)


def _code(node: ast.expr, texts: list[tuple[str, str]]) -> Iterator[Found]:
    if isinstance(node, ast.IfExp):
        yield from _code(node.body, texts)
        yield from _code(node.orelse, texts)
    elif isinstance(node, ast.Constant) and _CODE.fullmatch(str(node.value)):
        vi, en = texts[0] if texts else ("", "")
        yield Found(str(node.value), vi, en)


def _texts(call: ast.Call) -> Iterator[tuple[str, str]]:
    for node in ast.walk(call):
        if isinstance(node, ast.Call) and _called(node) == "Text" and len(node.args) == 2:
            yield _template(node.args[0]), _template(node.args[1])


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _named_texts(call: ast.Call, tree: ast.AST) -> Iterator[tuple[str, str]]:
    """`text = Text(...)` on a line above, then `text` in the call: the nearest one counts."""
    names = {
        a.id for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Name)
    }
    above = [
        node
        for name, node in _assigned(tree)
        if name in names and 0 < call.lineno - node.lineno < 30
    ]
    for node in sorted(above, key=lambda n: -n.lineno):
        yield from _texts(node.value) if isinstance(node.value, ast.Call) else ()


@functools.cache
def _assigned(tree: ast.AST) -> list[tuple[str, ast.Assign]]:
    """`name = call(...)`: looked for once in each source, not once for each call in it."""
    return [
        (node.targets[0].id, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
    ]


def _template(node: ast.expr) -> str:
    """A text with `{name}` where a value goes; "" for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else f"{{{_name(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    return ""


def _name(node: ast.expr) -> str:
    names = re.findall(r"[a-z_]+", ast.unparse(node))
    return next((n for n in reversed(names) if len(n) > 2), "value")


def _in_rules() -> Iterator[Found]:
    for path in sorted((ROOT / "conf" / "rules").glob("*.toml")):
        for rule in tomllib.loads(path.read_text("utf-8")).get("rule", []):
            if _CODE.fullmatch(rule["code"]):
                yield Found(rule["code"], rule["vi"], rule["en"])


def catalogue() -> dict[str, dict[str, str]]:
    codes: dict[str, dict[str, str]] = json.loads(CATALOGUE.read_text("utf-8"))["codes"]
    return codes


def renew() -> None:
    known = catalogue() if CATALOGUE.exists() else {}
    codes = {
        code: known.get(code, {"vi": found.vi, "en": found.en})
        for code, found in sorted(in_sources().items())
    }
    document = {
        "title": "Codes of problems and findings",
        "description": "Codes never change. Texts may; {words in braces} stand for values.",
        "codes": codes,
    }
    CATALOGUE.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    renew()
