from ipaddress import ip_address

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import Process, Socket
from netdiag.spans import Source

CUT = "an address of 23 characters may be cut off: `netstat -W` prints it whole"
NAMED = "a name stands for an address: `netstat -n` prints the address"
OUT_OF_RANGE = "a value out of range: '300.1.1.1' does not appear to be an IPv4 or IPv6 address"


def read(text: str) -> Document:
    return formats.get("netstat").read(Source("netstat.txt", text))


def only_socket(text: str) -> Socket:
    document = read(text)
    assert document.unread == ()
    (socket,) = document.records
    assert isinstance(socket, Socket)
    return socket


def test_a_listener_is_the_socket_that_ss_tells_of_but_for_what_netstat_does_not_know() -> None:
    document = read(
        "tcp        1      0 127.0.0.1:8080          0.0.0.0:*               LISTEN      270/docker-proxy    "
    )
    socket = Socket(
        protocol="tcp",
        state="LISTEN",
        family="ipv4",
        address=ip_address("127.0.0.1"),
        port=8080,
        span=document.source.span(1, 1, 97),
        receive_queue=1,
        send_queue=None,
        processes=(Process("docker-proxy", 270, None),),
    )
    assert document.records == (socket,)


@pytest.mark.parametrize(
    ("protocol", "local", "family", "address", "port", "service"),
    [
        ("tcp", "0.0.0.0:22", "ipv4", None, 22, None),
        ("tcp", "*:ssh", "ipv4", None, None, "ssh"),
        ("tcp6", ":::80", None, None, 80, None),
        ("tcp6", "[::]:http-alt", None, None, None, "http-alt"),
        ("tcp", ":::80", None, None, 80, None),
        ("tcp6", "::1:631", "ipv6", "::1", 631, None),
        ("tcp6", "127.0.0.1:9001", "ipv6", "::ffff:127.0.0.1", 9001, None),
        ("tcp", "::ffff:127.0.0.1:9001", "ipv6", "::ffff:127.0.0.1", 9001, None),
        ("udp6", "2001:db8:1::1:53", "ipv6", "2001:db8:1::1", 53, None),
        ("raw6", "::%6001648:58", None, None, 58, None),
    ],
)
def test_addresses_and_ports_are_told_apart(
    protocol: str, local: str, family: str | None, address: str | None, port: int | None, service: str | None
) -> None:
    socket = only_socket(f"{protocol}   0   0 {local}   :::*   {'7' if protocol == 'raw6' else ''}")
    assert socket.protocol == protocol.removesuffix("6")
    assert (socket.family, socket.address) == (family, ip_address(address) if address else None)
    assert (socket.port, socket.details.get("service")) == (port, service)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("LISTEN", "LISTEN"),
        ("ESTABLISHED", "ESTAB"),
        ("FIN_WAIT1", "FIN-WAIT-1"),
        ("FIN_WAIT2", "FIN-WAIT-2"),
        ("TIME_WAIT", "TIME-WAIT"),
        ("SYN_RECV", "SYN-RECV"),
        ("CLOSE", "UNCONN"),
        ("", "UNCONN"),
    ],
)
def test_states_have_the_words_of_ss(word: str, state: str) -> None:
    assert only_socket(f"tcp 0 0 10.0.0.1:80 10.0.0.2:5000 {word}").state == state


def test_a_connected_socket_has_its_peer_in_the_form_of_ss() -> None:
    socket = only_socket("tcp6       0     36 ::1:8080                ::1:47614               ESTABLISHED -")
    assert (socket.receive_queue, socket.send_queue, socket.processes) == (0, 36, ())
    assert socket.details == {"peer": "[::1]:47614"}


@pytest.mark.parametrize(
    ("program", "process"),
    [
        ("2211/nginx: master  ", Process("nginx: master", 2211, None)),
        ("720/sshd: /usr/sbin", Process("sshd: /usr/sbin", 720, None)),
        ("1/init", Process("init", 1, None)),
    ],
)
def test_a_program_may_hold_blanks_and_slashes(program: str, process: Process) -> None:
    assert only_socket(f"tcp 0 0 0.0.0.0:80 0.0.0.0:* LISTEN {program}").processes == (process,)


def test_owner_and_timer_are_kept_in_details() -> None:
    line = "tcp 0 0 10.0.0.1:80 10.0.0.2:5000 ESTABLISHED www-data 5077114 12/nginx: w  keepalive (7186.91/0/0)"
    socket = only_socket(line)
    assert socket.processes == (Process("nginx: w", 12, None),)
    assert socket.details == {
        "peer": "10.0.0.2:5000",
        "uid": "www-data",
        "ino": "5077114",
        "timer": "keepalive (7186.91/0/0)",
    }


def test_titles_headings_and_sockets_of_unix_are_read_and_give_no_record() -> None:
    document = read(
        "Active Internet connections (servers and established)\n"
        "Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name    \n"
        "Active UNIX domain sockets (servers and established)\n"
        "Proto RefCnt Flags       Type       State         I-Node   PID/Program name     Path\n"
        "unix  2      [ ACC ]     STREAM     LISTENING     4760204  49/dockerd           /var/run/docker.sock\n"
        "unix  3      [ ]         DGRAM                    12345    -\n"
    )
    assert (document.records, document.unread) == ((), ())


def test_an_ipv6_address_that_fills_its_column_may_be_cut_off_and_is_no_address() -> None:
    assert read("udp6 0 0 fe80::58f7:62ff:fee:546 :::*").unread == (Unread(1, CUT),)
    assert read("tcp6 0 0 ::1:80 fe80::58f7:62ff:fee:546 ESTABLISHED").unread == (Unread(1, CUT),)


def test_an_address_is_whole_where_another_one_is_longer_than_the_column() -> None:
    document = read("udp6 0 0 fe80::58f7:62ff:fee:546 :::*\nudp6 0 0 fe80::58f7:62ff:fee0:7194:546 :::*\n")
    assert document.unread == ()
    assert len(document.records) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("tcp 0 0 localhost:postgresql 0.0.0.0:* LISTEN", NAMED),
        ("tcp 0 0 127.0.0.1:5432 db:postgresql ESTABLISHED", NAMED),
        ("tcp 0 0 0.0.0.0:99999 0.0.0.0:* LISTEN", "a value out of range: port 99999"),
        ("tcp 0 0 300.1.1.1:80 0.0.0.0:* LISTEN", OUT_OF_RANGE),
    ],
)
def test_a_line_that_cannot_be_read_is_told(line: str, reason: str) -> None:
    assert read(line).unread == (Unread(1, reason),)
