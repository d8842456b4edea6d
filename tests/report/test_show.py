"""The facts of a host as tables: what is in them, how they fit a terminal, and what programs get."""

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from netdiag.analysis import read_bundle
from netdiag.bundle import Limits, open_bundle
from netdiag.report import show
from netdiag.report._grid import Column, Grid, fold
from netdiag.report.schemas import schema
from netdiag.report.snippet import Look
from netdiag.report.tables import TABLES, table
from netdiag.report.visible import UNSAFE, columns
from netdiag.results import Analysis, Reading

SAMPLES = Path(__file__).parents[2] / "samples"
GOLDEN = Path(__file__).parent / "golden"


def look(width: int = 80, *, unicode: bool = True, colour: bool = False) -> Look:
    return Look(colour=colour, width=width, unicode=unicode)


@pytest.fixture(scope="module")
def real() -> Reading:
    return read_bundle(open_bundle(SAMPLES / "bundles" / "three-faults.tar.gz", Limits()))


@pytest.fixture(scope="module")
def loose() -> Reading:
    return read_bundle(open_bundle(SAMPLES / "bundles" / "seed", Limits()))


def rows(reading: Reading, name: str, *kept: str) -> list[tuple[object, ...]]:
    found = table(reading, name)
    return [tuple(row[found.columns.index(column)] for column in kept) for row in found.rows]


# --- what is in the tables --------------------------------------------------------------------------------------------


def test_containers_have_their_addresses_ports_and_the_host_ends_of_their_veths(real: Reading) -> None:
    assert rows(real, "containers", "name", "addresses", "ports", "links") == [
        ("app", ("back 172.19.0.3", "front 172.18.0.3"), (), ("eth0 veth81ec78a", "eth1 vethf438167")),
        ("db", ("back 172.19.0.2",), (), ("eth0 veth3580cfb",)),
        ("web", ("front 172.18.0.2",), ("0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"), ("eth0 veth0a41105",)),
    ]


def test_networks_have_their_bridges_and_members(real: Reading) -> None:
    assert rows(real, "networks", "name", "driver", "subnets", "bridge", "containers") == [
        ("back", "bridge", ("172.19.0.0/16",), "br-4ddbe3cca27f", ("app", "db")),
        ("bridge", "bridge", ("172.17.0.0/16",), "docker0", ()),
        ("front", "bridge", ("172.18.0.0/16",), "br-7217983a98a6", ("app", "web")),
        ("host", "host", (), "", ()),
        ("none", "null", (), "", ()),
    ]


def test_links_of_every_namespace_have_their_peers_and_what_they_lost(real: Reading) -> None:
    told = rows(real, "links", "namespace", "name", "state", "master", "peer", "lost")
    assert ("host", "docker0", "no carrier", "", "", 2) in told
    assert ("host", "veth0a41105", "up", "br-7217983a98a6", "eth0 in web", 0) in told
    assert ("host", "veth3580cfb", "up", "", "eth0 in db", 0) in told
    assert ("web", "eth0", "up", "", "", 0) in told


def test_routes_leave_out_those_that_the_kernel_makes_of_addresses_and_say_so(real: Reading) -> None:
    assert ("host", "default", "203.0.113.1", "eth0") in rows(
        real, "routes", "namespace", "destination", "via", "device"
    )
    assert "local" not in {kind for (kind,) in rows(real, "routes", "table")}
    assert table(real, "routes").remarks[0].startswith("43 routes of the table local are left out")


def test_rules_stand_under_their_chain_with_its_policy_first(real: Reading) -> None:
    user = [row[3:] for row in table(real, "rules").rows if row[3] == "DOCKER-USER"]
    assert user == [
        ("DOCKER-USER", 1, 0, "-i eth0 -p tcp -m conntrack --ctorigdstport 8080 -j DROP"),
        ("DOCKER-USER", 2, 217, "-j RETURN"),
    ]
    assert ("host", "ipv4 nft", "filter", "FORWARD", "", 0, "policy DROP") in table(real, "rules").rows


def test_native_rules_of_nftables_are_rules_too() -> None:
    fires = SAMPLES / "checks" / "filter-foreign-nft-drop" / "fires"
    native = [
        row[1:] for row in table(read_bundle(open_bundle(fires, Limits())), "rules").rows if "nft " in str(row[1])
    ]
    assert any(str(row[-1]).startswith("hook forward priority") for row in native)
    assert any("drop" in str(row[-1]) for row in native)


def test_a_published_port_stands_with_who_listens_on_it(real: Reading) -> None:
    assert rows(real, "ports", "namespace", "address", "leads_to", "listener")[:2] == [
        ("host", "0.0.0.0:8080", "web:80", "docker-proxy 274"),
        ("host", "[::]:8080", "web:80", "docker-proxy 280"),
    ]
    assert ("db", "0.0.0.0:80", "", "httpd 447") in rows(real, "ports", "namespace", "address", "leads_to", "listener")


def test_what_the_bundle_does_not_tell_is_a_question_and_not_nothing(loose: Reading) -> None:
    assert rows(loose, "containers", "name", "state", "ports")[0] == ("c813884c8a9b", None, None)
    assert rows(loose, "ports", "address", "listener")[0] == ("0.0.0.0:32769", None)
    assert table(loose, "ports").remarks == (
        "not all containers may be here: docker inspect of static_site is missing",
        "no sockets of host were collected: the bundle has no output of ss",
    )


def test_sources_tell_what_was_read(loose: Reading, real: Reading) -> None:
    assert ("route_n.txt", "route_n", 6, 0) in rows(loose, "sources", "path", "format", "lines", "unread")
    assert table(real, "sources").remarks == ("59 outputs were not collected; `netdiag verify` says why",)


