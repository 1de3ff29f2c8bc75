"""The page of `inspect`: against the golden pages, and what holds for every page."""

from dataclasses import replace

import pytest
from rich.cells import cell_len

from gateway.cli.answers import plain
from gateway.cli.page import package_page
from gateway.cli.page.findings import attention
from gateway.cli.page.media import KINDS
from gateway.cli.page.names import person
from gateway.cli.page.signature import SIDES, TRUST, VERDICTS, algorithm, troubles
from gateway.cli.page.status import MEANINGS
from gateway.errors import Finding, Severity, Text
from gateway.model.package import (
    STATUS_CODES,
    Business,
    OtherInfo,
    ResponseFor,
    SignatureVerdict,
    Trust,
)
from gateway.packing import sniff
from gateway.signing.policy import DEFAULT_POLICY, Standing
from tests.support.packages import a_header, a_status
from tests.support.pages import (
    CERTIFICATE,
    EARLIER,
    GOLDEN,
    LETTER,
    UNSIGNED,
    a_file,
    a_package,
    a_verdict,
    cases,
    golden,
    page,
)

PAGES = dict(golden())


def lines(read, verdict=UNSIGNED, lang="en", width=80) -> list[str]:
    return list(package_page(read, verdict, lang, width))


def value_of(label: str, shown: list[str]) -> str:
    """The row of this label in one line, however it was folded."""
    start = next(i for i, line in enumerate(shown) if line[2:].startswith(label))
    end = start + 1
    while end < len(shown) and shown[end].startswith(" " * 20):
        end += 1
    return " ".join(" ".join(shown[start:end]).split()).removeprefix(label).strip()


# -- golden pages


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_the_one_that_was_read_line_by_line(name) -> None:
    assert PAGES[name] == (GOLDEN / name).read_text("utf-8")


def test_there_is_a_golden_page_for_everything_and_none_is_left_over() -> None:
    assert {p.name for p in GOLDEN.glob("*.txt")} == set(PAGES)


# -- what holds for every page


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", sorted(cases()))
def test_no_line_is_wider_than_the_terminal_and_none_steers_it(name, width, lang) -> None:
    for line in package_page(*cases()[name], lang, width):
        assert cell_len(line) <= width, line
        assert plain(line) == line
        assert "\n" not in line
        assert line == line.rstrip()


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_what_a_stranger_writes_never_stands_where_the_page_itself_speaks(lang) -> None:
    shown = page(cases()["hostile"], lang, 80).splitlines()
    forged = [line for line in shown if "ĐÚNG" in line and not line.startswith(("  ", "!"))]
    assert forged == []
    assert any("\\u001b[2J" in line for line in shown)
    assert any("\\u202egnp.exe" in line for line in shown)


@pytest.mark.parametrize("name", sorted(set(cases()) - {"failed"}))
def test_the_first_line_counts_what_is_marked_at_the_margin(name) -> None:
    shown = lines(*cases()[name])
    marked = sum(line.startswith("!") for line in shown)
    title = " ".join(shown[: shown.index("")])
    if marked:
        assert f": {marked} thing{'' if marked == 1 else 's'} need" in title
    else:
        assert title.endswith(": no errors, no warnings")


def test_of_many_findings_alike_all_are_counted_and_each_kind_is_shown() -> None:
    def finding(number: int, code: str, severity: Severity) -> Finding:
        return Finding(f"/edXML/{number}", code, severity, Text(f"v{number}", f"e{number}"))

    warnings = [finding(n, "a.many", Severity.WARNING) for n in range(1000)]
    notes = [finding(n, "b.note", Severity.NOTE) for n in range(5)]
    error = finding(7, "c.error", Severity.ERROR)
    found = (*notes, *warnings, error)
    shown = lines(a_package(a_header(), findings=found))
    assert attention(found, []) == 1001
    assert ": 1,001 things need attention" in shown[0]
    assert "    … and 997 more of a.many" in shown
    assert "    … and 2 more of b.note" in shown
    order = [shown.index(x) for x in ("  Errors (1)", "  Warnings (1,000)", "  Notes (5)")]
    assert order == sorted(order)
    assert sum(line.startswith("!") for line in shown) == 4
    assert len(shown) < 80


# -- words


def test_every_status_of_the_regulation_has_its_words_and_says_what_next() -> None:
    assert set(MEANINGS) == set(STATUS_CODES)
    for code in STATUS_CODES:
        shown = lines(a_package(status=a_status(code=code)), lang="vi")
        assert shown[0].startswith(f"Trạng thái {code} ({MEANINGS[code].words.vi})")
        assert value_of("Việc tiếp theo", shown) == MEANINGS[code].then.words.vi


