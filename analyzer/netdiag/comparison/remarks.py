"""What the differences mean: the few kinds of change that explain an outage, each with its name.

A remark is no finding: nothing need be wrong with the host now. Its name is kept once released, like a check's.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from netdiag.comparison.counters import Growth
from netdiag.comparison.facts import Change, How, Two
from netdiag.comparison.rules import ChainPair
from netdiag.finding import Severity
from netdiag.formats.records import Container
from netdiag.model import Host
from netdiag.model.expected import Expected, missing_rules, specification
from netdiag.model.gates import bridge_name, is_local_bridge, is_running, table_known
from netdiag.spans import Place

#: Of many lines that show the same these are shown.
_MOST_SHOWN = 5

#: Settings of the host's namespace on which the way of packets hangs, by the end of their names.
_WATCHED = (
    *("net.ipv4.ip_forward", ".forwarding", ".rp_filter", ".route_localnet", ".arp_ignore", ".disable_ipv6"),
    *("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"),
)
_OF_INTERFACE = re.compile(r"net\.ipv4\.conf\..+\.forwarding")
_WATCHED_CHAINS = ("filter INPUT", "filter FORWARD", "filter OUTPUT", "ipv6 filter FORWARD", "ipv6 filter INPUT")

#: So many packets may be lost between two looks at any host.
_FEW_LOST = 10
_RETRANSMITTED = 0.01


class Side(Enum):
    """Which of the two bundles."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Shown:
    """A place in one of the bundles, and a few words on what it shows."""

    side: Side
    place: Place
    label: str


@dataclass(frozen=True)
class Remark:
    """A named meaning of what changed. `message` is one sentence without a full stop, `why` says what follows."""

    name: str
    severity: Severity
    message: str
    why: str
    shown: tuple[Shown, ...]


def remarks(
    both: Two, found: Sequence[Change], chains: Sequence[ChainPair], grown: Sequence[Growth]
) -> tuple[Remark, ...]:
    """All that can be said of the changes, worst first."""
    told = [
        *_rules_vanished(both, chains),
        *_flipped(found),
        *_addresses_changed(both, found),
        *_losses(both, grown),
        *_backend_switched(both, found),
        *_bridges_recreated(both),
    ]
    return tuple(sorted(told, key=lambda remark: (remark.severity.rank, remark.name)))


# --- rules ------------------------------------------------------------------------------------------------------------


def _rules_vanished(both: Two, chains: Iterable[ChainPair]) -> Iterator[Remark]:
    """Rules that the engine must have programmed for what runs now, that it had programmed, and that are gone.

    Containers that ended, networks that were removed and another version of the engine want other rules: what they take
    with them did not vanish.
    """
    wanted: dict[tuple[str, ...], Expected] = {}
    for each in missing_rules(both.after):
        rule = each.rule
        if table_known(both.after, rule.table, rule.family).yes:
            text = both.new.canonical(both.after.root, specification(rule))
            wanted.setdefault((rule.family, rule.table, rule.chain, text), each)
    gone = [
        (pair, line, wanted[key])
        for pair in chains
        if pair.of == both.after.root.name
        for line in pair.rules.removed
        if (key := (pair.family, pair.table, pair.name, line.canonical)) in wanted
    ]
    if gone:
        places = list(dict.fromkeys(pair.words for pair, _, _ in gone))
        yield Remark(
            "diff-rules-vanished",
            Severity.ERROR,
            f"{_count(gone, 'rule')} of Docker {_is(gone)} gone from {_few(places, 'chain')}, "
            f"but {_whom([each for _, _, each in gone])} still there",
            "Something else than Docker took them away: a reload of the firewall, `iptables -F`, a script. Docker does "
            "not notice, and puts them back only when it or the container is started again." + _set_back(both),
            tuple(Shown(Side.BEFORE, line.place, "gone") for _, line, _ in gone[:_MOST_SHOWN]),
        )


