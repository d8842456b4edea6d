"""`iptables -L`: what is particular to it; that it says the same as `iptables-save` is for test_iptables_equality."""

from ipaddress import ip_network

import pytest
from lark import Token

from netdiag.formats import Document, Unread, iptables_list
from netdiag.formats._lines import load
from netdiag.formats.records import Chain, Counters, Match, Rule
from netdiag.spans import Source

HEADING = " pkts bytes target     prot opt in     out     source               destination"
NAT = "iptables -t nat -L -v -n"


def read(*lines: str, command: str = "iptables -L -v -n") -> Document:
    return iptables_list.read(Source(path="iptables.txt", text="\n".join(lines) + "\n", command=command))


def rules(document: Document) -> list[Rule]:
    return [record for record in document.records if isinstance(record, Rule)]


def rule(line: str, command: str = "iptables -L -v -n") -> Rule:
    """The one rule of a chain, read without a complaint."""
    document = read("Chain X (1 references)", line, command=command)
    assert document.unread == ()
    (found,) = rules(document)
    return found


def extension(text: str, target: str = "ACCEPT", protocol: str = "tcp") -> Rule:
    return rule(
        f"    0     0 {target}     {protocol}  --  *      *       0.0.0.0/0            0.0.0.0/0            {text}"
    )


def test_a_line_of_the_seed_reads_to_all_that_it_says() -> None:
    line = "  121  6664 MASQUERADE  all  --  *      !docker0  172.17.0.0/16        0.0.0.0/0"
    document = read("Chain POSTROUTING (policy ACCEPT 3 packets, 228 bytes)", HEADING, line, command=NAT)
    source = document.source
    assert document.records == (
        Chain("ipv4", "nat", "POSTROUTING", source.span(1), policy="ACCEPT", counters=Counters(3, 228)),
        Rule(
            family="ipv4",
            table="nat",
            chain="POSTROUTING",
            position=1,
            span=source.span(3, 3),
            counters=Counters(121, 6664),
            source=ip_network("172.17.0.0/16"),
            out_interface="docker0",
            out_interface_negated=True,
            target="MASQUERADE",
        ),
    )


def test_a_published_port_is_told_in_the_words_of_a_save() -> None:
    found = extension("tcp dpt:32768 to:172.17.0.2:443", target="DNAT")
    assert (found.matches, found.target_options) == (
        (Match("dport", "32768"),),
        (Match("to-destination", "172.17.0.2:443"),),
    )


def test_a_rule_without_a_target_only_counts() -> None:
    found = rule("    0     0            udp  --  *      *       0.0.0.0/0            0.0.0.0/0            udp dpt:53")
    assert (found.target, found.protocol, found.matches) == (None, "udp", (Match("dport", "53"),))


def test_a_chain_may_be_named_like_a_protocol() -> None:
    found = rule("    0     0 tcp        tcp  --  *      *       0.0.0.0/0            0.0.0.0/0")
    assert (found.target, found.protocol) == ("tcp", "tcp")


@pytest.mark.parametrize(
    ("numbers", "counters"),
    [
        ("    0     0", Counters(0, 0)),
        (" 5613  268K", Counters(5613, 268_000, exact=False)),
        ("  12M 3456G", Counters(12_000_000, 3_456_000_000_000, exact=False)),
        ("   1T     1", Counters(1_000_000_000_000, 1, exact=False)),
        ("99999 99999", Counters(99_999, 99_999)),
        ("18446744073709551615 1", Counters(2**64 - 1, 1)),
    ],
)
def test_rounded_counters_are_not_exact(numbers: str, counters: Counters) -> None:
    found = rule(f"{numbers} ACCEPT     all  --  *      *       0.0.0.0/0            0.0.0.0/0")
    assert found.counters == counters


