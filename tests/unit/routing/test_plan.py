"""One axis, one package; a receiver without a road refuses everything (architecture 4)."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.errors import Misconfigured
from gateway.model.agency import Agency
from gateway.model.submission import AxisRoute
from gateway.routing import LOOPBACK, Directory, Route, RoutePlan, RoutingTable

TODAY = date(2026, 11, 20)
AGENCIES = (
    Agency("G22", "Ministry", code102="000.00.00.G22"),
    Agency("H14", "Province", code102="000.00.00.H14"),
    Agency("H14.19", "Department", code102="000.00.19.H14", parents=("H14",)),
    Agency("H14.19.02", "Office", parents=("H14.19",)),
    Agency("H14.20", "Other department", parents=("H14",)),
    Agency("H33", "Closed", valid_to=date(2025, 6, 30), successors=("H14",)),
    Agency("I01", "Front"),
)
NATIONAL = Route(axis="vxp", level1="G")
PROVINCE = Route(axis="lgsp", under="H14", also=("vxp",))


def table(*routes: Route, local: tuple[str, ...] = ()) -> RoutingTable:
    return RoutingTable(Directory(AGENCIES, local), routes)


def axes(plan: RoutePlan) -> dict[str, tuple[str, ...]]:
    return {r.axis: r.receivers for r in plan.routes}


def test_each_axis_gets_its_own_receivers_with_codes_as_written() -> None:
    plan = table(NATIONAL, PROVINCE).plan(["000.00.19.h14", "G22", "H14"], TODAY)
    assert plan.findings == ()
    assert axes(plan) == {"lgsp": ("000.00.19.h14", "H14"), "vxp": ("G22",)}
    assert plan.routes[0].why == (
        "000.00.19.h14: route[1] (under = H14) -> lgsp",
        "H14: route[1] (under = H14) -> lgsp",
    )


def test_an_agency_served_here_goes_by_loopback_and_needs_no_route() -> None:
    plan = table(NATIONAL, local=("H14.19",)).plan(["000.00.19.H14", "G22"], TODAY)
    assert axes(plan) == {LOOPBACK: ("000.00.19.H14",), "vxp": ("G22",)}


def test_the_first_route_that_fits_decides() -> None:
    exact = Route(axis="direct", agency="000.00.19.H14")
    assert axes(table(exact, PROVINCE).plan(["H14.19", "H14.19.02"], TODAY)) == {
        "direct": ("H14.19",),
        "lgsp": ("H14.19.02",),
    }
    assert axes(table(PROVINCE, exact).plan(["H14.19"], TODAY)) == {"lgsp": ("H14.19",)}


def test_level_one_fits_by_code_and_by_letter() -> None:
    by_code = table(Route(axis="a", level1="h14"))
    assert axes(by_code.plan(["000.00.19.H14", "H14"], TODAY))["a"] == ("000.00.19.H14", "H14")
    assert [f.code for f in by_code.plan(["G22"], TODAY).findings] == ["route.none"]
    assert axes(table(Route(axis="a", level1="G")).plan(["G22"], TODAY)) == {"a": ("G22",)}


def test_a_route_holds_only_in_its_period() -> None:
    old = Route(axis="old", everyone=True, valid_to=date(2026, 11, 19))
    new = Route(axis="new", everyone=True, valid_from=TODAY)
    routing = table(old, new)
    assert axes(routing.plan(["G22"], date(2026, 11, 19))) == {"old": ("G22",)}
    assert axes(routing.plan(["G22"], TODAY)) == {"new": ("G22",)}


def test_every_receiver_that_cannot_be_reached_is_named_at_once() -> None:
    plan = table(NATIONAL, PROVINCE).plan(["H98", "G22", "H33", "I01", ""], TODAY)
    assert [(f.path, f.code) for f in plan.findings] == [
        ("to[0].organ_id", "agency.unknown"),
        ("to[2].organ_id", "agency.closed"),
        ("to[3].organ_id", "route.none"),
        ("to[4].organ_id", "agency.unknown"),
    ]
    assert "H14 (Province)" in plan.findings[1].text.en


def test_a_closed_agency_was_reachable_before_it_closed() -> None:
    routing = table(Route(axis="vxp", everyone=True))
    assert axes(routing.plan(["H33"], date(2025, 6, 30))) == {"vxp": ("H33",)}


def test_explain_tells_which_routes_were_passed_over_and_why() -> None:
    ended = Route(axis="x", everyone=True, valid_to=date(2020, 1, 1))
    told = table(ended, NATIONAL, PROVINCE).explain("000.00.19.H14", TODAY)
    assert told.axis == "lgsp"
    assert told.agency is not None
    assert told.agency.code == "H14.19"
    assert [w.en for w in told.why] == [
        "route[0] (everyone): not in force",
        "route[1] (level1 = G): does not fit",
        "route[2] (under = H14) -> lgsp",
    ]


def test_explain_says_that_no_route_leads_there() -> None:
    told = table(NATIONAL).explain("I01", TODAY)
    assert told.axis == ""
    assert [f.code for f in told.findings] == ["route.none"]


# --- ready-made packages


def test_a_whole_package_goes_by_the_one_axis_of_all_its_receivers() -> None:
    plan = table(NATIONAL, PROVINCE).whole_package_axis(["H14", "H14.19"], TODAY)
    assert axes(plan) == {"lgsp": ("H14", "H14.19")}


def test_an_axis_that_also_reaches_the_others_carries_the_whole_package() -> None:
    plan = table(NATIONAL, PROVINCE).whole_package_axis(["H14.19", "G22"], TODAY)
    assert axes(plan) == {"vxp": ("H14.19", "G22")}


def test_local_receivers_travel_with_the_whole_package() -> None:
    everyone = Route(axis="vxp", everyone=True)
    plan = table(everyone, local=("H14.19",)).whole_package_axis(["H14.19", "G22"], TODAY)
    assert axes(plan) == {"vxp": ("H14.19", "G22")}


def test_a_package_for_local_receivers_only_stays_here() -> None:
    routing = table(local=("H14.19", "H14.20"))
    plan = routing.whole_package_axis(["H14.20", "000.00.19.H14"], TODAY)
    assert axes(plan) == {LOOPBACK: ("H14.20", "000.00.19.H14")}


@pytest.mark.parametrize(
    ("routes", "local", "receivers"),
    [
        ((NATIONAL, Route(axis="lgsp", under="H14")), (), ["G22", "H14"]),
        ((NATIONAL,), ("H14.19",), ["G22", "H14.19"]),
    ],
)
def test_a_package_that_would_need_splitting_is_refused(
    routes: tuple[Route, ...], local: tuple[str, ...], receivers: list[str]
) -> None:
    plan = table(*routes, local=local).whole_package_axis(receivers, TODAY)
    assert plan.routes == ()
    assert [(f.path, f.code) for f in plan.findings] == [("to", "route.split_required")]


def test_an_unknown_receiver_of_a_whole_package_is_named_and_nothing_is_planned() -> None:
    plan = table(NATIONAL).whole_package_axis(["G22", "H98"], TODAY)
    assert plan.routes == ()
    assert [f.code for f in plan.findings] == ["agency.unknown"]


def test_no_receiver_means_no_route() -> None:
    assert table(NATIONAL).plan([], TODAY) == RoutePlan(())
    assert table(NATIONAL).whole_package_axis([], TODAY) == RoutePlan(())


def test_a_plan_without_findings_places_every_receiver_exactly_once() -> None:
    receivers = [a.code for a in AGENCIES if a.code != "H33"]
    plan = table(NATIONAL, PROVINCE, Route(axis="vxp", everyone=True), local=("H14.20",)).plan(
        receivers, TODAY
    )
    assert plan.findings == ()
    placed = [code for route in plan.routes for code in route.receivers]
    assert sorted(placed) == sorted(receivers)
    assert all(isinstance(route, AxisRoute) and route.why for route in plan.routes)


@pytest.mark.parametrize(
    ("route", "path"),
    [
        (Route(axis="vxp"), "route[0]"),
        (Route(axis="vxp", agency="H14", everyone=True), "route[0]"),
        (Route(axis="vxp", agency="H98"), "route[0].agency"),
        (Route(axis="vxp", under="H98"), "route[0].under"),
        (Route(axis="loopback", everyone=True), "route[0].axis"),
        (Route(axis="", everyone=True), "route[0].axis"),
        (Route(axis="vxp", everyone=True, also=("loopback",)), "route[0].axis"),
    ],
)
def test_a_route_that_makes_no_sense_is_refused(route: Route, path: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        table(route)
    assert [f.path for f in caught.value.findings] == [path]


def test_an_axis_may_insist_on_what_is_sent_under_one_roof() -> None:
    insists = Route(axis="lgsp", under="H14", local=True, also=("vxp",))
    everyone = Route(axis="vxp", everyone=True)
    routing = table(everyone, insists, local=("H14.19", "H14.20", "G22"))
    plan = routing.plan(["000.00.19.H14", "G22", "I01"], TODAY)
    assert axes(plan) == {"lgsp": ("000.00.19.H14",), LOOPBACK: ("G22",), "vxp": ("I01",)}
    assert plan.routes[0].why == ("000.00.19.H14: route[1] (under = H14) -> lgsp",)
    whole = routing.whole_package_axis(["H14.19", "H14.20"], TODAY)
    assert axes(whole) == {"lgsp": ("H14.19", "H14.20")}
    # what no route insists on stays here, whatever else reaches it
    assert axes(routing.whole_package_axis(["G22"], TODAY)) == {LOOPBACK: ("G22",)}
    # not insisting everywhere: the one axis that reaches all of them
    assert axes(routing.whole_package_axis(["H14.19", "G22"], TODAY)) == {"vxp": ("H14.19", "G22")}


def test_an_axis_insists_only_while_its_route_is_in_force() -> None:
    insists = Route(axis="lgsp", under="H14", local=True, valid_from=TODAY)
    routing = table(insists, local=("H14.19",))
    assert axes(routing.plan(["H14.19"], date(2026, 11, 19))) == {LOOPBACK: ("H14.19",)}
    assert axes(routing.plan(["H14.19"], TODAY)) == {"lgsp": ("H14.19",)}
