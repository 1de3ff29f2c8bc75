"""The bytes that were promised: written again, read again, and checked without our own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime
from pathlib import Path

import pytest
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.ledger import checkpoint, keys, lineage, merkle, receipt, records, stamp
from gateway.ledger.stamp import ChainVerdict
from gateway.model.record import Record
from tests.support import rfc9162

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "ledger-format.md"
PROMISED = {
    "v1.json": "8b52899802b36e52189f3b9fb28a69f26321f250e362d694751dfb621640d199",
    "v1-lineage.json": "de0a279b6432f4e4b19032f5768641c6f83d5ddb019ff62caadf00fd34183f1e",
}
V1 = json.loads((HERE / "v1.json").read_bytes())
LINEAGE = json.loads((HERE / "v1-lineage.json").read_bytes())
KEY = ec.derive_private_key(int(V1["key"]["private_scalar"], 16), ec.SECP256R1())
LEAVES = [bytes.fromhex(r["leaf"]) for r in V1["records"]]


def at(text):
    return datetime.fromisoformat(text)


def record_of(vector):
    return Record(
        id=vector["id"],
        event=vector["event"],
        at=at(vector["at"]),
        salt=vector["salt"],
        about=vector["about"],
        facts=vector["facts"],
    )


def test_promised_files_are_added_and_never_edited():
    held = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in HERE.glob("*.json")}
    assert held == PROMISED


@pytest.mark.parametrize("vector", V1["records"], ids=lambda v: ascii(v["id"]))
def test_a_record_has_the_promised_bytes_and_leaf(vector):
    data = vector["bytes"].encode()
    record = record_of(vector)
    assert records.record_bytes(record) == data
    assert records.parse_record(data) == record
    assert rfc8785.dumps(json.loads(data)) == data
    assert records.leaf_hash(data).hex() == vector["leaf"]
    assert hashlib.sha256(b"\x00" + data).hexdigest() == vector["leaf"]
    assert list(records.named_blobs(record)) == vector["named_blobs"]


@pytest.mark.parametrize("vector", V1["salted"], ids=lambda v: v["field"])
def test_a_personal_field_has_the_promised_digest(vector):
    salt, field, value = vector["salt"], vector["field"], vector["value"]
    assert records.salted(salt, field, value) == vector["digest"]
    message = b"edoc-gateway/salted/v1\0" + field.encode() + b"\0" + value.encode()
    assert hmac.new(bytes.fromhex(salt), message, "sha256").hexdigest() == vector["digest"]


def test_the_tree_has_the_promised_nodes_roots_and_proofs():
    tree = V1["tree"]
    done = merkle.append(LEAVES, 0, lambda _: {})
    assert [[n.level, n.idx, n.hash.hex()] for n in done.nodes] == tree["nodes"]
    stored = {(n.level, n.idx): n.hash for n in done.nodes}
    stored |= {(0, i): leaf for i, leaf in enumerate(LEAVES)}

    def read(coordinates):
        return {c: stored[c] for c in coordinates}

    for size, root in enumerate(tree["roots"]):
        assert merkle.root(size, read).hex() == root == rfc9162.mth(LEAVES[:size]).hex()
    for vector in tree["inclusion"]:
        seq, size = vector["seq"], vector["size"]
        proof = [h.hex() for h in merkle.inclusion_proof(seq, size, read)]
        assert proof == vector["proof"] == [h.hex() for h in rfc9162.path(seq, LEAVES[:size])]
    for vector in tree["consistency"]:
        old, new = vector["old"], vector["new"]
        proof = [h.hex() for h in merkle.consistency_proof(old, new, read)]
        assert proof == vector["proof"] == [h.hex() for h in rfc9162.proof(old, LEAVES[:new])]


def test_the_key_is_given_out_in_the_promised_forms():
    promised = V1["key"]
    assert keys.public_pem(KEY) == promised["public_pem"]
    assert keys.key_id(KEY.public_key()).hex() == promised["key_id"]
    assert keys.vkey(V1["origin"], KEY) == promised["vkey"]


@pytest.mark.parametrize("vector", V1["checkpoints"], ids=lambda v: f"{v['epoch']}-{v['size']}")
def test_a_checkpoint_is_the_promised_note(vector):
    root = bytes.fromhex(vector["root"])
    when = at(V1["receipt"]["at"])
    made = checkpoint.make_checkpoint(
        V1["origin"], vector["epoch"], vector["size"], root, when, KEY
    )
    assert made.note == vector["note"]
    public = KEY.public_key()
    assert checkpoint.parse_checkpoint(vector["note"], V1["origin"], public, when) == made


@pytest.mark.parametrize("vector", LINEAGE["checkpoints"], ids=lambda v: f"{v['epoch']}")
def test_a_checkpoint_that_names_those_before_it_is_the_promised_note(vector):
    known = [lineage.Known(*words, bytes.fromhex(digest)) for *words, digest in vector["known"]]
    said = lineage.note_before(vector["before"]["size"], vector["before"]["note"], known)
    made = checkpoint.make_checkpoint(
        V1["origin"],
        vector["epoch"],
        vector["size"],
        bytes.fromhex(LINEAGE["root"]),
        at(V1["receipt"]["at"]),
        KEY,
        lineage.lines(said),
    )
    assert made.note == vector["note"]
    assert lineage.read_lineage(vector["note"]) == said


def test_a_receipt_is_the_promised_bytes():
    promised = V1["receipt"]
    raw = V1["records"][promised["record"]]["bytes"].encode()
    made = receipt.make_receipt(raw, V1["origin"], at(promised["at"]), KEY)
    assert made == promised["bytes"].encode()
    proved = receipt.verify_receipt(made, KEY.public_key())
    assert (proved.record_bytes, proved.at) == (raw, at(promised["at"]))


def test_a_promised_stamp_still_verifies():
    promised = V1["stamp"]
    note = V1["checkpoints"][promised["checkpoint"]]["note"]
    anchor = x509.load_pem_x509_certificate(promised["anchor"].encode())
    facts = stamp.verify_stamp(base64.b64decode(promised["token"]), note, [anchor])
    assert stamp.note_digest(note).hex() == promised["digest"]
    assert facts.chain is ChainVerdict.TRUSTED
    assert facts.gen_time == at(promised["gen_time"])
    assert (facts.policy, facts.serial) == (promised["policy"], promised["serial"])
    assert facts.authority == promised["authority"]


def test_the_document_for_auditors_shows_the_promised_vectors():
    blocks = re.findall(r"```text\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    shown = "\n".join(blocks)
    for vector in V1["records"][:3]:
        assert vector["bytes"] in shown
        assert vector["leaf"] in shown
    for root in V1["tree"]["roots"][:4]:
        assert root in shown
    assert V1["checkpoints"][0]["note"] in shown
    assert LINEAGE["checkpoints"][1]["note"] in shown
    assert V1["receipt"]["bytes"] in shown
    assert V1["key"]["public_pem"] in shown
    assert V1["key"]["vkey"] in shown
    assert V1["salted"][0]["digest"] in shown
