"""What a large host costs: reading, model and all checks, as a ratio to lark alone reading its rules and `ip` outputs.

    python benchmarks/hosts.py [--sizes 125,250,500,1000] [--rounds 3] [--checks] [--whole]

The host is made of a real one's outputs (samples/bundles/healthy-nft.tar.gz), with other names, numbers and addresses
for each of the containers: so many on three networks for each hundred, five published ports each, and rules of the
administrator up to twenty a container. So 1,000 containers are on 30 networks, and iptables-save has 20,000 rules.

Plain lark is the LALR parser with the contextual lexer making a tree of every text that the readers hand to it of
iptables-save and of the `ip` outputs of the host and of each container's namespace; nothing is made of the trees.
Beside it stand reading all outputs (those and the sockets, bridges, settings and Docker's JSON), the model, and all
checks, each the fastest of the rounds, because other work on the machine can only make a round slower. All are seconds
of the processor. The last column is the time of each size by that of the first, for each container: 1 when the time
grows as the host does. With `--checks` follow the checks that take longest at the last size.

With `--whole` all else that the collector takes of each container's namespace is read as well (its settings, counters,
queues, nftables, IPv6, and what older tools print of the same), and the settings of each interface of the host.
"""

import argparse
import gc
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from grammars import parse_all, parses

from netdiag import checks
from netdiag.analysis import read_source
from netdiag.bundle import Bundle, NotCollected, open_bundle
from netdiag.finding import Verdict
from netdiag.formats import _lines
from netdiag.model import Host, build
from netdiag.spans import Source

MODEL = Path(__file__).resolve().parents[1] / "samples" / "bundles" / "healthy-nft.tar.gz"
SIZES = "125,250,500,1000"
GOAL = 4
PORTS = 5
RULES_OF_A_CONTAINER = 20
WIDTHS = (10, 6, 6, 8, 6, 7, 6, 14, 13)
OF_A_NAMESPACE = ("netns", "ip-addr", "ip-route", "ip-rule", "ip-neigh", "iptables-save", "ss")
BASELINE = ("iptables_save", "ip_addr", "ip_route", "ip_rule", "ip_neigh")


@dataclass(frozen=True)
class Net:
    """A bridge network."""

    number: int

    @property
    def id(self) -> str:
        return f"{self.number + 0xA0000:05x}" + "e" * 59

    @property
    def name(self) -> str:
        return f"net{self.number}"

    @property
    def bridge(self) -> str:
        return f"br-{self.id[:12]}"

    @property
    def index(self) -> int:
        return 10 + self.number

    @property
    def subnet(self) -> IPv4Network:
        return IPv4Network(f"10.{100 + self.number}.0.0/16")

    @property
    def gateway(self) -> str:
        return str(self.subnet[1])


@dataclass(frozen=True)
class Box:
    """A container on a network."""

    number: int
    net: Net

    @property
    def id(self) -> str:
        return f"{self.number + 0xC00000:06x}" + "7" * 58

    @property
    def name(self) -> str:
        return f"app{self.number}"

    @property
    def veth(self) -> str:
        return f"veth{self.number:07x}"

    @property
    def outer_index(self) -> int:
        return 1001 + 2 * self.number

    @property
    def address(self) -> str:
        return str(self.net.subnet[2 + self.number])

    @property
    def mac(self) -> str:
        return "02:42:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))

    @property
    def netns(self) -> int:
        return 4026540000 + self.number

    def ports(self) -> Iterator[tuple[int, int]]:
        """Host port and container port."""
        for place in range(PORTS):
            yield 10000 + self.number * PORTS + place, 80 + place


