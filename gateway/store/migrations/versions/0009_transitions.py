"""No row's state changes but along its table of transitions.

The lists are what the model says at this revision (`model/steps.py`); a later revision that adds
an edge says `ddl.drop_moves` and `ddl.moves` again. tests/architecture holds them to the model.
"""

from __future__ import annotations

from gateway.store.migrations import ddl

revision = "0009"
down_revision = "0008"

TRANSFER = {
    "ACCEPTED": ("SEALED", "HELD", "WITHDRAWN"),
    "SEALED": ("SENDING", "HELD", "EXPIRED", "WITHDRAWN", "REROUTED"),
    "SENDING": ("ON_AXIS", "DEFERRED", "REFUSED", "UNCERTAIN", "HELD", "EXPIRED"),
    "DEFERRED": ("SENDING", "ON_AXIS", "HELD", "EXPIRED", "WITHDRAWN", "REROUTED"),
    "REFUSED": ("ON_AXIS",),
    "UNCERTAIN": ("SENDING", "ON_AXIS", "HELD"),
    "HELD": ("ACCEPTED", "SEALED", "ON_AXIS", "EXPIRED", "WITHDRAWN", "REROUTED"),
    "EXPIRED": ("ON_AXIS",),
}
FETCH = {
    "DUE": ("FETCHED", "HELD"),
    "HELD": ("DUE", "FETCHED"),
}
ARRIVAL = {
    "RECEIVED": ("OPENED", "DUPLICATE", "ORPHAN", "QUARANTINED"),
    "ORPHAN": ("OPENED",),
    "QUARANTINED": ("OPENED", "RETURNED"),
}
DOCUMENT = {
    "WAITING": ("LEASED", "ENTERED", "REFUSED", "RECALLED"),
    "LEASED": ("WAITING", "ENTERED", "REFUSED", "RECALLED"),
    "ENTERED": ("REFUSED", "RECALLED"),
}
NOTICE = {
    "WAITING": ("LEASED", "SEEN"),
    "LEASED": ("WAITING", "SEEN"),
}


def upgrade() -> None:
    ddl.transition_function()
    ddl.moves("transfer", {"": TRANSFER})
    ddl.moves("fetch", {"": FETCH})
    ddl.moves("arrival", {"": ARRIVAL})
    ddl.moves("inbox_item", {"document": DOCUMENT, "status": NOTICE, "report": NOTICE})
