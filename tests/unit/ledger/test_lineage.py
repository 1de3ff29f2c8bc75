"""What checkpoints say of those before them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from gateway.errors import Untrusted
from gateway.ledger import checkpoint, lineage, note, witness
from gateway.ledger.lineage import Known, Lineage
from tests.support.ledgers import KEY, ORIGIN, START

ROOT = bytes(range(32))
DIGEST = hashlib.sha256(b"token").digest()
LINE = base64.b64encode(DIGEST).decode()
SAID = Lineage(
    7,
    DIGEST,
    (Known("stamp", 1, 5, "", ROOT), Known("cosignature", 1, 7, "w.example/a", DIGEST)),
)


def lined(*extensions: str) -> checkpoint.Checkpoint:
    return checkpoint.make_checkpoint(ORIGIN, 1, 12, ROOT, START, KEY, extensions)


def test_what_is_said_is_signed_and_read_again() -> None:
    made = lined(*lineage.lines(SAID))
    assert lineage.read_lineage(made.note) == SAID
    assert checkpoint.parse_checkpoint(made.note, ORIGIN, KEY.public_key(), START) == made
    assert witness.read_head(made.note, ORIGIN, [KEY.public_key()]).note == made.note
    assert [one.path for one in SAID.known] == [
        "epoch/1/checkpoint/5/stamp",
        "epoch/1/checkpoint/7/witness/w.example/a",
    ]


def test_a_changed_line_is_a_forged_checkpoint() -> None:
    made = lined(*lineage.lines(SAID))
    changed = made.note.replace("previous 7", "previous 6")
    with pytest.raises(Untrusted) as caught:
        checkpoint.parse_checkpoint(changed, ORIGIN, KEY.public_key(), START)
    assert caught.value.code == "note.forged"


def test_the_first_names_nothing_and_the_next_the_note_before_it() -> None:
    assert lineage.note_before(0, "") == Lineage(0, lineage.NOTHING)
    first = lined(*lineage.lines(lineage.note_before(0, "")))
    said = lineage.note_before(first.size, first.note)
    assert said.digest == hashlib.sha256(first.note.encode()).digest()


def test_an_older_checkpoint_says_nothing_and_lines_of_others_are_passed_over() -> None:
    assert lineage.read_lineage(lined().note) is None
    other = lined("something else", f"previous 7 {LINE}", "more")
    assert lineage.read_lineage(other.note) == Lineage(7, DIGEST)


@pytest.mark.parametrize(
    "lines",
    [
        ("previous 7",),
        (f"previous 07 {LINE}",),
        ("previous 7 AAAA",),
        (f"previous 7 {LINE}", f"previous 7 {LINE}"),
        (f"stamp 1 5 {LINE}",),
        (f"previous 7 {LINE}", f"stamp 5 {LINE}"),
        (f"previous 7 {LINE}", f"cosignature 1 7 {LINE}"),
        (f"previous 7 {LINE}", f"cosignature 1 x w {LINE}"),
    ],
)
def test_what_is_said_in_another_form_is_refused(lines: tuple[str, ...]) -> None:
    text = checkpoint.checkpoint_text(ORIGIN, 1, 12, ROOT, lines)
    with pytest.raises(Untrusted):
        lineage.read_lineage(note.sign_note(text, ORIGIN, KEY))
