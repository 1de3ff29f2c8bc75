"""From the elements of a package to the nouns of the model, liberally (edxml-format 13).

In:     small trees of nodes, as read.py collects them.
Out:    DocumentHeader, StatusReport, SignatureBlock; findings and extras gathered on the way.
Fails:  never: what cannot be understood is kept raw and told.
Never:  sees attachment bytes, reads a comment, drops an unknown element silently.

Matching is by local name in any letter case, in the namespace of QCVN 102 or in none; the
misspelt standard names and their right spellings are one (edxml-format 10, 13).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.model.package import (
    NS_DSIG,
    STATUS_CODES,
    Business,
    DocumentCode,
    DocumentHeader,
    DocumentType,
    Organ,
    OtherInfo,
    Promulgation,
    ReceiverChange,
    Replacement,
    ResponseFor,
    SignatureBlock,
    SignatureReference,
    Signer,
    Staff,
    StatusReport,
    TraceHeader,
    iso_date,
)
from gateway.packing import told
from gateway.packing.dates import is_day, is_iso_date, is_moment, is_other_moment
from gateway.packing.node import Node, key_of
from gateway.packing.texts import tidy
from gateway.packing.told import RULE, Told

__all__ = ["RULE", "Node", "Reading", "attribute", "key_of", "signature_block"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")

_ORGAN = {
    "organid": "organ_id",
    "organname": "name",
    "organizationincharge": "in_charge",
    "organadd": "address",
    "email": "email",
    "telephone": "telephone",
    "fax": "fax",
    "website": "website",
}
_CODE = {"codenumber": "number", "codenotation": "notation"}
_PROMULGATION = {"place": "place", "promulgationdate": "date"}
_SIGNER = {"competence": "competence", "position": "position", "fullname": "full_name"}
_RESPONSE = {
    "organid": "organ_id",
    "code": "code",
    "documentid": "document_id",
    "promulgationdate": "promulgation_date",
}
_STAFF = {
    "department": "department",
    "departmentid": "department_id",
    "staff": "name",
    "staffid": "staff_id",
    "email": "email",
    "mobile": "mobile",
}
_TRACE = {"organid": "organ_id", "timestamp": "timestamp"}
_SINGLE = frozenset(
    {
        "documentid",
        "code",
        "promulgationinfo",
        "documenttype",
        "subject",
        "content",
        "signerinfo",
        "duedate",
        "otherinfo",
        "steeringtype",
        "responsefortask",
        "applicationtype",
        "toplaces",
        "from",
    }
)
_DOCUMENT = _SINGLE | {"to", "responsefor"}
_STATUS = frozenset({"from", "responsefor", "staffinfo", "statuscode", "description", "timestamp"})
_OTHER = frozenset(
    {
        "priority",
        "sphereofpromulgation",
        "typernotation",
        "promulgationamount",
        "pageamount",
        "replyfors",
        "direction",
        "referencecodes",
        "appendixes",
    }
)
_BUSINESS = frozenset(
    {
        "documentid",
        "businessdoctype",
        "businessdocreason",
        "paper",
        "businessdocumentinfo",
        "replacementinfolist",
        "staffinfo",
    }
)


class Reading(Told):
    """Interprets nodes; gathers `findings` and `extras` in document order as far as it goes."""

    def __init__(self) -> None:
        super().__init__()
        self._repeated: set[str] = set()

    # -- small things --------------------------------------------------------------------------

    def value(self, node: Node) -> str:
        """Trimmed text in NFC; "" for empty and for the literal `null` (edxml-format 10)."""
        text = self.raw(node)
        plain = tidy(text)
        if plain != text:
            self.habit(told.NORMAL_FORM, node, node.local)
        return plain

    def raw(self, node: Node) -> str:
        """As `value`, in the form it came in: for names and ids that something is matched by."""
        if node.attributes:
            self.keep_attributes(node)
        for child in node.children:
            self.keep_unknown(child)
        text = node.text.strip()
        if not text:
            self._tell_empty(node)
        elif text == "null":
            self.habit(told.NULL, node, node.local)
            return ""
        return text

    def group(
        self,
        node: Node,
        known: frozenset[str] | Mapping[str, object],
        attributes: Sequence[str] = (),
    ) -> dict[str, list[Node]]:
        """Children by key; the rest goes to the extras."""
        if node.attributes:
            self.keep_attributes(node, attributes)
        self.keep_text(node)
        self._tell_empty(node)
        found: dict[str, list[Node]] = {}
        for child in node.children:
            if child.key in known:
                found.setdefault(child.key, []).append(child)
            else:
                self.keep_unknown(child)
        return found

    def _tell_empty(self, node: Node) -> None:
        if not (node.children or node.text.strip()):
            self.habit(told.EMPTY, node, node.local)

    def last(self, found: Mapping[str, list[Node]], key: str) -> Node | None:
        """A single element; repeated, the last one wins, as the vendor's parser has it."""
        nodes = found.get(key)
        if not nodes:
            return None
        if len(nodes) > 1:
            self._tell_repeated(nodes[-1], "cuối cùng", "last")
        return nodes[-1]

    def _tell_repeated(self, node: Node, which_vi: str, which_en: str) -> None:
        path = node.path()
        if path in self._repeated:
            return
        self._repeated.add(path)
        self.warn(
            node.where(),
            "element.repeated",
            f"Phần tử {node.local[:60]} lặp lại; lấy phần tử {which_vi}",
            f"{node.local[:60]} is repeated; the {which_en} one is taken",
            RULE,
        )

    def texts(
        self, node: Node | None, table: Mapping[str, str], *, raw: bool = False
    ) -> dict[str, str]:
        """The group's text fields by the model's names; absent ones are left out.

        `raw`: in the form they came in.
        """
        if node is None:
            return {}
        fields: dict[str, str] = {}
        if node.attributes or node.text:
            self.keep_attributes(node)
            self.keep_text(node)
        self._tell_empty(node)
        for child in node.children:
            name = table.get(child.key)
            if name is None:
                self.keep_unknown(child)
                continue
            text = self.raw(child) if raw else self.value(child)
            if text:
                if name in fields:
                    self._tell_repeated(child, "cuối cùng", "last")
                fields[name] = text
        return fields

    def text(self, found: Mapping[str, list[Node]], key: str) -> str:
        node = self.last(found, key)
        return "" if node is None else self.value(node)

    def listed(self, node: Node | None, key: str) -> tuple[str, ...]:
        """`ToPlaces/Place`, `Appendixes/Appendix`, ...: non-empty texts in order."""
        if node is None:
            return ()
        items = self.group(node, frozenset({key})).get(key, [])
        return tuple(text for text in map(self.value, items) if text)

    def number(
        self, found: Mapping[str, list[Node]], key: str, default: int | None = None
    ) -> int | None:
        """A plain integer, trimmed; anything else is the default, with a warning."""
        node = self.last(found, key)
        if node is None:
            return default
        if not (node.children or node.text.strip()):
            self.keep_attributes(node)
            self.habit(told.EMPTY_NUMBER, node, node.local)
            return default
        text = self.value(node)
        if not text:
            return default
        if _INTEGER.fullmatch(text) and int(text) >= 0:
            return int(text)
        self.warn(
            node.where(),
            "number.invalid",
            f"{node.local} không phải số nguyên không âm: {text[:40]!r}",
            f"{node.local} is not a non-negative integer: {text[:40]!r}",
            RULE,
        )
        return default

    def day(self, text: str, node: Node | None, name: str) -> str:
        """ISO date; what is no date stays as it came, with a warning (edxml-format 8)."""
        if not text or node is None:
            return ""
        iso = iso_date(text)
        if not is_iso_date(iso):
            self.warn(
                node.where(),
                "date.invalid",
                f"{name} không phải ngày hợp lệ: {text[:40]!r}",
                f"{name} is not a valid date: {text[:40]!r}",
                RULE,
            )
        elif not is_day(text):
            self.habit(told.DATE_FORM, node, f"{name} {text[:40]}")
        return iso

    def moment(self, text: str, node: Node) -> str:
        """As written: who needs an instant makes one of it, in any form of edxml-format 8."""
        if not text or is_moment(text):
            return text
        if is_other_moment(text):
            self.habit(told.TIMESTAMP_FORM, node, text)
            return text
        self.warn(
            node.where(),
            "timestamp.invalid",
            f"Timestamp không đúng dạng yyyy/MM/dd HH:mm:ss: {text[:40]!r}",
            f"Timestamp is not yyyy/MM/dd HH:mm:ss: {text[:40]!r}",
            RULE,
        )
        return text

    # -- the document header -------------------------------------------------------------------

    def document(self, message: Node | None, traces: Node | None) -> DocumentHeader:
        found = self.group(message, _DOCUMENT) if message is not None else {}
        senders = found.get("from", [])
        if len(senders) > 1:
            self._tell_repeated(senders[1], "đầu tiên", "first")
        to = tuple(Organ(**self.texts(node, _ORGAN)) for node in found.get("to", []))
        other = self._other(self.last(found, "otherinfo"))
        code = DocumentCode(**self.texts(self.last(found, "code"), _CODE))
        promulgation_node = self.last(found, "promulgationinfo")
        promulgation = self.texts(promulgation_node, _PROMULGATION)
        promulgation["date"] = self.day(
            promulgation.get("date", ""), promulgation_node, "PromulgationDate"
        )
        due = self.last(found, "duedate")
        tasks = self.last(found, "responsefortask")
        business, paper, trail, ident, version = self._traces(traces)
        return DocumentHeader(
            sender=Organ(**self.texts(senders[0] if senders else None, _ORGAN)),
            to=tuple(organ for organ in to if organ != Organ()),
            document_id=self.text(found, "documentid"),
            code=code,
            promulgation=Promulgation(**promulgation),
            document_type=self._type(self.last(found, "documenttype")),
            subject=self.text(found, "subject"),
            content=self.text(found, "content"),
            signer=Signer(**self.texts(self.last(found, "signerinfo"), _SIGNER)),
            due_date=self.day(self.value(due), due, "DueDate") if due is not None else "",
            other=other,
            response_for=self._responses(found.get("responsefor", [])),
            steering_type=self.number(found, "steeringtype"),
            task_codes=self.listed(tasks, "taskcode"),
            application_type=self.text(found, "applicationtype"),
            to_places=self.listed(self.last(found, "toplaces"), "place"),
            business=business,
            traces=trail,
            trace_id=ident,
            trace_version=version,
            paper=paper,
        )

    def _responses(self, nodes: Sequence[Node]) -> tuple[ResponseFor, ...]:
        read = []
        for node in nodes:
            fields = self.texts(node, _RESPONSE)
            if fields:
                day = self.day(fields.get("promulgation_date", ""), node, "PromulgationDate")
                read.append(ResponseFor(**{**fields, "promulgation_date": day}))
        return tuple(read)

    def _type(self, node: Node | None) -> DocumentType:
        if node is None:
            return DocumentType()
        found = self.group(node, frozenset({"type", "typedetail", "typename"}))
        return DocumentType(
            self.number(found, "type"),
            self.number(found, "typedetail"),
            self.text(found, "typename"),
        )

    def _other(self, node: Node | None) -> OtherInfo:
        if node is None:
            return OtherInfo()
        found = self.group(node, _OTHER)
        return OtherInfo(
            priority=self.number(found, "priority"),
            sphere=self.text(found, "sphereofpromulgation"),
            typer_notation=self.text(found, "typernotation"),
            copies=self.number(found, "promulgationamount"),
            pages=self.number(found, "pageamount"),
            reply_fors=self.text(found, "replyfors"),
            direction=self._flag(found, "direction"),
            reference_codes=self.text(found, "referencecodes"),
            appendixes=self.listed(self.last(found, "appendixes"), "appendix"),
        )

    def _flag(self, found: Mapping[str, list[Node]], key: str) -> bool | None:
        node = self.last(found, key)
        text = self.value(node).lower() if node is not None else ""
        if node is None or not text:
            return None
        if text in {"true", "1"}:
            return True
        if text not in {"false", "0"}:
            self.warn(
                node.where(),
                "flag.invalid",
                f"{node.local} không phải true hay false: {text[:40]!r}",
                f"{node.local} is neither true nor false: {text[:40]!r}",
                RULE,
            )
            return None
        return False

    def _traces(
        self, node: Node | None
    ) -> tuple[Business, int | None, tuple[TraceHeader, ...], str, str]:
        if node is None:
            return Business(), None, (), "", ""
        own = {local: value.strip() for (_, local, prefix), value in node.attributes if not prefix}
        found = self.group(node, frozenset({"paper", "business", "traceheader"}), ("id", "version"))
        trail = []
        for item in found.get("traceheader", []):
            fields = self.texts(item, _TRACE)
            if fields:
                self.moment(fields.get("timestamp", ""), item)
                trail.append(TraceHeader(**fields))
        return (
            self._business(self.last(found, "business")),
            self.number(found, "paper"),
            tuple(trail),
            own.get("id", ""),
            own.get("version", ""),
        )

    def _business(self, node: Node | None) -> Business:
        if node is None:
            return Business()
        found = self.group(node, _BUSINESS)
        kind = self.number(found, "businessdoctype", 0) or 0
        if kind > 3:
            self.error(
                node.where(),
                "business.type_unknown",
                f"Loại nghiệp vụ không có trong quy chuẩn: {kind}",
                f"a business type that the regulation does not know: {kind}",
                RULE,
            )
        document_changed, receivers_changed, receivers = self._changes(
            found.get("businessdocumentinfo", [])
        )
        return Business(
            type=kind,
            document_id=self.text(found, "documentid"),
            reason=self.text(found, "businessdocreason"),
            paper=self.number(found, "paper"),
            document_changed=document_changed,
            receivers_changed=receivers_changed,
            receivers=receivers,
            replaces=self._replacements(found.get("replacementinfolist", [])),
            staff=tuple(
                Staff(**fields)
                for fields in (self.texts(item, _STAFF) for item in found.get("staffinfo", []))
                if fields
            ),
        )

    def _changes(
        self, nodes: Sequence[Node]
    ) -> tuple[int | None, int | None, tuple[ReceiverChange, ...]]:
        document: int | None = None
        listed: int | None = None
        receivers = []
        for node in nodes:
            found = self.group(
                node, frozenset({"documentinfo", "documentreceiver", "receiverlist"})
            )
            document = self.number(found, "documentinfo", document)
            listed = self.number(found, "documentreceiver", listed)
            for group in found.get("receiverlist", []):
                for item in self.group(group, frozenset({"receiver"})).get("receiver", []):
                    fields = self.group(item, frozenset({"organid", "receivertype"}))
                    organ = self.text(fields, "organid")
                    change = self.number(fields, "receivertype")
                    if organ and change is not None:
                        receivers.append(ReceiverChange(organ, change))
                    elif organ or fields:
                        self.warn(
                            item.where(),
                            "receiver.incomplete",
                            "Receiver thiếu OrganId hoặc ReceiverType; bỏ qua",
                            "a Receiver without OrganId or ReceiverType is left out",
                            RULE,
                        )
        return document, listed, tuple(receivers)

    def _replacements(self, nodes: Sequence[Node]) -> tuple[Replacement, ...]:
        replaced = []
        for node in nodes:
            items = self.group(node, frozenset({"replacementinfo"}))
            for item in items.get("replacementinfo", []):
                found = self.group(item, frozenset({"documentid", "organidlist"}))
                organs = tuple(
                    organ
                    for group in found.get("organidlist", [])
                    for organ in self.listed(group, "organid")
                )
                document_id = self.text(found, "documentid")
                if document_id or organs:
                    replaced.append(Replacement(document_id, organs))
        return tuple(replaced)

    # -- the status report ---------------------------------------------------------------------

    def status(self, message: Node) -> StatusReport:
        found = self.group(message, _STATUS)
        senders = found.get("from", [])
        response_node = self.last(found, "responsefor")
        response = self.texts(response_node, _RESPONSE)
        response["promulgation_date"] = self.day(
            response.get("promulgation_date", ""), response_node, "PromulgationDate"
        )
        code_node = self.last(found, "statuscode")
        code = self.value(code_node) if code_node is not None else ""
        if len(code) == 1 and code.isascii() and code.isdigit():
            code = "0" + code
        if code_node is not None and code not in STATUS_CODES:
            self.warn(
                code_node.where(),
                "status.code_unknown",
                f"Mã trạng thái không có trong quy định: {code[:20]!r}",
                f"a status code that the regulation does not know: {code[:20]!r}",
                "QĐ 28/2018/QĐ-TTg",
            )
        time_node = self.last(found, "timestamp")
        if time_node is None:
            self.warn(
                message.where(),
                "timestamp.missing",
                "Gói tin trạng thái không có Timestamp",
                "the status package has no Timestamp",
                RULE,
            )
        return StatusReport(
            sender=Organ(**self.texts(senders[0] if senders else None, _ORGAN)),
            response_for=ResponseFor(**response),
            code=code,
            timestamp=self.moment(self.value(time_node), time_node) if time_node else "",
            description=self.text(found, "description"),
            staff=Staff(**self.texts(self.last(found, "staffinfo"), _STAFF)),
        )


