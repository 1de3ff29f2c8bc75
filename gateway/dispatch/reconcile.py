"""Reconciliation: what we say of one day, held against what the axis says of it.

In:     our facts (transfers with their recipients, fetches and arrivals), the axis' answers, `now`.
Out:    differences, the questions that got no answer, the transfers that the answers settle.
Fails:  never: an answer that says nothing is a question without an answer, not a difference.
Never:  reads a clock, asks, moves anything; calls a document lost because an axis was silent.
Next:   `gateway/reconciling.py` asks and commits; `ledger/reconciliation.py` signs what was found.

What an axis can be asked: the copies of a package whose id it gave us (`FollowUp`), the packages
that wait for us, and their number (vxp-protocol 3). An id that was lost with its answer cannot be
asked about (architecture 4, "Doubt"): that is a question without an answer, `no_id`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from gateway.errors import Text
from gateway.model.arrival import ArrivalState, FetchState
from gateway.model.package import PackageKind
from gateway.model.transfer import TRANSFER_TRANSITIONS, RecipientState, TransferState

# days of deadlines, statistics and reconciliation are those of Vietnam (architecture 4, "Clocks")
VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
FIRST_DAY = date(2000, 1, 1)  # older than any document of a gateway, and far from year 1
NO_ID = "no_id"  # the axis' answer was lost, and with it the id by which it could be asked
NOT_ASKED = "not_asked"  # the axis left too many questions before this one without an answer
NOT_ABLE = "not_able"  # this axis has no such question

_MAY_SETTLE = frozenset(
    s
    for s, following in TRANSFER_TRANSITIONS.items()
    # an attempt under way brings its own verdict
    if TransferState.ON_AXIS in following and s is not TransferState.SENDING
)
_ON_THE_WAY = frozenset(
    {
        TransferState.ACCEPTED,
        TransferState.SEALED,
        TransferState.SENDING,
        TransferState.DEFERRED,
        TransferState.UNCERTAIN,
    }
)
_ELSEWHERE = frozenset({TransferState.WITHDRAWN, TransferState.REROUTED})
_SILENT = frozenset({RecipientState.PENDING, RecipientState.ON_AXIS})


class Kind(StrEnum):
    """What kind of difference; the first five want a person."""

    MISSING = "missing"
    DOUBLED = "doubled"
    STUCK = "stuck"
    NEVER_ANSWERED = "never_answered"
    FOREIGN = "foreign"
    SETTLED = "settled"  # was in doubt, and the axis' answer ended it


class What(StrEnum):
    """The difference itself. Words never change: reports are kept for decades."""

    UNKNOWN_TO_AXIS = "unknown_to_axis"
    NOT_LISTED = "not_listed"
    NOT_PASSED_ON = "not_passed_on"
    NEVER_CAME = "never_came"
    LISTED_THEN_GONE = "listed_then_gone"
    NOT_ALL_LISTED = "not_all_listed"
    TWO_IDS = "two_ids"
    TWO_COPIES = "two_copies"
    ARRIVED_TWICE = "arrived_twice"
    ENDED_ELSEWHERE = "ended_elsewhere"
    NOT_SENT = "not_sent"
    HELD = "held"
    NOT_TAKEN = "not_taken"
    NOT_CONFIRMED = "not_confirmed"
    NO_STATUS = "no_status"
    NOT_FETCHED = "not_fetched"
    FETCH_HELD = "fetch_held"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    NOT_OPENED = "not_opened"
    PAST_DUE_DATE = "past_due_date"
    PAST_ANSWER_WITHIN = "past_answer_within"
    NOT_OURS = "not_ours"
    KNOWN_TO_AXIS = "known_to_axis"


WORDS: Mapping[What, tuple[Kind, Text]] = MappingProxyType(
    {
        What.UNKNOWN_TO_AXIS: (
            Kind.MISSING,
            Text(
                "trục đã nhận rồi nay không biết gói tin này",
                "the axis took this package and does not know it now",
            ),
        ),
        What.NOT_LISTED: (
            Kind.MISSING,
            Text(
                "trục có gói tin nhưng không có nơi nhận này",
                "the axis has the package, but not this receiver of it",
            ),
        ),
        What.NOT_PASSED_ON: (
            Kind.MISSING,
            Text(
                "trục nói chưa chuyển được tới nơi nhận này",
                "the axis says that it did not pass it on to this receiver",
            ),
        ),
        What.NEVER_CAME: (
            Kind.MISSING,
            Text(
                "trục nói đã chuyển cho cơ quan của gateway này, ở đây không có; sẽ tải lại",
                "the axis says it was passed on to an agency of this gateway, and it is not here; "
                "it is fetched again",
            ),
        ),
        What.LISTED_THEN_GONE: (
            Kind.MISSING,
            Text(
                "trục từng báo có gói tin chờ nhận, nay không còn mà ta chưa tải được",
                "the axis listed it as waiting for us, no longer does, and we never got it",
            ),
        ),
        What.NOT_ALL_LISTED: (
            Kind.MISSING,
            Text(
                "số gói tin chờ nhận theo trục khác với danh sách của chính trục",
                "the axis counts other packages waiting than it lists",
            ),
        ),
        What.TWO_IDS: (
            Kind.DOUBLED,
            Text(
                "trục có nhiều hơn một mã cho cùng một lượt chuyển",
                "the axis has more than one id for one transfer",
            ),
        ),
        What.TWO_COPIES: (
            Kind.DOUBLED,
            Text(
                "trục có nhiều bản của cùng gói tin cho một nơi nhận",
                "the axis has several copies of one package for one receiver",
            ),
        ),
        What.ARRIVED_TWICE: (
            Kind.DOUBLED,
            Text(
                "cùng một văn bản đến từ trục nhiều lần; nơi nhận chỉ thấy một",
                "one document came from the axis several times; its receiver sees it once",
            ),
        ),
        What.ENDED_ELSEWHERE: (
            Kind.DOUBLED,
            Text(
                "lượt chuyển đã rút hoặc đổi trục, nhưng trục này vẫn có gói tin",
                "the transfer was withdrawn or rerouted, yet this axis has the package",
            ),
        ),
        What.NOT_SENT: (
            Kind.STUCK,
            Text("chưa lên trục quá lâu", "not on the axis for too long"),
        ),
        What.HELD: (Kind.STUCK, Text("đang giữ lại, chờ người quyết", "held for a person")),
        What.NOT_TAKEN: (
            Kind.STUCK,
            Text(
                "trên trục đã lâu, hệ thống nơi nhận chưa lấy về",
                "on the axis for long, and the receiver's system has not taken it",
            ),
        ),
        What.NOT_CONFIRMED: (
            Kind.STUCK,
            Text(
                "hệ thống nơi nhận đã lấy về từ lâu nhưng không báo 01",
                "the receiver's system took it long ago and sent no status 01",
            ),
        ),
        What.NO_STATUS: (
            Kind.STUCK,
            Text("trên trục đã lâu, không có trạng thái nào", "on the axis for long, no status"),
        ),
        What.NOT_FETCHED: (
            Kind.STUCK,
            Text("chờ ta đã lâu mà chưa tải về", "waits for us for long and was not fetched"),
        ),
        What.FETCH_HELD: (
            Kind.STUCK,
            Text(
                "tải về hỏng nhiều lần nên đã giữ lại; nay thử lại một lần",
                "fetching failed several times and was held; it is tried once more",
            ),
        ),
        What.NOT_ACKNOWLEDGED: (
            Kind.STUCK,
            Text(
                "ta đã có từ lâu, trục vẫn báo chờ nhận",
                "we have it for long, the axis still lists it as waiting",
            ),
        ),
        What.NOT_OPENED: (
            Kind.STUCK,
            Text("đã tải về từ lâu mà chưa mở", "it came long ago and was not opened"),
        ),
        What.PAST_DUE_DATE: (
            Kind.NEVER_ANSWERED,
            Text(
                "quá hạn trả lời ghi trong văn bản, không có trạng thái nào",
                "past its DueDate without any status",
            ),
        ),
        What.PAST_ANSWER_WITHIN: (
            Kind.NEVER_ANSWERED,
            Text(
                "quá thời hạn chờ trả lời, không có trạng thái nào",
                "past the time to answer without any status",
            ),
        ),
        What.NOT_OURS: (
            Kind.FOREIGN,
            Text(
                "trục báo là của ta một mã mà ta chưa từng gửi",
                "the axis lists an id as ours that we never sent",
            ),
        ),
        What.KNOWN_TO_AXIS: (
            Kind.SETTLED,
            Text(
                "còn nghi ngờ; trục xác nhận đã có, chuyển thành ON_AXIS",
                "was in doubt; the axis has it, so it is ON_AXIS now",
            ),
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """After which time a document counts as stuck, and as never answered."""

    stuck_after: timedelta
    answer_within: timedelta


@dataclass(frozen=True, slots=True)
class Receiver:
    """One recipient as we see it. `key`: its canonical code; `local`: an agency of ours."""

    key: str
    agency: str
    state: RecipientState
    status_code: str = ""
    on_axis_at: datetime | None = None
    local: bool = False

    @property
    def silent(self) -> bool:
        """No status ever came from it."""
        return not self.status_code and self.state in _SILENT


@dataclass(frozen=True, slots=True)
class Sent:
    """One transfer as we see it. `refs`: every id that the axis ever gave for it, the last first.

    `due_date`: DueDate of the document, None when it has none or none that can be read.
    `notation`: number and symbol of the document as the axis shows them, "12/UBND-VX".
    """

    transfer: str
    document: str
    document_id: str
    kind: PackageKind
    state: TransferState
    doubt: bool
    refs: tuple[str, ...]
    accepted_at: datetime
    receivers: tuple[Receiver, ...]
    due_date: date | None = None
    notation: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """One line of the axis: a recipient's copy. The fields of `ports.SentItem` that count here."""

    receiver_key: str
    ref: str
    copy_ref: str
    notation: str = ""
    passed_on: bool | None = None
    taken: bool | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the axis said when asked about `ref`. `why`: the code of a question without an answer.

    Without `why` it was read whole; no copies then means that the axis knows of nothing.
    """

    ref: str
    copies: tuple[Copy, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which we and the axis, or the rules of time, do not agree.

    `axis_ids`: the ids concerned, as the axis gave them; `since`: from when it counts.
    """

    what: What
    transfer: str = ""
    document: str = ""
    document_id: str = ""
    receiver: str = ""
    axis_ids: tuple[str, ...] = ()
    state: str = ""
    since: datetime | None = None

    @property
    def kind(self) -> Kind:
        return WORDS[self.what][0]


