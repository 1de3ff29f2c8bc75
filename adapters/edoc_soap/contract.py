"""Our WSDL through zeep: request envelopes built, answers read. Nothing is ever fetched.

In:     an operation with its values and header blocks; the bytes of an answer's envelope.
Out:    envelopes; an `Answer` (a Report's verdict and errors, a fault, or the values).
Fails:  never for what a remote wrote: what cannot be read is an `Answer` with a `problem`.
Never:  opens a socket or a foreign file, resolves an entity, reads a DTD, shows a token.

Loading (`load`) blocks for some tens of milliseconds: callers use a thread. Everything else is
quick, and works on envelopes without files only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from typing import Any, Protocol
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from adapters.edoc_soap.profile import Profile
from adapters.edoc_soap.trees import Node, node
from gateway.errors import TooLarge, Unreadable
from gateway.mime import Headers, Splitter
from gateway.model.package import NS_EDXML1, NS_SOAP
from gateway.safexml import Limits

SEND, LIST, GET, CONFIRM = "SendDocument", "GetPendingDocumentIds", "GetDocument", "ConfirmReceived"
UPDATE, TRACES = "UpdateTraces", "GetTraces"
ORGANIZATIONS, CHECK = "GetOrganizations", "CheckPermission"
OPERATIONS = (SEND, LIST, GET, CONFIRM, UPDATE, TRACES, ORGANIZATIONS, CHECK)
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_YES, _NO = frozenset({"true", "1"}), frozenset({"false", "0"})
UNSIGNED = "answer.unsigned"  # the problem of an answer whose signature does not hold
_MARK = "package-stands-here"
_MARKS = re.compile(
    rb"(.*)<(?:[^<>]*:)?%(mark)b(?: [^<>]*)?/>(.*)<[^<>]*Reference [^<>]*%(mark)b[^<>]*/>(.*)"
    % {b"mark": _MARK.encode()},
    re.DOTALL,
)
_CR = {"\r": "&#13;"}  # a parser would make a line feed of it
_SPECIAL = re.compile(r"[&<>\r]")
_XLINK = "http://www.w3.org/1999/xlink"


class Signer(Protocol):
    """WS-Security over an envelope, in place."""

    def sign(self, envelope: etree._Element) -> None: ...


class Verifier(Protocol):
    """Whether an answer is signed by the axis."""

    def mistake(self, envelope: etree._Element) -> str:
        """What is wrong; "" for nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`verdict`: what a Report says, None without one. `errors`: (code, words) of the Report.

    `fault`: code and words of a SOAP fault. `problem`: a stable code when this is no answer at
    all; `words`: what it says instead. `value`: what zeep read, None for an empty list.
    """

    verdict: bool | None = None
    errors: tuple[tuple[str, str], ...] = ()
    fault: tuple[str, str] | None = None
    problem: str = ""
    words: str = ""
    value: Any = None
    reported: bool = False  # there was a Report


@dataclass(slots=True)
class Contract:
    """One account's side of the contract. `token` goes into envelopes and nowhere else."""

    profile: Profile
    organ_id: str
    token: str = field(repr=False)
    signer: Signer | None = None
    verifier: Verifier | None = None
    _client: Any = field(default=None, repr=False)
    _service: Any = field(default=None, repr=False)
    _settings: Any = field(default=None, repr=False)
    _frame: tuple[bytes, ...] | None = field(default=None, repr=False)

    @property
    def soap(self) -> str:
        return SOAP_11 if self.profile.soap == "1.1" else SOAP_12

    @property
    def envelope_type(self) -> str:
        return "text/xml" if self.profile.soap == "1.1" else "application/soap+xml"

    def load(self) -> None:
        """Reads the WSDL of this package. Blocks."""
        if self._client is not None:
            return
        import zeep as untyped

        zeep: Any = untyped

        class Local(zeep.Transport):  # type: ignore[misc]  # zeep has no types
            """Our own file and nothing else."""

            def load(self, url: str) -> bytes:
                if url != str(path):
                    raise PermissionError(f"the contract is not to load {url}")
                return path.read_bytes()

        forbid = {"forbid_dtd": True, "forbid_external": True, "forbid_entities": True}
        # `strict=False` takes unknown elements, but it also lets lxml mend broken XML: an answer
        # is parsed strictly, and only its elements are taken liberally
        self._settings = zeep.Settings(strict=True, **forbid)
        liberal = zeep.Settings(strict=False, **forbid)
        with as_file(files("schemas") / "soap" / "edoc.wsdl") as path:
            client = zeep.Client(str(path), transport=Local(), settings=liberal)
        shape = "Swa" if self.profile.payload == "swa" else "Package"
        self._service = client.bind("Edoc", shape + self.profile.soap.replace(".", ""))
        self._client = client

    # -- requests --------------------------------------------------------------------------------

    def headers(self, operation: str) -> dict[str, str]:
        """The SOAPAction of SOAP 1.1; SOAP 1.2 has it in the content type (`content_type`)."""
        if self.profile.soap != "1.1":
            return {}
        action = self.profile.action.format(operation=operation)
        return {"SOAPAction": f'"{action}"' if self.profile.quote_action else action}

    def content_type(self, operation: str) -> str:
        text = f"{self.envelope_type}; charset=utf-8"
        if self.profile.soap == "1.1":
            return text
        return f'{text}; action="{self.profile.action.format(operation=operation)}"'

    def request(
        self, operation: str, values: Mapping[str, Any], blocks: Iterable[Node] = ()
    ) -> bytes:
        """An envelope. Credentials go where the profile says; `blocks`: further header blocks."""
        place = self.profile.credentials
        in_body = operation not in {SEND, UPDATE, CHECK} or (
            operation == SEND and self.profile.payload == "package"
        )
        headers = list(blocks)
        body = dict(values)
        if place == "body" and in_body:
            body = {"OrganId": self.organ_id, "Token": self.token, **body}
        elif place == "header":
            if in_body:
                body = {"OrganId": self.organ_id, **body}
            headers.append(Node(self.profile.token_namespace, "Token", self.token))
        elif operation != CHECK:
            pair = (("OrganId", self.organ_id), ("Token", self.token))
            headers.append(node(NS_EDXML1, "Signature", node(NS_EDXML1, "KeyInfo", *pair)))
        if operation == CHECK:
            pair = (("OrganId", self.organ_id), ("Token", self.token))
            headers.append(node("", "CheckPermission", *pair))
        envelope = self._client.create_message(
            self._service, operation, _soapheaders=[element(h) for h in headers], **body
        )
        space = self.profile.wrapper_namespace
        if space:
            for one in envelope.find(f"{{{self.soap}}}Body").iter(etree.Element):
                if not etree.QName(one).namespace:
                    one.tag = f"{{{space}}}{one.tag}"
        if self.signer is not None:
            self.signer.sign(envelope)
        return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")

    def document(self, blocks: Sequence[Node], references: Sequence[Mapping[str, Any]]) -> bytes:
        """The envelope of SendDocument with files as parts: header blocks and a manifest.

        zeep builds it; an envelope that nobody signs is what zeep built once, with these blocks
        and references written in their places.
        """
        if self.signer is not None:
            return self.request(SEND, {"Reference": references, "version": "1.0"}, blocks)
        if self._frame is None:
            marks = {"Reference": [{"href": _MARK}], "version": "1.0"}
            whole = self.request(SEND, marks, [Node(NS_EDXML1, _MARK)])
            found = _MARKS.fullmatch(whole)
            if found is None:
                raise AssertionError
            self._frame = found.groups()
        front, between, behind = self._frame
        listed = "".join(_reference(one) for one in references).encode()
        out: list[str] = []
        for one in blocks:
            _written(one, f" xmlns:edXML={quoteattr(one.uri)}", out)
        return front + "".join(out).encode() + between + listed + behind

    def around_package(self) -> tuple[bytes, bytes]:
        """What stands in front of and behind the base64 of a package in SendDocument."""
        head, _, tail = self.request(SEND, {"Package": _MARK}).partition(_MARK.encode())
        return head, tail

    # -- answers ---------------------------------------------------------------------------------

    def read(self, operation: str, data: bytes) -> Answer:
        """An answer's envelope, by zeep. Elements count by local name, in any namespace."""
        from zeep.exceptions import Error

        document = self._parsed(data)
        if isinstance(document, Answer):
            return document
        if problem := self._unsigned(document):
            return problem
        body = self._body(document)
        if body is None:
            return Answer(problem="answer.no_envelope", words=_text(data))
        first = next(iter(body.iterchildren(etree.Element)), None)
        if first is None:
            return Answer(problem="answer.empty", words="an envelope with nothing in it")
        name = etree.QName(first).localname
        if name == "Fault":
            return Answer(fault=_fault(first))
        wanted = f"{operation}Response"
        if name == "Report":
            wrapped = etree.SubElement(body, f"{{{NS_EDXML1}}}{wanted}")
            wrapped.append(first)
            first = wrapped
        elif name.lower() != wanted.lower():
            return Answer(problem="answer.unexpected", words=f"{name}: {_content(first)}")
        for one in first.iter(etree.Element):
            one.tag = f"{{{NS_EDXML1}}}{etree.QName(one).localname}"
        first.tag = f"{{{NS_EDXML1}}}{wanted}"
        report = first.find(f"{{{NS_EDXML1}}}Report")
        if report is not None:
            first.insert(0, report)
        try:
            value = self._service._binding.get(operation).process_reply(document)  # noqa: SLF001
        except (Error, ValueError) as error:
            return Answer(problem="answer.unreadable", words=str(error))
        return _judged(value, reported=report is not None)

    def unsigned(self, data: bytes) -> Answer | None:
        """What is said of an envelope that the axis had to sign and did not; None: all is well."""
        if self.verifier is None:
            return None
        document = self._parsed(data)
        return document if isinstance(document, Answer) else self._unsigned(document)

    def _unsigned(self, document: etree._Element) -> Answer | None:
        """Judged before anything is renamed. What is no envelope has its own words."""
        if self.verifier is None or not _is_envelope(document):
            return None
        words = self.verifier.mistake(document)
        return Answer(problem=UNSIGNED, words=words) if words else None

    def _parsed(self, data: bytes) -> etree._Element | Answer:
        from zeep.exceptions import Error
        from zeep.loader import parse_xml as untyped

        parse_xml: Any = untyped
        try:
            found: etree._Element = parse_xml(data, self._client.transport, settings=self._settings)
        except (Error, ValueError) as error:  # malformed, a DTD, an entity, nothing at all
            name = type(error).__name__
            code = "answer.dtd" if "Forbidden" in name else "answer.unreadable"
            return Answer(problem=code, words=_text(data))
        return found

    def _body(self, document: etree._Element) -> etree._Element | None:
        """The Body of an envelope of either version, renamed to the version of the profile."""
        name = etree.QName(document)
        if not _is_envelope(document):
            return None
        document.tag = f"{{{self.soap}}}Envelope"
        for child in document.iterchildren(etree.Element):
            inner = etree.QName(child)
            if inner.namespace == name.namespace:
                child.tag = f"{{{self.soap}}}{inner.localname}"
        return document.find(f"{{{self.soap}}}Body")


