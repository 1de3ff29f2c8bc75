"""Our Canonical XML against libxml2's and xmlsec's, on generated documents.

Sub-elements in the inclusive form are judged by xmlsec only: lxml writes a false `xmlns=""` there
(feasibility 2.4).
"""

import base64
import hashlib
import hmac
import random

import pytest
import xmlsec
from lxml import etree

from gateway import safexml
from gateway.c14n import Attributes, Canonicalizer, Declared, Name

DSIG = "http://www.w3.org/2000/09/xmldsig#"
KEY = b"a key for tests only"
# no "&" among them: libxml2 writes namespace URIs without escaping, against Canonical XML 2.3
URIS = ["http://a.example/x", "urn:b", "http://www.mic.gov.vn/TBT/QCVN_102_2016", "http://c/?q=1"]
PREFIXES = ["", "p", "edXML", "q1", "a"]
TEXTS = [
    "văn bản số 12/UBND-VX",
    "a < b & c > d",
    "quote \" and apostrophe '",
    "line\nbreak\ttab",
    "carriage\rreturn",
    "\U0001d11e astral",
    "x" * 70_000,
    "  two  blanks  ",
    "]]>",
]


class Element:
    """What a generated document holds; `source()` writes it with needless variety."""

    def __init__(self, rng: random.Random, scope: dict[str, str], depth: int = 0) -> None:
        self.rng = rng
        self.declared = {}
        for prefix in PREFIXES:
            if rng.random() < (0.5 if depth == 0 else 0.15):
                if prefix == "" and scope.get("") and rng.random() < 0.4:
                    self.declared[""] = ""
                else:
                    self.declared[prefix] = rng.choice(URIS)
        self.scope = {**scope, **self.declared}
        bound = [p for p in self.scope if p]
        self.prefix = rng.choice(["", *bound])
        self.local = rng.choice(["doc", "item", "SignedInfo", "tên"])
        self.attributes = {}
        expanded = set()
        for _ in range(rng.randrange(4)):
            prefix = rng.choice(["", "", "xml", *bound])
            local = rng.choice(["lang", "space", "base"]) if prefix == "xml" else rng.choice("abcZ")
            key = (self.scope.get(prefix, "") if prefix else "", local)
            if key not in expanded:
                expanded.add(key)
                value = "default" if (prefix, local) == ("xml", "space") else rng.choice(TEXTS)
                self.attributes[f"{prefix}:{local}" if prefix else local] = value
        self.children: list[Element | str] = []
        for _ in range(rng.randrange(5) if depth < 5 else 0):
            kind = rng.random()
            if kind < 0.45:
                self.children.append(Element(rng, self.scope, depth + 1))
            else:
                self.children.append(self._content(rng.choice(TEXTS), kind))

    def _content(self, text: str, kind: float) -> str:
        if kind < 0.6:
            return escaped(text).replace("\r", "&#13;")
        if kind < 0.7:
            return f"<![CDATA[{text.replace(']]>', ']]')}]]>"
        if kind < 0.8:
            return f"<!-- {text.replace('-', '_')} -->"
        if kind < 0.9:
            return "<?target  some data ?>" if kind < 0.85 else "<?alone?>"
        return "".join(f"&#x{ord(c):x};" if c in "&<>\rạ" else c for c in text)

    def source(self, inner_first: str = "") -> str:
        name = f"{self.prefix}:{self.local}" if self.prefix else self.local
        marks = [
            f'xmlns:{p}="{escaped(u)}"' if p else f'xmlns="{escaped(u)}"'
            for p, u in self.declared.items()
        ]
        marks += [f"{n}={quoted(self.rng, v)}" for n, v in self.attributes.items()]
        self.rng.shuffle(marks)
        start = " ".join([name, *marks])
        if not self.children and not inner_first and self.rng.random() < 0.5:
            return f"<{start} />"
        body = "".join(c if isinstance(c, str) else c.source() for c in self.children)
        return f"<{start}>{inner_first}{body}</{name}\n>"


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def quoted(rng: random.Random, value: str) -> str:
    value = escaped(value)
    if rng.random() < 0.5:
        value = value.replace("\n", "&#10;").replace("\r", "&#xD;").replace("\t", "&#9;")
    else:
        value = value.replace("\r", " ")
    if rng.random() < 0.5:
        return '"' + value.replace('"', "&quot;") + '"'
    return "'" + value.replace("'", "&apos;") + "'"


def document(rng: random.Random) -> bytes:
    before = rng.choice(["", "<?xml-stylesheet href='a'?>\n", "<!-- c -->\n<?p?>"])
    after = rng.choice(["", "\n<?after it?>", "\n<!-- end -->\r\n", "<?a?><?b c?>\n"])
    text = before + Element(rng, {}).source() + after
    if rng.random() < 0.3:
        text = text.replace("\n", "\r\n")
    if rng.random() < 0.1:
        return ('<?xml version="1.0" encoding="UTF-16"?>' + text).encode("utf-16")
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' * (rng.random() < 0.8) + text).encode()


def ours(data: bytes, *, exclusive: bool, step: int) -> bytes:
    out: list[bytes] = []
    decoder = safexml.ToUtf8()
    utf8 = decoder.decode(data, final=True)
    limits = safexml.Limits(field_bytes=100_000)
    writer = Canonicalizer(out.append, exclusive=exclusive)
    parser = safexml.Parser(writer, limits, family=decoder.family)
    for start in range(0, len(utf8), step):
        parser.feed(utf8[start : start + step])
    parser.close()
    return b"".join(out)