@dataclass(frozen=True, slots=True)
class Open:
    """A question that got no answer: `asked` (sent | waiting | count), about what, and why."""

    asked: str
    why: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """`settle`: the id by which the axis knows a package we were in doubt about, "" for none.

    `fetch`: ids of copies for agencies of ours that never came, to be fetched by their id.
    """

    differences: tuple[Difference, ...] = ()
    unanswered: tuple[Open, ...] = ()
    settle: str = ""
    fetch: tuple[str, ...] = ()

    @property
    def matched(self) -> bool:
        return not self.differences and not self.unanswered


# -- what we sent ----------------------------------------------------------------------------------


def compare_sent(
    ours: Sent,
    answers: Sequence[Answer],
    *,
    now: datetime,
    limits: Limits,
    our_ids: frozenset[str] = frozenset(),
    here: frozenset[str] = frozenset(),
    asks: bool = True,
) -> Judged:
    """One transfer against the answers about each of its ids.

    `our_ids`: ids in the answers that other transfers of ours have. `here`: copies for agencies of
    ours that came or are being fetched. `asks`: whether this axis can be asked at all; then a
    transfer without an id is a question without an answer, else that is said once for the axis.
    """
    known: list[tuple[str, list[Copy]]] = []
    failed: list[Open] = []
    strange: list[Copy] = []
    for answer in answers:
        if answer.why:
            failed.append(Open("sent", answer.why, answer.ref))
            continue
        mine = [copy for copy in answer.copies if copy.ref == answer.ref]
        if mine:
            known.append((answer.ref, mine))
        strange += [c for c in answer.copies if c.ref not in our_ids and c.ref not in ours.refs]
    passed_on = [ref for ref, copies in known if any(c.passed_on is not False for c in copies)]
    settle = passed_on[0] if passed_on and ours.state in _MAY_SETTLE else ""
    on_axis = ours.state is TransferState.ON_AXIS or bool(settle)

    found = list(_ids(ours, known, strange))
    lost: set[str] = set()
    fetch: tuple[str, ...] = ()
    if settle:
        found.append(_about(ours, What.KNOWN_TO_AXIS, axis_ids=(settle,)))
    elif passed_on and ours.state in _ELSEWHERE:
        found.append(_about(ours, What.ENDED_ELSEWHERE, axis_ids=tuple(passed_on)))
    heard = any(not r.silent for r in ours.receivers)
    if on_axis and not known and not failed and answers and not heard:
        found.append(_about(ours, What.UNKNOWN_TO_AXIS, axis_ids=ours.refs))
        lost = {r.key for r in ours.receivers}
    elif on_axis and known:
        copies = [copy for _, mine in known for copy in mine]
        told, lost = _copies(ours, copies)
        missed = _never_came(ours, copies, here, now, limits)
        found += [*told, *missed]
        fetch = tuple(i for one in missed for i in one.axis_ids)
    if asks and not ours.refs and _could_be_there(ours, on_axis=on_axis):
        failed.append(Open("sent", NO_ID, ours.transfer))
    copies = [copy for _, mine in known for copy in mine]
    found += _late(ours, copies, lost, on_axis=on_axis, now=now, limits=limits)
    return Judged(tuple(found), tuple(failed), settle, fetch)


