"""What each thing that stands still puts at risk, until when, and what to do about it.

In:     what was seen of the store in one look; the limits that follow from the configuration.
Out:    alarms for /readyz, the gravest of each kind.
Fails:  never.
Never:  reads or writes anything: `watch` looks, this says what it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import NamedTuple

from gateway.braking import BrakePolicy, Braking, Gap, Level
from gateway.errors import Finding, Severity, Text
from gateway.model.breaker import Breaker, BreakerState
from gateway.ports import SyncState
from gateway.promise import VIETNAM
from gateway.store import watching

URGENT = 1  # the lanes 0 and 1: hỏa tốc, thượng khẩn
URGENT_LATE, LATE = 300.0, 1800.0  # seconds that a due transfer may wait, by lane
OLD_SNAPSHOT = 600.0
REPORT_LATE = 7200.0  # after a daily reconciliation was due
LOST = ("missing", "doubled", "foreign")  # what a reconciliation finds and nothing else alarms on
FILLING = 0.8  # of api.max_backlog
LABELS = (
    Text("Rủi ro", "At risk"),
    Text("Đến khi", "Until"),
    Text("Việc cần làm", "Do"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm(Finding):
    """A finding of /readyz: `text` says what is seen, the other three what follows from it."""

    at_risk: Text
    until: Text
    do: Text

    def as_json(self, lang: str = "en") -> dict[str, str]:
        """As a Finding, whose message says all four, and each of the three by itself."""
        shown = Finding.as_json(self, lang)
        parts = [t.vi if lang == "vi" else t.en for t in (self.at_risk, self.until, self.do)]
        heads = [t.vi if lang == "vi" else t.en for t in LABELS]
        told = " ".join(f"{head}: {part}." for head, part in zip(heads, parts, strict=True))
        return {
            **shown,
            "message": f"{shown['message']}. {told}",
            **dict(zip(("at_risk", "until", "do"), parts, strict=True)),
        }


@dataclass(frozen=True, slots=True)
class Unencrypted:
    """An axis that is spoken to in the clear, and the reason that the operator gave for it."""

    axis: str
    endpoint: str
    reason: str


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until standing still is an alarm; of stamps: `braking`.

    `workers`: which must turn somewhere, and how long each may be silent. `max_backlog`: of
    waiting transfers, beyond which nothing is accepted; 0: not watched. `revocation_max_age` 0:
    nobody is asked for revocation data. `lists`: (axis, kind) of what must be read somewhere, and
    `unlisted`: how long it may not be. `reconciled`: axes that have a daily report, due at
    `reconcile_at`; None: at no time.
    """

    seal_max_delay: float
    revocation_max_age: float = 0.0
    max_backlog: int = 0
    workers: Mapping[str, float] = field(default_factory=dict)
    unencrypted: Sequence[Unencrypted] = ()
    lists: Sequence[tuple[str, str]] = ()
    unlisted: float = 0.0
    reconciled: Sequence[str] = ()
    reconcile_at: time | None = None
    max_drift: float = 5.0


class Reported(NamedTuple):
    """`missing_since`: when the oldest daily report that is not there was due. `days`: what the
    last report of each found, of the newest day and of those that were reported within a day.
    """

    missing_since: datetime | None
    days: Mapping[str, Mapping[str, int]] = {}


class Seen(NamedTuple):
    now: datetime
    unsealed: float
    gap: Gap
    unasked: float
    due: Mapping[str, Mapping[int, float]]
    standing: Mapping[str, Breaker]
    turns: Mapping[str, watching.LastTurn]
    snapshot: float | None
    drift: float
    reported: Mapping[str, Reported]


def alarms_of(
    seen: Seen, patience: Patience, braking: Braking, *, backlog: int, sync: SyncState
) -> Iterator[Alarm]:
    """In the order in which somebody should read them."""
    yield from _unsealed(seen, patience)
    yield from _unstamped(seen.gap, braking)
    yield from _stale(seen, patience)
    yield from _filling(backlog, patience)
    for axis, standing in seen.standing.items():
        yield from _paused(axis, standing, seen.now)
    for axis, due in seen.due.items():
        yield from _late(axis, due)
    yield from _unlisted(seen, patience)
    for axis, reported in seen.reported.items():
        yield from _unreported(axis, seen.now, reported)
        for day, counts in reported.days.items():
            yield from _wanting(axis, day, counts)
    yield from _silent(seen, patience)
    yield from _snapshot(seen)
    yield from _clock_off(seen.drift, patience.max_drift, sync)
    yield from (_in_the_clear(one) for one in patience.unencrypted)


