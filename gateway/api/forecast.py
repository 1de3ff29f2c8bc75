"""What is to be expected of the queues, for the people who run the gateway."""

from __future__ import annotations

from aiohttp import web

from gateway.api.asking import json_answer, only
from gateway.api.deps import Call
from gateway.forecasting import Forecasting


async def forecast(call: Call) -> web.Response:
    """When each queue is empty at the present rate, and which documents are too late by then."""
    only(call.request)
    return json_answer(await Forecasting(call.desk).forecast(call.language))
