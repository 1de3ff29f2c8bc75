"""edXML 1.0 from QCVN 102:2016 and back: headers, the manifest, statuses. Pure.

In:     trees of a header in one format.
Out:    trees or text of the other, and the names of what it has no place for.
Fails:  never: what is missing is written empty, as edXML 1.0 wants every element present.
Never:  invents a value that decides something, but for three that the other side insists on: the
        type of a document (1 or 2), its priority, one trace; the profile says what they are.
Source: edxml-format 2, 3, 12; vxp-protocol 8.1.

Elements that QCVN 102 added (DocumentId, ResponseFor, SteeringType, Bussiness and others) travel as
further elements in the namespace of edXML 1.0: its readers take what they know, by local name, and
a gateway at the other end gets the same document back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from adapters.edoc_soap.trees import Node, node
from gateway.model.package import NS_EDXML1, NS_QCVN102

E = NS_EDXML1
Q = NS_QCVN102
_ORGAN = ("OrganId", "OrganizationInCharge", "OrganName", "OrganAdd", "Email", "Telephone", "Fax")
_TO = tuple(name for name in (*_ORGAN, "Website") if name != "OrganizationInCharge")
# what the tag check of the only public server asks for, in its order (edxml-format 12)
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Code", ("CodeNumber", "CodeNotation")),
    ("PromulgationInfo", ("Place", "PromulgationDate")),
    ("DocumentType", ("Type", "TypeName")),
    ("Subject", ()),
    ("Content", ()),
    ("SignerInfo", ("Competence", "Position", "FullName")),
    ("DueDate", ()),
    ("ToPlaces", ("Place",)),
    (
        "OtherInfo",
        (
            "Priority",
            "SphereOfPromulgation",
            "TyperNotation",
            "PromulgationAmount",
            "PageAmount",
            "Appendixes",
        ),
    ),
)
_OLD_DAY = re.compile(r"(\d{2})[/-](\d{2})[/-](\d{4})((?:[ T]\d{2}:\d{2}:\d{2})?)", re.ASCII)
_DAYS = frozenset({"promulgationdate", "duedate", "timestamp"})
# QCVN 102's order of MessageHeader (edxml-format 2.1); what is not named here comes last
_ORDER = (
    "from", "to", "documentid", "code", "promulgationinfo", "documenttype", "subject", "content",
    "signerinfo", "duedate", "otherinfo", "responsefor", "steeringtype", "responsefortask",
    "applicationtype", "toplaces",
)  # fmt: skip
_STATUS_ORDER = ("from", "responsefor", "staffinfo", "statuscode", "description", "timestamp")
_NO_TYPE = "2"


@dataclass(frozen=True, slots=True)
class Filling:
    """What an axis insists on where the package says nothing it would take."""

    document_type: str = _NO_TYPE
    priority: str = "0"


@dataclass(slots=True)
class Converted:
    """`blocks`: MessageHeader, TraceHeaderList, ErrorList in edXML 1.0. `lost`: what has no place
    there; `filled`: what was written because the axis insists. Element names, for a person.
    """

    blocks: list[Node] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    filled: list[str] = field(default_factory=list)

    def words(self) -> str:
        """ "" when nothing was lost or filled in; else one line in English."""
        told = []
        if self.lost:
            told.append(f"not carried in edXML 1.0: {', '.join(self.lost)}")
        if self.filled:
            told.append(f"filled in: {', '.join(self.filled)}")
        return "; ".join(told)


def to_older(header: Node, filling: Filling = Filling()) -> Converted:
    """The header blocks of edXML 1.0. `header`: the element edXMLHeader of QCVN 102."""
    made = Converted()
    message = header.find("MessageHeader") or Node(Q, "MessageHeader")
    made.blocks.append(_message(message, filling, made))
    made.blocks.append(_traces(header.find("TraceHeaderList"), message, made))
    made.blocks.append(Node(E, "ErrorList"))
    for other in header.children:
        if other.name.lower() not in {"messageheader", "traceheaderlist", "errorlist"}:
            made.lost.append(other.name)  # above all the Signature: 1.0 has a token in its place
    return made


def _message(message: Node, filling: Filling, made: Converted) -> Node:
    out = Node(E, "MessageHeader")
    sender = message.find("From") or Node(Q, "From")
    out.children.append(_present("From", sender, (*_ORGAN, "Website")))
    out.children += [_present("To", one, _TO) for one in message.all("To")]
    known = {"from", "to"}
    for name, inside in _GROUPS:
        out.children.append(_present(name, message.find(name) or Node(Q, name), inside))
        known.add(name.lower())
    kind = out.find("DocumentType", "Type")
    if kind is not None and kind.text not in {"1", "2"}:
        said, kind.text = kind.text, filling.document_type
        made.filled.append("DocumentType/Type" + (f" ({said})" if said else ""))
    priority = out.find("OtherInfo", "Priority")
    if priority is not None and priority.text not in {"0", "1", "2", "3", "4"}:
        said, priority.text = priority.text, filling.priority
        made.filled.append("OtherInfo/Priority" + (f" ({said})" if said else ""))
    appendixes = out.find("OtherInfo", "Appendixes")
    if appendixes is not None and not appendixes.children:
        appendixes.children.append(Node(E, "Appendix"))
    out.children += [_copied(c, E) for c in message.children if c.name.lower() not in known]
    return out


def _traces(traces: Node | None, message: Node, made: Converted) -> Node:
    out = _copied(traces, E) if traces is not None else Node(E, "TraceHeaderList")
    out.attributes.setdefault("id", "")
    out.attributes.setdefault("version", "1.0")
    if not out.all("TraceHeader"):
        day = message.value("PromulgationInfo", "PromulgationDate").replace("-", "/")
        organ = message.value("From", "OrganId")
        moment = f"{day} 00:00:00" if day else ""
        out.children.append(node(E, "TraceHeader", ("OrganId", organ), ("Timestamp", moment)))
        made.filled.append("TraceHeader")
    return out


def _present(name: str, found: Node, inside: Sequence[str]) -> Node:
    """The element with every child that 1.0 insists on, in its order, and whatever else it has."""
    out = Node(E, name, found.text, attributes=dict(found.attributes))
    if not found.children:
        out.children = [Node(E, wanted) for wanted in inside]
        return out
    named: dict[str, list[Node]] = {}
    for child in found.children:
        named.setdefault(child.name.lower(), []).append(child)
    for wanted in inside:
        same = named.pop(wanted.lower(), ())
        out.children += [_copied(c, E) for c in same] if same else [Node(E, wanted)]
    if named:
        more = [c for c in found.children if c.name.lower() in named]
        out.children += [_copied(c, E) for c in more]
    return out


def _copied(found: Node, uri: str) -> Node:
    return Node(
        uri,
        found.name,
        found.text,
        [_copied(child, uri) for child in found.children],
        dict(found.attributes),
    )


# -- back ------------------------------------------------------------------------------------------


def header_from_older(blocks: Sequence[Node], lost: list[str]) -> str:
    """The text of edXMLHeader (QCVN 102) from the header blocks of edXML 1.0.

    Empty elements are left out, dates become yyyy/MM/dd. `lost` gets the names of the blocks that
    have no place: a token never does.
    """
    message = next((b for b in blocks if b.name.lower() == "messageheader"), Node(E, ""))
    text = _element(_ordered(message, _ORDER, "MessageHeader"), 3)
    for block in blocks:
        name = block.name.lower()
        if name == "traceheaderlist":
            block.name = "TraceHeaderList"
            text += _element(block, 3)
        elif name != "messageheader" and (block.children or block.text):
            lost.append(block.name)
    return text


def status_from_older(status: Node) -> bytes:
    """A status package of QCVN 102 from an axis' `Status` (edxml-format 3)."""
    message = _ordered(status, _STATUS_ORDER, "MessageHeader")
    return f"{TOP}{_element(message, 3)}{HEADER_END}{ENVELOPE_END}</edXML>\r\n".encode()


