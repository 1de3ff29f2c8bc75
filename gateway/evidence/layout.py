"""Where each thing stands in a container, and as what.

In: what is to be named. Out: names and media types. Fails: never. Never: looks at content.
"""

from __future__ import annotations

from gateway.evidence.case import Head, Kept, Place

CASE = "evidence.json"
MINUTES = "bien-ban.txt"
PRINT = "bien-ban.pdf"  # the minutes again, as a person prints them
CHECK = "CHECK.txt"
KEY = "ledger/key.pem"
VKEY = "ledger/key.vkey"
_MEDIA = {
    ".txt": "text/plain",
    ".pdf": "application/pdf",
    ".json": "application/json",
    ".note": "text/plain",
    ".vkey": "text/plain",
    ".proof": "text/plain",
    ".tst": "application/vnd.etsi.timestamp-token",
    ".edxml": "application/xml",
    ".xml": "application/xml",
    ".pem": "application/x-pem-file",
    ".der": "application/pkix-cert",
    ".bin": "application/octet-stream",
    ".p7s": "application/pkcs7-signature",
    ".crl": "application/pkix-crl",
    ".ocsp": "application/ocsp-response",
}


def media(name: str) -> str:
    return _MEDIA["." + name.rpartition(".")[2]]


def record(place: Place) -> str:
    return f"records/{place.epoch}-{place.seq}.json"


def proof(place: Place) -> str:
    return f"proofs/{place.epoch}-{place.seq}.proof"


def note(head: Head | Place) -> str:
    return f"checkpoints/{_head(head)}.note"


def stamp(head: Head | Place) -> str:
    return f"stamps/{_head(head)}.tst"


def reproof(root: Place, place: Place) -> str:
    """Of the record at `place`, into the root that the record at `root` states."""
    return f"proofs/rehashed-{root.epoch}-{root.seq}/{place.epoch}-{place.seq}.proof"


def step(epoch: int, old: int, new: int) -> str:
    return f"proofs/{epoch}-from-{old}-to-{new}.proof"


def receipt(number: int) -> str:
    return f"receipts/{number}.json"


def package(digest: str) -> str:
    return f"packages/{digest}.edxml"


def file(digest: str) -> str:
    """An inner file. By its digest: a name from a package is never a name in the container."""
    return f"files/{digest}.bin"


def signed_info(package_digest: str) -> str:
    return f"signatures/{package_digest}/signed-info.xml"


def signature_value(package_digest: str) -> str:
    """As openssl takes it: PKCS#1 v1.5, or ECDSA in DER."""
    return f"signatures/{package_digest}/value.bin"


def certificate(package_digest: str) -> str:
    return f"signatures/{package_digest}/certificate.der"


def trust(kept: Kept) -> str:
    """A certificate, a revocation list or an answer, by its digest."""
    return f"trust/{kept.digest}.{kept.kind}"


def _head(head: Head | Place) -> str:
    return f"{head.epoch}-{head.size if isinstance(head, Head) else head.seq}"
