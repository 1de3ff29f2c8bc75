"""C2SP tlog-cosignature, against its words: the signed text and the line built here by hand."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import Misconfigured, Untrusted
from gateway.ledger import cosignature as room
from gateway.ledger.note import split_note, verify_note
from tests.support.ledgers import KEY, ORIGIN, sample_ledger

NAME = "g22.example/witness"
SECRET = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a witness").digest())
WITNESS = room.Witness(NAME, SECRET.public_key())
RAW = SECRET.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
TIME = 1_795_000_000


def note() -> str:
    return sample_ledger().checkpoints[-1].note


def test_the_line_is_what_c2sp_says() -> None:
    text = split_note(note())[0]
    made = room.cosign(text, NAME, SECRET, TIME)
    dash, name, encoded = made.line.split(" ")
    blob = base64.b64decode(encoded)
    assert (dash, name, made.time) == ("\u2014", NAME, TIME)
    assert blob[:4] == hashlib.sha256(NAME.encode() + b"\n\x04" + RAW).digest()[:4]
    assert blob[4:12] == TIME.to_bytes(8, "big")
    signed = f"cosignature/v1\ntime {TIME}\n".encode() + text.encode()
    SECRET.public_key().verify(blob[12:], signed)


def test_the_note_is_still_the_ledgers_with_its_witness_under_it() -> None:
    made = room.cosign(split_note(note())[0], NAME, SECRET, TIME)
    whole = room.cosigned(note(), (made.line,))
    assert verify_note(whole, ORIGIN, KEY.public_key()) == split_note(note())[0]
    assert room.cosignatures_in(whole, (WITNESS,)) == (made,)
    assert room.cosignatures_in(whole, ()) == ()
    assert room.cosignatures_in(note(), (WITNESS,)) == ()


def test_a_cosignature_of_another_checkpoint_or_time_is_forged() -> None:
    checkpoints = sample_ledger().checkpoints
    made = room.cosign(split_note(checkpoints[0].note)[0], NAME, SECRET, TIME)
    blob = bytearray(base64.b64decode(made.line.split(" ")[2]))
    blob[11] ^= 1
    later = f"\u2014 {NAME} {base64.b64encode(blob).decode()}"
    short = f"\u2014 {NAME} {base64.b64encode(blob[:-1]).decode()}"
    for wrong, line in ((1, made.line), (0, later), (0, short)):
        with pytest.raises(Untrusted) as said:
            room.cosignatures_in(room.cosigned(checkpoints[wrong].note, (line,)), (WITNESS,))
        assert said.value.code == "cosignature.forged"


def test_a_vkey_is_read_back_and_anything_else_refused() -> None:
    text = room.witness_vkey(NAME, SECRET.public_key())
    assert room.parse_witness_vkey(f"{text}\n") == WITNESS
    name, mark, key = text.split("+", 2)
    ours = base64.b64encode(b"\x02" + RAW).decode()
    for wrong in (
        "",
        name,
        f"other+{mark}+{key}",
        f"{name}+00000000+{key}",
        f"{name}+{mark}+{ours}",
        f"{name}+{mark}+{key[:-8]}",
    ):
        with pytest.raises(Misconfigured) as said:
            room.parse_witness_vkey(wrong)
        assert said.value.code == "witness.key_unfit"
    with pytest.raises(Misconfigured):
        room.witness_vkey("a name", SECRET.public_key())
