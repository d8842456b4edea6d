"""IPv6 network while the engine does not manage ip6tables.

## What it finds
A bridge network with IPv6 that is meant to reach the outside, of an engine that writes no IPv6 rules.

## Why it matters
With addresses of the internet every container is open to everybody, on all of its ports. With a unique local subnet no
container gets out, because nobody translates its addresses. Ports published on IPv6 are served by docker-proxy alone:
the container sees the gateway as its client.

## How it is decided
Gates: the engine is here and has a bridge network with an IPv6 subnet that is meant to reach the outside; its settings
or its version are known. Up to 26 the engine writes IPv6 rules only with `ip6tables: true` (and `experimental: true`),
from 27.0 on unless told otherwise.

## Not a problem when
Somebody else writes the rules: a rule of ip6tables that masquerades the subnet (docker-ipv6nat) or that jumps to a
chain for the bridge ends the matter; a firewall upstream may stand before the host.

## Repair
Have the engine manage ip6tables, and restart it; or upgrade to 27 or newer.

## Verify
`ip6tables-save` shows the chain DOCKER in the tables filter and nat.

## References
docs.docker.com/engine/daemon/ipv6; moby cmd/dockerd/config_unix.go (v26.1.5, v27.0.1).
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, restart, settings_written
from netdiag.checks._ipv6 import Ipv6Subnet, ipv6_subnets_of_docker, outward
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Gate, Host, Truth
from netdiag.model.engine import Dialect
from netdiag.model.gates import manages_ip6tables, uplinks

#: From here on ip6tables is no experiment any more.
_FIRST_WITHOUT_EXPERIMENT = 27


@check(Severity.WARNING, layer="ipv6")
def ipv6_ip6tables_off(host: Host) -> Verdicts:
    subnets, others = ipv6_subnets_of_docker(host)
    yield from others
    leading_out, inner = outward(subnets)
    yield from inner
    managed = manages_ip6tables(host)
    if not leading_out or managed.yes or host.engine.dialect is Dialect.V29_NFTABLES:
        return
    if managed.unknown:
        yield unjudged(managed)
        return
    bare = [each for each in leading_out if not _somebody_writes_rules(host, each)]
    if bare:
        yield _fault(host, managed, bare)


def _somebody_writes_rules(host: Host, each: Ipv6Subnet) -> bool:
    tables = [table for table in host.root.firewall if table.family == "ipv6"]
    translated = any(
        table.masquerades(each.prefix, each.bridge.device, uplinks(host, 6))[0] is not Truth.NO
        for table in tables
        if table.name == "nat"
    )
    return translated or any(_is_about(rule, each) for table in tables for rule in table.rules())


def _is_about(rule: Rule, each: Ipv6Subnet) -> bool:
    """The rule names the bridge or the subnet."""
    return each.bridge.device in (rule.in_interface, rule.out_interface) or each.prefix in (
        rule.source,
        rule.destination,
    )


def _fault(host: Host, managed: Gate, bare: list[Ipv6Subnet]) -> Fault:
    names = list(dict.fromkeys(each.bridge.network.name for each in bare))
    setting, version = host.engine.setting("ip6tables"), host.engine.version
    effects = {"nobody translates" if each.is_unique_local else "everybody may reach" for each in bare}
    said = [related(setting.span, "the setting")] if setting else []
    said += [related(version.span, "engines before 27.0 write none unless told to")] if version and not setting else []
    major = version.version.partition(".")[0] if version else ""
    experiment = {} if major.isdecimal() and int(major) >= _FIRST_WITHOUT_EXPERIMENT else {"experimental": True}
    written = settings_written(host, ip6tables=True, **experiment)
    return Fault(
        message=(
            f"the engine writes no IPv6 rules for networks {', '.join(f'`{name}`' for name in names)}, "
            f"whose addresses {' or '.join(sorted(effects))}: {managed.why}"
        ),
        subjects=tuple(Subject("network", name) for name in names),
        evidence=(
            *(Evidence(e.subnet.span, f"network {e.bridge.network.name} has {e.prefix}") for e in bare[:5]),
            *said,
        ),
        remedy=(*written, *restart(host)) if written else (),
        verify=("ip6tables-save | grep DOCKER",),
        confidence=Confidence.HIGH if setting or version else Confidence.MEDIUM,
    )
