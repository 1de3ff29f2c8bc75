"""A file -> one EncryptedData document for its receivers.

In:     the whole file, its name and media type, the receivers, a fresh key of 32 random bytes.
Out:    the document's bytes, UTF-8.
Fails:  Broken, when xmlsec does what it promised not to.
Never:  encrypts without a receiver, or an empty file (xmlsec refuses those); reuses a key (the
        caller gives a fresh one for each file); judges a certificate (receivers.py did).

xmlsec does the cryptography. The only randomness made here is its own: the initialisation vector
and OAEP's seed, as ECDSA's number in signatures; written packages are deterministic but for these.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding

from gateway.ciphering import form
from gateway.ciphering.receivers import Receiver
from gateway.errors import Broken, Text

if TYPE_CHECKING:
    from lxml.etree import _Element

KEY_BYTES = 32


def encrypt(
    data: bytes, *, name: str, media_type: str, receivers: Sequence[Receiver], key: bytes
) -> bytes:
    """`name`: of the plain file, as it will stand in OriginalName."""
    import xmlsec
    from lxml import etree

    if not data or not receivers or len(key) != KEY_BYTES:
        raise Broken(Text("Không có gì hoặc không có nơi nhận để mã hóa", "nothing, or nobody"))
    root = _template(name, media_type, receivers)
    manager = xmlsec.KeysManager()
    for receiver in receivers:
        pem = receiver.certificate.public_bytes(Encoding.PEM)
        public = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)
        public.name = form.key_name(receiver.certificate)
        manager.add_key(public)
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataAes, key)
    try:
        filled = context.encrypt_binary(root, data)
    except xmlsec.Error as error:
        raise Broken(
            Text(f"xmlsec không mã hóa được: {error}", f"xmlsec did not encrypt: {error}"),
            code="encryption.failed",
        ) from error
    written: bytes = etree.tostring(filled, xml_declaration=True, encoding="UTF-8")
    return written


def _template(name: str, media_type: str, receivers: Sequence[Receiver]) -> _Element:
    """Everything but the values that xmlsec computes; it fills what is empty."""
    from lxml import etree

    def add(parent: Any, uri: str, local: str, text: str = "", **attributes: str) -> Any:
        here: Any = {None: uri}  # its stubs know no default namespace
        made = etree.SubElement(parent, f"{{{uri}}}{local}", attributes, nsmap=here)
        if text:
            made.text = text
        return made

    named_so: Any = {None: form.XENC}
    root = etree.Element(f"{{{form.XENC}}}EncryptedData", {"MimeType": media_type}, nsmap=named_so)
    add(root, form.XENC, "EncryptionMethod", Algorithm=form.AES256_GCM)
    info = add(root, form.DSIG, "KeyInfo")
    for receiver in receivers:
        recipient = {"Recipient": receiver.code} if receiver.code else {}
        wrapped = add(info, form.XENC, "EncryptedKey", **recipient)
        method = add(wrapped, form.XENC, "EncryptionMethod", Algorithm=form.OAEP)
        add(method, form.DSIG, "DigestMethod", Algorithm=form.SHA256)
        add(method, form.XENC11, "MGF", Algorithm=form.MGF1_SHA256)
        about = add(wrapped, form.DSIG, "KeyInfo")
        certificate = receiver.certificate
        add(about, form.DSIG, "KeyName", form.key_name(certificate))
        named = add(about, form.DSIG, "X509Data")
        serial = add(named, form.DSIG, "X509IssuerSerial")
        add(serial, form.DSIG, "X509IssuerName", certificate.issuer.rfc4514_string())
        add(serial, form.DSIG, "X509SerialNumber", str(certificate.serial_number))
        if identifier := form.key_identifier(certificate):
            add(named, form.DSIG, "X509SKI", base64.b64encode(identifier).decode())
        add(add(wrapped, form.XENC, "CipherData"), form.XENC, "CipherValue")
    add(add(root, form.XENC, "CipherData"), form.XENC, "CipherValue")
    properties = add(root, form.XENC, "EncryptionProperties")
    add(add(properties, form.XENC, "EncryptionProperty"), form.OURS, "OriginalName", name)
    return root
