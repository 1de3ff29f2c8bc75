"""`pack --encrypt-to` and `unpack --key`: attachments encrypted and decrypted without a gateway.

In:     files and certificates; staged attachments and a key.
Out:    files in place of files; names and findings.
Fails:  Rejected with every finding: certificates that will not do, files over the limit.
Never:  leaves a plain file behind that it did not write for the caller.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.ciphering import form, receivers
from gateway.errors import Finding, Rejected, Text, errors_in
from gateway.model.package import FileFact

if TYPE_CHECKING:
    from gateway.cli.files import StagedFolder
    from gateway.model.submission import Submission
    from gateway.ports import KeyOpener

MAX_BYTES = 16 * 1024 * 1024  # the default of `[encryption] max_bytes`


def encrypt_all(
    submission: Submission, certificates: Sequence[str], at: datetime
) -> tuple[Submission, tuple[Finding, ...]]:
    """The submission with every file encrypted to all `certificates` (paths); warnings."""
    from gateway.ciphering.encrypt import KEY_BYTES
    from gateway.enciphering import carried, encrypted, size_findings
    from gateway.wiring.offline import certificate

    to = submission.header.to
    # who is meant is known only where there is one of both
    code = to[0].organ_id if len(to) == len(certificates) == 1 else ""
    them = [receivers.Receiver(code, certificate(path)) for path in certificates]
    found = [
        finding
        for path, one in zip(certificates, them, strict=True)
        for finding in receivers.judge(code or path, one.certificate, at, path)
    ]
    found += size_findings(submission.files, MAX_BYTES)
    if errors_in(found):
        raise Rejected(
            Text("Không mã hóa được", "it cannot be encrypted"),
            code=errors_in(found)[0].code,
            findings=tuple(found),
        )
    files = []
    for file in submission.files:
        data = encrypted(file, them, secrets.token_bytes(KEY_BYTES))
        files.append(carried(file, data, partial(io.BytesIO, data)))
    return replace(submission, files=tuple(files)), tuple(found)


def decrypt_staged(
    stage: StagedFolder, files: Sequence[FileFact], opener: KeyOpener
) -> tuple[list[str], list[Finding]]:
    """Names for all files, those of decrypted ones as they were; why others stay encrypted."""
    from cryptography import x509

    from gateway.ciphering.decrypt import Opened, decrypt

    certificate = x509.load_der_x509_certificate(opener.certificate)
    names, findings = [], []
    for index, fact in enumerate(files):
        names.append(fact.name)
        if fact.encrypted != "xmlenc":
            continue
        path: Path = stage.path(index)
        found = decrypt(path.read_bytes(), certificate, opener.unwrap, max_bytes=MAX_BYTES)
        if isinstance(found, Opened):
            path.write_bytes(found.data)
            names[-1] = found.name or fact.name.removesuffix(form.EXTENSION)
        else:
            findings.append(replace(found, path=f"attachments[{index}]"))
    return names, findings
