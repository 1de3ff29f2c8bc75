"""The bearer token of one account: asked for once, renewed before it ends, dropped when refused.

In:     the account, the profile's login, a clock, a session.
Out:    a token fit for a header.
Fails:  NotLoggedIn, with why: nothing was sent, so there is never a doubt about a package.
Never:  puts user name, password or token into an address, an outcome or a log; asks twice at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import aiohttp
from yarl import URL

from adapters.lgsp_rest.outcomes import DENIED, Judge
from adapters.lgsp_rest.settings import RestSettings, header_safe
from adapters.lgsp_rest.words import parsed, text_of
from adapters.remote import REMOTE_FAULTS, small_body
from gateway.model.outcome import Deferred
from gateway.ports import Clock

_LONGEST_TOKEN = 16 * 1024


class NotLoggedIn(Exception):
    """`outcome`: why there is no token."""

    def __init__(self, outcome: Deferred) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


class Login:
    """One per axis; safe for many concurrent calls."""

    def __init__(
        self,
        settings: RestSettings,
        judge: Judge,
        clock: Clock,
        session: Callable[[], aiohttp.ClientSession],
    ) -> None:
        asked = settings.profile.login
        self._settings = settings
        self._judge = judge
        self._clock = clock
        self._session = session
        base = settings.endpoint.rstrip("/")
        self._url = URL(f"{base}/{settings.profile.paths.login}").with_query(dict(asked.query))
        self._good_for = timedelta(seconds=asked.lifetime - asked.renew_before)
        self._asking = asyncio.Lock()
        self._token = ""
        self._renew_at: datetime | None = None

    async def token(self) -> str:
        """A token that is not about to end. Raises NotLoggedIn."""
        async with self._asking:
            now = self._clock.now()
            if not self._token or self._renew_at is None or now >= self._renew_at:
                self._token = self._judge.secrets["token"] = await self._ask()
                self._renew_at = now + self._good_for
            return self._token

    def drop(self, token: str) -> None:
        """This one was refused; a newer one, fetched meanwhile, stays."""
        if token == self._token:
            self._token = ""

    async def _ask(self) -> str:
        fields: dict[str, object] = {
            **self._settings.profile.login.fields,
            **dict.fromkeys(self._settings.profile.login.nulls),
            "username": self._settings.username,
            "password": self._settings.password,
        }
        try:
            async with self._session().post(
                self._url, json=fields, allow_redirects=False
            ) as response:
                status = response.status
                body = await small_body(response)
        except REMOTE_FAULTS as error:
            raise NotLoggedIn(self._judge.unanswered(error)) from None
        answer = parsed(body) if body is not None and status in {200, 201} else None
        data = answer.get("data") if isinstance(answer, dict) else None
        token = text_of(data.get("token")) if isinstance(data, dict) else ""
        if header_safe(token) and len(token) <= _LONGEST_TOKEN:
            return token
        if status in DENIED or isinstance(answer, dict):
            words = text_of(answer.get("message")) if isinstance(answer, dict) else ""
            raise NotLoggedIn(Deferred("login.refused", self._judge.clean(words), alarm=True))
        raise NotLoggedIn(Deferred(f"login.http.{status}" if status >= 300 else "login.unreadable"))
