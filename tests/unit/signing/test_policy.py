"""Which algorithms count on which day."""

from dataclasses import replace
from datetime import date

import pytest

from gateway.model.package import Trust
from gateway.signing import DEFAULT_POLICY, ECDSA_SHA256, RSA_SHA256, SHA256
from gateway.signing.policy import Standing
from gateway.signing.verify import verify
from tests.support import pki
from tests.support import signed_packages as packages

SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"


def dated(*rows):
    others = tuple(m for m in DEFAULT_POLICY.signatures if m.uri != ECDSA_SHA256)
    return replace(DEFAULT_POLICY, signatures=(*rows, *others))


def test_exactly_two_algorithms_are_produced_and_both_are_trusted():
    produced = {m.uri for m in DEFAULT_POLICY.signatures if m.produced}
    assert produced == {RSA_SHA256, ECDSA_SHA256}
    assert all(m.standing is Standing.TRUSTED for m in DEFAULT_POLICY.signatures if m.produced)


def test_nothing_with_sha1_or_md5_is_trusted():
    for row in (*DEFAULT_POLICY.signatures, *DEFAULT_POLICY.digests):
        if row.uri.lower().endswith(("sha1", "md5")):
            assert row.standing is Standing.WEAK


def test_every_uri_stands_once():
    for rows in (DEFAULT_POLICY.signatures, DEFAULT_POLICY.digests):
        assert len({r.uri for r in rows}) == len(rows)


def test_only_the_digest_that_the_reader_computes_is_compared():
    assert [d.uri for d in DEFAULT_POLICY.digests if d.computed] == [SHA256]


@pytest.mark.parametrize(
    ("day", "verdict"),
    [
        (date(2019, 12, 31), Trust.NOT_CHECKED),
        (date(2020, 1, 1), Trust.VALID),
        (date(2029, 12, 31), Trust.VALID),
        (date(2030, 1, 1), Trust.WEAK),
        (None, Trust.WEAK),
    ],
)
def test_the_row_in_force_on_the_day_of_signing_decides(day, verdict):
    row = DEFAULT_POLICY.signature(ECDSA_SHA256)
    assert row is not None
    policy = dated(
        replace(row, since=date(2020, 1, 1), until=date(2029, 12, 31)),
        replace(row, since=date(2030, 1, 1), standing=Standing.WEAK),
    )
    leaf = pki.cast().agency_ec
    block = packages.block_of(packages.sign(leaf, ECDSA_SHA256))
    found = verify(block, packages.HEADER, packages.facts(), policy=policy, at=day)
    assert found.value is verdict


def test_a_larger_minimum_makes_a_key_weak_from_its_day_on():
    row = DEFAULT_POLICY.signature(RSA_SHA256)
    assert row is not None
    policy = replace(
        DEFAULT_POLICY,
        signatures=(
            replace(row, until=date(2030, 12, 31)),
            replace(row, since=date(2031, 1, 1), minimum_bits=3072),
        ),
    )
    block = packages.block_of(packages.sign(pki.cast().agency_rsa))
    header, files = packages.HEADER, packages.facts()
    before = verify(block, header, files, policy=policy, at=date(2030, 12, 31))
    after = verify(block, header, files, policy=policy, at=date(2031, 1, 1))
    assert (before.summary(), after.summary()) == ("valid", "weak")
