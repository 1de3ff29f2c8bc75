"""The simulated axis as a client of the vendor's kind sees it: vxp-protocol 2, 3, 4.3, 5 and 6."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import random
from pathlib import Path

import aiohttp
import pytest

from adapters.vxp import wire
from adapters.vxp.simulator import SAMPLE_SYSTEMS, SimulatorSettings, run, start
from adapters.vxp.wire import Operation
from gateway.errors import Misconfigured
from gateway.model.outcome import Deferred, Delivered, Uncertain
from gateway.model.package import PackageKind
from tests.support.axes import (
    CAO_BANG,
    MINISTRY,
    SECRET,
    SYSTEMS,
    FixedClock,
    document_package,
    parcel,
    simulator,
    status_package,
    vxp_axis,
)

LONG = 60.0
PACKAGE = document_package()
DOCUMENT = PackageKind.DOCUMENT


def headers(operation, secret=SECRET, system_id="exp.sys.01", **parameters):
    named = {name.replace("_", "-").rstrip("-"): value for name, value in parameters.items()}
    return wire.request_headers(
        operation, named, system_id=system_id, secret=secret, now=FixedClock().now()
    )


def send_headers(package=PACKAGE, file_hash=None, from_=CAO_BANG, **more):
    digest = hashlib.sha256(package).hexdigest()
    return headers(
        Operation.SEND,
        servicetype="eDoc",
        messagetype="edoc",
        hash_file=file_hash or wire.unpadded_hex(digest),
        from_=from_,
        **more,
    )


async def post(sim, operation, head, body=b"{}", method="POST", **options):
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"{sim.url}/{operation}", data=body, headers=head, **options
        ) as response,
    ):
        return response.status, await response.read(), response.headers


async def said(sim, operation, head, body=b"{}", **options):
    status, raw, _ = await post(sim, operation, head, body, **options)
    assert status == 200
    assert raw.isascii()
    fields = json.loads(raw)
    for name in ("status", "ErrorCode", "ErrorDesc", "DocId"):
        assert isinstance(fields[name], str)
    return fields


def scene(play, tmp_path, **changes):
    """Runs `play(simulator)` on a fresh axis."""

    async def whole():
        async with simulator(tmp_path, **changes) as sim:
            return await play(sim)

    return asyncio.run(whole())


def test_a_package_with_the_sdks_trailing_crlf_is_taken_without_it(tmp_path):
    async def play(sim):
        fields = await said(sim, "sendEdoc", send_headers(), PACKAGE + b"\r\n")
        assert (fields["status"], fields["ErrorCode"]) == ("OK", "0")
        assert len(fields["DocId"]) == 24
        assert set(fields["DocId"]) <= set("0123456789abcdef")
        assert sim.sent_bytes(fields["DocId"]) == PACKAGE

    scene(play, tmp_path)


def test_a_package_that_itself_ends_with_crlf_keeps_it(tmp_path):
    async def play(sim):
        own = PACKAGE + b"\r\n"
        fields = await said(sim, "sendEdoc", send_headers(own), own)
        assert sim.sent_bytes(fields["DocId"]) == own

    scene(play, tmp_path)


@pytest.mark.parametrize("form", ["padded", "upper", "unpadded"])
def test_the_file_hash_is_taken_in_every_form(tmp_path, form):
    digest = hashlib.sha256(PACKAGE).hexdigest()
    forms = {"padded": digest, "upper": digest.upper(), "unpadded": wire.unpadded_hex(digest)}

    async def play(sim):
        head = send_headers(file_hash=forms[form])
        assert (await said(sim, "sendEdoc", head, PACKAGE))["ErrorCode"] == "0"

    scene(play, tmp_path)


def test_a_body_that_is_not_what_was_signed_is_refused(tmp_path):
    async def play(sim):
        fields = await said(sim, "sendEdoc", send_headers(), PACKAGE + b"x")
        assert (fields["status"], fields["ErrorCode"]) == ("FAIL", "10")
        assert sim.received() == ()
        assert not list((tmp_path / "packages").iterdir())

    scene(play, tmp_path)


def test_header_names_in_any_case_stale_ones_and_100_continue_are_fine(tmp_path):
    async def play(sim):
        head = {name.lower(): value for name, value in send_headers().items()}
        head["XROADVNPT-docid"] = "stale"
        fields = await said(sim, "sendEdoc", head, PACKAGE, expect100=True)
        assert fields["ErrorCode"] == "0"

    scene(play, tmp_path)


def test_a_wrong_secret_or_account_is_told_in_the_answer(tmp_path):
    async def play(sim):
        wrong = headers(Operation.COUNT_DOCUMENTS, secret="other")
        assert (await said(sim, "countReceiveEdoc", wrong))["ErrorCode"] == "15"
        unknown = headers(Operation.COUNT_DOCUMENTS, system_id="exp.sys.99")
        assert (await said(sim, "countReceiveEdoc", unknown))["ErrorCode"] == "15"
        assert (await said(sim, "countReceiveEdoc", {}))["ErrorCode"] == "15"

    scene(play, tmp_path)


def test_one_parameter_with_two_values_is_refused(tmp_path):
    async def play(sim):
        head = headers(Operation.GET, docId="1", filePath="xml")
        pairs = [*head.items(), ("XroadVnpt-DOCID", "2")]
        fields = await said(sim, "getEdoc", pairs)
        assert fields["status"] == "FAIL"

    scene(play, tmp_path)


def test_a_list_of_seven_hundred_receivers_fits_into_the_headers(tmp_path):
    receivers = json.dumps([f"000.00.{n:02d}.H14" for n in range(700)], separators=(",", ":"))

    async def play(sim):
        fields = await said(sim, "sendEdoc", send_headers(to=receivers), PACKAGE)
        assert fields["ErrorCode"] == "0"

    scene(play, tmp_path)


def test_the_sender_must_be_an_agency_of_the_account(tmp_path):
    async def play(sim):
        fields = await said(sim, "sendEdoc", send_headers(from_=MINISTRY), PACKAGE)
        assert fields["ErrorCode"] == "19"
        new_form = await said(sim, "sendEdoc", send_headers(from_="H14.19"), PACKAGE)
        assert new_form["ErrorCode"] == "0"

    scene(play, tmp_path)


@pytest.mark.parametrize(
    ("package", "code"),
    [
        (b"not xml", "22"),
        (document_package(receivers=("000.00.00.Z99",)), "18"),
        (status_package(sender=CAO_BANG), "22"),
        (document_package(files=(("a.xlsx", "application/zip", b"no zip"),)), "21"),
    ],
)
def test_a_package_the_axis_cannot_deliver_is_refused_whole(tmp_path, package, code):
    async def play(sim):
        fields = await said(sim, "sendEdoc", send_headers(package), package)
        assert (fields["status"], fields["ErrorCode"]) == ("FAIL", code)
        assert sim.received() == ()
        assert not list((tmp_path / "packages").iterdir())

    scene(play, tmp_path)


def test_every_receiving_system_gets_one_entry_with_its_own_uuid(tmp_path):
    package = document_package(receivers=("G22", "000.00.00.H14", CAO_BANG, "000.00.00.Z99"))

    async def play(sim):
        fields = await said(sim, "sendEdoc", send_headers(package), package)
        (ministry,) = sim.deliveries(MINISTRY)
        (own,) = sim.deliveries(CAO_BANG)
        assert own.receivers == ("000.00.00.H14", CAO_BANG)
        assert len({fields["DocId"], ministry.doc_id, own.doc_id}) == 3
        sent = headers(
            Operation.SENT_LIST, servicetype="eDoc", messagetype="edoc", docId=fields["DocId"]
        )
        lines = (await said(sim, "getSentEdocList", sent))["data"]
        assert [(line["toCode"], line["receiverDocId"]) for line in lines] == [
            ("G22", ministry.doc_id),
            ("000.00.00.H14", own.doc_id),
            (CAO_BANG, own.doc_id),
            ("000.00.00.Z99", ""),
        ]
        assert lines[3]["sendStatus"] == "fail"

    scene(play, tmp_path)


def test_a_status_package_goes_to_the_agency_it_answers(tmp_path):
    async def play(sim):
        async with vxp_axis(sim.url, "exp.sys.02") as axis:
            cargo = parcel(status_package(), kind=PackageKind.STATUS, sender=MINISTRY)
            assert isinstance(await axis.submit(cargo, LONG), Delivered)
        (entry,) = sim.deliveries(CAO_BANG)
        assert entry.kind is PackageKind.STATUS

    scene(play, tmp_path)


def test_a_repeat_gets_the_first_docid_and_makes_no_second_entry(tmp_path):
    async def play(sim):
        first = await said(sim, "sendEdoc", send_headers(), PACKAGE)
        again = await said(sim, "sendEdoc", send_headers(), PACKAGE + b"\r\n")
        assert first["DocId"] == again["DocId"]
        assert len(sim.deliveries(MINISTRY)) == 1

    scene(play, tmp_path)


def test_many_repeats_at_once_make_one_package(tmp_path):
    async def play(sim):
        answers = await asyncio.gather(
            *(said(sim, "sendEdoc", send_headers(), PACKAGE) for _ in range(12))
        )
        assert len({fields["DocId"] for fields in answers}) == 1
        assert len(sim.received()) == 1

    scene(play, tmp_path)


def test_without_dedupe_every_repeat_is_a_new_package(tmp_path):
    async def play(sim):
        first = await said(sim, "sendEdoc", send_headers(), PACKAGE)
        again = await said(sim, "sendEdoc", send_headers(), PACKAGE)
        assert first["DocId"] != again["DocId"]
        assert len(sim.deliveries(MINISTRY)) == 2

    scene(play, tmp_path, dedupe=False)


async def _entry(sim):
    await sim.deposit(PACKAGE, system_id="exp.sys.01", sender=CAO_BANG)
    return sim.deliveries(MINISTRY)[0]


def as_ministry(operation, **parameters):
    return headers(operation, secret=SYSTEMS["exp.sys.02"][0], system_id="exp.sys.02", **parameters)


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        (["PROCESSING"], 1),
        (["processing", "DONE"], 0),
        (["done"], 0),
        (["fail"], 0),
        (["done", "initial"], 1),
    ],
)
def test_the_life_of_an_entry_decides_whether_it_is_listed(tmp_path, words, listed):
    async def play(sim):
        entry = await _entry(sim)
        for word in words:
            head = as_ministry(Operation.UPDATE_STATUS, docId=entry.doc_id, status=word)
            assert (await said(sim, "updateStatus", head))["ErrorCode"] == "0"
        ask = as_ministry(Operation.RECEIVED_LIST, servicetype="edoc", messagetype="EDOC")
        assert len((await said(sim, "getReceivedEdocList", ask, b""))["data"]) == listed
        count = await said(sim, "countReceiveEdoc", as_ministry(Operation.COUNT_DOCUMENTS))
        assert count["count"] == listed

    scene(play, tmp_path)


def test_failed_entries_may_be_offered_again(tmp_path):
    async def play(sim):
        entry = await _entry(sim)
        head = as_ministry(Operation.UPDATE_STATUS, docId=entry.doc_id, status="fail")
        await said(sim, "updateStatus", head)
        ask = as_ministry(Operation.RECEIVED_LIST, servicetype="eDoc", messagetype="edoc")
        (item,) = (await said(sim, "getReceivedEdocList", ask, b""))["data"]
        assert (item["docId"], item["status"]) == (entry.doc_id, "fail")
        assert all(isinstance(value, str) for value in item.values())

    scene(play, tmp_path, relist_failed=True)


def test_nobody_reads_or_marks_the_entries_of_another_system(tmp_path):
    async def play(sim):
        entry = await _entry(sim)
        get = headers(Operation.GET, docId=entry.doc_id, filePath="xml")
        assert (await said(sim, "getEdoc", get))["status"] == "FAIL"
        done = headers(Operation.UPDATE_STATUS, docId=entry.doc_id, status="done")
        assert (await said(sim, "updateStatus", done))["status"] == "FAIL"
        load = headers(Operation.DOWNLOAD, docId=entry.doc_id, filePath="xml")
        status, body, _ = await post(sim, "downloadEdoc", load, None, "GET")
        assert (status, body) == (200, b"")

    scene(play, tmp_path)


def test_both_ways_of_fetching_give_the_rebuilt_package(tmp_path):
    async def play(sim):
        entry = await _entry(sim)
        load = as_ministry(Operation.DOWNLOAD, docId=entry.doc_id, filePath="xml")
        _, raw, _ = await post(sim, "downloadEdoc", load, None, "GET")
        get = as_ministry(Operation.GET, docId=entry.doc_id, filePath="xml")
        fields = await said(sim, "getEdoc", get)
        assert base64.b64decode(fields["data"], validate=True) == raw == sim.delivered_bytes(entry)
        assert raw != PACKAGE
        assert raw.count(b"<edXML:TraceHeader>") == 2

    scene(play, tmp_path)


def test_without_rebuilding_the_very_bytes_come_out(tmp_path):
    async def play(sim):
        entry = await _entry(sim)
        assert sim.delivered_bytes(entry) == PACKAGE

    scene(play, tmp_path, rebuild=False)


def test_agencies_come_and_go_and_are_listed_in_both_forms(tmp_path):
    body = json.dumps(
        {"id": "1", "pcode": "H14", "code": "000.01.19.H14", "name": "Phòng mẫu", "mail": "a@b"}
    ).encode()
    package = document_package(receivers=("H14.19.01", "H14.19.1", "000.01.19.H14"))

    async def play(sim):
        register = headers(Operation.REGISTER_AGENCY)
        assert (await said(sim, "registerAgency", register, body))["ErrorCode"] == "0"
        stolen = as_ministry(Operation.REGISTER_AGENCY)
        assert (await said(sim, "registerAgency", stolen, body))["status"] == "FAIL"
        listed = await said(sim, "getAgenciesListQD20", headers(Operation.AGENCIES_QD20, level="1"))
        (mine,) = [a for a in listed["data"] if a["code102"] == "000.01.19.H14"]
        assert mine == {
            "id": "1",
            "code": "H14.19.01",
            "name": "Phòng mẫu",
            "mail": "a@b",
            "code102": "000.01.19.H14",
        }
        older = await said(sim, "getAgenciesList", headers(Operation.AGENCIES))
        assert {a["oldCode"] for a in older["data"]} >= {"000.01.19.H14", CAO_BANG}
        units = await said(sim, "getSynchronizeUnit", headers(Operation.UNITS))
        assert units["data"][0]["isAgency"] is True
        assert (await said(sim, "sendEdoc", send_headers(package), package))["ErrorCode"] == "0"
        gone = headers(Operation.DELETE_AGENCY, AgencyCode="000.01.19.H14")
        assert (await said(sim, "deleteAgency", gone))["ErrorCode"] == "0"
        assert (await said(sim, "deleteAgency", gone))["status"] == "FAIL"

    scene(play, tmp_path)


def test_lists_are_compressed_only_when_asked_and_sends_never(tmp_path):
    async def play(sim):
        ask = headers(Operation.AGENCIES)
        _, _, plain = await post(sim, "getAgenciesList", ask | {"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain
        _, _, packed = await post(sim, "getAgenciesList", ask | {"Accept-Encoding": "gzip"})
        assert packed["Content-Encoding"] == "gzip"
        _, _, sent = await post(
            sim, "sendEdoc", send_headers() | {"Accept-Encoding": "gzip"}, PACKAGE
        )
        assert "Content-Encoding" not in sent

    scene(play, tmp_path)


def test_what_was_received_survives_a_restart(tmp_path):
    async def before(sim):
        return await sim.deposit(PACKAGE, system_id="exp.sys.01", sender=CAO_BANG)

    async def after(sim):
        (package,) = sim.received()
        (entry,) = sim.deliveries(MINISTRY)
        async with vxp_axis(sim.url) as axis:
            assert await axis.submit(parcel(PACKAGE), LONG) == Delivered(package.doc_id)
        return package.doc_id, sim.delivered_bytes(entry)

    doc_id = scene(before, tmp_path)
    kept, data = scene(after, tmp_path)
    assert kept == doc_id
    assert data.rstrip().endswith(b"</edXML>")


def test_a_gate_holds_every_permitted_connection_until_it_is_released(tmp_path):
    async def play(sim):
        gate = sim.hold("sendEdoc")
        async with vxp_axis(sim.url, max_connections=3) as axis:
            packages = [document_package(f"id-{n}") for n in range(5)]
            sends = [asyncio.create_task(axis.submit(parcel(p), LONG)) for p in packages]
            await gate.reached(3)
            assert sim.received() == ()
            assert not any(send.done() for send in sends)
            gate.release()
            outcomes = await asyncio.gather(*sends)
        assert all(isinstance(outcome, Delivered) for outcome in outcomes)
        assert len(sim.received()) == 5

    scene(play, tmp_path)


def test_a_full_pool_is_not_doubt(tmp_path):
    async def play(sim):
        gate = sim.hold()
        async with vxp_axis(sim.url, max_connections=1) as axis:
            first = asyncio.create_task(axis.submit(parcel(PACKAGE), LONG))
            await gate.reached(1)
            second = await axis.submit(parcel(document_package("other")), 0.1)
            assert isinstance(second, Deferred)
            gate.release()
            assert isinstance(await first, Delivered)

    scene(play, tmp_path)


def test_until_returns_when_something_has_happened(tmp_path):
    async def play(sim):
        async with vxp_axis(sim.url) as axis:
            send = asyncio.create_task(axis.submit(parcel(PACKAGE), LONG))
            await sim.until(lambda s: len(s.received()) == 1)
            await send
        assert sim.requests["sendEdoc"] == 1

    scene(play, tmp_path)


def test_a_refused_then_dropping_axis_recovers_with_one_package(tmp_path):
    async def play(sim):
        async with vxp_axis(sim.url) as axis:
            await sim.refuse_connections()
            assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Deferred)
            await sim.accept_connections()
            sim.faults.add("drop_after", "sendEdoc", times=1)
            assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Uncertain)
            assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Delivered)
        assert len(sim.received()) == 1

    scene(play, tmp_path)


def test_a_large_attachment_travels_both_ways_unchanged(tmp_path):
    data = random.Random(3).randbytes(6_000_000)
    package = document_package(files=(("a.pdf", "application/pdf", data),))

    async def play(sim):
        async with vxp_axis(sim.url) as axis, vxp_axis(sim.url, "exp.sys.02") as other:
            assert isinstance(await axis.submit(parcel(package), LONG), Delivered)
            (item,) = (await other.list_waiting(DOCUMENT, LONG)).items
            sinks = [io.BytesIO(), io.BytesIO()]
            assert (await other.fetch(item, sinks[0], LONG)).failure is None
            other._downloads = False
            assert (await other.fetch(item, sinks[1], LONG)).failure is None
        assert sinks[0].getvalue() == sinks[1].getvalue()
        assert base64.b64encode(data) in sinks[0].getvalue()

    scene(play, tmp_path)


def test_control_requests_change_faults_and_show_the_state(tmp_path):
    async def play(sim):
        base = sim.url.removesuffix("/vxp")
        async with aiohttp.ClientSession() as session:
            plan = [{"kind": "drop_after", "operation": "sendEdoc", "times": 1}]
            async with session.post(f"{base}/_simulator/faults", json=plan) as response:
                assert await response.json() == {"faults": 1, "seed": 0}
            async with session.post(f"{base}/_simulator/faults", json=[{"kind": "?"}]) as response:
                assert response.status == 400
            async with vxp_axis(sim.url) as axis:
                assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Uncertain)
            async with session.get(f"{base}/_simulator/state") as response:
                state = await response.json()
            assert [p["to"] for p in state["received"]] == [[MINISTRY]]
            assert [e["status"] for e in state["entries"]] == ["initial"]
            assert state["requests"] == {"sendEdoc": 1}

    scene(play, tmp_path)


def test_an_unknown_operation_is_not_found(tmp_path):
    async def play(sim):
        status, _, _ = await post(sim, "sendEmail", {})
        assert status == 404

    scene(play, tmp_path)


def test_a_fault_file_is_followed_while_the_axis_runs(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "401"\n')

    async def play(sim):
        async with vxp_axis(sim.url) as axis:
            assert (await axis.submit(parcel(PACKAGE), LONG)).code == "http.401"
            changed = asyncio.Event()
            follow = sim.follow
            sim.follow = lambda scenario: (follow(scenario), changed.set())
            path.write_text("# nothing is wrong any more\n")
            await changed.wait()
            assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Delivered)

    scene(play, tmp_path, faults_file=path)


def test_a_fault_file_can_refuse_connections_and_take_them_again(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text('{"fault": [{"kind": "refuse"}]}')

    async def play(sim):
        async with vxp_axis(sim.url) as axis:
            # the first watch closes the listener as soon as the loop comes to it
            while (await axis.submit(parcel(PACKAGE), LONG)).code != "connect.refused":
                pass
            path.write_text('{"fault": []}')
            while not isinstance(await axis.submit(parcel(PACKAGE), LONG), Delivered):
                pass
        assert len(sim.received()) == 1

    scene(play, tmp_path, faults_file=path)


def test_run_says_where_it_listens_and_for_whom_and_ends_on_interrupt(tmp_path):
    lines = []

    def say(line):
        lines.append(line)
        if len(lines) == 1 + len(SAMPLE_SYSTEMS):
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        run(0, folder=tmp_path, say=say)
    assert lines[0].startswith("endpoint http://127.0.0.1:")
    assert "sandbox.h14" in lines[1]


def test_run_with_a_bad_fault_file_does_not_start(tmp_path):
    bad = tmp_path / "faults.toml"
    bad.write_text("[[fault]]\nkind = 'nothing'\n")
    with pytest.raises(Misconfigured):
        run(0, bad, folder=tmp_path)


def test_two_axes_in_one_process_do_not_know_each_other(tmp_path):
    async def whole():
        first = await start(SimulatorSettings(SYSTEMS, Path(tmp_path) / "a"), FixedClock())
        second = await start(SimulatorSettings(SYSTEMS, Path(tmp_path) / "b"), FixedClock())
        try:
            await first.deposit(PACKAGE, system_id="exp.sys.01", sender=CAO_BANG)
            assert len(first.received()) == 1
            assert second.received() == ()
            assert first.url != second.url
        finally:
            await first.close()
            await second.close()

    asyncio.run(whole())
