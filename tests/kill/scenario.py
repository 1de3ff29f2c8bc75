"""What the two axes do wrong while gateways die. Each of it may end only as the judge lists.

`lie` on sendEdoc and SendDocument is not among them: an axis that swallows a package and says that
it has it loses it, and what finds that is reconciling, not retrying.
"""

from __future__ import annotations

from typing import Any


def trouble(seed: int, *, dedupe: bool, soap: bool = False) -> dict[str, Any]:
    """One scenario; another seed, another day."""
    made = _vxp(seed, dedupe=dedupe)
    if soap:
        made["fault"] = [
            {**fault, "operation": told} if told else fault
            for fault in made["fault"]
            if (told := _OVER_SOAP.get(fault.get("operation", ""))) is not None
        ]
        made["fault"] += _OF_SOAP
    return made


# the same troubles where an axis speaks SOAP. An unknown code of a Report is a verdict of the axis
# on that one document, and after three equal ones a person decides: no trouble for a kill test
_OVER_SOAP = {
    "": "",
    "sendEdoc": "SendDocument",
    "downloadEdoc": "GetDocument",
    "getReceivedEdocList": "GetPendingDocumentIds",
}
_OF_SOAP: list[dict[str, Any]] = [
    {"kind": "reorder", "operation": "GetTraces", "rate": 0.3},
    {"kind": "duplicate", "operation": "GetTraces", "rate": 0.1},
    {"kind": "cut", "operation": "GetTraces", "rate": 0.05},
    {"kind": "error", "operation": "GetTraces", "code": "S.Busy", "rate": 0.05},
    # it says that it told the sender, and did not; or did, and nobody hears that
    {"kind": "lie", "operation": "ConfirmReceived", "rate": 0.1},
    {"kind": "drop_after", "operation": "ConfirmReceived", "rate": 0.1},
    {"kind": "drop_before", "operation": "ConfirmReceived", "rate": 0.05},
    {"kind": "garbage", "operation": "ConfirmReceived", "rate": 0.05},
    {"kind": "hang_after", "operation": "ConfirmReceived", "rate": 0.01},
]


def _vxp(seed: int, *, dedupe: bool) -> dict[str, Any]:
    return {
        "seed": seed,
        "dedupe": dedupe,
        "fault": [
            {"kind": "die", "operation": "sendEdoc", "seconds": 1, "first": 60, "last": 60}
            | {"every": 120, "after": True},
            {"kind": "maintenance", "operation": "sendEdoc", "seconds": 1}
            | {"first": 110, "last": 110, "every": 120},
            {"kind": "latency", "seconds": 0.0, "upto": 0.1, "rate": 0.3},
            {"kind": "skew", "seconds": -3600, "rate": 0.1},
            {"kind": "drop_after", "operation": "sendEdoc", "rate": 0.06},
            {"kind": "drop_before", "operation": "sendEdoc", "rate": 0.05},
            {"kind": "500", "operation": "sendEdoc", "after": True, "rate": 0.04},
            {"kind": "202", "operation": "sendEdoc", "rate": 0.02},
            {"kind": "garbage", "operation": "sendEdoc", "rate": 0.02},
            {"kind": "html", "operation": "sendEdoc", "rate": 0.02},
            {"kind": "truncated", "operation": "sendEdoc", "rate": 0.02},
            {"kind": "hang_after", "operation": "sendEdoc", "rate": 0.01},
            {"kind": "hang", "operation": "sendEdoc", "rate": 0.01},
            {"kind": "slow", "operation": "sendEdoc", "seconds": 0.4, "rate": 0.03},
            {"kind": "duplicate", "operation": "sendEdoc", "rate": 0.05},
            {"kind": "truncated", "operation": "downloadEdoc", "rate": 0.05},
            {"kind": "cut", "operation": "downloadEdoc", "rate": 0.05},
            {"kind": "drop_before", "operation": "downloadEdoc", "rate": 0.05},
            {"kind": "slow", "operation": "downloadEdoc", "seconds": 0.4, "rate": 0.05},
            {"kind": "lie", "operation": "downloadEdoc", "rate": 0.02},
            {"kind": "reorder", "operation": "getReceivedEdocList", "rate": 0.3},
            {"kind": "duplicate", "operation": "getReceivedEdocList", "rate": 0.1},
            {"kind": "cut", "operation": "getReceivedEdocList", "rate": 0.05},
            {"kind": "lie", "operation": "getReceivedEdocList", "rate": 0.05},
            {"kind": "lie", "operation": "updateStatus", "rate": 0.1},
            {"kind": "drop_after", "operation": "updateStatus", "rate": 0.1},
            {"kind": "error", "operation": "updateStatus", "code": "25", "rate": 0.05},
        ],
    }
