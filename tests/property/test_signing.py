"""Any package signed here verifies, any change to it is found, and no block breaks the judge."""

import base64
import hashlib
import warnings
from dataclasses import replace

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from gateway.model.package import (
    DocumentCode,
    DocumentHeader,
    Organ,
    SignatureBlock,
    SignatureReference,
    Trust,
    bare_cid,
)
from gateway.signing import DEFAULT_POLICY, ECDSA_SHA256, EXCLUSIVE_C14N, SHA256
from gateway.signing.signed_info import (
    INCLUSIVE_C14N,
    SignedInfo,
    normal_form,
    read_signed_info,
    same_values,
)
from gateway.signing.verify import inner_choice, verify
from tests.support import pki
from tests.support import signed_packages as packages
from tests.support.signed_packages import HEADER, Part

LEAF = pki.cast().agency_ec
# what XML 1.0 can carry at all
_CHARACTERS = st.characters(
    exclude_categories=["Cs", "Cc"], include_characters="\t\n\r", exclude_characters="\ufffe\uffff"
)
TEXT = st.text(_CHARACTERS, max_size=12)
WORD = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24FF, exclude_categories=["Cc"]),
    min_size=1,
    max_size=10,
)


@st.composite
def parts(draw):
    ids = draw(st.lists(WORD, max_size=4, unique_by=bare_cid))
    return tuple(
        Part(f"cid:{i}", f"{n}.bin", draw(st.binary(max_size=60)), draw(st.booleans()))
        for n, i in enumerate(ids)
        if bare_cid(i) not in {"", "edxml-header"}
    )


@st.composite
def headers(draw):
    return DocumentHeader(
        sender=Organ(draw(WORD)),
        to=tuple(Organ(i) for i in draw(st.lists(WORD, min_size=1, max_size=3))),
        document_id=draw(WORD),
        code=DocumentCode(draw(TEXT), draw(TEXT)),
        subject=draw(TEXT),
    )


@given(headers(), parts())
def test_what_was_signed_verifies_and_covers_everything(header, made):
    block = packages.block_of(packages.sign(LEAF, ECDSA_SHA256, header=header, parts=made))
    verdict = verify(block, header, packages.facts(made))
    assert verdict.summary() == "valid"
    assert {r.verdict for r in verdict.references} == {Trust.VALID}


@settings(max_examples=40)
@given(st.integers(1, 3), parts())
def test_it_still_verifies_after_any_number_of_rebuilds(rounds, made):
    xml = packages.seal(LEAF, ECDSA_SHA256, parts=made).xml
    for _ in range(rounds):
        xml = packages.rebuild(xml)
    opened = packages.read(xml)
    assert verify(opened.block, opened.header, opened.files).summary() == "valid"


SEALED = packages.block_of(packages.sign(LEAF, ECDSA_SHA256))
FILES = packages.facts()
URIS = [r.uri for r in SEALED.references]
ALGORITHMS = [
    *(m.uri for m in DEFAULT_POLICY.signatures),
    *(m.uri for m in DEFAULT_POLICY.digests),
    EXCLUSIVE_C14N,
    INCLUSIVE_C14N,
    "",
]


def spoiled(draw, text):
    """`text` with one character changed, taken out or put in; or all of it replaced."""
    kind = draw(st.sampled_from(["change", "remove", "insert", "replace"]))
    if kind == "replace" or not text:
        return draw(st.sampled_from([*ALGORITHMS, *URIS, "cid:x", "A" * 43 + "=", "#x"]))
    at = draw(st.integers(0, len(text) - 1))
    other = draw(st.characters(min_codepoint=33, max_codepoint=126))
    middle = {"change": other, "remove": "", "insert": other + text[at]}[kind]
    return text[:at] + middle + text[at + 1 :]


@st.composite
def changed_blocks(draw):
    """The sealed block with one of its values changed, as carried bytes are or are not."""
    block = SEALED
    if draw(st.booleans()):  # the form after relay: only the values are left
        block = replace(block, in_dsig_namespace=False, signed_info_exclusive=b"")
    what = draw(
        st.sampled_from(
            ["uri", "method", "digest", "transform", "value", "c14n", "algorithm", "drop", "double"]
        )
    )
    at = draw(st.integers(0, len(block.references) - 1))
    references = list(block.references)
    one = references[at]
    match what:
        case "uri":
            references[at] = replace(one, uri=spoiled(draw, one.uri))
        case "method":
            references[at] = replace(one, digest_method=spoiled(draw, one.digest_method))
        case "digest":
            references[at] = replace(one, digest_value=spoiled(draw, one.digest_value))
        case "transform":
            references[at] = replace(one, transforms=(draw(st.sampled_from(ALGORITHMS)),))
        case "drop":
            del references[at]
        case "double":
            references.insert(draw(st.integers(0, len(references))), one)
        case "value":
            block = replace(block, signature_value=spoiled(draw, block.signature_value))
        case "c14n":
            block = replace(block, canonicalization=spoiled(draw, block.canonicalization))
        case "algorithm":
            block = replace(block, signature_method=spoiled(draw, block.signature_method))
    return replace(block, references=tuple(references))


