"""Scenarios: faults written down, with a seed, so that a run can be had again.

In:     a TOML or JSON file, or the same as JSON over a control request.
Out:    `Scenario`: the plan's faults, the seed, accounts, whether the axis recognises repeats.
Fails:  Misconfigured, naming the file; ValueError or TypeError for content that came otherwise.
Never:  passes over a word that it does not know.

    seed = 7                    chance is drawn from it; 0 when absent
    dedupe = false              whether a repeated sendEdoc is recognised; absent: as before
    repeat = true               after the last phase the first one comes again
    [[fault]]                   always: the fields of `Fault`
    [[phase]] requests = 40     so many requests of each operation; none: to the end
    [[phase.fault]]             only in this phase
    [systems."id"]              accounts to serve: `secret`, `codes`
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from adapters.faults.plan import Fault
from gateway.errors import Misconfigured, Text

_WORDS = frozenset({"seed", "dedupe", "repeat", "fault", "phase", "systems"})
_PHASE_WORDS = frozenset({"name", "requests", "fault"})
_FAULT_WORDS = frozenset(f.name for f in fields(Fault)) - {"draw"}
_RANGES = ("first", "last", "every")


@dataclass(frozen=True, slots=True)
class Scenario:
    """`faults`: the plan, phases included. `dedupe` None: not its business.

    `systems`: account -> (secret, codes) to serve instead of the default ones; may be empty.
    """

    faults: tuple[Fault, ...] = ()
    systems: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    seed: int = 0
    dedupe: bool | None = None


def faults_from(entries: object) -> tuple[Fault, ...]:
    """A list of objects with the fields of `Fault`. Raises ValueError or TypeError."""
    if not isinstance(entries, list):
        raise TypeError("faults are a list")
    for entry in entries:
        if not isinstance(entry, dict):
            raise TypeError("a fault is a table")
        _known(entry, _FAULT_WORDS)
    return tuple(Fault(**entry) for entry in entries)


def scenario_from(content: object) -> Scenario:
    """A scenario as parsed TOML or JSON. Raises ValueError, TypeError or KeyError."""
    if not isinstance(content, dict):
        raise TypeError("a scenario is a table")
    _known(content, _WORDS)
    seed, dedupe, repeat = content.get("seed", 0), content.get("dedupe"), content.get("repeat")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError("seed is a whole number")
    if not isinstance(dedupe, bool | None) or not isinstance(repeat, bool | None):
        raise TypeError("dedupe and repeat are true or false")
    systems = {
        str(system_id): (str(system["secret"]), tuple(str(c) for c in system["codes"]))
        for system_id, system in dict(content.get("systems", {})).items()
    }
    always = faults_from(content.get("fault", []))
    phased = _phased(content.get("phase", []), repeat=bool(repeat))
    return Scenario((*phased, *always), systems, seed, dedupe)


def _phased(phases: object, *, repeat: bool) -> tuple[Fault, ...]:
    if not isinstance(phases, list):
        raise TypeError("phases are a list")
    lengths = [_length(phase) for phase in phases]
    if any(length is None for length in lengths[:-1]) or (repeat and None in lengths):
        raise ValueError("only a last phase that is not repeated goes on to the end")
    whole = sum(length or 0 for length in lengths)
    made: list[Fault] = []
    begun = 1
    for phase, length in zip(phases, lengths, strict=True):
        for fault, entry in zip(
            faults_from(phase.get("fault", [])), phase.get("fault", []), strict=True
        ):
            if any(word in entry for word in _RANGES):
                raise ValueError("a fault of a phase has no range of its own")
            last = None if length is None else begun + length - 1
            made.append(replace(fault, first=begun, last=last, every=whole if repeat else None))
        begun += length or 0
    return tuple(made)


def _length(phase: object) -> int | None:
    if not isinstance(phase, dict):
        raise TypeError("a phase is a table")
    _known(phase, _PHASE_WORDS)
    length = phase.get("requests")
    if length is None:
        return None
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ValueError("a phase has one request or more")
    return length


def _known(table: Mapping[str, object], words: frozenset[str]) -> None:
    if unknown := sorted(set(table) - words):
        raise ValueError(f"unknown: {', '.join(map(str, unknown))}")


def read_fault_file(path: Path) -> Scenario:
    """The scenario in a TOML file, or the same as JSON. Raises Misconfigured, naming the file."""
    try:
        text = path.read_text("utf-8")
        return scenario_from(tomllib.loads(text) if path.suffix == ".toml" else json.loads(text))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Misconfigured(
            Text(f"Tệp lỗi mô phỏng {path}: {error}", f"fault file {path}: {error}"),
            code="simulator.faults_invalid",
        ) from error