@pytest.mark.parametrize(
    ("printed", "protocol", "negated"),
    [
        ("all", None, False),
        ("0", None, False),
        ("tcp", "tcp", False),
        ("6", "tcp", False),
        ("!17", "udp", True),
        ("!udp", "udp", True),
        ("58", "ipv6-icmp", False),
        ("icmpv6", "ipv6-icmp", False),
        ("132", "sctp", False),
        ("50", "esp", False),
        ("253", "253", False),
    ],
)
def test_protocols_are_names_however_printed(printed: str, protocol: str | None, negated: bool) -> None:  # noqa: FBT001
    found = rule(f"    0     0 DROP      {printed}    --  *      *       0.0.0.0/0            0.0.0.0/0")
    assert (found.protocol, found.protocol_negated) == (protocol, negated)


def test_a_long_protocol_may_run_into_the_next_column() -> None:
    found = rule("    0     0 ACCEPT     udplite--  *      *       0.0.0.0/0            0.0.0.0/0")
    assert (found.target, found.protocol, found.in_interface) == ("ACCEPT", "udplite", None)


def test_old_ip6tables_leave_the_column_opt_blank() -> None:
    document = read(
        "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)",
        HEADING,
        "    0     0 ACCEPT     tcp      lo     !eth0   fe80::/10            ::/0                 tcp dpt:22",
        "    7   420            all      *      *       ::/0                !fd00:17::2",
        "    0     0 DROP       253      *      *       ::/0                 ::/0",
        command="ip6tables -L -v -n",
    )
    first, second, third = rules(document)
    assert (first.target, first.protocol, first.in_interface, first.out_interface) == ("ACCEPT", "tcp", "lo", "eth0")
    assert (first.source, first.destination, first.family) == (ip_network("fe80::/10"), None, "ipv6")
    assert (second.target, second.protocol, second.counters) == (None, None, Counters(7, 420))
    assert (second.destination, second.destination_negated) == (ip_network("fd00:17::2/128"), True)
    assert (third.target, third.protocol) == ("DROP", "253")


def test_line_numbers_are_the_positions() -> None:
    document = read(
        "Chain DOCKER (1 references)",
        "num   pkts bytes target     prot opt in     out     source               destination",
        "3        0     0 RETURN     all  --  docker0 *       0.0.0.0/0            0.0.0.0/0",
        "4        0     0            0    --  *      *       0.0.0.0/0            0.0.0.0/0",
    )
    assert [(found.position, found.target) for found in rules(document)] == [(3, "RETURN"), (4, None)]


def test_a_rule_listed_without_v_is_not_taken_for_one_that_matches_everything() -> None:
    document = read(
        "Chain INPUT (policy ACCEPT)",
        "target     prot opt source               destination",
        "ACCEPT     all  --  anywhere             anywhere",
        "           tcp  --  10.0.0.0/8           anywhere             tcp dpt:http",
        command="iptables -L",
    )
    first, second = rules(document)
    assert (first.target, first.counters, first.not_understood) == (
        "ACCEPT",
        None,
        ("(interfaces: listed with -v only)",),
    )
    assert (second.target, second.source, second.matches) == (None, ip_network("10.0.0.0/8"), (Match("dport", "http"),))
    assert document.notes == ("listed without -v: for which interfaces the rules are is not known",)


def test_names_that_need_the_host_to_be_understood_are_kept_as_words() -> None:
    line = "    0     0 ACCEPT     icmp --  any    any     gw.example.net       !localnet/24         icmp echo-request"
    found = rule(line, command="iptables -L -v")
    assert (found.source, found.destination, found.in_interface) == (None, None, None)
    assert found.matches == (Match("icmp-type", "echo-request"),)
    assert found.not_understood == ("-s gw.example.net", "! -d localnet/24")


def test_a_mask_with_holes_is_no_network() -> None:
    found = rule("    0     0 DROP       all  --  *      *       10.0.12.0/255.0.255.0  10.0.0.0/255.0.0.0")
    assert (found.source, found.not_understood) == (None, ("-s 10.0.12.0/255.0.255.0",))
    assert found.destination == ip_network("10.0.0.0/8")


def test_fragments() -> None:
    columns = "*      *       0.0.0.0/0            0.0.0.0/0"
    found = [rule(f"    0     0 DROP       all  {opt}  {columns}").fragment for opt in ("--", "-f", "!f")]
    assert found == [None, True, False]


