"""The questions that corridors and doors ask the law.

In:     a Submission and its instant, or a package's header, files and extras and the day.
Out:    every finding at once; the legal value.
Fails:  never: what is wrong with a document is a finding, not an exception.
Never:  refuses an arrival for anything but secrecy: what came is kept and shown (architecture 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from gateway.errors import Finding, Severity, Text
from gateway.model.package import DocumentHeader, Extra, FileFact, normal_text
from gateway.model.submission import Submission
from gateway.rules.kinds import Hit, Judged, Secrecy, ValueClass
from gateway.rules.ruleset import RuleSet, vietnam_day

__all__ = [
    "LegalValue",
    "RuleSet",
    "check_package",
    "check_secrecy",
    "check_submission",
    "legal_value",
]


@dataclass(frozen=True, slots=True)
class LegalValue:
    """What a document is worth in law, as far as it was examined.

    `value_class`: original | information | invalid (standards 9, article 4). `provisional`: the
    signatures inside its files were not examined, so the class may still rise.
    """

    value_class: str
    provisional: bool
    article: str
    text: Text

    def as_json(self) -> dict[str, str | bool]:
        """The member `legal_value` of contract 3."""
        return {"class": self.value_class, "provisional": self.provisional}


def check_submission(
    submission: Submission, at: datetime, rules: RuleSet, *, with_files: bool = True
) -> tuple[Finding, ...]:
    """Everything wrong with metadata and files that a unit system hands in.

    `at`: the aware instant of judging; its day in Vietnam chooses the rules. `with_files=False`
    judges the metadata alone, before the first file byte is read (architecture 3, step 1): then
    nothing is said about files.
    """
    judged = Judged(
        header=submission.header,
        names=tuple(file.name for file in submission.files),
        at=at,
        day=vietnam_day(at),
        sizes=tuple(file.size for file in submission.files),
        released_at=submission.released_at,
    )
    in_force = rules.on(judged.day)
    findings = [
        rule.finding(hit, rule.severity) for rule in in_force.rules for hit in rule.hits(judged)
    ]
    if not with_files:
        findings = [f for f in findings if not _about_files(f)]
    findings.extend(_secrets(in_force, submission.secrecy, _could_be_marked(submission.header)))
    return tuple(findings)


def check_package(
    header: DocumentHeader,
    files: Sequence[FileFact],
    extras: Sequence[Extra],
    day: date,
    rules: RuleSet,
    *,
    arriving: bool = False,
) -> tuple[Finding, ...]:
    """Everything wrong with a package: made by a unit system, or (`arriving`) come from an axis.

    `day`: the day of judging in Vietnam (`vietnam_day`). From a unit system errors refuse; lengths
    and other habits that the regulation does not fix are warnings. For an arrival every finding is
    at most a warning, secrecy excepted. Paths name the metadata fields of contract 5, so both doors
    speak alike.
    """
    judged = Judged(
        header=header,
        names=tuple(file.declared_name or file.name for file in files),
        day=day,
    )
    in_force = rules.on(day)
    findings: list[Finding] = []
    for rule in in_force.rules:
        severity = rule.package or rule.severity
        if arriving and severity is Severity.ERROR:
            severity = Severity.WARNING
        findings.extend(rule.finding(hit, severity) for hit in rule.hits(judged))
    findings.extend(_secrets(in_force, "", _could_be_marked(header, extras)))
    return tuple(findings)


def check_secrecy(
    day: date,
    rules: RuleSet,
    *,
    secrecy: str = "",
    type_name: str = "",
    typer_notation: str = "",
    extras: Iterable[Extra] = (),
) -> tuple[Finding, ...]:
    """State secrets never pass here (QĐ 08/2021/QĐ-UBND article 1, QĐ 28/2018 article 1).

    `secrecy`: any value but blanks is refused. The other values are refused when the *whole* value
    is one of the marks: a công văn *about* the protection of secrets is no secret. Needs no file.
    """
    values = (("document_type.name", type_name), ("other.typer_notation", typer_notation))
    pairs = (*values, *((extra.path, extra.value) for extra in extras))
    return tuple(_secrets(rules.on(day), secrecy, pairs))


def legal_value(day: date, rules: RuleSet) -> LegalValue:
    """The class for the answer to a submission (contract 3).

    Signatures inside the files decide it in law (QĐ 28/2018 article 4); they are not examined
    yet, so the rule in force says what may be claimed without them.
    """
    rule = rules.on(day).of(ValueClass)
    if not rule:  # a day before the first rule: claim the least
        return LegalValue("information", provisional=True, article="", text=Text("", ""))
    text = Text(rule[0].vi, rule[0].en)
    return LegalValue(rule[0].value_class, rule[0].provisional, rule[0].article, text)


def _secrets(
    in_force: RuleSet, secrecy: str, values: Iterable[tuple[str, str]]
) -> Iterator[Finding]:
    pairs = tuple(values)
    for rule in in_force.of(Secrecy):
        paths = ["secrecy"] if normal_text(secrecy) else []
        paths.extend(path for path, value in pairs if value and rule.marked(value))
        for path in paths:
            yield rule.finding(Hit(path), Severity.ERROR)


def _could_be_marked(
    header: DocumentHeader, extras: Sequence[Extra] = ()
) -> Iterator[tuple[str, str]]:
    """Where a secrecy mark is looked for in a header that has no field for it."""
    yield "document_type.name", header.document_type.name
    yield "other.typer_notation", header.other.typer_notation
    for extra in extras:
        yield extra.path, extra.value


def _about_files(finding: Finding) -> bool:
    return finding.path == "files" or finding.path.startswith("files[")
