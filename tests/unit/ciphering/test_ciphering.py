"""encrypt and decrypt are inverse, to several receivers; what was changed or is foreign is told."""

from __future__ import annotations

import base64
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from gateway.ciphering import form
from gateway.ciphering.decrypt import Opened, decrypt
from gateway.ciphering.encrypt import encrypt
from gateway.ciphering.receivers import Receiver, judge
from gateway.errors import Broken, Finding, Severity
from tests.support import pki

KEY = bytes(range(32))
DATA = b"%PDF-1.7\n" + bytes(range(256)) * 40
ONE = pki.cast().agency_rsa
TWO = pki.cast().root.leaf("two (test)", pki.rsa_key(1))
THREE = pki.cast().root.leaf("three (test)", pki.rsa_key(2))
HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha512": hashes.SHA512}
X = {"x": form.XENC, "d": form.DSIG, "o": form.OURS}
LIMIT = 1024 * 1024


def opener(leaf: pki.Leaf):
    def unwrap(wrapped: bytes, digest: str, mask: str) -> bytes | None:
        assert isinstance(leaf.key, rsa.RSAPrivateKey)
        oaep = padding.OAEP(padding.MGF1(HASHES[mask]()), HASHES[digest](), None)
        try:
            return leaf.key.decrypt(wrapped, oaep)
        except ValueError:
            return None

    return unwrap


def made(*leaves: pki.Leaf, data: bytes = DATA, name: str = "Công văn <12> & phụ lục.pdf") -> bytes:
    receivers = [Receiver(f"G{i}", leaf.certificate) for i, leaf in enumerate(leaves or (ONE,))]
    return encrypt(data, name=name, media_type="application/pdf", receivers=receivers, key=KEY)


def opened(document: bytes, leaf: pki.Leaf = ONE, limit: int = LIMIT) -> Opened | Finding:
    return decrypt(document, leaf.certificate, opener(leaf), max_bytes=limit)


def code(document: bytes, leaf: pki.Leaf = ONE, limit: int = LIMIT) -> str:
    found = opened(document, leaf, limit)
    assert isinstance(found, Finding)
    assert found.text.vi
    assert found.text.en
    return found.code


@pytest.mark.parametrize("data", [b"x", DATA, bytes(300_000)])
def test_what_was_encrypted_comes_back_with_its_name_and_type(data: bytes) -> None:
    found = opened(made(data=data))
    assert found == Opened(data, "Công văn <12> & phụ lục.pdf", "application/pdf")


def test_each_of_several_receivers_opens_it_and_nobody_else() -> None:
    document = made(ONE, TWO)
    for leaf in (ONE, TWO):
        found = opened(document, leaf)
        assert isinstance(found, Opened)
        assert found.data == DATA
    assert code(document, THREE) == "encryption.not_for_this_key"


def test_a_key_that_is_not_the_certificates_opens_nothing() -> None:
    found = decrypt(made(), ONE.certificate, opener(TWO), max_bytes=LIMIT)
    assert isinstance(found, Finding)
    assert found.code == "encryption.tampered"


def test_a_second_implementation_opens_it_by_hand() -> None:
    """RSA-OAEP and AES-GCM of `cryptography`, over the XML as any reader would find it."""
    root = etree.fromstring(made(ONE, TWO))
    assert root.tag == f"{{{form.XENC}}}EncryptedData"
    assert root.get("Type") is None
    for index, leaf in enumerate((ONE, TWO)):
        wrapped = root.findall(".//x:EncryptedKey", X)[index]
        assert wrapped.get("Recipient") == f"G{index}"
        certificate = leaf.certificate
        assert wrapped.findtext(".//d:X509SerialNumber", None, X) == str(certificate.serial_number)
        issuer = wrapped.findtext(".//d:X509IssuerName", None, X)
        assert issuer == certificate.issuer.rfc4514_string()
        ski = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        assert base64.b64decode(wrapped.findtext(".//d:X509SKI", "", X)) == ski.digest
        assert isinstance(leaf.key, rsa.RSAPrivateKey)
        key = leaf.key.decrypt(
            base64.b64decode(wrapped.findtext(".//x:CipherValue", "", X)),
            padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
        )
        assert key == KEY
    content = base64.b64decode(root.findtext("x:CipherData/x:CipherValue", "", X))
    assert AESGCM(KEY).decrypt(content[:12], content[12:], None) == DATA


def test_nothing_of_the_file_shows_and_two_encryptions_differ() -> None:
    first, second = made(), made()
    assert first != second
    assert DATA[:9] not in first
    assert base64.b64encode(DATA)[:40] not in first


@pytest.mark.parametrize("where", ["key", "content", "tag"])
def test_ciphertext_that_was_changed_is_found(where: str) -> None:
    root = etree.fromstring(made())
    path = ".//x:EncryptedKey//x:CipherValue" if where == "key" else "x:CipherData/x:CipherValue"
    value = root.find(path, X)
    assert value is not None
    raw = bytearray(base64.b64decode(value.text or ""))
    raw[-1 if where == "tag" else 20] ^= 1
    value.text = base64.b64encode(raw).decode()
    assert code(etree.tostring(root)) == "encryption.tampered"


