"""iproute2's own JSON as an oracle: what `ip -j` and `bridge -j` say of an object, in the words of the records.

Every record and every JSON object becomes a flat table of words and values; the two tables must be equal. What only one
of the two outputs tells stands in `NOT_IN_TEXT` and `NOT_IN_JSON`, each with its reason: there is no other exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from fnmatch import fnmatchcase
from typing import Any

Told = dict[str, str]

FOREVER = 4294967295

# of a pattern of the flat table's words: why JSON has it and the text has not
NOT_IN_TEXT = {
    "macvlan.macaddr_count": "the text has it in parentheses before the addresses, and the record counts them itself",
    "geneve.df": "the text has it only when it is set",
    "vxlan.df": "the text has it only when it is set",
    "rx_errors.overrun": "the text has it only with -s -s",
    **dict.fromkeys(
        ("refcnt", "used", "confirmed", "updated", "probes"), "`ip -s neigh`: ages and counts are not kept"
    ),
}
# of a pattern of the flat table's words: why the text has it and JSON has not
NOT_IN_JSON = {
    "rx.missed": "JSON has it only with -s -s",
    "bridge_slave.mcast_fast_leave": "the text says twice what JSON says once, as fastleave",
}
# before the value of a metric that path MTU discovery must not change: JSON has only the value
LOCK = "lock "
# the heading that iproute2 5.10 prints in full
SHORTENED = "tx_errors.heartbt"
# clocks that begin anew every now and then: only their presence can be compared
TIMERS = ("*_timer",)
# clocks that run between the two commands
RUNNING = ("*_lft", "expires", "used")
RUNNING_WITHIN_S = 15

_LINK_WORDS = {
    "ifname": "name",
    "ifindex": "index",
    "link_index": "peer_index",
    "link": "peer_name",
    "link_netnsid": "peer_netns",
    "operstate": "state",
    "linkmode": "mode",
    "txqlen": "qlen",
    "link_type": "link",
    "broadcast": "brd",
    "min_mtu": "minmtu",
    "max_mtu": "maxmtu",
    "inet6_addr_gen_mode": "addrgenmode",
    "num_tx_queues": "numtxqueues",
    "num_rx_queues": "numrxqueues",
    "ifalias": "alias",
    "altnames": "altname",
}


def text(value: Any) -> str:
    """A JSON value as iproute2 prints it in text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return " ".join(map(text, value))
    return str(value)


def told_by_record(record: Any) -> Told:
    """A record's fields by their names; what is None or empty is not told."""
    told: Told = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name == "details":
            told |= value
        elif field.name == "span" or value is None or value == ():
            continue
        elif isinstance(value, tuple) and is_dataclass(value[0]):
            for number, item in enumerate(value):
                told |= {f"{field.name}.{number}.{key}": text_ for key, text_ in told_by_record(item).items()}
        else:
            told[field.name] = " ".join(map(str, value)) if isinstance(value, tuple) else text(value)
    if SHORTENED in told:
        told["tx_errors.heartbeat"] = told.pop(SHORTENED)
    return told


def differences(told: Iterable[Told], expected: Iterable[Told]) -> list[str]:
    """Lines in which two lists of objects differ, after what only one of the outputs can tell."""
    told, expected = list(told), list(expected)
    found = [] if len(told) == len(expected) else [f"{len(told)} records, {len(expected)} JSON objects"]
    for number, (ours, theirs) in enumerate(zip(told, expected, strict=False)):
        for word in sorted({*ours, *theirs}):
            only = NOT_IN_JSON if word not in theirs else NOT_IN_TEXT if word not in ours else {}
            if not _same(word, ours.get(word), theirs.get(word)) and not _any(only, word):
                found.append(f"{number} {word}: {ours.get(word)!r}, in JSON {theirs.get(word)!r}")
    return found


