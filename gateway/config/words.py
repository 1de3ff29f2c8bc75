"""What is wrong with a value or a file, in our own words: never in those of a library alone.

In:     a type that a key should have had; what the machine or the TOML parser said of a file.
Out:    Text. What a parser says stands behind it as a detail, for whoever looks it up.
Fails:  never.
"""

from __future__ import annotations

import errno
import re
from typing import Any, Literal, NamedTuple, get_args, get_origin

from gateway.errors import Text

_SIMPLE = {
    str: Text("chuỗi trong dấu nháy", "a string in quotes"),
    bool: Text("true hoặc false", "true or false"),
    float: Text("số", "a number"),
}
_MACHINE = {
    errno.ENOENT: Text("không có tệp hoặc thư mục này", "there is no such file or folder"),
    errno.EACCES: Text("không có quyền", "permission denied"),
    errno.EISDIR: Text("đây là thư mục", "it is a folder"),
    errno.ENOTDIR: Text(
        "một phần đường dẫn không phải thư mục", "a part of the path is not a folder"
    ),
    errno.EEXIST: Text("đã có", "it exists"),
    errno.EROFS: Text("hệ thống tệp chỉ đọc", "the file system is read-only"),
    errno.ENAMETOOLONG: Text("tên quá dài", "the name is too long"),
    errno.ELOOP: Text("liên kết vòng", "links that lead to themselves"),
}
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BOM = Text(
    "tệp bắt đầu bằng BOM (Notepad ghi thêm); hãy lưu lại dạng UTF-8, không phải UTF-8 with BOM",
    "it begins with a BOM, which Notepad adds; save it as UTF-8, not as UTF-8 with BOM",
)
_UTF16 = Text(
    "tệp được lưu dạng UTF-16 (Notepad gọi là Unicode); hãy lưu lại dạng UTF-8",
    "it is saved in UTF-16, which Notepad calls Unicode; save it as UTF-8",
)


class Place(NamedTuple):
    """`line` from 1."""

    line: int
    text: Text


def needed(hint: Any) -> Text:
    """What a key of this type takes."""
    if get_origin(hint) is Literal:
        listed = ", ".join(f'"{one}"' for one in get_args(hint))
        return Text(f"một trong {listed}", f"one of {listed}")
    if get_origin(hint) is tuple:
        return Text('danh sách chuỗi như ["a", "b"]', 'a list of strings as ["a", "b"]')
    return _SIMPLE.get(hint, Text("giá trị đúng kiểu", "a value of the right type"))


def of_machine(error: OSError) -> Text:
    """What the machine said of a file; words that are not known here stay as they are."""
    said = error.strerror or str(error)
    return _MACHINE.get(error.errno or 0, Text(said, said))


def not_toml(data: bytes, error: ValueError) -> Place:
    """Where a file stops being TOML, and why. Bytes that are no UTF-8 count too."""
    if isinstance(error, UnicodeDecodeError):
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return Place(1, _UTF16)
        line = data[: error.start].count(b"\n") + 1
        return Place(
            line,
            Text(f"dòng {line} không phải chữ UTF-8", f"line {line} is not text in UTF-8"),
        )
    if data.startswith(b"\xef\xbb\xbf"):
        return Place(1, _BOM)
    said = str(error)
    found = _PLACE.search(said)
    why = said[: found.start()] if found else said
    if found is None or found[1] is None:
        line = len(data.splitlines()) or 1
        vi, en = "sai cú pháp TOML ở cuối tệp", "not TOML at its end"
    else:
        line = int(found[1])
        vi = f"sai cú pháp TOML ở dòng {line}, cột {found[2]}"
        en = f"not TOML at line {line}, column {found[2]}"
    return Place(line, Text(f"{vi} (bộ đọc TOML: {why})", f"{en} (the parser: {why})"))
