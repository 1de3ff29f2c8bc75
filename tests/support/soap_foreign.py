"""A provincial axis whose SOAP is not ours: soapbar reads the requests and writes the answers.

soapbar (Apache 2.0) parses envelopes, finds the operation by SOAPAction, reads base64 and
complex types, writes answers and faults; wsgiref is its HTTP. Here stand only the operations of
`schemas/soap/edoc.wsdl` with payload `package`, and what they remember. What it cannot speak:
files as MIME parts (it knows MTOM, not SOAP with attachments), chunked requests (wsgiref), SOAP 1.2
whose operation stands in the content type only, and CheckPermission, whose body is empty.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from lxml import etree
from soapbar import OperationParameter, SoapApplication, SoapFault, SoapService, soap_operation, xsd
from soapbar import WsgiSoapApp as Wsgi
from soapbar.core.types import ArrayXsdType, ComplexXsdType

E = "http://www.e-doc.vn/Schema/"
TEXT, BINARY = xsd.resolve("string"), xsd.resolve("base64Binary")


def _shape(name: str, **fields: object) -> ComplexXsdType:
    return ComplexXsdType(name, list(fields.items()), target_namespace=E, qualified=True)


def _many(name: str, element: object, tag: str, *, inline: bool = False) -> ArrayXsdType:
    return ArrayXsdType(name, element, tag, inline=inline, target_namespace=E, qualified=True)


ORGAN = _shape("Organ", OrganId=TEXT, OrganName=TEXT)
ABOUT = _shape("ResponseFor", OrganId=TEXT, Code=TEXT, DocumentId=TEXT)
STATUS_FIELDS = {
    "From": ORGAN,
    "ResponseFor": ABOUT,
    "StatusCode": TEXT,
    "Description": TEXT,
    "Timestamp": TEXT,
}
STATUS = _shape("Status", **STATUS_FIELDS)
ERROR = _shape("Error", Code=TEXT, Description=TEXT)
ERRORS = _shape("ErrorList", Error=_many("Errors", ERROR, "Error", inline=True))
REPORT = _shape("Report", IsSuccess=TEXT, ErrorList=ERRORS)


def _taking(**shapes: object) -> list[OperationParameter]:
    return [OperationParameter(name, shape, required=False) for name, shape in shapes.items()]


ASKING = {"OrganId": TEXT, "Token": TEXT}
GOOD = {"IsSuccess": "true"}


def _bad(code: str, words: str) -> dict[str, object]:
    return {"IsSuccess": "false", "ErrorList": {"Error": [{"Code": code, "Description": words}]}}


@dataclass
class Kept:
    """A package on the axis: its sender's code, those whom it still waits for, its bytes."""

    sender: str
    document_id: str
    code: str
    waiting: list[str]
    data: bytes


