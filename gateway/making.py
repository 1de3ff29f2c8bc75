"""What goes out: plan -> sign -> write, one package in one walk through the rooms.

In:     a header as this package shall have it, the files, a seed of its own, how it is signed.
Out:    the package where `out` stands, with its digest and size.
Fails:  Rejected with every finding before a byte is written; what the key holder raises.
Never:  decides who receives it, makes it durable, reads a clock, holds a package.

The corridor out and the command `pack` both come here, so that a package made offline is the one
that the gateway would have made.

Profile `relay` signs before a byte is written. Profile `enveloped` signs what was written: the
package is written with a blank in the place of the signature, read back for its digest, the blank
is overwritten, and the bytes are read once more for the digest of the whole. Three times through
the file instead of once; nothing of it stays in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

from gateway.errors import Broken, Text
from gateway.model.package import DocumentHeader, ReadyPackage, header_digest
from gateway.model.submission import Attachment
from gateway.packing import write
from gateway.ports import KeyHolder
from gateway.signing import DEFAULT_POLICY, Policy, Profile, enveloped, sign

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manner:
    """How a package is signed. `day`: today, for the dated rows of the policy."""

    profile: Profile = Profile.RELAY
    policy: Policy = DEFAULT_POLICY
    day: date | None = None


def make_package(
    out: BinaryIO,
    header: DocumentHeader,
    files: Sequence[Attachment],
    *,
    seed: str,
    holder: KeyHolder | None,
    manner: Manner = Manner(),
) -> ReadyPackage:
    """`seed`: text that makes the ids inside this package's own; equal seeds give equal ids.

    `holder` None: unsigned. For `enveloped`, `out` is read and written over as well.
    """
    planned = write.plan_files(files, seed)
    if holder is None:
        return write.write_document(out, header, planned)
    if manner.profile is Profile.ENVELOPED:
        return _enveloped(out, header, planned, holder, manner)
    covered = [(p.fact.declared_name, p.fact.sha256) for p in planned]
    prepared = sign.prepare(
        [(p.fact.content_id, p.fact.sha256) for p in planned],
        header_digest(header, covered),
        holder.algorithm,
        policy=manner.policy,
        at=manner.day,
    )
    signature = _signed(prepared, holder, manner)
    return write.write_document(out, header, planned, signature=signature)


def _enveloped(
    out: BinaryIO,
    header: DocumentHeader,
    planned: Sequence[write.PackedFile],
    holder: KeyHolder,
    manner: Manner,
) -> ReadyPackage:
    policy, day = manner.policy, manner.day
    kept = sign.blank(
        sign.prepare_whole(bytes(32), holder.algorithm, policy=policy, at=day),
        holder.certificate,
        policy=policy,
        at=day,
    )
    start = out.tell()
    written = write.write_document(out, header, planned, signature=kept)
    out.seek(start)
    whole = enveloped.look(out, (sign.WHOLE,))
    if whole is None or whole.signatures != 1:
        raise _not_signable()
    digest = whole.digests[sign.WHOLE]
    prepared = sign.prepare_whole(digest, holder.algorithm, policy=policy, at=day)
    signature = _signed(prepared, holder, manner)
    if len(signature) != len(kept):
        raise _not_signable()
    out.seek(start + whole.at)
    out.write(signature)
    out.seek(start)
    sha256 = hashlib.sha256()
    while piece := out.read(_BLOCK):
        sha256.update(piece)
    return ReadyPackage(written.kind, sha256.hexdigest(), written.size)


def _signed(prepared: sign.PreparedSignature, holder: KeyHolder, manner: Manner) -> bytes:
    value = holder.sign(prepared.signed_info)
    policy, day = manner.policy, manner.day
    return sign.finish(prepared, value, holder.certificate, policy=policy, at=day)


def _not_signable() -> Broken:
    return Broken(
        Text(
            "Gói tin vừa ghi không ký được theo dạng enveloped",
            "the package just written cannot be signed in the profile enveloped",
        ),
        code="signing.enveloped",
    )
