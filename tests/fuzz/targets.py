"""What is fuzzed, and what must hold whatever the bytes are.

A result, or one of the refusals that callers are promised (`Rejected`, `Untrusted`); anything else
that is raised is a crash. `python -m tests.fuzz` runs these under libFuzzer; a plain test runs
them over the seeds and over everything that was ever found.
"""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable

from gateway.errors import Rejected, Untrusted
from gateway.model.package import SignatureBlock, SignatureReference
from gateway.packing import attachments
from gateway.packing.read import extract_file, read_header, read_package
from gateway.packing.result import ReadPackage
from gateway.safexml import Limits
from gateway.signing import verify
from gateway.signing.policy import SHA256
from tests.fuzz import seeds
from tests.support.packages import Memory

# small, so that the limits themselves are within reach of a fuzzer
LIMITS = Limits(
    attachment_bytes=8_000_000, ratio_floor_bytes=1_000_000, attachments=50, signature_bytes=50_000
)
_NAMES = ("a.txt", "a.docx", "a.zip", "a.xls", "", "a.pdf", None)
_STEPS = (1, 3, 64, 4096, 1_000_000)
_SIGNED = seeds.signed_package()
_BEFORE, _, _AFTER = _SIGNED.partition(next(seeds.signatures()))


def package(data: bytes) -> None:
    """A whole package: read, its header alone, its files one by one, its signature judged."""
    sink = Memory()
    try:
        got = read_package(io.BytesIO(data), limits=LIMITS, sink=sink)
    except (Rejected, Untrusted) as error:
        if not (error.code and error.findings):
            raise AssertionError(f"a refusal without a finding: {error!r}") from error
        _header_alone(data)
        return
    for index, fact in enumerate(got.files):
        if fact.failed:
            continue
        if len(sink.content(index)) != fact.size:
            raise AssertionError(f"file {index}: {len(sink.content(index))} is not {fact.size}")
        out = io.BytesIO()
        extract_file(io.BytesIO(data), index, out, unwrap=fact.unwrapped, limits=LIMITS)
        if out.getvalue() != sink.content(index):
            raise AssertionError(f"file {index} is another when it is extracted alone")
    alone = _header_alone(data)
    if len(got.findings) == 0 and (alone is None or alone.header != got.header):
        raise AssertionError("a package without findings has another header when read alone")
    verify.verify(got.signature, got.header, got.files)


def _header_alone(data: bytes) -> ReadPackage | None:
    try:
        return read_header(io.BytesIO(data), LIMITS)
    except (Rejected, Untrusted):
        return None


def signature(data: bytes) -> None:
    """These bytes where the `Signature` of a good package stood."""
    package(_BEFORE + data + _AFTER)


def certificate(data: bytes) -> None:
    """These bytes as the DER of the certificate in a block."""
    block = SignatureBlock(
        in_dsig_namespace=True,
        canonicalization="http://www.w3.org/2001/10/xml-exc-c14n#",
        signature_method="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        references=(SignatureReference("cid:edxml-header", SHA256, "AAAA"),),
        signature_value=base64.b64encode(bytes(64)).decode(),
        certificates=(base64.b64encode(data).decode(),),
        subject_name="",
        signed_info_exclusive=b"<SignedInfo/>",
        signed_info_inclusive=b"<SignedInfo/>",
    )
    verdict = verify.verify(block, None, ())
    if verdict.value.value == "valid":
        raise AssertionError("a signature of nothing but zeros holds")


def attachment(data: bytes) -> None:
    """One attachment: the first byte chooses name, pieces and form of the rest."""
    if not data:
        return
    choice, body = data[0], data[1:]
    name, step = _NAMES[(choice >> 1) % len(_NAMES)], _STEPS[choice % len(_STEPS)]
    text = body if choice & 1 else base64.b64encode(body)
    sink = Memory()
    content = attachments.Content(LIMITS, name, lambda: sink.open(0, ""))
    try:
        for at in range(0, len(text), step):
            if not content.take(text[at : at + step]):
                content.spoil()
        content.finish(name or "a.txt")
        content.kind().media_type()
        inner, size = content.inner.hexdigest(), content.inner.size
        delivered = content.delivered()
    finally:
        content.close()
    if content.failure is None and delivered:
        expected = size if content.unwrapped else content.carried.size
        if len(sink.content(0)) != expected:
            raise AssertionError(f"{len(sink.content(0))} bytes delivered, {expected} counted")
    if content.unwrapped and not choice & 1:
        _as_others_unpack(body, inner, size)


def _as_others_unpack(carried: bytes, sha256: str, size: int) -> None:
    """What we take for the file in a zip must be what other software takes for it."""
    with zipfile.ZipFile(io.BytesIO(carried)) as archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        if len(files) != 1 or files[0].file_size != size:
            raise AssertionError(f"other software sees {files}")
        read = archive.read(files[0])
    tally = attachments.Tally()
    tally.update(read)
    if tally.hexdigest() != sha256:
        raise AssertionError("other software unpacks other bytes")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "package": package,
    "signature": signature,
    "certificate": certificate,
    "attachment": attachment,
}