@pytest.mark.parametrize(
    ("priority", "vi"),
    [
        (None, "không nêu"),
        (0, "thường"),
        (1, "KHẨN"),
        (2, "THƯỢNG KHẨN"),
        (3, "HỎA TỐC"),
        (4, "HỎA TỐC HẸN GIỜ (mã cũ; nay là hỏa tốc)"),
        (5, "mã 5, không có trong quy định"),
    ],
)
def test_urgency_is_said_as_officials_say_it(priority, vi) -> None:
    read = a_package(a_header(other=OtherInfo(priority=priority)))
    assert value_of("Độ khẩn", lines(read, lang="vi")) == vi


@pytest.mark.parametrize(
    ("paper", "act", "en"),
    [
        (None, None, "not stated"),
        (0, None, "none is sent"),
        (None, 1, "one is sent too"),
        (1, 1, "one is sent too"),
        (0, 1, "stated both ways: one is sent, none is sent"),
        (3, None, "a value that no list knows"),
    ],
)
def test_a_paper_copy_is_sent_or_not_and_a_contradiction_is_told(paper, act, en) -> None:
    read = a_package(a_header(paper=paper, business=Business(paper=act)))
    assert value_of("Paper copy", lines(read)) == en


def test_the_earlier_document_is_found_wherever_it_is_named() -> None:
    by_code = ResponseFor("000.00.00.G22", "9/QĐ-X", "", "2026-01-02")
    for kind, label in ((1, "Recalls"), (2, "Updates"), (3, "Replaces")):
        header = a_header(response_for=(EARLIER,), business=Business(type=kind))
        shown = value_of(label, lines(a_package(header)))
        assert shown.startswith("267/VPCP-TTĐT of 06/08/2026 by Văn phòng Chính phủ")
        header = a_header(business=Business(type=kind, document_id="d-1"))
        assert value_of(label, lines(a_package(header))) == "d-1"
        header = a_header(business=Business(type=kind))
        assert "names no document" in value_of(label, lines(a_package(header)))
    header = a_header(response_for=(by_code,), business=Business(type=1))
    assert "9/QĐ-X of 02/01/2026" in value_of("Recalls", lines(a_package(header)))


def test_a_new_document_that_names_another_one_is_no_act_about_it() -> None:
    header = a_header(business=Business(type=0, document_id="d-other"))
    assert "d-other" not in "\n".join(lines(a_package(header)))


# -- files


def test_every_type_that_the_reader_tells_apart_has_its_words() -> None:
    told = {kind for _, kind in sniff._MAGIC} | {kind for _, kind in sniff._OLE_STREAMS}
    told |= {kind for _, kind in sniff._ZIP_PARTS}
    told |= {kind for kinds in sniff._EXPECTED.values() for kind in kinds}
    told |= {"application/x-empty", "text/html", sniff.UNKNOWN, sniff.EDXML, sniff.ZIP}
    assert told <= set(KINDS)


def test_a_file_that_is_not_what_its_name_says_is_told_in_words() -> None:
    doc = a_file(1, "QĐ.doc", "application/edxml+xml", 388_347, unwrapped=True, carried_size=2048)
    shown = lines(a_package(a_header(), files=(doc,)), lang="vi")
    assert "     gói edXML trong tệp .doc, 379,2 KB (388.347 byte)" in shown
    assert "     CHÚ Ý: nội dung khác với tên tệp" in shown
    assert "     đã lấy ra từ tệp ZIP 2,0 KB trong gói tin" in shown


@pytest.mark.parametrize(
    "path",
    [
        "/edXML/AttachmentEncoded/Attachment (line 9) [2]",
        "/edXML/AttachmentEncoded/Attachment[2] (line 9)",
    ],
)
def test_a_failed_file_says_why(path) -> None:
    bad = a_file(2, "hỏng.pdf", "", 0, failed=True, sha256="", carried_sha256="")
    why = Finding(path, "attachment.base64", Severity.ERROR, Text("hỏng base64", "bad base64"))
    warning = replace(why, severity=Severity.WARNING, text=Text("khác", "other"))
    read = a_package(a_header(), files=(LETTER, bad), findings=(warning, why))
    assert "     CANNOT be read: bad base64" in lines(read)
    assert "     KHÔNG đọc được: hỏng base64" in lines(read, lang="vi")


