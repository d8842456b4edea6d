"""A listing and an `iptables-save` of one state give equal rules.

Proven twice: on rules that the real iptables loads and prints, where it can be run, and everywhere on pairs of samples.
"""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path

import pytest

from netdiag.formats import Document, iptables_list, iptables_save
from netdiag.formats.records import Rule
from netdiag.spans import Source

BOTH = (4, 6)


@dataclass(frozen=True)
class Case:
    """A rule as `iptables-restore` takes it, behind `-A CHAIN`, in the families that know it."""

    table: str
    text: str
    families: tuple[int, ...] = BOTH
    understood: bool = True


CASES = (
    # Docker
    Case("filter", "-o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Case("filter", "-i docker0 ! -o docker0 -j ACCEPT"),
    Case("filter", "-d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT", (4,)),
    Case("filter", "-d fd00:17::2/128 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT", (6,)),
    Case("filter", "! -s 172.19.0.0/16 -o br-c67699db7a13 -j DROP", (4,)),
    Case("filter", "-m mark --mark 0x1 -j ACCEPT"),
    Case("filter", "-m set --match-set banned dst -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Case("filter", "-m set ! --match-set banned src --return-nomatch -j DROP"),
    Case("filter", "-p udp -m policy --dir in --pol none -m udp --dport 4789 -j DROP"),
    Case("raw", "-d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 9000 -j DROP", (4,)),
    Case("raw", "-i eth0 -p udp -m udp --dport 53 -j NOTRACK"),
    Case("raw", "-p tcp -m tcp --dport 21 -j CT --helper ftp"),
    Case("raw", "-i eth0 -j CT --zone 7"),
    Case("nat", "! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j RETURN", (4,)),
    Case("nat", "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", (4,)),
    Case("nat", "-s fd00:17::/64 ! -o docker0 -j MASQUERADE", (6,)),
    Case("nat", "-o docker0 -m addrtype --src-type LOCAL -j MASQUERADE --random-fully"),
    Case("nat", "-p tcp -j MASQUERADE --to-ports 1024-65535 --random"),
    Case("nat", "-s 172.17.0.0/16 -j SNAT --to-source 203.0.113.10 --persistent", (4,)),
    Case("nat", "-s 127.0.0.11/32 -p udp -m udp --sport 47449 -j SNAT --to-source :53", (4,)),
    Case("nat", "! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80", (4,)),
    Case("nat", "-p tcp -m tcp --dport 8000:8010 -j DNAT --to-destination 172.17.0.2:8000-8010", (4,)),
    Case("nat", "! -s fe80::/10 ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00:17::2]:80", (6,)),
    Case("nat", "-p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128"),
    Case("nat", "-d 10.1.0.0/16 -j NETMAP --to 10.2.0.0/16", (4,)),
    Case("mangle", "-p sctp -m sctp --sport 5000 -j CHECKSUM --checksum-fill"),
    Case("mangle", '-p udp -m u32 --u32 "0x0>>0x16&0x3c@0xc&0xffffff00=0x100100" -j MARK --set-mark 0xd0c4e3'),
    Case("mangle", '-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0" -j MARK --set-xmark 0x1/0xff'),
    # Kubernetes
    Case("nat", "-m mark ! --mark 0x4000/0x4000 -j RETURN"),
    Case("nat", "-j MARK --or-mark 0x4000"),
    Case("nat", "-j MARK --xor-mark 0x4000"),
    Case("nat", '-p tcp -m comment --comment "default/web:http cluster IP" -m tcp --dport 80 -j ACCEPT'),
    Case(
        "nat",
        '-m comment --comment "default/web -> 10.0.0.1:80" -m statistic --mode random --probability 0.25 -j ACCEPT',
    ),
    Case("nat", "-m statistic --mode nth --every 3 --packet 0 -j RETURN"),
    Case("nat", "-p tcp -m recent --set --name KUBE-SEP-A --rsource -m tcp -j RETURN"),
    Case("nat", "-m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-A --rsource -j RETURN"),
    Case("nat", "-m recent ! --update --seconds 60 --hitcount 4 --rttl --name KUBE-SEP-A --rdest -j RETURN"),
    Case("filter", "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"),
    Case("filter", "-p tcp -m addrtype ! --dst-type LOCAL -m tcp --dport 30080 -j REJECT --reject-with tcp-reset"),
    Case("mangle", "-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"),
    Case("mangle", "-p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss --mss 1400:65495 -j TCPMSS --set-mss 1360"),
    Case("mangle", "-p tcp -m socket --transparent -j MARK --set-xmark 0x200/0xf00"),
    Case("mangle", "-p tcp -m socket -j ACCEPT"),
    Case("mangle", "-p tcp -j TPROXY --on-port 15001 --on-ip 127.0.0.1 --tproxy-mark 0x539", (4,)),
    Case("mangle", "-p tcp -j TPROXY --on-port 15001 --on-ip ::1 --tproxy-mark 0x539", (6,)),
    # firewalld, ufw, libvirt, fail2ban
    Case("filter", '-m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "'),
    Case("filter", "-m limit --limit 30/sec -j LOG --log-level 7 --log-tcp-options --log-ip-options --log-uid"),
    Case("filter", "-p icmp -m icmp --icmp-type 3/4 -j ACCEPT", (4,)),
    Case("filter", "-p icmp -m icmp ! --icmp-type 8 -j REJECT --reject-with icmp-host-prohibited", (4,)),
    Case("filter", "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT", (6,)),
    Case("filter", "-m rt --rt-type 0 -j DROP", (6,)),
    Case("filter", "-p tcp -m multiport --dports 22,80,8000:8010 -j REJECT"),
    Case("filter", "-p udp -m multiport ! --sports 53,123 -j DROP"),
    Case("filter", "-m physdev --physdev-is-bridged -j ACCEPT"),
    Case("filter", "-m physdev --physdev-in vnet0 ! --physdev-is-in -g TARGET"),
    Case("filter", "-m physdev ! --physdev-out vnet1 --physdev-is-bridged -j ACCEPT"),
    Case("filter", "-m pkttype ! --pkt-type unicast -j DROP"),
    Case("raw", "-m rpfilter --loose --invert -j DROP"),
    Case("raw", "-m rpfilter -j ACCEPT"),
    Case("filter", "-m mac ! --mac-source 02:42:ac:11:00:02 -j DROP"),
    # the rest of what hosts have
    Case("filter", ""),
    Case("filter", "-p udp -m udp --dport 53"),
    Case("filter", "-g TARGET"),
    Case("filter", "! -p tcp -j TARGET"),
    Case("filter", "-p 253 -j DROP"),
    Case("filter", "-p ospf -j ACCEPT"),
    Case("filter", "-p udplite -j ACCEPT"),
    Case("filter", "-p esp -m esp --espspi 500 -j ACCEPT"),
    Case("filter", "-f -j DROP", (4,)),
    Case("filter", "-i br+ ! -o veth+ -j ACCEPT"),
    Case("filter", "-s 10.0.12.0/255.0.255.0 -j DROP", (4,), understood=False),
    Case("filter", "-s 2001:db8::/32 ! -d 2001:db8:1::1/128 -j RETURN", (6,)),
    Case("filter", "-p tcp -m tcp ! --sport 1024:65535 --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP"),
    Case("filter", "-p tcp -m tcp --tcp-option 7 -j DROP"),
    Case("filter", "-m state --state INVALID,UNTRACKED -j DROP"),
    Case("filter", "-m conntrack --ctproto 17 --ctorigdstport 53 --ctdir REPLY -j ACCEPT"),
    Case("filter", "-m conntrack ! --ctorigsrc 10.0.0.0/8 --ctstatus ASSURED --ctexpire 10:600 -j ACCEPT", (4,)),
    Case("filter", "-m connmark --mark 0x1/0xff -j ACCEPT"),
    Case("filter", "-m owner --uid-owner 0-99 -j ACCEPT"),
    Case("filter", "-m owner ! --gid-owner 1000 --socket-exists -j REJECT"),
    Case("filter", "-m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.1.0.1-10.1.0.9 -j ACCEPT", (4,)),
    Case("filter", "-p tcp -m connlimit --connlimit-above 20 --connlimit-mask 24 -j REJECT", (4,)),
    Case(
        "filter",
        "-m hashlimit --hashlimit-upto 40/sec --hashlimit-burst 20 --hashlimit-mode srcip,dstport --hashlimit-name a",
    ),
    Case(
        "filter",
        "-m hashlimit --hashlimit-above 1mb/s --hashlimit-mode dstip --hashlimit-name b --hashlimit-dstmask 24",
    ),
    Case("filter", '-m string --string "GET /" --algo bm --from 40 --to 200 --icase -j DROP'),
    Case("filter", '-m string ! --hex-string "|0d0a0d0a|" --algo kmp -j DROP'),
    Case("filter", "-m length ! --length 0:1500 -j DROP"),
    Case("filter", "-m ttl ! --ttl-eq 64 -j DROP", (4,)),
    Case("filter", "-m tos --tos 0x10/0x3f -m dscp ! --dscp 0x2e -j DROP"),
    Case("filter", "-m time --timestart 08:00 --timestop 18:00 --weekdays Mon,Tue --monthdays 1,22 -j ACCEPT"),
    Case("filter", "-m connbytes --connbytes 10:100 --connbytes-dir reply --connbytes-mode bytes -j ACCEPT"),
    Case("filter", "-m cgroup ! --cgroup 1048577 -j DROP"),
    Case("filter", "-m helper --helper ftp -j ACCEPT"),
    Case("filter", "-m devgroup --src-group 0x1 ! --dst-group 0x2/0xf -j ACCEPT"),
    Case("filter", "-m addrtype --src-type UNICAST --limit-iface-in -j ACCEPT"),
    Case("filter", "-p tcp -m tcp --syn -j SYNPROXY --sack-perm --timestamp --wscale 9 --mss 1460"),
    Case("filter", "-j AUDIT --type drop"),
    Case("filter", "-m cpu --cpu 1 -m realm --realm 0x1/0xff -j ACCEPT", (4,)),
    Case("filter", '-m comment --comment "tcp dpt:22 /* ctstate NEW" -j ACCEPT'),
    Case("filter", '-m comment --comment "say \\"hi\\" */ tcp dpt:23" -j ACCEPT'),
    Case("filter", '-m comment --comment "one" -p tcp -m tcp --dport 80 -m comment --comment "two"'),
    Case("filter", '-m comment --comment -j -j LOG --log-prefix "a \\"quoted\\" prefix"'),
    Case("filter", '-j NFLOG --nflog-prefix "two words" --nflog-group 2 --nflog-threshold 5'),
    Case("filter", "-j NFQUEUE --queue-balance 0:3 --queue-bypass --queue-cpu-fanout"),
    Case("filter", "-j SET --add-set banned src --exist --timeout 600"),
    Case("mangle", "-j CONNMARK --restore-mark"),
    Case("mangle", "-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff00"),
    Case("mangle", "-j CONNMARK --set-xmark 0x1/0xff"),
    Case("mangle", "-j CLASSIFY --set-class 0001:0010"),
    Case("mangle", "-j DSCP --set-dscp 0x2e"),
    Case("mangle", "-j TOS --set-tos 0x10/0x3f"),
    Case("mangle", "-j TTL --ttl-dec 1", (4,)),
    Case("mangle", "-j HL --hl-set 64", (6,)),
    Case("mangle", "-j TEE --gateway 192.0.2.1 --oif eth0", (4,)),
)


def facts(rule: Rule, *, counters: bool = True) -> dict[str, object]:
    """All that a rule says, but where it was read."""
    left_out = {"span"} if counters else {"span", "counters"}
    return {item.name: getattr(rule, item.name) for item in fields(rule) if item.name not in left_out}


def rules(document: Document, table: str) -> list[Rule]:
    return [record for record in document.records if isinstance(record, Rule) and record.table == table]


# real rules


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _why_not(backend: str) -> str:
    """Why the real iptables cannot be run here, empty when it can."""
    if os.geteuid() != 0:
        return "not root: no network namespace for the real iptables"
    if not os.path.exists("/proc/self/ns/net"):
        return "/proc is not mounted: no network namespace for the real iptables"
    missing = [
        name for name in ("unshare", "nsenter", f"iptables-{backend}", f"ip6tables-{backend}") if not _program(name)
    ]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Namespace:
    """A throw-away network namespace with one family's iptables of one backend."""

    def __init__(self, backend: str, family: int) -> None:
        self._family = family
        self._iptables = f"{'ip6tables' if family == 6 else 'iptables'}-{backend}"

    def __enter__(self) -> "Namespace":
        self._holder = subprocess.Popen([_program("unshare") or "", "--net", "sleep", "infinity"])
        while os.readlink(f"/proc/{self._holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        if _program("ipset"):
            family = "inet6" if self._family == 6 else "inet"
            self._run("ipset", "create", "banned", "hash:ip", "timeout", "0", "family", family)
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()

    def load(self, table: str, lines: str) -> str:
        """Why the lines were refused, empty when they were not."""
        text = f"*{table}\n{lines}\nCOMMIT\n"
        done = self._run(f"{self._iptables}-restore", "-w", "--noflush", "--counters", text=text)
        return done.stderr.strip() or "refused" if done.returncode else ""

    def listing(self, table: str) -> Source:
        arguments = ("-t", table, "-L", "-v", "-n", "-x")
        text = self._run(self._iptables, "-w", *arguments).stdout
        return Source(path="listing.txt", text=text, command=" ".join((self._iptables, *arguments)))

    def save(self, table: str) -> Source:
        arguments = ("-c", "-t", table)
        text = self._run(f"{self._iptables}-save", *arguments).stdout
        return Source(path="save.txt", text=text, command=" ".join((f"{self._iptables}-save", *arguments)))

    def _run(self, program: str, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        enter = (_program("nsenter") or "", f"--net=/proc/{self._holder.pid}/ns/net", "--")
        command = (*enter, _program(program) or program, *arguments)
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@dataclass
class Printed:
    """What the real iptables printed of the cases, each in a chain of its own, and what it refused, by the reason."""

    listings: dict[str, Document] = field(default_factory=dict)
    saves: dict[str, Document] = field(default_factory=dict)
    refused: dict[Case, str] = field(default_factory=dict)


def chain(case: Case) -> str:
    return f"case-{CASES.index(case)}"


@cache
def printed(backend: str, family: int) -> Printed:
    """Skips the test when the real iptables cannot be run here."""
    if reason := _why_not(backend):
        pytest.skip(reason)
    result = Printed()
    with Namespace(backend, family) as namespace:
        for table in ("raw", "mangle", "nat", "filter"):
            namespace.load(table, "-N TARGET")
            for number, case in enumerate(CASES):
                if case.table == table and family in case.families:
                    # the counters are there to be compared as well
                    refusal = namespace.load(table, f"-N {chain(case)}\n[{number}:123456] -A {chain(case)} {case.text}")
                    result.refused.update({case: refusal} if refusal else {})
            result.listings[table] = iptables_list.read(namespace.listing(table))
            result.saves[table] = iptables_save.read(namespace.save(table))
    return result


KINDS = tuple((backend, family) for backend in ("nft", "legacy") for family in BOTH)


@pytest.mark.parametrize(
    ("backend", "family", "case"),
    [
        pytest.param(backend, family, case, id=f"{backend}-ipv{family}-{case.table} {case.text}".strip())
        for backend, family in KINDS
        for case in CASES
        if family in case.families
    ],
)
def test_a_real_rule_is_the_same_in_both_texts(backend: str, family: int, case: Case) -> None:
    texts = printed(backend, family)
    if case in texts.refused:
        pytest.skip(f"not taken by this kernel or iptables: {texts.refused[case]}")
    listed, saved = (
        [rule for rule in rules(documents[case.table], case.table) if rule.chain == chain(case)]
        for documents in (texts.listings, texts.saves)
    )
    assert [facts(rule) for rule in listed] == [facts(rule) for rule in saved]
    assert len(saved) == 1
    assert not case.understood or saved[0].not_understood == ()


@pytest.mark.parametrize(("backend", "family"), KINDS)
def test_no_line_of_a_real_ruleset_is_unread(backend: str, family: int) -> None:
    texts = printed(backend, family)
    for document in (*texts.listings.values(), *texts.saves.values()):
        assert [document.source.lines[unread.line - 1] for unread in document.unread] == []
        assert document.notes == ()


@pytest.mark.parametrize(("backend", "family"), KINDS)
def test_most_cases_were_really_tried(backend: str, family: int) -> None:
    texts = printed(backend, family)
    tried = [case for case in CASES if family in case.families and case not in texts.refused]
    assert len(tried) >= 60


# committed pairs

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "formats"


def _pairs() -> list[tuple[Path, Path, str]]:
    """The listings with the save of the same state: `iptables_list/ORIGIN-TABLE.txt` and `iptables_save/ORIGIN.txt`."""
    saves = {path.stem: path for path in (SAMPLES / "iptables_save").glob("*.txt")}
    found = []
    for listing in sorted((SAMPLES / "iptables_list").glob("*.txt")):
        for table in ("filter", "nat", "mangle", "raw"):
            stem = listing.stem.removesuffix("-numbered").removesuffix("-rounded")
            origin = stem.removesuffix(f"-{table}")
            if origin != stem and origin in saves:
                found.append((listing, saves[origin], table))
    return found


@pytest.mark.parametrize(("listing", "save", "table"), _pairs(), ids=lambda value: getattr(value, "stem", value))
def test_a_pair_of_samples_gives_equal_rules(listing: Path, save: Path, table: str) -> None:
    listed = iptables_list.read(Source(path=listing.name, text=listing.read_text(encoding="utf-8")))
    saved = iptables_save.read(Source(path=save.name, text=save.read_text(encoding="utf-8")))
    exact = all(rule.counters and rule.counters.exact for rule in rules(listed, table))
    actual = [facts(rule, counters=exact) for rule in rules(listed, table)]
    expected = [facts(rule, counters=exact) for rule in rules(saved, table)]
    # what neither understands is kept in the words of each
    for one, other in zip(actual, expected, strict=True):
        assert bool(one.pop("not_understood")) == bool(other.pop("not_understood"))
    assert actual == expected


def test_the_pairs_show_both_backends_both_families_and_several_versions() -> None:
    names = [listing.stem for listing, _, _ in _pairs()]
    for word in (
        "-nft-",
        "-legacy-",
        "ipv6",
        "1.8.7",
        "1.8.9",
        "1.8.11",
        "1.8.13",
        "docker20.10",
        "docker28",
        "docker29",
    ):
        assert [name for name in names if word in name] != [], word