def _whom(gone: Iterable[Expected]) -> str:
    """Whom the rules served, with the verb: the containers if any did, and the networks."""
    containers = sorted({each.container.name for each in gone if each.container})
    networks = sorted({each.network.name for each in gone if each.network and not each.container})
    whom = [
        *([f"network{'' if len(networks) == 1 else 's'} {_few(networks, 'network')}"] if networks else []),
        *([f"container{'' if len(containers) == 1 else 's'} {_few(containers, 'container')}"] if containers else []),
    ]
    return f"{' and '.join(whom) or 'Docker'} {'is' if len(containers) + len(networks) < 2 else 'are'}"


def _few(names: Sequence[str], noun: str) -> str:
    """The first names, and how many more there are."""
    if len(names) <= _MOST_SHOWN:
        return ", ".join(names)
    more = names[_MOST_SHOWN - 1 :]
    return f"{', '.join(names[: _MOST_SHOWN - 1])} and {_count(more, f'more {noun}')}"


def _set_back(both: Two) -> str:
    """Whether the counters of chains tell that the tables were loaded anew."""
    heads = [
        {
            (t.family, t.name, c.name): c.head.counters.packets
            for t in host.root.firewall
            for c in t.chains.values()
            if c.head.counters
        }
        for host in (both.before, both.after)
    ]
    back = [key for key in heads[0].keys() & heads[1].keys() if heads[1][key] < heads[0][key]]
    return " The counters of the chains were set back: the whole tables were loaded anew." if back else ""


def _backend_switched(both: Two, found: Iterable[Change]) -> Iterator[Remark]:
    """iptables, or Docker, programs another backend than before."""
    switched = [c for c in found if c.kind == "engine" and c.what == "backend"]
    drivers = [host.engine.info.firewall_driver if host.engine.info else None for host in (both.before, both.after)]
    tools = ", ".join(f"{c.name} from {c.before} to {c.after}" for c in switched)
    shown = [shown for change in switched for shown in _both_sides(change)]
    told = tools
    if all(drivers) and drivers[0] != drivers[1]:
        told = ", ".join(filter(None, (tools, f"Docker from {drivers[0]} to {drivers[1]}")))
        for side, host in ((Side.BEFORE, both.before), (Side.AFTER, both.after)):
            if host.engine.info:
                shown.append(Shown(side, host.engine.info.place, "the engine's driver"))
    if not told:
        return
    old = {change.before for change in switched}
    left = [
        chain
        for table in both.after.root.firewall
        if table.backend in old
        for chain in table.chains.values()
        if chain.name.startswith("DOCKER")
    ]
    rest = f"; {_count(left, 'chain')} of Docker {_is(left)} left in the old one" if left else ""
    yield Remark(
        "diff-firewall-backend-switched",
        Severity.ERROR if left else Severity.WARNING,
        f"the firewall's backend was switched: {told}{rest}",
        "Packets meet the rules of both backends: what the old one drops or translates stays in force, and the new "
        "command does not show it. A restart of the host, or flushing the old backend, ends it.",
        (*shown, *(Shown(Side.AFTER, chain.head.span, "left in the old backend") for chain in left[:_MOST_SHOWN])),
    )


# --- settings ---------------------------------------------------------------------------------------------------------


def _flipped(found: Iterable[Change]) -> Iterator[Remark]:
    """Settings of the kernel and policies of chains that let packets pass or not."""
    watched = [change for change in found if _is_watched(change)]
    forwarding = next((change.after for change in watched if change.name == "net.ipv4.ip_forward"), None)
    # net.ipv4.ip_forward sets the forwarding of every interface.
    flipped = [c for c in watched if not (_OF_INTERFACE.fullmatch(c.name) and c.after == forwarding)]
    flipped.sort(key=lambda change: change.name != "net.ipv4.ip_forward")
    if not flipped:
        return
    # Docker switches forwarding on when it starts, and then closes FORWARD.
    by_docker = forwarding == "1"
    closing = any(_closes(change) and not (by_docker and change.name == "filter FORWARD") for change in flipped)
    loosening = by_docker and all(change.name in ("filter FORWARD",) or change.after == "1" for change in flipped)
    severity = Severity.ERROR if closing else Severity.NOTE if loosening else Severity.WARNING
    words = ", ".join(f"{change.name} from {change.before} to {change.after}" for change in flipped)
    by_others = (
        "Docker sets these when it starts. It does not notice when `sysctl --system`, a firewall or a script sets them "
        "otherwise."
    )
    yield Remark(
        "diff-policy-or-sysctl-flipped",
        severity,
        f"what lets packets pass was set otherwise: {words}",
        "Docker's own start does this." if severity is Severity.NOTE else by_others,
        tuple(shown for change in flipped[:_MOST_SHOWN] for shown in _both_sides(change)),
    )


