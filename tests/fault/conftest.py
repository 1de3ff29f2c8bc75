"""Fault tests make noise: only errors are shown, and only of tests that fail."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from gateway.telemetry import logs


@pytest.fixture(autouse=True, scope="module")
def _errors_only() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    before = structlog.get_config()
    assert sys.__stderr__ is not None
    logs.configure("error", sys.__stderr__.buffer)
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