def _same(word: str, ours: str | None, theirs: str | None) -> bool:
    if ours is None or theirs is None or ours == theirs:
        return ours == theirs
    if ours.removeprefix(LOCK) == theirs:
        return True
    if _any(TIMERS, word):
        return True
    pairs = zip(re.findall(r"\d+", ours), re.findall(r"\d+", theirs), strict=False)
    alike = re.sub(r"\d+", "N", ours) == re.sub(r"\d+", "N", theirs)
    return _any(RUNNING, word) and alike and all(abs(int(a) - int(b)) <= RUNNING_WITHIN_S for a, b in pairs)


def _any(patterns: Iterable[str], word: str) -> bool:
    return any(fnmatchcase(word, pattern) for pattern in patterns)


def link(value: Mapping[str, Any], names: Mapping[int, str]) -> Told:
    """A link of `ip link` or `ip address`; `names` are the namespaces that have a name, by their number here."""
    rest = _with_peer(value)
    told: Told = {}
    told |= _addresses(rest)
    told |= _link_layer(rest)
    told |= _kind(rest.pop("linkinfo", {}))
    told |= _counters(rest.pop("stats64", {}))
    if "link_netnsid" in rest:
        rest["link_netnsid"] = names.get(rest["link_netnsid"], rest["link_netnsid"])
    if rest.pop("netns-immutable", False):
        told["netns-immutable"] = ""
    return told | {_LINK_WORDS.get(key, key): text(item) for key, item in rest.items()}


def _with_peer(value: Mapping[str, Any]) -> dict[str, Any]:
    """A peer that has no name here is sometimes called `if6` in JSON as well; that of `gre0@NONE` is null."""
    rest = dict(value)
    peer = rest.pop("link", None)
    if without_name := re.fullmatch(r"if(\d+)", peer or ""):
        rest["link_index"] = without_name[1]
    elif peer:
        rest["link"] = peer
    return rest


def _addresses(rest: dict[str, Any]) -> Told:
    told: Told = {}
    for number, item in enumerate(rest.pop("addr_info", [])):
        told |= {f"addresses.{number}.{key}": value for key, value in _address(dict(item), rest).items()}
    return told


def _address(rest: dict[str, Any], of_link: dict[str, Any]) -> Told:
    """`-o` names the link in each of its addresses."""
    if "index" in rest:
        of_link |= {"ifindex": rest.pop("index"), "ifname": rest.pop("dev")}
    rest.pop("family", None)
    local, length = rest.pop("local"), rest.pop("prefixlen")
    own_length = length
    told: Told = {}
    if "address" in rest:
        own_length = 128 if ":" in local else 32
        told["peer"] = f"{rest.pop('address')}/{length}"
    told["address"] = f"{local}/{own_length}"
    for name, word in (("valid_life_time", "valid_lft"), ("preferred_life_time", "preferred_lft")):
        if name in rest:
            seconds = rest.pop(name)
            told[word] = "forever" if seconds == FOREVER else f"{seconds}sec"
    flags = [key for key, item in rest.items() if item is True]
    if flags:
        told["flags"] = " ".join(flags)
    words = {"protocol": "proto"}
    return told | {words.get(key, key): text(item) for key, item in rest.items() if item is not True}


def _link_layer(rest: dict[str, Any]) -> Told:
    """A MAC address is a field of its own; `peer` stands for the broadcast address of a point-to-point link."""
    told: Told = {}
    kind = rest.get("link_type")
    if "address" in rest:
        address = rest.pop("address")
        is_mac = kind == "ether" or (kind is None and address.count(":") == 5)
        told["mac" if is_mac else "link_address"] = address
    if rest.pop("link_pointtopoint", False):
        told["peer"] = rest.pop("broadcast")
    return told


def _kind(linkinfo: Mapping[str, Any]) -> Told:
    told: Told = {}
    kind, port = linkinfo.get("info_kind"), linkinfo.get("info_slave_kind")
    if kind:
        told["kind"] = kind
        told |= _words_of_kind(kind, linkinfo.get("info_data", {}))
    if port:
        told |= _words_of_kind(f"{port}_slave", linkinfo.get("info_slave_data", {}))
    return told


