"""`ledger witness` as its timer runs it, against a gateway over HTTP: growth, rollback, fork."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.audit.books import verify_books
from gateway.cli import cli
from gateway.ledger import cosignature, keys
from gateway.ledger.checkpoint import make_checkpoint
from gateway.ledger.note import split_note, verify_note
from gateway.renewing import Renewing
from gateway.store import sqlite_path
from gateway.store.tables import Role
from gateway.wiring.books import open_books
from gateway.wiring.witness import open_memory
from tests.support.api import Door, door, letter
from tests.support.houses import PDF

NAME = "g22.example/witness"


@dataclass
class Watched:
    """A gateway, and a witness of its ledger with a folder of its own."""

    at: Door
    folder: Path
    vkey: Path
    state: Path
    witness: cosignature.Witness

    def run(self, *, state: Path | None = None, name: str = NAME) -> tuple[int, dict[str, Any]]:
        result = CliRunner().invoke(
            cli,
            ["ledger", "witness", "--json", "--lang", "en"],
            env={
                "EDOC_GATEWAY_URL": self.at.url,
                "EDOC_GATEWAY_KEY": self.at.key(Role.AUDITOR),
                "EDOC_WITNESS_VKEY": str(self.vkey),
                "EDOC_WITNESS_NAME": name,
                "EDOC_WITNESS_STATE": str(state or self.state),
            },
        )
        # the gateway runs in this process too, and its log lines go the same way
        answer = json.JSONDecoder().raw_decode(result.stdout, result.stdout.index("{\n"))[0]
        return result.exit_code, answer

    def grow(self, number: int) -> int:
        assert self.at.submit(letter(number=str(number)), ("12.pdf", PDF)).status == 202
        self.at.run(self.at.gateway.sealing.seal())
        return self.size()

    def size(self) -> int:
        text = split_note(self.at.get("/v1/ledger/checkpoint", Role.AUDITOR).body.decode())[0]
        return int(text.split("\n")[1])

    def cut(self, size: int) -> None:
        """The tail and all that was built on it, by somebody with the database in his hands."""
        path = sqlite_path(self.at.gateway.settings.database.url)
        assert path is not None
        with sqlite3.connect(path, timeout=60) as db:
            of = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%no_delete'"
            for (name,) in db.execute(of).fetchall():
                db.execute(f"DROP TRIGGER {name}")
            db.execute("DELETE FROM checkpoint WHERE size > ?", (size,))
            db.execute("DELETE FROM cosignature WHERE size > ?", (size,))
            db.execute("DELETE FROM entry WHERE seq >= ?", (size,))
            db.execute("DELETE FROM node WHERE ((idx + 1) << level) > ?", (size,))
        db.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with open_memory(tmp_path / "state", NAME) as memory:
        vkey = memory.vkey
    with door(tmp_path, changes={"ledger": {"witnesses": [vkey]}}) as at:
        scribe = at.gateway.scribe
        file = tmp_path / "door.vkey"
        file.write_text(keys.vkey(scribe.origin, scribe.key) + "\n")
        at.key(Role.AUDITOR)  # making it is recorded: better before than between two sizes
        made = cosignature.parse_witness_vkey(vkey)
        yield Watched(at, tmp_path, file, tmp_path / "state", made)


def test_a_ledger_that_grows_is_cosigned_and_shows_it(watched: Watched) -> None:
    assert watched.at.get("/v1/ledger/checkpoint?witnessed=true", Role.OPS).status == 404
    first = watched.grow(1)
    code, said = watched.run()
    assert (code, said["size"], said["first"]) == (0, first, True)
    grown = watched.grow(2)
    code, said = watched.run()
    assert (code, said["size"], said["first"]) == (0, grown, False)
    assert said["grown"] == grown - first
    again = watched.run()[1]
    assert (again["size"], again["grown"]) == (grown, 0), "nothing new is no fault"
    later = watched.grow(3)
    newest = watched.at.get("/v1/ledger/checkpoint", Role.OPS).body.decode()
    assert cosignature.cosignatures_in(newest, (watched.witness,)) == ()
    shown = watched.at.get("/v1/ledger/checkpoint?witnessed=true", Role.OPS).body.decode()
    (one,) = cosignature.cosignatures_in(shown, (watched.witness,))
    assert one.witness == NAME
    scribe = watched.at.gateway.scribe
    text = verify_note(shown, scribe.origin, scribe.key.public_key())
    assert int(text.split("\n")[1]) == grown < later


def database(watched: Watched) -> str:
    path = sqlite_path(watched.at.gateway.settings.database.url)
    assert path is not None
    return str(path)


def verified(watched: Watched) -> set[str]:
    settings = watched.at.gateway.settings
    with open_books(settings) as books:
        report = verify_books(
            books.store,
            books.blobs,
            origin=settings.ledger.origin,
            public_key=books.public_key,
            anchors=books.anchors,
            witnesses=books.witnesses,
        )
    return {f.code for f in report.problems}


def test_kept_cosignatures_are_part_of_what_verify_judges(watched: Watched) -> None:
    watched.grow(1)
    assert watched.run()[0] == 0
    size = watched.grow(2)
    assert watched.run()[0] == 0
    assert verified(watched) == set()
    path = database(watched)
    # the one that was kept is gone, and another stands there
    other = {"ledger.cosignature_changed", "ledger.cosignature_lost"}
    changes = {
        "signed_at = signed_at + 2000000": {"ledger.cosignature_changed"},
        "signed_at = signed_at - 2000000": set(),
        "line = replace(line, 'g22', 'g23')": other,
        "line = replace(line, 'g23', 'g22')": set(),
        "line = line || 'x'": other,
        "line = substr(line, 1, length(line) - 1)": set(),
        "witness = 'g21'": other,
        f"witness = '{NAME}'": set(),
        "size = size + 1": {"ledger.witnessed_gone", "ledger.cosignature_lost"},
    }
    with sqlite3.connect(path, timeout=60) as db:
        db.execute("DROP TRIGGER cosignature_no_update")
    for change, found in changes.items():
        with sqlite3.connect(path, timeout=60) as db:
            at = (f"UPDATE cosignature SET {change} WHERE size >= ?", (size,))
            assert db.execute(*at).rowcount == 1
        db.close()
        assert verified(watched) == found, change


def test_a_rollback_is_found_by_any_witness_and_what_convicts_is_kept(watched: Watched) -> None:
    first = watched.grow(1)
    last = watched.grow(2)
    assert watched.run()[0] == 0
    seen = {p.name: p.read_bytes() for p in watched.state.glob("*.note")}
    watched.cut(first)
    code, said = watched.run()
    assert (code, said["code"]) == (65, "witness.rollback")
    assert str(last) in said["message"]
    assert {p.name: p.read_bytes() for p in watched.state.glob("*.note")} == seen
    (kept,) = watched.state.glob("*.conviction")
    notes = kept.read_text("utf-8")
    assert notes.count(watched.at.gateway.scribe.origin) >= 4, "both notes, each with its signer"
    assert watched.run()[0] == 65, "it does not pass the second time either"
    assert list(watched.state.glob("*.conviction")) == [kept]


@pytest.mark.parametrize("more", [1, 2], ids=["same size", "larger"])
def test_a_fork_is_found_though_every_signature_holds(watched: Watched, more: int) -> None:
    first = watched.grow(1)
    watched.grow(2)
    assert watched.run()[0] == 0
    watched.cut(first)
    for number in range(more):
        watched.grow(70 + number)
    code, said = watched.run()
    assert (code, said["code"]) == (65, "witness.fork")
    fresh = watched.run(state=watched.folder / "other", name="other.example/witness")
    assert fresh[1]["code"] == "cosignature.stranger", "one that never saw it cannot know"


def test_a_change_of_key_is_followed_because_the_old_key_vouches(watched: Watched) -> None:
    watched.grow(1)
    assert watched.run()[0] == 0
    gateway = watched.at.gateway
    for number in (2, 3):
        new = ec.generate_private_key(ec.SECP256R1())
        watched.at.run(Renewing(gateway.store, gateway.scribe).change_key(new))
        gateway.scribe.key = new
        size = watched.grow(number)
        code, said = watched.run()
        assert (code, said["size"]) == (0, size)
    assert watched.run()[0] == 0, "it remembers the keys that it was led to"
    stranger = ec.generate_private_key(ec.SECP256R1())
    gateway.scribe.key = stranger
    at = gateway.scribe.now()
    text = split_note(watched.at.get("/v1/ledger/checkpoint", Role.OPS).body.decode())[0]
    root = base64.b64decode(text.split("\n")[2])
    forged = make_checkpoint(gateway.scribe.origin, 1, watched.size(), root, at, stranger)
    with sqlite3.connect(database(watched), timeout=60) as db:
        db.execute("DROP TRIGGER checkpoint_no_update")
        db.execute("UPDATE checkpoint SET note = ? WHERE size = ?", (forged.note, forged.size))
    db.close()
    code, said = watched.run()
    assert (code, said["code"]) == (65, "note.unsigned")


@pytest.mark.parametrize("named", [True, False])
def test_a_tree_after_a_restore_names_what_was_seen_or_is_not_cosigned(
    watched: Watched, named: bool
) -> None:
    first = watched.grow(1)
    watched.grow(2)
    assert watched.run()[0] == 0
    gateway = watched.at.gateway
    (seen,) = watched.state.glob("*.note")
    watched.cut(first)  # the backup is older than what the witness saw
    heads = [seen.read_text("utf-8")] if named else []
    watched.at.run(Renewing(gateway.store, gateway.scribe).begin_epoch(heads))
    watched.grow(3)
    code, said = watched.run()
    if named:
        assert (code, said["epoch"]) == (0, 2)
        watched.grow(4)
        assert watched.run()[1]["epoch"] == 2
    else:
        assert (code, said["code"]) == (65, "witness.epoch")
        assert len(list(watched.state.glob("*.conviction"))) == 1


def test_a_tree_after_a_restore_that_lost_nothing_is_cosigned(watched: Watched) -> None:
    watched.grow(1)
    assert watched.run()[0] == 0
    watched.grow(2)
    gateway = watched.at.gateway
    watched.at.run(Renewing(gateway.store, gateway.scribe).begin_epoch([]))
    watched.at.run(Renewing(gateway.store, gateway.scribe).begin_epoch([]))
    code, said = watched.run()
    assert (code, said["epoch"], said["size"]) == (0, 3, 1)


def test_what_is_handed_in_is_judged(watched: Watched) -> None:
    watched.grow(1)
    assert watched.run()[0] == 0
    shown = watched.at.get("/v1/ledger/checkpoint?witnessed=true", Role.AUDITOR).body.decode()
    text = split_note(shown)[0]
    with open_memory(watched.state, NAME) as memory:
        old = cosignature.cosign(text, NAME, memory.key, 1)
        other_text = text.replace("\n", "-other\n", 1)
        now = cosignature.cosignatures_in(shown, (watched.witness,))[0].time
        other = cosignature.cosign(other_text, NAME, memory.key, now)
    own = shown.split("\n\n")[1].split("\n")[0]
    cases = {
        "note.malformed": "no note",
        "cosignature.stranger": f"{text}\n{own}\n",
        "cosignature.time": f"{text}\n{own}\n{old.line}\n",
        "cosignature.other_checkpoint": f"{other_text}\n{other.line}\n",
        "cosignature.forged": f"{text}\n{other.line}\n",
    }
    for code, note in cases.items():
        answer = watched.at.post_json("/v1/ledger/cosignatures", Role.AUDITOR, {"note": note})
        assert (answer.status, answer.code) == (422, code)
    kept = watched.at.post_json("/v1/ledger/cosignatures", Role.AUDITOR, {"note": shown})
    assert kept.json()["witnesses"] == [NAME], "the same again changes nothing"
    assert watched.at.post_json("/v1/ledger/cosignatures", Role.OPS, {"note": shown}).status == 403


def test_a_witness_that_is_misused_says_so(watched: Watched) -> None:
    watched.grow(1)
    with open_memory(watched.state, NAME):
        assert (watched.run()[0], watched.run()[1]["code"]) == (78, "witness.busy")
    text = watched.vkey.read_text()
    watched.vkey.write_text(text + text.replace("door", "dour", 1))
    assert watched.run()[0] == 78
    (watched.state / "witness.key").chmod(0o644)
    watched.vkey.write_text(text)
    assert watched.run()[1]["code"] == "key.readable_by_others"