def _unsealed(seen: Seen, patience: Patience) -> list[Alarm]:
    age, limit = seen.unsealed, patience.seal_max_delay
    if age <= limit / 2:
        return []
    end = _clock(seen.now + timedelta(seconds=limit - age))
    over = age > limit
    return [
        Alarm(
            path="ledger",
            code="ledger.unsealed",
            severity=Severity.ERROR if over else Severity.WARNING,
            text=Text(
                f"Bản ghi cũ nhất chờ niêm phong {age:.0f} giây (hạn {limit:.0f})",
                f"the oldest record has waited {age:.0f} s to be sealed (limit {limit:.0f})",
            ),
            at_risk=Text(
                "văn bản đã nhận không được gửi đi; quá hạn thì ngừng nhận văn bản mới (503)",
                "accepted documents do not leave; beyond the limit nothing is accepted (503)",
            ),
            until=Text(
                f"đã ngừng nhận từ {end}" if over else f"{end} là lúc ngừng nhận",
                f"accepting stopped at {end}" if over else f"accepting stops at {end}",
            ),
            do=Text(
                "xem tiến trình seal (nhật ký worker.unavailable, worker.broken) và chỗ trống trên "
                "đĩa của cơ sở dữ liệu; không xóa gì",
                "look at the worker `seal` (worker.unavailable, worker.broken in its log) and at "
                "the room on the database's disk; delete nothing",
            ),
        )
    ]


def _unstamped(gap: Gap, braking: Braking) -> list[Alarm]:
    """Provisional: a warning that names the brake's hour, long before it. Brake: an error."""
    level = braking.level(gap)
    if level is Level.NORMAL or gap.since is None:
        return []
    limits = braking.limits
    age, limit = braking.age(gap).total_seconds(), limits.max_delay.total_seconds()
    since, end = _clock(gap.since), _clock(gap.since + limits.max_delay)
    over, hold = level is Level.BRAKE, limits.policy is BrakePolicy.HOLD
    then = (
        Text("được nhận nhưng giữ lại", "accepted but held")
        if hold
        else Text("bị từ chối (503)", "refused (503)")
    )
    entries = gap.size_to - gap.size_from
    return [
        Alarm(
            path="stamp",
            code="stamp.brake" if over else "stamp.late",
            severity=Severity.ERROR if over and not hold else Severity.WARNING,
            text=Text(
                f"Mục cũ nhất chưa có dấu thời gian đã {age:.0f} giây (hạn {limit:.0f})",
                f"the oldest entry without a timestamp has waited {age:.0f} s (limit {limit:.0f})",
            ),
            at_risk=Text(
                f"chưa có bên ngoài nào làm chứng cho thời gian của {entries} bản ghi từ {since}; "
                + (f"văn bản mới {then.vi}" if over else "việc gửi nhận vẫn tiếp tục"),
                f"nobody outside vouches for the time of {entries} records since {since}; "
                + (f"new documents are {then.en}" if over else "sending and receiving go on"),
            ),
            until=Text(
                "dấu kế tiếp, nó làm chứng bù cho mọi bản ghi trước nó; rồi tự gửi nhận lại"
                if over
                else f"{end}: từ lúc đó văn bản mới {then.vi}; dấu kế tiếp làm chứng bù cho tất cả",
                "the next stamp, which covers everything before it; then all goes on by itself"
                if over
                else f"{end}: from then on new documents are {then.en}; the next stamp covers all",
            ),
            do=Text(
                "hỏi đơn vị cung cấp dấu thời gian (stamp.authorities), xem đường mạng tới đó, "
                "hoặc thêm một nơi khác vào stamp.authorities",
                "ask the timestamp authorities (stamp.authorities), look at the line to them, or "
                "add another one to stamp.authorities",
            ),
        )
    ]