def _is_watched(change: Change) -> bool:
    if change.kind == "policy":
        return change.name in _WATCHED_CHAINS
    return change.kind == "sysctl" and change.name.startswith("net.") and change.name.endswith(_WATCHED)


def _closes(change: Change) -> bool:
    """Whether the change can stop packets that passed before."""
    if change.kind == "policy":
        return change.after in ("DROP", "REJECT")
    if change.name.endswith((".rp_filter", ".arp_ignore", ".disable_ipv6")):
        return change.after != "0"
    return change.after == "0" and not change.name.startswith("net.bridge")


# --- addresses --------------------------------------------------------------------------------------------------------


def _addresses_changed(both: Two, found: Iterable[Change]) -> Iterator[Remark]:
    """Containers and networks with other addresses, and who still uses an old one."""
    renumbered = [
        change
        for change in found
        if (change.kind == "container" and change.how is How.RENUMBERED)
        or (change.kind == "network" and change.what in ("subnets", "gateways"))
    ]
    if not renumbered:
        return
    words = ", ".join(f"{change.name} from {change.before} to {change.after}" for change in renumbered)
    old = {change.before: change.name for change in renumbered if change.kind == "container"}
    users = list(_users_of(both.after, old))
    rest = f"; {_count(users, 'place')} still {'uses' if len(users) == 1 else 'use'} an old one" if users else ""
    yield Remark(
        "diff-ip-changed",
        Severity.WARNING if users else Severity.NOTE,
        f"addresses changed: {words}{rest}",
        "Addresses of containers go by the order in which they start. Whoever wrote one down, or looked it up once and "
        "kept it, now talks to nobody or to another container: use names, or give the container a fixed address.",
        (
            *(shown for change in renumbered[:_MOST_SHOWN] for shown in _both_sides(change)),
            *(Shown(Side.AFTER, place, f"still has {address}") for address, place in users[:_MOST_SHOWN]),
        ),
    )


def _users_of(host: Host, old: "dict[str, str]") -> Iterator[tuple[str, Place]]:
    """Where the second bundle has an old address of a container: in a name's entry or a command line.

    An address that another container has now may be meant for that one. Rules of Docker are the business of a check.
    """
    for netns in host.namespaces:
        own = {str(address.address.ip) for link in netns.links for address in link.addresses}
        for names in netns.names:
            if str(names.address) in old.keys() - own:
                yield str(names.address), names.span
    for container in host.containers:
        for address in old:
            if any(_mentions(text, address) for text in container.arguments):
                yield address, container.place


def _mentions(text: str, address: str) -> bool:
    """Whether the address stands in a text, and not as a part of a longer one."""
    before, found, behind = text.partition(address)
    return bool(found) and not before[-1:].isalnum() and not (behind[:1].isalnum())


# --- counters ---------------------------------------------------------------------------------------------------------


def _losses(both: Two, grown: Sequence[Growth]) -> Iterator[Remark]:
    """Counters of loss that grew by more than any host loses."""
    losses = [each for each in grown if _is_worth_telling(both.after, each, grown)]
    if losses:
        few = "; ".join(each.words for each in losses[:_MOST_SHOWN])
        more = f"; and {len(losses) - _MOST_SHOWN} more" if len(losses) > _MOST_SHOWN else ""
        yield Remark(
            "diff-counter-deltas",
            Severity.WARNING,
            f"packets were lost between the two: {few}{more}",
            "The counter that grows says where: at a queue that is full, at a device, in connection tracking, at a "
            "socket that is not read.",
            tuple(
                shown
                for each in losses[:_MOST_SHOWN]
                for shown in (
                    Shown(Side.BEFORE, each.before_span, f"{each.counter} was {each.before}"),
                    Shown(Side.AFTER, each.after_span, f"{each.counter} is {each.after}"),
                )
            ),
        )


