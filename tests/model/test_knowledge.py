"""Three-valued answers joined."""

from netdiag.model.gates import no, unknown
from netdiag.model.knowledge import YES, Extent, Facts, Gate, Truth, all_of, joined_reasons


def test_the_first_no_wins_over_any_unknown() -> None:
    assert all_of(unknown("which links", "ip_addr"), no("rootless"), no("remote")) == no("rootless")


def test_all_yes_is_yes() -> None:
    assert all_of(YES, YES) is YES
    assert all_of() is YES


def test_what_several_unknowns_miss_is_asked_for_once() -> None:
    gate = all_of(unknown("links", "ip_addr", because="lost"), unknown("addresses", "ip_addr", because="lost"), YES)
    assert gate == Gate(Truth.UNKNOWN, "links, addresses (lost)", "", ("ip-addr",), gate.ask)
    assert len(gate.ask) == 1


def test_reasons_stand_together_by_what_is_in_the_way() -> None:
    assert joined_reasons([("a", "x"), ("b", ""), ("c", "x"), ("a", "x")]) == "a, c (x); b"


def test_only_the_whole_is_whole() -> None:
    assert [Facts((), extent).whole for extent in Extent] == [True, False, False]