def _about(
    ours: Sent,
    what: What,
    receiver: str = "",
    axis_ids: tuple[str, ...] = (),
    since: datetime | None = None,
) -> Difference:
    return Difference(
        what=what,
        transfer=ours.transfer,
        document=ours.document,
        document_id=ours.document_id,
        receiver=receiver,
        axis_ids=axis_ids,
        state=ours.state.value,
        since=since,
    )


def _ids(
    ours: Sent, known: Sequence[tuple[str, Sequence[Copy]]], strange: Sequence[Copy]
) -> list[Difference]:
    """Two ids for one transfer; ids said to be ours that no transfer of ours has."""
    keys = {r.key for r in ours.receivers}
    twins = {
        copy.ref
        for copy in strange
        # the same number for the same receiver, told in answer to our id: the same document
        if copy.receiver_key in keys and copy.notation and copy.notation == ours.notation
    }
    found = []
    same = sorted({ref for ref, _ in known} | twins)
    if len(same) > 1:
        found.append(_about(ours, What.TWO_IDS, axis_ids=tuple(same)))
    foreign = sorted({copy.ref for copy in strange} - twins)
    return [*found, *(Difference(What.NOT_OURS, axis_ids=(ref,)) for ref in foreign)]


def _copies(ours: Sent, copies: Sequence[Copy]) -> tuple[list[Difference], set[str]]:
    """Each recipient's copies; and the recipients whom it did not reach."""
    found: list[Difference] = []
    lost: set[str] = set()
    for receiver in ours.receivers:
        mine = [copy for copy in copies if copy.receiver_key == receiver.key]
        refs = sorted({copy.ref for copy in mine})
        if receiver.silent and all(copy.passed_on is False for copy in mine):
            what = What.NOT_PASSED_ON if mine else What.NOT_LISTED
            found.append(_about(ours, what, receiver.agency, tuple(refs) or ours.refs))
            lost.add(receiver.key)
        for ref in refs:
            doubled = sorted({c.copy_ref for c in mine if c.ref == ref and c.copy_ref})
            if len(doubled) > 1:
                found.append(_about(ours, What.TWO_COPIES, receiver.agency, tuple(doubled)))
    return found, lost


