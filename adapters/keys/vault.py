"""Secrets that must be used in the clear, kept sealed: HMAC, axis and webhook secrets.

In:     a master key (a file of mode 0600, or a systemd credential); plaintext and its label.
Out:    a token of text that may stand in a database or a backup; the plaintext again.
Fails:  Misconfigured: master key missing, readable by others, another one; token changed, cut,
        or moved to another label.
Never:  keeps or prints a plaintext; seals two secrets alike (a fresh random nonce each time).
Next:   wiring.py opens one vault for a process (architecture 4, "Keys").

AES-256-GCM. The label (what the secret is for, such as `axis/vxp/hmac`) is associated data: a
token copied from one row into another does not open there. Token: `v1.<key>.<nonce>.<sealed>`,
URL-safe base64 without padding; `<key>` names the master key without telling anything about it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.keys.private import CREDENTIALS, read_private, refused, write_private
from gateway.errors import Misconfigured, Text

CREDENTIAL_PREFIX = "credential:"

_FILE_PREFIX = b"edoc-gateway-master-key-v1 "
_DOMAIN = b"edoc-gateway secret v1\x00"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class SecretVault:
    """`source`: the path of a master key file, or `credential:NAME` for a systemd credential."""

    __slots__ = ("_cipher", "key_id")

    def __init__(self, source: str | Path, environ: Mapping[str, str] = os.environ) -> None:
        path = _where(source, environ)
        key = _master_key(path, read_private(path, environ))
        self.key_id = hashlib.sha256(_DOMAIN + key).hexdigest()[:8]
        self._cipher = AESGCM(key)

    @classmethod
    def create(cls, path: Path) -> SecretVault:
        """A new master key file, mode 0600; one that exists is never written over."""
        key = AESGCM.generate_key(_KEY_BYTES * 8)
        write_private(path, _FILE_PREFIX + _encode(key).encode() + b"\n")
        return cls(path)

    def __repr__(self) -> str:
        return f"SecretVault(key_id={self.key_id!r})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a vault does not leave its process")

    def seal(self, plaintext: bytes, label: str) -> str:
        """Text that only this master key opens again, and only under this label."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, plaintext, _DOMAIN + label.encode())
        return f"v1.{self.key_id}.{_encode(nonce)}.{_encode(sealed)}"

    def open(self, token: str, label: str) -> bytes:
        """The plaintext. Misconfigured `secret.*` names the label, never the token."""
        version, _, rest = token.partition(".")
        key_id, _, rest = rest.partition(".")
        nonce, _, sealed = rest.partition(".")
        if version != "v1" or not sealed:
            raise _sealed_badly(label)
        if key_id != self.key_id:
            raise Misconfigured(
                Text(
                    f"Bí mật {label!r} được mã hóa bằng khóa chính khác với khóa {self.key_id}",
                    f"the secret {label!r} was sealed under another master key than {self.key_id}",
                ),
                code="secret.other_key",
            )
        try:
            return self._cipher.decrypt(_decode(nonce), _decode(sealed), _DOMAIN + label.encode())
        except (InvalidTag, ValueError):
            raise _sealed_badly(label) from None


def _where(source: str | Path, environ: Mapping[str, str]) -> Path:
    text = str(source)
    if not text.startswith(CREDENTIAL_PREFIX):
        return Path(source)
    name = text.removeprefix(CREDENTIAL_PREFIX)
    folder = environ.get(CREDENTIALS, "")
    if not folder or not name or Path(name).name != name:
        raise Misconfigured(
            Text(
                f"Không có systemd credential {name!r} (biến {CREDENTIALS}; LoadCredential=)",
                f"there is no systemd credential {name!r} ({CREDENTIALS}; LoadCredential=)",
            ),
            code="secret.no_credential",
        )
    return Path(folder) / name


def _master_key(path: Path, data: bytes) -> bytes:
    text = data.strip()
    key = b""
    if text.startswith(_FILE_PREFIX):
        try:
            key = _decode(text.removeprefix(_FILE_PREFIX).decode("ascii", "replace"))
        except ValueError:
            key = b""
    if len(key) != _KEY_BYTES:
        raise refused(
            path,
            "secret.master_key",
            "không phải là tệp khóa chính của cổng",
            "is not a master key file of this gateway",
        )
    return key


def _sealed_badly(label: str) -> Misconfigured:
    return Misconfigured(
        Text(
            f"Bí mật {label!r} không mở được: đã bị sửa, bị cắt, hoặc thuộc về nhãn khác",
            f"the secret {label!r} does not open: changed, cut, or of another label",
        ),
        code="secret.damaged",
    )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """ValueError for anything but the one spelling of some bytes: loose bits count as a change."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(data) != text:
        raise ValueError
    return data
