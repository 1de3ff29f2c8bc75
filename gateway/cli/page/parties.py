"""Who and which: agencies, people and documents, each in one line.

In:     nouns of the package.
Out:    one line of text for each, not yet made safe: the sheet does that.
Fails:  never.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.cli.page.amounts import day
from gateway.errors import Text
from gateway.model.package import DocumentHeader, Organ, ResponseFor, Staff

OTHER_RECEIVERS = Text("nơi nhận", "receivers")
OTHER_DOCUMENTS = Text("văn bản", "documents")
OTHER_PEOPLE = Text("người", "people")
OTHERS = Text("mục", "items")


def joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)


def organ(one: Organ) -> str:
    """`Văn phòng Chính phủ (000.00.00.G22)`"""
    if one.name and one.organ_id:
        return f"{one.name} ({one.organ_id})"
    return one.name or one.organ_id


def names_in(header: DocumentHeader) -> Mapping[str, str]:
    """Names of agencies by code in capitals, as far as this package tells them."""
    return {o.organ_id.upper(): o.name for o in (*header.to, header.sender) if o.name}


def named(organ_id: str, names: Mapping[str, str]) -> str:
    return organ(Organ(organ_id, names.get(organ_id.upper(), "")))


def staff(one: Staff) -> str:
    """`Người mẫu, Phòng Văn thư; 0900000000; mau@example.vn`"""
    return joined("; ", joined(", ", one.name, one.department), one.mobile, one.email)


def people(all_: Iterable[Staff]) -> list[str]:
    return [shown for one in all_ if (shown := staff(one))]


def earlier(one: ResponseFor, names: Mapping[str, str], lang: str) -> str:
    """`267/VPCP-TTĐT ngày 06/08/2012 của Văn phòng Chính phủ (000.00.00.G22) [its id]`"""
    vi = lang == "vi"
    dated = day(one.promulgation_date, lang)
    of = named(one.organ_id, names)
    what = joined(
        " ",
        one.code,
        (f"ngày {dated}" if vi else f"of {dated}") if dated else "",
        (f"của {of}" if vi else f"by {of}") if of else "",
    )
    if not one.document_id:
        return what
    return f"{what} [{one.document_id}]" if what else one.document_id
