"""The plan of faults: counted, for one operation or all, from files of two forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.faults import Fault, Faults, read_fault_file
from gateway.errors import Misconfigured


def kinds(faults: Faults, operation: str) -> list[str]:
    return [fault.kind for fault in faults.take(operation)]


def test_a_counted_fault_ends_and_an_uncounted_one_stays() -> None:
    faults = Faults()
    faults.add("hang", "sendEdoc", times=2)
    faults.add("html", "getEdoc")
    assert [kinds(faults, "sendEdoc") for _ in range(3)] == [["hang"], ["hang"], []]
    assert [kinds(faults, "getEdoc") for _ in range(3)] == [["html"]] * 3
    faults.clear("getEdoc")
    assert faults.plan == ()


def test_faults_come_in_order_and_latency_comes_on_top() -> None:
    faults = Faults()
    faults.add("latency", seconds=0.1)
    faults.add("drop_after", times=1)
    faults.add("500", times=1)
    assert kinds(faults, "sendEdoc") == ["latency", "drop_after"]
    assert kinds(faults, "sendEdoc") == ["latency", "http"]
    assert kinds(faults, "sendEdoc") == ["latency"]


def test_which_faults_happen_after_the_work_is_done() -> None:
    done = {kind for kind in ("drop_after", "drop_before", "202", "500") if Fault(kind).carried_out}
    assert done == {"drop_after", "202"}
    assert Fault("500", after=True).carried_out


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        Fault("earthquake")


def test_the_plan_says_when_connections_are_refused() -> None:
    faults = Faults()
    faults.add("refuse")
    assert faults.refusing
    assert faults.take("sendEdoc") == []
    faults.clear()
    assert not faults.refusing


def test_a_toml_file_and_a_json_file_say_the_same(tmp_path: Path) -> None:
    toml = tmp_path / "faults.toml"
    toml.write_text(
        '[[fault]]\nkind = "500"\noperation = "sendEdoc"\ntimes = 3\n'
        '[systems."a"]\nsecret = "s"\ncodes = ["000.00.00.G22"]\n'
    )
    plain = tmp_path / "faults.json"
    plain.write_text(
        '{"fault": [{"kind": "500", "operation": "sendEdoc", "times": 3}],'
        ' "systems": {"a": {"secret": "s", "codes": ["000.00.00.G22"]}}}'
    )
    assert read_fault_file(toml) == read_fault_file(plain)
    assert read_fault_file(toml).faults == (Fault("500", "sendEdoc", 3),)
    assert read_fault_file(toml).systems == {"a": ("s", ("000.00.00.G22",))}


@pytest.mark.parametrize(
    "text", ["[[fault]]\nkind = 'x'\n", "fault = 1\n", "= broken", "[[fault]]\nkid = 'hang'\n"]
)
def test_a_bad_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(Misconfigured) as error:
        read_fault_file(path)
    assert "faults.toml" in error.value.text.en