def _stale(seen: Seen, patience: Patience) -> list[Alarm]:
    age, limit = seen.unasked, patience.revocation_max_age
    if not limit or age <= limit / 2:
        return []
    end = _clock(seen.now + timedelta(seconds=limit - age))
    return [
        Alarm(
            path="trust",
            code="trust.stale",
            severity=Severity.WARNING,
            text=Text(
                f"Một nơi cấp chứng thư không trả lời đã {age:.0f} giây (hạn {limit:.0f})",
                f"an authority has not answered for {age:.0f} s (limit {limit:.0f})",
            ),
            at_risk=Text(
                "chữ ký bằng chứng thư của nơi đó thành unknown_revocation; văn bản vẫn được nhận",
                "signatures by its certificates become unknown_revocation; documents still come in",
            ),
            until=Text(
                f"{end} là hạn của dữ liệu đang có",
                f"what is known is too old from {end} on",
            ),
            do=Text(
                "tìm revocation.failed trong nhật ký, xem đường mạng tới địa chỉ đó; hoặc đặt tệp "
                "CRL vào conf/trust",
                "look for revocation.failed in the log and at the line to that address; or lay the "
                "authority's CRL into conf/trust",
            ),
        )
    ]


def _filling(backlog: int, patience: Patience) -> list[Alarm]:
    most = patience.max_backlog
    if not most or backlog < most * FILLING:
        return []
    full = backlog >= most
    return [
        Alarm(
            path="queue",
            code="queue.filling",
            severity=Severity.ERROR if full else Severity.WARNING,
            text=Text(
                f"{backlog} lượt chuyển chờ gửi (api.max_backlog là {most})",
                f"{backlog} transfers wait to be delivered (api.max_backlog is {most})",
            ),
            at_risk=Text(
                "văn bản mới bị từ chối tạm thời (503); những gì đã nhận vẫn được giữ",
                "new documents are answered 503; what was accepted is kept",
            ),
            until=Text(
                "hàng đợi ngắn lại; `queue forecast` nêu giờ dự kiến",
                "the queue is shorter; `queue forecast` says when",
            ),
            do=Text(
                "xem trục nào dồn (edoc_backlog) và hỏi bên vận hành trục; tăng max_connections "
                "nếu trục chịu được",
                "see which axis it is (edoc_backlog) and ask its operator; raise max_connections "
                "if the axis bears it",
            ),
        )
    ]


def _paused(axis: str, standing: Breaker, now: datetime) -> list[Alarm]:
    if standing.state is BreakerState.CLOSED:
        return []
    return [
        Alarm(
            path=f"dispatch.{axis}",
            code="dispatch.paused",
            severity=Severity.WARNING,
            text=Text(
                f"Trục {axis} lỗi liên tiếp, đã tạm ngừng gửi {standing.trips} lần",
                f"axis {axis} failed again and again and was paused {standing.trips} times",
            ),
            at_risk=Text(
                "mọi văn bản qua trục này chờ lại; hết dispatch.retry thì không gửi nữa, hoặc bị "
                "giữ (HELD) nếu có thể đã tới trục",
                "everything for this axis waits; at the end of dispatch.retry it lapses, or is "
                "HELD where it may have been delivered",
            ),
            until=_until_tried(standing, now),
            do=Text(
                "hỏi bên vận hành trục; xem `queue list` để biết câu trả lời cuối của trục",
                "ask the axis' operator; `queue list` shows what the axis answered last",
            ),
        )
    ]


def _until_tried(standing: Breaker, now: datetime) -> Text:
    if standing.state is BreakerState.HALF_OPEN:
        return Text(
            "một lượt gửi thử thành công; một lượt đang thử",
            "one transfer that tries succeeds; one is trying now",
        )
    if standing.until is None or standing.until <= now:  # nobody came for the place meanwhile
        return Text(
            "một lượt gửi thử thành công; lượt kế tiếp tới hạn sẽ thử, từ đó chưa có lượt nào",
            "one transfer that tries succeeds; the next one that is due tries, and none came yet",
        )
    return Text(
        f"một lượt gửi thử thành công; lần thử kế tiếp lúc {_clock(standing.until)}",
        f"one transfer that tries succeeds; the next try is at {_clock(standing.until)}",
    )


