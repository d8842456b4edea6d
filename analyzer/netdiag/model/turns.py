"""What a rule may do with a packet, in one vocabulary for iptables and nftables."""

from dataclasses import dataclass
from enum import Enum

from netdiag.model.knowledge import Truth


class Fate(Enum):
    """What becomes of a packet in a chain.

    `PASSES` means that it comes back from the chain undecided, `TRANSLATED` that the nat table gives its connection
    another address or port, with which it goes on.
    """

    ACCEPTED = "accepted"
    DROPPED = "dropped"
    PASSES = "passes"
    TRANSLATED = "translated"


@dataclass(frozen=True)
class Turn:
    """What happens to a packet at a rule if the rule takes it, for which `truth` is yes or unknown.

    It has a `fate`, or goes to a `chain` (from which a `goto` does not come back), or something outside of the rules
    decides (`elsewhere`).
    """

    truth: Truth
    fate: Fate | None = None
    chain: str | None = None
    goto: bool = False
    elsewhere: bool = False
