"""The demo: two documents, both ways, over an axis that fails on purpose, and the proof at the end.

In:     an empty folder, or none (then a temporary one).
Out:    what happened, as tables of people's words or as the JSON of contract 5; 0 when all held.
Fails:  70 when something did not hold; by family when the sandbox cannot come up.
Never:  looks behind the doors: what is told here was asked over REST, is what `ledger verify`
        says, or stands in the receiver's own ledger. The faults alone are set on the simulated
        axis directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cli import demo_files
from gateway.cli.answers import INTERRUPTED, say, say_json
from gateway.cli.client import Client, quoted
from gateway.cli.places import packaged_conf
from gateway.errors import Broken, Text
from gateway.promise import VIETNAM, local_time

if TYPE_CHECKING:
    from gateway.wiring.sandbox import Member, Sandbox

T = TypeVar("T")
Json = dict[str, Any]
FAILED, TERMINATED = 70, 143
PATIENCE = 40.0  # seconds a step may take before the demo says that it failed
LOOK_AGAIN = 0.1
NAMES = {
    "H14.19": "Sở mẫu số 19, tỉnh Cao Bằng (đơn vị mẫu)",
    "G22": "Văn phòng Chính phủ",
}


def main(directory: Path | None, *, lang: str, serve: bool, keep: bool, as_json: bool) -> int:
    """The exit code. Ctrl-C and SIGTERM end everything that was started."""
    folder = directory or Path(tempfile.mkdtemp(prefix="edoc-sandbox-"))
    ended: list[signal.Signals] = []
    try:
        return asyncio.run(_main(folder, ended, lang=lang, serve=serve, as_json=as_json))
    except asyncio.CancelledError:
        if signal.SIGTERM in ended:
            return TERMINATED
        return 0 if serve else INTERRUPTED  # Ctrl-C is how a served sandbox ends
    finally:
        if directory is None and not keep:
            shutil.rmtree(folder, ignore_errors=True)


async def _main(
    folder: Path, ended: list[signal.Signals], *, lang: str, serve: bool, as_json: bool
) -> int:
    from gateway.wiring.sandbox import open_sandbox

    running, loop = asyncio.current_task(), asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        ended.append(number)
        if running is not None and len(ended) == 1:  # a second one must not disturb the clearing up
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    tell = _Teller(lang, silent=as_json)
    tell("Đang dựng hai gateway, trục mô phỏng và dịch vụ dấu thời gian", "building the sandbox")
    async with open_sandbox(folder, packaged_conf()) as sandbox:
        if serve:
            from gateway.cli.demo_page import serving_page

            _lay_out(sandbox)
            say(serving_page(sandbox, lang))
            await asyncio.Event().wait()
        story = Story(sandbox, lang, tell)
        documents = [await story.first(), await story.second()]
        ledgers = await story.verify()
    result = story.result(documents, ledgers)
    if as_json:
        say_json(result)
    else:
        from gateway.cli.demo_page import print_result

        print_result(result, lang)
    return 0 if result["ok"] else FAILED


class _Teller:
    """Says each step with the seconds since the start, to people only."""

    def __init__(self, lang: str, *, silent: bool) -> None:
        self.lang = lang
        self.silent = silent and not sys.stderr.isatty()
        self.to_stderr = silent
        self.started = time.monotonic()

    def __call__(self, vi: str, en: str) -> None:
        if not self.silent:
            words = vi if self.lang == "vi" else en
            line = f"{time.monotonic() - self.started:5.1f} s  {words}"
            print(line, file=sys.stderr if self.to_stderr else sys.stdout, flush=True)


@dataclass(frozen=True, slots=True)
class Letter:
    """One document of the demo and its files (name, content)."""

    sender: Member
    receiver: Member
    place: str
    number: str
    notation: str
    subject: str
    files: tuple[tuple[str, bytes], ...]

    def metadata(self, now: datetime) -> Json:
        """Contract 5, with what decision 28/2018 article 10 asks for."""
        today = now.astimezone(VIETNAM).date().isoformat()
        return {
            "from": {
                "organ_id": self.sender.side.code102,
                "name": NAMES[self.sender.side.code],
            },
            "to": [
                {
                    "organ_id": self.receiver.side.code102,
                    "name": NAMES[self.receiver.side.code],
                }
            ],
            "code": {"number": self.number, "notation": self.notation},
            "promulgation": {"place": self.place, "date": today},
            "document_type": {"type": 2, "type_detail": 18, "name": "Công văn"},
            "subject": self.subject,
            "signer": {"position": "Chức vụ mẫu", "full_name": "Người ký mẫu"},
            "other": {"priority": 0, "copies": 1, "pages": 1},
            "released_at": local_time(now),
        }


@dataclass(slots=True)
class Story:
    sandbox: Sandbox
    lang: str
    tell: Callable[[str, str], None]
    receipts: list[tuple[Member, Path]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    # -- the two documents -----------------------------------------------------------------------

    async def first(self) -> Json:
        """From the department to the Government Office, on a good day."""
        box = self.sandbox
        letter = _from_department(box)
        return await self._carry(letter, self._nothing)

    async def second(self) -> Json:
        """The other way, while the axis refuses connections and then drops one after receiving."""
        box = self.sandbox
        await box.axis.refuse_connections()
        self.tell("Trục từ chối mọi kết nối", "the axis now refuses every connection")
        letter = _letter(
            box.ministry, box.department, "Hà Nội", "345/VPCP-KSTT", "góp ý báo cáo quý"
        )
        told = await self._carry(letter, self._trouble)
        outcomes = [r["outcome"] for r in told["records"] if r["event"] == "attempt.ended"]
        doubt = outcomes.index("uncertain") if "uncertain" in outcomes else len(outcomes)
        self._must("deferred" in outcomes[:doubt], "no deferred attempt before the doubt")
        self._must("delivered" in outcomes[doubt:], "no repeat after the doubt")
        return told

    async def _nothing(self, sender: Client, answer: Json) -> None:
        del sender, answer

    async def _trouble(self, sender: Client, answer: Json) -> None:
        axis = self.sandbox.axis
        await self._until(sender, answer, lambda seen: "deferred" in seen, "a deferred attempt")
        self.tell("Gateway chờ và sẽ thử lại", "the gateway waits and will try again")
        axis.faults.add("drop_after", "sendEdoc", times=1)
        await axis.accept_connections()
        await self._until(sender, answer, lambda seen: "uncertain" in seen, "an uncertain attempt")
        self.tell(
            "Trục nhận xong rồi cắt kết nối: KHÔNG RÕ kết quả, gửi lại đúng các byte đó",
            "the axis took it and cut the line: UNCERTAIN, the same bytes will go again",
        )
        await self._until(sender, answer, lambda seen: "delivered" in seen, "a delivered attempt")

    async def _carry(
        self, letter: Letter, trouble: Callable[[Client, Json], Awaitable[None]]
    ) -> Json:
        """Everything that two unit systems do for one document."""
        sender, receiver = self._client(letter.sender), self._client(letter.receiver)
        answer = await self._send(letter, sender)
        await trouble(sender, answer)
        item = await self._receive(letter, receiver, answer["document_id"])
        path = f"/v1/inbox/{quoted(item['id'])}"
        document = await self._seen(sender, answer["id"], "01")
        for code, words in (("03", "Đã tiếp nhận"), ("06", "Đã hoàn thành")):
            await _ask(receiver.post, f"{path}/status", {"code": code, "description": words})
            document = await self._seen(sender, answer["id"], code)
            self.tell(
                f"{letter.receiver.side.code} báo {code}, nơi gửi đã thấy",
                f"{letter.receiver.side.code} reported {code}, the sender has seen it",
            )
        await self._look_at_statuses(sender, letter.sender.side.code)
        records = await self._wait(
            lambda: _ask(sender.get, f"/v1/documents/{quoted(answer['id'])}/history"),
            lambda found: all(r["stamped_at"] for r in found["records"]),
            "every record sealed and stamped",
        )
        own = await self._wait(
            lambda: asyncio.to_thread(_books_about, letter.receiver, item["id"]),
            lambda found: bool(found) and all(r["stamped_at"] for r in found),
            "every record of the receiver sealed and stamped",
        )
        self.tell("Mọi bản ghi đã niêm phong và đóng dấu", "every record is sealed and stamped")
        told = _told(letter, answer, document, records["records"], item)
        told["evidence"] = str(await self._prove(letter, sender, answer["id"]))
        return {**told, "received_records": [_entry(r) for r in own]}

    async def _send(self, letter: Letter, sender: Client) -> Json:
        folder = self.sandbox.folder / "sent" / letter.sender.side.folder
        folder.mkdir(parents=True)
        paths = []
        for name, content in letter.files:
            (folder / name).write_bytes(content)
            paths.append((name, folder / name))
        now = datetime.fromtimestamp(time.time(), VIETNAM)
        raw = json.dumps(letter.metadata(now), ensure_ascii=False).encode()
        key = f"demo-{letter.number}"
        answer: Json = await _ask(sender.send_document, raw, paths, key)
        again = await _ask(sender.send_document, raw, paths, key)
        self._must(again == answer, "the same request got another answer")
        self.receipts.append(_kept(letter.sender, folder / "receipt.json", answer["receipt"]))
        self.tell(
            f"{letter.sender.side.code} gửi {answer['document_id']}, có biên nhận",
            f"{letter.sender.side.code} sent {answer['document_id']} and holds a receipt",
        )
        return answer

    async def _receive(self, letter: Letter, receiver: Client, document_id: str) -> Json:
        """Poll, lease, fetch, compare every byte, confirm."""
        inbox = await self._wait(
            lambda: _ask(receiver.get, "/v1/inbox", kind="document", wait=10),
            lambda found: any(i["document_id"] == document_id for i in found["items"]),
            "the document in the receiver's inbox",
        )
        item = next(i for i in inbox["items"] if i["document_id"] == document_id)
        path = f"/v1/inbox/{quoted(item['id'])}"
        await _ask(receiver.post, f"{path}/lease")
        self.tell(
            f"{letter.receiver.side.code} thấy văn bản trong hộp đến và giữ lấy",
            f"{letter.receiver.side.code} found it in its inbox and leased it",
        )
        folder = self.sandbox.folder / "received" / letter.receiver.side.folder
        folder.mkdir(parents=True)
        await _ask(
            receiver.download,
            f"{path}/package",
            folder / "package.edxml",
            item["package"]["sha256"],
        )
        for number, (fact, (name, content)) in enumerate(
            zip(item["attachments"], letter.files, strict=True)
        ):
            digest = hashlib.sha256(content).hexdigest()
            self._must((fact["name"], fact["sha256"]) == (name, digest), f"{name} was changed")
            await _ask(receiver.download, f"{path}/attachments/{number}", folder / name, digest)
        self._must(item["signature"]["verdict"] == "valid", "the signature does not hold")
        self.tell(
            "Tải về: mọi tệp đúng từng byte, chữ ký đúng",
            "fetched: every byte is the same, the signature is right",
        )
        confirmed = await _ask(receiver.post, f"{path}/confirm")
        receipt = folder / "receipt.json"
        self.receipts.append(_kept(letter.receiver, receipt, confirmed["receipt"]))
        self.tell(
            "Xác nhận đã vào Hệ thống: thời điểm nhận hợp pháp; 01 đi về",
            "confirmed that it entered the System: the legal moment; 01 goes back",
        )
        found: Json = await _ask(receiver.get, path)
        return found

    async def _prove(self, letter: Letter, sender: Client, ref: str) -> Path:
        """The sender takes the evidence home, and judges it there with the anchors alone."""
        file = self.sandbox.folder / "sent" / letter.sender.side.folder / "evidence.asice"
        anchors = str(self.sandbox.anchors)

        async def take_and_judge() -> int:
            file.unlink(missing_ok=True)
            await _ask(sender.download, f"/v1/documents/{quoted(ref)}/evidence", file)
            code, _ = await _command_of("evidence", "verify", str(file), "--anchors", anchors)
            return code

        # undecided (2) until a stamp covers the newest record too
        wanted = "evidence with all its stamps"
        code = await self._wait(take_and_judge, lambda code: code != 2, wanted)
        self._must(code == 0, f"the evidence of {letter.sender.side.folder}")
        self.tell(
            "Hồ sơ bằng chứng (ASiC-E) đã tải về và tự chứng minh, không cần gateway",
            "its evidence (ASiC-E) was taken home and proves itself without the gateway",
        )
        return file

    async def _seen(self, sender: Client, ref: str, code: str) -> Json:
        """The document as its sender sees it, once every receiver has reported `code`."""

        def done(found: Json) -> bool:
            return all(
                code in [s["code"] for s in r["statuses"]]
                for t in found["transfers"]
                for r in t["recipients"]
            )

        path = f"/v1/documents/{quoted(ref)}"
        return await self._wait(lambda: _ask(sender.get, path), done, f"status {code}")

    async def _look_at_statuses(self, sender: Client, agency: str) -> None:
        listed = await _ask(sender.get, "/v1/inbox", kind="status", agency=agency)
        for item in listed["items"]:
            await _ask(sender.post, f"/v1/inbox/{quoted(item['id'])}/confirm")

    # -- the proof -------------------------------------------------------------------------------

    async def verify(self) -> list[Json]:
        """Both ledgers and every receipt, by the command that anybody may run."""
        members = self.sandbox.members
        reports = await asyncio.gather(*(_verify(m) for m in members))
        for member, path in self.receipts:
            found = await asyncio.to_thread(_look_for, member, path)
            self._must(found, f"the receipt of {member.side.folder} is not kept")
        ledgers = []
        for member, (code, text) in zip(members, reports, strict=True):
            said = json.loads(text)
            self._must(code == 0 and said["verified"], f"the ledger of {member.side.folder}")
            ledgers.append(
                {
                    "gateway": said["gateway"],
                    "entries": said["entries"],
                    "checkpoint": said["checkpoint"],
                    "verified": said["verified"],
                    "stamped_until": said["stamped_until"],
                }
            )
        self.tell(
            "Hai sổ cái và bốn biên nhận đã được kiểm tra lại từ đầu",
            "both ledgers and four receipts were checked from the beginning",
        )
        return ledgers

    def result(self, documents: Sequence[Json], ledgers: Sequence[Json]) -> Json:
        """The object of contract 5; added: names, attempts, `problems`."""
        for told in documents:
            for recipient in told["recipients"]:
                whole = recipient["states"][-1] == "FINISHED" and recipient["entered_at"]
                self._must(bool(whole), f"{told['document_id']} is not finished")
        return {
            "ok": not self.problems,
            "documents": list(documents),
            "ledgers": list(ledgers),
            "anchors": str(self.sandbox.anchors),
            "problems": list(self.problems),
        }

    def _must(self, held: bool, what: str) -> None:
        if not held:
            self.problems.append(what)

    # -- asking ----------------------------------------------------------------------------------

    def _client(self, member: Member) -> Client:
        return Client(member.url, member.unit_key, self.lang)

    async def _until(
        self, sender: Client, answer: Json, holds: Callable[[list[str]], bool], what: str
    ) -> None:
        path = f"/v1/documents/{quoted(answer['id'])}/history"
        await self._wait(
            lambda: _ask(sender.get, path),
            lambda found: holds([_outcome(r) for r in found["records"]]),
            what,
        )

    async def _wait(
        self, look: Callable[[], Awaitable[T]], holds: Callable[[T], bool], what: str
    ) -> T:
        """Ask until it holds. Broken (`demo.timeout`) names what never came."""
        end = time.monotonic() + PATIENCE
        while True:
            found = await look()
            if holds(found):
                return found
            if time.monotonic() > end:
                raise Broken(
                    Text(f"Chờ mãi không thấy: {what}", f"never came: {what}"), "demo.timeout"
                )
            await asyncio.sleep(LOOK_AGAIN)


def _from_department(box: Sandbox) -> Letter:
    return _letter(box.department, box.ministry, "Cao Bằng", "12/SM19-VP", "báo cáo kết quả quý")


def _letter(sender: Member, receiver: Member, place: str, code: str, about: str) -> Letter:
    number, _, notation = code.partition("/")
    lines = (
        f"No. {code}",
        f"From {sender.side.code102} to {receiver.side.code102}",
        "A sample document of the edoc gateway's demo. It has no legal value.",
    )
    rows = (("Chỉ tiêu", "Số liệu"), ("Văn bản đi", 128), ("Văn bản đến", 256))
    return Letter(
        sender,
        receiver,
        place,
        number,
        notation,
        f"V/v {about} (văn bản mẫu)",
        (
            ("cong-van.pdf", demo_files.pdf(f"Công văn {code}", lines)),
            ("phụ lục số liệu.xlsx", demo_files.xlsx("Số liệu", rows)),
        ),
    )


async def _ask(call: Callable[..., Any], *args: Any, **query: Any) -> Any:
    return await asyncio.to_thread(lambda: call(*args, **query))


async def _verify(member: Member) -> tuple[int, str]:
    """`ledger verify --json` in a process of its own: exit code and answer."""
    return await _command_of("ledger", "verify", "--json", "--conf", str(member.conf))


async def _command_of(*words: str) -> tuple[int, str]:
    """One command of ours in a process of its own: exit code and what it said."""
    from gateway.wiring.sandbox import environment

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, out.decode()


def _books_about(member: Member, item_id: str) -> list[Json]:
    """What the receiver's own ledger says about an arrival: received, opened, fetched, entered."""
    from gateway import config
    from gateway.shapes import records_json
    from gateway.store import Tx, inbox, ledger
    from gateway.wiring.books import open_books

    def look(tx: Tx) -> list[Json]:
        item = inbox.by_id(tx, item_id)
        return records_json(tx, ledger.of_arrival(tx, item.arrival_id)) if item else []

    with open_books(config.load(member.conf)) as books:
        return books.store.read_sync(look)


