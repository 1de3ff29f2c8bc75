"""The algorithm policy as dated data."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from gateway.errors import Misconfigured
from gateway.model.package import Promulgation, TraceHeader, Trust
from gateway.opening import signing_day
from gateway.signing import DEFAULT_POLICY, ECDSA_SHA256, RSA_SHA256, SHA256
from gateway.signing.algorithms import load_policy
from gateway.signing.policy import Standing
from gateway.signing.verify import verify
from tests.support import pki
from tests.support import signed_packages as packages
from tests.support.packages import a_header

SHIPPED = Path(__file__).parents[3] / "conf" / "algorithms.toml"
RSA = {"uri": RSA_SHA256, "minimum_bits": 2048, "article": "x"}
EC = {"uri": ECDSA_SHA256, "minimum_bits": 256, "article": "x"}
SHA = {"uri": SHA256, "article": "x"}
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"


def loaded(signatures=(RSA, EC), digests=(SHA,), **more):
    return load_policy({"a.toml": {"signature": list(signatures), "digest": list(digests), **more}})


def mistakes(signatures=(RSA, EC), digests=(SHA,), **more):
    with pytest.raises(Misconfigured) as caught:
        loaded(signatures, digests, **more)
    assert caught.value.code == "conf.algorithms_invalid"
    return {f.path for f in caught.value.findings}


def test_what_is_shipped_says_what_the_code_assumes_without_a_configuration() -> None:
    policy = load_policy({"algorithms.toml": tomllib.loads(SHIPPED.read_text("utf-8"))})
    assert policy == DEFAULT_POLICY
    assert all(row.article for row in (*policy.signatures, *policy.digests))


def test_the_row_of_the_day_of_signing_decides() -> None:
    policy = loaded(
        [
            {**RSA, "valid_to": date(2030, 12, 31)},
            {**RSA, "valid_from": date(2031, 1, 1), "minimum_bits": 3072},
            EC,
        ]
    )
    block = packages.block_of(packages.sign(pki.cast().agency_rsa))
    said = [
        verify(block, packages.HEADER, packages.facts(), policy=policy, at=day).summary()
        for day in (date(2030, 12, 31), date(2031, 1, 1))
    ]
    assert said == ["valid", "weak"]


def test_an_algorithm_that_is_not_listed_does_not_count() -> None:
    block = packages.block_of(packages.sign(pki.cast().agency_ec, ECDSA_SHA256))
    found = verify(block, packages.HEADER, packages.facts(), policy=loaded([RSA]))
    assert found.value is Trust.NOT_CHECKED


def test_a_weak_row_is_read_and_never_produced() -> None:
    policy = loaded([{**RSA, "standing": "weak", "minimum_bits": 1024}, EC])
    row = policy.signature(RSA_SHA256)
    assert row is not None
    assert (row.standing, row.produced) == (Standing.WEAK, False)


@pytest.mark.parametrize(
    ("signatures", "path"),
    [
        ([RSA, EC, {**EC, "uri": "urn:mine"}], "a.toml:signature[2].uri"),
        ([RSA, {**EC, "bits": 1}], "a.toml:signature[1]"),
        ([RSA, {**EC, "minimum_bits": "256"}], "a.toml:signature[1].minimum_bits"),
        ([RSA, {**EC, "standing": "good"}], "a.toml:signature[1].standing"),
        ([RSA, {"uri": ECDSA_SHA256, "minimum_bits": 256}], "a.toml:signature[1]"),
        ([RSA, {**EC, "minimum_bits": 224}], "a.toml:signature[1].minimum_bits"),
        ([{**RSA, "minimum_bits": 1024}], "a.toml:signature[0].minimum_bits"),
        ([RSA, {**RSA, "uri": RSA_SHA1}], "a.toml:signature[1].standing"),
        ([RSA, {**RSA, "valid_from": date(2031, 1, 1)}], "a.toml:signature[1].uri"),
        (
            [EC, {**RSA, "valid_from": date(2031, 1, 1), "valid_to": date(2030, 1, 1)}],
            "a.toml:signature[1].valid_to",
        ),
        ([{**RSA, "valid_to": date(2030, 1, 1)}], "tables.algorithms"),
        (["rsa", EC], "a.toml:signature[0]"),
    ],
)
def test_a_mistake_is_named_with_its_place(signatures, path) -> None:
    assert mistakes(signatures) == {path}


def test_mistakes_in_digests_and_tables_are_named_all_at_once() -> None:
    found = mistakes(digests=[SHA, {**SHA, "uri": SHA1}, {**SHA, "uri": "urn:x"}], rule=[])
    assert found == {"a.toml:digest[1].standing", "a.toml:digest[2].uri", "a.toml:rule"}


TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("hop", "issued", "day"),
    [
        ("2026/11/20 10:00:00", "2026-11-01", date(2026, 11, 20)),
        ("", "2026-11-01", date(2026, 11, 1)),
        ("hôm qua", "không rõ", TODAY),
        ("2031/01/01 00:00:00", "2026-11-01", TODAY),
    ],
)
def test_the_day_of_signing_is_what_the_package_says_and_never_later_than_today(
    hop, issued, day
) -> None:
    header = a_header(
        traces=(TraceHeader("000.00.19.H14", hop),), promulgation=Promulgation("", issued)
    )
    assert signing_day(header, TODAY) == day


def test_without_a_header_the_day_is_today() -> None:
    assert signing_day(None, TODAY) == TODAY
