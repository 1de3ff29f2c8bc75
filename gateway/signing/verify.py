"""Judging a block: what is really signed, said apart for the value, the header and the files.

In:     a `SignatureBlock` as the reader found it (or None), the header, the files as they are; a
        look at the whole document for references `URI=""` (enveloped.py), asked when it matters.
Out:    `SignatureVerdict`; and `inner_choice`, the digest of the bytes that count for each file.
Fails:  never: whatever a peer wrote into a block becomes a verdict.
Never:  throws a package away, judges a certificate's path, its revocation or its dates.
Next:   the corridor decides by policy what a verdict leads to.

The story, in the order of edxml-format 9.4:

(1) The value. Does SignatureValue hold over SignedInfo, with a key from the embedded certificates?
    (a) over the canonical bytes as carried, if these bytes say the same as the values we judge;
    (b) over the normal form rebuilt from the values, for an axis that wrote the block anew.
(2) Each reference, by itself: does its digest belong to exactly one thing in this package?
(3) The header and the files: only what a VALID reference names is VALID. `URI=""` names both,
    where it is over all of the document but this one Signature.

VALID anywhere in the verdict means: the value holds *and* the digest is right. A reference whose
digest is right under a value that does not hold takes over the value's verdict; `matched` still
says which bytes it belongs to.

What the other words mean. FALSE: a claim is contradicted: wrong digest, a signed file that is not
there, one file named twice, a content id that two files share. WEAK: an algorithm or key that
proves nothing, whatever the arithmetic says (no opinion on it is given). NOT_VERIFIABLE: the signed
bytes are gone, as after an axis: a reference `URI=""` whose digest is that of another document, or
a foreign block that was moved into another namespace, whose value then says nothing. NOT_CHECKED:
an algorithm, transform or `URI` we do not judge, or no usable certificate. NONE: not signed at all;
an attachment that no reference names has an entry of its own with NONE, and then the files together
are NOT_CHECKED: a file that was added unsigned is never counted as covered, and not called forged
either. `why` of a reference is the code of the finding that says it to people (findings.py).
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto
from typing import NamedTuple

from gateway.model.package import (
    NS_DSIG,
    NS_QCVN102,
    DocumentHeader,
    FileFact,
    ReferenceVerdict,
    SignatureBlock,
    SignatureReference,
    SignatureVerdict,
    Trust,
    bare_cid,
    header_digest,
)
from gateway.signing.certificates import (
    Answer,
    PublicKey,
    certificate_from_text,
    der_value,
    fit,
    holds,
)
from gateway.signing.enveloped import Look, Whole, allowed, form_of
from gateway.signing.policy import DEFAULT_POLICY, Family, Policy, SignatureMethod, Standing
from gateway.signing.signed_info import (
    EXCLUSIVE_C14N,
    HEADER_ID,
    INCLUSIVE_C14N,
    INCLUSIVE_C14N_11,
    SignedInfo,
    is_cid,
    normal_form,
    read_signed_info,
    same_values,
    squeeze,
    with_single_cid,
)

CARRIED = "carried"
INNER = "inner"
HEADER = "header"
WHOLE = "whole"

# A chain has three or four; each further one would be another public-key operation for a stranger.
_MOST_CERTIFICATES = 8
_WITH_COMMENTS = "WithComments"
_EXCLUSIVE = frozenset({EXCLUSIVE_C14N, EXCLUSIVE_C14N + _WITH_COMMENTS})
_INCLUSIVE = frozenset(
    uri + suffix
    for uri in (INCLUSIVE_C14N, INCLUSIVE_C14N_11)
    for suffix in ("", f"#{_WITH_COMMENTS}")
)
# The default namespace sorts before prefixed ones, and `edXML` is the prefix of every builder.
_EDXML_IN_SCOPE = f' xmlns:edXML="{NS_QCVN102}"'
_IN_Q = f'<SignedInfo xmlns="{NS_QCVN102}"'.encode()
_IN_DSIG = f'<SignedInfo xmlns="{NS_DSIG}"'.encode()


def verify(
    block: SignatureBlock | None,
    header: DocumentHeader | None,
    files: Sequence[FileFact],
    *,
    policy: Policy = DEFAULT_POLICY,
    at: date | None = None,
    look: Look | None = None,
) -> SignatureVerdict:
    """Steps (1) to (3) above. `at`: the day of signing, for the dated rows of the policy.

    `header` None: it could not be read; a header reference is then NOT_CHECKED. `look`: digests
    the document without its Signature; it is called at most once, and only when the value holds.
    Without it a reference `URI=""` is NOT_CHECKED.
    """
    if block is None:
        return SignatureVerdict("none", Trust.NONE, Trust.NONE, Trust.NONE)
    value, certificate = _value(block, policy, at)  # (1)
    case = _Case(block, header, files, value, policy, at, _whole(block, value, look))
    judged = tuple(case.judge(r) for r in block.references)  # (2)
    bare = case.unsigned_files(judged)
    return SignatureVerdict(  # (3)
        profile=_profile(block.references),
        value=value,
        header=_header(judged),
        files=_files(judged, files, bare),
        references=judged + bare,
        certificate=certificate,
        algorithm=block.signature_method,
    )


def inner_choice(verdict: SignatureVerdict, files: Sequence[FileFact]) -> tuple[str, ...]:
    """For each file the SHA-256 (hex) of the bytes that count (contract 4, "Inner file").

    The carried bytes when a VALID reference is over them, else the unwrapped ones. An identity
    does not ask this: it always takes the digest after the reader's rule.
    """
    carried = {
        bare_cid(r.uri)
        for r in verdict.references
        if r.verdict is Trust.VALID and r.matched == CARRIED
    }
    return tuple(f.carried_sha256 if bare_cid(f.content_id) in carried else f.sha256 for f in files)


class _Unseen(Enum):
    """Nobody looked at the whole document; None would say: looked, and it is no document."""

    UNSEEN = auto()


# (1) the value


def _value(block: SignatureBlock, policy: Policy, at: date | None) -> tuple[Trust, dict[str, str]]:
    """The verdict on the value, and the facts of the certificate that answers (else the first).

    A certificate whose names or dates cannot be read is none, even where its key would do.
    """
    found = (certificate_from_text(text) for text in block.certificates[:_MOST_CERTIFICATES])
    certificates = [(c, facts) for c in found if c is not None and (facts := c.facts())]
    first = certificates[0][1] if certificates else {}
    method = policy.signature(block.signature_method, at)
    if method is None:
        return Trust.NOT_CHECKED, first
    if method.standing is Standing.WEAK:
        return Trust.WEAK, first
    signature = _strict_base64(block.signature_value)
    answers = set()
    for certificate, facts in certificates:
        answer = fit(certificate.key, method, policy.maximum_bits)
        answers.add(answer)
        if answer is not Answer.HOLDS or certificate.key is None or signature is None:
            continue
        if _held_over(block, certificate.key, method, signature) is not None:
            return Trust.VALID, facts
    if Answer.WEAK in answers:
        return Trust.WEAK, first
    if Answer.HOLDS not in answers:
        return Trust.NOT_CHECKED, first
    if _must_hold(block):
        return Trust.FALSE, first
    return (Trust.NOT_CHECKED if block.in_dsig_namespace else Trust.NOT_VERIFIABLE), first


class Held(NamedTuple):
    """What a value holds over, for whoever checks it with other tools. `value`: PKCS#1 v1.5, PSS,
    or ECDSA as DER (RFC 3279 2.2.3); `certificate`: DER."""

    message: bytes
    value: bytes
    certificate: bytes
    method: SignatureMethod


def held(
    block: SignatureBlock, *, policy: Policy = DEFAULT_POLICY, at: date | None = None
) -> Held | None:
    """The bytes, value and certificate by which the value is VALID; None where it is not."""
    method = policy.signature(block.signature_method, at)
    value = _strict_base64(block.signature_value)
    if method is None or method.standing is Standing.WEAK or value is None:
        return None
    for text in block.certificates[:_MOST_CERTIFICATES]:
        certificate = certificate_from_text(text)
        if certificate is None or certificate.key is None:
            continue
        if fit(certificate.key, method, policy.maximum_bits) is Answer.HOLDS:
            message = _held_over(block, certificate.key, method, value)
            if message is not None:
                spelled = der_value(value) if method.family is Family.ECDSA else value
                return Held(message, spelled, certificate.der, method)
    return None


def _held_over(
    block: SignatureBlock, key: PublicKey, method: SignatureMethod, value: bytes
) -> bytes | None:
    for message, rebuilt in _forms(block):
        if holds(key, method, value, message) and (rebuilt or _says_the_same(message, block)):
            return message
    return None


def _forms(block: SignatureBlock) -> Iterator[tuple[bytes, bool]]:
    """The bytes the value may be over; True = rebuilt from the very values.

    No form is a guess about *what* was signed, only about how it was spelled, so their order is
    free: (a) before (b), but for a block that was moved into Q the likelier (b) saves a public-key
    operation.
    """
    values = _values(block)
    normal = normal_form(values)
    inclusive = block.canonicalization in _INCLUSIVE
    carried = b""
    if inclusive:
        carried = block.signed_info_inclusive
    elif block.canonicalization in _EXCLUSIVE:
        carried = block.signed_info_exclusive
    moved = not block.in_dsig_namespace
    if moved:
        yield normal, True  # (b)
    if carried and carried != normal:
        yield carried, False  # (a)
    if not moved:
        yield normal, True  # (b)
    if inclusive:
        yield normal_form(values, other_namespaces=_EDXML_IN_SCOPE), True
    single = with_single_cid(block.references)
    if single != block.references:  # a rebuild puts another `cid:` in front (edxml-format 5)
        yield normal_form(values._replace(references=single)), True
    if not inclusive and carried.startswith(_IN_Q):  # (b) with its white space
        yield _IN_DSIG + carried[len(_IN_Q) :], False


def _values(block: SignatureBlock) -> SignedInfo:
    return SignedInfo(block.canonicalization, block.signature_method, block.references)


def _says_the_same(message: bytes, block: SignatureBlock) -> bool:
    said = read_signed_info(message)
    return said is not None and same_values(said, _values(block))


def _must_hold(block: SignatureBlock) -> bool:
    """Does a value that holds over no form prove that something was changed?

    Yes for `relay`, which is made to survive, and for a block still in its own namespace with a
    form we know. A foreign block in Q was written anew and cannot be rebuilt (edxml-format 9.4).
    """
    if _profile(block.references) == "relay":
        return True
    if any(r.absent or r.parameters for r in block.references):
        return False  # our normal form cannot say these, nor what stands in their place
    return block.in_dsig_namespace and block.canonicalization in _EXCLUSIVE | _INCLUSIVE


def _strict_base64(text: str) -> bytes | None:
    """Only the canonical spelling: loose bits at the end would be a change that nobody finds."""
    plain = squeeze(text)
    try:
        data = base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == plain else None


# (2) the references


def _whole(block: SignatureBlock, value: Trust, look: Look | None) -> Whole | _Unseen | None:
    """The document without its Signature, where a reference asks for it and the value holds."""
    forms = {form for r in block.references if _is_whole(r) and (form := form_of(r))}
    if look is None or not forms or value is not Trust.VALID:
        return _Unseen.UNSEEN
    return look(forms)


def _is_whole(reference: SignatureReference) -> bool:
    return not reference.uri and not reference.absent


@dataclass(frozen=True, slots=True)
class _Case:
    """One package before the judge: everything a single reference is weighed against."""

    block: SignatureBlock
    header: DocumentHeader | None
    files: Sequence[FileFact]
    value: Trust
    policy: Policy
    at: date | None
    whole: Whole | _Unseen | None
    claims: Counter[str] = field(init=False)
    named: dict[str, list[FileFact]] = field(init=False)

    def __post_init__(self) -> None:
        named: dict[str, list[FileFact]] = {}
        for file in self.files:
            named.setdefault(bare_cid(file.content_id), []).append(file)
        claims = Counter(bare_cid(r.uri) for r in self.block.references if is_cid(r.uri))
        object.__setattr__(self, "named", named)
        object.__setattr__(self, "claims", claims)

    def judge(self, reference: SignatureReference) -> ReferenceVerdict:
        uri = reference.uri
        if _is_whole(reference):
            return self._judge_whole(reference)
        if not is_cid(uri):
            return ReferenceVerdict(uri, Trust.NOT_CHECKED, why="signature.reference_outside")
        name = bare_cid(uri)
        if self.claims[name] > 1:
            return ReferenceVerdict(uri, Trust.FALSE, why="signature.reference_doubled")
        digest = self.policy.digest(reference.digest_method, self.at)
        why = "signature.transform" if reference.transforms else ""
        if digest is not None and digest.standing is Standing.WEAK:
            return ReferenceVerdict(uri, Trust.WEAK, why=why)
        if digest is None or not digest.computed or reference.transforms:
            return ReferenceVerdict(uri, Trust.NOT_CHECKED, why=why)
        if name == HEADER_ID and self.header is None:
            return ReferenceVerdict(uri, Trust.NOT_CHECKED)
        matched = self._match(name, _strict_base64(reference.digest_value))
        if matched:
            return ReferenceVerdict(uri, self.value, matched)
        there = 1 if name == HEADER_ID else len(self.named.get(name, []))
        why = "signature.content_id_doubled" if there > 1 else ""
        return ReferenceVerdict(
            uri, Trust.FALSE, why=why if there else "signature.reference_missing"
        )

    def _judge_whole(self, reference: SignatureReference) -> ReferenceVerdict:
        """`URI=""`: under a value that does not hold nothing is compared, it has said all."""
        digest = self.policy.digest(reference.digest_method, self.at)
        why = "" if allowed(reference) else "signature.transform"
        if digest is not None and digest.standing is Standing.WEAK:
            return ReferenceVerdict("", Trust.WEAK, why=why)
        form = form_of(reference)
        if digest is None or form is None:
            return ReferenceVerdict("", Trust.NOT_CHECKED, why=why)
        if self.value is not Trust.VALID:
            return ReferenceVerdict("", self.value)
        whole = self.whole
        if isinstance(whole, _Unseen):
            return ReferenceVerdict("", Trust.NOT_CHECKED)
        if whole is not None and whole.signatures != 1:
            return ReferenceVerdict("", Trust.NOT_CHECKED, why="signature.several")
        if whole is None or whole.digests[form] != _strict_base64(reference.digest_value):
            return ReferenceVerdict("", Trust.NOT_VERIFIABLE, why="signature.not_verifiable")
        return ReferenceVerdict("", Trust.VALID, WHOLE)

    def _match(self, name: str, digest: bytes | None) -> str:
        """Which bytes of the package have this digest: header, carried, inner, or none ("")."""
        if not digest:
            return ""
        if name == HEADER_ID:
            return HEADER if self.header and digest == self._header_digest(self.header) else ""
        files = self.named.get(name, []) if name else []
        if len(files) != 1 or files[0].failed:
            return ""
        if digest.hex() == files[0].carried_sha256:
            return CARRIED
        return INNER if digest.hex() == files[0].sha256 else ""

    def _header_digest(self, header: DocumentHeader) -> bytes:
        return header_digest(header, [(f.declared_name, f.sha256) for f in self.files])

    def unsigned_files(self, judged: Sequence[ReferenceVerdict]) -> tuple[ReferenceVerdict, ...]:
        """One NONE for each attachment that no `cid:` reference names.

        Nothing when the block has no such reference at all (`URI=""` speaks of the whole), and
        nothing when the whole is VALID.
        """
        if not self.claims or _worst_whole(judged) is Trust.VALID:
            return ()
        return tuple(
            ReferenceVerdict(f"cid:{name}", Trust.NONE, why="signature.file_unsigned")
            for name, files in self.named.items()
            for _ in files
            if name == HEADER_ID or not name or name not in self.claims
        )


# (3) the whole


def _header(judged: Sequence[ReferenceVerdict]) -> Trust:
    verdicts = {r.verdict for r in judged if _is_header(r)}
    if verdicts:  # claimed twice: both are FALSE already
        return _worst(verdicts)
    return _unnamed(judged)


def _files(
    judged: Sequence[ReferenceVerdict],
    files: Sequence[FileFact],
    unsigned: Sequence[ReferenceVerdict],
) -> Trust:
    verdicts = {r.verdict for r in judged if is_cid(r.uri) and not _is_header(r)}
    if not verdicts:
        # without files the header reference covers the whole list: an empty one
        return _unnamed(judged) if files else _header(judged)
    if unsigned:
        verdicts.add(Trust.NOT_CHECKED)
    return _worst(verdicts)


def _unnamed(judged: Sequence[ReferenceVerdict]) -> Trust:
    """The verdict on a side that no `cid:` reference names: what `URI=""` has; others may well
    cover it, for all we know."""
    whole = _worst_whole(judged)
    if whole is not None:
        return whole
    return Trust.NONE if all(is_cid(r.uri) for r in judged) else Trust.NOT_CHECKED


def _worst_whole(judged: Sequence[ReferenceVerdict]) -> Trust | None:
    """Of the references `URI=""`; None when there is none. Only one that matched is VALID."""
    verdicts = {r.verdict for r in judged if not r.uri}
    return _worst(verdicts) if verdicts else None


def _worst(verdicts: set[Trust]) -> Trust:
    for verdict in (
        Trust.FALSE,
        Trust.WEAK,
        Trust.NOT_VERIFIABLE,
        Trust.NOT_CHECKED,
        Trust.NONE,
    ):
        if verdict in verdicts:
            return verdict
    return Trust.VALID


def _profile(references: Sequence[SignatureReference]) -> str:
    uris = {"cid:" if is_cid(r.uri) else "none" if r.absent else r.uri for r in references}
    if uris == {"cid:"}:
        return "relay"
    return "enveloped" if uris == {""} else "other"


def _is_header(reference: ReferenceVerdict) -> bool:
    return is_cid(reference.uri) and bare_cid(reference.uri) == HEADER_ID
