"""What in a package a strict writer would not have written (edxml-format 13, left column).

In:     the bytes of a package that could be read, what the reader found, the profile of its day.
Out:    findings: the schema's, the profile's, those of spelling; each with element and line.
Fails:  Unreadable and TooLarge as the reader; Misconfigured `schemas.missing`.
Never:  decides whether a package is accepted: reading is liberal, and lxml stays out of that path.

The second pass over the bytes builds a tree without the text of attachments, so it does not grow
with the document; the lists of manifest and attachments are judged and let go a thousand at a time.
XML comes in through safexml like everywhere; lxml sees elements that we made, never bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, cast

from lxml import etree

from gateway.c14n import Attributes, Declared, Name
from gateway.errors import Finding, Misconfigured, Severity, Text
from gateway.model.package import NS_DSIG, NS_QCVN102, FileFact
from gateway.packing.dates import is_iso_date
from gateway.packing.elements import RULE
from gateway.packing.feed import Feed
from gateway.packing.names import CARRIED_AS_IS, WRAPPED_TYPE, extension
from gateway.packing.profile import CodeList, Entry, Profile
from gateway.packing.result import ReadPackage
from gateway.packing.schema_words import in_words
from gateway.safexml import BLOCK, Limits, UnboundPrefix

_AT_ONCE = 1000  # items of a list before they are judged and let go
_MOST = 200  # findings; a hostile package must not fill the screen
_MAX_LINE = 65_535  # libxml2 counts lines of foreign elements in 16 bits
_START = re.compile(rb'<\?xml version="1\.0" encoding="UTF-8"\?>\r?\n?<')
_LISTS = frozenset({"edXMLManifest", "AttachmentEncoded"})
# the only elements that are written empty
_MAY_BE_EMPTY = frozenset({*_LISTS, "ContentTransferEncoded"})
# the reader says this of a file's content, which no writer of packages is answerable for
_NOT_OF_WRITING = frozenset(
    {
        "attachment.type_declared",
        "attachment.type_differs",
        "attachment.empty",
        "attachment.zip_nested",
    }
)


def day_of(package: ReadPackage, today: date) -> date:
    """The day whose profile counts: promulgation, or a status' own; `today` when it says none."""
    said = ""
    if package.header is not None:
        said = package.header.promulgation.date
    elif package.status is not None:
        said = package.status.timestamp[:10].replace("/", "-")
    return date.fromisoformat(said) if is_iso_date(said) else today


def strict_findings(
    source: BinaryIO, package: ReadPackage, profile: Profile, *, limits: Limits | None = None
) -> tuple[Finding, ...]:
    """Everything a strict writer would not have written, of `source` from where it stands.

    `package`: what `read_package` made of the same bytes; its warnings and errors count too.
    `profile`: that of one day (`Profile.on`). A finding with severity note is no violation.
    """
    found = [
        replace(f, severity=Severity.ERROR) if f.severity is Severity.WARNING else f
        for f in package.findings
        if f.code not in _NOT_OF_WRITING
    ]
    if package.version != "qcvn102":
        text = Text(
            "Không phải gói tin QCVN 102:2016/BTTTT", "not a package of QCVN 102:2016/BTTTT"
        )
        return (*found, Finding("/", "strict.version", Severity.ERROR, text, RULE))
    start = source.tell()
    found.extend(_of_the_bytes(source))
    found.extend(_of_the_types(package.files))
    kind = "status" if package.status is not None else "document"
    walk = _Walk(kind, profile, limits or Limits(), None)
    source.seek(start)
    try:
        walk.run(source)
    except UnboundPrefix as unbound:
        source.seek(start)
        root = unbound.offset if walk.root_at < 0 else walk.root_at
        walk = _Walk(kind, profile, limits or Limits(), root)
        walk.run(source)
    found.extend(walk.findings())
    if len(found) <= _MOST:
        return tuple(found)
    left = len(found) - _MOST
    text = Text(f"Còn {left} ghi nhận nữa không hiển thị", f"{left} more findings are not shown")
    return (*found[:_MOST], Finding("/", "strict.more", Severity.ERROR, text))


