"""Personal values against the salted digests in their records.

In:     one reading transaction.
Out:    findings: a value that is not the one that was recorded, or that no record states; and, as a
        note, how many were erased: their digests stand, nobody can tell any more of what.
Never:  writes; shows a value; holds more than a batch of rows.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from gateway.audit.against import BATCH, said
from gateway.errors import Broken, Finding, Severity, Text
from gateway.ledger.records import salted
from gateway.ledger.verify import MAX_FINDINGS
from gateway.store import Tx, personals


def unchanged(tx: Tx) -> Iterator[Finding]:
    """The note on erased values comes last."""
    erased, after = 0, ""
    while rows := personals.stating(tx, after, BATCH):
        digests: dict[tuple[str, str], str] = {}
        for record_id, body in rows:
            record = said(body)
            stated = record.facts.get("personal") if record is not None else None
            for field, digest in stated.items() if isinstance(stated, dict) else ():
                digests[record_id, str(field)] = str(digest)
        for one in personals.values(tx, [record_id for record_id, _ in rows]):
            digest = digests.pop((one.record_id, one.field), None)
            if digest is None:
                yield _unstated(one.record_id, one.field)
            elif not _is(one, digest):
                yield _finding(
                    one.record_id,
                    one.field,
                    "giá trị cá nhân không phải là giá trị đã ghi (mã băm có muối khác)",
                    "the personal value is not the one that was recorded (salted digest)",
                )
        erased += len(digests)
        after = rows[-1][0]
    for record_id, field in personals.strays(tx, MAX_FINDINGS):
        yield _unstated(record_id, field)
    if erased:
        yield Finding(
            "personal",
            "ledger.personal_erased",
            Severity.NOTE,
            Text(
                f"{erased} giá trị cá nhân đã được xóa; mã băm của chúng vẫn nằm trong bản ghi",
                f"{erased} personal values were erased; their digests stand in the records",
            ),
        )


def _is(one: personals.Value, digest: str) -> bool:
    try:
        return hmac.compare_digest(salted(one.salt, one.field, one.value), digest)
    except Broken:  # the salt was spoiled
        return False


def _unstated(record_id: str, field: str) -> Finding:
    return _finding(
        record_id,
        field,
        "không bản ghi nào nêu giá trị cá nhân này",
        "no record states this personal value",
    )


def _finding(record_id: str, field: str, vi: str, en: str) -> Finding:
    path = f"record/{record_id}/personal/{field}"
    text, rule = Text(vi, en), "docs/ledger-format.md 1"
    return Finding(path, "ledger.personal_changed", Severity.ERROR, text, rule)
