from netdiag.formats import Document, nft_ruleset
from netdiag.formats.records import NftChain, NftElement, NftMatch, NftRule, NftSet, NftStatement, NftTable
from netdiag.spans import Source


def read(*lines: str) -> Document:
    return nft_ruleset.read(Source("ruleset.txt", "\n".join(lines) + "\n"))


def rule_of(text: str, family: str = "ip") -> NftRule:
    document = read(f"table {family} t {{", "\tchain c {", f"\t\t{text}", "\t}", "}")
    assert document.unread == ()
    (found,) = (record for record in document.records if isinstance(record, NftRule))
    return found


def test_a_rule_is_conditions_and_statements_in_order() -> None:
    rule = rule_of(
        'iifname != "br0" tcp dport 8080 counter packets 2 bytes 120 dnat to 172.18.0.2:80 comment "DNAT" # handle 7'
    )
    assert rule.statements == (
        NftMatch("iifname", "!=", ("br0",)),
        NftMatch("tcp dport", "==", ("8080",)),
        NftStatement("counter", {"packets": "2", "bytes": "120"}),
        NftStatement("dnat", {"address": "172.18.0.2", "port": "80"}),
    )
    assert (rule.comment, rule.handle, rule.position, rule.not_understood) == ("DNAT", 7, 1, ())


def test_words_that_are_not_known_are_kept_and_mark_the_rule() -> None:
    rule = rule_of('ip saddr 10.0.0.1 xt match "physdev" counter packets 0 bytes 0 accept')
    assert rule.not_understood == ('xt match "physdev"',)
    assert rule.statements[0] == NftMatch("ip saddr", "==", ("10.0.0.1",))
    assert rule.statements[-1] == NftStatement("accept")


def test_the_remark_of_older_versions_for_an_extension_marks_the_rule() -> None:
    assert rule_of("meta l4proto tcp # xt_physdev counter accept # handle 4").not_understood != ()


def test_elements_of_a_map_may_take_several_lines() -> None:
    document = read(
        "table ip docker-bridges {",
        "\tmap filter-forward-in-jumps {",
        "\t\ttype ifname : verdict",
        '\t\telements = { "docker0" : jump filter-forward-in__docker0,',
        '\t\t\t     "br1" : drop }',
        "\t}",
        "}",
    )
    assert document.unread == ()
    (found,) = (record for record in document.records if isinstance(record, NftSet))
    assert (found.key_type, found.value_type) == ("ifname", "verdict")
    assert found.elements == (NftElement("docker0", "jump filter-forward-in__docker0"), NftElement("br1", "drop"))


def test_a_named_priority_is_the_number_of_its_family() -> None:
    lines = ("\tchain c {", "\t\ttype filter hook forward priority filter + 10; policy drop;", "\t}", "}")
    for family, priority in (("ip", 10), ("bridge", -190)):
        (chain,) = (each for each in read(f"table {family} t {{", *lines).records if isinstance(each, NftChain))
        assert (chain.priority, chain.policy, chain.hook) == (priority, "drop", "forward")


def test_an_odd_line_costs_that_line_and_the_place_of_a_rule() -> None:
    document = read("table ip t {", "\tchain c {", "\t\taccept", "\t\t}{ odd", "\t\tdrop", "\t}", "}")
    assert [unread.line for unread in document.unread] == [4]
    assert [rule.position for rule in document.records if isinstance(rule, NftRule)] == [1, 3]


def test_a_ruleset_that_is_cut_off_keeps_what_was_seen() -> None:
    document = read("table ip t {", "\tset s {", "\t\ttype ipv4_addr", "\t\telements = { 10.0.0.1,")
    assert [type(record) for record in document.records] == [NftTable, NftSet]
    assert [record.elements for record in document.records if isinstance(record, NftSet)] == [(NftElement("10.0.0.1"),)]


def test_both_forms_of_flags_under_a_mask_are_one_condition() -> None:
    one = rule_of("tcp flags syn / fin,syn,rst,ack drop").statements
    other = rule_of("tcp flags & (fin | syn | rst | ack) == syn drop").statements
    assert one == other
    assert one[0] == NftMatch("tcp flags & (fin | syn | rst | ack)", "==", ("syn",))
