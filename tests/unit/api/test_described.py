"""What programs read about the API agrees with the API: routes, roles, bodies, codes."""

from __future__ import annotations

import html
import json
import re

import jsonschema
import pytest
from msgspec.structs import fields

from gateway.api import manual
from gateway.api.accounts import AccountBody
from gateway.api.acts import TakeBackBody, WithdrawDocumentBody
from gateway.api.app import PUBLIC, ROUTES
from gateway.api.deps import ApiLimits
from gateway.api.inbox import StaffBody, StatusBody
from gateway.api.ledger import CosignatureBody, StampBody
from gateway.api.quarantine import OpenBody, ReturnBody
from gateway.api.queue import (
    FetchBody,
    HoldBody,
    PeriodBody,
    ReleaseBody,
    ReplayBody,
    RetryBody,
    WithdrawBody,
)
from gateway.api.reconciliations import ReconciliationBody
from gateway.dispatch.reconcile import Kind
from gateway.model.arrival import ArrivalState, ItemKind, ItemState
from gateway.model.transfer import RecipientState, TransferState
from gateway.store.tables import Role
from tests.support.codes import catalogue, in_sources
from tests.support.openapi import FOLDER, as_json, from_yaml, judge, operations, resolved, served

SCHEMAS = served()["components"]["schemas"]


def test_the_json_that_is_served_is_the_yaml_that_is_edited() -> None:
    """Else: python -m tests.support.openapi"""
    assert (FOLDER / "openapi.json").read_text("utf-8") == as_json(from_yaml())