def test_goto_is_told_from_jump() -> None:
    found = extension("[goto]  tcp dpt:80", target="FO-vnet0")
    assert (found.target, found.goto, found.matches) == ("FO-vnet0", True, (Match("dport", "80"),))


@pytest.mark.parametrize(
    ("text", "comment", "matches"),
    [
        ("/* tcp dpt:22 */ tcp dpt:80", "tcp dpt:22", (Match("dport", "80"),)),
        (
            "tcp dpt:80 /* default/web:http -> 10.0.0.1:80 */",
            "default/web:http -> 10.0.0.1:80",
            (Match("dport", "80"),),
        ),
        ("/* ends early */ ctstate NEW */", "ends early */ ctstate NEW", ()),
        ("/* begins /* twice */", "begins /* twice", ()),
        ("/* one */ tcp dpt:80 /* two */", "one two", (Match("dport", "80"),)),
        ("/*  */", "", ()),
    ],
)
def test_a_comment_is_not_read_as_matches(text: str, comment: str, matches: tuple[Match, ...]) -> None:
    found = extension(text)
    assert (found.comment, found.matches, found.not_understood) == (comment, matches, ())


def test_a_comment_that_fits_no_reading_leaves_its_rule_not_understood() -> None:
    assert extension("/* a /* b */ ctstate NEW */").not_understood != ()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('LED led-trigger-id:"ssh" tcp dpt:22', 'LED led-trigger-id:"ssh"'),
        ("tcp dpt:22 quota:  1000 bytes", "quota:  1000 bytes"),
        ("! geoip --source-country CN tcp dpt:22", "! geoip --source-country CN"),
    ],
)
def test_an_unknown_extension_is_kept_as_printed_beside_the_known_ones(text: str, kept: str) -> None:
    found = extension(text)
    assert (found.not_understood, found.matches) == ((kept,), (Match("dport", "22"),))


@pytest.mark.parametrize("text", ["ctstate", "tcp dpt:", "statistic mode nth every", "! ctstate NEW !", "icmp"])
def test_an_extension_that_is_cut_short_leaves_the_columns(text: str) -> None:
    found = extension(text)
    assert (found.target, found.protocol, found.matches, found.not_understood) == ("ACCEPT", "tcp", (), (text,))


@pytest.mark.parametrize(
    "line",
    [
        "    0     0 DROP       all  --  *      *       300.1.1.1            0.0.0.0/0",
        "    0     0 DROP       all  --  *      *       10.0.0.0/99          0.0.0.0/0",
        "    0     0 DROP       all  --  *      *       fe80::1::2           ::/0",
        "    0     0 DROP       300  --  *      *       0.0.0.0/0            0.0.0.0/0",
        "    0     99999999999999999999 DROP  all  --  *      *       0.0.0.0/0            0.0.0.0/0",
        "    0     0 DROP       tcp  --  *      *       0.0.0.0/0            0.0.0.0/0    tcp dpt:99999999999999999999",
        f"    0     {'9' * 5000} DROP  all  --  *      *       0.0.0.0/0            0.0.0.0/0",
    ],
)
def test_a_value_out_of_range_costs_its_line_and_the_next_rules_keep_their_places(line: str) -> None:
    document = read(
        "Chain X (1 references)", HEADING, line, "    0     0 RETURN     all  --  *      *       ::/0    ::/0"
    )
    assert [unread.line for unread in document.unread] == [3]
    assert [(found.target, found.position) for found in rules(document)] == [("RETURN", 2)]


def test_a_chain_named_by_a_number_is_not_mistaken_for_a_counter() -> None:
    line = "    0     0 10         tcp  --  *      *       0.0.0.0/0            0.0.0.0/0"
    document = read("Chain X (1 references)", HEADING, line)
    assert document.unread == (Unread(3, "not the columns of the heading above it"),)


def test_a_rule_needs_a_chain() -> None:
    document = read("    0     0 DROP       all  --  *      *       0.0.0.0/0            0.0.0.0/0")
    assert (document.records, document.unread) == ((), (Unread(1, "no chain above it"),))


