import pytest

from netdiag import formats
from netdiag.formats import Unread
from netdiag.formats.records import Sysctl
from netdiag.spans import Source


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("net.ipv4.ip_forward = 1", "net.ipv4.ip_forward", "1"),
        ("net.ipv4.tcp_rmem = 4096\t131072\t6291456", "net.ipv4.tcp_rmem", "4096\t131072\t6291456"),
        ("net.ipv4.conf.eth0/100.rp_filter = 2", "net.ipv4.conf.eth0/100.rp_filter", "2"),
        ("net.ipv4.conf.br-f975a4dce9f9.forwarding = 1", "net.ipv4.conf.br-f975a4dce9f9.forwarding", "1"),
        ("kernel.domainname =", "kernel.domainname", ""),
        ("kernel.core_pattern = |/usr/lib/x a=b %P", "kernel.core_pattern", "|/usr/lib/x a=b %P"),
        ("net.ipv4.ip_forward=1", "net.ipv4.ip_forward", "1"),
    ],
)
def test_a_line_is_a_key_and_its_value(line: str, key: str, value: str) -> None:
    source = Source("sysctl.txt", line)
    assert formats.get("sysctl").read(source).records == (Sysctl(key, value, source.span(1)),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [("ID=debian", "not expected here: 'ID=debian' (column 1)")],
)
def test_what_is_no_setting_is_told(line: str, reason: str) -> None:
    assert formats.get("sysctl").read(Source("sysctl.txt", line)).unread == (Unread(1, reason),)


def test_what_sysctl_says_of_a_key_that_it_cannot_read_is_no_setting() -> None:
    text = "sysctl: permission denied on key 'net.ipv4.tcp_fastopen_key'\nnet.ipv4.ip_forward = 1\n"
    document = formats.get("sysctl").read(Source("sysctl.txt", text))
    assert [record.key for record in document.records if isinstance(record, Sysctl)] == ["net.ipv4.ip_forward"]
    assert document.unread == ()