# the words of the text, where they are others than those of JSON
_KIND_WORDS = {
    "bridge.root_id": "designated_root",
    "bridge.group_addr": "group_address",
    "bridge.mcast_last_member_cnt": "mcast_last_member_count",
    "bridge.mcast_last_member_intvl": "mcast_last_member_interval",
    "bridge.mcast_membership_intvl": "mcast_membership_interval",
    "bridge.mcast_querier_intvl": "mcast_querier_interval",
    "bridge.mcast_query_intvl": "mcast_query_interval",
    "bridge.mcast_query_response_intvl": "mcast_query_response_interval",
    "bridge.mcast_startup_query_cnt": "mcast_startup_query_count",
    "bridge.mcast_startup_query_intvl": "mcast_startup_query_interval",
    "bridge_slave.id": "port_id",
    "bridge_slave.no": "port_no",
    "bridge_slave.root_id": "designated_root",
    "bridge_slave.bridge_id": "designated_bridge",
    "bridge_slave.multicast_router": "mcast_router",
    "macvlan.macaddr_data": "remotes",
    "vxlan.link": "dev",
    "vxlan.port": "dstport",
    "geneve.port": "dstport",
    "netkit.peer_policy": "peer policy",
    "netkit.peer_scrub": "peer scrub",
    "vxlan.limit": "maxaddr",
    "vxlan.local6": "local",
    "vxlan.remote6": "remote",
    "vxlan.group6": "group",
    "bond.ad_lacp_active": "lacp_active",
    "bond.ad_lacp_rate": "lacp_rate",
    "bond.num_peer_notif": "num_grat_arp",
    "bond.arp_ip_target": "arp_ip_target",
    "ip6tnl.encap_limit": "encaplimit",
    "ip6tnl.ttl": "hoplimit",
    "ip6gre.encap_limit": "encaplimit",
    "ip6gre.ttl": "hoplimit",
}
# the words without a value that the text has for true and for false; None for nothing
_FLAG_WORDS: dict[str, tuple[str | None, str | None]] = {
    "learning": (None, "nolearning"),
    "udp_csum": ("udpcsum", "noudpcsum"),
    "udp_zero_csum6_tx": ("udp6zerocsumtx", "noudp6zerocsumtx"),
    "udp_zero_csum6_rx": ("udp6zerocsumrx", "noudp6zerocsumrx"),
    "pmtudisc": ("pmtudisc", "nopmtudisc"),
    "ignore_df": ("ignore-df", None),
    "localbypass": ("localbypass", "nolocalbypass"),
}
_FLAGS = (
    "proxy",
    "rsc",
    "l2miss",
    "l3miss",
    "gbp",
    "gpe",
    "external",
    "vnifilter",
    "multi_queue",
    "private",
    "vepa",
    "bridge",
)
_LATER_VXLAN_FLAGS = (
    "learning",
    "udp_csum",
    "udp_zero_csum6_tx",
    "udp_zero_csum6_rx",
    "remcsum_tx",
    "remcsum_rx",
    "localbypass",
)
_SILENT_ON_PMTUDISC = ("gre", "gretap", "erspan")
_TUNNELS = ("gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan", "ipip", "sit", "ip6tnl", "vti", "vti6")


def _words_of_kind(kind: str, data: Mapping[str, Any]) -> Told:
    told: Told = {}
    for key, value in _rearranged(kind, data).items():
        true, false = (key, None) if key in _FLAGS else _FLAG_WORDS.get(key, (None, None))
        if key == "pmtudisc" and kind in _SILENT_ON_PMTUDISC:
            true = None
        if isinstance(value, bool) and (true or false) and not kind.endswith("_slave"):
            told |= {f"{kind}.{word}": "" for word in [true if value else false] if word}
        else:
            told[f"{kind}.{_KIND_WORDS.get(f'{kind}.{key}', key)}"] = text(value)
    return told