def _look_for(member: Member, receipt: Path) -> bool:
    """What `ledger verify --receipt` asks: is what was promised in the tree?"""
    from gateway import config
    from gateway.audit import books
    from gateway.ledger.receipt import ReceiptVerdict
    from gateway.wiring.books import open_books

    settings = config.load(member.conf)
    with open_books(settings) as opened:
        verdict, _ = books.look_for(
            opened.store,
            receipt.read_bytes(),
            origin=settings.ledger.origin,
            public_key=opened.public_key,
        )
    return verdict is ReceiptVerdict.FOUND


def _kept(member: Member, path: Path, receipt: Any) -> tuple[Member, Path]:
    from gateway.cli.unit import keep_receipt

    keep_receipt(path, receipt)
    return member, path


def _lay_out(sandbox: Sandbox) -> None:
    """Files to try with, and the addresses and keys as a script to source."""
    letter = _from_department(sandbox)
    now = datetime.fromtimestamp(time.time(), VIETNAM)
    raw = json.dumps(letter.metadata(now), ensure_ascii=False, indent=2)
    (sandbox.folder / "metadata.json").write_text(raw + "\n", "utf-8")
    for name, content in letter.files:
        (sandbox.folder / name).write_bytes(content)
    program = _command(sandbox.folder / "bin")
    lines = [f'export PATH={shlex.quote(str(program.parent))}:"$PATH"']
    for member, prefix in ((sandbox.department, "H14"), (sandbox.ministry, "G22")):
        lines += [
            f"export {prefix}_URL='{member.url}'",
            f"export {prefix}_KEY='{member.unit_key}'",
            f"export {prefix}_OPS='{member.ops_key}'",
            f"export {prefix}_CONF='{member.conf}'",
        ]
    script = sandbox.folder / "env.sh"
    with os.fdopen(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write("\n".join(lines) + "\n")


def _command(folder: Path) -> Path:
    """`edoc-gateway` as a program of the sandbox: a checkout need not be installed."""
    from gateway.wiring.sandbox import environment

    folder.mkdir(mode=0o700)
    made = folder / "edoc-gateway"
    home = shlex.quote(environment()["PYTHONPATH"])
    made.write_text(
        "#!/bin/sh\n# this sandbox's own program\n"
        f'PYTHONPATH={home} exec {shlex.quote(sys.executable)} -m gateway "$@"\n',
        "utf-8",
    )
    made.chmod(0o700)
    return made


# -- what is told ----------------------------------------------------------------------------------


def _entry(row: Mapping[str, Any]) -> Json:
    """A record's place and time; never its content."""
    kept = ("seq", "event", "at", "sealed", "stamped_at", "stamped_by")
    return {name: row[name] for name in kept}


def _outcome(record: Mapping[str, Any]) -> str:
    return str(record["record"].get("facts", {}).get("outcome", ""))


def _told(
    letter: Letter, answer: Json, document: Json, records: Sequence[Json], item: Json
) -> Json:
    codes = {  # item -> the status that it brought: what was fetched or seen later is that one
        row["record"]["about"].get("item"): row["record"]["facts"].get("status_code")
        for row in records
        if row["event"] == "item.available"
    }
    kept = ("outcome", "code", "attempt", "state", "recipient", "status_code", "axis")
    shown = []
    for row in records:
        facts = row["record"].get("facts", {})
        code = codes.get(row["record"]["about"].get("item"))
        named = {name: facts[name] for name in kept if name in facts}
        shown.append({**_entry(row), **({"status_code": code} if code else {}), **named})
    return {
        "id": document["id"],
        "document_id": document["document_id"],
        "subject": document["subject"],
        "from": document["from"],
        "from_name": NAMES[letter.sender.side.code],
        "to": [r["agency"] for t in document["transfers"] for r in t["recipients"]],
        "to_names": [NAMES[letter.receiver.side.code]],
        "axis": [t["axis"] for t in document["transfers"]],
        "attachments": document["files"],
        "recipients": [
            {
                "agency": r["agency"],
                "axis": t["axis"],
                "states": _states(shown, r["agency"]),
                "status_code": r["status_code"],
                "on_axis_at": r["on_axis_at"],
                "entered_at": r["entered_at"],
                "sources": r["sources"],
            }
            for t in document["transfers"]
            for r in t["recipients"]
        ],
        "instants": document["instants"],
        "received": item["instants"],
        "accepted_at": answer["accepted_at"],
        "records": shown,
        "evidence": None,
    }


def _states(records: Sequence[Mapping[str, Any]], agency: str) -> list[str]:
    """Every state the recipient was in, in order, as the ledger has them."""
    states = ["PENDING"]
    for record in records:
        moved = record["event"] == "recipient.moved" and record.get("recipient") == agency.upper()
        on_axis = record["event"] == "attempt.ended" and record.get("state") == "ON_AXIS"
        state = record.get("state", "") if moved else "ON_AXIS" if on_axis else ""
        if state and state != states[-1]:
            states.append(state)
    return states
