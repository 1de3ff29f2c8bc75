"""read(write(x)) == x for every kind of package; the long runs try hundreds of each."""

import io
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.errors import Rejected
from gateway.model.package import (
    STATUS_CODES,
    BusinessType,
    DocumentHeader,
    Organ,
    StatusReport,
    header_digest,
    identity,
    status_identity,
)
from gateway.packing.write import plan_files, write_document, write_status
from tests.support.packages import a_header, a_status, an_attachment, codes, packed, read
from tests.support.strategies import disordered, files_of_a_package, headers, of_type, reports

# a failing example is shown as it was drawn: to shrink one of these takes minutes
few = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
many = settings(few, max_examples=600)
Files = list[tuple[str, bytes]]


def round_trip(header: DocumentHeader, files: Files) -> None:
    """As it was given, or as a clipboard had it: the same package comes out, in NFC."""
    plan = plan_files([an_attachment(name, data) for name, data in files], "s")
    facts = [(p.fact.declared_name, p.fact.sha256) for p in plan]
    written = []
    for given_header in (header, disordered(header)):
        out = io.BytesIO()
        write_document(out, given_header, plan)
        written.append(out.getvalue())
        got = read(out.getvalue())
        assert got.header == header
        assert (got.extras, got.signature) == ((), None)
        assert [(f.declared_name, f.sha256) for f in got.files] == facts
        assert identity(given_header, facts) == identity(got.header, facts)
        assert header_digest(given_header, facts) == header_digest(got.header, facts)
        assert not [c for c in codes(got) if not c.startswith("attachment.")]
    assert written[0] == written[1], beside(*written)


def beside(one: bytes, other: bytes) -> str:
    """Where two packages begin to differ, and what stands there: enough to see which file it is."""
    pairs = enumerate(zip(one, other, strict=False))
    at = next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
    return f"from byte {at}: {one[at - 400 : at + 600]!r} {other[at - 400 : at + 600]!r}"


def status_round_trip(report: StatusReport) -> None:
    for given_report in (report, disordered(report)):
        got = read(write_status(given_report))
        assert got.status == report
        assert (got.kind, got.header, got.files, got.findings) == ("status", None, (), ())
        assert status_identity(got.status) == status_identity(given_report)


@pytest.mark.parametrize("kind", list(BusinessType))
def test_a_document_of_every_business_type_comes_back_as_it_went(kind: BusinessType) -> None:
    few(given(of_type(kind), files_of_a_package)(round_trip))()


@pytest.mark.parametrize("code", STATUS_CODES)
def test_a_status_of_every_code_comes_back_as_it_went(code: str) -> None:
    few(given(reports.map(lambda report: replace(report, code=code)))(status_round_trip))()


@pytest.mark.long
@pytest.mark.parametrize("kind", list(BusinessType))
def test_hundreds_of_documents_of_every_business_type(kind: BusinessType) -> None:
    many(given(of_type(kind), files_of_a_package)(round_trip))()


@pytest.mark.long
def test_hundreds_of_statuses() -> None:
    many(given(reports)(status_round_trip))()


CONTROLS = st.one_of(
    st.integers(0, 0x1F).map(chr).filter(lambda c: c not in "\t\n\r"),
    st.integers(0x7F, 0x9F).map(chr),
    st.sampled_from(["\ud800", "\udfff", "\ufffe", "\uffff"]),
)
# one text of every group a header has
PLACES = {
    "from.name": lambda h, t: replace(h, sender=replace(h.sender, name=t)),
    "to[0].address": lambda h, t: replace(h, to=(replace(h.to[0], address=t), *h.to[1:])),
    "document_id": lambda h, t: replace(h, document_id=t),
    "code.number": lambda h, t: replace(h, code=replace(h.code, number=t)),
    "promulgation.place": lambda h, t: replace(h, promulgation=replace(h.promulgation, place=t)),
    "document_type.name": lambda h, t: replace(h, document_type=replace(h.document_type, name=t)),
    "subject": lambda h, t: replace(h, subject=t),
    "content": lambda h, t: replace(h, content=t),
    "signer.full_name": lambda h, t: replace(h, signer=replace(h.signer, full_name=t)),
    "other.sphere": lambda h, t: replace(h, other=replace(h.other, sphere=t)),
    "task_codes[0]": lambda h, t: replace(h, task_codes=(t,)),
    "to_places[0]": lambda h, t: replace(h, to_places=(t,)),
    "business.reason": lambda h, t: replace(h, business=replace(h.business, reason=t)),
    "traces[0].organ_id": lambda h, t: replace(
        h, traces=(replace(a_header().traces[0], organ_id=t),)
    ),
    "trace_version": lambda h, t: replace(h, trace_version=t),
}


@few
@given(headers, CONTROLS, st.text("aệ ", max_size=3), st.sampled_from(sorted(PLACES)))
def test_a_control_character_is_refused_wherever_it_stands(
    header: DocumentHeader, control: str, around: str, place: str
) -> None:
    spoiled = PLACES[place](header, f"a{around}{control}{around}b")
    with pytest.raises(Rejected) as caught:
        packed(spoiled, [])
    assert [(f.path, f.code) for f in caught.value.findings] == [(place, "text.control_character")]


@few
@given(CONTROLS)
def test_a_control_character_in_a_status_or_a_file_name_is_refused(control: str) -> None:
    with pytest.raises(Rejected) as caught:
        write_status(a_status(description=f"a{control}b"))
    assert [f.code for f in caught.value.findings] == ["text.control_character"]
    with pytest.raises(Rejected) as caught:
        plan_files([an_attachment(f"a{control}b.pdf", b"x")], "s")
    assert caught.value.findings[0].code == "attachment.name_unsafe"


@few
@given(reports, st.text("0123456789ab ", max_size=3))
def test_a_status_of_any_other_code_is_read_and_never_written(
    report: StatusReport, code: str
) -> None:
    written = write_status(report).replace(
        f"StatusCode>{report.code}<".encode(), f"StatusCode>{code}<".encode()
    )
    got = read(written)
    if not code.strip():
        assert got.status is None
        return
    read_as = code.strip().zfill(2) if code.strip().isdigit() else code.strip()
    assert got.status == replace(report, code=read_as)
    assert (codes(got) == []) is (read_as in STATUS_CODES)
    if read_as not in STATUS_CODES:
        with pytest.raises(Rejected):
            write_status(replace(report, code=read_as, sender=Organ("H14")))
