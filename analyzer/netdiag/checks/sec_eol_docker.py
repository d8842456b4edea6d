"""EOL/buggy engine version known for network faults.

## What it finds
A Docker of a release that is known for a fault of its network which concerns this host, or of a line that gets no more
repairs.

## Why it matters
The fault may be the engine's own, already repaired in a later release, and no setting helps.

## How it is decided
By the version that the engine prints, against the release notes: published ports that keep containers from starting
where the host has no IPv6 (20.10.6); encrypted overlay networks that take packets in clear text (before 20.10.24, and
23.0.0 to 23.0.2); containers with the MAC address of another one (25.0.0), or without the one that they were given
(25.0.1 and 25.0.2); br_netfilter that is not loaded for a host without the userland proxy (27.3.0 and 27.3.1); ports of
swarm services that a wrong order of rules closes (28.0.0). Lines without repairs are those before 25.0: the table of
maintained branches in moby's project/BRANCHES-AND-TAGS.md has 23.0 until 2025-05-19, and neither 24.0 nor older ones.
The list ends with Docker 29: the check does not apply to later ones. Faults of kernels belong to the checks of what
they break.

## Not a problem when
A distribution has repaired its own package without a new number: such a version has a suffix (`20.10.24+dfsg1`,
`24.0.7-0ubuntu4`), and the check does not apply. Nor is a fault named that needs what this host does not have, such as
one of swarm on a host without it.

## Repair
Upgrade to a maintained release. Containers that were made by 25.0.0 have to be made anew as well.

## Verify
The version that the server prints.

## References
github.com/moby/moby/releases (v20.10.7, v20.10.24, v25.0.1, v25.0.3, v27.4.0, v28.0.1); moby/moby#42288;
moby/moby#47146; moby/moby#47304; moby/moby#48664; moby/moby#49538; GHSA-232p-vwff-86mp;
moby project/BRANCHES-AND-TAGS.md.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._overlay import is_encrypted
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import engine_is_here, unknown, uses_proxy
from netdiag.spans import Span

_Version = tuple[int, int, int]

_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-ce|-ee(?:-\d+)?)?")
_LAST_LINE_KNOWN = 29
_OLDEST_LINE_WITH_REPAIRS = (25, 0, 0)


def _always(host: Host) -> Span | None:
    return host.engine.version.span if host.engine.version else None


def _without_ipv6(host: Host) -> Span | None:
    """The setting that switches IPv6 off."""
    setting = host.root.sysctl("net.ipv6.conf.all.disable_ipv6")
    return setting.span if setting and setting.value == "1" else None


def _encrypted_overlay(host: Host) -> Span | None:
    return next((network.span for network in host.networks if is_encrypted(network)), None)


def _swarm(host: Host) -> Span | None:
    info = host.engine.info
    return info.span_at("Swarm", "LocalNodeState") if info and info.swarm_state == "active" else None


def _without_proxy(host: Host) -> Span | None:
    """The setting that switches the proxy off, while bridged packets do not meet iptables."""
    filtered, setting = host.root.sysctl("net.bridge.bridge-nf-call-iptables"), host.engine.setting("userland-proxy")
    if setting is None or not uses_proxy(host).no or (filtered and filtered.value == "1"):
        return None
    return setting.span


@dataclass(frozen=True)
class _Known:
    """A fault of the releases from `first` to `last`; `concerns` gives what shows that this host has to do with it."""

    first: _Version
    last: _Version
    fault: str
    concerns: Callable[[Host], Span | None] = _always


_KNOWN = (
    _Known((20, 10, 6), (20, 10, 6), "containers with published ports do not start without IPv6", _without_ipv6),
    _Known((0, 0, 0), (20, 10, 23), "encrypted overlay networks take packets in clear text", _encrypted_overlay),
    _Known((23, 0, 0), (23, 0, 2), "encrypted overlay networks take packets in clear text", _encrypted_overlay),
    _Known((25, 0, 0), (25, 0, 0), "a container that is started again may get the MAC address of another one"),
    _Known((25, 0, 1), (25, 0, 2), "a container that is started again loses the MAC address that it was given"),
    _Known((27, 3, 0), (27, 3, 1), "br_netfilter is not loaded although there is no userland proxy", _without_proxy),
    _Known((28, 0, 0), (28, 0, 0), "a wrong order of rules closes the ports of swarm services", _swarm),
)

#: What updates the packages of Docker, by a word of what `docker info` calls the operating system.
_UPDATES = {
    "apt-get update && apt-get install --only-upgrade docker-ce docker-ce-cli containerd.io": ("Debian", "Ubuntu"),
    "dnf upgrade docker-ce docker-ce-cli containerd.io": ("Red Hat", "CentOS", "Fedora", "Rocky", "Alma", "Oracle"),
}


@check(Severity.NOTE, layer="bundle")
def sec_eol_docker(host: Host) -> Verdicts:
    here, version = engine_is_here(host), host.engine.version
    if here.no:
        yield NotApplicable(here.why)
        return
    if version is None:
        yield unjudged(unknown("which version Docker is", "docker_version"))
        return
    release = _RELEASE.fullmatch(version.version)
    if release is None:
        yield NotApplicable(
            f"Docker {version.version} is a build of its own, which may be repaired without a new number"
        )
        return
    number = (int(release[1]), int(release[2]), int(release[3]))
    if number[0] > _LAST_LINE_KNOWN:
        yield NotApplicable(f"the list of known faults ends with Docker {_LAST_LINE_KNOWN}")
        return
    found = {
        known.fault: proof
        for known in _KNOWN
        if known.first <= number <= known.last and (proof := known.concerns(host))
    }
    if number < _OLDEST_LINE_WITH_REPAIRS:
        found["its line gets no more repairs"] = version.span
    if found:
        yield Fault(
            message=f"Docker {version.version} is known for this: {'; '.join(found)}",
            subjects=(Subject("host", host.name or "host"),),
            evidence=(
                Evidence(version.span, "the version of the engine"),
                *(related(proof, "which has to do with that") for proof in found.values() if proof != version.span),
            ),
            remedy=_update(host),
            verify=("docker version --format '{{.Server.Version}}'",),
        )


def _update(host: Host) -> tuple[str, ...]:
    system = (host.engine.info.operating_system or "") if host.engine.info else ""
    fitting = [command for command, names in _UPDATES.items() if any(name in system for name in names)]
    return (fitting[0],) if fitting else (" || ".join(f"{{ {command}; }}" for command in _UPDATES),)
