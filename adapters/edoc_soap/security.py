"""WS-Security: an X.509 token, and a signature over timestamp, body and token, by xmlsec.

In:     an envelope as zeep built it; key and certificate in PEM; the clock.
Out:    the same envelope with a wsse:Security header (WSS X.509 Token Profile 1.1).
Fails:  Misconfigured for a key or certificate that cannot be used.
Never:  signs the files: they are MIME parts, and stay under the package's own digest.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from gateway.errors import Misconfigured, Text
from gateway.model.package import NS_DSIG

if TYPE_CHECKING:
    from gateway.ports import Clock

_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-"
WSSE = f"{_OASIS}wss-wssecurity-secext-1.0.xsd"
WSU = f"{_OASIS}wss-wssecurity-utility-1.0.xsd"
_X509 = f"{_OASIS}wss-x509-token-profile-1.0#X509v3"
_BASE64 = f"{_OASIS}wss-soap-message-security-1.0#Base64Binary"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_RSA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
_LASTS = timedelta(minutes=5)


class X509Signer:
    """Signs envelopes for one account. Safe to share: holds a key, no state."""

    def __init__(self, key: bytes, certificate: bytes, clock: Clock) -> None:
        """`key`, `certificate`: PEM. Raises Misconfigured."""
        import xmlsec as untyped

        xmlsec: Any = untyped
        self._xmlsec = xmlsec
        self._clock = clock
        try:
            leaf = x509.load_pem_x509_certificate(certificate)
            self._key: Any = xmlsec.Key.from_memory(key, xmlsec.KeyFormat.PEM, None)
        except (ValueError, xmlsec.Error) as error:
            raise Misconfigured(
                Text(
                    "Không đọc được khóa hoặc chứng thư của WS-Security",
                    "the key or certificate for WS-Security cannot be read",
                ),
                code="conf.axis_invalid",
            ) from error
        der = leaf.public_bytes(serialization.Encoding.DER)
        self._token = base64.b64encode(der).decode()
        elliptic = isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
        self._method = _ECDSA if elliptic else _RSA

    def sign(self, envelope: etree._Element) -> None:
        """Adds the header, in place."""
        soap = etree.QName(envelope).namespace
        header = envelope.find(f"{{{soap}}}Header")
        if header is None:
            header = etree.Element(f"{{{soap}}}Header")
            envelope.insert(0, header)
        body = envelope.find(f"{{{soap}}}Body")
        if body is None:
            raise AssertionError
        security = etree.SubElement(
            header, f"{{{WSSE}}}Security", nsmap={"wsse": WSSE, "wsu": WSU, "ds": NS_DSIG}
        )
        security.set(f"{{{soap}}}mustUnderstand", "1")
        token = etree.SubElement(security, f"{{{WSSE}}}BinarySecurityToken")
        token.set("ValueType", _X509)
        token.set("EncodingType", _BASE64)
        token.text = self._token
        stamp = etree.SubElement(security, f"{{{WSU}}}Timestamp")
        now = self._clock.now()
        for name, at in (("Created", now), ("Expires", now + _LASTS)):
            moment = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
            etree.SubElement(stamp, f"{{{WSU}}}{name}").text = moment
        named = {"token": token, "timestamp": stamp, "body": body}
        for ident, one in named.items():
            one.set(f"{{{WSU}}}Id", ident)
        signature = self._template(security, list(named))
        context = self._xmlsec.SignatureContext()
        context.key = self._key
        for one in named.values():
            context.register_id(one, "Id", WSU)
        context.sign(signature)

    def _template(self, security: etree._Element, idents: list[str]) -> etree._Element:
        def add(above: etree._Element, name: str, **attributes: str) -> etree._Element:
            return etree.SubElement(above, f"{{{NS_DSIG}}}{name}", attributes)

        signature = add(security, "Signature")
        info = add(signature, "SignedInfo")
        add(info, "CanonicalizationMethod", Algorithm=_EXCLUSIVE)
        add(info, "SignatureMethod", Algorithm=self._method)
        for ident in idents:
            reference = add(info, "Reference", URI=f"#{ident}")
            add(add(reference, "Transforms"), "Transform", Algorithm=_EXCLUSIVE)
            add(reference, "DigestMethod", Algorithm=_SHA256)
            add(reference, "DigestValue")
        add(signature, "SignatureValue")
        named = etree.SubElement(add(signature, "KeyInfo"), f"{{{WSSE}}}SecurityTokenReference")
        etree.SubElement(named, f"{{{WSSE}}}Reference", URI="#token", ValueType=_X509)
        return signature
