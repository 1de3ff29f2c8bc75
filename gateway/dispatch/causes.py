"""Whose fault it is that a transfer stands: the unit's, the peer's or ours, and what comes next.

In:     the state and hold cause of a transfer, whether it may have been delivered (doubt), and the
        last code that the other side, or we, gave.
Out:    a Cause: whose, the reason in a sentence, the next step in another; both languages.
Fails:  never: a code that nobody has classified has a row of its own.
Never:  decides anything; the states are moved elsewhere, by people.

One table, read from top to bottom: the first row that fits counts. Codes are those of outcomes
(`connect.refused`, `http.503`, `vxp.21`); hold causes are those of `schedule.HoldCause`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from gateway.dispatch.schedule import HoldCause
from gateway.errors import Text
from gateway.model.transfer import TransferState


class Whose(StrEnum):
    """Who must act before it can go on."""

    UNIT = "unit"  # the unit whose document it is, or that sent it to us
    PEER = "peer"  # the axis, or the other gateway
    OURS = "ours"  # whoever runs this gateway


class Cause(NamedTuple):
    whose: Whose
    reason: Text
    next_step: Text


class _Row(NamedTuple):
    """`codes`: the last codes that it fits, separated by blanks; one that ends in a full stop fits
    all that begin so, and none at all fits every code.
    """

    codes: str
    cause: Cause

    def fits(self, code: str) -> bool:
        words = self.codes.split()
        return not words or any(
            code.startswith(word) if word.endswith(".") else code == word for word in words
        )


_ASK_AXIS = Text(
    "Hỏi đơn vị vận hành trục; khi trục đã thông, gửi lại (replay)",
    "ask the axis' operator; replay once the axis works again",
)
_ASK_FIRST = Text(
    "Hỏi trục hoặc nơi nhận. Đã có: chờ trạng thái của nơi nhận. Chưa có: release để gửi lại đúng "
    "gói tin cũ",
    "ask the axis or the receiver. If it is there, wait for the receiver's status; if not, release "
    "it: the same bytes go again",
)
_HELD: dict[str, Cause] = {
    HoldCause.REFUSED_IN_DOUBT: Cause(
        Whose.PEER,
        Text(
            "Trục nay từ chối, nhưng lần gửi trước có thể đã tới trục",
            "the axis refuses it now, but may have it from an earlier attempt",
        ),
        Text(
            "Hỏi trục hoặc nơi nhận xem đã có văn bản chưa. Có: chờ trạng thái của nơi nhận. "
            "Chưa: release để gửi lại đúng gói tin cũ",
            "ask the axis or the receiver whether it is there. If so, wait for the receiver's "
            "status; if not, release it: the same bytes go again",
        ),
    ),
    HoldCause.LIFETIME_IN_DOUBT: Cause(
        Whose.PEER,
        Text(
            "Hết hạn gửi mà vẫn chưa biết trục đã nhận hay chưa",
            "its lifetime is over, and nobody knows whether the axis has it",
        ),
        _ASK_FIRST,
    ),
    HoldCause.REPEAT_NEVER: Cause(
        Whose.PEER,
        Text(
            "Không rõ trục đã nhận hay chưa, và cấu hình của trục cấm tự gửi lại",
            "nobody knows whether the axis has it, and the axis' profile forbids a repeat",
        ),
        _ASK_FIRST,
    ),
    HoldCause.EQUAL_ANSWERS: Cause(
        Whose.PEER,
        Text(
            "Trục trả lời nhiều lần cùng một mã mà chưa ai phân loại",
            "the axis gave the same answer several times, and nobody has classified it",
        ),
        Text(
            "Hỏi đơn vị vận hành trục mã này nghĩa là gì, ghi vào retry hoặc never của trục, "
            "rồi release hoặc withdraw",
            "ask the axis' operator what the code means, put it on the axis' list `retry` or "
            "`never`, then release or withdraw",
        ),
    ),
    HoldCause.RESTORED: Cause(
        Whose.OURS,
        Text(
            "Đang gửi dở khi hệ thống được khôi phục từ bản sao lưu",
            "it was unfinished in the backup from which this gateway was restored",
        ),
        Text(
            "Hỏi đơn vị gửi và nơi nhận xem đã tới chưa, rồi release hoặc withdraw",
            "ask the unit and the receiver whether it arrived, then release or withdraw",
        ),
    ),
    HoldCause.PERSON: Cause(
        Whose.OURS,
        Text("Người vận hành giữ lại", "held by a person who runs this gateway"),
        Text("Release khi đã rõ, hoặc withdraw", "release it when it may go, or withdraw it"),
    ),
    HoldCause.UNSTAMPED: Cause(
        Whose.OURS,
        Text(
            "Quá lâu không có dấu thời gian (stamp.max_delay)",
            "there was no timestamp for too long (stamp.max_delay)",
        ),
        Text(
            "Có dấu thời gian mới thì tự gửi tiếp; không chờ được thì release",
            "it goes on by itself after the next timestamp; release it if it cannot wait",
        ),
    ),
}
_HELD_OTHERWISE = Cause(
    Whose.OURS,
    Text("Được giữ lại để người quyết định", "held for a person to decide"),
    Text("Xem queue show rồi release hoặc withdraw", "read `queue show`, then release or withdraw"),
)
_WITHDRAWN = Cause(
    Whose.OURS,
    Text(
        "Được rút lại trước khi có thể tới trục",
        "it was withdrawn before any attempt can have delivered it",
    ),
    Text(
        "Hỏi người vận hành lý do; khi cần, họ gửi lại được (replay)",
        "ask those who run the gateway why; they can replay it",
    ),
)
_REFUSED = (
    _Row(
        "vxp.21 vxp.22 package. attachment. content. limit. secrecy. signature.",
        Cause(
            Whose.UNIT,
            Text(
                "Trục không nhận gói tin này: nội dung hoặc tệp không đúng quy định",
                "the axis does not take this package: content or a file is not as it must be",
            ),
            Text(
                "Sửa văn bản rồi gửi thành văn bản mới; gửi lại gói tin cũ sẽ lại bị từ chối",
                "mend the document and send it as a new one; the same bytes would be refused again",
            ),
        ),
    ),
    _Row(
        "",
        Cause(
            Whose.PEER,
            Text("Trục từ chối hẳn lượt chuyển này", "the axis refused this transfer for good"),
            Text(
                "Đọc mã và lời của trục (queue show), hỏi đơn vị vận hành trục; khi đã sửa ở "
                "phía trục thì gửi lại (replay), nếu lỗi ở văn bản thì báo đơn vị",
                "read the axis' code and words (`queue show`) and ask its operator; once mended "
                "there, replay it; when the document is at fault, tell the unit",
            ),
        ),
    ),
)
_EXPIRED = (
    _Row(
        "http.401 http.403",
        Cause(
            Whose.OURS,
            Text(
                "Trục không chấp nhận tài khoản của gateway này",
                "the axis does not accept this gateway's account",
            ),
            Text(
                "Kiểm tra system_id và khóa bí mật của trục trong conf, rồi gửi lại (replay)",
                "check the axis' system_id and secret in conf, then replay",
            ),
        ),
    ),
    _Row(
        "connect.certificate",
        Cause(
            Whose.PEER,
            Text(
                "Chứng thư TLS của trục không tin được hoặc đã hết hạn",
                "the axis' TLS certificate cannot be trusted, or has expired",
            ),
            Text(
                "Báo đơn vị vận hành trục; nếu họ đổi CA thì sửa ca_file; rồi gửi lại (replay)",
                "tell the axis' operator; when they changed their CA, mend ca_file; then replay",
            ),
        ),
    ),
    _Row(
        "connect.dns",
        Cause(
            Whose.OURS,
            Text("Không phân giải được tên của trục", "the name of the axis cannot be resolved"),
            Text(
                "Kiểm tra DNS và mạng của máy này, rồi gửi lại (replay)",
                "check DNS and network of this machine, then replay",
            ),
        ),
    ),
    _Row(
        "connect. send. answer. http. vxp.",
        Cause(
            Whose.PEER,
            Text(
                "Trục không nhận được trong suốt thời hạn gửi",
                "the axis could not take it within its lifetime",
            ),
            _ASK_AXIS,
        ),
    ),
    _Row(
        "",
        Cause(
            Whose.OURS,
            Text(
                "Gateway chưa gửi được trong thời hạn vì lỗi ở phía gateway",
                "the gateway itself did not come to deliver it within its lifetime",
            ),
            Text(
                "Xem tiến trình deliver, seal và ổ đĩa, sửa, rồi gửi lại (replay)",
                "look at the workers `deliver` and `seal` and at the disk, mend, then replay",
            ),
        ),
    ),
)
FETCH_HELD = Cause(
    Whose.PEER,
    Text(
        "Nhiều lần không tải được gói tin này từ trục; trục vẫn giữ nó",
        "this package could not be fetched from the axis several times; the axis still has it",
    ),
    Text(
        "Hỏi đơn vị vận hành trục về mã gói tin này, rồi release để tải lại",
        "ask the axis' operator about this docId, then release it: it is fetched again",
    ),
)
_NOT_OURS = Cause(
    Whose.PEER,
    Text(
        "Gói tin đến không gửi cho cơ quan nào của gateway này",
        "the package that came is for no agency of this gateway",
    ),
    Text(
        "Hỏi đơn vị vận hành trục vì sao giao tới đây; quarantine return để khép lại, hoặc "
        "quarantine open sau khi gateway phục vụ cơ quan ấy",
        "ask the axis' operator why it was delivered here; `quarantine return` closes it, "
        "`quarantine open` works once the agency is served here",
    ),
)
_CONFLICT = Cause(
    Whose.PEER,
    Text(
        "Bên gửi đã gửi hai văn bản khác nhau với cùng mã định danh (DocumentId)",
        "the sender sent two different documents under one DocumentId",
    ),
    Text(
        "Hỏi cơ quan gửi văn bản nào đúng: quarantine open để nhận thêm văn bản này, hoặc "
        "quarantine return và báo bên gửi bằng cách khác (trạng thái 02 sẽ trả lại văn bản trước)",
        "ask the sender which one stands: `quarantine open` lets this one in beside the first, "
        "`quarantine return` closes it; tell the sender by other means, a status 02 would refuse "
        "the first",
    ),
)
_SENDER_DIFFERS = Cause(
    Whose.PEER,
    Text(
        "Trục ghi một bên gửi, gói tin ghi một bên gửi khác",
        "the axis lists another sender than the package names",
    ),
    Text(
        "Hỏi đơn vị vận hành trục ai đã gửi; chỉ quarantine open khi trục ghi sai, nếu không thì "
        "quarantine return",
        "ask the axis' operator who sent it; `quarantine open` only when its list is wrong, else "
        "`quarantine return`",
    ),
)
_NOT_THE_SENDER = Cause(
    Whose.PEER,
    Text(
        "Thu hồi, cập nhật, thay thế hoặc lấy lại một văn bản do cơ quan khác gửi",
        "a recall, update, replacement or take-back of a document that another agency sent",
    ),
    Text(
        "Hỏi cơ quan đã gửi gói tin này; quarantine open nếu họ có quyền (sau sáp nhập cơ quan), "
        "nếu không thì quarantine return",
        "ask the agency that sent it; `quarantine open` where it may do so (after a merger of "
        "agencies), else `quarantine return`",
    ),
)
_SECRET = Cause(
    Whose.UNIT,
    Text(
        "Văn bản có dấu mật đi sai đường; ở đây không bao giờ mở",
        "a document marked secret came by the wrong road; it never opens here",
    ),
    Text(
        "Theo quy định về bảo vệ bí mật nhà nước và báo cơ quan gửi; quarantine return để khép lại",
        "follow your rules on state secrets and tell the sender; `quarantine return` closes it",
    ),
)
_POISON = Cause(
    Whose.OURS,
    Text(
        "Gói tin đến đã làm hỏng tiến trình mở gói nhiều lần",
        "the package that came killed the process that opened it, more than once",
    ),
    Text(
        "Gửi log cho người phát triển và báo cơ quan gửi; quarantine return để khép lại, gói tin "
        "vẫn được giữ",
        "send the log to the developers and tell the sending agency; `quarantine return` closes "
        "it, the package is kept",
    ),
)
QUARANTINED = Cause(
    Whose.UNIT,
    Text(
        "Gói tin đến không mở được hoặc trái quy định; byte gốc và phát hiện được giữ lại",
        "the package that came cannot be opened or breaks a rule; bytes and findings are kept",
    ),
    Text(
        "Đọc các phát hiện (quarantine show) và báo cơ quan gửi gửi lại cho đúng; quarantine "
        "return để khép lại",
        "read the findings (`quarantine show`) and ask the sending agency to send it rightly; "
        "`quarantine return` closes it",
    ),
)
_ARRIVED: dict[str, Cause] = {
    "arrival.not_ours": _NOT_OURS,
    "arrival.poison": _POISON,
    "arrival.conflict": _CONFLICT,
    "arrival.sender_differs": _SENDER_DIFFERS,
    "act.not_the_sender": _NOT_THE_SENDER,
    "secrecy.marked": _SECRET,
}


# where releasing or withdrawing is the choice: with doubt nothing is withdrawn, and nothing goes
# again unasked
_CHOICE = (HoldCause.EQUAL_ANSWERS, HoldCause.RESTORED, HoldCause.PERSON)


def of_transfer(state: str, *, hold_cause: str, code: str, doubt: bool) -> Cause:
    """Why a transfer stands where it stands. `code`: of its last outcome, "" when none was made."""
    if state == TransferState.HELD:
        held = _HELD.get(hold_cause, _HELD_OTHERWISE)
        chosen = hold_cause in _CHOICE or held is _HELD_OTHERWISE
        return held._replace(next_step=_ASK_FIRST) if doubt and chosen else held
    if state == TransferState.WITHDRAWN:
        return _WITHDRAWN
    return _first(_REFUSED if state == TransferState.REFUSED else _EXPIRED, code)


_WAIT_IN_DOUBT = Text(
    "Không gửi lại: văn bản có thể đã tới. Người vận hành gateway hỏi trục rồi quyết định",
    "do not send it again: it may have arrived. Those who run the gateway ask the axis and decide",
)
_WAIT = Text(
    "Chờ: người vận hành gateway quyết định có gửi tiếp hay không; nếu gấp thì hỏi họ",
    "wait: those who run the gateway decide whether it goes on; ask them if it is urgent",
)
# not to wait for a status: a replay is made where the axis lost what it took, and then none comes
_ASK_BEFORE_SENDING = Text(
    "Không gửi lại khi chưa hỏi người vận hành gateway: trục đã nhận, hoặc có thể đã nhận, một "
    "lượt trước của văn bản này",
    "do not send it again before asking those who run the gateway: the axis took an earlier "
    "transfer of this document, or may have",
)
_ASK_FOR_A_REPLAY = Text(
    "Chưa tới nơi nhận qua gateway này. Hỏi người vận hành gateway: khi đã xử lý nguyên nhân, họ "
    "gửi lại được; nếu gấp thì gửi bằng đường khác",
    "it did not arrive through this gateway. Ask those who run it: once the cause is mended they "
    "can send it again; if it is urgent, send it another way",
)


def for_sender(state: str, cause: Cause, *, doubt: bool) -> Text:
    """The next step of the unit whose document it is: it has no queue to release anything from."""
    if state == TransferState.HELD:
        return _WAIT_IN_DOUBT if doubt else _WAIT
    if doubt:  # of a replay: what it repeated had left before it
        return _ASK_BEFORE_SENDING
    if state == TransferState.WITHDRAWN or cause.whose is Whose.UNIT:
        return cause.next_step
    return _ASK_FOR_A_REPLAY


def of_arrival(code: str) -> Cause:
    """Why an arrival lies in quarantine. `code`: of the finding that brought it there."""
    return _ARRIVED.get(code, QUARANTINED)


def _first(rows: tuple[_Row, ...], code: str) -> Cause:
    return next(row.cause for row in rows if row.fits(code))