def violations(findings: Sequence[Finding]) -> int:
    """How many count: a package without any conforms."""
    return sum(f.severity is not Severity.NOTE for f in findings)


def _schema(kind: str) -> etree.XMLSchema:
    path = Path(str(resources.files("schemas") / "edxml" / f"{kind}.xsd"))
    try:
        return etree.XMLSchema(etree.parse(path, etree.XMLParser(no_network=True)))
    except (OSError, etree.LxmlError) as error:
        raise Misconfigured(
            Text(f"Không đọc được {path}: {error}", f"cannot read {path}: {error}"),
            code="schemas.missing",
        ) from None


def _of_the_bytes(source: BinaryIO) -> Iterator[Finding]:
    """Declaration first, UTF-8 without a mark; nothing but a line end behind the root."""
    start = source.tell()
    head = source.read(64)
    source.seek(max(start, source.seek(0, 2) - 16))
    tail = source.read(16)
    source.seek(start)
    if _START.match(head) is None:
        yield _violation(
            "/",
            "strict.bytes",
            'Gói tin không bắt đầu bằng <?xml version="1.0" encoding="UTF-8"?>',
            'the package does not begin with <?xml version="1.0" encoding="UTF-8"?>',
        )
    if not tail.removesuffix(b"\n").removesuffix(b"\r").endswith(b">"):
        yield _violation(
            "/",
            "strict.bytes",
            "Sau phần tử gốc còn dữ liệu khác ngoài một dấu xuống dòng",
            "something other than one line end stands behind the root element",
        )


def _of_the_types(files: Sequence[FileFact]) -> Iterator[Finding]:
    """ContentType by the vendor's table (edxml-format 4): receivers unzip by it."""
    for number, fact in enumerate(files, start=1):
        ext = extension(fact.declared_name)
        usual = CARRIED_AS_IS.get(ext, "")
        wanted = usual or (WRAPPED_TYPE if fact.unwrapped else f"application/{ext}")
        if not fact.failed and fact.declared_type != wanted:
            yield _violation(
                f"/edXML/AttachmentEncoded/Attachment [{number}]",
                "strict.content_type",
                f"ContentType là {fact.declared_type[:60]!r}, phải là {wanted!r}",
                f"ContentType is {fact.declared_type[:60]!r}; a writer says {wanted!r}",
            )


class _Text:
    """The text of one ContentTransferEncoded, which passes by: one line, whole groups of four."""

    def __init__(self) -> None:
        self.size = 0
        self.broken = False

    def take(self, raw: bytes | memoryview) -> bool:
        """False for what must go through the XML parser."""
        text = bytes(raw)
        if b"&" in text:
            return False
        self.size += len(text)
        self.broken = self.broken or any(blank in text for blank in (b"\n", b"\r", b" ", b"\t"))
        return True


