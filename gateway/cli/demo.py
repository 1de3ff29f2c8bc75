"""The demo: four documents over two axes, one of which fails on purpose, and the proof at the end.

In:     an empty folder, or none (then a temporary one).
Out:    what happened, as tables of people's words or as the JSON of contract 5; 0 when all held.
Fails:  70 when something did not hold; by family when the sandbox cannot come up.
Never:  looks behind the doors: what is told here was asked over REST, is what `ledger verify`
        says, or stands in a receiver's own ledger. The faults alone are set on the simulated axis
        directly.
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
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cli import demo_files
from gateway.cli.answers import INTERRUPTED, say, say_json
from gateway.cli.client import Client, quoted
from gateway.cli.demo_told import entry_of, outcome_of, told_of
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
    "H14.20": "Sở mẫu số 20, tỉnh Cao Bằng (đơn vị mẫu)",
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
    tell("Đang dựng ba gateway, hai trục mô phỏng và dịch vụ dấu thời gian", "building the sandbox")
    async with open_sandbox(folder, packaged_conf()) as sandbox:
        if serve:
            from gateway.cli.demo_page import serving_page

            _lay_out(sandbox)
            say(serving_page(sandbox, prefixes(sandbox), lang))
            await asyncio.Event().wait()
        story = Story(sandbox, lang, tell)
        carried = [
            await story.first(),
            await story.second(),
            await story.third(),
            await story.fourth(),
        ]
        documents = await story.prove(carried)
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
    """One document of the demo and its files (name, content). `mark`: of its folders, where others
    of the same sender or receivers lie beside it.
    """

    sender: Member
    receivers: tuple[Member, ...]
    place: str
    number: str
    notation: str
    subject: str
    files: tuple[tuple[str, bytes], ...]
    mark: str = ""

    def metadata(self, now: datetime) -> Json:
        """Contract 5, with what decision 28/2018 article 10 asks for."""
        today = now.astimezone(VIETNAM).date().isoformat()
        return {
            "from": _organ(self.sender),
            "to": [_organ(member) for member in self.receivers],
            "code": {"number": self.number, "notation": self.notation},
            "promulgation": {"place": self.place, "date": today},
            "document_type": {"type": 2, "type_detail": 18, "name": "Công văn"},
            "subject": self.subject,
            "signer": {"position": "Chức vụ mẫu", "full_name": "Người ký mẫu"},
            "other": {"priority": 0, "copies": 1, "pages": 1},
            "released_at": local_time(now),
        }

    @property
    def to(self) -> str:
        return ", ".join(member.side.code for member in self.receivers)


@dataclass(frozen=True, slots=True)
class Carried:
    """A document that every receiver finished. `items`: theirs, in the order of the receivers."""

    letter: Letter
    answer: Json
    document: Json
    items: tuple[Json, ...]


@dataclass(slots=True)
class Story:
    sandbox: Sandbox
    lang: str
    tell: Callable[[str, str], None]
    receipts: list[tuple[Member, Path]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    # -- the documents ---------------------------------------------------------------------------

    async def first(self) -> Carried:
        """From the department to the Government Office, on a good day."""
        return await self._carry(_from_department(self.sandbox), self._nothing)

    async def second(self) -> Carried:
        """The other way, while the axis refuses connections and then drops one after receiving."""
        box = self.sandbox
        await box.axis.refuse_connections()
        self.tell("Trục từ chối mọi kết nối", "the axis now refuses every connection")
        letter = _letter(
            box.ministry, [box.department], "Hà Nội", "345/VPCP-KSTT", "góp ý báo cáo quý"
        )
        return await self._carry(letter, self._trouble)

    async def third(self) -> Carried:
        """To another department of the province: over the provincial axis, SOAP."""
        box = self.sandbox
        letter = _letter(
            *(box.department, [box.neighbour], "Cao Bằng", "13/SM19-VP", "phối hợp báo cáo quý"),
            mark="-lgsp",
        )
        return await self._carry(letter, self._nothing)

    async def fourth(self) -> Carried:
        """To both at once: one submission, a transfer on each axis, a package for each."""
        box = self.sandbox
        letter = _letter(
            *(box.department, [box.ministry, box.neighbour], "Cao Bằng", "14/SM19-VP"),
            "mời họp tổng kết quý",
            mark="-both",
        )
        carried = await self._carry(letter, self._nothing)
        sent = carried.document["transfers"]
        packages = {transfer["package"]["sha256"] for transfer in sent}
        axes = sorted(transfer["axis"] for transfer in sent)
        self._must(axes == ["lgsp", "vxp"] and len(packages) == 2, f"not a package an axis: {axes}")
        return carried

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
    ) -> Carried:
        """Everything that unit systems do for one document."""
        sender = self._client(letter.sender)
        answer = await self._send(letter, sender)
        await trouble(sender, answer)
        paths = [
            await self._receive(letter, member, answer["document_id"])
            for member in letter.receivers
        ]
        document = await self._seen(sender, answer["id"], "01")
        for code, words in (("03", "Đã tiếp nhận"), ("06", "Đã hoàn thành")):
            for member, path in zip(letter.receivers, paths, strict=True):
                said = {"code": code, "description": words}
                await _ask(self._client(member).post, f"{path}/status", said)
            document = await self._seen(sender, answer["id"], code)
            self.tell(
                f"{letter.to} báo {code}, nơi gửi đã thấy",
                f"{letter.to} reported {code}, the sender has seen it",
            )
        items = [
            await _ask(self._client(member).get, path)
            for member, path in zip(letter.receivers, paths, strict=True)
        ]
        return Carried(letter, answer, document, tuple(items))

    async def _send(self, letter: Letter, sender: Client) -> Json:
        folder = self._sent(letter)
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
        roads = " + ".join(transfer["axis"] for transfer in answer["transfers"])
        self.tell(
            f"{letter.sender.side.code} gửi {answer['document_id']} qua {roads}, có biên nhận",
            f"{letter.sender.side.code} sent {answer['document_id']} by {roads}, holds a receipt",
        )
        return answer

    async def _receive(self, letter: Letter, member: Member, document_id: str) -> str:
        """Poll, lease, fetch, compare every byte, confirm; the item's address."""
        receiver, code = self._client(member), member.side.code
        inbox = await self._wait(
            lambda: _ask(receiver.get, "/v1/inbox", kind="document", wait=10),
            lambda found: any(i["document_id"] == document_id for i in found["items"]),
            "the document in the receiver's inbox",
        )
        item = next(i for i in inbox["items"] if i["document_id"] == document_id)
        path = f"/v1/inbox/{quoted(item['id'])}"
        await _ask(receiver.post, f"{path}/lease")
        self.tell(
            f"{code} thấy văn bản trong hộp đến và giữ lấy",
            f"{code} found it in its inbox and leased it",
        )
        folder = self.sandbox.folder / "received" / f"{member.side.folder}{letter.mark}"
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
        # edXML 1.0, which the provincial axis speaks, has no place for a signature
        lost = item["axis"] == "lgsp"
        verdict = item["signature"]["verdict"]
        self._must(verdict == ("none" if lost else "valid"), f"the signature at {code}: {verdict}")
        self.tell(
            "Tải về: mọi tệp đúng từng byte"
            + ("; trục tỉnh không chở chữ ký" if lost else ", chữ ký đúng"),
            "fetched: every byte is the same"
            + ("; this axis carries no signature" if lost else ", the signature is right"),
        )
        confirmed = await _ask(receiver.post, f"{path}/confirm")
        receipt = folder / "receipt.json"
        self.receipts.append(_kept(member, receipt, confirmed["receipt"]))
        self.tell(
            "Xác nhận đã vào Hệ thống: thời điểm nhận hợp pháp; 01 đi về",
            "confirmed that it entered the System: the legal moment; 01 goes back",
        )
        return path

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

    async def prove(self, carried: Sequence[Carried]) -> list[Json]:
        """What is told of each document, once all of it is sealed and stamped; and its evidence."""
        for member in {c.letter.sender.side.code: c.letter.sender for c in carried}.values():
            await self._look_at_statuses(self._client(member), member.side.code)
        told = [await self._told(one) for one in carried]
        self._look_at_doubt(told[1])
        self.tell("Mọi bản ghi đã niêm phong và đóng dấu", "every record is sealed and stamped")
        files = await asyncio.gather(*(self._evidence(one) for one in carried))
        self.tell(
            f"{len(files)} hồ sơ bằng chứng (ASiC-E) đã tải về và tự chứng minh, không cần gateway",
            f"{len(files)} containers of evidence (ASiC-E) prove themselves without a gateway",
        )
        for one, file in zip(told, files, strict=True):
            one["evidence"] = str(file)
        return told

    async def _told(self, one: Carried) -> Json:
        sender = self._client(one.letter.sender)
        path = f"/v1/documents/{quoted(one.answer['id'])}/history"
        records = await self._wait(
            lambda: _ask(sender.get, path),
            lambda found: all(r["stamped_at"] for r in found["records"]),
            "every record sealed and stamped",
        )
        received = []
        for member, item in zip(one.letter.receivers, one.items, strict=True):
            own = await self._wait(
                partial(asyncio.to_thread, _books_about, member, item["id"]),
                lambda found: bool(found) and all(r["stamped_at"] for r in found),
                "every record of the receiver sealed and stamped",
            )
            received.append((item, [entry_of(r) for r in own]))
        names = {m.side.code102: NAMES[m.side.code] for m in self.sandbox.members}
        return told_of(one.answer, one.document, records["records"], received, names)

    async def _evidence(self, one: Carried) -> Path:
        """The sender takes the evidence home, and judges it there with the anchors alone."""
        sender, ref = self._client(one.letter.sender), one.answer["id"]
        file = self._sent(one.letter) / "evidence.asice"

        async def take_and_judge() -> str:
            file.unlink(missing_ok=True)
            await _ask(sender.download, f"/v1/documents/{quoted(ref)}/evidence", file)
            return await asyncio.to_thread(_judged, file, self.sandbox.anchors)

        # undecided until a stamp covers the newest record too
        wanted = "evidence with all its stamps"
        verdict = await self._wait(take_and_judge, lambda said: said != "undecided", wanted)
        self._must(verdict == "valid", f"the evidence of {file.parent.name}")
        return file

    def _sent(self, letter: Letter) -> Path:
        return self.sandbox.folder / "sent" / f"{letter.sender.side.folder}{letter.mark}"

    def _look_at_doubt(self, told: Json) -> None:
        outcomes = [r["outcome"] for r in told["records"] if r["event"] == "attempt.ended"]
        doubt = outcomes.index("uncertain") if "uncertain" in outcomes else len(outcomes)
        self._must("deferred" in outcomes[:doubt], "no deferred attempt before the doubt")
        self._must("delivered" in outcomes[doubt:], "no repeat after the doubt")

    async def verify(self) -> list[Json]:
        """Every ledger and every receipt, by the command that anybody may run."""
        members = self.sandbox.members
        reports = await asyncio.gather(*(_verify(m) for m in members))
        for member, path in self.receipts:
            found = await asyncio.to_thread(_look_for, member, path)
            self._must(found, f"the receipt of {path.parent.name} is not kept")
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
        receipts = len(self.receipts)
        self.tell(
            f"{len(ledgers)} sổ cái và {receipts} biên nhận đã được kiểm tra lại từ đầu",
            f"{len(ledgers)} ledgers and {receipts} receipts were checked from the beginning",
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
            lambda found: holds([outcome_of(r) for r in found["records"]]),
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
    about = "báo cáo kết quả quý"
    return _letter(box.department, [box.ministry], "Cao Bằng", "12/SM19-VP", about)


def _letter(
    sender: Member,
    receivers: Sequence[Member],
    place: str,
    code: str,
    about: str,
    *,
    mark: str = "",
) -> Letter:
    number, _, notation = code.partition("/")
    lines = (
        f"No. {code}",
        f"From {sender.side.code102} to {', '.join(m.side.code102 for m in receivers)}",
        "A sample document of the edoc gateway's demo. It has no legal value.",
    )
    rows = (("Chỉ tiêu", "Số liệu"), ("Văn bản đi", 128), ("Văn bản đến", 256))
    return Letter(
        sender,
        tuple(receivers),
        place,
        number,
        notation,
        f"V/v {about} (văn bản mẫu)",
        (
            ("cong-van.pdf", demo_files.pdf(f"Công văn {code}", lines)),
            ("phụ lục số liệu.xlsx", demo_files.xlsx("Số liệu", rows)),
        ),
        mark,
    )


def _organ(member: Member) -> Json:
    return {"organ_id": member.side.code102, "name": NAMES[member.side.code]}


async def _ask(call: Callable[..., Any], *args: Any, **query: Any) -> Any:
    return await asyncio.to_thread(lambda: call(*args, **query))


def _judged(container: Path, anchors: Path) -> str:
    """What `evidence verify` says: valid, invalid or undecided."""
    from gateway.cli.evidence import anchors_in
    from gateway.evidence.check import verify

    with container.open("rb") as source:
        return verify(source, anchors_in(anchors)).verdict


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


def prefixes(sandbox: Sandbox) -> tuple[tuple[Member, str], ...]:
    """Each gateway and the front of its names in env.sh."""
    box = sandbox
    return ((box.department, "H14"), (box.ministry, "G22"), (box.neighbour, "H14_20"))


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
    for member, prefix in prefixes(sandbox):
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
