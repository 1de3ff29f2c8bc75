"""Scenarios: chance that can be had again, phases counted in requests, mistakes that are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.faults import KINDS, Fault, Faults, read_fault_file, scenario_from
from adapters.vxp.wire import Operation
from gateway.errors import Misconfigured

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "conf/simulator").glob("*.toml"))
OPERATIONS = ("sendEdoc", "getReceivedEdocList", "updateStatus")


def plan_of(content: dict) -> Faults:
    scenario = scenario_from(content)
    faults = Faults()
    faults.replace(scenario.faults, seed=scenario.seed)
    return faults


def kinds(faults: Faults, operation: str, count: int) -> list[str]:
    return ["+".join(f.kind for f in faults.take(operation)) for _ in range(count)]


MIX = {
    "seed": 7,
    "fault": [
        {"kind": "latency", "seconds": 0.1, "upto": 0.5, "rate": 0.5},
        {"kind": "drop_after", "operation": "sendEdoc", "rate": 0.3},
        {"kind": "500", "rate": 0.2},
        {"kind": "reorder", "operation": "getReceivedEdocList", "rate": 0.4},
    ],
}


@given(st.lists(st.sampled_from(OPERATIONS), max_size=60))
def test_what_a_request_meets_depends_on_seed_operation_and_number_alone(order: list[str]) -> None:
    alone = {o: [plan.take(o) for _ in order] for o in OPERATIONS for plan in [plan_of(MIX)]}
    mixed = plan_of(MIX)
    numbers = dict.fromkeys(OPERATIONS, 0)
    for operation in order:
        met = mixed.take(operation)
        expected = alone[operation][numbers[operation]]
        assert met == expected
        assert [f.draw for f in met] == [f.draw for f in expected]
        numbers[operation] += 1


def test_another_seed_is_another_run_and_equal_faults_do_not_fall_together() -> None:
    sevens, eights = (kinds(plan_of({**MIX, "seed": s}), "sendEdoc", 200) for s in (7, 8))
    assert sevens != eights
    twins = plan_of({"fault": [{"kind": "latency", "rate": 0.5}, {"kind": "latency", "rate": 0.5}]})
    assert {len(twins.take("sendEdoc")) for _ in range(64)} == {0, 1, 2}


def test_a_rate_is_the_share_of_requests_that_meet_it() -> None:
    met = kinds(plan_of({"fault": [{"kind": "html", "rate": 0.1}]}), "sendEdoc", 10_000)
    assert 900 < met.count("html") < 1100


def test_latency_is_drawn_between_its_bounds() -> None:
    plan = plan_of({"fault": [{"kind": "latency", "seconds": 0.1, "upto": 0.5}]})
    drawn = [fault.seconds for _ in range(200) for fault in plan.take("sendEdoc")]
    assert len(drawn) == 200
    assert all(0.1 <= seconds <= 0.5 for seconds in drawn)
    assert len(set(drawn)) == 200


def test_phases_are_counted_in_requests_of_each_operation() -> None:
    plan = plan_of(
        {
            "fault": [{"kind": "latency"}],
            "phase": [
                {"requests": 2},
                {"requests": 1, "fault": [{"kind": "die", "seconds": 2}]},
                {"fault": [{"kind": "500"}]},
            ],
        }
    )
    expected = ["latency", "latency", "latency+die", "latency+http", "latency+http"]
    assert kinds(plan, "sendEdoc", 5) == expected
    assert kinds(plan, "getEdoc", 5) == expected
    assert plan.met == {
        f"{operation} {kind}": count
        for operation in ("sendEdoc", "getEdoc")
        for kind, count in {"latency": 5, "die": 1, "http": 2}.items()
    }


def test_repeated_phases_begin_again() -> None:
    phases = [{"requests": 2}, {"requests": 1, "fault": [{"kind": "html"}]}]
    plan = plan_of({"repeat": True, "phase": phases})
    assert kinds(plan, "sendEdoc", 7) == ["", "", "html", "", "", "html", ""]


def test_a_range_names_requests_and_every_starts_it_again() -> None:
    third = plan_of({"fault": [{"kind": "html", "first": 3, "last": 3, "every": 4}]})
    assert kinds(third, "sendEdoc", 8) == ["", "", "html", "", "", "", "html", ""]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"sead": 1}, "unknown: sead"),
        ({"seed": "1"}, "seed"),
        ({"dedupe": "no"}, "dedupe"),
        ({"fault": [{"kind": "html", "rate": 0}]}, "rate"),
        ({"fault": [{"kind": "html", "rate": 1.5}]}, "rate"),
        ({"fault": [{"kind": "html", "rate": 0.5, "times": 2}]}, "not both"),
        ({"fault": [{"kind": "html", "draw": 3}]}, "unknown: draw"),
        ({"fault": [{"kind": "html", "first": 3, "last": 2}]}, "there are none"),
        ({"fault": [{"kind": "html", "last": 5, "every": 4}]}, "every"),
        ({"fault": [{"kind": "latency", "seconds": -1}]}, "seconds"),
        ({"fault": [{"kind": "latency", "seconds": 2, "upto": 1}]}, "upto"),
        ({"fault": [{"kind": "html", "upto": 1}]}, "upto"),
        ({"fault": ["html"]}, "table"),
        ({"phase": [{"requests": 0}]}, "one request"),
        ({"phase": [{}, {"requests": 1}]}, "last phase"),
        ({"phase": [{}], "repeat": True}, "last phase"),
        ({"phase": [{"seconds": 3}]}, "unknown: seconds"),
        ({"phase": [{"fault": [{"kind": "html", "first": 2}]}]}, "range"),
        ([], "table"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused_by_name(content: object, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        scenario_from(content)


def test_a_file_says_seed_dedupe_and_phases(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(
        "seed = 9\ndedupe = false\n[[phase]]\nrequests = 3\n[[phase.fault]]\nkind = 'hang'\n"
        "rate = 0.5\n"
    )
    scenario = read_fault_file(path)
    assert (scenario.seed, scenario.dedupe) == (9, False)
    assert scenario.faults == (Fault("hang", rate=0.5, first=1, last=3),)
    path.write_text("seed = 9\nfaults = []\n")
    with pytest.raises(Misconfigured) as refused:
        read_fault_file(path)
    assert "unknown: faults" in refused.value.findings[0].text.en


def test_every_mistake_of_a_file_is_named_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(
        "seed = 'x'\nsead = 1\n[[fault]]\nkind = 'html'\n"
        "[[fault]]\nkind = 'htlm'\noperation = 'sendEdoK'\n"
        "[[fault]]\noperation = 3\nrate = 'often'\ntimes = true\n"
        "[[phase]]\nrequests = 0\n[[phase.fault]]\nkind = 'html'\nrate = 7\n"
        "[systems.a]\nsecret = 1\n"
    )
    with pytest.raises(Misconfigured) as refused:
        read_fault_file(path, frozenset(Operation))
    found = {f.path.removeprefix(f"{path}:"): f.text.en for f in refused.value.findings}
    assert set(found) == {
        "",
        "seed",
        "fault[1]",
        "fault[1].operation",
        "fault[2]",
        "fault[2].operation",
        "fault[2].rate",
        "fault[2].times",
        "phase[0].requests",
        "phase[0].fault[0]",
        "systems.a",
    }
    assert "sead" in found[""]
    assert "htlm" in found["fault[1]"]
    assert "sendEdoc" in found["fault[1].operation"]
    assert found["fault[2]"] == "kind is missing"


def test_an_operation_that_there_is_not_is_refused_where_operations_are_known() -> None:
    told = {"fault": [{"kind": "html", "operation": "SendDocument"}]}
    assert scenario_from(told).faults[0].operation == "SendDocument"
    with pytest.raises(ValueError, match="no operation SendDocument"):
        scenario_from(told, frozenset(Operation))
    for operation in ("*", "sendEdoc"):
        assert scenario_from(
            {"fault": [{"kind": "html", "operation": operation}]}, frozenset(Operation)
        )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_the_examples_can_be_read_and_name_operations_that_exist(path: Path) -> None:
    faults = read_fault_file(path).faults
    assert faults
    assert {fault.operation for fault in faults} <= {"*", *(str(o) for o in Operation)}


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


def test_the_page_describes_every_kind_and_whether_it_is_done() -> None:
    page = (ROOT / "docs/simulator.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", page, re.MULTILINE)
    assert dict(rows) == {kind: "yes" if done else "no" for kind, done in KINDS.items()}
