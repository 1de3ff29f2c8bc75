"""What `pack` and `unpack` say when they are done: what was made, where it lies, what was renamed.

In:     what was written; the facts of the files; findings.
Out:    lines of text. Paths are never folded: people copy them.
Fails:  never.
Never:  passes over a file that could not be written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.cli.answers import finding_line, told
from gateway.cli.page.amounts import measured
from gateway.cli.page.files import reasons
from gateway.cli.page.lines import one_line
from gateway.errors import Finding, Text
from gateway.model.package import FileFact

_HOLDS: Mapping[str, Text] = {
    "metadata.json": Text(
        "thông tin văn bản; lệnh pack đọc lại được", "the document's data, which pack takes again"
    ),
    "status.json": Text("nội dung gói tin trạng thái", "what the status package says"),
}


def packed_lines(
    output: str, made: Mapping[str, Any], files: int, signed: bool, findings: Sequence[Finding],
    lang: str,
) -> Iterator[str]:  # fmt: skip
    """`made`: document_id, size, sha256. Findings, path first, are warnings and notes here."""
    yield f"{'Đã đóng gói' if lang == 'vi' else 'Packed'}: {one_line(output)}"
    signature = Text("đã ký", "signed") if signed else Text("không ký", "not signed")
    for label, value in (
        (Text("Mã định danh", "Document id"), one_line(str(made["document_id"]))),
        (Text("Tệp đính kèm", "Attachments"), str(files)),
        (Text("Chữ ký số", "Signature"), told(signature, lang)),
        (Text("Dung lượng", "Size"), measured(made["size"], lang)),
        (Text("SHA-256", "SHA-256"), made["sha256"]),
    ):
        yield f"  {told(label, lang):12} {value}"
    for finding in findings:
        yield f"  {finding_line(finding, lang)}"


def unpacked_lines(
    target: Path,
    about: str,
    written: Sequence[tuple[int, str]],
    files: Sequence[FileFact],
    findings: Sequence[Finding],
    lang: str,
) -> Iterator[str]:
    """`written`: place in the package, from 0, and the name given to the file in `target`."""
    vi = lang == "vi"
    number = len(written) + 1
    unit = "tệp" if vi else "file" if number == 1 else "files"
    yield f"{'Đã ghi' if vi else 'Written'}: {number} {unit}"
    yield f"  {target / about}  ({told(_HOLDS[about], lang)})"
    for index, name in written:
        declared = files[index].declared_name
        given = one_line(declared) or ("không có" if vi else "none")
        renamed = f"  ({'tên trong gói tin' if vi else 'in the package'}: {given})"
        yield f"  {target / name}{renamed if name != declared else ''}"
    failed = [i for i, fact in enumerate(files) if fact.failed]
    if failed:
        unit = "tệp" if vi else "file" if len(failed) == 1 else "files"
        yield f"{'KHÔNG đọc được' if vi else 'CANNOT be read'}: {len(failed)} {unit}"
    whys = reasons(findings)
    for index in failed:
        why = whys.get(index + 1)
        said = f": {one_line(told(why, lang))}" if why else ""
        yield f"  {index + 1}. {one_line(files[index].name)}{said}"


def renamed(written: Sequence[tuple[int, str]], files: Sequence[FileFact]) -> list[dict[str, str]]:
    """For `--json`: each file whose name in the folder is not the one in the package."""
    return [
        {"file": name, "declared_name": files[index].declared_name}
        for index, name in written
        if name != files[index].declared_name
    ]
