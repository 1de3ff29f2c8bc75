"""What an answer, or its absence, means for an attempt: architecture 4, "Doubt", for REST v1.

In: HTTP status, body, exception, and whether the last byte of the package had been handed to the
connection. Out: an Outcome with a stable code and the remote's words, shortened and without
secrets. Pure; raises nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.lgsp_rest.profile import Meaning
from adapters.lgsp_rest.settings import header_safe
from adapters.lgsp_rest.words import Answer, answer_in
from adapters.remote import not_submitted, plain_words, unanswered
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain

_NOT_IN_CODE = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_REF = 255
_OK = frozenset({200, 201})
DENIED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Judge:
    """Knows one profile's table of codes and what must not be repeated in a detail.

    `secrets`: by what they are; the login keeps its token of the day there.
    """

    codes: Mapping[str, Meaning]
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def submitted(self, status: int, body: bytes | None, *, handed_over: bool) -> Outcome:
        """The outcome of sendEdoc or updateStatus. `body` None: not read whole."""
        answer = answer_in(body) if body is not None else None
        said = self._good(answer)
        if answer is not None and said is True:
            return self._success(status, answer, handed_over=handed_over)
        if answer is not None and said is False and status != 202:
            return self.verdict(answer, alarm=status in DENIED)
        if not handed_over:
            return Deferred(f"http.{status}", alarm=status in DENIED)
        detail = self.clean((body or b"")[:2000].decode("utf-8", "replace"))
        if 300 <= status < 500:
            return Deferred(f"http.{status}", detail, alarm=status in DENIED)
        if status in _OK:
            if answer is not None:
                return Uncertain("answer.contradictory", detail)
            return Uncertain("answer.unreadable" if body is not None else "answer.cut", detail)
        return Uncertain(f"http.{status}", detail)

    def _good(self, answer: Answer | None) -> bool | None:
        """Whether it says success; None: it says nothing, or both."""
        if answer is None:
            return None
        coded = self.codes.get(answer.code) == "good" if answer.code else answer.success
        plain = answer.success if answer.success is not None else coded
        return coded if coded == plain else None

    def _success(self, status: int, answer: Answer, *, handed_over: bool) -> Outcome:
        if status not in {*_OK, 202}:
            return Uncertain("answer.contradictory", f"HTTP {status}, success")
        if not handed_over:
            return Uncertain("answer.early", "success before the last byte was sent")
        ref = answer.doc_id
        if not ref or len(ref) > _LONGEST_REF or not header_safe(ref):
            return Delivered("", "ok.no_ref", self.clean(ref))
        return Delivered(ref)

    def verdict(self, answer: Answer, *, alarm: bool = False) -> Outcome:
        """A failure with or without a code, by the table; code: `rest.` and theirs."""
        code = f"rest.{_NOT_IN_CODE.sub('_', answer.code)[:40] or 'failed'}"
        detail = self.clean(answer.message)
        match self.codes.get(answer.code):
            case "never":
                return Refused(code, detail)
            case "later":
                return Deferred(code, detail, alarm=alarm)
            case "account":
                return Deferred(code, detail, alarm=True)
            case _:
                return Deferred(code, detail, alarm=alarm, unlisted=True)

    def unread(self, status: int, body: bytes | None) -> Deferred:
        """Why a question (list, fetch) got no usable answer: always worth another try."""
        alarm = status in DENIED
        answer = answer_in(body) if body is not None else None
        if answer is not None and self._good(answer) is False:
            return self.told(answer, alarm=alarm)
        detail = self.clean((body or b"")[:2000].decode("utf-8", "replace"))
        if status in _OK:
            return Deferred("answer.unreadable" if body is not None else "answer.cut", detail)
        return Deferred(f"http.{status}", detail, alarm=alarm)

    def told(self, answer: Answer, *, alarm: bool = False) -> Deferred:
        """A question that was answered with a failure."""
        meant = self.verdict(answer, alarm=alarm)
        raised = alarm or (isinstance(meant, Deferred) and meant.alarm)
        return Deferred(meant.code, meant.detail, alarm=raised)

    def good(self, answer: Answer | None) -> bool:
        return self._good(answer) is True

    def failed(self, error: BaseException, *, handed_over: bool) -> Outcome:
        return not_submitted(error, self.clean, handed_over=handed_over)

    def unanswered(self, error: BaseException) -> Deferred:
        return unanswered(error, self.clean)

    def clean(self, text: str) -> str:
        """A remote's words fit for a log."""
        for secret in filter(None, self.secrets.values()):
            text = text.replace(secret, "***")
        return plain_words(text)


def table_of(
    codes: Mapping[str, Meaning], retry: tuple[str, ...], never: tuple[str, ...]
) -> dict[str, Meaning]:
    """The profile's table with what the operator decided otherwise."""
    decided: dict[str, Meaning] = dict(codes)
    decided.update(dict.fromkeys(retry, "later"))
    decided.update(dict.fromkeys(never, "never"))
    return decided
