"""What drops mean, and the tables that say it."""

import csv
from importlib.resources import files

import pytest

from netdiag.journeys.observed import DropClass
from netdiag.journeys.observed.drops import function_of, reason_of


def rows(name: str) -> list[dict[str, str]]:
    return [*csv.DictReader(files("netdiag.journeys.observed").joinpath(name).read_text().splitlines())]


def test_the_tables_fit_each_other() -> None:
    reasons = {row["reason"] for row in rows("drop_reasons.csv")}
    assert {row["reason"] for row in rows("drop_numbers.csv")} <= reasons
    assert {row["reason"] for row in rows("drop_places.csv")} <= {*reasons, ""}
    assert {row["later"] for row in rows("drop_reasons.csv")} == {"yes", "no", "long"}
    for row in (*rows("drop_reasons.csv"), *rows("drop_places.csv")):
        assert DropClass(row["class"])
        assert row["benign"] in ("yes", "no")
        assert row["text"]
    keys = [(row["place"], row["reason"]) for row in rows("drop_places.csv")]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("printed", "place", "kind", "benign"),
    [
        ("NETFILTER_DROP", "nft_do_chain+0x3e8", DropClass.FILTER, False),
        ("IP_RPFILTER", "ip_rcv_finish_core.isra.0+0x1a/0x40", DropClass.RP_FILTER, False),
        ("IP_INADDRERRORS", "ip_error+0x99", DropClass.FORWARDING_OFF, False),
        ("NOT_SPECIFIED", "ip_error+0x99", DropClass.NO_ROUTE, False),
        ("NO_SOCKET", "tcp_v4_rcv+0x99", DropClass.NO_SOCKET, False),
        ("NO_SOCKET", "icmp_rcv+0x1f1/0x360", DropClass.CONSUMED, True),
        ("", "nf_hook_slow+0x1", DropClass.FILTER, False),
        ("", "0xffffffff81f657b8", DropClass.OTHER, False),
        ("QUEUE_PURGE", "skb_queue_purge_reason+0x1", DropClass.TEARDOWN, True),
        ("A_REASON_OF_TOMORROW", "f+0x1", DropClass.OTHER, False),
    ],
)
def test_a_drop_has_a_class(printed: str, place: str, kind: DropClass, *, benign: bool) -> None:
    reason = reason_of(printed, place, "6.18.44")
    assert (reason.kind, reason.benign) == (kind, benign)


@pytest.mark.parametrize(
    ("number", "kernel", "name"),
    [
        ("12", "6.18.44-fc-v769", "NETFILTER_DROP"),
        ("11", "6.12.115+deb12-amd64", "NETFILTER_DROP"),
        ("7", "6.1.0-53-amd64", "NETFILTER_DROP"),
    ],
)
def test_a_number_is_a_name_of_its_kernel(number: str, kernel: str, name: str) -> None:
    assert reason_of(number, "", kernel).name == name


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        ("", "reason number 12 of an unknown kernel"),
        ("5.14.0-503.el9.x86_64", "reason number 12 of kernel 5.14.0-503.el9.x86_64"),
    ],
)
def test_the_number_of_a_kernel_that_is_not_in_the_table_stays_a_number(kernel: str, text: str) -> None:
    reason = reason_of("12", "", kernel)
    assert (reason.name, reason.text) == ("", text)


def test_a_number_that_only_a_later_kernel_of_the_series_has_is_not_given_to_an_earlier_one() -> None:
    assert reason_of("65", "", "6.1.187").text == "reason number 65 of kernel 6.1.187"
    assert reason_of("65", "", "6.1.192").name == "TC_CHAIN_NOTFOUND"


def test_without_a_name_the_function_tells() -> None:
    reason = reason_of("12", "nft_do_chain+0x3e8", "5.14.0-503.el9")
    assert reason.kind is DropClass.FILTER
    assert reason.text == "a rule of nftables dropped it (reason number 12 of kernel 5.14.0-503.el9)"


def test_functions_are_known_without_what_compilers_append() -> None:
    assert function_of("br_dev_xmit.isra.0+0x5/0x20") == "br_dev_xmit"
    assert function_of("__netif_receive_skb_core.constprop.0+0x1") == "__netif_receive_skb_core"
    assert function_of("0xffffffff81f657b8") == ""