def _is_envelope(document: etree._Element) -> bool:
    name = etree.QName(document)
    return name.localname == "Envelope" and name.namespace in NS_SOAP


def _written(found: Node, declared: str, out: list[str]) -> None:
    """A header block as text, all of it in the namespace of its outermost element."""
    start = f"<edXML:{found.name}{declared}"
    if found.attributes:
        start += "".join(f" {name}={quoteattr(value)}" for name, value in found.attributes.items())
    if not (found.text or found.children):
        out.append(f"{start}/>")
        return
    out.append(f"{start}>{_escaped(found.text)}")
    for child in found.children:
        _written(child, "", out)
    out.append(f"</edXML:{found.name}>")


def _escaped(text: str) -> str:
    return escape(text, _CR) if _SPECIAL.search(text) else text


def _reference(values: Mapping[str, Any]) -> str:
    """A Reference of the manifest; what is None is left out."""
    inner = [(n, values[n]) for n in ("AttachmentName", "ContentType", "Description")]
    told = "".join(f"<E:{n}>{_escaped(v)}</E:{n}>" for n, v in inner if v is not None)
    href = quoteattr(values["href"])
    spaces = f'xmlns:E="{NS_EDXML1}" xmlns:xlink="{_XLINK}"'
    return f"<E:Reference {spaces} xlink:href={href}>{told}</E:Reference>"


