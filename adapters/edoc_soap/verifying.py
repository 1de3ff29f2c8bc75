"""WS-Security of answers: the axis' own signature over timestamp and body, demanded and verified.

In:     an answer's envelope as it was parsed; the certificates that the axis signs with; the clock.
Out:    "" when the signature holds, else what is wrong, in words for an operator.
Fails:  Misconfigured for certificates that cannot be read.
Never:  trusts a certificate that came with the answer, an id that stands twice, an element that is
        not the one which is read afterwards, an algorithm that is not listed here.
Source: WSS SOAP Message Security 1.1 sections 8 and 10, XML Signature 4.4.

What is signed is the body and the instant. The header blocks of a fetched document and its files
stand outside: that they are its sender's is the business of the package's own signature.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree

from adapters.edoc_soap.security import WSSE, WSU
from gateway.errors import Misconfigured, Text
from gateway.model.package import NS_DSIG

if TYPE_CHECKING:
    from gateway.ports import Clock

_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_METHODS = frozenset(
    f"{_MORE}{kind}-sha{size}" for kind in ("rsa", "ecdsa") for size in (256, 384, 512)
)
_DIGESTS = frozenset(
    {
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2001/04/xmlenc#sha512",
        f"{_MORE}sha384",
    }
)
_SKEW = timedelta(minutes=5)  # their clock and ours


class _Wrong(Exception):
    """The answer is not signed as it must be; the message says why."""


class AnswerVerifier:
    """Judges the answers of one axis. Safe to share: holds certificates, no state."""

    def __init__(self, certificates: bytes, clock: Clock) -> None:
        """`certificates`: PEM, those that the axis signs with. Raises Misconfigured."""
        import xmlsec as untyped

        self._xmlsec: Any = untyped
        self._clock = clock
        try:
            self._trusted = tuple(x509.load_pem_x509_certificates(certificates))
            self._keys = tuple(self._key(one) for one in self._trusted)
        except (ValueError, self._xmlsec.Error) as error:
            raise Misconfigured(
                Text(
                    "Không đọc được chứng thư ký trả lời của trục",
                    "the certificates that the axis signs its answers with cannot be read",
                ),
                code="conf.axis_invalid",
            ) from error

    def _key(self, certificate: x509.Certificate) -> Any:
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return self._xmlsec.Key.from_memory(pem, self._xmlsec.KeyFormat.CERT_PEM, None)

    def mistake(self, envelope: etree._Element) -> str:
        """What is wrong with the signature of an envelope; "" for nothing."""
        try:
            self._verify(envelope)
        except _Wrong as wrong:
            return str(wrong)
        return ""

    def _verify(self, envelope: etree._Element) -> None:
        soap = etree.QName(envelope).namespace
        body = _only(envelope, "Body")
        header = _only(envelope, "Header")
        if {etree.QName(one).namespace for one in (body, header)} != {soap}:
            raise _Wrong("header or body is not of the envelope's own namespace")
        security = _only(header, "Security", WSSE)
        stamp = _only(security, "Timestamp", WSU)
        signature = _only(security, "Signature", NS_DSIG)
        signed = self._signed(envelope, signature)
        if body not in signed or stamp not in signed:
            raise _Wrong("body and timestamp are not both signed")
        self._in_time(stamp)
        now = self._clock.now()
        for certificate, key in zip(self._trusted, self._keys, strict=True):
            if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                continue
            context = self._xmlsec.SignatureContext()
            context.key = key
            for one in signed:
                context.register_id(one, "Id", WSU)
            try:
                context.verify(signature)
            except self._xmlsec.Error:
                continue
            return
        raise _Wrong("no trusted certificate that is in force made this signature")

    @staticmethod
    def _signed(envelope: etree._Element, signature: etree._Element) -> list[etree._Element]:
        """What the references name, every algorithm being one of ours."""
        info = _only(signature, "SignedInfo", NS_DSIG)
        if _algorithm(info, "CanonicalizationMethod") != _EXCLUSIVE:
            raise _Wrong("SignedInfo is not in exclusive canonical form")
        if _algorithm(info, "SignatureMethod") not in _METHODS:
            raise _Wrong("the signature's algorithm is not accepted")
        by_id: dict[str, list[etree._Element]] = {}
        for one in envelope.iter(etree.Element):
            for name, value in one.attrib.items():
                if etree.QName(str(name)).localname.lower() == "id":
                    by_id.setdefault(str(value), []).append(one)
        found = []
        for reference in info.findall(f"{{{NS_DSIG}}}Reference"):
            if _algorithm(reference, "DigestMethod") not in _DIGESTS:
                raise _Wrong("a digest's algorithm is not accepted")
            transforms = reference.findall(f"{{{NS_DSIG}}}Transforms/{{{NS_DSIG}}}Transform")
            if [one.get("Algorithm") for one in transforms] != [_EXCLUSIVE]:
                raise _Wrong("a reference is not in exclusive canonical form alone")
            uri = reference.get("URI") or ""
            named = by_id.get(uri.removeprefix("#"), [])
            if not uri.startswith("#") or len(named) != 1:
                raise _Wrong("a reference does not name exactly one element")
            if named[0].get(f"{{{WSU}}}Id") is None:
                raise _Wrong("a signed element has no wsu:Id")
            found.append(named[0])
        return found

    def _in_time(self, stamp: etree._Element) -> None:
        now = self._clock.now()
        created = _instant(stamp, "Created")
        expires = _instant(stamp, "Expires")
        if created is None:
            raise _Wrong("the timestamp has no instant")
        if created > now + _SKEW or (expires or created) < now - _SKEW:
            raise _Wrong(f"the timestamp is of another time: {created.isoformat()}")


def _only(above: etree._Element, name: str, space: str | None = None) -> etree._Element:
    """The one child of this local name: what is read afterwards goes by local names."""
    found = [c for c in above.iterchildren(etree.Element) if etree.QName(c).localname == name]
    if len(found) != 1 or (space is not None and etree.QName(found[0]).namespace != space):
        raise _Wrong(f"{name}: there is none, or more than one" if len(found) != 1 else name)
    return found[0]


def _algorithm(above: etree._Element, name: str) -> str:
    return _only(above, name, NS_DSIG).get("Algorithm") or ""


def _instant(stamp: etree._Element, name: str) -> datetime | None:
    said = stamp.findtext(f"{{{WSU}}}{name}")
    if said is None:
        return None
    try:
        found = datetime.fromisoformat(said.strip())
    except ValueError:
        raise _Wrong(f"{name} is no instant") from None
    if found.tzinfo is None:
        raise _Wrong(f"{name} has no zone")
    return found
