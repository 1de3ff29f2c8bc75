"""Who owns which agency code on the simulated axis, and the three agency lists (vxp-protocol 3).

Codes are matched in both written forms (edxml-format 7). Registered agencies are kept in the
simulator's store, configured ones are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from adapters.vxp import wire
from adapters.vxp.simulator_store import RegisteredAgency, SimulatorStore
from gateway.errors import Rejected
from gateway.model.agency import AgencyCode


def agency_key(code: str) -> str:
    """Equal for every way to write one agency's code."""
    try:
        return AgencyCode(code.strip()).match_key()
    except Rejected:
        return code.strip().upper()


def _forms(code: str) -> tuple[str, str]:
    """(form of decision 20/2020, form of QCVN 102 or "")."""
    try:
        agency = AgencyCode(code)
    except Rejected:
        return code, ""
    newer = agency.as_new_form()
    return (newer, code) if newer else (code, agency.as_old_form() or "")


class Directory:
    """`systems`: account -> (secret, codes), as configured."""

    def __init__(
        self, systems: Mapping[str, tuple[str, tuple[str, ...]]], store: SimulatorStore
    ) -> None:
        self._store = store
        self._configured = [
            RegisteredAgency(code, system, code, "", code, "")
            for system, (_, codes) in systems.items()
            for code in codes
        ]
        rows = (*self._configured, *store.agencies())
        self._owners = {agency_key(row.code): row.system_id for row in rows}

    def owner(self, code: str) -> str | None:
        """The system that stands for this agency."""
        return self._owners.get(agency_key(code))

    def register(self, system_id: str, body: bytes) -> bool:
        """False when the JSON is unusable or the code belongs to another system."""
        try:
            fields = json.loads(body)
        except ValueError:
            return False
        if not isinstance(fields, dict):
            return False

        def text(name: str) -> str:
            return wire.text_of(fields.get(name))

        code = text("code")
        if not code or self.owner(code) not in {None, system_id}:
            return False
        self._store.register(
            RegisteredAgency(code, system_id, text("id"), text("pcode"), text("name"), text("mail"))
        )
        self._owners[agency_key(code)] = system_id
        return True

    def delete(self, system_id: str, code: str) -> bool:
        """False when this system registered no such agency."""
        if not self._store.unregister(code, system_id):
            return False
        del self._owners[agency_key(code)]
        return True

    def _rows(self) -> list[RegisteredAgency]:
        return [*self._configured, *self._store.agencies()]

    def agencies(self) -> list[dict[str, str]]:
        return [
            {**_common(row), "pid": row.pcode, "oldCode": _forms(row.code)[1]}
            for row in self._rows()
        ]

    def agencies_qd20(self) -> list[dict[str, str]]:
        return [
            {**_common(row), "code": _forms(row.code)[0], "code102": _forms(row.code)[1]}
            for row in self._rows()
        ]

    def units(self) -> list[dict[str, object]]:
        return [
            {
                **_common(row),
                "pid": row.pcode,
                "centerCode": "",
                "modifyDate": "",
                "version": 1,
                "deleted": False,
                "isAgency": True,
            }
            for row in self._rows()
        ]


def _common(row: RegisteredAgency) -> dict[str, str]:
    return {"id": row.id, "code": row.code, "name": row.name, "mail": row.mail}