def _rearranged(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the text puts in another form than a word and its value."""
    rest = dict(data)
    if kind == "vlan":
        rest["flags"] = ",".join(rest.pop("flags", []))
        for direction in ("ingress", "egress"):
            if f"{direction}_qos" in rest:
                pairs = " ".join(f"{pair['from']}:{pair['to']}" for pair in rest.pop(f"{direction}_qos"))
                rest[f"{direction}-qos-map"] = f"{{ {pairs} }}"
    if kind == "geneve":
        rest |= {"ttl": rest.get("ttl") or "auto"}
    if kind == "vxlan":
        ports = rest.pop("port_range", None)
        rest |= {"srcport": f"{ports['low']} {ports['high']}"} if ports else {}
        if "remcsum_tx" in rest:  # later versions print what is not as usual
            usual = {"learning": True, "udp_csum": True, "localbypass": True}
            words = [(key, rest.pop(key)) for key in _LATER_VXLAN_FLAGS if key in rest]
            rest |= {key if on else f"no{key}": None for key, on in words if on is not usual.get(key, False)}
        rest |= {"ttl": rest["ttl"] or "auto"} if "ttl" in rest else {}
        rest |= {"tos": "inherit"} if rest.get("tos") == "0x1" else {}
    if kind == "bond":
        rest |= {key: ",".join(rest[key]) for key in ("arp_ip_target", "ns_ip6_target") if rest.get(key)}
        rest |= {"arp_validate": rest.get("arp_validate") or "none"}
    if kind in _TUNNELS:
        rest |= {"ttl": rest["ttl"] or "inherit"} if "ttl" in rest else {}
        rest |= {rest.pop("proto"): None} if "proto" in rest else {}
        if "prefixlen" in rest:
            rest["6rd-prefix"] = f"{rest.pop('prefix')}/{rest.pop('prefixlen')}"
    return rest


_COUNTER_WORDS = {
    "rx.multicast": "rx.mcast",
    "rx.missed_errors": "rx.missed",
    "rx.over_errors": "rx_errors.overrun",
    "rx.length_errors": "rx_errors.length",
    "rx.otherhost": "rx_errors.otherhost",
    "rx.crc_errors": "rx_errors.crc",
    "rx.frame_errors": "rx_errors.frame",
    "rx.fifo_errors": "rx_errors.fifo",
    "tx.carrier_errors": "tx.carrier",
    "tx.collisions": "tx.collsns",
    "tx.aborted_errors": "tx_errors.aborted",
    "tx.fifo_errors": "tx_errors.fifo",
    "tx.window_errors": "tx_errors.window",
    "tx.heartbeat_errors": "tx_errors.heartbeat",
    "tx.carrier_changes": "tx_errors.transns",
}


def _counters(stats: Mapping[str, Any]) -> Told:
    counters = {f"{way}.{key}": value for way, values in stats.items() for key, value in values.items()}
    return {_COUNTER_WORDS.get(key, key): text(value) for key, value in counters.items()}


_HOP_WORDS = {"dev": "device"}
_ROUTE_WORDS = {"prefsrc": "source", "congestion": "congctl"}
_MILLISECONDS = ("rtt", "rttvar", "rto_min")


def route(value: Mapping[str, Any], *, all_tables: bool) -> Told:
    """A route of `ip route`; what names no table in a listing of `all_tables` is of the table main."""
    rest = dict(value)
    told = {"type": rest.pop("type", "unicast"), "destination": _network(rest)}
    if all_tables:
        told["table"] = "main"
    hops = rest.pop("nexthops", [])
    flags = rest.pop("flags", [])
    if not hops and ("dev" in rest or "gateway" in rest or "via" in rest):
        hops = [{key: rest.pop(key) for key in ("gateway", "via", "dev", "weight") if key in rest} | {"flags": flags}]
    elif flags:
        told["flags"] = text(flags)
    for number, hop in enumerate(hops):
        told |= {f"next_hops.{number}.{key}": item for key, item in _way(dict(hop)).items()}
    told |= _encapsulation(rest)
    told |= _realms(rest)
    told |= {key: _metric(key, item) for key, item in rest.pop("metrics", [{}])[0].items() if key != "ecn"}
    if any("ecn" in metrics for metrics in value.get("metrics", [])):
        told["features"] = "ecn"
    if "expires" in rest:
        told["expires"] = f"{rest.pop('expires')}sec"
    if "nh_info" in rest:
        told |= _next_hop_of_route(dict(rest.pop("nh_info")))
    return {_ROUTE_WORDS.get(key, key): item for key, item in (told | {k: text(v) for k, v in rest.items()}).items()}


def _network(rest: dict[str, Any]) -> str:
    destination = str(rest.pop("dst"))
    telling = [str(rest.get(key, "")) for key in ("gateway", "from", "prefsrc")]
    if destination == "default":
        return "::/0" if "pref" in rest or any(":" in address for address in telling) else "0.0.0.0/0"
    return destination if "/" in destination else f"{destination}/{128 if ':' in destination else 32}"


def _way(hop: dict[str, Any]) -> Told:
    told = _encapsulation(hop) | _realms(hop)
    if "via" in hop:
        told["gateway"] = hop.pop("via")["host"]
    if flags := hop.pop("flags", []):
        told["flags"] = text(flags)
    return told | {_HOP_WORDS.get(key, key): text(item) for key, item in hop.items()}


def _realms(rest: dict[str, Any]) -> Told:
    realms = rest.pop("flow", {})
    return {"realms": "/".join(realms[key] for key in ("from", "to") if key in realms)} if realms else {}


def _metric(key: str, value: Any) -> str:
    return f"{value}ms" if key in _MILLISECONDS else text(value)


def _encapsulation(rest: dict[str, Any]) -> Told:
    """The words between `encap` and the way of the wrapped packet. Keys that JSON has twice end in `.2`."""
    kind = rest.pop("encap", None)
    if isinstance(kind, dict):  # iproute2 6.7 and later
        rest, kind = dict(kind), kind["encap_type"]
    match kind:
        case None:
            return {}
        case "mpls":
            words = [rest.pop("dst.2" if "dst.2" in rest else "dst")]
        case "seg6":
            segments = rest.pop("segs")
            words = ["mode", rest.pop("mode"), "segs", len(segments), "[", *segments, "]"]
        case "seg6local":
            words = ["action", rest.pop("action"), "nh4", rest.pop("nh4")]
        case _:
            words = []
    return {"encap": " ".join(map(str, [kind, *words]))}


def _next_hop_of_route(rest: dict[str, Any]) -> Told:
    counted = {f"stats.{member['id']}": text(member["packets"]) for member in rest.pop("group_stats", [])}
    hardware = rest.pop("hw_stats", {})
    words = ["hw_stats", text(hardware["enabled"]), "used", text(hardware["used"])] if hardware else []
    return {"nh_info": " ".join([_next_hop_in_words(rest), *words]), **counted}


def _next_hop_in_words(value: Mapping[str, Any]) -> str:
    """`nh_info` as `ip -d route` prints it: the words of `ip nexthop`."""
    told = next_hop(value)
    told["group"] = "/".join(
        f"{item['id']},{item['weight']}" if "weight" in item else str(item["id"]) for item in value.get("group", [])
    )
    order = (("id", "id"), ("group", "group"), ("gateway", "via"), ("device", "dev"), ("scope", "scope"))
    words = [f"{word} {told[key]}" for key, word in order if told.get(key)]
    flags = told.get("flags", "").split()
    blackhole = [flag for flag in flags if flag == "blackhole"]
    return " ".join([*words, *blackhole, f"proto {told['protocol']}", *(flag for flag in flags if flag != "blackhole")])


def next_hop(value: Mapping[str, Any]) -> Told:
    """An object of `ip nexthop`."""
    rest = dict(value)
    told = _encapsulation(rest)
    for number, member in enumerate(rest.pop("group", [])):
        told |= {f"group.{number}.id": str(member["id"]), f"group.{number}.weight": str(member.get("weight", 1))}
    if "via" in rest:
        told["gateway"] = rest.pop("via")["host"]
    words = [key for key in ("blackhole", "fdb") if key in rest]
    flags = [*(key for key in words if key == "blackhole"), *rest.pop("flags", []), *(k for k in words if k == "fdb")]
    if flags:
        told["flags"] = text(flags)
    rest |= rest.pop("resilient_args", {})
    return told | {_HOP_WORDS.get(key, key): text(item) for key, item in rest.items() if key not in words}


def rule(value: Mapping[str, Any]) -> Told:
    """A rule of `ip rule`: the selector and the action in the order in which they are printed."""
    has = value.__contains__
    selector = ["not"] if has("not") else []
    selector += ["from", _end(value, "src")]
    selector += ["to", _end(value, "dst")] if has("dst") else []
    for key in ("tos", "dsfield"):
        selector += [key, value[key]] if has(key) else []
    if has("fwmark"):
        selector += ["fwmark", "/".join([value["fwmark"], *([value["fwmask"]] if has("fwmask") else [])])]
    for key in ("iif", "oif"):
        selector += [key, value[key]] if has(key) else []
        selector += ["[detached]"] if has(f"{key}_detached") else []
    if has("uid_start"):
        selector += ["uidrange", f"{value['uid_start']}-{value['uid_end']}"]
    selector += ["ipproto", value["ipproto"]] if has("ipproto") else []
    for key in ("sport", "dport"):
        selector += [key, value[key]] if has(key) else []
        if has(f"{key}_start"):
            selector += [key, f"{value[f'{key}_start']}-{value[f'{key}_end']}"]
    for key in ("tun_id", "dscp", "flowlabel"):
        selector += [key, value[key]] if has(key) else []
    return {
        "priority": str(value["priority"]),
        "selector": " ".join(map(str, selector)),
        "action": " ".join(map(str, _action(value))),
    }


def _end(value: Mapping[str, Any], key: str) -> str:
    return f"{value[key]}/{value[f'{key}len']}" if f"{key}len" in value else str(value[key])


def _action(value: Mapping[str, Any]) -> list[Any]:
    has = value.__contains__
    words: list[Any] = []
    if has("table"):
        words += ["lookup", value["table"]]
        for key, word in (("suppress_prefixlen", "suppress_prefixlength"), ("suppress_ifgroup", "suppress_ifgroup")):
            words += [word, value[key]] if has(key) else []
    words += ["lookup", "[l3mdev-table]"] if has("l3mdev") else []
    if has("flow_to"):
        words += ["realms", "/".join(value[key] for key in ("flow_from", "flow_to") if has(key))]
    words += ["goto", value["goto"]] if has("goto") else []
    words += ["[unresolved]"] if has("unresolved") else []
    words += ["nop"] if has("nop") else []
    words += [value["action"]] if has("action") else []
    return [*words, "proto", value["protocol"]] if has("protocol") else words


_NEIGHBOUR_FLAGS = ("router", "proxy", "managed", "extern_learn", "extern_valid", "offload")


def neighbour(value: Mapping[str, Any]) -> Told:
    """An entry of `ip neigh`."""
    rest = dict(value)
    told = {"address": rest.pop("dst"), "device": rest.pop("dev")}
    flags = [key for key in rest if key in _NEIGHBOUR_FLAGS]
    if flags:
        told["flags"] = " ".join(flags)
    if "lladdr" in rest:
        told["mac"] = rest.pop("lladdr")
    return told | {key: text(item) for key, item in rest.items() if key not in flags}


def port(value: Mapping[str, Any]) -> Told:
    """A port of `bridge link`."""
    rest = _with_peer(value)
    words = {"ifindex": "index", "ifname": "name", "link_index": "peer_index", "link": "peer_name", "master": "bridge"}
    return {words.get(key, key): text(item) for key, item in rest.items()}


def fdb(value: Mapping[str, Any]) -> Told:
    """An entry of `bridge fdb`: the state stands among the flags."""
    rest = dict(value)
    told = {"device": rest.pop("ifname")}
    flags = [*rest.pop("flags", []), *([rest.pop("state")] if rest.get("state") else [])]
    rest.pop("state", None)
    if flags:
        told["flags"] = " ".join(flags)
    if "used" in rest:
        told["used"] = f"{rest.pop('used')}/{rest.pop('updated')}"
    words = {"master": "bridge", "viaIf": "via"}
    return told | {words.get(key, key): text(item) for key, item in rest.items()}


def vlans(value: Mapping[str, Any]) -> list[Told]:
    """The VLANs of one port of `bridge vlan`."""
    return [_vlan(dict(item)) | {"device": value["ifname"]} for item in value["vlans"]]


def _vlan(rest: dict[str, Any]) -> Told:
    """`-s` calls the number `vid`."""
    first = rest.pop("vlan", None) or rest.pop("vid")
    told = {"vlan": str(first), "last": str(rest.pop("vlanEnd", first))}
    if flags := rest.pop("flags", []):
        told["flags"] = " ".join(flags)
    return told | {re.sub(r"^([rt]x)_", r"\1.", key): text(item) for key, item in rest.items()}


def expected(name: str, command: str, values: Iterable[Any], names: Mapping[int, str]) -> list[Told]:
    """What the JSON of a command says, a table for each record of the format `name`."""
    objects = [value for value in values if value and value != {"addr_info": []}]
    match name:
        case "ip_addr":
            return [link(value, names) for value in objects]
        case "ip_route":
            return [route(value, all_tables="table all" in command) for value in objects]
        case "bridge_vlan":
            return [told for value in objects for told in vlans(value)]
        case "ip_netns":
            return [{key: text(item) for key, item in value.items()} for value in objects]
        case "ip_rule":  # the JSON does not tell the family: the kernel lists the rules of the one that was asked for
            family = "ipv6" if "-6" in command.split() else "ipv4"
            return [rule(value) | {"family": family} for value in objects]
    of_name = {"ip_neigh": neighbour, "ip_nexthop": next_hop, "bridge_link": port, "bridge_fdb": fdb}
    return [of_name[name](value) for value in objects]


def load(document: str) -> list[Any]:
    """The JSON of an iproute2 command. A key that an object has twice, as `dst` of a wrapped route, gets a `.2`."""
    return json.loads(document, object_pairs_hook=_keeping_all) if document.strip() else []


def _keeping_all(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        table[f"{key}.2" if key in table else key] = value
    return table


def format_of(command: str) -> str:
    """The format that reads a command of `iproute_outputs.txt`."""
    words = command.split()
    if words[0] == "bridge":
        return f"bridge_{words[-1]}"
    objects = {
        "route": "ip_route",
        "rule": "ip_rule",
        "neigh": "ip_neigh",
        "nexthop": "ip_nexthop",
        "netns": "ip_netns",
    }
    return next((objects[word] for word in words if word in objects), "ip_addr")


def bridge_id(text: str) -> str:
    """A bridge's id as brctl prints it; iproute2 leaves out the zeros at the beginning of a byte (`8000.2:42:...`)."""
    priority, _, mac = text.partition(".")
    return f"{priority}.{''.join(f'{int(byte, 16):02x}' for byte in mac.split(':'))}"


def namespace(value: Mapping[str, Any]) -> Told:
    """A namespace of `lsns -J`."""
    words = {"ns": "inode", "nprocs": "processes", "netnsid": "netns_id", "nsfs": "files"}
    rest = {key: item for key, item in value.items() if item is not None and item != "unassigned"}
    return {words.get(key, key): text(item).replace("\n", " ") for key, item in rest.items()}
