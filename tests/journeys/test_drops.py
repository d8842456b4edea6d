"""What drops mean, and the tables that say it."""

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.journeys.observed import DropClass
from netdiag.journeys.observed.drops import comes_at_once, function_of, reason_of

SAMPLES = Path(__file__).parents[2] / "samples" / "formats"


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


def test_where_no_function_is_named_no_socket_may_be_an_answer_to_ping() -> None:
    text = "no socket listens there, unless it is an answer to ping: of that the raw socket has got a copy"
    assert reason_of("NO_SOCKET", "0xffffffffb4abd4c1", "6.1.0-53-amd64").text == text
    assert reason_of("NO_SOCKET", "tcp_v4_rcv+0x99", "6.1.0-53-amd64").text == "no socket listens there"


LISTED = {2: "NOT_SPECIFIED", 12: "NEW_REASON", 99: "NETFILTER_DROP", 7: ""}


@pytest.mark.parametrize("kernel", ["", "6.1.0-53-amd64", "6.18.44-fc-v769"])
def test_what_the_kernel_lists_goes_before_the_tables(kernel: str) -> None:
    assert reason_of("99", "", kernel, LISTED).kind is DropClass.FILTER
    assert reason_of("12", "", kernel, LISTED).text == "the kernel's reason is NEW_REASON"
    assert (comes_at_once("99", LISTED), comes_at_once("2", LISTED), comes_at_once("99")) == (True, False, False)


@pytest.mark.parametrize("number", ["7", "8", "65537", "9" * 5_000])
def test_a_number_that_the_kernel_does_not_list_stays_a_number(number: str) -> None:
    reason = reason_of(number, "", "6.1.0-53-amd64", LISTED)
    assert (reason.name, reason.text) == ("", f"reason number {number} of kernel 6.1.0-53-amd64")
    assert not comes_at_once(number, LISTED)


def test_a_kernel_that_lists_nothing_has_no_names() -> None:
    assert reason_of("12", "", "6.18.44", {}).text == "reason number 12 of kernel 6.18.44"


def test_a_trace_has_the_names_that_the_file_beside_it_lists(tmp_path: Path) -> None:
    fields = "skbaddr: 0xffff888173c36400, location: 0xffffffff81f657b8, protocol: 2048, reason: {}"
    lines = [f"     {n}.000 ping/77 skb:kfree_skb({fields.format(n)})" for n in (7, 8, 300)]
    (tmp_path / "trace.txt").write_text("\n".join(lines) + "\n")
    (alone,) = analyze(tmp_path).journeys
    assert [drop.reason.name for drop in alone.drops] == ["", "", ""]
    sample = SAMPLES / "tracepoint_format" / "linux-6.1.txt"
    (tmp_path / "format").write_text(sample.read_text())
    (seen,) = analyze(tmp_path).journeys
    named = {drop.reason.name: drop.reason.text for drop in seen.drops}
    assert named.keys() == {"NETFILTER_DROP", "OTHERHOST", ""}
    assert named[""] == "reason number 300 of an unknown kernel"


def test_a_trace_that_has_addresses_takes_the_names_from_the_file_beside_it(tmp_path: Path) -> None:
    fields = "skbaddr: 0xffff888173c36400, location: {:#x}, protocol: 2048, reason: NO_SOCKET"
    places = (0xFFFFFFFFB4AB63F2, 0xFFFFFFFFB4AB6411, 0xFFFFFFFFB4AB6412)
    lines = [f"     {n}.000 ping/77 skb:kfree_skb({fields.format(place)})" for n, place in enumerate(places)]
    (tmp_path / "trace.txt").write_text("\n".join(lines) + "\n")
    functions = "0xffffffffb4ab63f2 icmp_rcv+0x1d2\n0xffffffffb4ab6411 udp_rcv+0x11\n"
    (tmp_path / "places.txt").write_text(functions)
    (seen,) = analyze(tmp_path).journeys
    assert {drop.location: (drop.reason.kind, drop.reason.benign) for drop in seen.drops} == {
        "icmp_rcv+0x1d2": (DropClass.CONSUMED, True),
        "udp_rcv+0x11": (DropClass.NO_SOCKET, False),
        "0xffffffffb4ab6412": (DropClass.NO_SOCKET, False),
    }


def test_what_was_on_no_network_comes_after_what_was(tmp_path: Path) -> None:
    fields = "skbaddr: 0xffff888173c36400, location: 0xffffffffb4ab63f2, protocol: {}, reason: NOT_SPECIFIED"
    protocols = (0, 0, 2048)
    lines = [f"     {n}.000 docker/77 skb:kfree_skb({fields.format(each)})" for n, each in enumerate(protocols)]
    (tmp_path / "trace.txt").write_text("\n".join(lines) + "\n")
    (seen,) = analyze(tmp_path).journeys
    assert [(drop.protocol, drop.count) for drop in seen.drops] == [(2048, 1), (0, 2)]


def test_without_a_name_the_function_tells() -> None:
    reason = reason_of("12", "nft_do_chain+0x3e8", "5.14.0-503.el9")
    assert reason.kind is DropClass.FILTER
    assert reason.text == "a rule of nftables dropped it (reason number 12 of kernel 5.14.0-503.el9)"


def test_functions_are_known_without_what_compilers_append() -> None:
    assert function_of("br_dev_xmit.isra.0+0x5/0x20") == "br_dev_xmit"
    assert function_of("__netif_receive_skb_core.constprop.0+0x1") == "__netif_receive_skb_core"
    assert function_of("0xffffffff81f657b8") == ""