def amounts(few: int, many: int) -> pytest.MarkDecorator:
    """Seed and number of documents: few each time, many others in the long run."""
    return pytest.mark.parametrize(
        ("seed", "count"),
        [
            pytest.param(20260501, few, id="few"),
            pytest.param(
                20261129, many, id="many", marks=(pytest.mark.long, pytest.mark.timeout(1800))
            ),
        ],
    )


@amounts(1500, 6000)
def test_whole_documents_are_canonicalized_as_libxml2_does(seed: int, count: int) -> None:
    rng = random.Random(seed)
    for number in range(count):
        data = document(rng)
        tree = etree.fromstring(data, etree.XMLParser(huge_tree=True)).getroottree()
        for exclusive in (False, True):
            expected = etree.tostring(tree, method="c14n", exclusive=exclusive, with_comments=False)
            step = rng.choice([211, 7919, 65_536]) if len(data) < 20_000 else 65_536
            assert ours(data, exclusive=exclusive, step=step) == expected, (number, exclusive)


class Subtree:
    """Canonicalizes the first element called `local` with the scope of its ancestors."""

    def __init__(self, local: str, *, exclusive: bool) -> None:
        self.local = local
        self.exclusive = exclusive
        self.out: list[bytes] = []
        self.frames: list[tuple[dict[str, str], dict[str, str]]] = [({}, {})]
        self.writer: Canonicalizer | None = None
        self.depth = 0
        self.done = False

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        scope, xml = self.frames[-1]
        if self.writer is None and not self.done and name[1] == self.local:
            self.writer = Canonicalizer(
                self.out.append, exclusive=self.exclusive, scope=scope, xml_attributes=xml
            )
        own = {a[1]: v for a, v in attributes if a[2] == "xml"}
        self.frames.append(({**scope, **dict(declared)}, {**xml, **own}))
        if self.writer is not None:
            self.depth += 1
            self.writer.start(name, attributes, declared)

    def end(self, name: Name) -> None:
        self.frames.pop()
        if self.writer is not None:
            self.writer.end(name)
            self.depth -= 1
            if not self.depth:
                self.writer, self.done = None, True

    def text(self, data: str) -> None:
        if self.writer is not None:
            self.writer.text(data)

    def instruction(self, target: str, data: str) -> None:
        if self.writer is not None:
            self.writer.instruction(target, data)


def signature_template(rng: random.Random, c14n: str) -> str:
    prefix = rng.choice(["", "ds", "edXML"])
    p = f"{prefix}:" if prefix else ""
    declaration = f'xmlns:{prefix}="{DSIG}"' if prefix else f'xmlns="{DSIG}"'
    gap = rng.choice(["", "\n  ", "\r\n\t"])
    return (
        f'<{p}Signature {declaration}>{gap}<{p}SignedInfo Id="s&#9;1">{gap}'
        f'<{p}CanonicalizationMethod Algorithm="{c14n}"/>{gap}'
        f'<{p}SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>'
        f'{gap}<{p}Reference URI="">{gap}<{p}Transforms><{p}Transform '
        f'Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/></{p}Transforms>'
        f'<{p}DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<{p}DigestValue/></{p}Reference>{gap}</{p}SignedInfo>{gap}<{p}SignatureValue/>"
        f"{gap}</{p}Signature>"
    )


@amounts(700, 6000)
def test_signed_info_in_its_surroundings_is_canonicalized_as_xmlsec_does(
    seed: int, count: int
) -> None:
    """xmlsec signs (HMAC over its own canonical SignedInfo); our bytes must give the same HMAC."""
    rng = random.Random(seed + 1)
    for number in range(count):
        exclusive = bool(number % 2)
        c14n = (
            "http://www.w3.org/2001/10/xml-exc-c14n#"
            if exclusive
            else "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
        )
        root = Element(rng, {})
        middle = Element(rng, root.scope, depth=6)
        text = root.source(middle.source(signature_template(rng, c14n)))
        tree = etree.fromstring(text.encode(), etree.XMLParser(huge_tree=True))
        node = next(tree.iter(f"{{{DSIG}}}Signature"))
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, KEY)
        context.sign(node)
        signed = etree.tostring(tree, encoding="utf-8")
        value = tree.findtext(f".//{{{DSIG}}}SignatureValue") or ""
        locator = SignedInfoOf(exclusive=exclusive)
        safexml.parse(signed, locator, safexml.Limits(field_bytes=100_000))
        made = hmac.new(KEY, b"".join(locator.out), hashlib.sha256).digest()
        assert made == base64.b64decode(value), (number, exclusive)


class SignedInfoOf(Subtree):
    """SignedInfo in the XML-DSig namespace, not a generated element of that name."""

    def __init__(self, *, exclusive: bool) -> None:
        super().__init__("SignedInfo", exclusive=exclusive)

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        wanted = name[0] == DSIG and name[1] == "SignedInfo"
        self.local = "SignedInfo" if wanted else ""
        super().start(name, attributes, declared)


@amounts(300, 5000)
def test_sub_elements_in_the_exclusive_form_are_canonicalized_as_libxml2_does(
    seed: int, count: int
) -> None:
    rng = random.Random(seed + 2)
    for number in range(count):
        data = document(rng)
        tree = etree.fromstring(data, etree.XMLParser(huge_tree=True))
        first = next(
            (e for e in tree.iter("{*}item") if isinstance(e.tag, str)),
            None,
        )
        if first is None:
            continue
        subtree = Subtree("item", exclusive=True)
        safexml.parse(data, subtree, safexml.Limits(field_bytes=100_000))
        expected = etree.tostring(first, method="c14n", exclusive=True, with_comments=False)
        assert b"".join(subtree.out) == expected.removesuffix((first.tail or "").encode()), number