def _late(axis: str, due: Mapping[int, float]) -> list[Alarm]:
    """The most urgent lane of the axis that is late; one alarm for an axis is enough."""
    late = [(n, s) for n, s in sorted(due.items()) if s > (URGENT_LATE if n <= URGENT else LATE)]
    if not late:
        return []
    lane, age = late[0]
    return [
        Alarm(
            path=f"dispatch.{axis}",
            code="dispatch.late",
            severity=Severity.WARNING,
            text=Text(
                f"Trục {axis}, mức khẩn {lane}: lượt chuyển tới hạn đã chờ {age:.0f} giây",
                f"axis {axis}, lane {lane}: a due transfer has waited for {age:.0f} s",
            ),
            at_risk=Text(
                "văn bản qua hạn xử lý hoặc hết hạn gửi (dispatch.lifetime) trước khi lên trục",
                "documents pass their due date or their lifetime (dispatch.lifetime) before they "
                "are on the axis",
            ),
            until=Text(
                "`queue forecast` nêu từng văn bản và giờ",
                "`queue forecast` names each document and its time",
            ),
            do=Text(
                "xem edoc_attempts của trục: không có lần gửi nào thì xem tiến trình deliver, có "
                "mà bị hoãn thì hỏi bên vận hành trục",
                "see edoc_attempts of the axis: none at all: look at the worker `deliver`; "
                "deferred ones: ask the axis' operator",
            ),
        )
    ]


def _unlisted(seen: Seen, patience: Patience) -> Iterator[Alarm]:
    """The list of an axis that was readable longest ago; one alarm for an axis is enough."""
    oldest: dict[str, tuple[datetime, str]] = {}
    for axis, kind in patience.lists:
        turn = seen.turns.get(watching.reading(axis, kind))
        if turn is not None and age_of(seen.now, turn.at) > patience.unlisted:
            oldest[axis] = min(oldest.get(axis, (turn.at, kind)), (turn.at, kind))
    for axis, (since, kind) in oldest.items():
        at = _clock(since)
        yield Alarm(
            path=f"collect.{axis}",
            code="collect.unlisted",
            severity=Severity.WARNING,
            text=Text(
                f"Không đọc được danh sách ({kind}) của trục {axis} từ {at}",
                f"the list ({kind}) of axis {axis} could not be read since {at}",
            ),
            at_risk=Text(
                "văn bản và trạng thái gửi tới đây nằm lại trên trục mà không ai ở đây biết; "
                "hạn xử lý vẫn trôi, trục có thể xóa những gì để quá lâu",
                "documents and statuses for us lie on the axis, and nobody here knows of them; due "
                "dates pass, and an axis may drop what lies there for too long",
            ),
            until=Text(
                "danh sách kế tiếp đọc được; khi đó mọi thứ tự được lấy về",
                "the next list that can be read; everything is fetched by itself then",
            ),
            do=Text(
                "tìm collect.list_failed trong nhật ký: code nói vì sao (connect.dns, "
                "connect.certificate, http.401); sửa ở đây hoặc gọi bên vận hành trục, báo đơn vị",
                "find collect.list_failed in the log: its code says why (connect.dns, "
                "connect.certificate, http.401); mend it or call the axis' operator; tell units",
            ),
        )


def _unreported(axis: str, now: datetime, reported: Reported) -> Iterator[Alarm]:
    since = reported.missing_since
    if since is None or age_of(now, since) <= REPORT_LATE:
        return
    yield Alarm(
        path=f"reconcile.{axis}",
        code="reconciliation.late",
        severity=Severity.WARNING,
        text=Text(
            f"Đối soát hằng ngày với trục {axis} đến hạn lúc {_clock(since)} mà chưa có",
            f"the daily reconciliation of axis {axis} was due at {_clock(since)} and is not made",
        ),
        at_risk=Text(
            "văn bản trục đã nhận rồi làm mất hoặc phát trùng thì không ai thấy",
            "documents that the axis took and lost, or doubled, are seen by nobody",
        ),
        until=Text(
            "báo cáo được lập; ngày bỏ lỡ được làm bù trong một tuần, lâu hơn thì tự chạy",
            "the report is made; days that were missed are made up for a week, older ones by hand",
        ),
        do=Text(
            "tìm reconciliation.put_off (trục không trả lời) hoặc worker sweep:reconcile trong "
            f"nhật ký gateway-sweep; chạy `edoc-gateway reconcile --axis {axis}` cho ngày đó",
            "find reconciliation.put_off (the axis answers nothing) or the worker sweep:reconcile "
            f"in the log of gateway-sweep; run `edoc-gateway reconcile --axis {axis}` for the day",
        ),
    )


