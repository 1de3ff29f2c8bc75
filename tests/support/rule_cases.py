"""A submission that breaks no rule, and the rule files that the project ships."""

from __future__ import annotations

import io
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from gateway.model.package import (
    DocumentCode,
    DocumentHeader,
    DocumentType,
    Organ,
    OtherInfo,
    Promulgation,
    Signer,
)
from gateway.model.submission import Attachment, Submission
from gateway.rules import RuleSet, load_rules

RULE_FOLDER = Path(__file__).parents[2] / "conf" / "rules"
AT = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
DAY = date(2026, 11, 20)


def shipped_rules() -> RuleSet:
    return load_rules(
        {p.name: tomllib.loads(p.read_text("utf-8")) for p in sorted(RULE_FOLDER.glob("*.toml"))}
    )


def a_header(**changes: object) -> DocumentHeader:
    header = DocumentHeader(
        sender=Organ(organ_id="000.00.19.H14", name="Đơn vị mẫu"),
        to=(Organ(organ_id="000.00.00.G22"), Organ(organ_id="H29")),
        document_id="000.00.19.H14,2026/11/20,12/UBND-VX",
        code=DocumentCode("12", "UBND-VX"),
        promulgation=Promulgation("Cao Bằng", "2026-11-20"),
        document_type=DocumentType(2, 18, "Công văn"),
        subject="Về việc kiểm thử",
        signer=Signer("TM.", "Chủ tịch", "Người Ký Mẫu"),
        other=OtherInfo(priority=0),
        steering_type=0,
    )
    return replace(header, **changes)  # type: ignore[arg-type]  # names come from the test


def a_file(name: str = "cong-van.pdf") -> Attachment:
    return Attachment(name, 4, "00" * 32, lambda: io.BytesIO(b"%PDF"))


def a_submission(**changes: object) -> Submission:
    submission = Submission(header=a_header(), files=(a_file(),))
    return replace(submission, **changes)  # type: ignore[arg-type]  # names come from the test
