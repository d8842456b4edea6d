"""Which kernel events tell of a packet, and what each means. A tracepoint that is not here is not used."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from netdiag.journeys.observed.facts import Ending


class Phase(np.int8, Enum):
    """What the event says of the packet. Of eight bits, as in a column: numpy would widen a column to compare it."""

    QUEUE = 0
    START = 1
    SENT = 2
    ENTER = 3
    GRO = 4
    RECEIVE = 5
    COPIED = 6
    FREED = 7
    DROPPED = 8
    RETURNED = 9


FIRST_RECEIVING, FIRST_END = Phase.ENTER, Phase.COPIED


@dataclass(frozen=True)
class Kind:
    """`order` grows with each event of one device: a step back is another packet."""

    phase: Phase
    order: int


#: The tracepoints of include/trace/events/net.h, skb.h and napi.h, in the order in which one device passes them.
KINDS: Mapping[str, Kind] = {
    "net_dev_queue": Kind(Phase.QUEUE, 0),
    "net_dev_start_xmit": Kind(Phase.START, 1),
    "net_dev_xmit": Kind(Phase.SENT, 2),
    "netif_rx_entry": Kind(Phase.ENTER, 10),
    "netif_rx_ni_entry": Kind(Phase.ENTER, 10),
    "netif_rx": Kind(Phase.ENTER, 11),
    "napi_gro_frags_entry": Kind(Phase.GRO, 12),
    "napi_gro_receive_entry": Kind(Phase.GRO, 12),
    "netif_receive_skb_list_entry": Kind(Phase.RECEIVE, 13),
    "netif_receive_skb_entry": Kind(Phase.RECEIVE, 14),
    "netif_receive_skb": Kind(Phase.RECEIVE, 15),
    "skb_copy_datagram_iovec": Kind(Phase.COPIED, 20),
    "consume_skb": Kind(Phase.FREED, 21),
    "kfree_skb": Kind(Phase.DROPPED, 21),
    # of no packet: a CPU has done what it had to receive, so that what comes then is somebody else's doing
    "netif_receive_skb_exit": Kind(Phase.RETURNED, 30),
    "napi_poll": Kind(Phase.RETURNED, 30),
}

#: What the last event of a packet means, where nothing else decides it.
ENDING_OF_PHASE: Mapping[Phase, Ending] = {
    Phase.QUEUE: Ending.QUEUED,
    Phase.START: Ending.QUEUED,
    Phase.SENT: Ending.SENT,
    Phase.ENTER: Ending.ENTERED,
    Phase.GRO: Ending.MERGED,
    Phase.RECEIVE: Ending.HANDED_UP,
    Phase.COPIED: Ending.COPIED,
    Phase.FREED: Ending.CONSUMED,
    Phase.DROPPED: Ending.FREED,
}