def element(found: Node) -> etree._Element:
    """A node as zeep takes a header block."""
    made = etree.Element(_tag(found), nsmap={"edXML": found.uri} if found.uri else None)
    _fill(made, found)
    return made


def _fill(made: etree._Element, found: Node) -> None:
    made.text = found.text or None
    for name, value in found.attributes.items():
        made.set(name, value)
    for child in found.children:
        _fill(etree.SubElement(made, _tag(child)), child)


def _tag(found: Node) -> str:
    return f"{{{found.uri}}}{found.name}" if found.uri else found.name


def _judged(value: Any, *, reported: bool) -> Answer:
    report = getattr(value, "Report", None)
    if report is None and reported:
        report = value  # zeep unwraps an answer whose only element is the Report
    said = str(getattr(report, "IsSuccess", None) or "").strip().lower()
    verdict = True if said in _YES else False if said in _NO else None
    listed = getattr(getattr(report, "ErrorList", None), "Error", None) or ()
    errors = tuple((_one(e, "Code"), _one(e, "Description")) for e in listed)
    return Answer(verdict=verdict, errors=errors, value=value, reported=reported)


def _one(value: Any, name: str) -> str:
    return str(getattr(value, name, None) or "").strip()


def items(value: Any, outer: str, inner: str) -> Sequence[Any]:
    """The elements of a list answer; () for an empty one, which zeep reads as None."""
    return getattr(getattr(value, outer, None), inner, None) or ()


