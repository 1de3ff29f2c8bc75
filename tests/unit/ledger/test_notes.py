"""Signed notes, checkpoints and receipts: who signed what, and nothing taken for something else."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.c14n import canonical_json
from gateway.errors import Broken, Misconfigured, Untrusted
from gateway.ledger import checkpoint, keys, merkle, note, receipt, records
from gateway.ledger.receipt import ReceiptVerdict
from tests.support.ledgers import KEY, ORIGIN, START, sample_ledger, sample_record

PUBLIC = KEY.public_key()
OTHER = ec.derive_private_key(7, ec.SECP256R1())
ROOT = bytes(range(32))

# Checkpoints of the public log rekor.sigstore.dev: notes of this very kind made by other software.
REKOR_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwr
kBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==
-----END PUBLIC KEY-----
"""
REKOR_NOTES = [
    (
        "rekor.sigstore.dev - 2605736670972794746\n93750551\n"
        "KgKiXoOl8rM5d4y6Xlbm2QLftvj/FYvTs6z7dJlNO60=\n\n"
        "— rekor.sigstore.dev wNI9ajBEAiBkLzdjY8A9HReU7rmtjwZ+JpSuYtEr9SmvSwUIW7FBjgIgKo+vhkW3tqc+"
        "gc8fw9gza3xLoncA8a+MTaJYCaLGA9c=\n"
    ),
    (
        "rekor.sigstore.dev - 2605736670972794746\n64319120\n"
        "W7/06fgDSjOxApliccDgG4fKqDxExG6JO0e4FGf9gIw=\nTimestamp: 1706845443714164712\n\n"
        "— rekor.sigstore.dev wNI9ajBFAiEAnduIhP1Jjz8E0ZAP8e1x0aKqzJCtmWZyV1mRJB/PlOoCIBoeHdjeONYm"
        "xlD2Za7sU0NeK/60skNnwoelsa3m2M8z\n"
    ),
    (
        "rekor.sigstore.dev - 2605736670972794746\n21428036\n"
        "rxnoKyFZlJ7/R6bMh/d3lcqwKqAy5CL1LcNBJP17kgQ=\nTimestamp: 1688058656037355364\n\n"
        "— rekor.sigstore.dev wNI9ajBFAiEAuDk7uu5Ae8Own/MjhSZNuVzbLuYH2jBMxbSA0WaNDNACIDV4reKpYiOp"
        "kwtvazCClnpUuduF2o/th2xR3gRZAUU4\n"
    ),
]


@pytest.mark.parametrize("public_note", REKOR_NOTES)
def test_the_notes_of_a_public_log_verify_with_its_key(public_note):
    key = keys.load_public(REKOR_KEY.encode())
    assert keys.key_id(key).hex() == "c0d23d6a"
    head = checkpoint.parse_head(note.verify_note(public_note, "rekor.sigstore.dev", key))
    assert head.origin == "rekor.sigstore.dev - 2605736670972794746"
    assert head.size > 20_000_000
    with pytest.raises(Untrusted) as caught:
        note.verify_note(public_note.replace(str(head.size), "1"), "rekor.sigstore.dev", key)
    assert caught.value.code == "note.forged"


def test_a_note_is_its_text_an_empty_line_and_a_signature_line():
    signed = note.sign_note("one\ntwo\n", "log.example/x", KEY)
    text, line = signed.split("\n\n")
    assert text == "one\ntwo"
    dash, name, encoded = line.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", "log.example/x")
    assert base64.b64decode(encoded)[:4] == keys.key_id(PUBLIC)
    assert note.verify_note(signed, "log.example/x", PUBLIC) == "one\ntwo\n"


def test_the_same_text_gets_the_same_signature():
    assert note.sign_note("a\n", "n", KEY) == note.sign_note("a\n", "n", KEY)


def test_every_changed_byte_of_a_note_is_found():
    signed = note.sign_note("origin\n12\nAAAA\n", "origin", KEY).encode()
    for position in range(len(signed)):
        for flip in (0x01, 0x20, 0x80):
            spoiled = bytearray(signed)
            spoiled[position] ^= flip
            try:
                text = spoiled.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises(Untrusted):
                note.verify_note(text, "origin", PUBLIC)


def test_lines_of_other_signers_are_ignored_wherever_they_stand():
    signed = note.sign_note("a\n", "log", KEY)
    witness = note.sign_note("a\n", "witness.example/w", OTHER).split("\n\n")[1]
    assert note.verify_note(signed + witness, "log", PUBLIC) == "a\n"
    head, own = signed.split("\n\n")
    assert note.verify_note(f"{head}\n\n{witness}{own}", "log", PUBLIC) == "a\n"


def test_a_note_by_another_key_or_name_is_unsigned_to_us():
    for signed in (note.sign_note("a\n", "log", OTHER), note.sign_note("a\n", "gol", KEY)):
        with pytest.raises(Untrusted) as caught:
            note.verify_note(signed, "log", PUBLIC)
        assert caught.value.code == "note.unsigned"


