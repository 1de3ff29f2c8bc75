"""What goes out: plan -> sign -> write, one package in one walk through the rooms.

In:     a header as this package shall have it, the files, a seed of its own, the key or None.
Out:    the package where `out` stands, with its digest and size.
Fails:  Rejected with every finding before a byte is written; what the key holder raises.
Never:  decides who receives it, makes it durable, reads a clock.

The corridor out and the command `pack` both come here, so that a package made offline is the one
that the gateway would have made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from gateway.model.package import DocumentHeader, ReadyPackage, header_digest
from gateway.model.submission import Attachment
from gateway.packing import write
from gateway.ports import KeyHolder
from gateway.signing import sign


def make_package(
    out: BinaryIO,
    header: DocumentHeader,
    files: Sequence[Attachment],
    *,
    seed: str,
    holder: KeyHolder | None,
) -> ReadyPackage:
    """`seed`: text that makes the ids inside this package's own; equal seeds give equal ids.

    `holder` None: unsigned.
    """
    planned = write.plan_files(files, seed)
    signature = b""
    if holder is not None:
        covered = [(p.fact.declared_name, p.fact.sha256) for p in planned]
        prepared = sign.prepare(
            [(p.fact.content_id, p.fact.sha256) for p in planned],
            header_digest(header, covered),
            holder.algorithm,
        )
        value = holder.sign(prepared.signed_info)
        signature = sign.finish(prepared, value, holder.certificate)
    return write.write_document(out, header, planned, signature=signature)
