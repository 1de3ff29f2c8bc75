"""Software tokens for tests: SoftHSM2 in a folder of the test, with keys of the test's own PKI.

Everything that touches PKCS#11 runs in processes of its own (softhsm2-util, or this module), never
in the test's: the library allows no two users in one process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adapters.keys.pkcs11 import pin_of
from adapters.keys.token_link import Token
from tests.support import pki

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
ROOT = Path(__file__).parents[2]
PIN = "mã-pin-8317"
SO_PIN = "so-pin-8317"
LABEL = "Token thử"


def require_softhsm() -> None:
    """Skips, loudly, where SoftHSM2 is not installed; a change is not tested without it."""
    if MODULE.exists() and shutil.which("softhsm2-util"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("softhsm2 is missing: .ci/packages lists it")
    pytest.skip("softhsm2 is not installed: nothing of PKCS#11 was tested")


@dataclass
class SoftToken:
    """A token in `folder`; whoever uses it needs SOFTHSM2_CONF = `conf` in the environment."""

    folder: Path
    label: str = LABEL
    mechanisms: str = "ALL"
    made: list[Token] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_softhsm()
        self.store.mkdir(parents=True)
        self.conf.write_text(
            f"directories.tokendir = {self.store}\n"
            "objectstore.backend = file\nlog.level = ERROR\n"
            f"slots.mechanisms = {self.mechanisms}\n"
        )
        self.pin_file.touch(0o600)
        self.pin_file.write_text(f"{PIN}\n", "utf-8")
        self._util("--init-token", "--free", "--label", self.label, "--so-pin", SO_PIN)

    @property
    def store(self) -> Path:
        return self.folder / "tokens"

    @property
    def conf(self) -> Path:
        return self.folder / "softhsm2.conf"

    @property
    def pin_file(self) -> Path:
        return self.folder / "pin"

    def put(self, leaf: pki.Leaf, label: str, ident: str, *, certificate: bool = True) -> None:
        """A private key, and its certificate beside it."""
        key = self.folder / f"{ident}.pem"
        key.touch(0o600)
        key.write_bytes(leaf.key_pem())
        self._util("--import", str(key), "--token", self.label, "--label", label, "--id", ident)
        key.unlink()
        if certificate:
            self._run(sys.executable, "-m", __name__, self.label, label, ident, leaf.der.hex())

    def token(self, **options: object) -> Token:
        """A link to it; `close` ends all that were made."""
        values = {"label": self.label, "pin": lambda: pin_of(self.pin_file), **options}
        label, pin = values.pop("label"), values.pop("pin")
        made = Token(MODULE, label, pin, **values)  # type: ignore[arg-type]
        self.made.append(made)
        return made

    def close(self) -> None:
        for one in self.made:
            one.close()

    def _util(self, *arguments: str) -> None:
        self._run("softhsm2-util", *arguments, "--pin", PIN)

    def _run(self, *command: str) -> None:
        environment = {**os.environ, "SOFTHSM2_CONF": str(self.conf)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr or done.stdout


def gone(pid: int) -> bool:
    """Neither running nor a zombie."""
    return not Path(f"/proc/{pid}").exists()


def _put_certificate(label: str, name: str, ident: str, der: str) -> None:
    import pkcs11
    from pkcs11.util.x509 import decode_x509_certificate

    token = pkcs11.lib(str(MODULE)).get_token(token_label=label)
    with token.open(rw=True, user_pin=PIN) as session:
        session.create_object(
            {
                **decode_x509_certificate(bytes.fromhex(der)),
                pkcs11.Attribute.TOKEN: True,
                pkcs11.Attribute.LABEL: name,
                pkcs11.Attribute.ID: bytes.fromhex(ident),
            }
        )


if __name__ == "__main__":
    _put_certificate(*sys.argv[1:])