def envelope_of(content_type: str, body: bytes) -> bytes:
    """The envelope of an answer: its first part, when it came in parts."""
    if not content_type.lower().lstrip().startswith("multipart/"):
        return body
    first = _FirstPart()
    splitter = Splitter(first, Limits())
    try:
        splitter.take(f"Content-Type: {content_type}\r\n\r\n".encode())
        splitter.take(body)
        splitter.finish()
    except (Unreadable, TooLarge):
        return body
    return bytes(first.data)


class _FirstPart:
    def __init__(self) -> None:
        self.data = bytearray()
        self._number = 0

    def begin_part(self, number: int, headers: Headers) -> None:
        del headers
        self._number = number

    def part_data(self, piece: bytes) -> None:
        if self._number == 1:
            self.data += piece

    def end_part(self) -> None:
        """Nothing is owed."""


def _fault(found: etree._Element) -> tuple[str, str]:
    """Code (local name) and words of a fault of SOAP 1.1 or 1.2."""
    told = {
        etree.QName(one).localname.lower(): (one.text or "").strip()
        for one in found.iter(etree.Element)
    }
    code = told.get("faultcode") or told.get("value") or ""
    words = told.get("faultstring") or told.get("text") or _content(found)
    return code.rpartition(":")[2], words


def _content(found: etree._Element) -> str:
    return " ".join("".join(str(text) for text in found.itertext()).split())


def _text(data: bytes) -> str:
    return data[:2000].decode("utf-8", "replace")