class _Walk:
    """One pass: the consumer of the XML events, the tree they make, and what is wrong with it."""

    def __init__(self, kind: str, profile: Profile, limits: Limits, repair: int | None) -> None:
        self.root_at = -1
        self.content: _Text | None = None
        self.content_at = -1
        self._kind = kind
        self._schema = _schema(kind)
        self._profile = profile
        self._forms = {name: f for f in profile.forms for name in f.elements}
        self._codes: dict[str, list[CodeList]] = {}
        for listed in profile.codes:
            for name in listed.elements:
                self._codes.setdefault(name, []).append(listed)
        self._feed = Feed(self, limits, repair)
        self._root: etree._Element | None = None
        self._open: list[etree._Element] = []
        self._prefixes: list[str] = []  # what the children of each open element are written with
        self._spelling: dict[str, tuple[str, str, int]] = {}
        self._told: dict[tuple[str, str, str], Finding] = {}
        self._named: set[etree._Element] = set()  # elements that the profile spoke of already

    def run(self, source: BinaryIO) -> None:
        while block := source.read(BLOCK):
            self._feed.take(block)
        self._feed.finish()
        self._judge()

    def findings(self) -> Iterator[Finding]:
        for wanted, (where, name, times) in self._spelling.items():
            yield _violation(
                where,
                "strict.prefix",
                f"{name} phải viết với tiền tố {wanted!r} ({times} lần)",
                f"{name} is written with the prefix {wanted!r} (found {times} times)",
            )
        yield from self._told.values()

    # -- events ----------------------------------------------------------------------------------

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        del declared
        uri, local, prefix = name
        tag = f"{{{uri}}}{local}" if uri else local
        # as default namespace, so that the validator's paths need no prefix
        space: Any = {None: uri} if uri else None  # the stubs know no default namespace
        said = {f"{{{u}}}{a}" if u else a: value for (u, a, _), value in attributes}
        self.content_at = -1
        if not self._open:
            self.root_at = self._feed.parser.offset
            element = self._root = etree.Element(tag, said, space)
        else:
            element = etree.SubElement(self._open[-1], tag, said, space)
        element.sourceline = min(self._feed.parser.line, _MAX_LINE)  # type: ignore[assignment]  # the stubs have no setter
        self._judge_prefix(element, uri, local, prefix)
        self._open.append(element)
        if local == "ContentTransferEncoded" and self.content is None:
            self.content, self.content_at = _Text(), self._feed.parser.offset

    def end(self, name: Name) -> None:
        self.content_at = -1
        element = self._open.pop()
        self._prefixes.pop()
        local = name[1]
        if self.content is not None and local == "ContentTransferEncoded":
            if self.content.broken or self.content.size % 4:
                self._tell(
                    element,
                    "strict.base64",
                    "Base64 phải nằm trên một dòng và có đệm '='",
                    "base64 is written on one line, padded",
                )
            self.content = None
        self._judge_element(element, local)
        parent = self._open[-1] if self._open else None
        if parent is not None and len(parent) >= _AT_ONCE and _local(parent) in _LISTS:
            self._judge()
            for child in list(parent):
                parent.remove(child)

    def text(self, data: str) -> None:
        self.content_at = -1
        if self.content is not None:
            self.content.take(data.encode())
            return
        if not self._open or (data.isspace() and not self._open[-1].text):
            return
        element = self._open[-1]
        if len(element):
            element[-1].tail = (element[-1].tail or "") + data
        else:
            element.text = (element.text or "") + data

    def instruction(self, target: str, data: str) -> None:
        del data
        self.content_at = -1
        self._tell(
            self._open[-1] if self._open else self._root,
            "strict.instruction",
            f"Có chỉ thị xử lý <?{target[:40]}?>",
            f"a processing instruction <?{target[:40]}?>",
        )

    # -- judging ---------------------------------------------------------------------------------

    def _judge_prefix(self, element: etree._Element, uri: str, local: str, prefix: str) -> None:
        """The form of edxml-format 1: one namespace, two spellings."""
        wanted = self._prefixes[-1] if self._prefixes else ""
        inside = wanted
        if local == "edXMLEnvelope":
            wanted = inside = "edXML"
        elif local == "Signature":
            wanted = inside = ""
        elif local == "ContentTransferEncoded":
            wanted = "edXML"
        self._prefixes.append(inside)
        if prefix != wanted and uri in {NS_QCVN102, ""}:
            where, shown, times = self._spelling.get(wanted, (self._where(element), local[:60], 0))
            self._spelling[wanted] = (where, shown, times + 1)

    def _judge_element(self, element: etree._Element, local: str) -> None:
        text = (element.text or "").strip()
        parent = self._open[-1] if self._open else None
        above = _local(parent) if parent is not None else ""
        if not text and not len(element) and local not in _MAY_BE_EMPTY and not _algorithm(element):
            self._tell(
                element, "strict.empty", f"Phần tử {local[:60]} rỗng", f"{local[:60]} is empty"
            )
        elif text == "null":
            self._tell(
                element,
                "strict.null",
                f"{local[:60]} chứa chữ 'null'",
                f"{local[:60]} holds the word 'null'",
            )
        if local == "ContentId" and text[4:8].lower() == "cid:":
            self._tell(
                element,
                "strict.content_id",
                f"ContentId lặp 'cid:': {text[:60]!r}",
                f"ContentId repeats 'cid:': {text[:60]!r}",
            )
        for name in (local, f"{above}/{local}"):
            form = self._forms.get(name)
            if form is not None and text and not form.fits(element.text or ""):
                self._by_profile(
                    element,
                    "strict.form",
                    form,
                    f"{local} không đúng dạng: {text[:60]!r}",
                    f"{local} has not the form it should have: {text[:60]!r}",
                )
            for listed in self._codes.get(name, ()):
                self._judge_code(element, local, listed)
        for presence in self._profile.presence:
            if presence.parent in {local, f"{above}/{local}"} and presence.kind == self._kind:
                times = sum(_local(child) == presence.element for child in element)
                if times < presence.least or times > (presence.most or times):
                    self._by_profile(
                        element,
                        "strict.presence",
                        presence,
                        f"{local} có {times} phần tử {presence.element}",
                        f"{local} has {times} of {presence.element}",
                        suppress=False,
                    )

    def _judge_code(self, element: etree._Element, local: str, listed: CodeList) -> None:
        text = element.text or ""
        if not text.strip() or listed.holds(text) or listed.unseen(text):
            return
        when, parent = listed.when, element.getparent()
        if when is not None and parent is not None:
            beside = [c.text for c in parent if _local(c) == when.element]
            if when.code not in beside:
                return
        known = ", ".join(listed.codes()[:20])
        self._by_profile(
            element,
            "strict.code",
            listed,
            f"{local} không có trong danh mục {listed.id} ({known}): {text[:40]!r}",
            f"{local} is not in the list {listed.id} ({known}): {text[:40]!r}",
        )

    def _judge(self) -> None:
        """The schema's word on the tree as it stands; told once, however often it is asked."""
        root = self._root
        if root is None or self._schema.validate(root):
            return
        tree = root.getroottree()
        log = [e for e in cast("Iterable[Any]", self._schema.error_log) if e.path]
        closer = {e.path for e in log if "[facet " in e.message}
        for error in log:
            if error.path in closer and "[facet " not in error.message:
                continue  # the same again: not a value of its type
            if len(self._told) > _MOST:
                break
            at: Any = tree.xpath(str(error.path))
            element: etree._Element = at[0] if at else root
            if element not in self._named:
                text = in_words(error.message)
                self._keep(Finding(self._where(element), "strict.schema", _ERROR, text, RULE))

    def _by_profile(
        self,
        element: etree._Element,
        code: str,
        entry: Entry,
        vi: str,
        en: str,
        *,
        suppress: bool = True,
    ) -> None:
        if suppress and entry.severity is not Severity.NOTE:
            self._named.add(element)
        where = self._where(element)
        self._keep(Finding(where, code, entry.severity, Text(vi, en), entry.source))

    def _tell(self, element: etree._Element | None, code: str, vi: str, en: str) -> None:
        where = "/" if element is None else self._where(element)
        if element is not None and code == "strict.empty":
            self._named.add(element)
        self._keep(_violation(where, code, vi, en))

    def _keep(self, finding: Finding) -> None:
        if len(self._told) <= _MOST:
            self._told.setdefault((finding.path, finding.code, finding.text.en), finding)

    def _where(self, element: etree._Element) -> str:
        names = [_local(e)[:100] for e in reversed(list(element.iterancestors()))]
        path = "/" + "/".join([*names, _local(element)[:100]])
        short = path if len(path) <= 300 else "…" + path[-299:]
        return f"{short} (line {element.sourceline})"


_ERROR = Severity.ERROR


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _algorithm(element: etree._Element) -> bool:
    """An element of a signature block that says what it has to say in its attribute."""
    return element.get("Algorithm") is not None or str(element.tag).startswith(f"{{{NS_DSIG}}}")


def _violation(where: str, code: str, vi: str, en: str) -> Finding:
    return Finding(where, code, _ERROR, Text(vi, en), RULE)
