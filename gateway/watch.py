"""What stands still, and what that puts at risk: for /readyz and for /metrics.

In:     the store; the blob store; limits from the configuration.
Out:    findings that say what is at risk, until when, and what to do; gauges.
Never:  writes (but a spool file that is gone at once); costs more as history grows (it counts what
        waits, not what is done).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import Broken, Finding, Severity, Text, Unavailable
from gateway.model.transfer import CLAIMABLE, TransferState
from gateway.ports import BlobStore
from gateway.store import Store, Tx, arrivals, inbox, ledger, transfers
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics

NOBODY = "0" * 64  # the digest of nothing that anybody has found
TRIAL = bytes(64 * 1024)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until standing still is an alarm. `stamp_max_delay` 0: no authority is configured."""

    seal_max_delay: float
    stamp_max_delay: float


async def readiness(store: Store, patience: Patience) -> list[Finding]:
    """Why this gateway should not be given work now; warnings come long before errors."""

    def look(tx: Tx) -> tuple[float, float]:
        now = tx.now()
        oldest = ledger.oldest_pending(tx)
        unstamped = ledger.oldest_unstamped(tx)
        return (
            (now - oldest).total_seconds() if oldest else 0.0,
            (now - unstamped).total_seconds() if unstamped else 0.0,
        )

    unsealed, unstamped = await store.read(look)
    found: list[Finding] = []
    limit = patience.seal_max_delay
    if unsealed > limit / 2:
        found.append(
            Finding(
                "ledger",
                "ledger.unsealed",
                Severity.ERROR if unsealed > limit else Severity.WARNING,
                Text(
                    f"Bản ghi cũ nhất chờ niêm phong {unsealed:.0f} giây; quá {limit:.0f} "
                    "giây thì ngừng nhận văn bản. Hãy xem tiến trình seal.",
                    f"the oldest record has waited {unsealed:.0f} s to be sealed; beyond "
                    f"{limit:.0f} s nothing is accepted. Look at the seal worker.",
                ),
            )
        )
    limit = patience.stamp_max_delay
    if limit and unstamped > limit / 2:
        found.append(
            Finding(
                "stamp",
                "stamp.late",
                Severity.WARNING,
                Text(
                    f"Mục cũ nhất chưa có dấu thời gian đã {unstamped:.0f} giây (hạn {limit:.0f}). "
                    "Việc gửi vẫn tiếp tục; hãy xem dịch vụ dấu thời gian.",
                    f"the oldest entry without a timestamp has waited {unstamped:.0f} s (limit "
                    f"{limit:.0f}). Sending goes on; look at the timestamp authorities.",
                ),
            )
        )
    return found


async def measure(
    store: Store, metrics: Metrics, *, axes: Sequence[str], agencies: Sequence[str]
) -> tuple[int, int]:
    """Set the gauges; returns how many transfers wait to be delivered, and how many are HELD."""

    def look(tx: Tx) -> tuple[float, dict[str, dict[str, int]], dict[str, float], int, int]:
        now = tx.now()
        oldest = ledger.oldest_pending(tx)
        due = {axis: transfers.oldest_due(tx, axis) for axis in axes}
        return (
            (now - oldest).total_seconds() if oldest else 0.0,
            {axis: transfers.unfinished(tx, axis) for axis in axes},
            {axis: (now - at).total_seconds() if at else 0.0 for axis, at in due.items()},
            inbox.count_waiting(tx, agencies),
            arrivals.count_for_people(tx),
        )

    unsealed, counts, oldest_due, waiting, quarantined = await store.read(look)
    backlog = {a: sum(n for s, n in by.items() if s in CLAIMABLE) for a, by in counts.items()}
    held = sum(by.get(TransferState.HELD.value, 0) for by in counts.values())
    metrics.waits(
        oldest_unsealed_seconds=unsealed,
        held=held,
        quarantined=quarantined,
        inbox=waiting,
    )
    for axis in axes:
        metrics.axis_waits(axis, backlog=backlog[axis], oldest_due_seconds=oldest_due[axis])
    return sum(backlog.values()), held


class FileWatch:
    """Whether packages can be kept and found. Looked at every few seconds, by every process.

    A look may take as long as a request to an object store may; who asks for readiness is told
    what the last look found, at once.
    """

    def __init__(self, blobs: BlobStore, metrics: Metrics) -> None:
        self._blobs = blobs
        self._metrics = metrics
        self.finding: Finding | None = None

    async def look(self) -> bool:
        """One turn of a worker: there is never more to do at once."""
        before = self.finding
        try:
            await asyncio.to_thread(_try_out, self._blobs)
            self.finding = None
        except Unavailable as away:
            self.finding = Finding(
                "blobs",
                away.code,
                Severity.ERROR,
                Text(
                    f"{away.text.vi}. Chưa nhận được văn bản mới, việc gửi và lấy tạm dừng, không "
                    "mất gì. Hãy xem ổ đĩa còn chỗ không, kho đối tượng có trả lời không.",
                    f"{away.text.en}. Nothing is accepted, sending and fetching pause, nothing is "
                    "lost. Look whether the disk has room and the object store answers.",
                ),
            )
        self._metrics.files_away(self.finding is not None)
        if (before is None) != (self.finding is None):
            log = get_logger(worker="files")
            if self.finding is None:
                log.info(Event.BLOBS_BACK)
            else:
                advice = Event.BLOBS_AWAY.advice
                log.warning(Event.BLOBS_AWAY, detail=self.finding.text.en, advice=advice)
        return False


def _try_out(blobs: BlobStore) -> None:
    """Room for a file under way, and an answer to a question. Raises Unavailable."""
    with blobs.spool() as spooled:
        spooled.write(TRIAL)
        spooled.flush()
    try:
        blobs.open(NOBODY).close()
    except Broken:
        return
