"""What a SOAP axis delivers twice, and what it lists although it was told: it does not stay there.

On that axis acknowledging is what tells the sender 01, so nothing may be acknowledged before its
document entered, and everything that doubles it must be afterwards.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from adapters.edoc_soap import simulator
from adapters.edoc_soap.contract import CONFIRM, LIST, SEND
from tests.integration.test_life_of_a_document import SO19, VPCP, status_is
from tests.integration.test_soap_axis import ROUTES, SECRET
from tests.support.houses import PDF, metadata, town


def test_a_second_copy_is_acknowledged_once_the_first_entered_and_a_lost_word_again(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        axis = await simulator.start(
            simulator.SimulatorSettings(
                systems={"H14.19": (SECRET, (SO19,)), "G22": (SECRET, (VPCP,))},
                folder=tmp_path / "axis",
            )
        )
        try:
            async with town(tmp_path, stamps=False) as made:
                made.axes["soap"] = axis  # type: ignore[assignment]  # another protocol, one town
                houses = [
                    made.house(
                        name, (local,), {"soap": local}, ROUTES, profile={"kind": "edoc_soap"}
                    )
                    for name, local in (("so19", "H14.19"), ("vpcp", "G22"))
                ]
                async with made.open(houses[0]) as here, made.open(houses[1]) as there:
                    axis.faults.add("duplicate", SEND, times=1)
                    answer = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF))
                    (item,) = await there.inbox(VPCP)
                    await axis.until(lambda a: len(a.pending("G22")) == 2)
                    asked = axis.requests[LIST]
                    await axis.until(lambda a: a.requests[LIST] > asked + 3)
                    assert axis.requests[CONFIRM] == 0, "nobody has received either"
                    # it says that it heard the 01, and did not
                    axis.faults.add("lie", CONFIRM, times=1)
                    who = await there.account(VPCP)
                    await there.gateway.desk.confirm(who, item["id"])
                    await axis.until(lambda a: a.pending("G22") == ())
                    assert len(axis.acknowledged()) == 2
                    shown = await here.until(SO19, answer["id"], status_is("01"))
                    assert shown["transfers"][0]["recipients"][0]["state"] == "ARRIVED"
        finally:
            await axis.close()

    asyncio.run(run())
