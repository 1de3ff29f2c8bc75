"""What `inspect --json` says about a package (contract 5).

In:     a ReadPackage and the verdict on its signature.
Out:    one JSON object.
Fails:  never.
Never:  reads the package again, judges a signature.
"""

from __future__ import annotations

from dataclasses import fields

from gateway.c14n import JsonValue
from gateway.model.package import (
    DocumentHeader,
    FileFact,
    SignatureVerdict,
    Staff,
    StatusReport,
)
from gateway.packing.metadata import header_to_json
from gateway.packing.read import ReadPackage


def inspect_json(
    read: ReadPackage, verdict: SignatureVerdict, lang: str = "en"
) -> dict[str, JsonValue]:
    """The object of contract 5; added: `traces`, `extras`, `sha256` and `size` of the package.

    `lang`: vi or en, for the messages of the findings. A failed file has `failed` and no digest.
    """
    header = header_to_json(read.header) if read.header is not None else {}
    header.pop("business", None)
    if read.status is not None:
        header = {"from": _texts(read.status.sender)}
    return {
        "kind": read.kind,
        "version": read.version,
        "header": header,
        "business": business_json(read.header) if read.header is not None else None,
        "status": status_json(read.status) if read.status is not None else None,
        "attachments": [attachment_json(fact) for fact in read.files],
        "signature": signature_json(verdict),
        "findings": [dict(finding.as_json(lang)) for finding in read.findings],
        "traces": [_texts(trace) for trace in read.header.traces] if read.header else [],
        "extras": [{"path": extra.path, "value": extra.value} for extra in read.extras],
        "sha256": read.sha256,
        "size": read.size,
    }


def business_json(header: DocumentHeader) -> dict[str, JsonValue]:
    """The act: its type, every earlier document it names, and what it changes."""
    business = header.business
    said: dict[str, JsonValue] = {"type": int(business.type), "about": list(header.about())}
    if business.document_id:
        said["document_id"] = business.document_id
    if business.reason:
        said["reason"] = business.reason
    for name in ("document_changed", "receivers_changed"):
        if getattr(business, name) is not None:
            said[name] = getattr(business, name)
    if business.receivers:
        said["receivers"] = [
            {"organ_id": item.organ_id, "change": item.change} for item in business.receivers
        ]
    if business.replaces:
        said["replaces"] = [
            {"document_id": item.document_id, "organ_ids": list(item.organ_ids)}
            for item in business.replaces
        ]
    return said


def status_json(report: StatusReport) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {
        "code": report.code,
        "response_for": _texts(report.response_for),
        "timestamp": report.timestamp,
        "description": report.description,
    }
    if report.staff != Staff():
        said["staff"] = _texts(report.staff)
    return said


def attachment_json(fact: FileFact) -> dict[str, JsonValue]:
    """`sha256`, `size`: the inner file; `carried_*` too where it was unwrapped."""
    said: dict[str, JsonValue] = {
        "name": fact.name,
        "declared_type": fact.declared_type,
        "actual_type": fact.actual_type,
        "unwrapped": fact.unwrapped,
        "size": fact.size,
        "sha256": fact.sha256,
        "content_id": fact.content_id,
    }
    if fact.declared_name != fact.name:
        said["declared_name"] = fact.declared_name
    if fact.description:
        said["description"] = fact.description
    if fact.unwrapped:
        said["carried_size"] = fact.carried_size
        said["carried_sha256"] = fact.carried_sha256
    if fact.encrypted:
        said["encrypted"] = fact.encrypted
    if fact.failed:
        said["failed"] = True
    return said


def signature_json(verdict: SignatureVerdict) -> dict[str, JsonValue]:
    return {
        "profile": verdict.profile,
        "verdict": verdict.summary(),
        "value": verdict.value.value,
        "header": verdict.header.value,
        "files": verdict.files.value,
        "algorithm": verdict.algorithm,
        "references": [
            {"uri": reference.uri, "verdict": reference.verdict.value}
            for reference in verdict.references
        ],
        "certificate": verdict.certificate_json(),
    }


def _texts(noun: object) -> dict[str, JsonValue]:
    return {
        f.name: getattr(noun, f.name)
        for f in fields(noun)  # type: ignore[arg-type]  # only nouns of the model come here
        if getattr(noun, f.name)
    }
