"""Key holders over PKCS#11: keys that never leave a token or a hardware module.

In:     a Token (token_link.py), the object in it, the agency, a certificate file where the token
        holds no certificate; the time of loading.
Out:    a `KeyHolder` (ports.py) and the warnings about its certificate.
Fails:  Misconfigured for what a person must mend (PIN refused, no such object, module cannot be
        loaded, a certificate of another key); Unavailable for what time may mend (token not there,
        process died, no answer, PIN locked). The texts name agency and token, never the PIN.
Never:  lets a signature out that its own certificate does not verify: a token may have been
        exchanged for another of the same name, or compute falsely.
Next:   gateway/signing/sign.py takes what `sign` gives; wiring maps agency -> holder.

RSA PKCS#1 v1.5 over SHA-256 and ECDSA P-256, as with keys in files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from adapters.keys import token_wire as wire
from adapters.keys.certificates import certificates_in, warnings_about
from adapters.keys.files import ECDSA_SHA256, RSA_SHA256
from adapters.keys.private import read_private, refused
from adapters.keys.token_link import Token
from gateway.errors import Finding, GatewayError, Misconfigured, Text, Unavailable

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_PROBE = b"edoc-gateway: does this certificate belong to this key?"
_SMALLEST_RSA = 2048  # circular 15/2025/TT-BTTTT (standards 5.4)
_HALF = 32
_TEXTS = {
    wire.PIN: Text(
        "token từ chối mã PIN; gateway không thử lại để token không bị khóa: sửa pin_file rồi "
        "khởi động lại",
        "the token refuses the PIN; it is not tried again, or the token would lock itself: mend "
        "pin_file, then start again",
    ),
    wire.OBJECT: Text("không có khóa bí mật này trong token", "holds no such private key"),
    wire.AMBIGUOUS: Text("tên không chỉ rõ một khóa", "the name fits more than one"),
    wire.MODULE: Text("không nạp được module PKCS#11", "the PKCS#11 module cannot be loaded"),
    wire.MECHANISM: Text(
        "token không ký được RSA PKCS#1 v1.5 hay ECDSA bằng khóa này",
        "the token cannot sign RSA PKCS#1 v1.5 or ECDSA with this key",
    ),
    wire.ABSENT: Text("không thấy token", "the token is not there"),
    wire.LOCKED: Text(
        "mã PIN của token đã bị khóa; cần mở khóa bằng mã SO PIN",
        "the token's PIN is locked; its security officer (SO PIN) must unlock it",
    ),
    wire.LOST: Text("token báo lỗi", "the token reports an error"),
    wire.DIED: Text("tiến trình giữ token đã dừng", "the process that holds the token ended"),
    wire.SILENT: Text("token không trả lời kịp", "the token does not answer in time"),
    wire.RESTING: Text("token chưa dùng lại được", "the token is not usable again yet"),
}


@dataclass(frozen=True, slots=True)
class TokenKeyHolder:
    """One private key on a token. `sign` blocks; callers of several threads take turns."""

    key_id: str
    algorithm: str
    certificate: bytes = field(repr=False)
    agency: str
    _token: Token = field(repr=False, compare=False)
    _object: str = field(repr=False, compare=False)
    _takes: str = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """RSA: PKCS#1 v1.5 over SHA-256. ECDSA P-256: r||s, 32 bytes each."""
        signature = _sign(self._token, self._object, self.agency, self._takes, message)
        key = x509.load_der_x509_certificate(self.certificate).public_key()
        if not _fits(key, signature, message):
            raise _misfit(self.agency, self._token.label)
        return signature


@dataclass(frozen=True, slots=True)
class LoadedTokenKey:
    """`warnings`: what the operator should know and what stops nothing."""

    holder: TokenKeyHolder
    warnings: tuple[Finding, ...] = ()


def pin_of(path: Path) -> str:
    """The first line of a file of mode 0600. Read anew whenever the token is opened, never kept."""
    lines = read_private(path).splitlines()
    try:
        pin = lines[0].decode() if lines else ""
    except UnicodeDecodeError:
        pin = ""
    if not pin:
        raise refused(path, "key.password", "không có mã PIN", "holds no PIN")
    return pin