def status_to_older(header: Node) -> Node:
    """`Status` as the axis takes it: no namespace, the children of MessageHeader."""
    message = header.find("MessageHeader") or Node(Q, "MessageHeader")
    return _ordered(_copied(message, ""), _STATUS_ORDER, "Status")


def _ordered(found: Node, order: Sequence[str], name: str) -> Node:
    places = {one: place for place, one in enumerate(order)}
    children = sorted(found.children, key=lambda c: places.get(c.name.lower(), len(places)))
    return Node(found.uri, name, "", children)


def _element(found: Node, depth: int) -> str:
    """As a strict writer has it: prefix edXML, no empty element, one a line."""
    inner = "".join(_element(child, depth + 1) for child in found.children)
    blank = "  " * depth
    attributes = "".join(
        f" {name}={quoteattr(value)}"
        for name, value in found.attributes.items()
        if value and name in {"id", "version"}
    )
    if inner:
        return f"{blank}<edXML:{found.name}{attributes}>\r\n{inner}{blank}</edXML:{found.name}>\r\n"
    if not found.text:
        return ""
    text = _day(found.text) if found.name.lower() in _DAYS else found.text
    return f"{blank}<edXML:{found.name}>{_escaped(text)}</edXML:{found.name}>\r\n"


def _day(text: str) -> str:
    match = _OLD_DAY.fullmatch(text)
    if match is None:
        return text
    day, month, year, clock = match.groups()
    return f"{year}/{month}/{day}{' ' + clock[1:] if clock else ''}"


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#xD;"})


