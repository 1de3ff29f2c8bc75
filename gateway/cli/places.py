"""Where things are: the configuration of a gateway, and what came with the program.

In:     `--conf` or EDOC_GATEWAY_CONF.
Out:    Settings; the folder `conf` of the program itself, from a checkout or an installed wheel.
Fails:  Misconfigured (`conf.not_named`) when nobody said which gateway is meant.
Never:  guesses a gateway: a command that changed the wrong one would be worse than none.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import gateway
from gateway.errors import Misconfigured, Text

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.packing.profile import Profile
    from gateway.rules import RuleSet
    from gateway.signing import Policy


def packaged_conf() -> Path:
    """Rules and agencies as they came: `conf` stands beside the package `gateway`."""
    return Path(gateway.__file__).parent.parent / "conf"


def rule_set() -> RuleSet:
    """The rules that came with the program, for commands without a gateway."""
    from gateway.rules import load_rules

    files = sorted((packaged_conf() / "rules").glob("*.toml"))
    return load_rules({f.name: tomllib.loads(f.read_text("utf-8")) for f in files})


def profile() -> Profile:
    """The profile of QCVN 102 that came with the program."""
    from gateway.packing.profile import load_profile

    files = sorted((packaged_conf() / "profile").glob("*.toml"))
    return load_profile({f.name: tomllib.loads(f.read_text("utf-8")) for f in files})


def algorithms() -> Policy:
    """The algorithms of signatures that came with the program, by their periods."""
    from gateway.signing.algorithms import load_policy

    file = packaged_conf() / "algorithms.toml"
    return load_policy({file.name: tomllib.loads(file.read_text("utf-8"))})


def named(conf: str | None, *, or_asked: bool = False) -> Path:
    """`or_asked`: the command can also ask a running gateway, whose address would do."""
    if not conf:
        url = " (hoặc EDOC_GATEWAY_URL)", " (or EDOC_GATEWAY_URL)"
        vi, en = url if or_asked else ("", "")
        raise Misconfigured(
            Text(
                f"Chưa biết gateway nào: dùng --conf hoặc EDOC_GATEWAY_CONF{vi}",
                f"which gateway? give --conf or EDOC_GATEWAY_CONF{en}",
            ),
            code="conf.not_named",
        )
    return Path(conf)


def settings(conf: str | None, *, files: bool = True) -> Settings:
    """`files=False`: private files that it names need not be here (an auditor's copy)."""
    from gateway import config

    return config.load(named(conf), files=files)