def test_among_very_many_files_those_that_need_a_look_are_shown() -> None:
    files = [a_file(n % 200, f"{n}.pdf", "application/pdf", 10) for n in range(1, 20_001)]
    files[19_998] = replace(files[19_998], actual_type="text/html")
    shown = lines(a_package(a_header(), files=tuple(files)), lang="vi")
    assert any(line.startswith("  19999. 19999.pdf") for line in shown)
    assert "  … và 19.989 tệp khác" in shown
    assert "Tệp đính kèm: 20.000 tệp, 195,3 KB" in shown


def test_an_unsafe_name_is_shown_beside_the_safe_one() -> None:
    fact = a_file(1, "passwd", "text/plain", 3, declared_name="../../etc/passwd")
    shown = lines(a_package(a_header(), files=(fact,)))
    assert "  1. passwd" in shown
    assert "     its name in the package: ../../etc/passwd" in shown


# -- the signature


def test_every_verdict_has_its_words_in_both_places() -> None:
    assert {t.value for t in Trust} <= set(SIDES)
    seen = {v.summary() for v in every_verdict()}
    assert {"valid", "false", "files_only", "header_only", "not_checked", "none", "weak"} <= seen
    assert seen <= set(VERDICTS)


def every_verdict():
    for profile in ("none", "relay"):
        for value in Trust:
            for header in Trust:
                for files in Trust:
                    yield SignatureVerdict(profile, value, header, files)


def test_every_method_of_the_policy_is_named_and_the_weak_ones_are_called_old() -> None:
    for method in DEFAULT_POLICY.signatures:
        words = algorithm(method.uri)
        assert "://" not in words.vi + words.en, method.uri
        weak = method.standing is Standing.WEAK
        assert ("old" in words.en, "cũ" in words.vi) == (weak, weak)
    assert algorithm("urn:other").vi == "urn:other"
    pss = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
    assert algorithm(pss).en == "RSA-PSS with SHA-256"


def test_what_nobody_need_look_at_is_not_counted_and_everything_else_is() -> None:
    for verdict in every_verdict():
        fine = verdict.summary() in {"valid", "none"}
        assert (troubles(verdict, ()) == []) is fine
    for trust in TRUST:
        verdict = a_verdict(certificate={**CERTIFICATE, "trust": trust})
        fine = trust in {"trusted", "not_configured", "not_checked"}
        assert (troubles(verdict, ()) == []) is fine


def test_a_trouble_that_is_a_finding_already_is_not_counted_twice() -> None:
    false = a_verdict(Trust.FALSE)
    assert len(troubles(false, {"x.y"})) == 1
    assert troubles(false, {"signature.false"}) == []
    revoked = a_verdict(certificate={**CERTIFICATE, "trust": "revoked"})
    assert len(troubles(revoked, {"x.y"})) == 1
    assert troubles(revoked, {"certificate.revoked"}) == []


def test_a_word_that_nobody_knows_is_shown_as_it_is() -> None:
    verdict = a_verdict(certificate={**CERTIFICATE, "trust": "brand_new"}, profile="brand_other")
    shown = lines(a_package(a_header(), files=(LETTER,)), verdict)
    assert value_of("Trust", shown) == "brand_new"
    assert value_of("Form", shown) == "brand_other"
    assert "!   Certificate brand_new" in shown


def test_of_many_references_those_that_do_not_hold_come_first() -> None:
    files = tuple(a_file(n, f"{n}.pdf", "application/pdf", 1) for n in range(1, 40))
    good = a_verdict().references[0]
    references = [replace(good, uri=f.content_id) for f in files]
    references[35] = replace(references[35], verdict=Trust.FALSE)
    verdict = replace(a_verdict(), files=Trust.FALSE, references=tuple(references))
    shown = value_of("Part by part (39)", lines(a_package(a_header(), files=files), verdict))
    assert shown.startswith("file 36. 36.pdf: FALSE file 1. 1.pdf: holds")
    assert shown.endswith("… and 29 more parts")


@pytest.mark.parametrize(
    ("rfc4514", "shown"),
    [
        ("CN=Sở mẫu,O=Tỉnh mẫu,C=VN", "Sở mẫu, Tỉnh mẫu, VN"),
        ("CN=A\\,B,UID=MST:01", "A,B, UID=MST:01"),
        ("CN=A\\\\,O=B", "A\\, B"),
        ("", ""),
        ("no equals", "no equals"),
        ("CN=a\\", "a"),
    ],
)
def test_a_certificates_name_is_one_a_person_can_read(rfc4514, shown) -> None:
    assert person(rfc4514) == shown
