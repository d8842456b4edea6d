from ipaddress import ip_address

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import Process, Socket
from netdiag.spans import Source


def read(text: str) -> Document:
    return formats.get("ss").read(Source("ss.txt", text))


def only_socket(text: str) -> Socket:
    document = read(text)
    assert document.unread == ()
    (socket,) = document.records
    assert isinstance(socket, Socket)
    return socket


def test_a_listener_has_its_address_queues_and_processes() -> None:
    line = 'tcp   LISTEN 1      4096   127.0.0.1:8080  0.0.0.0:*  users:(("nginx: w",pid=9,fd=6),("sh",pid=8,fd=6))'
    document = read(line)
    socket = Socket(
        protocol="tcp",
        state="LISTEN",
        family="ipv4",
        address=ip_address("127.0.0.1"),
        port=8080,
        span=document.source.span(1),
        receive_queue=1,
        send_queue=4096,
        processes=(Process("nginx: w", 9, 6), Process("sh", 8, 6)),
    )
    assert document.records == (socket,)


@pytest.mark.parametrize(
    ("local", "family", "address", "port", "device"),
    [
        ("0.0.0.0:80", "ipv4", None, 80, None),
        ("[::]:80", "ipv6", None, 80, None),
        ("*:80", "any", None, 80, None),
        ("0.0.0.0:*", "ipv4", None, None, None),
        ("0.0.0.0%br0:68", "ipv4", None, 68, "br0"),
        ("*%br0:67", "any", None, 67, "br0"),
        ("127.0.0.53%lo:53", "ipv4", "127.0.0.53", 53, "lo"),
        ("[fe80::1]%eth0:546", "ipv6", "fe80::1", 546, "eth0"),
        ("[::ffff:127.0.0.1]:9000", "ipv6", "::ffff:127.0.0.1", 9000, None),
        (":::22", None, None, 22, None),
        ("::1:631", "ipv6", "::1", 631, None),
        ("fe80::1%eth0:546", "ipv6", "fe80::1", 546, "eth0"),
    ],
)
def test_the_families_are_told_apart(
    local: str, family: str | None, address: str | None, port: int | None, device: str | None
) -> None:
    socket = only_socket(f"udp   UNCONN 0      0   {local}      *:*    ")
    expected = ip_address(address) if address else None
    assert (socket.family, socket.address, socket.port, socket.device) == (family, expected, port, device)


def test_a_star_is_ipv4_in_an_old_version_that_prints_no_brackets() -> None:
    document = read(
        "tcp    LISTEN     0      128       *:22     *:*\ntcp    LISTEN     0      128      :::22    :::*\n"
    )
    assert [socket.family for socket in document.records if isinstance(socket, Socket)] == ["ipv4", None]


@pytest.mark.parametrize("users", ['users:(("sshd",1021,3))', 'users:(("sshd",pid=1021,fd=3))'])
def test_both_spellings_of_the_processes_are_read(users: str) -> None:
    assert only_socket(f"tcp LISTEN 0 128 *:22 *:* {users}").processes == (Process("sshd", 1021, 3),)


@pytest.mark.parametrize(
    "heading",
    [
        "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess",
        "Netid State  Recv-Q Send-Q                   Local Address:Port  Peer Address:Port Process    ",
        "State  Recv-Q Send-Q      Local Address:Port Peer Address:Port",
    ],
)
def test_every_heading_is_read_and_gives_no_record(heading: str) -> None:
    assert (read(heading).records, read(heading).unread) == ((), ())


def test_without_the_column_netid_the_protocol_follows_from_the_state_and_a_note_says_so() -> None:
    document = read("LISTEN 0 128 *:22 *:*\nUNCONN 0 0 *:53 *:*\n")
    assert [socket.protocol for socket in document.records if isinstance(socket, Socket)] == ["tcp", "udp"]
    assert document.notes == ("no column Netid: sockets in the state UNCONN are taken for udp, all others for tcp",)


def test_the_peer_and_the_further_words_are_kept_in_details() -> None:
    socket = only_socket("tcp ESTAB 0 0 [::1]:60014 [::1]:8080 ino:616669 v6only:0 <->\n\t skmem:(r0,rb212992)\n")
    assert socket.details == {
        "peer": "[::1]:8080",
        "ino": "616669",
        "v6only": "0",
        "<->": "",
        "more": "skmem:(r0,rb212992)",
    }


@pytest.mark.parametrize(
    ("local", "family", "address"),
    [
        ("0.0.0.0:http-alt", "ipv4", None),
        ("*:http-alt", "any", None),
        ("[::1]:http-alt", "ipv6", "::1"),
        (":::http-alt", None, None),
        ("fe80::1%eth0:http-alt", "ipv6", "fe80::1"),
    ],
)
def test_without_n_the_name_of_a_service_is_kept_and_the_port_is_not_told(
    local: str, family: str | None, address: str | None
) -> None:
    socket = only_socket(f"tcp ESTAB 0 0 {local} 127.0.0.1:postgresql")
    expected = ip_address(address) if address else None
    assert (socket.family, socket.address, socket.port) == (family, expected, None)
    assert socket.details == {"service": "http-alt", "peer": "127.0.0.1:postgresql"}


def test_sockets_of_other_families_are_read_and_give_no_record() -> None:
    document = read("u_str LISTEN 0      4096   /run/docker.sock 1234            * 0\n")
    assert (document.records, document.unread) == ((), ())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("tcp LISTEN 0 128 0.0.0.0:99999 0.0.0.0:*", "a value out of range: port 99999"),
        ("tcp LISTEN 0 128 localhost:ssh 0.0.0.0:*", "not expected here: 'localhost:ssh' (column 18)"),
        ("\t skmem:(r0,rb212992)", "no socket above it"),
    ],
)
def test_a_line_that_cannot_be_read_is_told(line: str, reason: str) -> None:
    assert read(line).unread == (Unread(1, reason),)


def test_netid_and_state_may_run_together() -> None:
    """As iproute2 4.15 prints them where the terminal is narrow."""
    heading = "NetidState  Recv-Q  Send-Q    Local Address:Port   Peer Address:Port\n"
    document = read(heading + "u_strESTAB  0  0   * 2907336   * 2907337\n")
    assert (document.records, document.unread) == ((), ())


def test_a_process_is_named_once_however_many_threads_it_has() -> None:
    line = 'tcp LISTEN 0 4096 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=9,tid=9,fd=6),("nginx",pid=9,tid=10,fd=6))'
    assert only_socket(line).processes == (Process("nginx", 9, 6),)