SIGNED = note.sign_note("a\n", "log", KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "a\n",
        "a\n\n",
        SIGNED.removesuffix("\n"),
        SIGNED + "\n",
        SIGNED.replace("a\n", ""),
        SIGNED.replace("a\n", "a\r\n", 1),
        SIGNED.replace("a\n", "a\n\n", 1),
        SIGNED.replace("— ", "- "),
        SIGNED.replace("— log ", "—  "),
        SIGNED.replace("— log ", "— log  "),
        SIGNED.replace("— log ", "— lo+g "),
        SIGNED[:-3] + "\n",
        SIGNED + SIGNED.split("\n\n")[1] * 100,
        "x" * 70_000 + "\n\n" + SIGNED.split("\n\n")[1],
    ],
)
def test_a_malformed_note_is_refused(text):
    with pytest.raises(Untrusted) as caught:
        note.verify_note(text, "log", PUBLIC)
    assert caught.value.code in {"note.malformed", "note.forged"}


@pytest.mark.parametrize("encoded", ["AAAAAB==", "AAAAAA", "AAAAAA ==", "AAAA\nAAAA", "____"])
def test_base64_has_one_spelling(encoded):
    with pytest.raises(Untrusted):
        note.decode_base64(encoded)


@pytest.mark.parametrize(
    ("text", "name"),
    [("a", "n"), ("", "n"), ("\n", "n"), ("a\n\n", "n"), ("a\tb\n", "n"), ("\ud800\n", "n")]
    + [("a\n", name) for name in ("", "a b", "a+b", "a\u00a0b")],
)
def test_what_no_reader_would_accept_is_never_signed(text, name):
    with pytest.raises(Broken):
        note.sign_note(text, name, KEY)


def test_the_key_is_given_to_others_as_pem_and_as_vkey():
    assert keys.load_public(keys.public_pem(KEY).encode()) == PUBLIC
    text = keys.vkey(ORIGIN, KEY)
    name, hex_id, encoded = text.split("+", 2)
    assert (name, hex_id) == (ORIGIN, keys.key_id(PUBLIC).hex())
    assert base64.b64decode(encoded) == b"\x02" + keys.spki(PUBLIC)
    assert keys.parse_vkey(text + "\n") == (ORIGIN, PUBLIC)


def test_only_p256_keys_are_keys_of_a_ledger():
    unfit = [rsa.generate_private_key(65537, 2048).public_key()]
    unfit.append(ec.derive_private_key(7, ec.SECP384R1()).public_key())
    for key in unfit:
        with pytest.raises(Misconfigured):
            keys.fit(key)
    good = keys.vkey("n", KEY)
    for bad in (
        "",
        "n",
        "+".join(["n", "00000000", good.split("+", 2)[2]]),
        good + "A",
        "n+x+AQ==",
    ):
        with pytest.raises(Misconfigured):
            keys.parse_vkey(bad)
    with pytest.raises(Misconfigured):
        keys.load_public(b"not PEM")


