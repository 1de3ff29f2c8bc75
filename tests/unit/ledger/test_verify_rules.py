"""What a finding of the ledger cites is public, and its code is one that the page explains."""

import re

from gateway.ledger.verify import _RULES
from tests.support.commands import ROOT

PUBLIC = re.compile(r"RFC 9162, 2\.1\.\d|C2SP tlog-checkpoint|RFC 3161")


def test_a_finding_cites_a_document_that_everybody_can_read() -> None:
    assert _RULES
    for code, cited in _RULES.items():
        assert PUBLIC.fullmatch(cited), code


def test_what_cites_a_document_is_explained_on_the_page_of_the_format() -> None:
    page = (ROOT / "docs/ledger-format.md").read_text("utf-8")
    assert set(_RULES) <= set(re.findall(r"`(ledger\.\w+)`", page))
    source = (ROOT / "gateway/ledger/verify.py").read_text("utf-8")
    for code in _RULES:
        assert source.count(f'"{code}"') >= 2, f"{code} is never found"
