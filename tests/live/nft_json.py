"""The JSON of `nft -j list ruleset` as plain facts, to be compared with what the text was read as.

nft prints JSON from the kernel's answer with code that the text does not pass through. Both sides are brought to one
form: numbers decimal, times in seconds, lists sorted where nft's order has no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from netdiag.formats.records import (
    NftChain,
    NftElement,
    NftMatch,
    NftObject,
    NftRule,
    NftSet,
    NftStatement,
    NftTable,
)

Fact = dict[str, Any]

_ALONE = ("iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup")
_VERDICTS = ("accept", "drop", "return", "continue", "notrack")
_NATS = ("dnat", "snat", "masquerade", "redirect", "tproxy")
_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0}
_BYTES = {"bytes": 1, "kbytes": 1024, "mbytes": 1024**2, "gbytes": 1024**3}


def seconds(text: str) -> int:
    """`1h30m` as seconds."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|[wdhms])", text))


def octets(text: str) -> int:
    """`25 mbytes` as bytes."""
    number, unit = text.split()
    return int(number) * _BYTES[unit]


def decimal(text: str) -> str:
    """With each hexadecimal number as decimal."""
    return re.sub(r"\b0x[0-9a-f]+\b", lambda found: str(int(found[0], 16)), text)


# expressions of the JSON as the text says them


def said(value: Any) -> str:
    """An expression of the JSON in the words of the text. Raises `KeyError` for a kind that is not listed here."""
    if isinstance(value, bool):
        return "exists" if value else "missing"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list):
        return ",".join(map(said, value))
    ((kind, inner),) = value.items()
    if kind in ("&", "|", "^", "<<", ">>"):
        return f" {kind} ".join(_side(kind, side) for side in inner)
    return _SAYINGS[kind](inner)


def _side(operator: str, side: Any) -> str:
    """A side of a binary operator: several flags are a list up to nft 1.0, and since then an operation of their own."""
    if isinstance(side, list):
        return f"({' | '.join(side)})"
    return f"({said(side)})" if operator == "&" and isinstance(side, dict) and "|" in side else said(side)


def _meta(inner: Any) -> str:
    return inner["key"] if inner["key"] in _ALONE else f"meta {inner['key']}"


def _ct(inner: Any) -> str:
    return " ".join(filter(None, ("ct", inner.get("dir"), inner["key"])))


def _payload(inner: Any) -> str:
    if "base" in inner:
        return f"@{inner['base']},{inner['offset']},{inner['len']}"
    return f"{inner['protocol']} {inner['field']}"


def _numgen(inner: Any) -> str:
    offset = f" offset {inner['offset']}" if inner.get("offset") else ""
    return f"numgen {inner['mode']} mod {inner['mod']}{offset}"


def _jhash(inner: Any) -> str:
    seed = f" seed {inner['seed']}" if inner.get("seed") else ""
    offset = f" offset {inner['offset']}" if inner.get("offset") else ""
    return f"jhash {said(inner['expr'])} mod {inner['mod']}{seed}{offset}"


def _map(inner: Any) -> str:
    return f"{said(inner['key'])} map {said(inner['data'])}"


def _set(inner: Any) -> str:
    told = (
        f"{each['key']} : {each['value']}" if each["value"] is not None else each["key"] for each in elements(inner)
    )
    return f"{{ {', '.join(told)} }}"


