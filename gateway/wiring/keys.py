"""The signing keys of conf: each in a file, or on a token with a process of its own.

In:     frozen Settings, the time.
Out:    agency -> KeyHolder, the warnings about their certificates; the certificates of receivers.
Fails:  Misconfigured, naming file or token; Unavailable while a token is not there.
Never:  leaves a token's process behind.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.keys import files, pkcs11
from adapters.keys.certificates import certificates_in
from adapters.keys.token_link import Token
from gateway.config import AgencyKey, Settings
from gateway.enciphering import Encryption
from gateway.errors import Finding
from gateway.ports import Entropy, KeyHolder


def encryption(settings: Settings, entropy: Entropy) -> Encryption:
    """Whose certificate files are encrypted to. Raises Misconfigured, naming the file."""
    key_of = settings.directory.key_of
    return Encryption(
        certificates={
            key_of(one.agency): certificates_in(one.certificate)[0] for one in settings.receiver
        },
        max_bytes=settings.encryption.max_bytes,
        key_of=key_of,
        new_key=lambda: bytes.fromhex(entropy.salt() + entropy.salt()),
    )


class AgencyKeys:
    """Opened by `with`; leaving it ends the processes of tokens. Both block."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        self.holders: dict[str, KeyHolder] = {}
        self.warnings: tuple[Finding, ...] = ()
        self._settings = settings
        self._now = now
        self._tokens: dict[tuple[Path, str], Token] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            for one in self._settings.keys:
                loaded = self._on_token(one) if one.token else self._in_file(one)
                self.holders[self._settings.directory.key_of(one.agency)] = loaded.holder
                self.warnings += loaded.warnings
            self._stack = self._stack.pop_all()  # every key is there: keep the tokens open
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _in_file(self, one: AgencyKey) -> files.LoadedKey:
        return files.load(
            one.path or Path(),
            now=self._now,
            password_file=one.password_file,
            certificate=one.certificate,
        )

    def _on_token(self, one: AgencyKey) -> pkcs11.LoadedTokenKey:
        place = (one.module or Path(), one.token)
        token = self._tokens.get(place)
        if token is None:
            pin = partial(pkcs11.pin_of, one.pin_file or Path())
            token = self._tokens[place] = Token(*place, pin)
            self._stack.callback(token.close)
        return pkcs11.load(
            token, one.object, agency=one.agency, now=self._now, certificate=one.certificate
        )
