"""What an answer, or its absence, means for an attempt: the table of architecture 4, "Doubt".

In: HTTP status, body, exception, and whether the last byte of the package had been handed to the
connection. Out: an Outcome with a stable code and the remote's words, shortened and without
secrets. Pure; raises nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from adapters.remote import REMOTE_FAULTS, not_submitted, plain_words, unanswered
from adapters.vxp import wire
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain

__all__ = ["REMOTE_FAULTS", "Judge", "answer_code"]

_SIGN_HEADER = re.compile(r'\{\s*\\?"XroadVnpt-[^}]*\}?', re.IGNORECASE)
_NOT_IN_CODE = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_REF = 255


@dataclass(frozen=True, slots=True)
class Judge:
    """Knows one profile's ErrorCode lists and what must not be repeated in a detail."""

    retry_codes: frozenset[str] = frozenset()
    never_codes: frozenset[str] = frozenset()
    secret: str = field(default="", repr=False)

    def submitted(self, status: int, body: bytes | None, *, handed_over: bool) -> Outcome:
        """The outcome of sendEdoc or updateStatus. `body` None: not read whole."""
        answer = wire.parse_answer(body) if body is not None else None
        if answer is not None and answer.ok:
            return self._success(status, answer, handed_over=handed_over)
        if answer is not None and status != 202:
            return self.verdict(answer, alarm=status in {401, 403})
        if not handed_over:
            return Deferred(f"http.{status}", alarm=status in {401, 403})
        detail = self.clean((body or b"")[:2000].decode("utf-8", "replace"))
        if 300 <= status < 500:
            return Deferred(f"http.{status}", detail, alarm=status in {401, 403})
        if status in {200, 201}:
            return Uncertain("answer.unreadable" if body is not None else "answer.cut", detail)
        return Uncertain(f"http.{status}", detail)

    def _success(self, status: int, answer: wire.Answer, *, handed_over: bool) -> Outcome:
        if status not in {200, 201, 202}:
            return Uncertain("answer.contradictory", f"HTTP {status}, ErrorCode 0")
        if not handed_over:
            return Uncertain("answer.early", "success before the last byte was sent")
        ref = answer.doc_id
        if not ref or len(ref) > _LONGEST_REF or not wire.header_safe(ref):
            return Delivered("", "ok.no_ref", self.clean(ref))
        return Delivered(ref, "ok")

    def verdict(self, answer: wire.Answer, *, alarm: bool = False) -> Outcome:
        """An ErrorCode that is not 0.

        Never list: Refused. Retry list: Deferred. Neither: Deferred and `unlisted`, which the
        corridor holds after three equal ones (architecture 4). Code: `vxp.` and theirs.
        """
        code = answer_code(answer.code)
        detail = self.clean(answer.description)
        if answer.code in self.never_codes:
            return Refused(code, detail)
        return Deferred(code, detail, alarm=alarm, unlisted=answer.code not in self.retry_codes)

    def unread(self, status: int, body: bytes | None) -> Deferred:
        """Why a question (list, fetch, count) got no usable answer: always worth another try."""
        answer = wire.parse_answer(body) if body is not None else None
        alarm = status in {401, 403}
        if answer is not None and not answer.ok:
            outcome = self.verdict(answer)
            return Deferred(outcome.code, outcome.detail, alarm=alarm)
        detail = self.clean((body or b"")[:2000].decode("utf-8", "replace"))
        if status in {200, 201}:
            return Deferred("answer.unreadable", detail)
        return Deferred(f"http.{status}", detail, alarm=alarm)

    def failed(self, error: BaseException, *, handed_over: bool) -> Outcome:
        return not_submitted(error, self.clean, handed_over=handed_over)

    def unanswered(self, error: BaseException) -> Deferred:
        return unanswered(error, self.clean)

    def clean(self, text: str) -> str:
        """A remote's words fit for a log: no secret, no digest, no controls, 300 characters."""
        if self.secret:
            text = text.replace(self.secret, "***")
        return plain_words(_SIGN_HEADER.sub("[sign-header]", text))


def answer_code(error_code: str) -> str:
    """Our code for an ErrorCode of theirs: `vxp.` and theirs, fit for a code."""
    return f"vxp.{_NOT_IN_CODE.sub('_', error_code)[:40]}"
