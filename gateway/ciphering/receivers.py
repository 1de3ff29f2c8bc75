"""Whether a file may be encrypted to this certificate.

In:     an agency's code, its certificate or None, the time.
Out:    findings: errors refuse the submission, a warning does not.
Fails:  never.
Never:  judges who issued it: whoever writes it into conf has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.errors import Finding, Severity, Text

SMALLEST_RSA = 2048  # circular 15/2025/TT-BTTTT (standards 5.4)
RULE = "Thông tư 15/2025/TT-BTTTT"


@dataclass(frozen=True, slots=True)
class Receiver:
    """An agency, its code as the submission writes it ("": not told), and its certificate."""

    code: str
    certificate: x509.Certificate


def judge(
    code: str, certificate: x509.Certificate | None, at: datetime, path: str
) -> tuple[Finding, ...]:
    """What stands in the way of encrypting for `code`; `path`: the receiver in the submission."""
    if certificate is None:
        return (
            _finding(
                path,
                "encryption.no_certificate",
                f"tuyến tới {code[:60]} phải mã hóa, nhưng cấu hình chưa có chứng thư số của nơi "
                "nhận ([[receiver]])",
                f"the route to {code[:60]} encrypts, but conf holds no certificate of this "
                "receiver ([[receiver]])",
            ),
        )
    found: list[Finding] = []
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        found.append(
            _finding(
                path,
                "encryption.certificate_kind",
                f"chứng thư số của {code[:60]} không phải RSA, không dùng được với RSA-OAEP",
                f"the certificate of {code[:60]} is not RSA: RSA-OAEP needs one",
            )
        )
    elif key.key_size < SMALLEST_RSA:
        found.append(
            _finding(
                path,
                "encryption.certificate_weak",
                f"khóa RSA {key.key_size} bit của {code[:60]} quá yếu, cần ít nhất {SMALLEST_RSA}",
                f"the RSA key of {code[:60]} has {key.key_size} bits, at least {SMALLEST_RSA} are "
                "needed",
            )
        )
    ends, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    if at > ends:
        found.append(
            _finding(
                path,
                "encryption.certificate_expired",
                f"chứng thư số của {code[:60]} đã hết hạn từ {ends:%d/%m/%Y}",
                f"the certificate of {code[:60]} expired on {ends:%Y-%m-%d}",
            )
        )
    if at < begins:
        found.append(
            _finding(
                path,
                "encryption.certificate_not_yet_valid",
                f"chứng thư số của {code[:60]} chưa có hiệu lực trước {begins:%d/%m/%Y}",
                f"the certificate of {code[:60]} is not valid before {begins:%Y-%m-%d}",
            )
        )
    if not _for_keys(certificate):
        found.append(
            _finding(
                path,
                "encryption.certificate_usage",
                f"chứng thư số của {code[:60]} không được cấp để mã hóa khóa (keyUsage)",
                f"the certificate of {code[:60]} was not issued for encrypting keys (keyUsage)",
                Severity.WARNING,
            )
        )
    return tuple(found)


def _for_keys(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    return usage.key_encipherment


def _finding(
    path: str, code: str, vi: str, en: str, severity: Severity = Severity.ERROR
) -> Finding:
    return Finding(path, code, severity, Text(vi[0].upper() + vi[1:], en), RULE)
