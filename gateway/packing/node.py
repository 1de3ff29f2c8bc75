"""One element of a header as it was found, and the name by which code matches it.

In:     what the parser says of a start tag.
Out:    a small tree; `key` for matching, `path` and `where` for findings.
Fails:  never.
Never:  holds the bytes of an attachment, interprets a value.

Matching is by local name in any letter case, in the namespace of QCVN 102 or in none; the
misspelt standard names and their right spellings are one (edxml-format 10, 13).
"""

from __future__ import annotations

from gateway.c14n import Attributes
from gateway.model.package import NS_DSIG, NS_QCVN102

_ALIASES = {
    "typenotation": "typernotation",
    "organincharge": "organizationincharge",
    "manifest": "edxmlmanifest",
}


def key_of(uri: str, local: str) -> str:
    """The name by which code matches an element; foreign namespaces never match."""
    if uri not in {NS_QCVN102, ""}:
        return f"{{{uri}}}{local}" if uri != NS_DSIG else "ds:" + local.lower()
    key = local.lower()
    if key.startswith("bussiness"):
        key = "business" + key[9:]
    return _ALIASES.get(key, key)


class Node:
    """One element. `line` as in the package; `text` without the children's.

    `number`: its place in a list of many, from 1, where a path shall say which one; 0 elsewhere.
    """

    __slots__ = (
        "attributes",
        "children",
        "key",
        "line",
        "local",
        "number",
        "parent",
        "text",
        "uri",
    )

    def __init__(
        self,
        key: str,
        local: str,
        uri: str,
        attributes: Attributes,
        parent: Node | None,
        line: int,
    ) -> None:
        self.key = key
        self.local = local
        self.uri = uri
        self.attributes = attributes
        self.parent = parent
        self.line = line
        self.text = ""
        self.number = 0
        self.children: list[Node] = []

    def path(self) -> str:
        names: list[str] = []
        node: Node | None = self
        while node is not None and len(names) < 12:
            name = node.local[:100]
            names.append(f"{name}[{node.number}]" if node.number else name)
            node = node.parent
        path = "/" + "/".join(reversed(names))
        return path if len(path) <= 300 else "…" + path[-299:]

    def where(self) -> str:
        return f"{self.path()} (line {self.line})"
