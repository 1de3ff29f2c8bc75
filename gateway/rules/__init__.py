"""The law as dated data: what a document must contain, what may never pass, what it is worth.

In:     a submission, or a package's header and files; the instant of judging; a RuleSet.
Out:    Findings, all at once; the legal value of the document.
Fails:  Misconfigured, when the rule files contradict themselves (every mistake at once).
Never:  reads a file, a clock or the network; changes a field; repeats content in a finding.
Next:   routing says where the document goes; packing writes it.

A corrected regulation is a change in conf/rules/*.toml: close the old rule with `valid_to`, add
the new one with `valid_from`. The checks themselves (what "required" means) are in `kinds.py`.
"""

from gateway.rules.checks import (
    LegalValue,
    check_package,
    check_secrecy,
    check_submission,
    legal_value,
)
from gateway.rules.ruleset import RuleSet, load_rules, vietnam_day

__all__ = [
    "LegalValue",
    "RuleSet",
    "check_package",
    "check_secrecy",
    "check_submission",
    "legal_value",
    "load_rules",
    "vietnam_day",
]
