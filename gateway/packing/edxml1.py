"""edXML 1.0, the format before QCVN 102:2016, read into the same nouns (edxml-format 12).

In:     a SOAP envelope, header blocks under an edXML root, or the whole MIME message around it.
Out:    a ReadPackage of version `edxml1`; attachments from MIME parts by the same path as others.
Fails:  Unreadable (no edXML 1.0 in it, another namespace, a nested or cut message), TooLarge.
Never:  keeps a token or password, follows a reference, believes a part's header about its bytes.

MessageHeader and TraceHeaderList have the elements of QCVN 102; Manifest names files by xlink:href;
every element is present, if need be empty; dates are dd/MM/yyyy. What has no place in QCVN 102
(ErrorList, the OrganId beside the token) goes into the extras.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import pybase64

from gateway.c14n import Attributes, Declared, Name
from gateway.errors import Finding, Severity, Text
from gateway.mime import Headers, Splitter, plain
from gateway.model.package import NS_EDXML1, NS_QCVN102, NS_SOAP, bare_cid
from gateway.packing.attachments import Content
from gateway.packing.collect import Collector, EnoughRead, Wish
from gateway.packing.elements import Node, key_of
from gateway.packing.result import (
    CONTAINERS,
    EDXML1,
    SIGNATURES,
    ReadPackage,
    wrong_namespace,
)
from gateway.packing.sniff import UNKNOWN, Sniffer
from gateway.safexml import Limits, unreadable

RULE = "edXML 1.0"
_XLINK = "http://www.w3.org/1999/xlink"
_SOAP_KEYS = {"envelope": "edxml", "header": "edxmlheader", "body": "edxmlbody"}
_SECRET = re.compile(r"(?:token|password|passwd|secret|api_?key)$", re.IGNORECASE)
_OLD_MOMENT = re.compile(r"\s*(\d{2})[/-](\d{2})[/-](\d{4})([ T]\d{2}:\d{2}:\d{2})\s*", re.ASCII)
_HEAD = 4096  # bytes of a part that decide whether it is base64 that nobody declared
_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_BLANKS = b" \t\r\n"


class OlderCollector(Collector):
    """One reading of one edXML 1.0 package. `as_mime`: a MIME message around the envelope."""

    _version = EDXML1

    def __init__(self, limits: Limits, wish: Wish, *, as_mime: bool) -> None:
        super().__init__(limits, wish)
        self._splitter = Splitter(self, limits) if as_mime else None
        self._part: _Part | None = None
        self._secret_depth = 0
        self._secret_at = ""

    # -- bytes -----------------------------------------------------------------------------------

    def _take(self, block: bytes) -> None:
        if self._splitter is None:
            super()._take(block)
        else:
            self._splitter.take(block)

    def _finish(self) -> None:
        if self._splitter is None:
            super()._finish()
        else:
            self._splitter.finish()

    def begin_part(self, number: int, headers: Headers) -> None:
        """The envelope first, then one part for each attachment."""
        kind = headers.value("content-type")
        encoding = headers.value("content-transfer-encoding")
        if number == 1:
            if kind.startswith("multipart/"):
                raise unreadable("mime.nested", _NESTED, "/part[1]")
            if encoding not in _AS_IT_IS:
                raise unreadable("mime.encoding", _unknown_encoding(encoding), "/part[1]")
            return
        index = len(self._found.attachments)
        if index >= self._limits.attachments:
            raise self._feed.parser.too_large("attachments")
        node = _PartNode(number, kind, headers, self._names_by_id)
        self._open_content(node, 0)
        content, self.content = self.content, None
        self.content_at = -1
        if content is None:
            return
        self._read_content = content
        if kind.startswith("multipart/"):
            content.refuse("mime.nested", _NESTED)
        elif encoding not in _AS_IT_IS and encoding != "base64":
            content.refuse("mime.encoding", _unknown_encoding(encoding))
        self._part = _Part(node, content, declared_base64=encoding == "base64")

    def part_data(self, piece: bytes) -> None:
        if self._part is None:
            self._feed.take(piece)
        else:
            self._part.take(piece)

    def end_part(self) -> None:
        part, self._part = self._part, None
        if part is None:
            self._feed.finish()
            if self._wish.header_only:
                raise EnoughRead
            return
        part.finish()
        self._attachment(part.node)
        if part.undeclared:
            self._reading.warn(
                part.node.where(),
                "attachment.base64_undeclared",
                "Nội dung là base64 dù phần này không khai như vậy",
                "the content is base64 though the part does not say so",
                RULE,
            )

    # -- events ----------------------------------------------------------------------------------

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        kept = [a for a in attributes if _SECRET.search(a[0][1]) is None]
        super().start(name, kept, declared)
        if len(kept) < len(attributes):
            self._secret_at = self._secret_at or self._feed.parser.where()
        if self._secret_depth or _SECRET.search(name[1]) is not None:
            self._secret_depth += 1
        node = self._node
        above = node.parent.key if node is not None and node.parent is not None else ""
        header = name[1].lower() == "messageheader" and above in CONTAINERS
        if header and node is not None and name[0] not in {NS_EDXML1, ""}:
            raise wrong_namespace(node)

    def end(self, name: Name) -> None:
        if self._secret_depth:
            self._secret_depth -= 1
        node = self._node
        if node is not None and node.key == "timestamp":
            match = _OLD_MOMENT.fullmatch(node.text)
            if match is not None:
                day, month, year, clock = match.groups()
                node.text = f"{year}/{month}/{day} {clock[1:]}"
        super().end(name)

    def text(self, data: str) -> None:
        if self._secret_depth:
            self.content_at = -1
            if data.strip():
                self._secret_at = self._secret_at or self._feed.parser.where()
            return
        super().text(data)

    # -- where we are ----------------------------------------------------------------------------

    def _key_of(self, uri: str, local: str) -> str:
        if uri in NS_SOAP:
            return _SOAP_KEYS.get(local.lower(), f"{{{uri}}}{local}")
        if uri == NS_EDXML1:
            return key_of("", local)
        return f"{{{uri}}}{local}" if uri == NS_QCVN102 else key_of(uri, local)

    def _check_root(self, node: Node, declared: Declared) -> Declared:
        self._found.root = node
        if node.uri not in {NS_EDXML1, *NS_SOAP}:
            raise wrong_namespace(node)
        node.key = "edxml"
        return [pair for pair in declared if pair[0] not in self._feed.injected]

    def _leave(self, node: Node) -> None:
        before = len(self._found.signatures)
        super()._leave(node)
        if node.key in SIGNATURES and not any(
            c.key.removeprefix("ds:") == "signedinfo" for c in node.children
        ):
            # credentials, no signature: KeyInfo with OrganId and Token
            del self._found.signatures[before:]
            self._reading.keep_unknown(node)

    def _item(self, parent: Node, node: Node) -> None:
        if node.key == "reference":
            href = next((v for (_, local, _), v in node.attributes if local == "href"), "")
            node.attributes = [
                (n, v) for n, v in node.attributes if n[0] != _XLINK and n[1] != "href"
            ]
            if href.strip() and not any(c.key == "contentid" for c in node.children):
                node.children.append(_leaf(node, "contentid", unquote(href.strip())))
        super()._item(parent, node)

    def _result(self, sha256: str, size: int) -> ReadPackage:
        if not self._found.messages:
            root = self._found.root
            raise unreadable(
                "package.not_edxml",
                Text(
                    "Không có MessageHeader của edXML 1.0 trong phong bì SOAP hay phần tử gốc",
                    "no MessageHeader of edXML 1.0 in the SOAP envelope or under the root",
                ),
                root.where() if root is not None else "/",
            )
        found = self._reading.findings
        found.insert(0, _note("/", "package.version_old", _OLD))
        if self._secret_at:
            found.append(_note(self._secret_at, "package.token_present", _TOKEN))
        if self._splitter is not None:
            found.extend(self._splitter.findings)
        return super()._result(sha256, size)


class _PartNode(Node):
    """A MIME part as the Attachment that it is in QCVN 102."""

    __slots__ = ("part",)

    def __init__(self, number: int, kind: str, headers: Headers, names: dict[str, str]) -> None:
        super().__init__("attachment", "part", "", [], None, 0)
        self.part = number
        cid = headers.content_id() or unquote(headers.fields.get("content-location", ""))
        name = (
            names.get(bare_cid(cid), "")
            or headers.parameter("content-disposition", "filename")
            or headers.parameter("content-type", "name")
        )
        for key, text in (("contentid", cid), ("attachmentname", name), ("contenttype", kind)):
            if text:
                self.children.append(_leaf(self, key, text))

    def path(self) -> str:
        return f"/part[{self.part}]"

    def where(self) -> str:
        return self.path()


class _Part:
    """The bytes of one part: base64 where it says so, or where they plainly are."""

    def __init__(self, node: Node, content: Content, *, declared_base64: bool) -> None:
        self.node = node
        self.undeclared = False
        self._content = content
        self._base64: bool | None = True if declared_base64 else None
        self._head = b""

    def take(self, piece: bytes) -> None:
        if self._base64 is None:
            self._head += piece
            if len(self._head) < _HEAD:
                return
            piece = self._decide()
        self._give(piece)

    def finish(self) -> None:
        if self._base64 is None:
            self._give(self._decide())

    def _decide(self) -> bytes:
        piece, self._head = self._head, b""
        self.undeclared = self._base64 = _plainly_base64(piece[:_HEAD])
        return piece

    def _give(self, piece: bytes) -> None:
        if not self._base64:
            self._content.take_bytes(piece)
            return
        text = piece.translate(None, _BLANKS)
        if text and not self._content.take(text):
            self._content.spoil()


def _plainly_base64(head: bytes) -> bool:
    """Nothing but base64, and what it holds is a file of a kind that can be told.

    One broker answers with parts that hold base64 text (vxp-protocol 8.1); a text file that happens
    to have only letters stays a text file.
    """
    packed = head.translate(None, _BLANKS)
    if len(packed) < 8 or packed.translate(None, _BASE64):
        return False
    try:
        decoded = pybase64.b64decode(packed[: len(packed) // 4 * 4], validate=True)
    except ValueError:
        return False
    kind = Sniffer()
    kind.feed(decoded)
    return kind.media_type() not in {UNKNOWN, "text/plain"}


def _leaf(parent: Node, key: str, text: str) -> Node:
    leaf = Node(key, key, "", [], parent, parent.line)
    leaf.text = plain(text)
    return leaf


def _note(where: str, code: str, text: Text) -> Finding:
    return Finding(where, code, Severity.NOTE, text, RULE)


def _unknown_encoding(encoding: str) -> Text:
    return Text(
        f"Kiểu mã hóa Content-Transfer-Encoding không đọc được: {encoding[:40]!r}",
        f"a Content-Transfer-Encoding that is not read: {encoding[:40]!r}",
    )


_NESTED = Text(
    "Phần này lại là một thông điệp multipart; không mở",
    "the part is itself a multipart message; it is not opened",
)
_OLD = Text(
    "Gói tin theo edXML 1.0, định dạng trước QCVN 102:2016/BTTTT",
    "a package of edXML 1.0, the format before QCVN 102:2016/BTTTT",
)
_TOKEN = Text(
    "Gói tin mang mã truy cập (token hoặc mật khẩu); giá trị không được lưu ở đây",
    "the package carries an access token or password; its value is not kept here",
)