def test_a_checkpoint_is_three_lines_signed_under_its_origin():
    made = checkpoint.make_checkpoint(ORIGIN, 1, 12, ROOT, START, KEY)
    lines = made.note.split("\n")
    assert lines[:4] == [ORIGIN, "12", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert checkpoint.parse_checkpoint(made.note, ORIGIN, PUBLIC, START) == made


def test_a_later_epoch_has_an_origin_of_its_own():
    made = checkpoint.make_checkpoint(ORIGIN, 3, 0, ROOT, START, KEY)
    assert made.note.startswith(f"{ORIGIN}/epoch/3\n0\n")
    assert checkpoint.parse_checkpoint(made.note, ORIGIN, PUBLIC, START).epoch == 3


@pytest.mark.parametrize(
    "origin",
    ["other.example", f"{ORIGIN}/epoch/1", f"{ORIGIN}/epoch/01", f"{ORIGIN}/epoch/x", f"{ORIGIN}/"],
)
def test_a_checkpoint_of_another_origin_is_refused(origin):
    made = checkpoint.make_checkpoint(origin, 1, 12, ROOT, START, KEY)
    with pytest.raises(Untrusted) as caught:
        checkpoint.parse_checkpoint(made.note, ORIGIN, PUBLIC, START)
    assert caught.value.code == "checkpoint.other_origin"


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n12\n",
        f"{ORIGIN}\n012\nAAAA\n",
        f"{ORIGIN}\n-1\nAAAA\n",
        f"{ORIGIN}\n1\nAAAA\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_of_ours_is_refused(text):
    with pytest.raises(Untrusted) as caught:
        checkpoint.parse_checkpoint(note.sign_note(text, ORIGIN, KEY), ORIGIN, PUBLIC, START)
    assert caught.value.code in {"checkpoint.malformed", "note.malformed"}


def test_a_checkpoint_that_cannot_exist_is_never_signed():
    for epoch, size, root in ((0, 1, ROOT), (1, -1, ROOT), (1, 1, b"short")):
        with pytest.raises(Broken):
            checkpoint.make_checkpoint(ORIGIN, epoch, size, root, START, KEY)


RAW = records.record_bytes(sample_record(4))
RECEIPT = receipt.make_receipt(RAW, ORIGIN, START, KEY)


def test_a_receipt_proves_the_record_its_origin_and_its_time():
    proved = receipt.verify_receipt(RECEIPT, PUBLIC)
    assert proved.origin == ORIGIN
    assert proved.at == START
    assert proved.record == sample_record(4)
    assert (proved.record_bytes, proved.leaf) == (RAW, records.leaf_hash(RAW))
    assert receipt.verify_receipt(RECEIPT + b"\n", [OTHER.public_key(), PUBLIC]) == proved


def test_a_repeated_promise_is_the_same_promise():
    assert receipt.make_receipt(RAW, ORIGIN, START, KEY) == RECEIPT
    later = receipt.make_receipt(RAW, ORIGIN, START + timedelta(microseconds=1), KEY)
    assert later != RECEIPT


def test_every_changed_byte_of_a_receipt_is_found():
    for position in range(len(RECEIPT)):
        for flip in (0x01, 0x20):
            spoiled = bytearray(RECEIPT)
            spoiled[position] ^= flip
            with pytest.raises(Untrusted):
                receipt.verify_receipt(bytes(spoiled), PUBLIC)


def test_a_receipt_for_another_record_is_refused():
    value = json.loads(RECEIPT)
    value["record"] = records.record_bytes(sample_record(5)).decode()
    with pytest.raises(Untrusted) as caught:
        receipt.verify_receipt(canonical_json(value), PUBLIC)
    assert caught.value.code == "receipt.mismatch"


def test_a_receipt_by_a_strangers_key_is_refused():
    with pytest.raises(Untrusted) as caught:
        receipt.verify_receipt(receipt.make_receipt(RAW, ORIGIN, START, OTHER), PUBLIC)
    assert caught.value.code == "note.unsigned"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"note":"","record":"","v":1}',
        b'{"note":1,"record":"","v":1}',
        RECEIPT.replace(b'"v":1', b'"v":2'),
        RECEIPT.replace(b'"v":1', b'"v": 1'),
        RECEIPT.replace(b'"v":1', b'"v":1.0'),
        RECEIPT.replace(b'"v":1', b'"v":1,"v":1'),
        RECEIPT.replace(b'"record":"', b'"record":"\\ud800'),
    ],
)
def test_what_is_not_a_receipt_is_refused(data):
    with pytest.raises(Untrusted):
        receipt.verify_receipt(data, PUBLIC)


def test_a_receipts_note_is_never_a_checkpoint_and_a_checkpoint_never_a_receipts_note():
    made = checkpoint.make_checkpoint(ORIGIN, 1, 12, ROOT, START, KEY)
    with pytest.raises(Untrusted):
        checkpoint.parse_checkpoint(json.loads(RECEIPT)["note"], ORIGIN, PUBLIC, START)
    with pytest.raises(Untrusted):
        checkpoint.parse_head(note.split_note(json.loads(RECEIPT)["note"])[0])
    value = {"v": 1, "record": RAW.decode(), "note": made.note}
    with pytest.raises(Untrusted):
        receipt.verify_receipt(canonical_json(value), PUBLIC)
    with pytest.raises(Broken):  # an origin can never be the receipts' first line
        checkpoint.make_checkpoint(receipt.DOMAIN, 1, 12, ROOT, START, KEY)


def judged(ledger, number, **changes):

    raw = records.record_bytes(sample_record(number))
    promised = receipt.verify_receipt(receipt.make_receipt(raw, ORIGIN, START, KEY), PUBLIC)
    head = ledger.checkpoints[-1]
    entry = next((e for e in ledger.entries if e.record_id == promised.record.id), None)
    seq = entry.seq if entry else 0
    known = {
        "entry": entry,
        "checkpoint": head,
        "proof": merkle.inclusion_proof(seq, head.size, ledger.read_nodes),
        "waiting": ledger.records.get(promised.record.id)
        if promised.record.id in ledger.pending
        else None,
    }
    return receipt.find_receipt(promised, **{**known, **changes})


def test_a_promise_is_found_missing_or_not_yet_sealed():
    ledger = sample_ledger()
    assert judged(ledger, 4) is ReceiptVerdict.FOUND
    assert judged(ledger, 23) is ReceiptVerdict.NOT_SEALED
    assert judged(ledger, 900) is ReceiptVerdict.MISSING
    assert [int(v) for v in ReceiptVerdict] == [0, 1, 2]


def test_a_promise_is_broken_when_something_else_stands_in_its_place():
    ledger = sample_ledger()
    other = ledger.entries[5]
    assert judged(ledger, 4, entry=other) is ReceiptVerdict.MISSING
    assert judged(ledger, 4, proof=()) is ReceiptVerdict.MISSING
    assert judged(ledger, 4, checkpoint=None) is ReceiptVerdict.MISSING
    assert judged(ledger, 4, entry=None) is ReceiptVerdict.MISSING
    altered = records.record_bytes(sample_record(24))
    assert judged(ledger, 23, waiting=altered) is ReceiptVerdict.MISSING
