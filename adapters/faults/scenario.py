"""Scenarios: faults written down, with a seed, so that a run can be had again.

In:     a TOML or JSON file, or the same as JSON over a control request.
Out:    `Scenario`: the plan's faults, the seed, accounts, whether the axis recognises repeats.
Fails:  Misconfigured, naming the file and every mistake in it; Mistakes for content that came
        otherwise.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from adapters.faults.plan import Fault
from gateway.errors import Finding, Misconfigured, Severity, Text

_WORDS = frozenset({"seed", "dedupe", "repeat", "fault", "phase", "systems"})
_PHASE_WORDS = frozenset({"name", "requests", "fault"})
_FAULT_WORDS = frozenset(f.name for f in fields(Fault)) - {"draw"}
_RANGES = ("first", "last", "every")
_CODE = "simulator.faults_invalid"
_WHOLE, _NUMBER = (int, "a whole number"), (int | float, "a number")
_TYPES: Mapping[str, tuple[Any, str]] = {
    "kind": (str, "a string"),
    "operation": (str, "a string"),
    "code": (str, "a string"),
    "after": (bool, "true or false"),
    **dict.fromkeys(("times", "status", *_RANGES), _WHOLE),
    **dict.fromkeys(("seconds", "rate", "upto"), _NUMBER),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """`faults`: the plan, phases included. `dedupe` None: not its business.

    `systems`: account -> (secret, codes) to serve instead of the default ones; may be empty.
    """

    faults: tuple[Fault, ...] = ()
    systems: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    seed: int = 0
    dedupe: bool | None = None


class Mistakes(ValueError):
    """Everything that is wrong with a scenario: where, and what."""

    def __init__(self, found: Sequence[tuple[str, str]]) -> None:
        self.found = tuple(found)
        super().__init__("; ".join(f"{place}: {said}" if place else said for place, said in found))


@dataclass(slots=True)
class _Judge:
    """`operations`: those of the protocol, where they are known."""

    operations: frozenset[str] | None = None
    found: list[tuple[str, str]] = field(default_factory=list)

    def say(self, place: str, said: str) -> None:
        self.found.append((place, said))

    def known(self, table: Mapping[str, object], words: frozenset[str], place: str) -> None:
        if unknown := sorted(map(str, set(table) - words)):
            self.say(place, f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(words))}")

    def table(self, value: object, place: str) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        self.say(place, "it is a table")
        return {}

    def tables(self, value: object, place: str) -> list[Any]:
        if isinstance(value, list):
            return value
        self.say(place, "it is a list of tables")
        return []

    def faults(self, entries: object, place: str) -> list[Fault]:
        made = []
        for number, entry in enumerate(self.tables(entries, place)):
            here = f"{place}[{number}]"
            if (fault := self.fault(self.table(entry, here), here)) is not None:
                made.append(fault)
        return made

    def fault(self, entry: Mapping[str, Any], place: str) -> Fault | None:
        before = len(self.found)
        if not entry:
            if len(self.found) == before:
                self.say(place, "kind is missing")
            return None
        self.known(entry, _FAULT_WORDS, place)
        for word, (kinds, noun) in _TYPES.items():
            value = entry.get(word)
            if value is None and word != "kind":
                continue
            if value is None:
                self.say(place, "kind is missing")
            elif not isinstance(value, kinds) or (isinstance(value, bool) and word != "after"):
                self.say(f"{place}.{word}", f"it is {noun}")
        operation = entry.get("operation", "*")
        known = None if self.operations is None else {"*", *self.operations}
        if known is not None and isinstance(operation, str) and operation not in known:
            listed = ", ".join(sorted(known))
            self.say(f"{place}.operation", f"no operation {operation}; there are {listed}")
        if any(where != f"{place}.operation" for where, _ in self.found[before:]):
            return None
        try:
            return Fault(**entry)
        except ValueError as wrong:
            self.say(place, str(wrong))
            return None


def faults_from(entries: object) -> tuple[Fault, ...]:
    """A list of objects with the fields of `Fault`. Raises Mistakes."""
    judge = _Judge()
    made = judge.faults(entries, "fault")
    if judge.found:
        raise Mistakes(judge.found)
    return tuple(made)


def scenario_from(content: object, operations: frozenset[str] | None = None) -> Scenario:
    """A scenario as parsed TOML or JSON. Raises Mistakes with everything that is wrong.

    `operations`: those that there are; None: whoever asks does not know.
    """
    judge = _Judge(operations)
    told = judge.table(content, "")
    judge.known(told, _WORDS, "")
    seed, dedupe, repeat = told.get("seed", 0), told.get("dedupe"), told.get("repeat")
    if not isinstance(seed, int) or isinstance(seed, bool):
        judge.say("seed", "it is a whole number")
    for word, value in (("dedupe", dedupe), ("repeat", repeat)):
        if not isinstance(value, bool | None):
            judge.say(word, "it is true or false")
    systems = _systems(told.get("systems", {}), judge)
    always = judge.faults(told.get("fault", []), "fault")
    phased = _phased(told.get("phase", []), judge, repeat=bool(repeat))
    if judge.found:
        raise Mistakes(judge.found)
    return Scenario((*phased, *always), systems, seed, dedupe)


def _systems(told: object, judge: _Judge) -> dict[str, tuple[str, tuple[str, ...]]]:
    made = {}
    for system_id, system in judge.table(told, "systems").items():
        place = f"systems.{system_id}"
        values = judge.table(system, place)
        secret, codes = values.get("secret"), values.get("codes")
        if isinstance(secret, str) and isinstance(codes, list):
            made[str(system_id)] = (secret, tuple(str(code) for code in codes))
        else:
            judge.say(place, "it has a secret (a string) and codes (a list of strings)")
    return made


def _phased(told: object, judge: _Judge, *, repeat: bool) -> tuple[Fault, ...]:
    phases = [
        judge.table(phase, f"phase[{number}]")
        for number, phase in enumerate(judge.tables(told, "phase"))
    ]
    lengths = [_length(phase, judge, f"phase[{number}]") for number, phase in enumerate(phases)]
    if any(length is None for length in lengths[:-1]) or (repeat and None in lengths):
        judge.say("phase", "only a last phase that is not repeated goes on to the end")
    whole = sum(length or 0 for length in lengths)
    made: list[Fault] = []
    begun = 1
    for number, (phase, length) in enumerate(zip(phases, lengths, strict=True)):
        place = f"phase[{number}].fault"
        entries = judge.tables(phase.get("fault", []), place)
        for at, entry in enumerate(entries):
            if isinstance(entry, dict) and any(word in entry for word in _RANGES):
                judge.say(f"{place}[{at}]", "a fault of a phase has no range of its own")
        last = None if length is None else begun + length - 1
        every = whole if repeat else None
        for fault in judge.faults(entries, place):
            if not judge.found:  # numbers that make no sense have no range either
                fault = replace(fault, first=begun, last=last, every=every)  # noqa: PLW2901
            made.append(fault)
        begun += length or 0
    return tuple(made)


def _length(phase: Mapping[str, Any], judge: _Judge, place: str) -> int | None:
    judge.known(phase, _PHASE_WORDS, place)
    length = phase.get("requests")
    if length is None:
        return None
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        judge.say(f"{place}.requests", "a phase has one request or more")
        return 1
    return length


def read_fault_file(path: Path, operations: frozenset[str] | None = None) -> Scenario:
    """The scenario in a TOML file, or the same as JSON. Raises Misconfigured with every mistake,
    each at its place in the file.
    """
    try:
        text = path.read_text("utf-8")
        told = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        return scenario_from(told, operations)
    except Mistakes as wrong:
        findings = tuple(
            Finding(f"{path}:{place}", _CODE, Severity.ERROR, Text(said, said))
            for place, said in wrong.found
        )
        raise Misconfigured(
            Text(f"Tệp lỗi mô phỏng {path} có lỗi", f"the fault file {path} has mistakes"),
            code=_CODE,
            findings=findings,
        ) from wrong
    except (OSError, ValueError, RecursionError) as error:
        raise Misconfigured(
            Text(f"Tệp lỗi mô phỏng {path}: {error}", f"fault file {path}: {error}"),
            code=_CODE,
        ) from error
