"""Where a signature could be made to cover one thing and show another: told, never repaired.

In:     the Signature that is read, the others, the content ids of attachments and manifest.
Out:    warnings; the verdict itself is that of gateway/signing.
Fails:  never.
Never:  decides which of two counts (collect.py and elements.py have), throws a package away.

Signature wrapping keeps the signed bytes somewhere in the document and puts others where programs
look. It needs something twice, or something in a place where it has no business: a block, a part of
a block, a content id. Each such thing is named here, whether or not the signature still holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gateway.packing.elements import RULE, Node, Reading

_PARTS = frozenset({"signedinfo", "signaturevalue", "keyinfo"})
_ONCE_INSIDE = frozenset({"canonicalizationmethod", "signaturemethod"})
_PLACE = "edxmlheader"


def tell_places(read: Sequence[Node], strays: Sequence[str], reading: Reading) -> None:
    """`read`: the Signatures where programs look for one; `strays`: where others stand."""
    count = len(read) + len(strays)
    if count > 1:
        where = read[-1].where() if read else strays[0]
        reading.warn(
            where,
            "signature.several",
            f"Gói tin có {count} khối chữ ký; chỉ khối cuối trong phần đầu được xét",
            f"there are {count} signature blocks; only the last in the header is judged",
            RULE,
        )
    elsewhere = [n.where() for n in read if n.parent is None or n.parent.key != _PLACE]
    for where in (*elsewhere, *strays)[:1]:
        reading.warn(
            where,
            "signature.misplaced",
            "Khối chữ ký không nằm trong edXMLHeader",
            "a signature block stands outside the edXMLHeader",
            RULE,
        )


def tell_block(block: Node, reading: Reading) -> None:
    """What stands in the block twice, besides, or in another namespace than the block itself."""
    children = block.children
    infos = [c for c in children if _bare(c) == "signedinfo"]
    once = [c for c in children if _bare(c) in _PARTS]
    once += [c for info in infos for c in info.children if _bare(c) in _ONCE_INSIDE]
    for name, count in Counter(_bare(c) for c in once).items():
        if count > 1:
            reading.warn(
                block.where(),
                "signature.part_doubled",
                f"Khối chữ ký có {count} phần tử {name}",
                f"the signature block has {count} elements {name}",
                RULE,
            )
    foreign = next((c for c in _within(once, infos) if c.uri != block.uri), None)
    if foreign is not None:
        reading.warn(
            foreign.where(),
            "signature.namespace_mixed",
            f"Phần tử {foreign.local[:60]} khác không gian tên với khối chữ ký",
            f"{foreign.local[:60]} is in another namespace than its signature block",
            RULE,
        )
    besides = [c for c in children if _bare(c) not in _PARTS]
    if besides:
        reading.warn(
            besides[0].where(),
            "signature.object",
            f"Khối chữ ký mang thêm {besides[0].local[:60]}; không đọc, không tính là đã ký",
            f"the signature block carries {besides[0].local[:60]} besides; it is not read and does "
            "not count as signed",
            RULE,
        )


def tell_doubled_ids(
    attachments: Iterable[str], manifest: Iterable[str], where: str, reading: Reading
) -> None:
    """`attachments`, `manifest`: content ids without `cid:`; empty ones say nothing."""
    twice = _first_doubled(attachments)
    if twice:
        reading.warn(
            where,
            "attachment.content_id_doubled",
            f"Hai tệp đính kèm cùng mã nội dung: {twice[:100]!r}",
            f"two attachments have one content id: {twice[:100]!r}",
            RULE,
        )
    twice = _first_doubled(manifest)
    if twice:
        reading.warn(
            where,
            "manifest.content_id_doubled",
            f"edXMLManifest nêu hai lần mã nội dung {twice[:100]!r}",
            f"the edXMLManifest names the content id {twice[:100]!r} twice",
            RULE,
        )


def _first_doubled(ids: Iterable[str]) -> str:
    counted = Counter(ids)
    return next((name for name, count in counted.items() if name and count > 1), "")


def _within(once: Sequence[Node], infos: Sequence[Node]) -> Iterable[Node]:
    """Every element whose values are judged, but the parameters of algorithms."""
    yield from once
    for info in infos:
        for reference in info.children:
            yield reference
            yield from reference.children


def _bare(node: Node) -> str:
    return node.key.removeprefix("ds:")