def _never_came(
    ours: Sent, copies: Sequence[Copy], here: frozenset[str], now: datetime, limits: Limits
) -> list[Difference]:
    """Copies for agencies of ours that are not here although they lie there for long."""
    local = {r.key: r for r in ours.receivers if r.local}
    found = []
    for copy in copies:
        receiver = local.get(copy.receiver_key)
        if receiver is None or not copy.copy_ref or copy.copy_ref in here:
            continue
        since = receiver.on_axis_at or ours.accepted_at
        if now - since >= limits.stuck_after:
            ids = (copy.copy_ref,)
            found.append(_about(ours, What.NEVER_CAME, receiver.agency, ids, since))
    return found


def _could_be_there(ours: Sent, *, on_axis: bool) -> bool:
    """Whether the axis may have a package of which it never gave us an id."""
    if on_axis:
        return any(r.silent for r in ours.receivers)  # a recipient's own word needs no axis
    return ours.doubt or ours.state is TransferState.UNCERTAIN


def _late(
    ours: Sent,
    copies: Sequence[Copy],
    lost: set[str],
    *,
    on_axis: bool,
    now: datetime,
    limits: Limits,
) -> list[Difference]:
    """What stands still for too long, and whoever never answered."""
    if not on_axis:
        if ours.state is TransferState.HELD:
            return [_about(ours, What.HELD, since=ours.accepted_at)]
        if ours.state in _ON_THE_WAY and now - ours.accepted_at >= limits.stuck_after:
            return [_about(ours, What.NOT_SENT, since=ours.accepted_at)]
        return []
    if ours.kind is not PackageKind.DOCUMENT:
        return []  # no status is ever sent about a status
    found = []
    for receiver in ours.receivers:
        if not receiver.silent or receiver.key in lost:
            continue
        since = receiver.on_axis_at or ours.accepted_at
        what = _lateness(ours, since, now, limits)
        if what is What.NO_STATUS:
            mine = [copy.taken for copy in copies if copy.receiver_key == receiver.key]
            what = _standing(mine)
        if what is not None:
            found.append(_about(ours, what, receiver.agency, since=since))
    return found


