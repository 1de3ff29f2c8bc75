"""What stands still, and what that puts at risk: for /readyz and for /metrics.

In:     the store; limits from the configuration.
Out:    findings that say what is at risk, until when, and what to do; gauges.
Never:  writes; costs more as history grows (it counts what waits, not what is done).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import Finding, Severity, Text
from gateway.model.transfer import CLAIMABLE, TransferState
from gateway.store import Store, Tx, arrivals, inbox, ledger, revocations, transfers
from gateway.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until standing still is an alarm. `stamp_max_delay` 0: no authority is configured.

    `revocation_max_age` 0: nobody is asked for revocation data.
    """

    seal_max_delay: float
    stamp_max_delay: float
    revocation_max_age: float = 0.0


async def readiness(store: Store, patience: Patience) -> list[Finding]:
    """Why this gateway should not be given work now; warnings come long before errors."""

    def look(tx: Tx) -> tuple[float, float, float]:
        now = tx.now()
        oldest = ledger.oldest_pending(tx)
        unstamped = ledger.oldest_unstamped(tx)
        asked = revocations.asked_longest_ago(tx) if patience.revocation_max_age else None
        return (
            (now - oldest).total_seconds() if oldest else 0.0,
            (now - unstamped).total_seconds() if unstamped else 0.0,
            (now - asked).total_seconds() if asked else 0.0,
        )

    unsealed, unstamped, unasked = await store.read(look)
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
    limit = patience.revocation_max_age
    if limit and unasked > limit / 2:
        found.append(
            Finding(
                "trust",
                "trust.stale",
                Severity.WARNING,
                Text(
                    f"Một nơi cấp chứng thư không trả lời đã {unasked:.0f} giây; quá {limit:.0f} "
                    "giây thì chữ ký thành unknown_revocation. Xem revocation.failed trong nhật "
                    "ký.",
                    f"an authority has not answered for {unasked:.0f} s; beyond {limit:.0f} s its "
                    "signatures are unknown_revocation. Look for revocation.failed in the log.",
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
