"""The host model: documents joined into the facts of one host. Facts with spans, no judgement."""

from netdiag.model.build import build
from netdiag.model.engine import Dialect, Engine, Podman
from netdiag.model.firewall import FirewallChain, FirewallTable
from netdiag.model.host import Host, Namespace, NamespaceKind
from netdiag.model.knowledge import Extent, Facts, Gate, Truth
from netdiag.model.movement import Grown, Moved, Movement
from netdiag.model.nics import Nic
from netdiag.model.peers import HostEnd, Joint, VethPair, Way
from netdiag.model.policy import Packet
from netdiag.model.routing import Hop, Lookup, Outcome, Routing
from netdiag.model.traces import Trace, Traces

__all__ = [
    "Dialect",
    "Engine",
    "Extent",
    "Facts",
    "FirewallChain",
    "FirewallTable",
    "Gate",
    "Grown",
    "Hop",
    "Host",
    "HostEnd",
    "Joint",
    "Lookup",
    "Moved",
    "Movement",
    "Namespace",
    "NamespaceKind",
    "Nic",
    "Outcome",
    "Packet",
    "Podman",
    "Routing",
    "Trace",
    "Traces",
    "Truth",
    "VethPair",
    "Way",
    "build",
]