def _wanting(axis: str, day: str, counts: Mapping[str, int]) -> Iterator[Alarm]:
    lost = {kind: n for kind in LOST if (n := counts.get(kind, 0))}
    if not lost:
        return
    found = ", ".join(f"{kind} {n}" for kind, n in lost.items())
    yield Alarm(
        path=f"reconcile.{axis}",
        code="reconciliation.wanting",
        severity=Severity.WARNING,
        text=Text(
            f"Đối soát ngày {day} với trục {axis} thấy sai lệch: {found}",
            f"the reconciliation of {day} with axis {axis} found: {found}",
        ),
        at_risk=Text(
            "missing: nơi nhận không có văn bản mà hai bên tưởng là đã gửi; doubled: nơi nhận có "
            "thể xử lý hai lần; foreign: có thể người khác dùng tài khoản của gateway",
            "missing: a receiver lacks what both sides believe was sent; doubled: a receiver may "
            "act twice; foreign: somebody may use the gateway's account",
        ),
        until=Text(
            "một lần đối soát lại ngày đó không còn thấy, hoặc một ngày sau báo cáo, khi đã có báo "
            "cáo của ngày kế tiếp",
            "that day is reconciled again and nothing is found, or a day after its report, once "
            "there is one of a later day",
        ),
        do=Text(
            f"`edoc-gateway reconcile --axis {axis} --day {day}` nêu từng văn bản và mã của trục; "
            "gửi mã đó cho bên vận hành trục; chỉ gửi lại khi họ nói là đã mất",
            f"`edoc-gateway reconcile --axis {axis} --day {day}` names each document and the axis' "
            "ids; give these to the axis' operator; send again only when they say that it is lost",
        ),
    )


def _silent(seen: Seen, patience: Patience) -> list[Alarm]:
    found = []
    for worker, limit in patience.workers.items():
        turn = seen.turns.get(worker)
        if turn is None or age_of(seen.now, turn.at) <= limit:
            continue
        at = _clock(turn.at)
        found.append(
            Alarm(
                path=f"workers.{worker}",
                code="worker.silent",
                severity=Severity.WARNING,
                text=Text(
                    f"Tiến trình {worker} chạy lần cuối lúc {at} ({turn.owner})",
                    f"the worker {worker} turned last at {at} ({turn.owner})",
                ),
                at_risk=_work(worker),
                until=Text(
                    "một tiến trình loại này chạy lại; chưa mất gì",
                    "a process of this kind runs again; nothing is lost yet",
                ),
                do=Text(
                    f"systemctl status gateway-{worker.partition(':')[0]}, đọc nhật ký, khởi động "
                    "lại; mã thoát 70 hoặc 78 thì đọc kỹ trước",
                    f"systemctl status gateway-{worker.partition(':')[0]}, read its log, start it; "
                    "read first when it ended with 70 or 78",
                ),
            )
        )
    return found


def _work(worker: str) -> Text:
    """What is not done while nobody turns it: `sweep:reconcile:vxp` is a reconciler, no timer."""
    words = worker.split(":")
    return _WORK.get(":".join(words[:2])) or _WORK.get(words[0]) or _WORK["sweep"]


_WORK: Mapping[str, Text] = {
    "seal": Text("bản ghi không được niêm phong, văn bản không đi", "nothing is sealed or sent"),
    "stamp": Text("không có dấu thời gian mới", "no new timestamps"),
    "deliver": Text("văn bản không được gửi lên trục", "documents do not leave for the axis"),
    "collect": Text("văn bản nằm lại trên trục, không được lấy về", "documents stay on the axis"),
    "open": Text("văn bản đến chưa được mở và giao", "what came is not opened and handed over"),
    "sweep": Text(
        "lượt gửi dở dang không được tiếp quản, hạn gửi không được xét",
        "attempts of dead processes are not taken over, lifetimes are not looked at",
    ),
    "open:orphans": Text(
        "trạng thái đến trước văn bản của nó không được ghép lại",
        "statuses that came before their document are not joined to it",
    ),
    "sweep:blobs": Text(
        "tệp không còn ai cần không được xóa, đĩa đầy dần",
        "files that nobody needs are not removed, and the disk fills",
    ),
    "sweep:revocation": Text(
        "không hỏi dữ liệu thu hồi; chữ ký dần thành unknown_revocation",
        "nobody asks for revocation data; signatures become unknown_revocation",
    ),
    "sweep:reconcile": Text(
        "không đối soát ngày hôm trước: văn bản thiếu hoặc trùng không ai thấy",
        "the day before is not reconciled: documents missing or doubled are seen by nobody",
    ),
}


