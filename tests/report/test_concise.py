"""One line for each finding."""

from dataclasses import replace

from netdiag.report.concise import render
from netdiag.results import Analysis


def test_a_line_names_place_severity_check_and_message(analysis: Analysis) -> None:
    assert render(analysis, unicode=True, pedantic=False).split("\n") == [
        "host/ip_addr.txt:23:1: error[link-veth-not-enslaved] `veth2e334af`, the host end of container `db`, is not a "
        "port of bridge `br-7cd2356a9d4d`",
        "docker/network_inspect.json:5:30: error[nat-masquerade-missing] no rule in nat `POSTROUTING` masquerades "
        "172.19.0.0/16 of network `back`",
        "docker/inspect.json:34:21: warning[address-mac-ip-mismatch] MAC 02:42:ac:14:00:03 of `app` on `back` stands "
        "for 172.20.0.3, not 172.19.0.3",
        "host/ip_addr.txt:29:5: note[link-stale-bridge] bridge `br-0f1e2d3c4b5a` belongs to none of the 3 networks in "
        "the bundle",
        "",
    ]


def test_low_confidence_is_shown_when_asked_for(analysis: Analysis) -> None:
    assert render(analysis, unicode=True, pedantic=True).split("\n")[4] == (
        "host/iptables_save.txt:16:75: warning[nat-dnat-stale] "
        "the DNAT rule of port 8080 may be older than its container"
    )


def test_no_finding_gives_no_line(healthy: Analysis) -> None:
    assert render(healthy, unicode=True, pedantic=True) == ""


def test_a_message_cannot_begin_a_line_of_its_own(analysis: Analysis) -> None:
    finding = replace(analysis.findings[0], message="a\n/etc/passwd:1:1: error[b] c\r\x1b[2Kd\u202e\u00e9")
    case = replace(analysis, findings=(finding,))
    assert render(case, unicode=True, pedantic=False) == (
        "host/ip_addr.txt:23:1: error[link-veth-not-enslaved] a␊/etc/passwd:1:1: error[b] c␍␛[2Kd\\u202eé\n"
    )
    assert render(case, unicode=False, pedantic=False) == (
        "host/ip_addr.txt:23:1: error[link-veth-not-enslaved] "
        "a\\x0a/etc/passwd:1:1: error[b] c\\x0d\\x1b[2Kd\\u202e\\xe9\n"
    )


def test_what_was_put_aside_comes_last_and_says_so(put_aside: Analysis) -> None:
    lines = render(put_aside, unicode=True, pedantic=False).splitlines()
    assert [line.split("]")[0].split("[")[1] for line in lines] == [
        "link-veth-not-enslaved",
        "address-mac-ip-mismatch",
        "nat-masquerade-missing",
        "link-stale-bridge",
    ]
    assert lines[2].endswith(" (known already)")
    assert lines[3].endswith(" (suppressed until 2027-01-31: goes with the old <b>stack</b>␛[2J)")