@pytest.mark.parametrize(
    ("command", "table", "family"),
    [
        ("iptables -L -v -n", "filter", "ipv4"),
        ("iptables -t nat -L -v -n", "nat", "ipv4"),
        ("iptables-legacy --table=raw -L", "raw", "ipv4"),
        ("/usr/sbin/ip6tables -t mangle -L", "mangle", "ipv6"),
        ("nsenter -t 4711 -n iptables -L", "filter", "ipv4"),
        ("nsenter -t 4711 -n ip6tables -t nat -L", "nat", "ipv6"),
    ],
)
def test_the_command_tells_table_and_family(command: str, table: str, family: str) -> None:
    document = read("Chain DOCKER (1 references)", HEADING, command=command)
    assert document.records == (Chain(family, table, "DOCKER", document.source.span(1), references=1),)
    assert document.notes == ()


def listing(*chains: str) -> list[str]:
    return [line for chain in chains for line in (f"Chain {chain} (policy ACCEPT 0 packets, 0 bytes)", HEADING, "")]


FILTER_CHAINS = ("INPUT", "FORWARD", "OUTPUT")
NAT_CHAINS = ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")
OLD_NAT_CHAINS = ("PREROUTING", "POSTROUTING", "OUTPUT")
MANGLE_CHAINS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
RAW_CHAINS = ("PREROUTING", "OUTPUT")


@pytest.mark.parametrize(
    ("chains", "table"),
    [
        (FILTER_CHAINS, "filter"),
        (NAT_CHAINS, "nat"),
        (OLD_NAT_CHAINS, "nat"),
        (MANGLE_CHAINS, "mangle"),
        (RAW_CHAINS, "raw"),
        (("FORWARD",), "filter"),
        (("PREROUTING",), ""),
        (("DOCKER",), ""),
    ],
)
def test_the_chains_of_a_loose_listing_tell_its_table_and_a_note_says_so(chains: tuple[str, ...], table: str) -> None:
    document = read(*listing(*chains), command="")
    assert {record.table for record in document.records if isinstance(record, Chain)} == {table}
    assert len(document.notes) == 1
    assert f"taken as {table}" in document.notes[0] or not table


def test_a_loose_chain_with_a_nat_target_is_of_the_nat_table() -> None:
    line = "    0     0 DNAT       tcp  --  !docker0 *       0.0.0.0/0         0.0.0.0/0    tcp dpt:80 to:172.17.0.2:80"
    document = read("Chain DOCKER (2 references)", HEADING, line, command="")
    assert [found.table for found in rules(document)] == ["nat"]
    assert document.notes == ("no command says which table this is: taken as nat, for the target DNAT",)


def test_several_listings_in_one_file_are_told_apart() -> None:
    tables = [FILTER_CHAINS, NAT_CHAINS, RAW_CHAINS, FILTER_CHAINS, OLD_NAT_CHAINS, MANGLE_CHAINS]
    document = read(*(line for chains in tables for line in listing(*chains)), command="")
    found = [(record.table, record.name) for record in document.records if isinstance(record, Chain)]
    names = ["filter", "nat", "raw", "filter", "nat", "mangle"]
    assert found == [(name, chain) for name, chains in zip(names, tables, strict=True) for chain in chains]
    assert len(document.notes) == len(tables)


def test_a_title_above_each_table_tells_it() -> None:
    document = read("Table: mangle", *listing("OUTPUT"), "Table: nat", *listing("OUTPUT"), command="")
    assert [record.table for record in document.records if isinstance(record, Chain)] == ["mangle", "nat"]
    assert document.notes == ()


def test_addresses_tell_the_family_of_a_loose_listing() -> None:
    document = read(*listing(*FILTER_CHAINS), "    0     0 DROP  all  --  *   *   ::/0   ::/0", command="")
    assert {record.family for record in document.records if isinstance(record, Chain | Rule)} == {"ipv6"}