class EdocService(SoapService):
    """`systems`: account -> (token, agency codes), as everywhere in the tests."""

    __service_name__ = "Edoc"
    __tns__ = E

    def __init__(self, systems: dict[str, tuple[str, tuple[str, ...]]]) -> None:
        self.systems = systems
        self.kept: list[Kept] = []
        self.statuses: list[dict[str, object]] = []
        self.seen: list[str] = []  # operations, in order

    def _account(self, name: str, asked: dict[str, object]) -> tuple[str, ...]:
        self.seen.append(name)
        known, codes = self.systems.get(str(asked.get("OrganId")), ("", ()))
        if not known or known != asked.get("Token"):
            raise SoapFault("Client", "the account is not known here")
        return codes

    @soap_operation(
        name="SendDocument",
        soap_action="SendDocument",
        input_params=_taking(**ASKING, Package=BINARY),
        output_params=_taking(Report=REPORT, DocumentId=TEXT),
    )
    def send(self, **asked):
        codes = self._account("SendDocument", asked)
        package = asked["Package"]
        root = etree.fromstring(package)
        sender = _first(root, "From", "OrganId")
        if sender not in codes:
            return {"Report": _bad("M.MessageHeader.From", "not an agency of this account")}
        if any(one.data == package for one in self.kept):
            return {"Report": _bad("M.Exist", "it is here already")}
        receivers = root.xpath("//*[local-name()='To']/*[local-name()='OrganId']/text()")
        code = "/".join(root.xpath("//*[local-name()='Code']/*/text()"))
        document_id = root.xpath("string(//*[local-name()='DocumentId'])")
        self.kept.append(Kept(sender, document_id, code, list(receivers), package))
        return {"Report": GOOD, "DocumentId": str(len(self.kept))}

    @soap_operation(
        name="GetPendingDocumentIds",
        soap_action="GetPendingDocumentIds",
        input_params=_taking(**ASKING),
        output_params=_taking(DocumentIds=_many("DocumentIds", TEXT, "DocumentId")),
    )
    def pending(self, **asked):
        codes = self._account("GetPendingDocumentIds", asked)
        waiting = [
            str(number)
            for number, one in enumerate(self.kept, start=1)
            if set(one.waiting) & set(codes)
        ]
        return {"DocumentIds": waiting}

    @soap_operation(
        name="GetDocument",
        soap_action="GetDocument",
        input_params=_taking(**ASKING, documentId=TEXT),
        output_params=_taking(Package=BINARY),
    )
    def document(self, **asked):
        codes = self._account("GetDocument", asked)
        return {"Package": self._waiting(asked.get("documentId"), codes).data}

    @soap_operation(
        name="ConfirmReceived",
        soap_action="ConfirmReceived",
        input_params=_taking(**ASKING, documentId=TEXT),
        output_params=_taking(Report=REPORT),
    )
    def confirm(self, **asked):
        codes = self._account("ConfirmReceived", asked)
        one = self._waiting(asked.get("documentId"), codes)
        for code in set(one.waiting) & set(codes):
            one.waiting.remove(code)
            about = {"OrganId": one.sender, "Code": one.code, "DocumentId": one.document_id}
            self.statuses.append(
                {
                    "From": {"OrganId": code},
                    "ResponseFor": about,
                    "StatusCode": "01",
                    "Timestamp": "2026/11/22 10:30:00",
                }
            )
        return {"Report": GOOD}

    @soap_operation(
        name="UpdateTraces",
        soap_action="UpdateTraces",
        input_params=_taking(**STATUS_FIELDS),
        output_params=_taking(Report=REPORT),
    )
    def update(self, **status):
        self.seen.append("UpdateTraces")  # its account stands in a header, which soapbar drops
        if status in self.statuses:
            return {"Report": _bad("M.Exist", "it is here already")}
        self.statuses.append(status)
        return {"Report": GOOD}

    @soap_operation(
        name="GetTraces",
        soap_action="GetTraces",
        input_params=_taking(**ASKING, TimeStamp=TEXT),
        output_params=_taking(
            Traces=_shape("Traces", Status=_many("Statuses", STATUS, "Status", inline=True))
        ),
    )
    def traces(self, **asked):
        codes = self._account("GetTraces", asked)
        return {"Traces": {"Status": [s for s in self.statuses if _receiver(s) in codes]}}

    @soap_operation(
        name="GetOrganizations",
        soap_action="GetOrganizations",
        input_params=_taking(**ASKING),
        output_params=_taking(Organizations=_many("Organizations", ORGAN, "Organization")),
    )
    def organizations(self, **asked):
        self._account("GetOrganizations", asked)
        codes = [code for _, inside in self.systems.values() for code in inside]
        return {"Organizations": [{"OrganId": c, "OrganName": f"Cơ quan {c}"} for c in codes]}

    def _waiting(self, number: str | None, codes: tuple[str, ...]) -> Kept:
        for place, one in enumerate(self.kept, start=1):
            if str(place) == number and set(one.waiting) & set(codes):
                return one
        raise SoapFault("Client", f"document {number} does not wait for this account")


def _receiver(status: dict[str, object]) -> object:
    return status["ResponseFor"]["OrganId"]  # type: ignore[index]  # made above


def _first(root: etree._Element, outer: str, inner: str) -> str:
    return str(root.xpath(f"string(//*[local-name()='{outer}']/*[local-name()='{inner}'])"))


@dataclass
class ForeignAxis:
    """A running server: where it listens, what it holds, what it heard."""

    url: str
    service: EdocService
    requests: list[dict[str, str]] = field(default_factory=list)  # WSGI's view of each


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = False  # `server_close` waits for them: nothing outlives its test


class _Quiet(WSGIRequestHandler):
    def log_message(self, *words: object) -> None:
        """A test's terminal is no place for an access log."""


@contextlib.contextmanager
def foreign_axis(systems: dict[str, tuple[str, tuple[str, ...]]]) -> Iterator[ForeignAxis]:
    """Serves until the block ends, in a thread of its own."""
    service = EdocService(systems)
    # the address only stands in a WSDL that nobody asks for
    application = SoapApplication(service_url="https://edoc.invalid/edoc")
    application.register(service)
    for method in service.get_operations().values():
        method.__soap_operation__.output_namespace = E
    inner = Wsgi(application)
    told = ForeignAxis("", service)

    def serve(environ, start_response):
        told.requests.append({k: v for k, v in environ.items() if isinstance(v, str)})
        return inner(environ, start_response)

    server = make_server("127.0.0.1", 0, serve, server_class=_Threads, handler_class=_Quiet)
    told.url = f"http://127.0.0.1:{server.server_port}/edoc"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
