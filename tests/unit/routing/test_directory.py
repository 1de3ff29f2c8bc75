"""One agency, two written forms, several periods."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from gateway.errors import Misconfigured
from gateway.model.agency import Agency, AgencyState
from gateway.routing import Directory, agency_json, load_agencies

FOLDER = Path(__file__).parents[3] / "conf" / "agencies"
TODAY = date(2026, 11, 20)


def shipped(*local: str) -> Directory:
    files = {p.name: tomllib.loads(p.read_text("utf-8")) for p in sorted(FOLDER.glob("*.toml"))}
    return Directory(load_agencies(files), local)


@pytest.mark.parametrize(
    "code", ["H14.19", "000.00.19.H14", "h14.19", " 000.00.19.h14 ", "H14.019", "000.00.19.h14"]
)
def test_either_form_and_any_padding_find_the_same_agency(code: str) -> None:
    found = shipped().find(code)
    assert found is not None
    assert found.code == "H14.19"
    assert shipped().key_of(code) == "H14.19"


def test_a_commune_without_an_old_form_is_found() -> None:
    found = shipped().find("H14.151")
    assert found is not None
    assert found.code102 == ""


@pytest.mark.parametrize("code", ["", "H99", "000.00.99.H14", "../H14", "null", "H14.19.99"])
def test_an_unknown_code_finds_nobody(code: str) -> None:
    assert shipped().find(code) is None


def test_the_pair_of_the_directory_wins_over_the_formula() -> None:
    odd = Agency("H14.77", "A", code102="000.00.19.H14")
    by_formula = Agency("H14.19", "B")
    directory = Directory([odd, by_formula])
    assert directory.key_of("000.00.19.H14") == "H14.77"
    assert directory.key_of("H14.19") == "H14.19"
    assert directory.find("H14.019") is None  # padding alone cannot tell the two apart


def test_a_key_exists_for_codes_that_nobody_knows_and_for_any_text() -> None:
    directory = shipped()
    assert directory.key_of("000.00.07.H01") == directory.key_of("H01.7") == "H01.7"
    assert directory.key_of(" null ") == "NULL"
    assert directory.key_of("vxp.saas.03") == "VXP.SAAS.03"
    assert directory.key_of("") == ""


def test_all_63_provinces_are_there_34_kept_and_29_closed_into_a_kept_one() -> None:
    directory = shipped()
    provinces = [a for a in directory if len(a.code) == 3 and a.code.startswith("H")]
    kept = {a.code for a in provinces if a.state is AgencyState.ACTIVE}
    closed = [a for a in provinces if a.state is AgencyState.CLOSED]
    assert len(provinces) == 63
    assert len({a.code for a in provinces}) == 63
    assert (len(kept), len(closed)) == (34, 29)
    assert all(len(a.successors) == 1 and a.successors[0] in kept for a in closed)
    assert "H14" in kept


def test_predecessors_follow_from_successors() -> None:
    found = shipped().find("H29")
    assert found is not None
    assert found.predecessors == ("H06", "H09")


def test_every_agency_of_the_shipped_files_names_its_source() -> None:
    assert {a.source.partition(" ")[0] for a in shipped()} == {"standards", "sample,"}
    assert all("mẫu" in a.name for a in shipped() if a.source.startswith("sample"))


def test_show_has_the_shape_of_the_contract() -> None:
    found = shipped().find("000.00.00.H33")
    assert found is not None
    assert agency_json(found) == {
        "code": "H33",
        "code102": "000.00.00.H33",
        "name": "Ủy ban nhân dân tỉnh Kiên Giang",
        "state": "closed",
        "valid_from": None,
        "valid_to": "2025-06-30",
        "parents": [],
        "successors": ["H01"],
        "predecessors": [],
        "source": "standards 2.4 (secondary)",
    }


def test_a_closed_agency_is_refused_after_its_last_day_and_its_successor_named() -> None:
    directory = shipped()
    assert directory.standing("H33", date(2025, 6, 30), "x") == ()
    (finding,) = directory.standing("000.00.00.H33", date(2025, 7, 1), "to[0].organ_id")
    assert (finding.path, finding.code) == ("to[0].organ_id", "agency.closed")
    assert "H01 (Ủy ban nhân dân tỉnh An Giang)" in finding.text.vi
    assert "2025-06-30" in finding.text.en


def test_a_closed_agency_without_a_last_day_is_closed_always() -> None:
    directory = Directory([Agency("H14", "A", state=AgencyState.CLOSED)])
    assert [f.code for f in directory.standing("H14", date(1990, 1, 1), "x")] == ["agency.closed"]


def test_an_agency_that_does_not_exist_yet_is_refused() -> None:
    found = shipped().standing("H14.151", date(2025, 6, 30), "x")
    assert [f.code for f in found] == ["agency.not_yet"]


def test_the_entry_of_the_day_is_found_among_several_periods() -> None:
    directory = Directory(
        [
            Agency("H57", "Huế", valid_from=date(2025, 1, 1)),
            Agency("H57", "Thừa Thiên Huế", valid_to=date(2024, 12, 31)),
        ]
    )
    names = {d: a.name for d in (2024, 2025) if (a := directory.find("h57", date(d, 6, 1)))}
    assert names == {2024: "Thừa Thiên Huế", 2025: "Huế"}
    latest = directory.find("H57")
    assert latest is not None
    assert latest.name == "Huế"


def test_local_agencies_are_found_among_codes_once_and_as_written() -> None:
    directory = shipped("000.00.19.H14", "H14.151")
    codes = ["H29", "h14.19", "000.00.19.H14", "", "H14.151", "x y"]
    assert directory.local_among(codes) == ("h14.19", "H14.151")
    assert [a.code for a in directory.local_agencies()] == ["H14.19", "H14.151"]
    assert directory.is_local("000.00.19.H14")
    assert not directory.is_local("H14")


def test_ancestors_survive_a_cycle() -> None:
    directory = Directory(
        [Agency("H14.1", "A", parents=("H14.2",)), Agency("H14.2", "B", parents=("H14.1",))]
    )
    found = directory.find("H14.1")
    assert found is not None
    assert directory.ancestors(found) == ("H14.1", "H14.2")


def test_all_mistakes_of_the_files_are_reported_at_once() -> None:
    text = """
    sauce = "x"
    [[agency]]
    code = "H14/1"
    name = "A"
    [[agency]]
    code = "H15"
    name = "B"
    colour = "red"
    [[agency]]
    code = "H16"
    name = "C"
    successors = ["H 17"]
    valid_from = 2025-01-02
    valid_to = 2025-01-01
    """
    with pytest.raises(Misconfigured) as caught:
        load_agencies({"f.toml": tomllib.loads(text)})
    assert [f.path for f in caught.value.findings] == [
        "f.toml:sauce",
        "f.toml:agency[0].code",
        "f.toml:agency[1]",
        "f.toml:agency[2].successors",
        "f.toml:agency[2].valid_to",
    ]


@pytest.mark.parametrize(
    "pair",
    [
        (Agency("H14", "A"), Agency("H14", "B")),
        (Agency("H14", "A"), Agency("H15", "B", code102="H14")),
        (Agency("H14", "A", valid_to=TODAY), Agency("H14", "B", valid_from=TODAY)),
    ],
)
def test_one_code_for_two_entries_at_one_time_is_refused(pair: tuple[Agency, Agency]) -> None:
    with pytest.raises(Misconfigured) as caught:
        Directory(pair)
    assert [f.path for f in caught.value.findings] == ["H14"]


def test_a_local_agency_outside_the_directory_is_refused() -> None:
    with pytest.raises(Misconfigured) as caught:
        shipped("H14", "H98")
    assert [f.path for f in caught.value.findings] == ["local.agencies[1]"]
