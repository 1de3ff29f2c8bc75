"""Column types that mean the same on both databases.

Comes in: Python values of the model. Goes out: what the driver stores, and back.
Fails: a naive datetime (Broken). Never: personal conversions of one statement; those live there.
Each type hands SQLAlchemy a plain function for its dialect: this is the hot path of every
commit, so nothing is decided per value that can be decided once per statement.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from gateway import errors

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode

Processor = Callable[[Any], Any]


def to_microseconds(at: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exactly; what SQLite stores and compares."""
    if at.tzinfo is None:
        raise errors.Broken(
            errors.Text("Mốc thời gian thiếu múi giờ", "an instant without a zone"),
            code="store.naive_instant",
        )
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def _instant_in(value: datetime | None) -> int | None:
    return None if value is None else to_microseconds(value)


def _instant_out(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def _aware(value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        to_microseconds(value)  # PostgreSQL would guess the session's zone; refuse alike
    return value


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class Instant(TypeDecorator[datetime]):
    """Aware UTC, microseconds (architecture 4, clocks): INTEGER on SQLite, TIMESTAMPTZ else."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)

    def bind_processor(self, dialect: Dialect) -> Processor:
        return _instant_in if dialect.name == "sqlite" else _aware

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:  # noqa: ARG002 - SQLAlchemy's signature
        return _instant_out if dialect.name == "sqlite" else _in_utc


def _json_in(value: object) -> str:
    return _to_json(value).decode()


def _json_out(value: str | None) -> Any:
    return None if value is None else _from_json(value)


class Json(TypeDecorator[Any]):
    """A structure stored and given back whole, never searched: compact text on both databases."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Processor:  # noqa: ARG002 - same on both
        return _json_in

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:  # noqa: ARG002 - same on both
        return _json_out
