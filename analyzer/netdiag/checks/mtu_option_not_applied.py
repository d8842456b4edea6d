"""daemon `mtu` set but user networks still 1500.

## What it finds
Running containers on networks that the daemon's `mtu` setting does not reach, with another MTU than it says.

## Why it matters
The setting is for the default network alone. Networks that somebody has made, and every project of Docker Compose makes
one, keep the MTU of 1500, and the trouble that the setting was made for stays: small requests work, large ones hang.

## How it is decided
Gates: the daemon's settings were collected and have `mtu`; the container runs and has a namespace of its own; the
network is a local bridge of Docker other than the default one, without the option `com.docker.network.driver.mtu`; its
options were collected. The MTU of the interface in the container is compared with the setting.

## Not a problem when
The daemon has `default-network-opts` for bridges: then it is known how to set the MTU of networks, and older ones are
left as they are. The network has the option, with whatever value.

## Repair
Set the MTU of the running containers now. For good, make the networks anew with the option
`com.docker.network.driver.mtu`, in a compose file under `driver_opts`; from 24.0 on daemon.json can say it for all new
networks: `"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}`.

## Verify
The interfaces in the containers show the MTU.

## References
docker/for-linux#1426; moby libnetwork/drivers/bridge setupMTU; docs.docker.com/reference/cli/dockerd (mtu,
default-network-opts).
"""

import json

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._mtu import set_mtu
from netdiag.checks._veths import ContainerPort, container_ports, in_namespace, words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import DaemonSetting
from netdiag.model import Host
from netdiag.model.gates import unknown

_OPTION = "com.docker.network.driver.mtu"
_DEFAULT_NETWORK = "bridge"
_MOST_SHOWN = 6


@check(Severity.WARNING, layer="mtu")
def mtu_option_not_applied(host: Host) -> Verdicts:
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    ports, others = container_ports(host)
    yield from others
    setting = host.engine.setting("mtu")
    wanted = _number(setting)
    if setting is None or wanted is None:
        if host.engine.settings.whole:
            yield NotApplicable("the daemon has no mtu setting")
        else:
            yield unjudged(unknown("whether the daemon has an mtu setting", *host.engine.settings.missing))
        return
    if host.engine.setting("default-network-opts"):
        yield NotApplicable("the daemon has default-network-opts")
        return
    other = []
    for port in ports:
        network = port.attachment.bridge.network
        if network.engine != "docker":
            continue
        if network.name == _DEFAULT_NETWORK or _OPTION in (network.options or {}) or port.inner.mtu in (wanted, None):
            continue
        if network.options is None:
            yield unjudged(unknown(f"the options of network {network.name}", "docker_network_inspect"))
        else:
            other.append(port)
    if other:
        yield _fault(setting, wanted, other)


def _number(setting: DaemonSetting | None) -> int | None:
    """The MTU that is set: a number, or on the command line perhaps a number in quotes; 0 is the default."""
    value = json.loads(setting.value) if setting else None
    text = str(value)
    return int(text) if text.isdecimal() and int(text) else None


def _fault(setting: DaemonSetting, wanted: int, ports: list[ContainerPort]) -> Fault:
    """One finding: the setting is the cause for all networks."""
    firsts = {port.network: port for port in reversed(ports)}
    networks = sorted(firsts)
    named = ", ".join(f"`{name}`" for name in networks[:_MOST_SHOWN])
    more = f" and {len(networks) - _MOST_SHOWN} more" if len(networks) > _MOST_SHOWN else ""
    shown = [firsts[name] for name in networks[:_MOST_SHOWN]]
    return Fault(
        message=f"the daemon is set to MTU {wanted}, which does not reach the containers on {named}{more}",
        subjects=tuple(Subject("network", name) for name in networks),
        evidence=(
            Evidence(setting.span, "this is for the default network only"),
            *(
                Evidence(words_of(p.inner.span, f"mtu {p.inner.mtu}"), f"container {p.container} on {p.network}")
                for p in shown
            ),
            *(related(p.attachment.bridge.network.span, f"network {p.network} has no {_OPTION}") for p in shown),
        ),
        remedy=set_mtu(ports, wanted),
        verify=tuple(in_namespace(p.attachment.container, "ip link") for p in shown),
    )
