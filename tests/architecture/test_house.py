"""What a linter of imports cannot see."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("model", "rules", "packing", "signing", "ledger", "routing", "dispatch")
SOURCES = sorted([*(ROOT / "gateway").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")])


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize(
    "path", [p for room in ROOMS for p in (ROOT / "gateway" / room).rglob("*.py")], ids=named
)
def test_rooms_are_synchronous(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    loops = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert [n.lineno for n in ast.walk(tree) if isinstance(n, loops)] == []


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_no_file_outgrows_its_reader(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < 700


def swallows(node: ast.ExceptHandler) -> bool:
    """Catches everything and goes on; tidying up and raising again is not swallowing."""
    broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
    last = node.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def test_any_exception_is_caught_in_one_file_only() -> None:
    broad = {
        named(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler) and swallows(node)
    }
    assert broad == {"gateway/workers/loop.py"}


def test_nothing_is_left_for_later_in_the_code() -> None:
    later = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
    assert [named(p) for p in SOURCES if later.search(p.read_text("utf-8"))] == []


def test_modules_say_what_they_are_for() -> None:
    silent = [
        named(p)
        for p in SOURCES
        if p.read_text("utf-8").strip() and not ast.get_docstring(ast.parse(p.read_text("utf-8")))
    ]
    assert silent == []