def test_every_row_has_a_cell_for_every_column(real: Reading, loose: Reading, hostile: Analysis) -> None:
    for reading in (real, loose, hostile):
        for name in TABLES:
            found = table(reading, name)
            assert {len(row) for row in found.rows} <= {len(found.columns)}
            assert found.numeric <= {*found.columns}


# --- for people -------------------------------------------------------------------------------------------------------


def expect(name: str, actual: str) -> None:
    path = GOLDEN / name
    if os.environ.get("ACCEPT"):
        path.write_bytes(actual.encode())
    assert actual == path.read_bytes().decode()


@pytest.mark.parametrize("width", [100, 80, 60])
def test_the_overview_is_the_one_that_was_read(width: int, real: Reading) -> None:
    expect(f"show-overview-{width}.txt", show.overview(real, look(width)))


def test_the_overview_of_loose_files_is_the_one_that_was_read(loose: Reading) -> None:
    expect("show-loose-80.txt", show.overview(loose, look()))


def test_the_overview_of_hostile_names_is_the_one_that_was_read(hostile: Analysis) -> None:
    expect("show-hostile-80-ascii.txt", show.overview(hostile, look(unicode=False)))


@pytest.mark.parametrize("name", [name for name in TABLES if name != "sources"])
def test_each_table_is_the_one_that_was_read(name: str, real: Reading) -> None:
    expect(f"show-{name}-80.txt", show.text(real, name, look()))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(name: str, width: int, real: Reading, hostile: Analysis) -> None:
    for reading in (real, hostile):
        assert [line for line in show.text(reading, name, look(width)).split("\n") if columns(line) > width] == []
        assert [line for line in show.overview(reading, look(width)).split("\n") if columns(line) > width] == []


def test_nothing_of_a_bundle_acts_on_the_terminal(hostile: Analysis) -> None:
    for name in TABLES:
        assert UNSAFE.findall(show.text(hostile, name, look()).replace("\n", "")) == []
        assert show.text(hostile, name, look(unicode=False)).isascii()
    assert "\x1b" not in show.overview(hostile, look())


def test_colour_changes_no_letter(real: Reading) -> None:
    painted = show.text(real, "links", look(colour=True))
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == show.text(real, "links", look())


words = st.text(st.sampled_from("ab 前é-,"), max_size=30)


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=5), st.integers(20, 60))
def test_a_grid_keeps_every_character_and_its_width(cells: list[tuple[str, str, str]], width: int) -> None:
    grid = Grid([Column("A"), Column("B", numeric=True), Column("C")], [[(c,) for c in row] for row in cells], width)
    lines = [*grid.headings, *(line for number in range(len(cells)) for line in grid.row(number))]
    assert max(map(columns, lines)) <= width
    kept = "".join(line for number in range(len(cells)) for line in grid.row(number))
    if [*grid.headings]:  # a block repeats the headings
        assert sorted(kept.replace(" ", "")) == sorted("".join(map("".join, cells)).replace(" ", ""))


def test_a_word_that_is_wider_than_its_line_is_cut() -> None:
    assert fold("a 前前前", 4) == ["a", "前前", "前"]
    assert fold("abcdefgh", 3) == ["abc", "def", "gh"]


# --- for programs -----------------------------------------------------------------------------------------------------


def test_json_has_every_table_with_its_rows_as_objects(real: Reading) -> None:
    whole = json.loads(show.as_json(real, TABLES))
    told = whole["tables"]
    assert list(told) == list(TABLES)
    assert (whole["schema_version"], whole["bundle"]["host"]) == ("1.0", "web01")
    assert told["containers"]["rows"][1] == {
        "name": "db",
        "state": "running",
        "image": "lab/busybox:1",
        "health": "",
        "addresses": ["back 172.19.0.2"],
        "ports": [],
        "links": ["eth0 veth3580cfb"],
        "restarts": 0,
        "id": "63bed98d9d16",
    }


def test_the_published_schema_accepts_the_tables_and_has_every_column(
    real: Reading, loose: Reading, hostile: Analysis
) -> None:
    rules: Any = schema("show")
    for reading in (real, loose, hostile):
        made = json.loads(show.as_json(reading, TABLES))
        assert [f"{each.json_path}: {each.message}" for each in Draft202012Validator(rules).iter_errors(made)] == []
    columns_of = {name: list(rules["$defs"][f"{name}_row"]["properties"]) for name in TABLES}
    assert columns_of == {name: [*table(real, name).columns] for name in TABLES}


def test_csv_has_a_line_for_each_of_several_things_in_a_cell(real: Reading) -> None:
    told = list(csv.DictReader(io.StringIO(show.csv(real, "containers"))))
    assert [row["addresses"] for row in told] == [
        "back 172.19.0.3\nfront 172.18.0.3",
        "back 172.19.0.2",
        "front 172.18.0.2",
    ]


def test_no_cell_of_csv_is_a_formula(hostile: Analysis) -> None:
    (first, *others) = hostile.host.containers
    named = replace(first, name="=cmd|' /C calc'!A0")
    host = replace(hostile.host, containers=replace(hostile.host.containers, items=(named, *others)))
    (row, *_) = csv.DictReader(io.StringIO(show.csv(replace(hostile, host=host), "containers")))
    assert row["name"] == "'=cmd|' /C calc'!A0"


def test_markdown_tables_have_a_cell_for_each_column_whatever_the_names_are(hostile: Analysis) -> None:
    told = show.as_markdown(hostile, [*TABLES])
    assert "<script>" not in re.sub(r"\\[<>]", "", told)
    for block in re.findall(r"(?:^\|.*\n)+", told, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
