"""Accounts of unit systems, ops and auditors. Only the hash of a key is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from gateway.store.session import Tx
from gateway.store.tables import Role, account


class Account(NamedTuple):
    """`agencies`: the codes this key speaks for, as they were given."""

    id: str
    name: str
    role: Role
    agencies: tuple[str, ...]
    key_hash: str
    created_at: datetime
    revoked_at: datetime | None


_COLUMNS = (
    account.c.id,
    account.c.name,
    account.c.role,
    account.c.agencies,
    account.c.key_hash,
    account.c.created_at,
    account.c.revoked_at,
)
_INSERT = insert(account)
_BY_ID = select(*_COLUMNS).where(account.c.id == bindparam("id"))
_ALL = select(*_COLUMNS).order_by(account.c.id)
_REVOKE = (
    update(account)
    .where(account.c.id == bindparam("account_id"), account.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
)


CHANNEL = "accounts"


def _account(row: Sequence[object]) -> Account:
    made = Account._make(row)
    return made._replace(role=Role(made.role), agencies=tuple(made.agencies))


def add(tx: Tx, new: Account) -> None:
    tx.execute(
        _INSERT,
        {**new._asdict(), "role": new.role.value, "agencies": list(new.agencies)},
    )
    tx.notify(CHANNEL)


def by_id(tx: Tx, account_id: str) -> Account | None:
    row = tx.execute(_BY_ID, {"id": account_id}).one_or_none()
    return None if row is None else _account(row)


def everyone(tx: Tx) -> list[Account]:
    return [_account(row) for row in tx.execute(_ALL).all()]


def revoke(tx: Tx, account_id: str, at: datetime) -> bool:
    """False when there is no such account or it was revoked before."""
    tx.notify(CHANNEL)
    return tx.execute(_REVOKE, {"account_id": account_id, "at": at}).count == 1
