"""What commands need from adapters when no gateway is built: a key for `pack`, a simulated axis.

In:     paths and ports from the command line.
Out:    a KeyHolder that is a KeyOpener too; a certificate; a running simulator.
Fails:  Misconfigured, naming the file.
Never:  opens a database.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509

from adapters.edoc_soap import simulator as soap_simulator
from adapters.keys import files as key_files
from adapters.keys.certificates import certificates_in
from adapters.lgsp_rest import simulator as rest_simulator
from adapters.vxp import simulator


def key_holder(
    key: str, *, certificate: str | None, password_file: str | None, now: datetime
) -> key_files.PemKeyHolder | key_files.Pkcs12KeyHolder:
    """The key in a PEM or PKCS#12 file of mode 0600, for signing and opening.

    `certificate`: where the file holds none.
    """
    loaded = key_files.load(
        Path(key),
        now=now,
        certificate=Path(certificate) if certificate else None,
        password_file=Path(password_file) if password_file else None,
    )
    return loaded.holder


def certificate(path: str) -> x509.Certificate:
    """The first certificate of a PEM file, or the one of a DER file."""
    return certificates_in(Path(path))[0]


def simulate_vxp(port: int, faults: str | None) -> None:
    """Serve until interrupted; accounts and address are printed."""
    simulator.run(port, Path(faults) if faults else None)


def simulate_edoc_soap(port: int, faults: str | None) -> None:
    """The same for a provincial axis over SOAP."""
    soap_simulator.run(port, Path(faults) if faults else None)


def simulate_rest(port: int, faults: str | None) -> None:
    """As `simulate_vxp`, a provincial REST axis."""
    rest_simulator.run(port, Path(faults) if faults else None)
