"""seal: what stands in `pending` becomes entries under a signed checkpoint."""

from __future__ import annotations

from gateway.sealing import Sealing
from gateway.store import Store
from gateway.store.ledger import SEAL_CHANNEL
from gateway.telemetry.metrics import Metrics
from gateway.workers.loop import Worker


def worker(
    sealing: Sealing, store: Store, metrics: Metrics, *, pause: float, idle: float = 1.0
) -> Worker:
    """`pause`: seconds between commits, so that neighbours share a checkpoint (about 20 ms)."""

    async def turn() -> bool:
        sealed = await sealing.seal()
        metrics.sealed(sealed)
        return sealed > 0

    return Worker("seal", turn, idle=idle, listener=store.listener(SEAL_CHANNEL), pause=pause)
