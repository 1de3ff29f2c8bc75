"""Lines of the axis' lists as values of the ports. Pure; missing and null fields are ""."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from adapters.vxp import wire
from gateway.model.package import PackageKind
from gateway.ports import DirectoryEntry, SentItem, WaitingItem

_LONGEST_ID = 255


_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def _text(item: Mapping[str, object], name: str) -> str:
    """A field fit for any database: neither NUL nor half a character, at most 64 Ki."""
    return _UNSTORABLE.sub(" ", wire.text_of(item.get(name))).strip()[:65536]


def usable_id(text: str) -> bool:
    return len(text) <= _LONGEST_ID and wire.header_safe(text)


def waiting_item(item: object, kind: PackageKind) -> WaitingItem | None:
    """A line of the list; None without an id that could be asked for."""
    if not isinstance(item, dict):
        return None
    doc_id = wire.text_of(item.get("docId"))
    if not usable_id(doc_id):
        return None
    said = wire.kind_of(_text(item, "messageType"))
    return WaitingItem(
        doc_id,
        said or kind,
        _text(item, "from"),
        _text(item, "to"),
        _text(item, "status"),
    )


def directory_entry(item: object, other: str) -> DirectoryEntry | None:
    """A line of an agency list; `other`: the field with the second written form of the code."""
    if not isinstance(item, dict) or not (code := _text(item, "code")):
        return None
    return DirectoryEntry(code, _text(item, "name"), _text(item, other), _text(item, "mail"))


def sent_item(item: Mapping[str, object], remote_ref: str) -> SentItem:
    """A line of getSentEdocList: what became of one recipient's copy."""
    words = (_text(item, "sendStatusDesc"), _text(item, "receiveStatusDesc"))
    receiver_ref = _text(item, "receiverDocId")[:_LONGEST_ID]
    sent, received = _text(item, "sendStatus"), _text(item, "receiveStatus")
    return SentItem(
        receiver=_text(item, "toCode"),
        remote_ref=_text(item, "senderDocId")[:_LONGEST_ID] or remote_ref,
        receiver_ref=receiver_ref,
        send_status=sent,
        receive_status=received,
        detail="; ".join(word for word in words if word)[:300],
        notation=_text(item, "notation"),
        # an id for the recipient's copy is the copy's own proof; else the word decides
        passed_on=True if receiver_ref else _PASSED_ON.get(sent.lower()),
        taken=_TAKEN.get(received.lower()),
    )


# the delivery words of vxp-protocol 5, compared without case; any other word says neither
_PASSED_ON = MappingProxyType({"done": True, "fail": False})
_TAKEN = MappingProxyType({"done": True, "initial": False, "processing": False, "fail": False})