def host_with(
    containers: int,
    networks: int | None = None,
    rules_of_a_container: int = RULES_OF_A_CONTAINER,
    *,
    whole: bool = False,
) -> Bundle:
    """The bundle of a host with so many containers, `whole` with outputs that repeat others or that checks rarely ask
    for.
    """
    nets = [Net(number) for number in range(networks or max(1, containers * 3 // 100))]
    boxes = [Box(number, nets[number % len(nets)]) for number in range(containers)]
    sources = [*_of_host(nets, boxes, rules_of_a_container * containers, whole=whole), *_of_docker(nets, boxes)]
    for box in boxes:
        sources += _of_container(box, whole=whole)
    left_out = (
        NotCollected("ebtables", "host", "", "ebtables", "ebtables would load this kernel module"),
        NotCollected("nft-ruleset", "host", "nft -a list ruleset", "nft_ruleset", "nf_tables is not loaded"),
        NotCollected("daemon-json", "files", "", "daemon_json", "/etc/docker/daemon.json: No such file or directory"),
    )
    model = open_bundle(MODEL)
    return Bundle("large", model.host, model.collected_at, "", tuple(sources), left_out, (), model.manifest)


@cache
def _real(path: str) -> str:
    return next(source.text for source in open_bundle(MODEL).sources if source.path == path)


def _source(scope: str, artifact: str, format_name: str, command: str, text: str) -> Source:
    path = f"{scope.replace(':', '/')}/{artifact}.txt"
    return Source(path, text, command=command, scope=scope, artifact=artifact, format=format_name)


@cache
def _block(path: str, name: str) -> str:
    """The lines of an interface in a real `ip -d addr`."""
    found = re.search(rf"(?m)^\d+: {name}[@:].*\n(?: .*\n)*", _real(path))
    assert found
    return found[0]


def _of_host(nets: list[Net], boxes: list[Box], rules: int, *, whole: bool) -> list[Source]:
    real = "host/ip-addr.txt"
    a_bridge = next(iter(re.findall(r"br-[0-9a-f]{12}", _real(real))))
    a_veth = next(iter(re.findall(r"veth[0-9a-f]{7}", _real(real))))
    links = [_block(real, "lo"), _block(real, "eth0"), _block(real, "docker0")]
    links += [_bridge_link(_block(real, a_bridge), a_bridge, net) for net in nets]
    links += [_veth_link(_block(real, a_veth), a_veth, box) for box in boxes]
    return [
        _source("host", "netns", "netns", "readlink /proc/self/ns/net", "net:[4026531840]\n"),
        _source("host", "ip-addr", "ip_addr", "ip -d -s addr", "".join(links)),
        _source("host", "ip-route", "ip_route", "ip route show table all", _routes(nets)),
        _source("host", "ip-rule", "ip_rule", "ip rule", _real("host/ip-rule.txt")),
        _source("host", "ip-neigh", "ip_neigh", "ip neigh", _neighbours(boxes)),
        _source("host", "bridge-link", "bridge_link", "bridge -d link", "".join(map(_port, boxes))),
        _source("host", "bridge-fdb", "bridge_fdb", "bridge fdb", "".join(map(_forwarding, boxes))),
        _source("host", "lsns", "lsns", "lsns -t net", _namespaces(boxes)),
        _source("host", "docker-proxy", "ps", "ps -ww -C docker-proxy -o pid,netns,args", _proxies(boxes)),
        _source("host", "ss", "ss", "ss -tulpn", _sockets(boxes)),
        _source("host", "sysctl", "sysctl", r"sysctl -a --pattern '^net\.'", _settings(nets, boxes, whole=whole)),
        _source("host", "iptables-save", "iptables_save", "iptables-save -c", _rules(nets, boxes, rules)),
        _source("files", "resolv-conf", "resolv_conf", "", _real("files/etc/resolv.conf")),
    ]


def _bridge_link(block: str, name: str, net: Net) -> str:
    text = re.sub(r"^\d+:", f"{net.index}:", block).replace(name, net.bridge)
    return re.sub(r"inet 172\.\S+(?: brd \S+)?", f"inet {net.gateway}/16 brd {net.subnet[-1]}", text)


def _veth_link(block: str, name: str, box: Box) -> str:
    text = re.sub(r"^\d+: \S+", f"{box.outer_index}: {name}@if{box.outer_index - 1}:", block).replace(name, box.veth)
    return re.sub(r"link-netnsid \d+", f"link-netnsid {box.number}", re.sub(r"br-[0-9a-f]{12}", box.net.bridge, text))


def _routes(nets: list[Net]) -> str:
    lines = [line for line in _real("host/ip-route.txt").splitlines() if "br-" not in line]
    for net in nets:
        lines.append(f"{net.subnet} dev {net.bridge} proto kernel scope link src {net.gateway} ")
        of_local = f"dev {net.bridge} table local proto kernel scope"
        lines.append(f"local {net.gateway} {of_local} host src {net.gateway} ")
        lines.append(f"broadcast {net.subnet[-1]} {of_local} link src {net.gateway} ")
    return "\n".join(lines) + "\n"


def _neighbours(boxes: list[Box]) -> str:
    return "".join(f"{box.address} dev {box.net.bridge} lladdr {box.mac} STALE \n" for box in boxes)


def _port(box: Box) -> str:
    flags = "<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500"
    head = f"{box.outer_index}: {box.veth}@if{box.outer_index - 1}: {flags} master {box.net.bridge} state forwarding"
    switches = "hairpin off guard off learning on flood on mcast_flood on isolated off locked off"
    return f"{head} priority 32 cost 2 \n    {switches} \n"


def _forwarding(box: Box) -> str:
    return f"{box.mac} dev {box.veth} master {box.net.bridge} \n33:33:00:00:00:01 dev {box.veth} self permanent\n"


def _namespaces(boxes: list[Box]) -> str:
    rows = ["        NS TYPE NPROCS    PID USER    NETNSID NSFS                           COMMAND"]
    rows.append("4026531840 net      99      1 root unassigned                                /sbin/init")
    rows += [
        f"{box.netns} net       2 {20000 + box.number:6} root {box.number:10} {_sandbox(box)} /bin/sh /bin/serve"
        for box in boxes
    ]
    return "\n".join(rows) + "\n"


def _sandbox(box: Box) -> str:
    return f"/run/docker/netns/{box.id[:12]}"


def _pid(port: int, family: int) -> int:
    return 40000 + port * 2 + family


def _proxies(boxes: list[Box]) -> str:
    return "    PID      NETNS COMMAND\n" + "".join(
        f"{_pid(port, family):7} 4026531840 /usr/bin/docker-proxy -proto tcp -host-ip {address} -host-port {port} "
        f"-container-ip {box.address} -container-port {inner}\n"
        for box in boxes
        for port, inner in box.ports()
        for family, address in enumerate(("0.0.0.0", "::"))
    )


def _sockets(boxes: list[Box]) -> str:
    return "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n" + "".join(
        f"tcp   LISTEN 0      4096   {address}:{port} {address}:* "
        f'users:(("docker-proxy",pid={_pid(port, family)},fd=4))\n'
        for box in boxes
        for port, _ in box.ports()
        for family, address in enumerate(("0.0.0.0", "[::]"))
    )


def _settings(nets: list[Net], boxes: list[Box], *, whole: bool) -> str:
    """The real ones, those of single interfaces for all of these or for none."""
    lines = _real("host/sysctl.txt").splitlines(keepends=True)
    of_interface = re.compile(r"(net\.ipv[46]\.(?:conf|neigh)\.)(br-|veth)([0-9a-f]+)(.*\n)")
    found = [line for line in lines if not of_interface.match(line)]
    parts = [match for line in lines if (match := of_interface.match(line))]
    for kind, names in (("br-", [net.bridge for net in nets]), ("veth", [box.veth for box in boxes])):
        one = next(part[3] for part in parts if part[2] == kind)
        of_one = [part for part in parts if part[2] == kind and part[3] == one]
        found += [f"{part[1]}{name}{part[4]}" for name in names if whole for part in of_one]
    return "".join(found)


def _rules(nets: list[Net], boxes: list[Box], wanted: int) -> str:
    """The rules of Docker 20.10, and the administrator's: addresses that are banned, up to the wanted number."""
    translated = [(box, port, inner) for box in boxes for port, inner in box.ports()]
    stages = "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"
    rules = ["FORWARD -j DOCKER-USER", f"FORWARD -j {stages[0]}"]
    nat = ["PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"]
    nat.append("OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER")
    for name, subnet in [("docker0", "172.17.0.0/16"), *((net.bridge, str(net.subnet)) for net in nets)]:
        rules.append(f"FORWARD -o {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
        rules += [f"FORWARD -o {name} -j DOCKER", f"FORWARD -i {name} ! -o {name} -j ACCEPT"]
        rules += [f"FORWARD -i {name} -o {name} -j ACCEPT", f"{stages[0]} -i {name} ! -o {name} -j {stages[1]}"]
        rules.append(f"{stages[1]} -o {name} -j DROP")
        nat += [f"POSTROUTING -s {subnet} ! -o {name} -j MASQUERADE", f"DOCKER -i {name} -j RETURN"]
    for box, port, inner in translated:
        name, to = box.net.bridge, f"-d {box.address}/32"
        rules.append(f"DOCKER {to} ! -i {name} -o {name} -p tcp -m tcp --dport {inner} -j ACCEPT")
        nat.append(f"POSTROUTING -s {box.address}/32 {to} -p tcp -m tcp --dport {inner} -j MASQUERADE")
        nat.append(f"DOCKER ! -i {name} -p tcp -m tcp --dport {port} -j DNAT --to-destination {box.address}:{inner}")
    banned = IPv4Network("198.18.0.0/15")
    rest = max(0, wanted - len(rules) - len(nat) - 3)
    rules += [f"BANNED -s {banned[number * 5]}/32 -i eth0 -j DROP" for number in range(rest)]
    rules += ["DOCKER-USER -j BANNED", "DOCKER-USER -j RETURN", *(f"{stage} -j RETURN" for stage in stages)]
    made = [*(f":{name} - [0:0]" for name in ("BANNED", "DOCKER", *stages, "DOCKER-USER"))]
    return "\n".join(
        [
            "# Generated by iptables-save v1.8.9 on Tue Nov 24 02:41:59 2026",
            *("*filter", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]"),
            *(*made, *(f"[{number}:{number * 60}] -A {rule}" for number, rule in enumerate(rules)), "COMMIT"),
            *("*nat", ":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"),
            *(":POSTROUTING ACCEPT [0:0]", ":DOCKER - [0:0]"),
            *(*(f"[{number}:{number * 60}] -A {rule}" for number, rule in enumerate(nat)), "COMMIT", ""),
        ]
    )


def _of_container(box: Box, *, whole: bool) -> list[Source]:
    """The outputs of a real container's namespace, as if they were this one's."""
    model = next(each for each in _inspected() if list(each["NetworkSettings"]["Networks"]) == ["front"])
    (told,) = model["NetworkSettings"]["Networks"].values()
    sources = []
    for real in _of_namespace(f"netns:{model['Id']}"):
        if not whole and real.artifact not in OF_A_NAMESPACE:
            continue
        text = real.text.replace(told["IPAddress"], box.address).replace(real.scope.partition(":")[2], box.id)
        text = text.replace(told["Gateway"], box.net.gateway).replace(told["MacAddress"], box.mac)
        text = text.replace("172.18.0.0", str(box.net.subnet[0])).replace("172.18.255.255", str(box.net.subnet[-1]))
        text = re.sub(r"(?m)^\d+: eth0@if\d+", f"{box.outer_index - 1}: eth0@if{box.outer_index}", text)
        text = re.sub(r"net:\[\d+\]", f"net:[{box.netns}]", text)
        path, scope = f"netns/{box.id}/{Path(real.path).name}", f"netns:{box.id}"
        sources.append(Source(path, text, real.command, scope, real.artifact, real.format))
    return sources


@cache
def _of_namespace(scope: str) -> tuple[Source, ...]:
    return tuple(source for source in open_bundle(MODEL).sources if source.scope == scope)


@cache
def _inspected() -> Any:
    return json.loads(_real("docker/inspect.json"))


def _of_docker(nets: list[Net], boxes: list[Box]) -> list[Source]:
    model = next(each for each in _inspected() if list(each["NetworkSettings"]["Networks"]) == ["front"])
    network = next(each for each in json.loads(_real("docker/network_inspect.json")) if each["Name"] == "front")
    others = [
        each for each in json.loads(_real("docker/network_inspect.json")) if each["Name"] not in ("front", "back")
    ]
    networks = [*others, *(_network(network, net, boxes) for net in nets)]
    found = {
        "docker-inspect": ("docker_inspect", "docker inspect", [_container(model, box) for box in boxes]),
        "docker-network-inspect": ("docker_network_inspect", "docker network inspect", networks),
    }
    sources = [
        _source("docker", name, format_name, command, json.dumps(objects, indent=4) + "\n")
        for name, (format_name, command, objects) in found.items()
    ]
    sources.append(_source("docker", "docker-info", "docker_info", "docker info", _real("docker/info.json")))
    sources.append(
        _source("docker", "docker-version", "docker_version", "docker version", _real("docker/version.json"))
    )
    cmdline = _real("docker/dockerd_cmdline.txt")
    return [*sources, _source("docker", "dockerd-cmdline", "dockerd_cmdline", "", cmdline)]


def _container(model: dict[str, Any], box: Box) -> dict[str, Any]:
    made = deepcopy(model)
    made["Id"], made["Name"], made["State"]["Pid"] = box.id, f"/{box.name}", 20000 + box.number
    made["HostConfig"]["NetworkMode"] = box.net.name
    bindings = {f"{inner}/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}] for port, inner in box.ports()}
    made["HostConfig"]["PortBindings"] = bindings
    settings = made["NetworkSettings"]
    settings["Ports"], settings["SandboxKey"] = bindings, f"/var{_sandbox(box)}"
    (endpoint,) = settings["Networks"].values()
    endpoint.update(NetworkID=box.net.id, EndpointID=box.id, Gateway=box.net.gateway, IPAddress=box.address)
    endpoint.update(IPPrefixLen=16, MacAddress=box.mac, Aliases=[box.id[:12]])
    settings["Networks"] = {box.net.name: endpoint}
    return made


def _network(model: dict[str, Any], net: Net, boxes: list[Box]) -> dict[str, Any]:
    made = deepcopy(model)
    made["Id"], made["Name"] = net.id, net.name
    made["IPAM"]["Config"] = [{"Subnet": str(net.subnet), "Gateway": net.gateway}]
    made["Containers"] = {
        box.id: {"Name": box.name, "EndpointID": box.id, "MacAddress": box.mac, "IPv4Address": f"{box.address}/16"}
        for box in boxes
        if box.net is net
    }
    return made


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, not of the clock: other work on the machine disturbs that less."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


@dataclass(frozen=True)
class Measured:
    """Seconds, each the fastest of some rounds."""

    lark: float
    reading: float
    model: float
    checks: float

    @property
    def all_of_it(self) -> float:
        return self.reading + self.model + self.checks

    @property
    def ratio(self) -> float:
        return self.all_of_it / self.lark


def measure(bundle: Bundle, rounds: int) -> Measured:
    of_lark = [source for source in bundle.sources if source.format in BASELINE]
    asked = [parse for name in BASELINE for parse in parses(name, [s for s in of_lark if s.format == name])]
    best = [float("inf")] * 4
    for _ in range(rounds):
        read: list[Any] = []
        host: list[Host] = []
        fresh = [Source(s.path, s.text, s.command, s.scope, s.artifact, s.format) for s in bundle.sources]
        _lines.kept_meanings.cache_clear()
        times = (
            seconds(lambda: parse_all(asked)),
            seconds(lambda: read.extend(map(read_source, fresh))),  # noqa: B023 - called here
            seconds(lambda: host.append(build(bundle, read))),  # noqa: B023 - called here
            seconds(lambda: checks.run(checks.own_checks(), host[0])),  # noqa: B023 - called here
        )
        best = [min(pair) for pair in zip(best, times, strict=True)]
    return Measured(*best)


def slowest_checks(bundle: Bundle) -> list[tuple[float, str, str]]:
    """Of each check the seconds that it alone takes, and what it says. The first pays for what all of them share."""
    host = build(bundle, [document for source in bundle.sources if (document := read_source(source))])
    checks.run(checks.own_checks(), host)
    found = []
    for check in checks.own_checks():
        said: list[Verdict] = []
        taken = seconds(lambda: said.append(checks.run([check], host)[1][0].verdict))  # noqa: B023 - called here
        found.append((taken, check.name, said[0].value))
    return sorted(found, reverse=True)


def main() -> None:
    gc.set_threshold(100_000)  # as the command line does
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", default=SIZES, help="numbers of containers, with commas between them")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--checks", action="store_true", help="which checks take longest")
    options.add_argument("--whole", action="store_true", help="read all that the collector takes of a namespace")
    told = options.parse_args()
    sizes = [int(size) for size in told.sizes.split(",")]
    heads = ("containers", "rules", "lark", "reading", "model", "checks", "ratio", "times as long", "by container")
    _print(heads)
    first = 0.0
    for containers in sizes:
        bundle = host_with(containers, whole=told.whole)
        found = measure(bundle, told.rounds)
        rules = next(s.text for s in bundle.sources if s.artifact == "iptables-save").count(" -A ")
        first = first or found.all_of_it
        longer = found.all_of_it / first
        numbers = (found.lark, found.reading, found.model, found.checks, found.ratio, longer)
        by_container = longer * sizes[0] / containers
        _print([str(containers), str(rules), *(f"{number:.2f}" for number in (*numbers, by_container))])
    print(f"at most {GOAL} times lark alone: {'met' if found.ratio <= GOAL else 'MISSED'}")
    if told.checks:
        for taken, name, said in slowest_checks(bundle)[:15]:
            print(f"{name:40} {taken * 1000:8.0f} ms  {said}")


def _print(cells: Sequence[str]) -> None:
    print(" ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)), flush=True)


if __name__ == "__main__":
    main()
