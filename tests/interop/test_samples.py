"""Public sample packages: what `inspect` must say of each; sizes and digests by an oracle."""

import importlib.util
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from gateway.opening import judge
from gateway.packing.describe import inspect_json
from gateway.packing.read import read_package
from gateway.signing.findings import signature_findings

DAY = date(2026, 11, 21)
SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.name for path in SAMPLES.glob("*.edxml"))


def oracle():
    spec = importlib.util.spec_from_file_location("samples_oracle", SAMPLES / "oracle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected(name: str):
    return json.loads((SAMPLES / name).with_suffix(".expected.json").read_text("utf-8"))


def inspected(name: str):
    with (SAMPLES / name).open("rb") as source:
        read = read_package(source)
        verdict = judge(source, 0, read, day=DAY)
    read = replace(read, findings=(*read.findings, *signature_findings(verdict)))
    return json.loads(json.dumps(inspect_json(read, verdict), ensure_ascii=False))


def test_no_sample_is_without_its_expectation() -> None:
    assert len(NAMES) == 11
    assert {p.name for p in SAMPLES.glob("*.expected.json")} == {
        Path(name).with_suffix(".expected.json").name for name in NAMES
    }


@pytest.mark.parametrize("name", NAMES)
def test_inspect_says_of_a_sample_exactly_what_is_expected(name: str) -> None:
    assert inspected(name) == expected(name)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_digests_in_the_expectation_are_those_of_the_oracle(name: str) -> None:
    told = oracle().attachments((SAMPLES / name).read_bytes())
    listed = [
        {
            "name": item["name"],
            "size": item["size"],
            "sha256": item["sha256"],
            "unwrapped": item["unwrapped"],
            "carried_size": item.get("carried_size", item["size"]),
            "carried_sha256": item.get("carried_sha256", item["sha256"]),
        }
        for item in expected(name)["attachments"]
    ]
    assert listed == told
