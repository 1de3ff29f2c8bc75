"""Certificates beside a key: read from a file, and judged for what an operator should know.

In:     a file; a certificate and the time.
Out:    certificates; warnings.
Fails:  Misconfigured, naming the file.
Never:  refuses an expired certificate: what is signed with it still verifies, and its renewal may
        be on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from adapters.keys.private import read_public, refused
from gateway.errors import Finding, Misconfigured, Severity, Text


def certificates_in(path: Path) -> Sequence[x509.Certificate]:
    """All of a PEM file, or the one of a DER file. Raises Misconfigured."""
    data = read_public(path)
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except (ValueError, x509.InvalidVersion):
        raise no_certificate(path) from None


def no_certificate(path: Path) -> Misconfigured:
    return refused(
        path, "key.certificate", "không có chứng thư số đọc được", "holds no readable certificate"
    )


def warnings_about(where: str, certificate: x509.Certificate, now: datetime) -> tuple[Finding, ...]:
    """Expired, not yet valid, not issued for signing: nothing of it stops the gateway."""
    found = []
    ends, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    if now > ends:
        found.append(
            _warning(
                where,
                "key.certificate_expired",
                f"chứng thư số hết hạn từ {ends:%d/%m/%Y}",
                f"the certificate expired on {ends:%Y-%m-%d}",
            )
        )
    if now < begins:
        found.append(
            _warning(
                where,
                "key.certificate_not_yet_valid",
                f"chứng thư số chưa có hiệu lực trước {begins:%d/%m/%Y}",
                f"the certificate is not valid before {begins:%Y-%m-%d}",
            )
        )
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return tuple(found)
    if not usage.digital_signature and not usage.content_commitment:
        found.append(
            _warning(
                where,
                "key.certificate_usage",
                "chứng thư số không được cấp để ký (keyUsage)",
                "the certificate was not issued for signing (keyUsage)",
            )
        )
    return tuple(found)


def _warning(where: str, code: str, vi: str, en: str) -> Finding:
    return Finding(
        path=where,
        code=code,
        severity=Severity.WARNING,
        text=Text(f"{where}: {vi}", f"{where}: {en}"),
        rule="Nghị định 23/2025/NĐ-CP, Điều 15",
    )