@pytest.mark.parametrize("left", [0, 5, 27])
def test_ciphertext_that_was_cut_is_found(left: int) -> None:
    root = etree.fromstring(made())
    value = root.find("x:CipherData/x:CipherValue", X)
    assert value is not None
    value.text = base64.b64encode(base64.b64decode(value.text or "")[:left]).decode()
    assert code(etree.tostring(root)) in {"encryption.tampered", "encryption.unreadable"}


def replaced(old: str, new: str) -> bytes:
    text, count = re.subn(re.escape(old), new, made().decode())
    assert count
    return text.encode()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (form.AES256_GCM, f"{form.XENC}aes256-cbc", "encryption.algorithm"),
        (form.OAEP, f"{form.XENC}rsa-1_5", "encryption.algorithm"),
        (form.MGF1_SHA256, "urn:x", "encryption.algorithm"),
        (form.AES256_GCM, f"{form.XENC11}aes128-gcm", "encryption.tampered"),
        ("EncryptedData", "EncryptedThing", "encryption.unreadable"),
        ("</EncryptedData>", "", "encryption.unreadable"),
        (
            "<?xml version='1.0' encoding='UTF-8'?>",
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
            "encryption.unreadable",
        ),
    ],
)
def test_what_is_foreign_or_hostile_has_a_name(old: str, new: str, expected: str) -> None:
    assert code(replaced(old, new)) == expected


def test_content_that_lies_elsewhere_is_not_fetched() -> None:
    root = etree.fromstring(made())
    data = root.find("x:CipherData", X)
    assert data is not None
    data.clear()
    etree.SubElement(data, f"{{{form.XENC}}}CipherReference", URI="file:///etc/passwd")
    assert code(etree.tostring(root)) == "encryption.unreadable"


def test_the_older_name_of_oaep_is_read_too() -> None:
    """Made by hand, as software of others does: SHA-1 in the mask, no name of the certificate."""
    public = ONE.certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    key = bytes(16)
    wrapped = public.encrypt(key, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    content = bytes(12) + AESGCM(key).encrypt(bytes(12), DATA, None)
    document = (
        f'<e:EncryptedData xmlns:e="{form.XENC}"><e:EncryptionMethod '
        f'Algorithm="{form.XENC11}aes128-gcm"/><d:KeyInfo xmlns:d="{form.DSIG}"><e:EncryptedKey>'
        f'<e:EncryptionMethod Algorithm="{form.OAEP_MGF1P}"/><e:CipherData><e:CipherValue>'
        f"{base64.b64encode(wrapped).decode()}</e:CipherValue></e:CipherData></e:EncryptedKey>"
        f"</d:KeyInfo><e:CipherData><e:CipherValue>{base64.encodebytes(content).decode()}"
        "</e:CipherValue></e:CipherData></e:EncryptedData>"
    )
    assert opened(document.encode()) == Opened(DATA, "", "")


def test_what_is_over_the_limit_is_not_read() -> None:
    assert code(bytes(20_000_000), limit=1000) == "encryption.too_large"


def test_nobody_to_encrypt_for_is_our_own_fault() -> None:
    with pytest.raises(Broken):
        encrypt(DATA, name="a", media_type="", receivers=[], key=KEY)
    with pytest.raises(Broken):
        made(data=b"")


WEAK = pki.cast().weak
EXPIRED = pki.cast().root.leaf(
    "old (test)", pki.rsa_key(), not_before=pki.AT - 2 * pki.YEAR, not_after=pki.AT - pki.YEAR
)
EARLY = pki.cast().root.leaf("new (test)", pki.rsa_key(), not_before=pki.AT + pki.YEAR / 2)


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        (None, "encryption.no_certificate"),
        (WEAK.certificate, "encryption.certificate_weak"),
        (EXPIRED.certificate, "encryption.certificate_expired"),
        (EARLY.certificate, "encryption.certificate_not_yet_valid"),
        (pki.cast().agency_ec.certificate, "encryption.certificate_kind"),
    ],
)
def test_a_certificate_that_will_not_do_is_named(
    certificate: x509.Certificate | None, expected: str
) -> None:
    found = judge("H14.19", certificate, pki.AT, "to[0].organ_id")
    assert [f.code for f in found if f.severity is Severity.ERROR] == [expected]
    assert all(f.path == "to[0].organ_id" and "H14.19" in f.text.vi for f in found)


def test_a_certificate_not_issued_for_it_is_a_warning() -> None:
    (found,) = judge("H14.19", ONE.certificate, pki.AT, "to[0].organ_id")
    assert (found.code, found.severity) == ("encryption.certificate_usage", Severity.WARNING)
