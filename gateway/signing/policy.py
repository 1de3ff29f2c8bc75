"""Which algorithms and key sizes count, from when until when. Data, no behaviour but look-up.

In:     the URI of an algorithm and, when it is known, the day of signing.
Out:    the row in force on that day, or None: unknown, and unknown never counts.
Fails:  never.
Never:  reads a clock: the day is given; without one the rows without an end are asked.
Next:   certificates.py, which does what a row says.

The rows in force are data (conf/algorithms.toml, read by algorithms.py); DEFAULT_POLICY is what the
code knows of each algorithm, and the same rows without dates for whoever has no configuration.

Floor: circular 15/2025/TT-BKHCN (standards 5.4): RSA from 2048 bits, PKCS#1 v1.5 and PSS, ECDSA
from 256 bits, SHA-2. SHA-1 is in no list of it: recognised, reported as weak, never trusted
(edxml-format 9.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Protocol, TypeVar

_DSIG = "http://www.w3.org/2000/09/xmldsig#"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
_ENC = "http://www.w3.org/2001/04/xmlenc#"

RSA_SHA256 = f"{_MORE}rsa-sha256"
ECDSA_SHA256 = f"{_MORE}ecdsa-sha256"
SHA256 = f"{_ENC}sha256"


class Family(StrEnum):
    RSA_PKCS1 = "rsa-pkcs1"
    RSA_PSS = "rsa-pss"
    ECDSA = "ecdsa"


class Standing(StrEnum):
    """`weak`: known, and whatever the arithmetic says, nothing is proved by it."""

    TRUSTED = "trusted"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class SignatureMethod:
    """One row. `since`, `until`: first and last day on which it holds; None = no bound.

    `minimum_bits`: below it the key is weak. `produced`: we sign with it ourselves. `article`:
    where it is written, for people.
    """

    uri: str
    family: Family
    digest: str
    minimum_bits: int
    standing: Standing = Standing.TRUSTED
    produced: bool = False
    since: date | None = None
    until: date | None = None
    article: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DigestMethod:
    """`computed`: the reader has this digest of every file, so a reference can be compared."""

    uri: str
    standing: Standing = Standing.TRUSTED
    computed: bool = False
    since: date | None = None
    until: date | None = None
    article: str = field(default="", compare=False)


class Dated(Protocol):
    """A row of either kind, as far as its period goes."""

    @property
    def uri(self) -> str: ...
    @property
    def since(self) -> date | None: ...
    @property
    def until(self) -> date | None: ...


RowT = TypeVar("RowT", bound=Dated)


def _in_force(rows: Sequence[RowT], uri: str, at: date | None) -> RowT | None:
    for row in rows:
        if row.uri != uri:
            continue
        if at is None:
            if row.until is None:
                return row
        elif (row.since is None or row.since <= at) and (row.until is None or at <= row.until):
            return row
    return None


@dataclass(frozen=True, slots=True)
class Policy:
    """Given to `verify` and `finish`. `maximum_bits` bounds the work a hostile key can ask for."""

    signatures: tuple[SignatureMethod, ...]
    digests: tuple[DigestMethod, ...]
    maximum_bits: int = 8192

    def signature(self, uri: str, at: date | None = None) -> SignatureMethod | None:
        return _in_force(self.signatures, uri, at)

    def digest(self, uri: str, at: date | None = None) -> DigestMethod | None:
        return _in_force(self.digests, uri, at)


# RFC 9231 gives the URIs; PSS without parameters there: MGF1 with the same digest, salt as long.
DEFAULT_POLICY = Policy(
    signatures=(
        SignatureMethod(RSA_SHA256, Family.RSA_PKCS1, "sha256", 2048, produced=True),
        SignatureMethod(ECDSA_SHA256, Family.ECDSA, "sha256", 256, produced=True),
        SignatureMethod(f"{_MORE}rsa-sha384", Family.RSA_PKCS1, "sha384", 2048),
        SignatureMethod(f"{_MORE}rsa-sha512", Family.RSA_PKCS1, "sha512", 2048),
        SignatureMethod(f"{_MORE_2007}sha256-rsa-MGF1", Family.RSA_PSS, "sha256", 2048),
        SignatureMethod(f"{_MORE_2007}sha384-rsa-MGF1", Family.RSA_PSS, "sha384", 2048),
        SignatureMethod(f"{_MORE_2007}sha512-rsa-MGF1", Family.RSA_PSS, "sha512", 2048),
        SignatureMethod(f"{_MORE}ecdsa-sha384", Family.ECDSA, "sha384", 256),
        SignatureMethod(f"{_MORE}ecdsa-sha512", Family.ECDSA, "sha512", 256),
        SignatureMethod(f"{_DSIG}rsa-sha1", Family.RSA_PKCS1, "sha1", 2048, Standing.WEAK),
        SignatureMethod(f"{_MORE}ecdsa-sha1", Family.ECDSA, "sha1", 256, Standing.WEAK),
        SignatureMethod(f"{_MORE}rsa-md5", Family.RSA_PKCS1, "md5", 2048, Standing.WEAK),
    ),
    digests=(
        DigestMethod(SHA256, computed=True),
        DigestMethod(f"{_MORE}sha384"),
        DigestMethod(f"{_ENC}sha512"),
        DigestMethod(f"{_DSIG}sha1", Standing.WEAK),
        DigestMethod(f"{_MORE}md5", Standing.WEAK),
    ),
)