TOP = (
    '<?xml version="1.0" encoding="UTF-8"?>\r\n'
    f'<edXML xmlns="{Q}">\r\n'
    f'  <edXML:edXMLEnvelope xmlns:edXML="{Q}">\r\n'
    "    <edXML:edXMLHeader>\r\n"
)
HEADER_END = "    </edXML:edXMLHeader>\r\n"
ENVELOPE_END = "  </edXML:edXMLEnvelope>\r\n"


@dataclass(frozen=True, slots=True)
class Named:
    """A file as the manifest names it."""

    content_id: str
    name: str
    content_type: str = ""
    description: str = ""


def document_head(blocks: Sequence[Node], manifest: Sequence[Named]) -> bytes:
    """Everything of a QCVN 102 package in front of its first Attachment; what is lost is named
    in a comment, which stays with the package as long as it is kept.
    """
    lost: list[str] = []
    header = header_from_older(blocks, lost)
    told = f"from edXML 1.0; not carried: {', '.join(lost) or 'nothing'}".replace("--", "- -")
    lines = [TOP, f"      <!-- {told} -->\r\n", header, HEADER_END, "    <edXML:edXMLBody>\r\n"]
    lines.append('      <edXML:edXMLManifest version="1.0">\r\n' if manifest else "")
    for one in manifest:
        lines.append("        <edXML:Reference>\r\n")
        lines += _fields(one, "edXML:", 5)
        lines.append("        </edXML:Reference>\r\n")
    lines.append("      </edXML:edXMLManifest>\r\n" if manifest else "")
    lines += ["    </edXML:edXMLBody>\r\n", ENVELOPE_END, "  <AttachmentEncoded>\r\n"]
    return "".join(lines).encode()


def attachment_head(one: Named) -> bytes:
    """In front of the base64 of one file."""
    lines = "".join(_fields(one, "", 3))
    return (
        f'    <Attachment>\r\n{lines}      <edXML:ContentTransferEncoded xmlns:edXML="{Q}">'
    ).encode()


ATTACHMENT_END = b"</edXML:ContentTransferEncoded>\r\n    </Attachment>\r\n"
DOCUMENT_END = b"  </AttachmentEncoded>\r\n</edXML>\r\n"


def _fields(one: Named, prefix: str, depth: int) -> list[str]:
    return [
        f"{'  ' * depth}<{prefix}{name}>{_escaped(value)}</{prefix}{name}>\r\n"
        for name, value in (
            ("ContentId", f"cid:{one.content_id}" if one.content_id else ""),
            ("AttachmentName", one.name),
            ("Description", one.description),
            ("ContentType", one.content_type),
        )
        if value
    ]
