"""Why an arrival goes to quarantine, in words for the person who must look at it.

In: what the corridor in met. Out: findings. Never: decides anything; shows what is in a package.
"""

from __future__ import annotations

from gateway.errors import Finding, Rejected, Severity, Text, Untrusted


def as_finding(problem: Untrusted | Rejected) -> Finding:
    return Finding("", problem.code, Severity.ERROR, problem.text)


def poison(opens: int) -> Finding:
    return Finding(
        "",
        "arrival.poison",
        Severity.ERROR,
        Text(
            f"Gói tin đã làm hỏng tiến trình {opens} lần; cần người kiểm tra",
            f"the package killed its process {opens} times; a person must look at it",
        ),
    )


def neither() -> Finding:
    return Finding(
        "edXML/edXMLEnvelope/edXMLHeader/MessageHeader",
        "package.unknown_kind",
        Severity.ERROR,
        Text(
            "Không phải văn bản cũng không phải gói tin trạng thái",
            "neither a document nor a status package",
        ),
        "QCVN 102:2016/BTTTT",
    )


def not_ours() -> Finding:
    return Finding(
        "to",
        "arrival.not_ours",
        Severity.ERROR,
        Text(
            "Không có nơi nhận nào thuộc gateway này",
            "none of the receivers is served by this gateway",
        ),
    )