_SAYINGS: Mapping[str, Any] = {
    "meta": _meta,
    "ct": _ct,
    "payload": _payload,
    "prefix": lambda inner: f"{said(inner['addr'])}/{inner['len']}",
    "range": lambda inner: "-".join(map(said, inner)),
    "concat": lambda inner: " . ".join(map(said, inner)),
    "fib": lambda inner: f"fib {' . '.join(_listed(inner['flags']))} {inner['result']}",
    "rt": lambda inner: " ".join(filter(None, ("rt", inner.get("family"), inner["key"]))),
    "socket": lambda inner: f"socket {inner['key']}",
    "exthdr": lambda inner: " ".join(
        filter(None, ("exthdr" if "field" not in inner else "", inner["name"], inner.get("field")))
    ),
    "tcp option": lambda inner: " ".join(filter(None, ("tcp option", inner["name"], inner.get("field")))),
    "numgen": _numgen,
    "jhash": _jhash,
    "map": _map,
    "set": _set,
    "elem": lambda inner: said(inner["val"]),
    "accept": lambda _: "accept",
    "drop": lambda _: "drop",
    "return": lambda _: "return",
    "continue": lambda _: "continue",
    "jump": lambda inner: f"jump {inner['target']}",
    "goto": lambda inner: f"goto {inner['target']}",
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def elements(listed: Iterable[Any]) -> list[Fact]:
    """The elements of a set or a map."""
    found = []
    for each in listed:
        key, value = each if isinstance(each, list) else (each, None)
        details = key["elem"] if isinstance(key, dict) and "elem" in key else {}
        found.append(
            {
                "key": said(key),
                "value": None if value is None else said(value),
                "comment": details.get("comment"),
                "timeout": details.get("timeout"),
                "counter": _counter(details["counter"]) if "counter" in details else None,
            }
        )
    return found


def _counter(inner: Any) -> Fact:
    if isinstance(inner, Mapping) and "packets" in inner:
        return {"packets": str(inner["packets"]), "bytes": str(inner["bytes"])}
    return {} if inner is None else {"name": said(inner)}


# statements


def statement(entry: Any) -> Fact:
    """A member of a rule's `expr`."""
    if isinstance(entry, str):
        return {"name": entry}
    ((kind, inner),) = entry.items()
    if kind == "match":
        return _match(inner)
    if kind == "vmap":
        anonymous = isinstance(inner["data"], dict)
        return {
            "name": "vmap",
            "key": said(inner["key"]),
            "map": None if anonymous else inner["data"],
            "elements": elements(inner["data"]["set"]) if anonymous else [],
        }
    return {"name": kind, **_details(kind, inner)} if kind not in _RENAMED else _RENAMED[kind](inner)


def _match(inner: Any) -> Fact:
    right = inner["right"]
    if isinstance(right, dict) and "set" in right:
        values = sorted(each["key"] for each in elements(right["set"]))
    else:
        values = sorted(map(said, _listed(right)))
    return {"left": said(inner["left"]), "operator": {"in": "=="}.get(inner["op"], inner["op"]), "values": values}


def _dynamic(inner: Any) -> Fact:
    stated = [statement(each) for each in inner.get("stmt", [])]
    elem = inner["elem"]
    timeout = elem["elem"].get("timeout") if isinstance(elem, dict) and "elem" in elem else None
    return {
        "name": inner["op"],
        "set": inner["set"],
        "key": said(elem),
        "timeout": timeout,
        "stated": [s["name"] for s in stated],
    }


_RENAMED = {
    "mangle": lambda inner: {"name": "set", "key": said(inner["key"]), "value": said(inner["value"])},
    "ct helper": lambda inner: {"name": "set", "key": "ct helper", "value": inner},
    "ct timeout": lambda inner: {"name": "set", "key": "ct timeout", "value": inner},
    "set": _dynamic,
}


def _details(kind: str, inner: Any) -> Fact:
    if kind in _VERDICTS:
        return {}
    if kind in ("jump", "goto"):
        return {"target": inner["target"]}
    if kind == "counter":
        return _counter(inner)
    if kind == "limit":
        return _limit(inner) if isinstance(inner, dict) else {"name_of": inner}
    if kind == "quota":
        return (
            {"over": inner.get("inv", False), "bytes": octets(f"{inner['val']} {inner['val_unit']}")}
            if isinstance(inner, dict)
            else {"name_of": inner}
        )
    if kind == "log":
        return {
            **{name: str(value) for name, value in (inner or {}).items() if name != "flags"},
            "flags": sorted(_listed((inner or {}).get("flags"))),
        }
    if kind == "reject":
        # the text leaves the usual answer out
        usual = not inner or inner.get("expr") == "port-unreachable"
        return {"with": None if usual else " ".join(filter(None, (inner.get("type"), inner.get("expr"))))}
    if kind in _NATS:
        return _nat(inner or {})
    if kind == "ct count":
        return {"over": inner.get("inv", False), "count": str(inner["val"])}
    if kind in ("fwd", "dup"):
        return {"to": said(inner.get("addr", inner.get("dev")))}
    if kind == "synproxy":
        return {name: str(inner[name]) for name in ("mss", "wscale")} | {"flags": sorted(_listed(inner.get("flags")))}
    raise KeyError(kind)


def _limit(inner: Any) -> Fact:
    unit = inner.get("rate_unit")
    rate = f"{inner['rate']}{f' {unit}' if unit else ''}/{inner['per']}"
    burst = octets(f"{inner['burst']} {inner['burst_unit']}") if inner.get("burst_unit") else inner.get("burst", 0)
    if not burst and "rate_unit" not in inner:
        burst = 5  # nft 0.9.8 tells 0 of the default
    return {"over": inner.get("inv", False), "rate": rate, "burst": burst}


def _nat(inner: Any) -> Fact:
    flags = [flag for flag in _listed(inner.get("flags")) if flag != "netmap"]
    return {
        "family": inner.get("family"),
        "address": said(inner["addr"]) if "addr" in inner else None,
        "port": said(inner["port"]) if "port" in inner else None,
        "flags": sorted(flags),
    }


# the same facts from the records of the text


def of_element(element: NftElement) -> Fact:
    counter = element.details.get("counter")
    numbers = counter.split() if counter else []
    return {
        "key": element.key,
        "value": element.value,
        "comment": element.details.get("comment"),
        "timeout": seconds(element.details["timeout"]) if "timeout" in element.details else None,
        "counter": {"packets": numbers[1], "bytes": numbers[3]} if numbers else None,
    }


def of_statement(found: NftMatch | NftStatement) -> Fact:
    if isinstance(found, NftMatch):
        return {"left": found.left, "operator": found.operator, "values": sorted(found.values)}
    told = dict(found.details)
    name = found.name
    if name == "vmap":
        return {
            "name": name,
            "key": told["key"],
            "map": told.get("map"),
            "elements": [*map(of_element, found.elements)],
        }
    if name in ("limit", "quota") and "name" in told:
        return {"name": name, "name_of": told["name"]}
    if name == "limit":
        return {"name": name, **of_limit(told)}
    if name == "quota":
        return {"name": name, "over": "over" in told, "bytes": octets(told["amount"])}
    if name == "log":
        flags = [word for flag in told.pop("flags", "").split(", ") if flag for word in _log_flags(flag)]
        return {"name": name, **told, "flags": sorted(flags)}
    if name == "reject":
        told_with = told.get("with")
        return {"name": name, "with": None if told_with and told_with.endswith(" port-unreachable") else told_with}
    if name in _NATS:
        flags = sorted(filter(None, told.get("flags", "").split(",")))
        return {"name": name, **{key: told.get(key) for key in ("family", "address", "port")}, "flags": flags}
    if name == "ct count":
        return {"name": name, "over": "over" in told, "count": told["count"]}
    if name in ("add", "update", "delete"):
        timeout = seconds(told["timeout"]) if "timeout" in told else None
        stated = [key for key in told if key not in ("set", "key", "timeout", "value")]
        return {"name": name, "set": told["set"], "key": told["key"], "timeout": timeout, "stated": stated}
    if name == "synproxy":
        flags = sorted(key for key in told if key not in ("mss", "wscale"))
        return {"name": name, "mss": told["mss"], "wscale": told["wscale"], "flags": flags}
    return {"name": name, **told}


def of_limit(told: Mapping[str, str]) -> Fact:
    """A limit without a burst has that of nft(8): 5 packets."""
    of_bytes = "bytes" in told["rate"]
    burst = told.get("burst", "0 bytes" if of_bytes else "5 packets")
    return {
        "over": "over" in told,
        "rate": told["rate"],
        "burst": octets(burst) if of_bytes else int(burst.split()[0]),
    }


def _log_flags(flag: str) -> list[str]:
    first, _, words = flag.partition(" ")
    return [f"{first} {word}" for word in words.split(",")] if first == "tcp" else [flag]


# whole rulesets


def agree(read: Fact, told: Fact) -> bool:
    """Whether the two facts are the same. The extensions of iptables are just names in the JSON, while the text says
    what they mean: there the rest of the rule must be the same, in the same order.
    """
    if told.get("understood", True):
        return read == told
    left = iter(read["statements"])
    same = all(read[key] == told[key] for key in told if key not in ("statements", "understood"))
    return same and all(each in left for each in told["statements"])


def from_json(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[Fact]]:
    """The tables, chains, sets, objects and rules of a ruleset, each kind in the kernel's order."""
    found: dict[str, list[Fact]] = {"table": [], "chain": [], "set": [], "object": [], "rule": []}
    for entry in entries:
        ((kind, inner),) = entry.items()
        if kind == "metainfo":
            continue
        place = {key: inner.get(key) for key in ("family", "table", "name", "handle")}
        if kind == "table":
            found["table"].append({key: inner.get(key) for key in ("family", "name", "handle")})
        elif kind == "chain":
            found["chain"].append(
                {
                    **place,
                    **{key: inner.get(key) for key in ("type", "hook", "policy")},
                    "priority": inner.get("prio"),
                }
            )
        elif kind in ("set", "map"):
            found["set"].append(_set_of_json(place, inner))
        elif kind == "rule":
            found["rule"].append(
                {
                    **{key: inner.get(key) for key in ("family", "table", "chain", "handle", "comment")},
                    "statements": [_decimal(statement(each)) for each in inner["expr"] if "xt" not in each],
                    "understood": not any("xt" in each for each in inner["expr"]),
                }
            )
        else:
            found["object"].append({**place, "kind": kind, "comment": inner.get("comment")})
    return found


def _set_of_json(place: Fact, inner: Mapping[str, Any]) -> Fact:
    return {
        **place,
        "type": _type_of_json(inner["type"]),
        "value_type": " . ".join(_listed(inner.get("map"))) or None,
        # nft 1.0.6 leaves `dynamic` out of its JSON
        "flags": sorted(set(inner.get("flags", [])) - {"dynamic"}),
        "comment": inner.get("comment"),
        "size": str(inner["size"]) if "size" in inner else None,
        "policy": inner.get("policy"),
        "timeout": inner.get("timeout"),
        "gc-interval": inner.get("gc-interval"),
        "elements": [_decimal(each) for each in elements(inner.get("elem", []))],
    }


def _type_of_json(told: Any) -> str | None:
    """The type of a set; nft 1.1 tells the expression of `typeof`."""
    return _type_of(said(told["typeof"])) if isinstance(told, dict) else " . ".join(_listed(told))


def from_records(records: Iterable[Any]) -> dict[str, list[Fact]]:
    """The same facts of the records that the text was read as."""
    found: dict[str, list[Fact]] = {"table": [], "chain": [], "set": [], "object": [], "rule": []}
    for record in records:
        place = {key: getattr(record, key, None) for key in ("family", "table", "name", "handle")}
        match record:
            case NftTable():
                found["table"].append({key: place[key] for key in ("family", "name", "handle")})
            case NftChain():
                told = {key: getattr(record, key) for key in ("hook", "policy", "priority")} | {
                    "type": record.chain_type
                }
                found["chain"].append({**place, **told})
            case NftSet():
                found["set"].append(_set_of_record(place, record))
            case NftObject():
                found["object"].append({**place, "kind": record.kind, "comment": record.comment})
            case NftRule():
                told = {key: getattr(record, key) for key in ("family", "table", "chain", "handle", "comment")}
                statements = [_decimal(of_statement(each)) for each in record.statements]
                understood = record.not_understood == ()
                found["rule"].append({**told, "statements": statements, "understood": understood})
    return found


def _type_of(told: str | None) -> str | None:
    """The type of an expression, which the JSON of nft up to 1.0 tells where the text tells `typeof`."""
    return {"meta mark": "mark"}.get(told or "", told)


def _set_of_record(place: Fact, record: NftSet) -> Fact:
    told = record.details
    return {
        **place,
        "type": _type_of(record.key_type),
        "value_type": record.value_type,
        "flags": sorted(set(record.flags) - {"dynamic"}),
        "comment": record.comment,
        "size": told.get("size"),
        "policy": told.get("policy"),
        "timeout": seconds(told["timeout"]) if "timeout" in told else None,
        "gc-interval": seconds(told["gc-interval"]) if "gc-interval" in told else None,
        "elements": [_decimal(of_element(each)) for each in record.elements],
    }


def _decimal(value: Any) -> Any:
    """All texts of a fact with decimal numbers."""
    if isinstance(value, str):
        return decimal(value)
    if isinstance(value, list):
        return [_decimal(each) for each in value]
    return {key: _decimal(each) for key, each in value.items()} if isinstance(value, dict) else value
