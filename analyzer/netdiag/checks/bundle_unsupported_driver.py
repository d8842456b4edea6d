"""Networks that analyzer must not model as bridge.

## What it finds
Running containers on networks whose driver makes no bridge of this host: macvlan, ipvlan, overlay, and those of
plug-ins (weave, calico).

## Why it matters
The checks of bridges, of addresses on bridges, of translation and of published ports say nothing of these networks:
that they find no fault there does not mean that there is none. Of a plug-in's network nothing at all is judged but what
is inside of its containers.

## How it is decided
By the driver that `docker network inspect` or `podman network inspect` prints. Networks without a running container are
passed over.

## Not a problem when
It is the intended driver. This is a note so that a clean report is not read as more than it is.

## Repair
Nothing is broken. Look at the network with the tools of its driver.

## Verify
The addresses of the containers are those of the network, and the peers that they should reach answer.

## References
docs.docker.com/engine/network/drivers; docs.docker.com/engine/extend/plugins_network.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._collecting import listed
from netdiag.checks._docker import no_networks, related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Network
from netdiag.model import Host
from netdiag.model.gates import is_running, unknown, whole

#: Docker's and podman's words for a bridge, for the host's network and for none; None is not told.
_KNOWN = frozenset({"bridge", "host", "null", "none", None})

#: Drivers that checks of their own look at, with the layers of these.
_LOOKED_AT: Mapping[str, str] = {"macvlan": "route", "ipvlan": "route", "overlay": "overlay"}

_MOST_SHOWN = 10


@check(Severity.NOTE, layer="bundle")
def bundle_unsupported_driver(host: Host) -> Verdicts:
    if not host.networks.items:
        yield no_networks(host)
        return
    if not host.networks.whole:
        yield unjudged(whole(host.networks, "which networks there are"))
    others = [each for each in host.networks if each.driver not in _KNOWN and not each.config_only]
    users = _users(host)
    used = [each for each in others if each.id in users]
    if used:
        yield _fault(used, users)
    if not host.containers.whole and len(used) < len(others):
        names = listed((each.name for each in others if each not in used), _MOST_SHOWN)
        question = f"whether containers run on {names}"
        yield unjudged(unknown(question, *host.containers.missing, because=host.containers.why))
    elif host.networks.whole and all(each.driver in ("host", "null", "none") for each in host.networks):
        yield NotApplicable("the engine has no networks but the host's and none")


def _users(host: Host) -> Mapping[str, Sequence[Container]]:
    """The running containers on each network."""
    found: dict[str, list[Container]] = defaultdict(list)
    for container in host.containers:
        if is_running(container).yes:
            for endpoint in container.endpoints:
                found[endpoint.network_id].append(container)
    return found


def _fault(used: Sequence[Network], users: Mapping[str, Sequence[Container]]) -> Fault:
    shown = used[:_MOST_SHOWN]
    names = listed((f"`{each.name}` ({each.driver})" for each in used), _MOST_SHOWN)
    what, verb, them = ("network", "is no bridge", "it") if len(used) == 1 else ("networks", "are no bridges", "them")
    foreign = dict.fromkeys(each.driver for each in used if each.driver not in _LOOKED_AT)
    layers = dict.fromkeys(layer for each in used if (layer := _LOOKED_AT.get(each.driver or "")))
    rest = [f"only checks of the {' and '.join(layers)} layer look at {them}"] if layers and not foreign else []
    rest += [f"netdiag knows nothing of {', '.join(map(str, foreign))}"] if foreign else []
    first = users[shown[0].id][0]
    return Fault(
        message=f"{what} {names} {verb} of this host: the checks of bridges, translation and published ports pass over "
        f"{them}, {' and '.join(rest)}",
        subjects=tuple(Subject("network", each.name) for each in shown),
        evidence=(
            *(Evidence(each.span, f"its driver is {each.driver}") for each in shown),
            *(related(users[each.id][0].span, f"it runs on {each.name}") for each in shown),
        ),
        remedy=tuple(sh("{} network inspect {}", each.engine, each.name) for each in shown),
        verify=(sh("{} exec {} ip addr", first.engine, first.name),),
    )
