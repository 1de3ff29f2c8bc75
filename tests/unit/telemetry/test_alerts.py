"""Alarms and dashboard in conf/ speak of figures that exist, and say what to do."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import jsonschema
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gateway import config
from gateway.alarming import REPORT_LATE
from gateway.braking import Level
from gateway.dispatch.report import WANTING
from gateway.dispatch.retry import parse
from gateway.telemetry.metrics import BREAKER, OUTCOMES, STAMPED
from gateway.wiring.process import JOBS, SLOW_TURN
from tests.support.api import BOUNDARY, form
from tests.support.codes import catalogue
from tests.support.houses import PDF, metadata, town
from tests.support.troubles import EVERYONE, IMPATIENT, SO19, VPCP

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "conf/prometheus/edoc-alerts.yml"
DASHBOARD = json.loads((ROOT / "conf/grafana/edoc.json").read_text("utf-8"))
SCENES = Path(__file__).with_name("alerts.promtool.yml")
GROUPS = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
PARTS = ("summary", "at_risk", "until", "do")
BY_PROMETHEUS = {"instance", "job", "le"}


# SQLite cannot be asked for its readers: `tests/integration/test_watching.py` sees this one
ON_POSTGRESQL = {"edoc_database_snapshot_seconds": {"database"}}

Exposed = Mapping[str, set[str]]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Exposed:
    """Every figure of ours -> its labels, from a gateway that accepted a document over REST and
    brought it onto an axis. Whatever a rule or a panel asks for must be there then.
    """
    return asyncio.run(_one_document(tmp_path_factory.mktemp("exposed")))


async def _one_document(folder: Path) -> Exposed:
    async with town(folder) as made:
        await made.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
        house = made.house("so19", (SO19,), {"vxp": "sys.h14"}, EVERYONE, changes=IMPATIENT)
        async with made.open(house) as here:
            await here.account(SO19)
            url, key = here.gateway.url, here.keys[SO19]
            answer = await asyncio.to_thread(hand_in, url, key)
            await here.until(SO19, answer["id"], lambda d: d["transfers"][0]["state"] == "ON_AXIS")
            await here.stamped(SO19, answer["id"])
            await here.gateway._gauge()
            shown = await asyncio.to_thread(read, Request(f"{url}/metrics"))
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(shown.decode()):
        for sample in family.samples:
            if sample.name.startswith("edoc_"):
                found.setdefault(sample.name, set()).update(sample.labels)
    assert not found.keys() & ON_POSTGRESQL.keys()
    return {**found, **ON_POSTGRESQL}


def hand_in(url: str, key: str) -> dict[str, Any]:
    meta = json.dumps(metadata(SO19, VPCP)).encode()
    body = form([("metadata", None, meta), ("file", "12.pdf", PDF)])
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    answer: dict[str, Any] = json.loads(read(Request(f"{url}/v1/documents", body, headers)))
    return answer


def read(request: Request) -> bytes:
    with urlopen(request, timeout=60) as answer:
        body: bytes = answer.read()
        return body


VALUES = {
    "outcome": set(OUTCOMES),
    "cause": {"certificate", "account", "unconfirmed", "other"},
    "result": {"fetched", "failed", *STAMPED},
    "authority": {"ca.gov.vn"},
    "status": {f"{n}xx" for n in range(1, 6)},
    "code": set(catalogue()),
    "lane": set("0123"),
    "worker": {*JOBS, "deliver:vxp", "collect:vxp", "sweep:blobs"},
    "kind": {"document", "status", *(kind.value for kind in WANTING)},
    "job": {"edoc-gateway"},
}


def wrong_in(expression: str, exposed: Exposed) -> Iterator[str]:
    """What a query asks for that no process of ours shows."""
    if expression.count("(") != expression.count(")"):
        yield "brackets"
    known: set[str] = set()
    for name, matchers in re.findall(r"\b((?:edoc_\w+)|up)\b(?:{([^}]*)})?", expression):
        labels = {"job", "instance"} if name == "up" else exposed.get(name)
        if labels is None:
            yield f"no figure {name}"
            continue
        known |= labels
        for label, how, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', matchers):
            if label not in labels:
                yield f"{name} has no label {label}"
            elif not any(
                re.fullmatch(value, one) if how == "=~" else one == value for one in VALUES[label]
            ):
                yield f"{name}: {label} is never {value}"
    for listed in re.findall(r"\bby \(([^)]*)\)", expression):
        yield from (f"no label {b}" for b in listed.split(", ") if b not in known | BY_PROMETHEUS)


def test_the_judge_of_queries_finds_what_is_wrong(exposed: Exposed) -> None:
    assert (
        list(wrong_in('max by (axis, lane) (edoc_oldest_due_seconds{lane="0"}) > 1', exposed)) == []
    )
    for query in (
        "edoc_oldest_du_seconds > 1",
        'edoc_held{axis="vxp"} > 0',
        "max by (axle) (edoc_backlog)",
        'edoc_attempts_total{outcome="lost"}',
        "max(edoc_held",
    ):
        assert list(wrong_in(query, exposed)), query


@pytest.mark.parametrize("rule", RULES, ids=lambda r: str(r["alert"]))
def test_a_rule_is_whole_and_asks_for_what_exists(rule: dict[str, Any], exposed: Exposed) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Edoc[A-Z]\w+", rule["alert"])
    assert re.fullmatch(r"\d+(s|m|h)", rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert list(wrong_in(rule["expr"], exposed)) == []
    assert set(rule["annotations"]) == {f"{p}_{lang}" for p in PARTS for lang in ("vi", "en")}
    for name, text in rule["annotations"].items():
        assert len(text) > 10, name
        assert (re.search(r"[àáảãạăâđèéẻẽẹêìíỉĩịòóỏõọôơùúủũụưỳýỷỹỵ]", text.lower()) is None) == (
            name.endswith("_en")
        ), name
        used = set(re.findall(r"\$labels\.(\w+)", text))
        kept = {b for by in re.findall(r"by \(([^)]*)\)", rule["expr"]) for b in by.split(", ")}
        assert used <= kept | ({"instance"} if rule["expr"].startswith("up") else set()), name


def test_no_two_alarms_have_one_name() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) > 20


def limit(alert: str) -> float:
    (rule,) = (r for r in RULES if r["alert"] == alert)
    return float(rule["expr"].rsplit(" ", 1)[1])


def test_no_alarm_rings_at_rest_and_each_can_ring() -> None:
    for rule in RULES:
        for part in rule["expr"].split(" or "):
            _, how, value = part.rsplit(" ", 2)
            rings = {">": float(value) < 0, "==": float(value) == 0, ">=": float(value) <= 0}[how]
            assert rings == (rule["alert"] == "EdocProcessDown"), rule["alert"]


def test_numbers_that_follow_from_the_configuration_fit_its_defaults() -> None:
    written = config.Written()
    dispatch, collect, stamp = written.dispatch, written.collect, written.stamp
    assert limit("EdocLedgerUnsealed") == written.seal.max_delay / 2
    assert limit("EdocStampLate") == stamp.max_delay * stamp.alarm_share
    assert limit("EdocStampBrake") == list(Level).index(Level.BRAKE)
    assert limit("EdocStampBrakeNear") == stamp.max_delay / 2
    assert limit("EdocClockDrift") == written.clock.max_drift
    assert limit("EdocBacklogFilling") == written.api.max_backlog * 0.8
    assert limit("EdocBreakerOpen") == BREAKER.index("half_open")
    # nothing that merely takes its time is called silent
    assert limit("EdocAxisWorkerSilent") > dispatch.attempt_deadline + dispatch.grace
    assert limit("EdocAxisWorkerSilent") > 2 * (collect.list_deadline + collect.fetch_deadline)
    assert limit("EdocAxisWorkerSilent") > stamp.interval + stamp.deadline
    assert limit("EdocReconciliationLate") == REPORT_LATE
    assert limit("EdocSlowWorkerSilent") == SLOW_TURN
    slow = 2 * (collect.list_deadline + collect.fetch_deadline)
    assert limit("EdocAxisUnlisted") == max(collect.failing, collect.slowest) + slow
    # long before a document is lost to its lifetime
    assert limit("EdocUrgentLate") < limit("EdocQueueLate") < parse(dispatch.retry).lifetime / 24


def test_the_page_for_operators_lists_the_alarms_and_no_others() -> None:
    page = (ROOT / "docs/operators.md").read_text("utf-8")
    listed = re.findall(r"^\| `(Edoc\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert listed == [(r["alert"], r["labels"]["severity"]) for r in RULES]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="NO promtool COMMAND: judged by ours")
def test_promtool_takes_the_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    for file in (ALERTS, SCENES):
        shutil.copy(file, tmp_path)
    for words in (["check", "rules", ALERTS.name], ["test", "rules", SCENES.name]):
        ran = subprocess.run(["promtool", *words], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr


# -- the dashboard ---------------------------------------------------------------------------------

PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "gridPos"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["row", "stat", "timeseries"]},
        "title": {"type": "string", "minLength": 3},
        "gridPos": {
            "type": "object",
            "required": ["h", "w", "x", "y"],
            "properties": {
                "h": {"type": "integer", "minimum": 1},
                "w": {"type": "integer", "minimum": 1, "maximum": 24},
                "x": {"type": "integer", "minimum": 0, "maximum": 23},
                "y": {"type": "integer", "minimum": 0},
            },
        },
    },
    "if": {"properties": {"type": {"const": "row"}}},
    "then": {"required": ["collapsed", "panels"]},
    "else": {
        "required": ["description", "datasource", "targets", "fieldConfig", "options"],
        "properties": {
            "targets": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "required": ["refId", "datasource", "expr"]},
            },
            "fieldConfig": {"type": "object", "required": ["defaults", "overrides"]},
        },
    },
}
SHAPE = {
    "type": "object",
    "required": ["uid", "title", "schemaVersion", "panels", "templating", "time", "timezone"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "panels": {"type": "array", "minItems": 10, "items": PANEL},
    },
}


def test_the_dashboard_has_the_shape_that_grafana_reads() -> None:
    jsonschema.validate(DASHBOARD, SHAPE, jsonschema.Draft202012Validator)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


SHOWN = [p for p in DASHBOARD["panels"] if p["type"] != "row"]


@pytest.mark.parametrize("panel", SHOWN, ids=lambda p: str(p["title"]))
def test_a_panel_asks_for_what_exists(panel: dict[str, Any], exposed: Exposed) -> None:
    for target in panel["targets"]:
        assert "edoc_" in target["expr"]
        assert list(wrong_in(target["expr"], exposed)) == []
        assert target["datasource"]["uid"] == "${datasource}"
        spoken = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        known = {label for name in exposed if name in target["expr"] for label in exposed[name]}
        assert spoken <= known | {"instance"}


def test_every_figure_that_waits_is_on_the_dashboard(exposed: Exposed) -> None:
    asked = " ".join(t["expr"] for panel in SHOWN for t in panel["targets"])
    bare = {re.sub(r"_(bucket|count|sum|created|total)$", "", name) for name in exposed}
    assert {name for name in bare if name not in asked} == set()
