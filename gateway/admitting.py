"""Whether what arrived may enter an inbox: who says that he sent it, what it says it is.

In:     an arrival that was opened well, inside the commit that enters it.
Out:    objections, each with the finding for the person who decides; what a duplicate doubles.
Fails:  as the store does.
Never:  looks before it writes where two arrivals may race; judges what a package contains.

Three things that no honest sender does: a package from somebody else than the axis lists; one
DocumentId for two documents; an act on a document that another agency sent. Such an arrival goes
to quarantine as a whole: who is right is for a person to say, and nothing is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway import quarantine
from gateway.errors import Finding, Rejected
from gateway.model.agency import AgencyCode
from gateway.model.arrival import ArrivalState, ItemKind
from gateway.model.package import BusinessType, DocumentHeader, StatusReport, normal_text
from gateway.routing.directory import Directory
from gateway.store import Tx, acts, documents, ledger, received
from gateway.store.received import Holding


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an arrival may not enter. `agency`: in whose inbox it met another document; `first`: the
    item of that one, where it is still there.
    """

    finding: Finding
    first: Holding | None = None
    agency: str = ""


class Entered(NamedTuple):
    """What entering made of an arrival. `doubles`: the items that hold it already."""

    state: ArrivalState
    findings: tuple[Finding, ...] = ()
    records: Sequence[ledger.NewRecord] = ()
    objections: tuple[Objection, ...] = ()
    doubles: Sequence[str] = ()

    @classmethod
    def refused(cls, wrong: tuple[Objection, ...]) -> Entered:
        return cls(ArrivalState.QUARANTINED, tuple(o.finding for o in wrong), objections=wrong)


@dataclass(frozen=True, slots=True)
class Again:
    """An arrival that was judged and is entered after all: `account_id` is who says so, with
    `reason`, against the findings `overruled`; nobody when its document became known.
    """

    old: ArrivalState
    account_id: str = ""
    reason: str = ""
    overruled: tuple[Finding, ...] = ()


class Admitting:
    """The directory says which codes name one agency."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.key_of = directory.key_of

    def sender_differs(self, listed: str, said: str) -> tuple[Objection, ...]:
        """The list's sender against the package's, in either form of code.

        What the axis does not say, or says in words that are no agency code, contradicts nothing.
        """
        if not said.strip() or not self._names_an_agency(listed):
            return ()
        if self.key_of(listed) == self.key_of(said):
            return ()
        return (Objection(quarantine.sender_differs(listed, said)),)

    def document(
        self,
        tx: Tx,
        header: DocumentHeader,
        *,
        identity: str,
        listed_from: str,
        agencies: Sequence[str],
        again: Again | None = None,
    ) -> tuple[Objection, ...]:
        """Everything against entering this document into the inboxes of `agencies` (as written).

        Binds the DocumentId of a new document to its identity, unless something stands against it.
        What a person overruled is no objection any more, and the document binds as any other.
        """
        overruled = again is not None and again.overruled
        wrong = self.sender_differs(listed_from, header.sender.organ_id)
        if wrong and not overruled:
            return wrong
        sender = self.key_of(header.sender.organ_id or listed_from)
        by_key = dict(sorted((self.key_of(code), code) for code in agencies))
        if header.business.type != BusinessType.NEW:
            wrong = self._not_the_sender(tx, list(by_key), sender, _acted_on(header))
        else:
            name = normal_text(header.document_id)
            wrong = self._conflicts(tx, by_key, sender, name, identity)
        return () if overruled else wrong

    def status(
        self, tx: Tx, report: StatusReport, *, listed_from: str, agency: str
    ) -> tuple[Objection, ...]:
        """A report by somebody else than the axis lists; a take-back (13) of another's document."""
        wrong = self.sender_differs(listed_from, report.sender.organ_id)
        if wrong or report.code != acts.TAKE_BACK:
            return wrong
        about = [report.response_for.document_id]
        return self._not_the_sender(
            tx, [self.key_of(agency)], self.key_of(report.sender.organ_id), about
        )

    def doubled(self, tx: Tx, identity: str, agencies: Sequence[str]) -> list[str]:
        """The items, in the inboxes of `agencies`, that hold what came again."""
        found = (
            received.holding(tx, agency_key=key, identity=identity)
            for key in sorted({self.key_of(code) for code in agencies})
        )
        return [one.id for one in found if one is not None]

    def _names_an_agency(self, listed: str) -> bool:
        if self.directory.find(listed) is not None:
            return True
        try:
            code = AgencyCode(listed.strip())
        except Rejected:
            return False
        return bool(code.as_new_form() or code.as_old_form())

    def _conflicts(
        self, tx: Tx, by_key: Mapping[str, str], sender: str, document_id: str, identity: str
    ) -> tuple[Objection, ...]:
        """The key of `received_key` decides who came first, for each agency of ours.

        A package without a DocumentId names nothing that could be taken. What an agency holds
        already is the same document again, even where a person let it in against an earlier one.
        """
        if not document_id:
            return ()
        bound_now: list[str] = []
        wrong: list[Objection] = []
        for key, agency in by_key.items():
            if received.bind(
                tx, agency_key=key, sender_key=sender, document_id=document_id, identity=identity
            ):
                bound_now.append(key)
                continue
            first = received.bound(tx, agency_key=key, sender_key=sender, document_id=document_id)
            if first == identity or received.holding(tx, agency_key=key, identity=identity):
                continue
            held = received.holding(tx, agency_key=key, identity=first)
            finding = quarantine.conflict(document_id, held.id if held else "-")
            wrong.append(Objection(finding, held, agency))
        if wrong:  # it enters nowhere, so it takes no key
            for key in bound_now:
                received.unbind(tx, agency_key=key, sender_key=sender, document_id=document_id)
        return tuple(wrong)

    def _not_the_sender(
        self, tx: Tx, keys: Sequence[str], sender: str, about: Sequence[str]
    ) -> tuple[Objection, ...]:
        """An act on a document that we know, and know from others alone.

        One that we do not know says nothing yet: it may come later, or its act first.
        """
        wrong: dict[str, Objection] = {}
        for key in keys:
            for name in about:
                held = [
                    one
                    for one in acts.named(tx, agency_key=key, document_ids=[name])
                    if one.kind == ItemKind.DOCUMENT.value
                ]
                if any(self.key_of(one.sender) == sender for one in held):
                    continue
                ours = key != sender and documents.by_document_id(tx, key, normal_text(name))
                if held or ours:
                    finding = quarantine.not_the_sender(name)
                    wrong.setdefault(name, Objection(finding))
        return tuple(wrong.values())


def _acted_on(header: DocumentHeader) -> Sequence[str]:
    """What an act takes back, changes or replaces (edxml-format 6).

    A recall names it in ResponseFor; where the others have one, it names what they answer, and
    that is another's.
    """
    business = header.business
    if business.type == BusinessType.RECALL:
        return header.about()
    named = {business.document_id, *(one.document_id for one in business.replaces)}
    return sorted(named - {""})