def _snapshot(seen: Seen) -> list[Alarm]:
    if seen.snapshot is None or seen.snapshot <= OLD_SNAPSHOT:
        return []
    return [
        Alarm(
            path="database",
            code="database.old_snapshot",
            severity=Severity.WARNING,
            text=Text(
                f"Một giao dịch của cơ sở dữ liệu đã mở {seen.snapshot:.0f} giây",
                f"a transaction of the database has been open for {seen.snapshot:.0f} s",
            ),
            at_risk=Text(
                "dòng đã bỏ không được dọn, hàng đợi chậm dần",
                "dead rows are not cleared away, and the queue gets slower and slower",
            ),
            until=Text("giao dịch đó kết thúc", "that transaction ends"),
            do=Text(
                "tìm nó: SELECT pid, usename, application_name, xact_start FROM pg_stat_activity "
                "ORDER BY xact_start; hỏi chủ của nó, rồi pg_terminate_backend(pid)",
                "find it: SELECT pid, usename, application_name, xact_start FROM pg_stat_activity "
                "ORDER BY xact_start; ask whose it is, then pg_terminate_backend(pid)",
            ),
        )
    ]


_CLOCK_RISK = Text(
    "các thời điểm trong bản ghi mới lệch theo đồng hồ này; bản ghi không bị sửa, dấu thời gian "
    "cho biết giới hạn đúng",
    "instants in new records are off by as much; none is rewritten, and stamps bound the truth",
)
_CLOCK_DO = Text(
    "xem chronyc tracking hoặc timedatectl; sửa nguồn giờ (NTP), để đồng hồ tự chỉnh dần",
    "see `chronyc tracking` or `timedatectl`; repair the time source (NTP), let the clock slew",
)


def _clock_off(drift: float, most: float, sync: SyncState) -> list[Alarm]:
    """Stamps or the system itself say that our clock is wrong. It tells, and rewrites nothing."""
    found = []
    if abs(drift) > most:
        vi, en = ("nhanh", "ahead") if drift > 0 else ("chậm", "behind")
        found.append(
            Alarm(
                path="clock",
                code="clock.drift",
                severity=Severity.WARNING,
                text=Text(
                    f"Đồng hồ {vi} ít nhất {abs(drift):.1f} giây so với dấu thời gian mới nhất",
                    f"the clock is {en} by at least {abs(drift):.1f} s, as the newest stamp shows",
                ),
                at_risk=_CLOCK_RISK,
                until=Text("một dấu thời gian khớp đồng hồ", "a stamp agrees with the clock"),
                do=_CLOCK_DO,
            )
        )
    if sync.synchronised is False:
        found.append(
            Alarm(
                path="clock",
                code="clock.unsynchronised",
                severity=Severity.WARNING,
                text=Text(
                    "Hệ điều hành báo đồng hồ chưa được đồng bộ",
                    "the system says that its clock is not synchronised",
                ),
                at_risk=_CLOCK_RISK,
                until=Text("hệ điều hành báo đã đồng bộ", "the system says that it is again"),
                do=_CLOCK_DO,
            )
        )
    return found


def _in_the_clear(one: Unencrypted) -> Alarm:
    return Alarm(
        path=f"axis.{one.axis}",
        code="conf.exception",
        severity=Severity.NOTE,
        text=Text(
            f"Kết nối {one.axis} dùng http không mã hóa ({one.endpoint}) vì: {one.reason}",
            f"{one.axis} is spoken to in the clear ({one.endpoint}) because: {one.reason}",
        ),
        at_risk=Text(
            "ai ở giữa đường đọc và sửa được gói tin, thấy được tài khoản của trục",
            "whoever is on the line can read and change packages and sees the axis' account",
        ),
        until=Text("địa chỉ của trục là https", "the axis' endpoint is https"),
        do=Text(
            "hỏi bên vận hành trục về https, rồi bỏ axis.allow_http (QĐ 28/2018 điều 13)",
            "ask the axis' operator for https, then remove axis.allow_http (QĐ 28/2018 article 13)",
        ),
    )


def age_of(now: datetime, at: datetime | None) -> float:
    """Seconds, never below 0; 0 for what is not there."""
    return max((now - at).total_seconds(), 0.0) if at else 0.0


def _clock(at: datetime) -> str:
    return at.astimezone(VIETNAM).strftime("%H:%M %d/%m/%Y")
