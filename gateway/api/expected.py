"""What a JSON member may hold, said in our own sentences: never in those of a library.

In:     a value and the type that it should have, as `msgspec.inspect` describes it.
Out:    (path, Text) for each member that is wrong, the allowed values named.
Fails:  never.
Never:  repeats the value: it may be somebody's data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from gateway.errors import Finding, Severity, Text


def wrong_members(
    value: dict[str, Any], shape: type[msgspec.Struct], path: str = ""
) -> Iterator[Finding]:
    """Every member that is unknown, missing or wrong, members of members too."""
    fields = {f.encode_name: f for f in msgspec.structs.fields(shape)}
    for name in value:
        if name not in fields:
            shown = name[:100].encode("utf-8", "replace").decode()
            text = Text(
                f"Không có trường này; các trường được nhận: {', '.join(fields)}",
                f"there is no such member; those taken are: {', '.join(fields)}",
            )
            yield Finding(path + shown, "member.unknown", Severity.ERROR, text)
    for name, field in fields.items():
        if name not in value:
            if field.required:
                text = Text("Thiếu trường này", "it is missing")
                yield Finding(path + name, "member.missing", Severity.ERROR, text)
            continue
        given = value[name]
        kind = inspect.type_info(field.type)
        if isinstance(kind, inspect.StructType) and isinstance(given, dict):
            yield from wrong_members(given, kind.cls, f"{path}{name}.")
        elif not _fits(given, field.type):
            right = _noun(kind)
            text = Text(f"Giá trị phải là {right.vi}", f"the value must be {right.en}")
            yield Finding(path + name, "member.invalid", Severity.ERROR, text)


def _noun(kind: inspect.Type) -> Text:
    match kind:
        case inspect.LiteralType(values=values):
            return _one_of([str(v) for v in values])
        case inspect.EnumType(cls=cls):
            return _one_of([str(member.value) for member in cls])
        case inspect.StrType():
            return _text(kind)
        case inspect.BoolType():
            return Text("true hoặc false", "true or false")
        case inspect.IntType():
            return _whole(kind)
        case inspect.DateType():
            return Text(
                "ngày viết dạng YYYY-MM-DD, ví dụ 2026-11-20",
                "a date written YYYY-MM-DD, such as 2026-11-20",
            )
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            each = _noun(item)
            return Text(f"danh sách, mỗi mục là {each.vi}", f"a list, each item {each.en}")
        case inspect.StructType():
            return Text("đối tượng JSON", "a JSON object")
        case _:
            return Text("giá trị JSON đúng kiểu", "a JSON value of the right type")


def _one_of(values: list[str]) -> Text:
    listed = ", ".join(f'"{v}"' for v in values)
    return Text(f"một trong các chuỗi: {listed}", f"one of the strings: {listed}")


def _whole(kind: inspect.IntType) -> Text:
    """Bounds as `Meta(ge=..., le=...)` gives them."""
    vi, en = "số nguyên", "a whole number"
    if kind.ge is not None:
        vi, en = f"{vi} từ {kind.ge}", f"{en} from {kind.ge}"
    if kind.le is not None:
        vi, en = f"{vi} đến {kind.le}", f"{en} to {kind.le}"
    return Text(vi, en)


def _text(kind: inspect.StrType) -> Text:
    least, most = kind.min_length or 0, kind.max_length
    vi, en = "chuỗi ký tự", "a string"
    if most is not None:
        vi, en = f"{vi} từ {least} đến {most} ký tự", f"{en} of {least} to {most} characters"
    if kind.pattern is not None:
        vi, en = f"{vi}, không có ký tự điều khiển", f"{en} without control characters"
    return Text(vi, en)


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
