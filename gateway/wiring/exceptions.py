"""What a configuration allows against the rule, written into the ledger: once for each change.

In:     frozen Settings; the pen and the store of a process that starts.
Out:    a record `conf.exception` when the exceptions are others than those recorded last.
Fails:  Unavailable when the store cannot be written: then the process does not start.
Never:  allows anything; `config` has judged the reasons before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gateway.alarming import Unencrypted
from gateway.c14n import JsonValue
from gateway.config import Settings
from gateway.config.clear import in_the_clear, reason_of
from gateway.scribe import Scribe
from gateway.store import Store, Tx, ledger, noted
from gateway.telemetry.events import Event

NAME = "conf.exception"
NONE = "[]"


def unencrypted(settings: Settings) -> list[Unencrypted]:
    """Axes, and the object store, that are spoken to in the clear; no endpoint has an account in
    it (config).
    """
    return [
        *(Unencrypted(a.name, a.endpoint, reason_of(a)) for a in in_the_clear(settings.axis)),
        *(Unencrypted("blobs", b.endpoint, reason_of(b)) for b in in_the_clear([settings.blobs])),
    ]


async def record_exceptions(store: Store, scribe: Scribe, found: Sequence[Unencrypted]) -> bool:
    """True when a record was written: a first exception, another one, or none any more."""
    listed: list[JsonValue] = [
        {"axis": one.axis, "endpoint": one.endpoint, "rule": "http", "reason": one.reason}
        for one in found
    ]
    value = json.dumps(listed, ensure_ascii=False, sort_keys=True)
    made = scribe.record(Event.CONF_EXCEPTION, scribe.now(), {}, {"exceptions": listed})

    def commit(tx: Tx) -> bool:
        if not noted.changed(tx, NAME, value, first=NONE):
            return False
        ledger.append(tx, [made])
        return True

    return await store.write(commit)