def signature_block(node: Node, exclusive: bytes, inclusive: bytes) -> SignatureBlock:
    """The values of a Signature, whichever namespace it is in; nothing is verified here."""

    def find(parent: Node | None, name: str) -> Node | None:
        return next(iter(every(parent, name)), None)

    def every(parent: Node | None, name: str) -> list[Node]:
        children = parent.children if parent is not None else []
        return [c for c in children if c.key.removeprefix("ds:") == name]

    def text(parent: Node | None, name: str) -> str:
        found = find(parent, name)
        return found.text.strip() if found is not None else ""

    def algorithm(parent: Node | None, name: str) -> str:
        return attribute(find(parent, name), "Algorithm")

    info = find(node, "signedinfo")
    data = find(find(node, "keyinfo"), "x509data")
    references = tuple(
        SignatureReference(
            uri=attribute(item, "URI"),
            digest_method=algorithm(item, "digestmethod"),
            digest_value=text(item, "digestvalue"),
            transforms=tuple(
                attribute(step, "Algorithm")
                for step in every(find(item, "transforms"), "transform")
            ),
            parameters=any(step.children for step in every(find(item, "transforms"), "transform")),
            absent=all(local != "URI" or p for (_, local, p), _ in item.attributes),
        )
        for item in every(info, "reference")
    )
    return SignatureBlock(
        in_dsig_namespace=node.uri == NS_DSIG,
        canonicalization=algorithm(info, "canonicalizationmethod"),
        signature_method=algorithm(info, "signaturemethod"),
        references=references,
        signature_value=text(node, "signaturevalue"),
        certificates=tuple(c.text.strip() for c in every(data, "x509certificate")),
        subject_name=text(data, "x509subjectname"),
        signed_info_exclusive=exclusive,
        signed_info_inclusive=inclusive,
    )


def attribute(node: Node | None, name: str) -> str:
    if node is None:
        return ""
    return next((v.strip() for (_, local, p), v in node.attributes if local == name and not p), "")
