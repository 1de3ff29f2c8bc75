"""One attempt's cargo, as an axis takes it.

In:     what was claimed, the lease that is held for it.
Out:    a Parcel.
Fails:  as the store does.
Never:  reads the package: its bytes flow when the axis asks for them.
"""

from __future__ import annotations

from functools import partial

from gateway.model.package import PackageKind
from gateway.ports import Axis, BlobStore, Parcel
from gateway.promise import Work
from gateway.settling import Hold, stored_bytes
from gateway.store import Store, arrivals


async def parcel_of(axis: Axis, store: Store, blobs: BlobStore, work: Work, hold: Hold) -> Parcel:
    """The parcel of an attempt. Where acknowledging tells the sender that its document arrived, a
    status says which listed document it is about: its 01 is that acknowledgement (vxp-protocol
    8.1), so it is recorded, sent and repeated as every status is, and there is no second one.
    """
    claim = work.claim
    about = ""
    if axis.capabilities.acknowledge_reports_arrival and claim.kind == PackageKind.STATUS.value:
        asked = partial(arrivals.reported_on, document_ref=claim.document_ref, axis=axis.name)
        about = await store.read(asked)
    return Parcel(
        transfer_id=claim.id,
        kind=PackageKind(claim.kind),
        sender=claim.sender,
        receivers=work.receivers,
        sha256=claim.package_sha256,
        size=claim.package_size,
        chunks=lambda: stored_bytes(blobs, claim, hold),
        still_mine=hold.until_verdict,
        again=claim.attempts > 1,
        about=about,
    )
