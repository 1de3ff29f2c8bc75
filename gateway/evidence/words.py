"""What each record says, in the words of an office.

In:     a record.
Out:    one sentence, Vietnamese and English.
Fails:  never: an event without words here is shown by its own name.
Never:  shows anything that is not in the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gateway.errors import Text
from gateway.model.record import Record

_OUTCOMES: Mapping[str, Text] = MappingProxyType(
    {
        "delivered": Text("trục đã nhận", "the axis took it"),
        "deferred": Text("chưa gửi được, sẽ gửi lại", "not delivered, to be tried again"),
        "refused": Text("trục từ chối", "the axis refused it"),
        "uncertain": Text(
            "không rõ kết quả, sẽ gửi lại đúng các byte đó",
            "no verdict came, the same bytes go again",
        ),
    }
)
# `{name}` is a fact of the record, or "about" something by its id
_SENTENCES: Mapping[str, Text] = MappingProxyType(
    {
        "submission.accepted": Text(
            "Nhận văn bản {document_id} của {from} để gửi đi, đã cấp biên nhận",
            "Document {document_id} of {from} was accepted for sending, with a receipt",
        ),
        "submission.refused": Text("Từ chối nhận văn bản", "A document was refused"),
        "status.accepted": Text(
            "Nhận trạng thái {code} về văn bản {document_id} để gửi tới {to}",
            "Status {code} about document {document_id} was accepted for {to}",
        ),
        "attempt.started": Text(
            "Bắt đầu gửi lên trục {axis}, lần {attempt}",
            "Attempt {attempt} on the axis {axis} begins",
        ),
        "attempt.ended": Text(
            "Kết thúc lần gửi {attempt} trên trục {axis}: {outcome}",
            "Attempt {attempt} on the axis {axis} ends: {outcome}",
        ),
        "attempt.taken_over": Text(
            "Lần gửi {attempt} bị bỏ dở; chưa rõ trục đã nhận hay chưa",
            "Attempt {attempt} was broken off; whether the axis has it is not known",
        ),
        "transfer.held": Text("Giữ lại chờ người quyết định", "Held until a person decides"),
        "transfer.released": Text("Được cho gửi tiếp", "Let go on its way again"),
        "transfer.expired": Text("Hết hạn gửi, chưa chuyển được", "Not delivered in its lifetime"),
        "transfer.withdrawn": Text("Rút lại trước khi gửi", "Taken back before it was sent"),
        "transfer.rerouted": Text("Chuyển sang trục khác", "Carried on by another axis"),
        "recipient.moved": Text(
            "{recipient} báo trạng thái {code} (theo nơi nhận: {reported_at})",
            "{recipient} reported status {code} (as the receiver says: {reported_at})",
        ),
        "arrival.received": Text(
            "Nhận gói tin {axis_doc_id} từ trục {axis}",
            "Package {axis_doc_id} came from the axis {axis}",
        ),
        "arrival.opened": Text(
            "Mở gói tin của {from} về {document_id}; chữ ký: {signature}",
            "The package of {from} about {document_id} was opened; signature: {signature}",
        ),
        "item.available": Text("Có tại gateway cho {agency}", "Available to {agency}"),
        "item.fetched": Text("{agency} đã tải về", "Fetched by {agency}"),
        "item.entered": Text(
            "Văn bản vào Hệ thống của {agency}", "The document entered the System of {agency}"
        ),
        "item.seen": Text("Nơi gửi đã xem", "Seen by the sender"),
        "item.refused": Text("{agency} từ chối nhận", "{agency} refused it"),
        "item.recalled": Text("{agency} đồng ý thu hồi", "{agency} agreed to the recall"),
        "stamp.ordered": Text("Xin dấu thời gian theo yêu cầu", "A timestamp was asked for"),
        "clock.stepped": Text("Đồng hồ máy chủ lùi lại", "The gateway's clock stepped back"),
        "ledger.key_changed": Text("Đổi khóa của sổ cái", "The ledger changed its key"),
        "ledger.epoch_begun": Text("Bắt đầu cây mới của sổ cái", "The ledger began a new tree"),
    }
)


def sentence(record: Record) -> Text:
    said = _SENTENCES.get(record.event)
    if said is None:
        return Text(record.event, record.event)
    outcome = _OUTCOMES.get(str(record.facts.get("outcome", "")))
    facts: dict[str, Any] = {k: v for k, v in record.facts.items() if isinstance(v, str | int)}
    return Text(
        said.vi.format_map(_Known(facts | ({"outcome": outcome.vi} if outcome else {}))),
        said.en.format_map(_Known(facts | ({"outcome": outcome.en} if outcome else {}))),
    )


class _Known(dict[str, Any]):
    """A fact that the record does not state is a dash."""

    def __missing__(self, name: str) -> str:
        return "—"