def test_the_description_has_the_routes_of_the_application_with_their_roles() -> None:
    described = {
        (method, path, tuple(operation.get("x-roles", ())))
        for (method, path), operation in operations().items()
    }
    built = {
        (r.method, re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", r.path), r.roles)
        for r in ROUTES
    }
    assert described == {(m, p, tuple(r.value for r in roles)) for m, p, roles in built} | {
        ("GET", path, ()) for path, _ in PUBLIC
    }


def test_exactly_the_public_routes_need_no_key() -> None:
    unguarded = {path for (_, path), o in operations().items() if o.get("security") == []}
    assert unguarded == {path for path, _ in PUBLIC}


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    text = json.dumps(served())
    used = set(re.findall(r'"\$ref": "(#/[^"]+)"', text))
    for reference in used:
        assert resolved({"$ref": reference})
    listed = {
        f"#/components/{kind}/{name}"
        for kind, named in served()["components"].items()
        if kind != "securitySchemes"
        for name in named
    }
    assert listed == used


def test_path_parameters_are_described() -> None:
    for path, methods in served()["paths"].items():
        named = set(re.findall(r"\{(\w+)\}", path))
        given = {resolved(p)["name"] for p in methods.get("parameters", ())}
        assert named == given


def test_schemas_are_sound_and_examples_conform() -> None:
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        for example in schema.get("examples", ()):
            judge(schema, example)
    for operation in operations().values():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for kind, content in resolved(body).get("content", {}).items():
                for example in content.get("examples", {}).values():
                    if kind == "multipart/form-data":
                        judge(SCHEMAS["Submission"], example["value"]["metadata"])
                    else:
                        judge(content["schema"], example["value"])


def test_the_judge_of_answers_refuses_what_is_wrong() -> None:
    with pytest.raises(jsonschema.ValidationError):
        judge(SCHEMAS["Problem"], {"code": "x"})


def test_enumerations_are_those_of_the_model() -> None:
    assert SCHEMAS["TransferState"]["enum"] == [s.value for s in TransferState]
    assert SCHEMAS["RecipientState"]["enum"] == [s.value for s in RecipientState]
    assert SCHEMAS["Role"]["enum"] == [r.value for r in Role]
    assert SCHEMAS["Difference"]["properties"]["kind"]["enum"] == [k.value for k in Kind]
    item = SCHEMAS["Item"]["properties"]
    assert item["state"]["enum"] == [s.value for s in ItemState]
    assert item["kind"]["enum"] == [k.value for k in ItemKind]
    assert set(SCHEMAS["Arrival"]["properties"]["state"]["enum"]) <= set(ArrivalState)


def test_bodies_have_the_members_that_are_read() -> None:
    for shape, schema in (
        (AccountBody, SCHEMAS["AccountBody"]),
        (StatusBody, SCHEMAS["StatusBody"]),
        (StampBody, SCHEMAS["StampBody"]),
        (TakeBackBody, SCHEMAS["TakeBackBody"]),
        (WithdrawDocumentBody, SCHEMAS["WithdrawBody"]),
        (FetchBody, SCHEMAS["FetchBody"]),
        (HoldBody, SCHEMAS["HoldBody"]),
        (ReleaseBody, SCHEMAS["ReleaseBody"]),
        (RetryBody, SCHEMAS["RetryBody"]),
        (WithdrawBody, SCHEMAS["WithdrawBody"]),
        (ReplayBody, SCHEMAS["ReplayBody"]),
        (PeriodBody, SCHEMAS["PeriodBody"]),
        (OpenBody, SCHEMAS["OpenBody"]),
        (ReturnBody, SCHEMAS["ReturnBody"]),
        (ReconciliationBody, SCHEMAS["ReconciliationBody"]),
        (CosignatureBody, SCHEMAS["CosignatureBody"]),
        (StaffBody, SCHEMAS["StatusBody"]["properties"]["staff"]),
    ):
        read = {f.encode_name for f in fields(shape)}
        assert read == set(schema["properties"])
        assert {f.encode_name for f in fields(shape) if f.required} == set(
            schema.get("required", ())
        )


def test_limits_are_those_of_the_code() -> None:
    parameters = served()["components"]["parameters"]
    assert parameters["Limit"]["schema"]["maximum"] == ApiLimits().page
    waits = [p for p in operations()["GET", "/v1/inbox"]["parameters"] if p.get("name") == "wait"]
    assert waits[0]["schema"]["maximum"] == ApiLimits().wait_seconds


def test_every_code_in_the_sources_is_in_the_catalogue_and_no_other() -> None:
    """Else: python -m tests.support.codes, and look at the texts it took."""
    assert set(catalogue()) == set(in_sources())


def test_every_code_has_texts_in_both_languages() -> None:
    bare = [code for code, texts in catalogue().items() if not (texts["vi"] and texts["en"])]
    assert bare == []


def test_every_code_has_its_place_on_the_page_that_problems_lead_to() -> None:
    page = manual.load().page.decode()
    for code in catalogue():
        assert f"<tr id='{code}'>" in page
    for operation in operations().values():
        assert f"id='{operation['operationId']}'" in page


def test_the_page_shows_no_marks_and_speaks_vietnamese_where_it_begins() -> None:
    page = manual.load().page.decode()
    text = re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert "`" not in text
    assert not re.search(r"\*\w+\*", text)
    for operation in operations().values():
        assert html.escape(operation["x-vi"]) in page


def test_what_an_idempotency_key_does_is_said_for_each_route() -> None:
    said = {
        path: next(
            resolved(p)["description"]
            for p in operation["parameters"]
            if resolved(p)["name"] == "Idempotency-Key"
        )
        for (method, path), operation in operations().items()
        if method == "POST"
    }
    assert "document_id" in said["/v1/documents"]
    assert "status" in said["/v1/inbox/{id}/status"]
    for act in ("recall", "update", "replace"):
        assert "document_id" in said[f"/v1/documents/{{id}}/{act}"]
    assert "status" in said["/v1/documents/{id}/take-back"]
    acts = ("hold", "release", "retry", "withdraw", "replay")
    queue = [f"/v1/queue/{{id}}/{act}" for act in acts]
    for path in (
        *queue,
        "/v1/quarantine/fetches/release",
        "/v1/queue/replay",
        "/v1/documents/{id}/withdraw",
    ):
        assert "idempotency.mismatch" in said[path]
    for path in ("/v1/inbox/{id}/lease", "/v1/inbox/{id}/confirm", "/v1/accounts"):
        assert "changes nothing" in said[path]
