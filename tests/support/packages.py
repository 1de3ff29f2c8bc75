"""Builders of headers, files and packages for tests and benchmarks; one good default each."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from gateway.model.package import (
    Business,
    DocumentCode,
    DocumentHeader,
    DocumentType,
    Organ,
    OtherInfo,
    Promulgation,
    ReadyPackage,
    ResponseFor,
    Signer,
    Staff,
    StatusReport,
    TraceHeader,
)
from gateway.model.submission import Attachment
from gateway.packing.read import ReadPackage, read_package
from gateway.packing.write import plan_files, write_document

Q = "http://www.mic.gov.vn/TBT/QCVN_102_2016"


def a_header(**changes: object) -> DocumentHeader:
    header = DocumentHeader(
        sender=Organ("000.00.19.H14", "Sở Thông tin và Truyền thông tỉnh Cao Bằng"),
        to=(Organ("000.00.00.G22", "Văn phòng Chính phủ"),),
        document_id="000.00.19.H14,2026/11/20,12/STTTT-VX",
        code=DocumentCode("12", "STTTT-VX"),
        promulgation=Promulgation("Cao Bằng", "2026-11-20"),
        document_type=DocumentType(2, 18, "Công văn"),
        subject="V/v kết nối, liên thông phần mềm quản lý văn bản",
        content="Nội dung mẫu",
        signer=Signer("KT. GIÁM ĐỐC", "Phó Giám đốc", "Người ký mẫu"),
        due_date="2026-12-01",
        other=OtherInfo(priority=0, typer_notation="CV", copies=1, pages=2),
        steering_type=1,
        to_places=("Như trên", "Lưu: VT"),
        business=Business(paper=0, staff=(Staff(department="Văn thư", name="Mẫu"),)),
        traces=(TraceHeader("000.00.19.H14", "2026/11/20 10:00:00"),),
    )
    return replace(header, **changes)  # type: ignore[arg-type]  # callers name real fields


def a_status(**changes: object) -> StatusReport:
    report = StatusReport(
        sender=Organ("000.00.00.G22", "Văn phòng Chính phủ"),
        response_for=ResponseFor(
            "000.00.19.H14",
            "12/STTTT-VX",
            "000.00.19.H14,2026/11/20,12/STTTT-VX",
            "2026-11-20",
        ),
        code="01",
        timestamp="2026/11/20 11:08:36",
        description="Đã đến",
        staff=Staff(department="Văn thư", name="Mẫu", mobile="0900000000"),
    )
    return replace(report, **changes)  # type: ignore[arg-type]  # callers name real fields


def an_attachment(name: str, data: bytes, description: str = "") -> Attachment:
    digest = hashlib.sha256(data).hexdigest()
    return Attachment(name, len(data), digest, lambda: io.BytesIO(data), description)


def a_pdf(size: int, seed: int = 1) -> bytes:
    """PDF-like bytes that do not compress."""
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + random.Random(seed).randbytes(size)


def packed(
    header: DocumentHeader,
    files: Sequence[tuple[str, bytes]],
    signature: bytes = b"",
    seed: str = "seed",
) -> bytes:
    out = io.BytesIO()
    plan = plan_files([an_attachment(name, data) for name, data in files], seed)
    write_document(out, header, plan, signature=signature)
    return out.getvalue()


def read(data: bytes) -> ReadPackage:
    return read_package(io.BytesIO(data))


def codes(package: ReadPackage) -> list[str]:
    return [finding.code for finding in package.findings]


class Folder:
    """A FileSink into a folder, one file an index."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, index: int, name: str) -> BinaryIO:
        del name
        return (self._folder / str(index)).open("wb")

    def content(self, index: int) -> bytes:
        return (self._folder / str(index)).read_bytes()


class Memory:
    """A FileSink into memory; counts how often each index was opened."""

    def __init__(self) -> None:
        self.files: dict[int, Kept] = {}
        self.opened: list[int] = []

    def open(self, index: int, name: str) -> Kept:
        del name
        self.opened.append(index)
        self.files[index] = Kept()
        return self.files[index]

    def content(self, index: int) -> bytes:
        """What was written last for this index; b"" when nothing ever was."""
        return self.files[index].kept if index in self.files else b""


class Kept(io.BytesIO):
    kept = b""

    def close(self) -> None:
        self.kept = self.getvalue()
        super().close()


def pack_file(path: Path, target: Path, block: int = 256 * 1024) -> ReadyPackage:
    """What a large submission costs: the digest of the upload, then the package, without fsync."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb", buffering=0) as source:
        while piece := source.read(block):
            digest.update(piece)
            size += len(piece)
    upload = Attachment(path.name, size, digest.hexdigest(), lambda: path.open("rb", buffering=0))
    with target.open("wb") as out:
        return write_document(out, a_header(), plan_files([upload], "bench"))


def unpack_file(path: Path, folder: Path) -> ReadPackage:
    """What a large arrival costs: raw digest, parsing, inner digests, files written."""
    with path.open("rb", buffering=0) as source:
        return read_package(source, sink=Folder(folder))