def _standing(taken: Sequence[bool | None]) -> What:
    """Where it stands still, as far as the axis can tell."""
    if any(taken):
        return What.NOT_CONFIRMED
    return What.NOT_TAKEN if taken and None not in taken else What.NO_STATUS


def _lateness(ours: Sent, since: datetime, now: datetime, limits: Limits) -> What | None:
    due = _end_of(ours.due_date)
    if due is not None and now >= due:
        return What.PAST_DUE_DATE
    if now - since >= limits.answer_within:
        return What.PAST_ANSWER_WITHIN
    return What.NO_STATUS if now - since >= limits.stuck_after else None


def _end_of(day: date | None) -> datetime | None:
    """The first instant after a day of Vietnam."""
    return None if day is None else day_bounds(day)[1]


def falls_due(ours: Sent, begin: datetime, end: datetime, limits: Limits) -> bool:
    """Whether one of its times runs out in [begin, end) with something still open.

    So each open matter is looked at on its own days, and a day costs what its days held.
    """
    instants = [ours.accepted_at + limits.stuck_after]
    if ours.state is TransferState.ON_AXIS:
        instants = []
        for receiver in ours.receivers:
            if receiver.silent:
                since = receiver.on_axis_at or ours.accepted_at
                instants += [since + limits.stuck_after, since + limits.answer_within]
                if (due := _end_of(ours.due_date)) is not None:
                    instants.append(due)
    return any(begin <= instant < end for instant in instants)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The first instant of a day of Vietnam, and of the next."""
    begin = datetime(day.year, day.month, day.day, tzinfo=VIETNAM)
    return begin, begin + timedelta(days=1)


# -- what waits for us -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """One package that the axis holds, or held, for us: its list's word and ours.

    `listed`: the axis lists it now. `fetch`, `arrival`: our own states, None where we have none.
    """

    axis_id: str
    listed: bool
    fetch: FetchState | None = None
    listed_at: datetime | None = None
    arrival: ArrivalState | None = None
    received_at: datetime | None = None


def compare_waiting(one: Waiting, *, now: datetime, limits: Limits) -> Difference | None:
    """One waiting package; None when it is on its ordinary way (a fresh one is)."""

    def old(at: datetime | None) -> bool:
        return at is not None and now - at >= limits.stuck_after

    what: What | None = None
    since = one.listed_at
    if one.arrival is not None:
        since = one.received_at
        if one.arrival is ArrivalState.RECEIVED:
            what = What.NOT_OPENED if old(since) else None
        elif one.listed and old(since):
            what = What.NOT_ACKNOWLEDGED
    elif one.fetch is FetchState.HELD:
        what = What.FETCH_HELD
    elif old(one.listed_at):
        what = What.NOT_FETCHED if one.listed else What.LISTED_THEN_GONE
    if what is None:
        return None
    state = one.arrival or one.fetch
    shown = state.value if state else ""
    return Difference(what, axis_ids=(one.axis_id,), state=shown, since=since)


def counts_differ(before: int, listed: int, after: int) -> bool:
    """Whether the axis' count contradicts its list: asked before and after, the same both times.

    Between two questions packages come and go, so a count that moved proves nothing.
    """
    return before == after != listed


# -- when ------------------------------------------------------------------------------------------

MOST_MADE_UP = 7  # days that a gateway which stood still looks back


def days_due(now: datetime, at: time, newest: date | None) -> list[date]:
    """The days whose daily reconciliation is due, oldest first.

    A day is due at `at` of the day after it, by Vietnam's clock. `newest`: the last day that has
    its report, or of which there is nothing to report; None: there never was anything.
    """
    if newest is None:
        return []
    local = now.astimezone(VIETNAM)
    last = local.date() - timedelta(days=1 if local.time() >= at else 2)
    first = max(newest + timedelta(days=1), last - timedelta(days=MOST_MADE_UP - 1))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def days_skipped(newest: date | None, day: date) -> tuple[date, date] | None:
    """The first and the last day that no daily report speaks of once `day` has its own.

    `newest`: as for `days_due`. What stood still for longer than it looks back leaves such days.
    """
    if newest is None or (day - newest).days <= 1:
        return None
    return newest + timedelta(days=1), day - timedelta(days=1)


def due_since(now: datetime, at: time, newest: date | None) -> datetime | None:
    """When the oldest daily report that is missing became due; None: none is missing."""
    days = days_due(now, at, newest)
    return datetime.combine(days[0] + timedelta(days=1), at, VIETNAM) if days else None
