"""The schemas of what we write, compiled once, and a verdict on bytes."""

from __future__ import annotations

import functools
from pathlib import Path

from lxml import etree

FOLDER = Path(__file__).parents[2] / "schemas" / "edxml"


@functools.cache
def schema(kind: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(FOLDER / f"{kind}.xsd"))


def faults(data: bytes, kind: str = "document") -> list[str]:
    """What the schema finds, one text each; [] for a valid package."""
    parser = etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True)
    judge = schema(kind)
    judge.validate(etree.fromstring(data, parser))
    return [f"{e.line}: {e.message}" for e in judge.error_log]
