"""How the names of elements are spelled: as the regulation has them, or as the field does.

In:     each distinct name of a package, once, at the first element that bears it.
Out:    habits: another spelling, another prefix, no namespace (edxml-format 1, 10, 13).
Fails:  never.
Never:  decides what an element means: `node.key_of` does.
"""

from __future__ import annotations

from gateway.model.package import NS_QCVN102
from gateway.packing import told
from gateway.packing.node import Node, key_of

_PREFIX = "edXML"
# edxml-format 14, the misspelt ones as they are meant to be
_NAMES = (
    "edXML edXMLEnvelope edXMLHeader edXMLBody edXMLManifest MessageHeader TraceHeaderList "
    "TraceHeader AttachmentEncoded Attachment ContentTransferEncoded Reference ContentId "
    "ContentType AttachmentName Description FieldName MimeType From To OrganId "
    "OrganizationInCharge OrganName OrganAdd Email Telephone Fax Website DocumentId Code "
    "CodeNumber CodeNotation PromulgationInfo Place PromulgationDate DocumentType Type "
    "TypeDetail TypeName Subject Content SignerInfo Competence Position FullName DueDate "
    "OtherInfo Priority SphereOfPromulgation TyperNotation PromulgationAmount PageAmount "
    "ReplyFors Direction ReferenceCodes Appendixes Appendix ResponseFor SteeringType "
    "ResponseForTask TaskCode ApplicationType ToPlaces Paper Timestamp Bussiness "
    "BussinessDocType BussinessDocReason BussinessDocumentInfo DocumentInfo DocumentReceiver "
    "ReceiverList Receiver ReceiverType ReplacementInfoList ReplacementInfo OrganIdList "
    "StaffInfo Department DepartmentId Staff StaffId Mobile StatusCode "
)
_CANONICAL = {key_of("", name): name for name in _NAMES.split()}


def tell_spelling(found: told.Told, node: Node, prefix: str) -> None:
    """The habits that this first element of its name shows. `prefix`: as written, "" for none."""
    name = _CANONICAL.get(node.key)
    if name is None:
        return
    if node.local != name:
        found.habit(told.SPELLING, node, f"{node.local} ({name})")
    if not node.uri:
        found.habit(told.NO_NAMESPACE, node, node.local)
    elif node.uri == NS_QCVN102 and prefix not in {"", _PREFIX}:
        found.habit(told.PREFIX, node, f"{prefix}:{node.local}")