@pytest.mark.parametrize(
    "line",
    [
        "# Warning: iptables-legacy tables present, use iptables-legacy to see them",
        "iptables v1.8.9 (nf_tables): chain `FORWARD' in table `filter' is incompatible, use 'nft' tool.",
        "# Table `filter' is incompatible, use 'nft' tool.",
        "iptables: No chain/target/match by that name.",
        "Perhaps iptables or your kernel needs to be upgraded.",
    ],
)
def test_messages_of_the_tool_are_notes(line: str) -> None:
    document = read(line, *listing(*FILTER_CHAINS))
    assert (document.unread, document.notes) == ((), (line,))


def test_lines_of_another_output_are_unread() -> None:
    document = read("Chain X (1 references)", "eth0: flags=4163<UP,BROADCAST,RUNNING>  mtu 1500", "inet 10.0.0.1")
    assert [unread.line for unread in document.unread] == [2, 3]


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("MARK set 0x1", "0x1/0xffffffff"),
        ("MARK xset 0x1/0xff", "0x1/0xff"),
        ("MARK or 0x4000", "0x4000/0x4000"),
        ("MARK and 0xff", "0x0/0xffffff00"),
        ("MARK xor 0x1", "0x1/0x0"),
        ("CONNMARK set 0xd0c4e3", "0xd0c4e3/0xffffffff"),
    ],
)
def test_marks_have_one_form(printed: str, value: str) -> None:
    found = extension(printed, target=printed.split(" ", 1)[0])
    assert (found.target_options, found.not_understood) == ((Match("set-xmark", value),), ())


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("state RELATED,ESTABLISHED", (Match("state", "RELATED,ESTABLISHED"),)),
        ("! ctstate NEW", (Match("ctstate", "NEW", negated=True),)),
        (
            "ADDRTYPE match dst-type !LOCAL limit-in",
            (Match("dst-type", "LOCAL", negated=True), Match("limit-iface-in", "")),
        ),
        ("! match-set banned src", (Match("match-set", "banned src", negated=True),)),
        ("tcp dpts:!1024:65535", (Match("dport", "1024:65535", negated=True),)),
        ("tcp flags:0x3F/0x00", (Match("tcp-flags", "FIN,SYN,RST,PSH,ACK,URG NONE"),)),
        ("tcp flags:!FIN,SYN,RST,ACK/SYN", (Match("tcp-flags", "FIN,SYN,RST,ACK SYN", negated=True),)),
        ("PHYSDEV match ! --physdev-is-bridged", (Match("physdev-is-bridged", "", negated=True),)),
        ("icmp !type 8", (Match("icmp-type", "8", negated=True),)),
        ("icmptype 255", (Match("icmp-type", "any"),)),
        ("MAC02:42:ac:11:00:02", (Match("mac-source", "02:42:AC:11:00:02"),)),
        ("ctorigdstport 8080 ctdir ORIGINAL", (Match("ctdir", "ORIGINAL"), Match("ctorigdstport", "8080"))),
        ("ipvs vdir ORIGINAL", (Match("ipvs", ""), Match("vdir", "ORIGINAL"))),
    ],
)
def test_matches_are_told_in_the_words_of_a_save(text: str, matches: tuple[Match, ...]) -> None:
    found = extension(text)
    assert (found.matches, found.not_understood) == (matches, ())


def test_log_of_old_versions_and_of_listings_without_n() -> None:
    old = extension("LOG flags 0 level 4 prefix `dropped: '", target="LOG")
    named = extension('LOG level warn ip-options prefix "dropped: "', target="LOG")
    options = (Match("log-level", "4"), Match("log-prefix", "dropped: "))
    assert old.target_options == options
    assert named.target_options == (Match("log-ip-options", ""), *options)


def test_every_rule_of_the_grammar_has_a_meaning() -> None:
    parsers = [load("iptables_list"), load("iptables_list", "verbatim_rule")]
    names = {rule.alias or rule.origin.name for parser in parsers for rule in parser.rules}
    meanings = [name for name in names if isinstance(name, str | Token) and not name.startswith("_")]
    assert [name for name in meanings if not hasattr(iptables_list._Meaning, name)] == []
