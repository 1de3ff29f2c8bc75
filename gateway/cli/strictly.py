"""`inspect --strict`: the profile and the lengths of one day held against one package.

In:     a package that could be read, and where a gateway's own profile and rules are, if anywhere.
Out:    Strictly: whether it conforms, and everything that stands against it.
Fails:  Misconfigured, for the configuration that was named.
Never:  is asked on the way of a document: a package is accepted without it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from gateway.cli import places
from gateway.cli.answers import finding_line
from gateway.errors import Finding, Severity
from gateway.packing.read import ReadPackage
from gateway.packing.strict import day_of, strict_findings, violations
from gateway.rules.checks import RuleSet, check_package
from gateway.rules.kinds import MaxLength, MaxTotal
from gateway.rules.ruleset import vietnam_day


@dataclass(frozen=True, slots=True)
class Strictly:
    findings: tuple[Finding, ...]

    @property
    def conforms(self) -> bool:
        return not violations(self.findings)

    def as_json(self, lang: str) -> dict[str, object]:
        return {"conforms": self.conforms, "findings": [f.as_json(lang) for f in self.findings]}

    def page(self, lang: str) -> Iterator[str]:
        number = violations(self.findings)
        yield ""
        if number:
            words = (
                "Xét chặt: KHÔNG đúng quy chuẩn" if lang == "vi" else "Strictly: does NOT conform"
            )
            yield f"{words}: {number}"
        else:
            yield "Xét chặt: đúng quy chuẩn" if lang == "vi" else "Strictly: conforms"
        for finding in self.findings:
            yield f"  {finding_line(finding, lang)}"


def judge(source: BinaryIO, package: ReadPackage, conf: str | None) -> Strictly:
    """`conf`: a gateway's configuration; None: profile and rules that came with the program."""
    if conf is None:
        rules, profile, limits = places.rule_set(), places.profile(), None
    else:
        settings = places.settings(conf, files=False)
        rules, profile, limits = settings.rules, settings.profile, settings.reading_limits()
    today = vietnam_day(datetime.fromtimestamp(time.time(), UTC))
    day = day_of(package, today)
    found = strict_findings(source, package, profile.on(day), limits=limits)
    lengths: tuple[Finding, ...] = ()
    if package.header is not None:
        lengths = check_package(
            package.header, package.files, (), day, _lengths(rules), arriving=True
        )
    errors = (Finding(f.path, f.code, Severity.ERROR, f.text, f.rule) for f in lengths)
    return Strictly((*found, *errors))


def _lengths(rules: RuleSet) -> RuleSet:
    """What the day's rules say of lengths; the rest of them is law, not form."""
    return RuleSet(tuple(r for r in rules.rules if isinstance(r, MaxLength | MaxTotal)))
