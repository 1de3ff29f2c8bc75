"""A simulated provincial REST axis and its client, for tests."""

from __future__ import annotations

import contextlib

from adapters.lgsp_rest.axis import RestAxis, RestSettings
from adapters.lgsp_rest.profile import read_profile
from adapters.lgsp_rest.simulator import SimulatorSettings, start
from tests.support.axes import SYSTEMS, FixedClock


@contextlib.asynccontextmanager
async def rest_simulator(folder, clock=None, **changes):
    """Running, with `SYSTEMS`; `changes`: fields of its settings."""
    settings = SimulatorSettings(**{"systems": SYSTEMS, "folder": folder, **changes})
    simulated = await start(settings, clock or FixedClock())
    try:
        yield simulated
    finally:
        await simulated.close()


def rest_settings(url, system_id="exp.sys.01", **changes):
    secret = SYSTEMS[system_id][0]
    values = {
        "name": "province",
        "endpoint": url,
        "system_id": system_id,
        "secret": secret,
        "username": system_id,
        "password": secret,
        "profile": read_profile(),
    }
    return RestSettings(**{**values, **changes})


@contextlib.asynccontextmanager
async def rest_axis(url, system_id="exp.sys.01", clock=None, **changes):
    axis = RestAxis(rest_settings(url, system_id, **changes), clock or FixedClock())
    try:
        yield axis
    finally:
        await axis.close()
