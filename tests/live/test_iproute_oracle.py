"""What netdiag reads of iproute2's text on real hosts is what iproute2 itself says in JSON, field by field.

A host has Docker networks and containers, and two more namespaces with all kinds of links, addresses, routes, rules and
neighbours that `network_objects.sh` can make on this kernel. Kinds that it cannot are compared in
`tests/formats/test_iproute_json.py`, from outputs that a kernel with them printed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import iproute_json
import lab
import pytest
from lab import CONTAINERS, DockerHost, LabError, Run, in_network_of

from netdiag import formats
from netdiag.formats import Document
from netdiag.spans import Source

pytestmark = pytest.mark.live

HERE = Path(__file__).parent
COMMANDS = (HERE / "iproute_outputs.txt").read_text(encoding="ascii").splitlines()
# counters may run while one looks; then the outputs of before and after differ, and it is asked again
ATTEMPTS = 10

# a kernel without VLAN filtering of bridges refuses them or has nothing to say
NEED_VLAN_FILTERING = {command for command in COMMANDS if command.endswith(" vlan")}
# the kernel forgets neighbours that nobody asks for
MAY_BE_EMPTY = {*NEED_VLAN_FILTERING, "ip -6 neigh"}
# every kernel of a machine that can run Docker and these tests has them
KINDS = {"veth", "bridge", "macvlan", "vxlan", "tun"}


@pytest.fixture(scope="module", params=["", *lab.ENGINES])
def host(request: pytest.FixtureRequest) -> Iterator[DockerHost]:
    """A host of each engine, with the iproute2 of its suite: 5.10 of bullseye to 7.3 of sid."""
    engine: str = request.param
    if engine:
        request.getfixturevalue("have_engine")(engine)
    is_podman = bool(engine) and lab.ENGINES[engine].name == "podman"
    with lab.PodmanHost(engine) if is_podman else DockerHost(engine=engine) as host:
        lab.standard_workload(host)
        host.copy_in(HERE / "network_objects.sh", "/root/network_objects.sh")
        host.shell("sh /root/network_objects.sh", timeout=300)
        yield host


@pytest.fixture(scope="module")
def places(host: DockerHost) -> dict[str, Run]:
    """How to run a command in each of the namespaces of the host."""

    def inside(name: str, argv: Sequence[str], *, check: bool = True) -> CompletedProcess[str]:
        return host.run(["ip", "netns", "exec", name, *argv], check=check)

    def within(record: Mapping[str, Any], argv: Sequence[str], *, check: bool = True) -> CompletedProcess[str]:
        return host.run(in_network_of(record, argv), check=check)

    return {
        "host": host.run,
        **{name: partial(inside, name) for name in ("near", "far")},
        # asking the engine each time which process a container has takes longer than all that is compared
        **{name: partial(within, record) for name, record in zip(CONTAINERS, host.inspect(*CONTAINERS), strict=True)},
    }


def read(command: str, text: str) -> Document:
    name = iproute_json.format_of(command)
    return formats.get(name).read(Source(f"{name}.txt", text, command, format=name))


def compared(run: Run, command: str, names: dict[int, str]) -> tuple[int, list[str]]:
    """How many records a command's text gave, and in what they differ from its JSON."""
    tool, *options = command.split()
    for _ in range(ATTEMPTS):
        before, told_as_json, after = (
            run(argv).stdout for argv in ([tool, *options], [tool, "-j", *options], [tool, *options])
        )
        document, again = read(command, before), read(command, after)
        assert document.unread == ()
        told = [iproute_json.told_by_record(record) for record in document.records]
        if not iproute_json.differences(told, [iproute_json.told_by_record(record) for record in again.records]):
            break
    else:
        message = f"never the same twice: {command}"
        raise LabError(message)
    name = iproute_json.format_of(command)
    expected = iproute_json.expected(name, command, iproute_json.load(told_as_json), names)
    return len(told), iproute_json.differences(told, expected)


def names_of_ids(run: Run) -> dict[int, str]:
    listed = iproute_json.load(run(["ip", "-j", "netns"]).stdout)
    return {value["id"]: value["name"] for value in listed if "id" in value}


@pytest.mark.parametrize("command", COMMANDS)
def test_text_is_read_as_its_json_says(places: Mapping[str, Run], command: str) -> None:
    records = 0
    for name, run in places.items():
        if command in NEED_VLAN_FILTERING and run(command.split(), check=False).returncode != 0:
            continue
        count, differences = compared(run, command, names_of_ids(run))
        assert (name, differences) == (name, [])
        records += count
    assert records or command in MAY_BE_EMPTY, "nothing was compared"


def test_the_kinds_of_links_that_are_compared(places: Mapping[str, Run]) -> None:
    document = read("ip -d link", places["near"](["ip", "-d", "link"]).stdout)
    assert KINDS - {record.kind for record in document.records} == set()


def test_brctl_shows_the_bridges_and_ports_that_ip_shows(host: DockerHost, places: Mapping[str, Run]) -> None:
    if host.run(["sh", "-c", "command -v brctl"], check=False).returncode:
        pytest.skip("the host has no brctl: apt-get install bridge-utils")
    # brctl asks /sys, which shows a container's namespace only where it is mounted anew
    for name, run in [(name, run) for name, run in places.items() if name not in CONTAINERS]:
        listed = iproute_json.load(run(["ip", "-j", "-d", "link"]).stdout)
        source = Source("brctl.txt", run(["brctl", "show"]).stdout, "brctl show", format="brctl_show")
        document = formats.get("brctl_show").read(source)
        assert document.unread == ()
        assert {record.name: (record.id, record.stp, set(record.interfaces)) for record in document.records} == {
            link["ifname"]: (
                iproute_json.bridge_id(link["linkinfo"]["info_data"]["bridge_id"]),
                link["linkinfo"]["info_data"]["stp_state"] != 0,
                {port["ifname"] for port in listed if port.get("master") == link["ifname"]},
            )
            for link in listed
            if link.get("linkinfo", {}).get("info_kind") == "bridge"
        }, name


@pytest.mark.parametrize(
    "options", [[], ["-t", "net"], ["-n", "-t", "net"], ["-t", "net", "-o", "NS,NPROCS,NETNSID,NSFS"]]
)
def test_lsns_is_read_as_its_json_says(host: DockerHost, options: list[str]) -> None:
    json_options = [option for option in options if option != "-n"]
    for _ in range(ATTEMPTS):
        before, listed, after = (
            host.run(argv).stdout for argv in (["lsns", *options], ["lsns", "-J", *json_options], ["lsns", *options])
        )
        if before == after:
            break
    else:
        raise LabError("never the same twice: lsns")
    document = formats.get("lsns").read(Source("lsns.txt", before, "lsns", format="lsns"))
    assert document.unread == ()
    told = [iproute_json.told_by_record(record) for record in document.records]
    expected = [iproute_json.namespace(value) for value in json.loads(listed)["namespaces"]]
    assert iproute_json.differences(told, expected) == []
