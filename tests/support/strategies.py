"""Generated headers, statuses and files: every business type, every field, Vietnamese texts.

`headers` are as they stand in a package that was read (NFC, trimmed); `disordered` gives the same
header as a clipboard may have it.
"""

from __future__ import annotations

import dataclasses
import io
import string
import unicodedata
import zipfile
from typing import Any, TypeVar

from hypothesis import strategies as st

from gateway.model.package import (
    STATUS_CODES,
    Business,
    DocumentCode,
    DocumentHeader,
    DocumentType,
    Organ,
    OtherInfo,
    Promulgation,
    ReceiverChange,
    Replacement,
    ResponseFor,
    Signer,
    Staff,
    StatusReport,
    TraceHeader,
)
from gateway.packing.names import safe_name

Noun = TypeVar("Noun")

VIETNAMESE = (
    "aăâbcdđeêghiklmnoôơpqrstuưvxyàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ"
)
LETTERS = (
    VIETNAMESE + VIETNAMESE.upper() + string.digits + " .,/-&<>'\"()%\t\n\r]" + "\u2019\U0001d11e"
)


def trimmed(text: str) -> str:
    return text.strip()


texts = (
    st.text(alphabet=LETTERS, min_size=1, max_size=40).map(trimmed).filter(lambda t: t != "null")
)
dates = st.one_of(st.just(""), st.dates().map(lambda d: d.isoformat()))
moments = st.datetimes().map(lambda d: f"{d.year:04}/{d.month:02}/{d.day:02} {d:%H:%M:%S}")
organ_ids = st.from_regex(r"[A-Z0-9]{1,6}(\.[A-Z0-9]{1,6}){0,4}", fullmatch=True)
numbers = st.one_of(st.none(), st.integers(0, 999_999_999))
flags = st.one_of(st.none(), st.integers(0, 1))
lists = st.lists(texts.filter(bool), max_size=3).map(tuple)
organs = st.builds(Organ, organ_ids, texts, texts, texts, texts, texts, texts, texts)
people = st.builds(Staff, texts, texts, texts, texts, texts, texts).filter(lambda s: s != Staff())
responses = st.builds(ResponseFor, texts, texts, texts, dates).filter(lambda r: r != ResponseFor())
acts = st.builds(
    Business,
    st.integers(0, 3),
    texts,
    texts,
    flags,
    flags,
    flags,
    st.lists(st.builds(ReceiverChange, organ_ids, st.integers(0, 1)), max_size=3).map(tuple),
    st.lists(st.builds(Replacement, texts.filter(bool), lists), max_size=2).map(tuple),
    st.lists(people, max_size=2).map(tuple),
)
traces = st.builds(TraceHeader, texts, moments)
headers = st.builds(
    DocumentHeader,
    organs,
    st.lists(organs, min_size=1, max_size=3, unique_by=lambda o: o.organ_id).map(tuple),
    texts.filter(bool),
    st.builds(DocumentCode, texts, texts),
    st.builds(Promulgation, texts, dates),
    st.builds(DocumentType, numbers, numbers, texts),
    texts,
    texts,
    st.builds(Signer, texts, texts, texts),
    dates,
    st.builds(
        OtherInfo,
        st.one_of(st.none(), st.integers(0, 4)),
        texts,
        texts,
        numbers,
        numbers,
        texts,
        st.one_of(st.none(), st.booleans()),
        texts,
        lists,
    ),
    st.lists(responses, max_size=2).map(tuple),
    st.integers(0, 3),
    lists,
    texts,
    lists,
    acts,
    st.lists(traces, max_size=2).map(tuple),
    texts.map(lambda t: " ".join(t.split())),
    st.just("1.0"),
    flags,
)
names = st.builds(
    lambda stem, ext: safe_name(f"{stem}{ext}"),
    st.text(alphabet=VIETNAMESE + " -_", min_size=1, max_size=30),
    st.sampled_from([".pdf", ".doc", ".docx", ".xls", ".xlsx", ".txt", ".zip", ".png", ""]),
)


def a_zip(entries: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, data) in enumerate(entries):
            archive.writestr(f"{number}{name}", data)
    return out.getvalue()


contents = st.one_of(
    st.binary(max_size=2000),
    st.builds(lambda d: b"%PDF-1.7\n" + d, st.binary(max_size=500)),
    st.builds(a_zip, st.lists(st.tuples(names, st.binary(max_size=200)), max_size=3)),
    st.builds(lambda n, d: a_zip([(n, a_zip([(n, d)]))]), names, st.binary(max_size=200)),
)
files_of_a_package = st.lists(st.tuples(names, contents), max_size=4)
reports = st.builds(
    StatusReport,
    organs,
    st.builds(ResponseFor, organ_ids, texts, texts.filter(bool), dates),
    st.sampled_from(STATUS_CODES),
    moments,
    texts,
    st.builds(Staff, texts, texts, texts, texts, texts, texts),
)


def of_type(kind: int) -> st.SearchStrategy[DocumentHeader]:
    """Headers whose act is of this type, with all that any act may carry."""
    return st.builds(
        lambda header, act: dataclasses.replace(
            header, business=dataclasses.replace(act, type=kind)
        ),
        headers,
        acts,
    )


def disordered(noun: Noun) -> Noun:
    """The same noun as a clipboard may have it: texts decomposed (NFD), U+00A0 for blanks."""
    changed = {
        field.name: _disordered(getattr(noun, field.name))
        for field in dataclasses.fields(noun)  # type: ignore[arg-type]  # nouns are dataclasses
        if field.name != "timestamp"
    }
    return dataclasses.replace(noun, **changed)  # type: ignore[type-var]


def _disordered(value: Any) -> Any:
    if isinstance(value, str):
        return unicodedata.normalize("NFD", value).replace(" ", "\u00a0")
    if isinstance(value, tuple):
        return tuple(map(_disordered, value))
    return disordered(value) if dataclasses.is_dataclass(value) else value
