"""Statements made ready for the driver: text, order of the values, conversions; once each.

SQLAlchemy says what a statement means; its Connection costs more than the database does, so the
executors hand the driver themselves what is prepared here. Comes in: a Core statement and its
params. Goes out: SQL text, values in order, and rows converted back. Fails: Broken for a
statement that may not run in a store function. Never: touches a connection.

A statement kept at module level is compiled once for its life. One that is built inside a
function is compiled on each call (0.2 to 0.5 ms): right for a rare report, wrong in a corridor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Dialect,
    Executable,
    LargeBinary,
    SelectBase,
    TextClause,
    TupleType,
    UpdateBase,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from gateway import errors
from gateway.store.session import Params, Row
from gateway.store.types import Processor

_MISSING: Final = object()
_VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"})
_MOST_TEXTS = 512
_NOTHING: Params = {}


def _refused(why: str) -> errors.Broken:
    return errors.Broken(
        errors.Text("Câu lệnh dữ liệu không được phép", f"statement refused: {why}"),
        code="store.statement",
    )


class Plan:
    """One statement for one dialect and one set of parameter names.

    Holds neither the statement nor SQLAlchemy's compilation of it: `Plans` remembers plans only
    as long as their statements live.
    """

    __slots__ = ("_constants", "_given", "_lists", "_slots", "_texts", "convert", "returns", "text")

    def __init__(self, compiled: SQLCompiler, dialect: Dialect, keys: Iterable[str] = ()) -> None:
        if compiled.insert_prefetch or compiled.update_prefetch:
            raise _refused("Python-side column defaults are never run; pass the value")
        if compiled.literal_execute_params:
            raise _refused("literal_execute")
        slots: list[tuple[str, Any, Processor | None, bool]] = []
        given: list[tuple[int, str, Any, Processor | None]] = []
        constants: list[Any] = []
        for position, name in enumerate(compiled.positiontup or ()):
            bind = compiled.binds[name]
            default = _MISSING if bind.required else bind.value
            listed = bind in compiled.post_compile_params
            processor = (_spread if listed else _processor)(bind.type, dialect)
            slots.append((bind.key, default, processor, listed))
            # a literal of the statement has a name that no caller can know
            constant = bind.unique and not bind.required and not listed
            constants.append(processor(default) if constant and processor else default)
            if not constant:
                given.append((position, bind.key, default, processor))
        unknown = set(keys).difference(key for key, *_ in slots)
        if unknown:  # SQLAlchemy leaves out what it does not know
            raise _refused(f"no such column or parameter: {sorted(unknown)}")
        columns = compiled._result_columns  # noqa: SLF001 - the only place where SQLAlchemy keeps the types of a result; pinned < 2.2
        self.text = compiled.string
        self.returns = bool(columns)
        self.convert = _converter([column.type for column in columns], dialect)
        self._slots = tuple(slots)
        self._given = tuple(given)
        self._constants = constants
        self._lists = tuple({key: default for key, default, _, listed in slots if listed}.items())
        self._texts: dict[tuple[int, ...], str] = {}

    def ready(
        self, params: Params, compiled_again: Callable[[], SQLCompiler]
    ) -> tuple[str, Sequence[Any]]:
        """Text and values for one set of params.

        The text of a statement with IN lists depends only on how long the lists are, so each
        combination of lengths is expanded once; `compiled_again` is called only for that.
        """
        if not self._lists:
            return self.text, self.values(params)
        values: list[Any] = []
        for key, default, processor, listed in self._slots:
            value = _given(params, key, default)
            if processor is not None:
                value = processor(value)
            if listed:
                values.extend(value)
            else:
                values.append(value)
        lengths = tuple([len(_given(params, key, default)) for key, default in self._lists])
        text = self._texts.get(lengths)
        if text is None:
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            text = compiled_again().construct_expanded_state(dict(params)).statement
            self._texts[lengths] = text
        return text, values

    def values(self, params: Params) -> list[Any]:
        if self._lists:
            raise _refused(f"IN list in many rows: {self._lists[0][0]}")
        values = self._constants.copy()
        for position, key, default, processor in self._given:
            value = params.get(key, default)
            if value is _MISSING:
                raise _refused(f"no value: {key}")
            values[position] = value if processor is None else processor(value)
        return values


def _given(params: Params, key: str, default: Any) -> Any:
    value = params.get(key, default)
    if value is _MISSING:
        raise _refused(f"no value: {key}")
    return value


def _processor(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _spread(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    """For IN lists: the values of a list one after the other, those of tuples laid flat."""
    if isinstance(kind, TupleType):
        inner = [_processor(t, dialect) for t in kind.types]
        return lambda rows: [
            value if process is None else process(value)
            for row in rows
            for process, value in zip(inner, row, strict=True)
        ]
    each = _processor(kind, dialect)
    return None if each is None else lambda values: [each(value) for value in values]


def _converter(
    types: Sequence[TypeEngine[Any]], dialect: Dialect
) -> Callable[[list[Row]], list[Row]] | None:
    """None: rows are right as the driver gives them (always so for text())."""
    processors = [
        (index, made)
        for index, kind in enumerate(types)
        if not isinstance(kind, LargeBinary)  # both drivers give bytes
        and (made := kind.dialect_impl(dialect).result_processor(dialect, None))
    ]
    if not processors:
        return None

    def convert(rows: list[Row]) -> list[Row]:
        converted = []
        for row in rows:
            values = list(row)
            for index, process in processors:
                values[index] = process(values[index])
            converted.append(tuple(values))
        return converted

    return convert


class Plans:
    """Every plan of one dialect, shared by all threads of an executor."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._lock = threading.Lock()
        self._known: WeakKeyDictionary[Executable, dict[object, Plan]] = WeakKeyDictionary()

    def one(self, stmt: Executable, params: Params | None) -> tuple[Plan, str, Sequence[Any]]:
        """The plan, text and values of one execution."""
        given = _NOTHING if params is None else params
        keys = tuple(given) if isinstance(stmt, UpdateBase) else ()
        plan = self._plan(stmt, keys, False)
        text, values = plan.ready(given, lambda: self._compile(stmt, keys, False))
        return plan, text, values

    def many(self, stmt: Executable, params: Sequence[Params]) -> tuple[str, list[Sequence[Any]]]:
        """Text and values of one statement for many rows, which all have the keys of the first."""
        if not isinstance(stmt, UpdateBase):
            raise _refused("only INSERT, UPDATE and DELETE take many rows")
        plan = self._plan(stmt, tuple(params[0]), True)
        if plan.returns:
            raise _refused("RETURNING with many rows")
        return plan.text, [plan.values(row) for row in params]

    def _plan(self, stmt: Executable, keys: tuple[str, ...], many: bool) -> Plan:
        made = self._known.get(stmt)
        plan = None if made is None else made.get((keys, many))
        if plan is None:
            with self._lock:
                plan = Plan(self._compile(stmt, keys, many), self._dialect, keys)
                self._known.setdefault(stmt, {})[keys, many] = plan
        return plan

    def _compile(self, stmt: Executable, keys: tuple[str, ...], many: bool) -> SQLCompiler:
        checked = _checked(stmt)
        try:
            compiled = checked.compile(
                dialect=self._dialect, column_keys=list(keys) or None, for_executemany=many
            )
        except SQLAlchemyError as exc:
            raise _refused(str(exc)) from exc
        if not isinstance(compiled, SQLCompiler):
            raise _refused(type(stmt).__name__)
        return compiled


def _checked(stmt: object) -> TextClause | SelectBase | UpdateBase:
    """Only queries and changes of rows: a function that could commit would commit strangers' work
    and one that could change the schema would do so outside the migrations.
    """
    if isinstance(stmt, SelectBase | UpdateBase):
        return stmt
    if isinstance(stmt, TextClause) and stmt.text.split(maxsplit=1)[:1]:
        verb = stmt.text.split(maxsplit=1)[0].upper()
        if verb in _VERBS:
            return stmt
        raise _refused(verb)
    raise _refused(type(stmt).__name__)
