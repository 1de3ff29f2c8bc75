"""SignedInfo as bytes: the normal form that is signed, and what carried bytes really say.

In:     values (algorithms, references), or canonical bytes that a signature was found to cover.
Out:    the normal form, or the values those bytes hold.
Fails:  never; bytes that are not exactly one SignedInfo give None.
Never:  decides anything. It is the one place that knows how SignedInfo is spelled.
Next:   sign.py writes it, verify.py rebuilds it.

Normal form (edxml-format 9.4): XML-DSig as default namespace, no whitespace nodes, no attributes
but Algorithm and URI, exclusive C14N. It can be rebuilt from the values alone, so it survives an
axis that parses a package and writes it anew with another namespace, indentation and line ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gateway import safexml
from gateway.c14n import Attributes, Declared, Name
from gateway.errors import TooLarge, Unreadable
from gateway.model.package import NS_DSIG, NS_QCVN102, SignatureReference

EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_C14N_11 = "http://www.w3.org/2006/12/xml-c14n11"

HEADER_ID = "edxml-header"
HEADER_URI = f"cid:{HEADER_ID}"

# a scheme is read in any letter case (RFC 3986, 3.1), as the reader of packages does
_CID = re.compile(r"cid:", re.IGNORECASE)
_ADDED_CID = re.compile(r"\A(?:cid:)+")
_LIMITS = safexml.Limits(depth=16)
# below these an algorithm may have elements of its own
_PARAMETERS = (
    ("CanonicalizationMethod",),
    ("SignatureMethod",),
    ("Reference", "DigestMethod"),
    ("Reference", "Transforms", "Transform"),
)
_BLANKS = re.compile(r"[ \t\r\n]+")


class SignedInfo(NamedTuple):
    canonicalization: str
    signature_method: str
    references: tuple[SignatureReference, ...]


def is_cid(uri: str) -> bool:
    """Does this reference name something inside the package by its content id?"""
    return _CID.match(uri) is not None


def squeeze(base64_text: str) -> str:
    """Base64 without the white space that XML allows in it."""
    return _BLANKS.sub("", base64_text)


def escape_attribute(value: str) -> str:
    """Canonical XML 1.0, 2.3: attribute nodes."""
    return (
        value.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace('"', "&quot;")
        .replace("\t", "&#x9;")
        .replace("\n", "&#xA;")
        .replace("\r", "&#xD;")
    )


def escape_text(value: str) -> str:
    """Canonical XML 1.0, 2.3: text nodes."""
    return (
        value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
    )


def inner_form(info: SignedInfo) -> str:
    """What stands between `<SignedInfo ...>` and `</SignedInfo>` in the normal form."""
    parts = [
        '<CanonicalizationMethod Algorithm="',
        escape_attribute(info.canonicalization),
        '"></CanonicalizationMethod><SignatureMethod Algorithm="',
        escape_attribute(info.signature_method),
        '"></SignatureMethod>',
    ]
    for reference in info.references:
        parts += ['<Reference URI="', escape_attribute(reference.uri), '">']
        if reference.transforms:
            parts.append("<Transforms>")
            parts += [
                f'<Transform Algorithm="{escape_attribute(t)}"></Transform>'
                for t in reference.transforms
            ]
            parts.append("</Transforms>")
        parts += [
            '<DigestMethod Algorithm="',
            escape_attribute(reference.digest_method),
            '"></DigestMethod><DigestValue>',
            escape_text(squeeze(reference.digest_value)),
            "</DigestValue></Reference>",
        ]
    return "".join(parts)


def normal_form(info: SignedInfo, *, other_namespaces: str = "") -> bytes:
    """The canonical bytes of SignedInfo.

    `other_namespaces`: declarations that inclusive C14N drags in from outside, ready spelled.
    """
    opening = f'<SignedInfo xmlns="{NS_DSIG}"{other_namespaces}>'
    return f"{opening}{inner_form(info)}</SignedInfo>".encode()


class _Reader:
    """Consumer of one SignedInfo (safexml.Consumer). What could be read two ways is `unclear`."""

    def __init__(self) -> None:
        self.unclear = False
        self.canonicalization: list[str] = []
        self.signature_method: list[str] = []
        self.references: list[SignatureReference] = []
        self._namespace = ""
        self._path: list[str] = []
        self._reference = _OpenReference("")

    def start(self, name: Name, attributes: Attributes, _declared: Declared) -> None:
        namespace, local, _ = name
        if not self._path:
            self._namespace = namespace
            self.unclear = local != "SignedInfo" or namespace not in {NS_DSIG, NS_QCVN102}
        self._path.append(local)
        where = tuple(self._path[1:])
        if not where or any(where[: len(p)] == p and where != p for p in _PARAMETERS):
            return  # the root, or parameters inside an algorithm, such as a list of prefixes
        self.unclear = self.unclear or namespace != self._namespace
        given = {attribute[1]: value for attribute, value in attributes if not attribute[0]}
        algorithm = given.get("Algorithm", "").strip()
        match where:
            case ("CanonicalizationMethod",):
                self.canonicalization.append(algorithm)
            case ("SignatureMethod",):
                self.signature_method.append(algorithm)
            case ("Reference",):
                self.unclear = self.unclear or "URI" not in given
                self._reference = _OpenReference(given.get("URI", "").strip())
            case ("Reference", "Transforms"):
                self._reference.lists_of_transforms += 1
            case ("Reference", "Transforms", "Transform"):
                self._reference.transforms.append(algorithm)
            case ("Reference", "DigestMethod"):
                self._reference.methods.append(algorithm)
            case ("Reference", "DigestValue"):
                self._reference.values.append("")
            case _:
                self.unclear = True

    def text(self, data: str) -> None:
        if self._path == ["SignedInfo", "Reference", "DigestValue"]:
            self._reference.values[-1] += data

    def end(self, _name: Name) -> None:
        if self._path == ["SignedInfo", "Reference"]:
            read = self._reference
            if len(read.methods) != 1 or len(read.values) != 1 or read.lists_of_transforms > 1:
                self.unclear = True
            else:
                self.references.append(
                    SignatureReference(
                        read.uri, read.methods[0], squeeze(read.values[0]), tuple(read.transforms)
                    )
                )
        self._path.pop()

    def instruction(self, _target: str, _data: str) -> None:
        self.unclear = True


@dataclass(slots=True)
class _OpenReference:
    uri: str
    methods: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    transforms: list[str] = field(default_factory=list)
    lists_of_transforms: int = 0


def read_signed_info(canonical: bytes) -> SignedInfo | None:
    """What these canonical bytes say, or None when they are not one unambiguous SignedInfo.

    A signature speaks for bytes, not for values that somebody else read out of a tree: a block
    with two SignedInfo elements can show one to the digest check and the other to the value
    check (signature wrapping). So what a carried form says is always read from itself.
    """
    reader = _Reader()
    try:
        safexml.parse(canonical, reader, _LIMITS)
    except (Unreadable, TooLarge):
        return None
    if reader.unclear or len(reader.canonicalization) != 1 or len(reader.signature_method) != 1:
        return None
    return SignedInfo(
        reader.canonicalization[0], reader.signature_method[0], tuple(reader.references)
    )


def same_values(one: SignedInfo, other: SignedInfo) -> bool:
    """Equal but for white space around values and inside base64."""
    return _trimmed(one) == _trimmed(other)


def _trimmed(info: SignedInfo) -> tuple[object, ...]:
    return (
        info.canonicalization.strip(),
        info.signature_method.strip(),
        [
            (
                r.uri.strip(),
                r.digest_method.strip(),
                squeeze(r.digest_value),
                [t.strip() for t in r.transforms],
            )
            for r in info.references
        ],
    )


def with_single_cid(references: Sequence[SignatureReference]) -> tuple[SignatureReference, ...]:
    """References whose `cid:` URIs have exactly one `cid:`, as a signer writes them.

    Only what a rebuild adds is taken away, to the letter: in another letter case it is a change.
    """
    return tuple(
        replace(r, uri=_ADDED_CID.sub("cid:", r.uri)) if is_cid(r.uri) else r for r in references
    )
