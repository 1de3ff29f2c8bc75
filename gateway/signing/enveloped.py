"""The whole document without its signature: what a reference `URI=""` is over.

In:     the bytes of a package (seekable), which canonical forms and digests are asked for.
Out:    Whole: the digests, where the Signature stands and how many there are; None when the bytes
        are no document that another reader of XML would accept as it is.
Fails:  never for what a peer sent; OSError of the source passes through.
Never:  builds a tree, reads a comment, follows a URI, runs a transform outside the allow-list.
Next:   verify.py asks for it only when the value holds; making.py asks before it signs.

XML-DSig 4.4.3.3 and 6.6.4: the reference `""` is the document without comments; the transform
enveloped-signature takes the Signature out that holds the reference; what is left is canonicalised
(inclusive Canonical XML 1.0 unless a second transform says otherwise) and digested. Canonical XML
1.1 differs from 1.0 only for parts of a document, so here the two are one form. Which Signature is
meant can never be a question: with more than one in the document, nothing is counted as covered.

The long text of an attachment does not go through the parser. Where the parser stands exactly
behind its start tag, what follows up to the next `<` is that element's text; if it is of the
characters of base64, blanks and line feeds alone, it is its own canonical form.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from gateway.c14n import Attributes, Canonicalizer, Declared, Name
from gateway.errors import TooLarge, Unreadable
from gateway.model.package import NS_DSIG, NS_QCVN102, SignatureReference
from gateway.safexml import Limits, Parser, ToUtf8
from gateway.signing.signed_info import EXCLUSIVE_C14N, INCLUSIVE_C14N, INCLUSIVE_C14N_11

ENVELOPED_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"

_BLOCK = 1024 * 1024
_EXCLUSIVE = {EXCLUSIVE_C14N: True, INCLUSIVE_C14N: False, INCLUSIVE_C14N_11: False}
_HASHES = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_CONTENT_TAG = re.compile(rb"<(?:[^\s<>/:]+:)?contenttransferencoded(?:\s[^<>]*)?>", re.IGNORECASE)
_CUT_TAG = 4096
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n "


class Form(NamedTuple):
    """One canonical form with one digest: `exclusive` or inclusive; a name of hashlib."""

    exclusive: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Whole:
    """`at`: offset of the (last) Signature's start tag in UTF-8 without byte order mark."""

    digests: Mapping[Form, bytes]
    signatures: int
    at: int


Look = Callable[[Collection[Form]], Whole | None]


def form_of(reference: SignatureReference) -> Form | None:
    """What a reference `URI=""` asks for; None when `allowed` is not True or the digest unknown."""
    digest = _HASHES.get(reference.digest_method)
    if digest is None or not allowed(reference):
        return None
    return Form(len(reference.transforms) > 1 and _EXCLUSIVE[reference.transforms[1]], digest)


def allowed(reference: SignatureReference) -> bool:
    """Are the transforms enveloped-signature, alone or followed by one plain C14N?

    Plain: without comments, without a list of prefixes. Anything else could make "the whole
    document" mean less than all of it.
    """
    first, *rest = reference.transforms or ("",)
    if first != ENVELOPED_SIGNATURE or reference.parameters or len(rest) > 1:
        return False
    return not rest or rest[0] in _EXCLUSIVE


def look(source: BinaryIO, forms: Collection[Form], limits: Limits | None = None) -> Whole | None:
    """Read from where `source` stands to its end. Constant memory."""
    try:
        return _Reading(forms, limits or Limits()).run(source)
    except (Unreadable, TooLarge):
        return None


class _Reading:
    """The consumer of the events (safexml.Consumer): all but the Signature goes to the forms."""

    def __init__(self, forms: Collection[Form], limits: Limits) -> None:
        self._limits = limits
        self._hashes = {form: hashlib.new(form.digest) for form in forms}
        self._canonical = []
        self._writers: list[Callable[[bytes], object]] = []
        for exclusive in sorted({form.exclusive for form in forms}):
            write = _to_all([h.update for f, h in self._hashes.items() if f.exclusive == exclusive])
            self._writers.append(write)
            self._canonical.append(Canonicalizer(write, exclusive=exclusive))
        self._parser = Parser(self, limits)
        self._signatures = 0
        self._at = -1
        self._inside = 0  # depth below and with the Signature
        self._started = -1  # offset of the start tag that nothing has followed yet
        self._in_content = False
        self._held = b""

    def run(self, source: BinaryIO) -> Whole:
        decoder = ToUtf8()
        while raw := source.read(_BLOCK):
            self._take(decoder.decode(raw), decoder.family, final=False)
        self._take(decoder.decode(b"", final=True), decoder.family, final=True)
        self._parser.close()
        digests = {form: digest.digest() for form, digest in self._hashes.items()}
        return Whole(digests, self._signatures, self._at)

    # -- bytes -----------------------------------------------------------------------------------

    def _take(self, data: bytes, family: str, *, final: bool) -> None:
        if family == "utf-16" and not self._parser.fed:
            self._parser = Parser(self, self._limits, family=family)
        data, self._held = self._held + data, b""
        position, end = 0, len(data)
        while position < end:
            if self._in_content:
                stop = data.find(b"<", position)
                text = data[position:] if stop < 0 else data[position:stop]
                if not text.translate(None, _PLAIN):
                    self._parser.skip(len(text), text.count(b"\n"))
                    if not self._inside:
                        for write in self._writers:
                            write(text)
                    if stop < 0:
                        return
                    position = stop
                self._in_content = False
            position = self._parse(data, position, final=final)

    def _parse(self, data: bytes, position: int, *, final: bool) -> int:
        """Give the parser what reaches to the end of the next content tag, or of the piece."""
        match = _CONTENT_TAG.search(data, position)
        stop = match.end() if match is not None else len(data)
        if match is None and not final:
            last = data.rfind(b"<", position)
            if last >= 0 and stop - last < _CUT_TAG and data.find(b">", last) < 0:
                self._held = data[last:]  # a tag cut in two: see it whole
                stop = last
        if stop > position:
            before = self._parser.fed
            self._parser.feed(data[position:stop])
            if match is not None:
                self._in_content = self._started == before + match.start() - position
        return len(data) if self._held else stop

    # -- events ----------------------------------------------------------------------------------

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        self._started = self._parser.offset
        if is_signature(name):
            self._signatures += 1
            if not self._inside:
                self._at = self._started
                self._inside = 1
                return
        if self._inside:
            self._inside += 1
            return
        for canonical in self._canonical:
            canonical.start(name, attributes, declared)

    def end(self, name: Name) -> None:
        self._started = -1
        if self._inside:
            self._inside -= 1
            return
        for canonical in self._canonical:
            canonical.end(name)

    def text(self, data: str) -> None:
        self._started = -1
        if not self._inside:
            for canonical in self._canonical:
                canonical.text(data)

    def instruction(self, target: str, data: str) -> None:
        self._started = -1
        if not self._inside:
            for canonical in self._canonical:
                canonical.instruction(target, data)


def is_signature(name: Name) -> bool:
    """Whatever some reader of packages takes for a Signature: by local name (edxml-format 9.1)."""
    return name[1].lower() == "signature" and name[0] in {NS_DSIG, NS_QCVN102, ""}


def _to_all(writers: list[Callable[[bytes], object]]) -> Callable[[bytes], object]:
    if len(writers) == 1:
        return writers[0]

    def write(data: bytes) -> None:
        for one in writers:
            one(data)

    return write
