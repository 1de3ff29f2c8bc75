"""What the attachments of the sample packages are, told without a line of the gateway.

Only base64, zipfile, hashlib, io, json, pathlib and re. Prints one JSON object:
{file name: [{"name", "size", "sha256", "unwrapped", "carried_size", "carried_sha256"}]}.
Rule of edxml-format 4: a zip with exactly one file is looked into, once.
"""

import base64
import hashlib
import io
import json
import pathlib
import re
import zipfile

ATTACHMENT = re.compile(rb"<(?:\w+:)?Attachment>(.*?)</(?:\w+:)?Attachment>", re.DOTALL)
NAME = re.compile(rb"<(?:\w+:)?AttachmentName>(.*?)</(?:\w+:)?AttachmentName>", re.DOTALL)
CONTENT = re.compile(
    rb"<(?:\w+:)?ContentTransferEncoded[^>]*>(.*?)</(?:\w+:)?ContentTransferEncoded>", re.DOTALL
)
ZIP_BASED = {"zip", "docx", "xlsx", "pptx", "odt", "ods", "odp", "jar", "apk", "kmz"}


def attachments(package: bytes) -> list[dict[str, object]]:
    encoded = re.sub(rb".*<AttachmentEncoded", b"", package, count=1, flags=re.DOTALL)
    return [attachment(found) for found in ATTACHMENT.findall(encoded)]


def attachment(element: bytes) -> dict[str, object]:
    name = NAME.findall(element)[0].decode().strip()
    carried = base64.b64decode(CONTENT.findall(element)[0].strip(), validate=True)
    inner = unwrapped(name, carried)
    content = carried if inner is None else inner
    return {
        "name": name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "unwrapped": inner is not None,
        "carried_size": len(carried),
        "carried_sha256": hashlib.sha256(carried).hexdigest(),
    }


def unwrapped(name: str, carried: bytes) -> bytes | None:
    if not carried.startswith(b"PK\x03\x04"):
        return None
    extension = name.rpartition(".")[2].lower()
    with zipfile.ZipFile(io.BytesIO(carried)) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(files) != 1:
            return None
        content = archive.read(files[0])
        same = files[0].filename.rpartition(".")[2].lower() == extension
    if extension in ZIP_BASED and not (same and content.startswith(b"PK\x03\x04")):
        return None
    return content


def all_samples(folder: pathlib.Path) -> dict[str, list[dict[str, object]]]:
    return {path.name: attachments(path.read_bytes()) for path in sorted(folder.glob("*.edxml"))}


if __name__ == "__main__":
    print(json.dumps(all_samples(pathlib.Path(__file__).parent), ensure_ascii=False, indent=1))