def load(
    token: Token,
    wanted: str,
    *,
    agency: str,
    now: datetime,
    certificate: Path | None = None,
    key_id: str = "",
) -> LoadedTokenKey:
    """The holder of the private key `wanted` (its label, or its id in hex).

    `certificate`: PEM or DER; None: the token's own, of the key's id or label. That it belongs to
    the key is proved by a signature. `key_id` empty: as with keys in files. `now`: aware.
    """
    where = f"[[key]] {agency}, token {token.label!r}"
    try:
        found = token.find(wanted)
    except wire.Trouble as trouble:
        raise _told(trouble, agency, token.label) from None
    candidates = _read(found.certificates) if certificate is None else certificates_in(certificate)
    if not candidates:
        raise _wrong(
            where,
            "key.certificate",
            "token không có chứng thư số của khóa này: ghi đường dẫn chứng thư số (certificate)",
            "holds no certificate of this key: name its file (certificate)",
        )
    signature = _sign(token, wanted, agency, found.takes, _PROBE)
    own = next((c for c in candidates if _fits(_public(c), signature, _PROBE)), None)
    if own is None:
        raise _misfit(agency, token.label)
    key = own.public_key()
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    holder = TokenKeyHolder(
        key_id=key_id or f"sha256:{hashlib.sha256(spki).hexdigest()[:16]}",
        algorithm=_algorithm(where, key),
        certificate=own.public_bytes(serialization.Encoding.DER),
        agency=agency,
        _token=token,
        _object=wanted,
        _takes=found.takes,
    )
    return LoadedTokenKey(holder, warnings_about(where, own, now))


def _sign(token: Token, wanted: str, agency: str, takes: str, message: bytes) -> bytes:
    data = hashlib.sha256(message).digest() if takes == "digest" else message
    try:
        return token.sign(wanted, data)
    except wire.Trouble as trouble:
        raise _told(trouble, agency, token.label) from None


def _read(certificates: Sequence[bytes]) -> list[x509.Certificate]:
    found = []
    for der in certificates:
        try:
            found.append(x509.load_der_x509_certificate(der))
        except (ValueError, x509.InvalidVersion):
            continue
    return found


def _public(certificate: x509.Certificate) -> object:
    try:
        # parsed only when asked for: a broken name or date shows here, not while signing
        _ = certificate.subject, certificate.issuer
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _fits(key: object, signature: bytes, message: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            return True
        if isinstance(key, ec.EllipticCurvePublicKey):
            half = len(signature) // 2
            r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
            return True
    except InvalidSignature:
        return False
    return False


def _algorithm(where: str, key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _SMALLEST_RSA:
            raise _wrong(
                where,
                "key.weak",
                f"khóa RSA {key.key_size} bit, cần ít nhất {_SMALLEST_RSA}",
                f"RSA key of {key.key_size} bits, at least {_SMALLEST_RSA} are needed",
            )
        return RSA_SHA256
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return ECDSA_SHA256
    raise _wrong(
        where,
        "key.kind",
        "loại khóa không dùng được: cần RSA từ 2048 bit hoặc EC P-256",
        "this kind of key cannot be used: RSA from 2048 bits or EC P-256",
    )


def _told(trouble: wire.Trouble, agency: str, label: str) -> GatewayError:
    """The one table from the token's words to our families."""
    text = _TEXTS.get(trouble.word, _TEXTS[wire.LOST])
    where = f"[[key]] {agency}, token {label!r}"
    detail = f" ({trouble.detail})" if trouble.detail else ""
    family = Misconfigured if trouble.word in wire.FINAL else Unavailable
    return family(
        Text(f"{where}: {text.vi}{detail}", f"{where}: {text.en}{detail}"),
        code=f"key.token_{trouble.word}",
    )


def _misfit(agency: str, label: str) -> Misconfigured:
    return _wrong(
        f"[[key]] {agency}, token {label!r}",
        "key.mismatch",
        "chứng thư số không thuộc về khóa bí mật này",
        "no certificate belongs to this private key",
    )


def _wrong(where: str, code: str, vi: str, en: str) -> Misconfigured:
    return Misconfigured(Text(f"{where}: {vi}", f"{where}: {en}"), code=code)
