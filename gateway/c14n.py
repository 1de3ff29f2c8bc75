"""Canonical bytes: RFC 8785 for JSON, Canonical XML 1.0 (inclusive and exclusive) for XML.

In:     a JSON value; or the events of a parsed document (`safexml`), one after the other.
Out:    bytes that every implementation of the two standards makes alike.
Fails:  ValueError, TypeError for a JSON value that RFC 8785 cannot hold.
Never:  parses, holds a document, or writes comments: no signature of ours covers them.

Records, identities, receipts and signatures are hashed over these bytes, so nothing about them may
ever change: tests/golden holds vectors and independent implementations judge this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

C14N_INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14N_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"

_REFUSED = "canonical JSON holds text, integers up to 2^53, booleans, null, lists and objects"

JsonValue = str | int | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


def canonical_json(value: JsonValue) -> bytes:
    """RFC 8785 bytes. Floats are refused: no record needs one, and their form is a trap."""
    if not _ascii_keys(value):
        value = _sorted(value)
        return _AS_GIVEN.encode(value).encode("utf-8")
    return _SORTING.encode(value).encode("utf-8")


_AS_GIVEN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
# by code points, which for ASCII keys is the order of RFC 8785 3.2.3, and done in C
_SORTING = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True
)


def _ascii_keys(value: JsonValue) -> bool:
    """Whether every key is ASCII; raises for what canonical JSON cannot hold."""
    # by exact type, and no call for texts, which most items are: this runs for every record
    kind = type(value)
    if kind is dict:
        plain = True
        for key, item in value.items():  # type: ignore[union-attr]  # `kind` says that it is a dict
            if type(key) is not str and not isinstance(key, str):
                raise TypeError(_REFUSED)
            if not key.isascii():
                plain = False
            if type(item) is not str and not _ascii_keys(item):
                plain = False
        return plain
    if kind is list or kind is tuple:
        plain = True
        for item in value:  # type: ignore[union-attr]  # `kind` says that it is a list or tuple
            if type(item) is not str and not _ascii_keys(item):
                plain = False
        return plain
    if kind is str or value is None or kind is bool:
        return True
    return _ascii_keys_of_any(value)


def _ascii_keys_of_any(value: JsonValue) -> bool:
    """Numbers, and subclasses of the types above such as enums."""
    if isinstance(value, str | bool):
        return True
    if isinstance(value, int):
        if abs(value) > 2**53 - 1:
            raise ValueError(_REFUSED)
        return True
    if isinstance(value, dict):
        return _ascii_keys(dict(value))
    if isinstance(value, list | tuple):
        return _ascii_keys(list(value))
    raise TypeError(_REFUSED)


def _sorted(value: JsonValue) -> JsonValue:
    # RFC 8785 3.2.3: keys in the order of their UTF-16 code units
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be", "surrogatepass"))
        return {k: _sorted(value[k]) for k in keys}
    if isinstance(value, list | tuple):
        return [_sorted(v) for v in value]
    return value


# Names and events as `safexml` gives them.
Name = tuple[str, str, str]  # namespace URI, local name, prefix ("" = none)
Attributes = Sequence[tuple[Name, str]]
Declared = Sequence[tuple[str, str]]  # prefix ("" = default), URI ("" = undeclared)

_SPECIAL = re.compile(r'[&<"\t\n\r]')
_NS_XML = "http://www.w3.org/XML/1998/namespace"
_by_uri_and_local = itemgetter(0)


class Canonicalizer:
    """Consumes XML events, writes Canonical XML without comments.

    A whole document: make one and feed it everything. A sub-element (SignedInfo): make one when
    the element starts, with `scope` = the namespaces its ancestors put in scope (prefix -> URI)
    and `xml_attributes` = the nearest `xml:*` attributes of its ancestors (name -> value, used by
    the inclusive form only: Canonical XML 1.0, 2.4), and feed it that element's events.

    Canonical XML 1.0, 2.3 and 4; Exclusive XML Canonicalization 1.0, 3 (no InclusiveNamespaces
    list). `write` gets UTF-8 pieces.
    """

    __slots__ = (
        "_exclusive",
        "_inherited",
        "_open",
        "_rendered",
        "_root_seen",
        "_scope",
        "_scopes",
        "_write",
        "_xml_attributes",
    )

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        exclusive: bool = False,
        scope: Mapping[str, str] | None = None,
        xml_attributes: Mapping[str, str] | None = None,
    ) -> None:
        self._write = write
        self._exclusive = exclusive
        self._scope: dict[str, str] = dict(scope or {})
        self._inherited = {} if exclusive else dict(self._scope)
        self._xml_attributes = {} if exclusive else dict(xml_attributes or {})
        self._open = 0
        self._root_seen = False
        # what the nearest ancestor in the output says about each prefix, one frame an element
        self._rendered: list[dict[str, str]] = [{}]
        self._scopes: list[dict[str, str]] = []

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        self._scopes.append(self._scope)
        if declared:
            self._scope = {**self._scope, **dict(declared)}
        above = self._rendered[-1]
        namespaces: dict[str, str] = {}
        if self._exclusive:
            namespaces = self._visibly_used(name, attributes, above)
        elif declared or not self._root_seen:
            namespaces = self._changed(declared, above)
        if not self._root_seen and self._xml_attributes:
            own = {local for (uri, local, _), _ in attributes if uri == _NS_XML}
            attributes = [
                *attributes,
                *(
                    ((_NS_XML, local, "xml"), value)
                    for local, value in self._xml_attributes.items()
                    if local not in own
                ),
            ]
        self._root_seen = True
        self._open += 1
        self._rendered.append({**above, **namespaces} if namespaces else above)
        if not namespaces:
            if not attributes:
                self._write(f"<{_qname(name)}>".encode())
                return
            if len(attributes) == 1:  # most elements of a signature
                ((attribute, value),) = attributes
                text = f'<{_qname(name)} {_qname(attribute)}="{_attribute_text(value)}">'
                self._write(text.encode())
                return
        parts = ["<", _qname(name)]
        for prefix in sorted(namespaces):
            uri = _attribute_text(namespaces[prefix])
            parts.append(f' xmlns:{prefix}="{uri}"' if prefix else f' xmlns="{uri}"')
        parts.extend(
            f' {_qname(attribute)}="{_attribute_text(value)}"'
            for attribute, value in sorted(attributes, key=_by_uri_and_local)
        )
        parts.append(">")
        self._write("".join(parts).encode())

    def end(self, name: Name) -> None:
        self._rendered.pop()
        self._scope = self._scopes.pop()
        self._open -= 1
        self._write(f"</{_qname(name)}>".encode())

    def text(self, data: str) -> None:
        if "&" in data:
            data = data.replace("&", "&amp;")
        if "<" in data:
            data = data.replace("<", "&lt;")
        if ">" in data:
            data = data.replace(">", "&gt;")
        if "\r" in data:
            data = data.replace("\r", "&#xD;")
        self._write(data.encode())

    def instruction(self, target: str, data: str) -> None:
        body = f"<?{target} {data}?>" if data else f"<?{target}?>"
        if not self._open:  # 2.3: a line feed parts it from the document element
            body = "\n" + body if self._root_seen else body + "\n"
        self._write(body.encode())

    def _changed(self, declared: Declared, above: Mapping[str, str]) -> dict[str, str]:
        candidates = dict(declared)
        if not self._root_seen:
            candidates = {**self._inherited, **candidates}
        return {
            prefix: uri
            for prefix, uri in candidates.items()
            if above.get(prefix, "") != uri and prefix != "xml"
        }

    def _visibly_used(
        self, name: Name, attributes: Attributes, above: Mapping[str, str]
    ) -> dict[str, str]:
        scope = self._scope
        used = {name[2]}
        for attribute, _ in attributes:
            if attribute[2]:
                used.add(attribute[2])
        return {
            prefix: scope.get(prefix, "")
            for prefix in used
            if prefix != "xml" and above.get(prefix, "") != scope.get(prefix, "")
        }


def _qname(name: Name) -> str:
    return f"{name[2]}:{name[1]}" if name[2] else name[1]


def _attribute_text(value: str) -> str:
    if _SPECIAL.search(value) is None:
        return value
    return (
        value.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace('"', "&quot;")
        .replace("\t", "&#x9;")
        .replace("\n", "&#xA;")
        .replace("\r", "&#xD;")
    )
