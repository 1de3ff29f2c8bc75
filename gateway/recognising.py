"""Who presents a key: what is asked with every request, so remembered for a moment.

In:     a presented key, `edoc_<account id>_<secret>`.
Out:    the account whose key it is.
Fails:  Unauthenticated, with one sentence for a wrong key, a revoked one and none at all.
Never:  keeps or says a secret: keys are compared by their hash, in constant time. Relies on what
        another process may have changed for longer than `RELIED_ON`.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import NamedTuple

from gateway.errors import Text, Unauthenticated
from gateway.store import Store, accounts
from gateway.store.accounts import Account

KEY_PREFIX = "edoc"
RELIED_ON = 1.0  # seconds: a key that another process revoked is refused this much later at most


class _Remembered(NamedTuple):
    account: Account
    generation: int
    until: float  # of time.monotonic


class Recognising:
    """One for a process. A key revoked here is refused once its revoking is committed."""

    def __init__(self, store: Store, *, relied_on: float = RELIED_ON) -> None:
        self._store = store
        self._relied_on = relied_on
        self._accounts: dict[str, _Remembered] = {}

    async def authenticate(self, presented: str) -> Account:
        prefix, _, rest = presented.partition("_")
        account_id, _, secret = rest.partition("_")
        if prefix == KEY_PREFIX and account_id and secret:
            found = await self._account(account_id)
            digest = hashlib.sha256(secret.encode()).hexdigest()
            if (
                found is not None
                and hmac.compare_digest(found.key_hash, digest)
                and found.revoked_at is None
            ):
                return found
        raise Unauthenticated(
            Text("Khóa truy cập không đúng hoặc đã bị thu hồi", "the key is wrong or was revoked")
        )

    async def _account(self, account_id: str) -> Account | None:
        generation, asked = self._store.generation(accounts.CHANNEL), time.monotonic()
        held = self._accounts.get(account_id)
        if held is not None and held.generation == generation and asked < held.until:
            return held.account
        found = await self._store.read(lambda tx: accounts.by_id(tx, account_id))
        if found is None:
            self._accounts.pop(account_id, None)
        else:
            self._accounts[account_id] = _Remembered(found, generation, asked + self._relied_on)
        return found
