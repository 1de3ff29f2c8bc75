"""Log lines: one JSON object a line on stdout, the same shape for ours and for libraries'.

In:     an event word and keyword facts; identity bound once at a door by `bound`.
Out:    `{"at", "level", "event", ...}` in UTF-8.
Fails:  never for a value: what JSON cannot hold is written as text.
Never:  shows a secret: keys that name one and bearer tokens in texts are redacted; libraries that
        print bodies at DEBUG stay at WARNING whatever the level (architecture 9, contract 3).

Only this module knows that structlog does the work. Logs may be lost; the ledger may not.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, BinaryIO, TypeAlias

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from gateway.telemetry.events import Event

Logger: TypeAlias = FilteringBoundLogger

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
# They log bodies, headers or statements below WARNING.
QUIET = (
    "aiohttp",
    "alembic",
    "asyncio",
    "botocore",
    "charset_normalizer",
    "lxml",
    "psycopg",
    "requests",
    "signxml",
    "sqlalchemy",
    "urllib3",
    "xmlsec",
    "zeep",
)
REDACTED = "[redacted]"
_SECRET_KEY = re.compile(
    r"secret|passw|token|authori[sz]ation|api_?key|private|credential|cookie"
    r"|(sign|hash)_header|^key$|^pin$"
)
_SECRET_TEXT = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 " + REDACTED),
    (re.compile(r"(?i)\b((?:[a-z0-9+]+)://[^\s:/@]*):[^\s@/]+@"), r"\1:" + REDACTED + "@"),
    (
        re.compile(r"(?i)\b(secret|password|token|api[-_]?key)\s*[=:]\s*[^\s,;&]+"),
        r"\1=" + REDACTED,
    ),
)
# what every text that _SECRET_TEXT would change has in it: one look instead of three
_MAY_BE_SECRET = re.compile(r"(?i)bearer|basic|://|secret|password|token|api[-_]?key")
_FIRST = ("at", "level", "event")
_FRAMES = 12


def configure(level: str = "info", stream: BinaryIO | None = None) -> None:
    """Set up logging of this process; again: the last call holds. `stream`: stdout by default."""
    sink = structlog.BytesLogger(stream or sys.stdout.buffer)
    threshold = LEVELS[level]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *_shape(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _Foreign)]:
        root.removeHandler(handler)
    root.addHandler(_Foreign(sink))
    root.setLevel(threshold)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger(**identity: object) -> Logger:
    """A logger whose lines carry these ids (`worker`, `axis`, `transfer_id` ...)."""
    logger: Logger = structlog.get_logger(**identity)
    return logger


@contextmanager
def bound(**identity: object) -> Iterator[None]:
    """Every line within, in this task and what it starts, carries these ids."""
    with structlog.contextvars.bound_contextvars(**identity):
        yield


def current_trace() -> str:
    """The `traceparent` (W3C Trace Context) of the request being served, "" outside of one."""
    return str(structlog.contextvars.get_contextvars().get("traceparent", ""))


def redacted(value: object, key: str = "") -> object:
    """The value as a log line may show it."""
    if key and value and _names_secret(key):
        return REDACTED
    if isinstance(value, str):
        if not _MAY_BE_SECRET.search(value):
            return value
        for pattern, shown in _SECRET_TEXT:
            value = pattern.sub(shown, value)
        return value
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {str(k): redacted(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(v) for v in value]
    return value


@lru_cache(maxsize=512)
def _names_secret(key: str) -> bool:
    return _SECRET_KEY.search(key.lower().replace("-", "_")) is not None


class _Foreign(logging.Handler):
    """Records of the standard library's logging, in our shape."""

    def __init__(self, sink: structlog.BytesLogger) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        # a child logger may have set a level of its own: the family's limit holds all the same
        if record.levelno < logging.WARNING and record.name.partition(".")[0] in QUIET:
            return
        line: MutableMapping[str, Any] = {
            **structlog.contextvars.get_contextvars(),
            "event": Event.FOREIGN_SAID.value,
            "level": record.levelname.lower(),
            "logger": record.name,
            "detail": record.getMessage(),
        }
        if record.exc_info:
            line["exc_info"] = record.exc_info
        shaped: Any = line
        for processor in _shape():
            shaped = processor(None, record.levelname, shaped)
        self._sink.msg(shaped)


def _shape() -> tuple[Processor, ...]:
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")
    return (stamp, _exception, _redact, _render)


def _exception(_logger: object, _name: str, line: MutableMapping[str, Any]) -> Any:
    """Type, message and frames; never the values of variables."""
    given = line.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        line["exception"] = {
            "type": type(error).__name__,
            "text": str(error)[:500],
            "at": [f"{_module(f.filename)}:{f.lineno} {f.name}" for f in frames],
        }
    return line


def _module(filename: str) -> str:
    """The last two parts of a path: enough to find the line, and no machine's folders."""
    return "/".join(filename.replace("\\", "/").split("/")[-2:])


def _redact(_logger: object, _name: str, line: MutableMapping[str, Any]) -> Any:
    return {key: redacted(value, key) for key, value in line.items()}


def _render(_logger: object, _name: str, line: MutableMapping[str, Any]) -> Any:
    ordered = {key: line[key] for key in _FIRST if key in line}
    ordered.update(line)
    try:
        return msgspec.json.encode(ordered, enc_hook=str)
    except (UnicodeEncodeError, msgspec.EncodeError, TypeError):
        return json.dumps(ordered, default=str, ensure_ascii=True, skipkeys=True).encode("ascii")
