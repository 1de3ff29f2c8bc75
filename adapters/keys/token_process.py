"""The process in which the keys of one token are used: one token, one session, one thread.

In:     frames on standard input (token_wire.py); the PIN is in the first of them.
Out:    frames on standard output.
Fails:  never by an exception of the token's library: each becomes a word of trouble. A library
        that crashes takes this process with it, and not the gateway; that is what it is for.
Never:  prints, logs or writes a file; tries a PIN twice; outlives the gateway (the pipe ends; a
        call that hangs in the library is ended by SIGALRM); leaves a core file, where the PIN
        would be.
Next:   token_link.py, which starts it as `python -m adapters.keys.token_process`.

One session in one thread, because several sessions in several threads crash: with SoftHSM2 2.6 and
python-pkcs11 0.10 two threads ended in a segmentation fault in most runs.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from base64 import b64decode, b64encode
from math import ceil
from typing import Any, BinaryIO

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from adapters.keys import token_wire as wire

GRACE = 5  # seconds that a call may last beyond what the gateway waits for
# DigestInfo of SHA-256 in front of the digest (RFC 8017, 9.2, note 1)
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")

_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (
            pkcs11.PinIncorrect,
            pkcs11.PinInvalid,
            pkcs11.PinLenRange,
            pkcs11.PinExpired,
            pkcs11.UserPinNotInitialized,
        ),
        wire.PIN,
    ),
    ((pkcs11.PinLocked,), wire.LOCKED),
    (
        (
            pkcs11.NoSuchToken,
            pkcs11.TokenNotPresent,
            pkcs11.TokenNotRecognised,
            pkcs11.DeviceRemoved,
            pkcs11.SlotIDInvalid,
        ),
        wire.ABSENT,
    ),
    ((pkcs11.NoSuchKey,), wire.OBJECT),
    ((pkcs11.MultipleObjectsReturned, pkcs11.MultipleTokensReturned), wire.AMBIGUOUS),
    (
        (
            pkcs11.MechanismInvalid,
            pkcs11.MechanismParamInvalid,
            pkcs11.KeyTypeInconsistent,
            pkcs11.KeySizeRange,
        ),
        wire.MECHANISM,
    ),
)


class _Key:
    """One private key, and how this token signs with it."""

    def __init__(self, key: Any, offered: set[Mechanism], pin: str) -> None:
        self._key = key
        self.kind = "rsa" if key.key_type == KeyType.RSA else "ec"
        if key.key_type not in {KeyType.RSA, KeyType.EC}:
            raise pkcs11.KeyTypeInconsistent
        raw, hashing = (
            (Mechanism.RSA_PKCS, Mechanism.SHA256_RSA_PKCS)
            if self.kind == "rsa"
            else (Mechanism.ECDSA, Mechanism.ECDSA_SHA256)
        )
        # the digest is made in the gateway: a SignedInfo can be megabytes, a token is slow
        self.takes = "digest" if raw in offered else "message"
        self._mechanism = raw if raw in offered else hashing
        if self._mechanism not in offered:
            raise pkcs11.MechanismInvalid
        # some keys want the PIN for each signature (CKA_ALWAYS_AUTHENTICATE)
        self._options = {"pin": pin} if _always_authenticates(key) else {}

    def sign(self, data: bytes) -> bytes:
        if self._mechanism == Mechanism.RSA_PKCS:
            data = _DIGEST_INFO + data
        signature: bytes = self._key.sign(data, mechanism=self._mechanism, **self._options)
        return signature


class _Token:
    def __init__(self) -> None:
        self._session: Any = None
        self._offered: set[Mechanism] = set()
        self._pin = ""
        self._keys: dict[str, _Key] = {}

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            match asked["do"]:
                case "open":
                    return self._open(asked["module"], asked["token"], asked["pin"])
                case "find":
                    return self._find(asked["object"])
                case _:
                    signature = self._keys[asked["object"]].sign(b64decode(asked["data"]))
                    return {"signature": b64encode(signature).decode()}
        except pkcs11.PKCS11Error as error:
            # the library's exceptions carry no data, their names say it all
            for classes, word in _WORDS:
                if isinstance(error, classes):
                    return {"trouble": word, "detail": type(error).__name__}
            return {"trouble": wire.LOST, "detail": type(error).__name__}

    def _open(self, module: str, label: str, pin: str) -> dict[str, Any]:
        try:
            library = pkcs11.lib(module)
        except pkcs11.PKCS11Error as error:
            if type(error) is not pkcs11.PKCS11Error:
                raise  # it was loaded and could not begin: its service may not be up yet
            return {"trouble": wire.MODULE, "detail": str(error)}
        tokens = list(library.get_tokens())
        named = [token for token in tokens if token.label == label]
        if not named:
            others = ", ".join(sorted(repr(t.label) for t in tokens if t.label))
            return {"trouble": wire.ABSENT, "detail": f"there: {others or 'none'}"}
        if len(named) > 1:
            return {"trouble": wire.AMBIGUOUS, "detail": "tokens with this label"}
        token = named[0]
        if token.flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
            return {"trouble": wire.LOCKED, "detail": "USER_PIN_LOCKED"}
        self._offered = set(token.slot.get_mechanisms())
        self._session = token.open(user_pin=pin)
        self._pin = pin
        return {}

    def _find(self, wanted: str) -> dict[str, Any]:
        private = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
        found = self._objects({**private, Attribute.LABEL: wanted})
        if not found and (ident := _hex(wanted)):
            found = self._objects({**private, Attribute.ID: ident})
        if len(found) != 1:
            what = wire.AMBIGUOUS if found else wire.OBJECT
            return {"trouble": what, "detail": f"{len(found)} private keys"}
        (key,) = found
        self._keys[wanted] = made = _Key(key, self._offered, self._pin)
        return {
            "kind": made.kind,
            "takes": made.takes,
            "certificates": [b64encode(der).decode() for der in self._certificates(key)],
        }

    def _certificates(self, key: Any) -> list[bytes]:
        """Those with the key's id or label; whether one fits the key is judged in the gateway."""
        ident, label = key.id, key.label
        return [
            bytes(one[Attribute.VALUE])
            for one in self._objects({Attribute.CLASS: ObjectClass.CERTIFICATE})
            if (ident and _attribute(one, Attribute.ID) == ident)
            or (label and _attribute(one, Attribute.LABEL) == label)
        ]

    def _objects(self, template: dict[Attribute, Any]) -> list[Any]:
        return list(self._session.get_objects(template))


def _attribute(found: Any, name: Attribute) -> Any:
    try:
        return found[name]
    except pkcs11.AttributeTypeInvalid:
        return None


def _always_authenticates(key: Any) -> bool:
    return bool(_attribute(key, Attribute.ALWAYS_AUTHENTICATE))


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return b""


def _asked(source: BinaryIO) -> dict[str, Any] | None:
    """The next request; None when the gateway is gone."""
    head = source.read(4)
    if len(head) < 4:
        return None
    body = source.read(int.from_bytes(head))
    found = json.loads(body) if body else None
    return found if isinstance(found, dict) else None


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Ctrl-C in a terminal reaches the whole group: the gateway decides when we end, by the pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    source, target = os.fdopen(os.dup(0), "rb"), os.dup(1)
    silent = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # a library that prints must not print into the frames
        os.dup2(silent, standard)
    token = _Token()
    while (asked := _asked(source)) is not None:
        seconds = ceil(asked["seconds"]) + GRACE
        signal.alarm(seconds)
        wire.send(target, token.answer(asked), seconds)
        signal.alarm(0)
    signal.alarm(GRACE)  # what the library does at the end of a process may hang too


if __name__ == "__main__":
    main()
