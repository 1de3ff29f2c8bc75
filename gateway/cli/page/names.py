"""Names in certificates as people read them.

In:     a distinguished name as RFC 4514 writes it.
Out:    its parts, the usual kinds without their letters.
Fails:  never.
"""

from __future__ import annotations

_PLAIN_NAMES = frozenset({"CN", "O", "OU", "L", "ST", "C"})


def person(rfc4514: str) -> str:
    """`CN=Sở mẫu,O=Tỉnh mẫu,UID=MST:01` -> `Sở mẫu, Tỉnh mẫu, UID=MST:01`."""
    shown = []
    for part in _parts(rfc4514):
        kind, equals, value = part.partition("=")
        shown.append(value if equals and kind in _PLAIN_NAMES else part)
    return ", ".join(shown)


def _parts(rfc4514: str) -> list[str]:
    """The parts between commas, backslashes undone (RFC 4514, 2.4)."""
    parts = [""]
    escaped = False
    for letter in rfc4514:
        if not escaped and letter == "\\":
            escaped = True
            continue
        if not escaped and letter == ",":
            parts.append("")
        else:
            parts[-1] += letter
        escaped = False
    return [part for part in parts if part]
