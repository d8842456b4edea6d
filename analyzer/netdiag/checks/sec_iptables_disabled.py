"""Daemon runs with --iptables=false.

## What it finds
A Docker daemon that was told not to manage iptables, on a host where nobody else translates the addresses of its
networks.

## Why it matters
Packets of containers leave with addresses that nobody outside can answer, so that containers reach nothing. Nothing
keeps networks apart, and published ports work through docker-proxy only, which hides the clients' addresses. The
setting is often made to let ufw or firewalld rule; these do not do Docker's part.

## How it is decided
The setting `iptables` is false, in daemon.json or on the command line. The finding is there as long as running
containers are on a bridge network for which Docker would masquerade, and no rule of iptables or nftables does.

## Not a problem when
The administrator, or an orchestrator, has rules of its own that masquerade; packets are routed and answered with the
containers' addresses, and no network is asked to masquerade (enable_ip_masquerade=false).

## Repair
Take the setting out and restart Docker. Say who may come in by DOCKER-USER.

## Verify
The chains of Docker are there and containers reach the outside.

## References
docs.docker.com/engine/network/packet-filtering-firewalls; moby/moby#28811; moby/moby#28133; moby/moby#22054.
"""

from ipaddress import IPv4Address

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, sort_out, unjudged
from netdiag.checks._daemon import without
from netdiag.checks._docker import BridgeNetwork, attachments, docker_networks, related, restart
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import DaemonSetting
from netdiag.model import Host
from netdiag.model.flow import Flow
from netdiag.model.gates import table_known, translates_addresses, unknown, uplinks
from netdiag.model.hooks import translations
from netdiag.model.turns import Fate

_ANYWHERE = IPv4Address("99.0.0.1")


@check(Severity.WARNING, layer="security")
def sec_iptables_disabled(host: Host) -> Verdicts:
    setting = host.engine.setting("iptables")
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    if setting is None or setting.value != "false":
        known = setting is not None or host.engine.settings.whole
        if known:
            yield NotApplicable("the daemon manages iptables")
        else:
            yield unjudged(unknown("whether the daemon manages iptables", *host.engine.settings.missing))
        return
    bridges, others = docker_networks(host, table_known(host, "nat"))
    yield from others
    if not bridges:
        return
    wanting, more = sort_out(bridges, lambda each: translates_addresses(each.network), "")
    yield from more
    used = {attachment.bridge.network.id for attachment in attachments(host, wanting)}
    unserved = [each for each in wanting if each.network.id in used and not _is_translated(host, each)]
    if unserved:
        yield _fault(host, setting, unserved)


def _is_translated(host: Host, bridge: BridgeNetwork) -> bool:
    """Whether any rule may give what leaves the network another source address."""
    for subnet in bridge.network.subnets:
        if subnet.subnet.version != 4:
            continue
        for uplink in uplinks(host) or {None}:
            flow = Flow(
                protocol="tcp",
                in_interface=bridge.device,
                out_interface=uplink,
                source=subnet.subnet[2],
                destination=_ANYWHERE,
                destination_port=443,
            )
            if any(way.fate is Fate.TRANSLATED for way in translations(host.root, "POSTROUTING", flow)):
                return True
    return False


def _fault(host: Host, setting: DaemonSetting, unserved: list[BridgeNetwork]) -> Fault:
    names = [bridge.network.name for bridge in unserved]
    return Fault(
        message="Docker was told not to manage iptables, and nobody translates the addresses of network"
        f" {', '.join(f'`{name}`' for name in names[:5])}",
        subjects=(Subject("host", host.name), *(Subject("network", name) for name in names)),
        evidence=(
            Evidence(setting.span, "iptables: false"),
            *(related(each.network.span, f"network {each.network.name} is to reach outside") for each in unserved[:5]),
        ),
        remedy=(*without(setting), *restart(host)),
        verify=("iptables -t nat -S POSTROUTING",),
    )