#: Counters that grow when a packet of somebody is lost; others that sound like loss also grow in peace.
_TOLD = (
    *("rx.dropped", "tx.dropped", "rx.errors", "tx.errors", "dropped", "insert_failed", "drop", "early_drop"),
    *("UdpRcvbufErrors", "UdpSndbufErrors", "TcpExtListenDrops", "TcpExtListenOverflows", "TcpRetransSegs"),
)


def _is_worth_telling(host: Host, each: Growth, grown: Iterable[Growth]) -> bool:
    if each.counter not in _TOLD or each.grown < _FEW_LOST or _has_no_carrier(host, each):
        return False
    if each.counter != "TcpRetransSegs":
        return True
    sent = sum(other.grown for other in grown if (other.scope, other.counter) == (each.scope, "TcpOutSegs"))
    return each.grown > sent * _RETRANSMITTED


def _has_no_carrier(host: Host, each: Growth) -> bool:
    """Whether nobody is behind the device: what is sent to an idle bridge is dropped there, and nobody misses it."""
    netns = next((netns for netns in host.namespaces if netns.name == each.scope), None)
    link = netns.link(each.owner) if netns else None
    return bool(link and link.flags is not None and "LOWER_UP" not in link.flags)


# --- bridges ----------------------------------------------------------------------------------------------------------


def _bridges_recreated(both: Two) -> Iterator[Remark]:
    """A bridge of a network that is another device now, while the network and its containers are the same."""
    anew = []
    for network in both.after.networks:
        old = both.before.network(network.id)
        name = bridge_name(both.after, network)
        links = (both.before.root.link(name), both.after.root.link(name))
        if old is None or not is_local_bridge(both.after, network).yes or None in links:
            continue
        before, after = links
        if before and after and before.index and after.index and before.index != after.index:
            stayed = [each for each in _members(both.after, network.id) if _ran_on(both.before, each)]
            if stayed:
                anew.append((network.name, before, after, stayed))
    if anew:
        words = "; ".join(
            f"{link.name} of {name} under {_count(stayed, 'running container')}" for name, _, link, stayed in anew
        )
        yield Remark(
            "diff-bridge-recreated",
            Severity.WARNING,
            f"a bridge was made anew: {words}",
            "The veths of running containers do not come back to a new bridge by themselves, and containers and host "
            "may keep the old bridge's MAC address for a while. Starting the containers again puts it right.",
            tuple(
                shown
                for _, before, after, _ in anew[:_MOST_SHOWN]
                for shown in (
                    Shown(Side.BEFORE, before.span, f"ifindex {before.index}"),
                    Shown(Side.AFTER, after.span, f"ifindex {after.index}"),
                )
            ),
        )


def _members(host: Host, network_id: str) -> list[Container]:
    on_it = (c for c in host.containers if any(endpoint.network_id == network_id for endpoint in c.endpoints))
    return [container for container in on_it if is_running(container).yes]


def _ran_on(host: Host, container: Container) -> bool:
    """Whether the container ran already then, and was not started again since."""
    old = host.container(container.id)
    return old is not None and old.started is not None and old.started == container.started


# --- words ------------------------------------------------------------------------------------------------------------


def _both_sides(change: Change) -> Iterator[Shown]:
    if change.before_place:
        yield Shown(Side.BEFORE, change.before_place, change.before)
    if change.after_place:
        yield Shown(Side.AFTER, change.after_place, change.after)


def _count(things: Sequence[object], noun: str) -> str:
    return f"1 {noun}" if len(things) == 1 else f"{len(things)} {noun}s"


def _is(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"
