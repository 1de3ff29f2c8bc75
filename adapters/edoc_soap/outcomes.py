"""What an answer, or its absence, means for an attempt (architecture 4 "Doubt", vxp-protocol 8.1).

In:     HTTP status, what zeep read, whether the last byte had been handed to the connection.
Out:    an Outcome with a stable code and the remote's words, shortened and without secrets.
Fails:  never.
Never:  takes a Report without a verdict for a good one, or an unreadable answer for a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from adapters.edoc_soap.contract import UNSIGNED, Answer
from adapters.edoc_soap.profile import Profile
from adapters.remote import not_submitted, plain_words, unanswered
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain

_NOT_IN_CODE = re.compile(r"[^A-Za-z0-9_.-]")
_DENIED = frozenset({401, 403})
_OURS = frozenset({"client", "sender", "mustunderstand", "versionmismatch", "dataencodingunknown"})
_LONGEST_REF = 255


@dataclass(frozen=True, slots=True)
class Judge:
    """`retry`, `never`: the operator's own lists of codes; they go before the profile's table."""

    profile: Profile
    retry: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    secret: str = field(default="", repr=False)

    def submitted(
        self,
        status: int,
        answer: Answer,
        *,
        handed_over: bool,
        repeated: bool = False,
        ref: str = "",
        told: str = "",
    ) -> Outcome:
        """`repeated`: an earlier attempt may have reached the axis. `told`: our own words for a
        success (what the conversion lost).
        """
        words = self._words(answer)
        if answer.verdict is True:
            if status >= 300:
                return Uncertain("answer.contradictory", f"HTTP {status}, a Report of success")
            if not handed_over:
                return Uncertain("answer.early", "success before the last byte was sent")
            ref = ref.strip()[:_LONGEST_REF]
            return Delivered(ref, "ok" if ref else "ok.no_ref", told)
        if answer.verdict is False:
            return self._refused(answer, words, status, repeated=repeated, ref=ref, told=told)
        if answer.fault is not None:
            code = f"soap.fault.{_code(answer.fault[0]) or 'unnamed'}"
            if answer.fault[0].lower() in _OURS or not handed_over:
                return Deferred(code, words, alarm=status in _DENIED, unlisted=True)
            return Uncertain(code, words)
        if answer.problem == UNSIGNED and handed_over:
            return Uncertain(UNSIGNED, words)  # whoever it was, he may have taken the bytes
        if 300 <= status < 500 or not handed_over:
            return Deferred(f"http.{status}", words, alarm=status in _DENIED)
        if status >= 500:
            return Uncertain(f"http.{status}", words)
        return Uncertain(_problem(answer), words)

    def _refused(
        self, answer: Answer, words: str, status: int, *, repeated: bool, ref: str, told: str
    ) -> Outcome:
        meanings = [(self.meaning(code), code) for code, _ in answer.errors]
        for wanted in ("credentials", "exists", "never", "later"):
            for meaning, code in meanings:
                if meaning != wanted:
                    continue
                ours = answer_code(code)
                match wanted:
                    case "credentials":
                        return Deferred(ours, words, alarm=True)
                    case "exists" if repeated:
                        ref = ref.strip()[:_LONGEST_REF]
                        if not ref:
                            return Delivered("", "ok.exists", words)
                        return Delivered(ref, "ok", told)
                    case "exists" | "never":
                        return Refused(ours, words)
                    case _:
                        return Deferred(ours, words)
        code = answer_code(answer.errors[0][0]) if answer.errors else "edoc.unnamed"
        return Deferred(code, words, alarm=status in _DENIED, unlisted=True)

    def meaning(self, code: str) -> str:
        if code in self.never:
            return "never"
        return "later" if code in self.retry else self.profile.meaning(code)

    def unread(self, status: int, answer: Answer) -> Deferred | None:
        """Why a question got no usable answer: worth another try. None: it did get one."""
        words = self._words(answer)
        if answer.verdict is False:
            code = answer.errors[0][0] if answer.errors else ""
            meaning = self.meaning(code)
            if meaning == "empty":
                return None
            alarm = meaning == "credentials" or status in _DENIED
            return Deferred(answer_code(code) if code else "edoc.unnamed", words, alarm=alarm)
        if answer.fault is not None:
            code = f"soap.fault.{_code(answer.fault[0]) or 'unnamed'}"
            return Deferred(code, words, alarm=status in _DENIED)
        if answer.problem == UNSIGNED:
            return Deferred(UNSIGNED, words, alarm=True)
        if status not in {200, 201}:
            return Deferred(f"http.{status}", words, alarm=status in _DENIED)
        if answer.problem or (answer.reported and answer.verdict is None):
            return Deferred(_problem(answer), words)
        return None

    def failed(self, error: BaseException, *, handed_over: bool) -> Outcome:
        return not_submitted(error, self.clean, handed_over=handed_over)

    def unanswered(self, error: BaseException) -> Deferred:
        return unanswered(error, self.clean)

    def clean(self, text: str) -> str:
        return plain_words(text, self.secret)

    def _words(self, answer: Answer) -> str:
        if answer.errors:
            told = "; ".join(": ".join(w for w in pair if w) for pair in answer.errors)
        elif answer.fault is not None:
            told = ": ".join(w for w in answer.fault if w)
        else:
            told = answer.words
        return self.clean(told)


def answer_code(code: str) -> str:
    """Our code for a code of theirs: `edoc.` and theirs, fit for a code."""
    return f"edoc.{_code(code) or 'unnamed'}"


def _code(text: str) -> str:
    return _NOT_IN_CODE.sub("_", text)[:60]


def _problem(answer: Answer) -> str:
    return answer.problem or "report.no_verdict"
