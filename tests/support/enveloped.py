"""Packages signed by the real walk (making.py) in either profile, and judged by opening.py."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gateway.making import Manner, make_package
from gateway.model.package import DocumentHeader, SignatureVerdict
from gateway.model.submission import Attachment
from gateway.opening import judge
from gateway.packing.read import ReadPackage, read_package
from gateway.signing import ECDSA_SHA256, RSA_SHA256, Profile
from gateway.signing.findings import signature_findings
from tests.support import pki
from tests.support import signed_packages as packages

DAY = date(2026, 11, 21)
ENVELOPED_TRANSFORM = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
CONTENT = {
    "12-UBND-VX.pdf": b"%PDF-1.7\nmot & hai\n%%EOF\n",
    "ghi chú.txt": "một dòng\r\nhai dòng\n".encode(),
}


@dataclass(frozen=True)
class Holder:
    """A KeyHolder around a leaf of the test PKI."""

    leaf: pki.Leaf
    key_id: str = "test"

    @property
    def algorithm(self) -> str:
        return RSA_SHA256 if isinstance(self.leaf.key, pki.rsa.RSAPrivateKey) else ECDSA_SHA256

    @property
    def certificate(self) -> bytes:
        return self.leaf.der

    def sign(self, message: bytes) -> bytes:
        return self.leaf.sign(message)


@dataclass(frozen=True)
class Judged:
    package: ReadPackage
    verdict: SignatureVerdict

    @property
    def codes(self) -> set[str]:
        found = (*self.package.findings, *signature_findings(self.verdict))
        return {f.code for f in found}


def attachment(name: str, data: bytes) -> Attachment:
    return Attachment(name, len(data), packages.sha256(data), lambda: io.BytesIO(data))


def signed(
    leaf: pki.Leaf,
    profile: Profile,
    *,
    header: DocumentHeader = packages.HEADER,
    content: Mapping[str, bytes] = CONTENT,
) -> bytes:
    out = io.BytesIO()
    files = [attachment(name, data) for name, data in content.items()]
    manner = Manner(profile, day=DAY)
    made = make_package(out, header, files, seed="seed", holder=Holder(leaf), manner=manner)
    assert made.sha256 == packages.sha256(out.getvalue())
    assert made.size == len(out.getvalue())
    return out.getvalue()


def judged(xml: bytes) -> Judged:
    """Read and judged as an arrival is (opening.py), without the rules of law."""
    source = io.BytesIO(xml)
    package = read_package(source)
    return Judged(package, judge(source, 0, package, day=DAY))


def encoded(data: bytes) -> bytes:
    return base64.b64encode(data)