def with_first_uri(uri):
    first, *others = SEALED.references
    return replace(SEALED, references=(replace(first, uri=uri), *others))


@settings(max_examples=600)
@example(with_first_uri("cId:5a0e1c1e-0000-4000-8000-000000000001"))
@given(changed_blocks())
def test_every_changed_digest_uri_algorithm_or_value_is_found(block):
    kept = (block.references, block.signature_value, block.canonicalization, block.signature_method)
    assume(  # a character may have been replaced by itself
        kept
        != (
            SEALED.references,
            SEALED.signature_value,
            SEALED.canonicalization,
            SEALED.signature_method,
        )
    )
    verdict = verify(block, HEADER, FILES)
    assert verdict.value is not Trust.VALID
    assert verdict.header is not Trust.VALID
    assert verdict.files is not Trust.VALID
    assert all(r.verdict is not Trust.VALID for r in verdict.references)
    assert verdict.summary() not in {"valid", "files_only", "header_only"}
    assert inner_choice(verdict, FILES) == tuple(f.sha256 for f in FILES)


@given(st.integers(0, 1), st.binary(max_size=40))
def test_every_changed_file_is_found(index, data):
    part = packages.PARTS[index]
    assume(data != part.data)
    changed = list(packages.PARTS)
    changed[index] = replace(part, data=data)
    verdict = verify(SEALED, HEADER, packages.facts(tuple(changed)))
    assert verdict.value is Trust.VALID
    assert (verdict.header, verdict.files) == (Trust.FALSE, Trust.FALSE)
    assert verdict.references[index].verdict is Trust.FALSE
    assert verdict.references[1 - index].verdict is Trust.VALID


@given(headers())
def test_every_other_header_is_found(header):
    verdict = verify(SEALED, header, FILES)
    assert (verdict.header, verdict.files) == (Trust.FALSE, Trust.VALID)


BASE64 = st.one_of(st.binary(max_size=80).map(lambda b: base64.b64encode(b).decode()), TEXT)
REFERENCES = st.builds(
    SignatureReference,
    uri=st.one_of(st.sampled_from([*URIS, "", "cid:", "#a"]), TEXT),
    digest_method=st.one_of(st.just(SHA256), st.sampled_from(ALGORITHMS), TEXT),
    digest_value=st.one_of(BASE64, st.sampled_from([r.digest_value for r in SEALED.references])),
    transforms=st.lists(TEXT, max_size=2).map(tuple),
)
JUNK = st.builds(
    SignatureBlock,
    in_dsig_namespace=st.booleans(),
    canonicalization=st.one_of(st.sampled_from(ALGORITHMS), TEXT),
    signature_method=st.one_of(st.sampled_from(ALGORITHMS), TEXT),
    references=st.lists(REFERENCES, max_size=5).map(tuple),
    signature_value=st.one_of(BASE64, st.just(SEALED.signature_value)),
    certificates=st.lists(
        st.one_of(
            st.sampled_from(
                [base64.b64encode(x.der).decode() for x in (LEAF, pki.cast().agency_rsa)]
            ),
            BASE64,
        ),
        max_size=3,
    ).map(tuple),
    signed_info_exclusive=st.one_of(st.just(SEALED.signed_info_exclusive), st.binary(max_size=80)),
    signed_info_inclusive=st.one_of(st.just(SEALED.signed_info_exclusive), st.binary(max_size=80)),
)


@settings(max_examples=400)
@given(JUNK)
def test_no_block_breaks_the_judge_and_none_made_without_the_key_is_valid(block):
    verdict = verify(block, HEADER, FILES)
    assert verdict.value is not Trust.VALID or block.references == SEALED.references
    assert len(verdict.references) >= len(block.references)
    assert verdict.summary()


@given(
    st.builds(
        SignedInfo,
        canonicalization=WORD,
        signature_method=WORD,
        references=st.lists(
            st.builds(
                SignatureReference,
                uri=TEXT.map(str.strip),
                digest_method=WORD,
                digest_value=BASE64,
                transforms=st.lists(WORD, max_size=3).map(tuple),
            ),
            max_size=4,
        ).map(tuple),
    )
)
def test_the_normal_form_says_exactly_the_values_it_was_made_of(info):
    said = read_signed_info(normal_form(info))
    assert said is not None
    assert same_values(said, info)


@st.composite
def damaged_certificates(draw):
    der = bytearray(draw(st.sampled_from([LEAF, pki.cast().agency_rsa])).der)
    for _ in range(draw(st.integers(1, 3))):
        der[draw(st.integers(0, len(der) - 1))] = draw(st.integers(0, 255))
    return bytes(der)


@settings(max_examples=400)
@given(damaged_certificates())
def test_no_damaged_certificate_breaks_the_judge_or_vouches_without_a_name(der):
    block = replace(SEALED, certificates=(base64.b64encode(der).decode(),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library grumbles about odd but readable ones
        verdict = verify(block, HEADER, FILES)
    if verdict.value is Trust.VALID:
        assert verdict.certificate["subject"]
        assert verdict.certificate["sha256"] == hashlib.sha256(der).hexdigest()
    else:
        assert verdict.value in {Trust.FALSE, Trust.NOT_CHECKED}
