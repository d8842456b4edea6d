#!/usr/bin/env python3
"""netdiag collector: what the network of this container host looks like, in one file to send.

It runs the commands of the table ITEMS below, on the host and inside the network namespace of every running
container, copies a few small files, masks secrets, and writes one netdiag-<host>-<time>.tar.gz. It changes nothing:
no shell, no file outside the output directory, no kernel module loaded by asking. It needs Linux and the standard
library of Python 3.6 or newer.

Reading order: ITEMS (what), Masker (what is taken out), Runner (how a command is run), Collector (in which order).

Ids of the firewall artifacts, for iptables and likewise for ip6tables:
  iptables-save, iptables-<table>                the command `iptables`, whichever backend it uses
  iptables-legacy-save, iptables-legacy-<table>  also, when `iptables` is nft and both backends are installed
  iptables-nft-save, iptables-nft-<table>        also, when `iptables` is legacy and both backends are installed
Listing a table makes iptables-legacy load its module, and iptables-nft before 1.8.3 create it. So a table is listed
only when it is there: legacy tables as /proc/net/ip_tables_names tells, nft tables as iptables-save prints them. A
table of `iptables` that is not there is in the manifest as skipped; of the other backend only what is there is listed.

JSON is stored with one key a line, as docker prints it, and /proc/sys/net in the form of sysctl(8).
"""

import argparse
import bisect
import collections
import concurrent.futures
import datetime
import functools
import gzip
import hashlib
import io
import json
import math
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

VERSION = "0.1.0"
SCHEMA_VERSION = "1.0"

# ---------------------------------------------------------------------------------------------------- what is collected

FILES = "files"  # a file, copied
DOCKER = "docker"  # asked of the engine
PODMAN = "podman"  # asked of the other engine
HOST = "host"  # run in the network namespace of this process
NETNS = "netns"  # run in each other network namespace
TRACE = "trace"  # run on request while something happens; {data} is a file that is removed again
BOTH = "host, netns"
CONTAINER = "container"  # a file, copied, whose path `docker inspect` tells


class Item(NamedTuple):
    """One thing to collect. `command` is split into words as by a shell and run without one; of FILES it is the path,
    of CONTAINER the key under which `docker inspect` has the path.

    `needs` are kernel modules that the command would load: it is run only when the kernel has them already.
    `instead` is run when `command` must not or cannot be run, or fails without printing anything. `only` is a pattern
    of the lines that are kept. `moves` marks counters, which are read when the run begins, and when it ends, as well.
    `option` names the option that asks for it. Where the tool `unless` is installed, it is not run at all.
    """

    id: str
    format: str
    where: str
    command: str
    why: str
    needs: Tuple[str, ...] = ()
    instead: str = ""
    only: str = ""
    moves: bool = False
    option: str = ""
    unless: str = ""


NETAVARK_DRIVER = "/run/containers/networks/firewall/firewall-driver"
# What a trace watches: packets, drops, and what is rare and tells much. What this kernel does not have is left out.
TRACE_EVENTS = (
    "net:*",
    "skb:kfree_skb",
    "tcp:tcp_retransmit_skb",
    "tcp:tcp_send_reset",
    "tcp:tcp_receive_reset",
    "napi:napi_poll",
)
TRACING = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")  # where tracefs is mounted
DROP_REASONS = "events/skb/kfree_skb/format"
KALLSYMS = "/proc/kallsyms"
PERF_RECORD = "perf record -q -a -m 1M {events} -o {data} --"  # the buffer of each CPU
PERF_SCRIPT = "perf script -i {data} --ns -F comm,pid,tid,cpu,time,event,trace"
TRACE_CMD = "trace-cmd record -m 4096 "  # kB of each CPU
CONNTRACK = ("nf_conntrack_netlink",)
UNREPLIED = r"\[UNREPLIED\]"
PROXIES, ENGINES, MANAGERS = r"\bPID\b|\bdocker-proxy\b", r"\bPID\b|\bdockerd\b", r"\bPID\b|networkd|NetworkManager"
LIST_NAMESPACES = "lsns -t net -o NS,TYPE,NPROCS,PID,USER,NETNSID,NSFS,COMMAND"
LIST_PROXIES = "ps -ww -C docker-proxy -o pid,netns,args"
LIST_ENGINES = "ps -ww -C dockerd -o pid,ppid,netns,args"
LIST_ALL = "ps -o pid,args"  # of busybox, which cannot select; of another ps it would be the processes of a terminal
ENGINE_FILES = "ls -ln --full-time /var/run/docker.pid /var/run/docker.sock /etc/resolv.conf"
RESOLVED = "/run/systemd/resolve/resolv.conf"
NETWORK_MANAGER = "/run/NetworkManager/no-stub-resolv.conf"
DNSMASQ = "/run/dnsmasq/resolv.conf"
UNIT = (
    "systemctl show docker.service -p Id,LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,FragmentPath"
    ",DropInPaths,ExecStart"
)
# Of an engine's events those that tell what came and went, without the words of `docker exec` and the labels.
EVENTS = "create start restart die died oom kill stop destroy remove rename connect disconnect reload"
OF_EVENTS = "".join(" --filter event=" + event for event in EVENTS.split())
OF_TYPES = " --filter type=container --filter type=network --filter type=daemon"
DOCKER_EVENT = (
    """ --format '{{.TimeNano}} {{.Type}} {{.Action}} {{.Actor.ID}} (name={{index .Actor.Attributes "name"}}, """
    """container={{index .Actor.Attributes "container"}}, exitCode={{index .Actor.Attributes "exitCode"}})'"""
)
DOCKER_EVENTS = "docker events --since 24h --until 0s" + OF_TYPES + OF_EVENTS + DOCKER_EVENT
PODMAN_EVENT = " --format '{{.Time}} {{.Type}} {{.Status}} {{.ID}} (name={{.Name}}, exitCode={{.ContainerExitCode}})'"
PODMAN_EVENTS = "podman events --since 24h --stream=false" + OF_EVENTS + PODMAN_EVENT
JOURNAL = "journalctl --no-pager -o short-iso -n 200 -u docker.service"
LIST_MANAGERS = "ps -ww -C systemd-networkd,NetworkManager -o pid,netns,args"
LISTENERS = "ss -tulpn"
LISTENERS_OF_PROC = "env PROC_ROOT=/proc ss -tulpn"  # as above, without a kernel module
SOCKET_UNIT = "systemctl show docker.socket -p Id,LoadState,ActiveState,SubState"
ZONES = "firewall-cmd --list-all-zones"
POLICIES = "firewall-cmd --list-all-policies"
# sysctl(8) would look at the settings of the whole kernel for these. Left out is what nobody, or only root, can read.
# The pattern takes empty settings too.
READ_SYSCTLS = (
    "grep -r --exclude=flush --exclude=stable_secret --exclude=tcp_fastopen_key --exclude=bpf_jit_* '' /proc/sys/net"
)
FIND_SYSCTLS = (  # with busybox, whose grep cannot leave out
    "find /proc/sys/net -type f ! -name flush ! -name stable_secret ! -name tcp_fastopen_key ! -name bpf_jit_*"
    " -exec grep -H '' {} +"
)
ITEMS = (
    Item("os-release", "os_release", FILES, "/etc/os-release", "the distribution, so its defaults"),
    Item("resolv-conf", "resolv_conf", FILES, "/etc/resolv.conf", "the name servers that containers inherit"),
    Item("resolved-servers", "resolv_conf", FILES, RESOLVED, "the servers behind systemd-resolved"),
    Item("nm-servers", "resolv_conf", FILES, NETWORK_MANAGER, "the servers behind NetworkManager's dnsmasq"),
    Item("dnsmasq-servers", "resolv_conf", FILES, DNSMASQ, "the servers behind dnsmasq"),
    Item("daemon-json", "daemon_json", FILES, "/etc/docker/daemon.json", "settings of the engine"),
    Item("ip-tables-names", "ip_tables_names", FILES, "/proc/net/ip_tables_names", "which legacy tables are loaded"),
    Item("ip6-tables-names", "ip_tables_names", FILES, "/proc/net/ip6_tables_names", "which are loaded for IPv6"),
    Item("ip-tables-names", "ip_tables_names", NETNS, "cat /proc/net/ip_tables_names", "which tables it has"),
    Item("ip6-tables-names", "ip_tables_names", NETNS, "cat /proc/net/ip6_tables_names", "which it has for IPv6"),
    Item("netavark-driver", "netavark_driver", FILES, NETAVARK_DRIVER, "by what podman's rules are programmed"),
    Item("softnet-stat", "proc_net_softnet_stat", FILES, "/proc/net/softnet_stat", "drops of each CPU", moves=True),
    Item("xfrm-stat", "proc_net_snmp", FILES, "/proc/net/xfrm_stat", "packets that IPsec refused", moves=True),
    Item("resolv-conf", "resolv_conf", CONTAINER, "ResolvConfPath", "the name servers of the container"),
    Item("hosts", "hosts", CONTAINER, "HostsPath", "the names that the container knows by itself"),
    Item("netns", "netns", BOTH, "readlink /proc/self/ns/net", "the kernel's number of the network namespace"),
    Item("ip-addr", "ip_addr", BOTH, "ip -d -s addr", "interfaces and counters", instead="ip addr", moves=True),
    Item("ip-link", "ip_addr", HOST, "ip -d link", "interfaces: state of bridge ports", instead="ip link"),
    Item("ip-route", "ip_route", BOTH, "ip route show table all", "where IPv4 packets go"),
    Item("ip6-route", "ip_route", BOTH, "ip -6 route show table all", "where IPv6 packets go"),
    Item("ip-rule", "ip_rule", BOTH, "ip rule", "which routing table is asked"),
    Item("ip6-rule", "ip_rule", BOTH, "ip -6 rule", "which routing table is asked for IPv6"),
    Item("ip-nexthop", "ip_nexthop", HOST, "ip nexthop", "next hops that routes only name by a number"),
    Item("ip-neigh", "ip_neigh", BOTH, "ip neigh", "which MAC answers for which address"),
    Item("ip6-neigh-proxy", "ip_neigh", HOST, "ip -6 neigh show proxy", "whose addresses the host answers for"),
    Item("route-n", "route_n", BOTH, "route -n", "the main routes, where ip is missing or old"),
    Item("ifconfig", "ifconfig", BOTH, "ifconfig -a", "interfaces and counters, where ip is missing or old"),
    Item("arp-n", "arp_n", BOTH, "arp -n", "neighbours, where ip is missing or old"),
    Item("bridge-link", "bridge_link", BOTH, "bridge -d link", "ports of bridges", instead="bridge link"),
    Item("bridge-vlan", "bridge_vlan", HOST, "bridge vlan", "which VLANs the ports of bridges carry"),
    Item("bridge-mdb", "bridge_mdb", HOST, "bridge -d mdb", "which ports of bridges want which multicast groups"),
    Item("bridge-fdb", "bridge_fdb", BOTH, "bridge fdb", "behind which port each MAC lives"),
    Item("lsns", "lsns", HOST, LIST_NAMESPACES, "network namespaces, their numbers and files", instead="lsns -t net"),
    Item("ip-netns", "ip_netns", HOST, "ip netns", "network namespaces that have a name"),
    Item("engine-files", "ls_l", HOST, ENGINE_FILES, "how the engine ended, and whose file resolv.conf is"),
    Item("docker-unit", "systemctl_show", HOST, UNIT, "how the engine is started, whether it shall run, how it ended"),
    Item("docker-socket", "systemctl_show", DOCKER, SOCKET_UNIT, "whether asking a stopped engine would start it"),
    Item("docker-journal", "journal", HOST, JOURNAL, "why the engine does not start"),
    Item("dockerd", "ps", HOST, LIST_ENGINES, "which engines run, and where", instead=LIST_ALL, only=ENGINES),
    Item("docker-proxy", "ps", HOST, LIST_PROXIES, "which ports the engine forwards", instead=LIST_ALL, only=PROXIES),
    Item("network-managers", "ps", HOST, LIST_MANAGERS, "who sets interfaces up", instead=LIST_ALL, only=MANAGERS),
    Item("networkctl", "networkctl", HOST, "networkctl --no-pager list", "which of them systemd-networkd sets up"),
    Item("firewalld", "firewalld_zones", HOST, ZONES, "what its zones let pass, and whose interfaces are in them"),
    Item("firewalld-policies", "firewalld_zones", HOST, POLICIES, "what it lets pass from one zone to another"),
    Item("ufw", "ufw_settings", FILES, "/etc/ufw/ufw.conf", "whether ufw sets rules up"),
    Item("ufw-defaults", "ufw_settings", FILES, "/etc/default/ufw", "what ufw does with forwarded packets"),
    Item("nmcli", "nmcli_device", HOST, "nmcli device", "which of them NetworkManager sets up"),
    Item("ss", "ss", BOTH, LISTENERS, "who listens", needs=("tcp_diag", "udp_diag"), instead=LISTENERS_OF_PROC),
    Item("netstat", "netstat", BOTH, "netstat -tulpn", "the same without ss", instead="netstat -tuln", unless="ss"),
    Item("tc-qdisc", "tc_qdisc", BOTH, "tc -s qdisc", "queues, and the packets that they dropped", moves=True),
    Item("nstat", "nstat", BOTH, "nstat -asz", "counters of the kernel's protocols", moves=True),
    Item("sysctl", "sysctl", BOTH, READ_SYSCTLS, "forwarding and filtering", instead=FIND_SYSCTLS),
    Item("nft-ruleset", "nft_ruleset", BOTH, "nft -a list ruleset", "nftables rules", needs=("nf_tables",)),
    Item("ebtables", "ebtables", HOST, "ebtables -L --Lc --Ln", "what bridges filter", needs=("ebtable_filter",)),
    Item("ebtables-nat", "ebtables", HOST, "ebtables -t nat -L --Lc --Ln", "MACs they change", needs=("ebtable_nat",)),
    Item("ipset", "ipset", HOST, "ipset list", "the sets that rules name", needs=("ip_set",)),
    Item("conntrack-stats", "conntrack_stats", HOST, "conntrack -S", "refused flows", CONNTRACK, moves=True),
    Item("conntrack", "conntrack", HOST, "conntrack -L", "flows that are translated", CONNTRACK, option="conntrack"),
    Item("dmesg", "dmesg", HOST, "dmesg --level=emerg,alert,crit,err,warn", "kernel's complaints", instead="dmesg"),
    Item(
        "conntrack-udp", "conntrack", HOST, "conntrack -L -p udp", "flows without an answer", CONNTRACK, only=UNREPLIED
    ),
    # {device} is each physical device of the host that is up
    Item("ethtool-{device}", "ethtool", HOST, "ethtool {device}", "speed, duplex and whether there is a link"),
    Item("ethtool-driver-{device}", "ethtool", HOST, "ethtool -i {device}", "whose driver has which faults"),
    Item("ethtool-features-{device}", "ethtool", HOST, "ethtool -k {device}", "what the device does for the kernel"),
    Item("ethtool-rings-{device}", "ethtool", HOST, "ethtool -g {device}", "how many packets the device can hold"),
    Item("ethtool-statistics-{device}", "ethtool", HOST, "ethtool -S {device}", "what the device dropped", moves=True),
    # {tool} is iptables, ip6tables and the other backend of each; {table} is one of TABLES
    Item("{tool}-version", "iptables_version", HOST, "{tool} -V", "whether it is nftables or legacy"),
    Item("{tool}-save", "iptables_save", BOTH, "{tool}-save -c", "all rules of the tables there are, with counters"),
    Item("{tool}-{table}", "iptables_list", BOTH, "{tool} -t {table} -L -v -n -x", "the rules as people read them"),
    Item("dockerd-cmdline", "dockerd_cmdline", DOCKER, "", "options of the engine"),
    Item("docker-version", "docker_version", DOCKER, "docker version --format '{{json .}}'", "which rules to expect"),
    Item("docker-info", "docker_info", DOCKER, "docker info --format '{{json .}}'", "settings of the running engine"),
    Item("docker-ps", "docker_ps", DOCKER, "docker ps -a --no-trunc", "which containers there are"),
    Item("docker-inspect", "docker_inspect", DOCKER, "docker inspect", "addresses, ports, namespaces of containers"),
    Item("docker-network-ls", "docker_network_ls", DOCKER, "docker network ls --no-trunc", "which networks there are"),
    Item("docker-network-inspect", "docker_network_inspect", DOCKER, "docker network inspect", "subnets and options"),
    Item("docker-events", "engine_events", DOCKER, DOCKER_EVENTS, "what came and went within the last day"),
    Item("podman-version", "podman_version", PODMAN, "podman version --format json", "which rules to expect"),
    Item("podman-info", "podman_info", PODMAN, "podman info --format json", "whose podman it is, and its backend"),
    Item("podman-ps", "podman_ps", PODMAN, "podman ps -a --no-trunc", "which containers there are"),
    Item("podman-inspect", "podman_inspect", PODMAN, "podman inspect", "addresses, ports, namespaces of containers"),
    Item("podman-network-ls", "podman_network_ls", PODMAN, "podman network ls --no-trunc", "which networks there are"),
    Item("podman-network-inspect", "podman_network_inspect", PODMAN, "podman network inspect", "subnets and options"),
    Item("podman-events", "engine_events", PODMAN, PODMAN_EVENTS, "what came and went within the last day"),
    Item("during", "text", TRACE, "", "what the command given with --during printed"),
    Item("drop-reasons", "tracepoint_format", TRACE, DROP_REASONS, "the numbers by which a trace says why"),
    Item("perf-record", "text", TRACE, PERF_RECORD, "packets and drops"),
    Item("perf-script", "perf_script", TRACE, PERF_SCRIPT + " --show-lost-events", "its text", instead=PERF_SCRIPT),
    Item("trace-cmd-record", "text", TRACE, TRACE_CMD + "{events} -o {data}", "where perf fails"),
    Item("trace-cmd-report", "trace_cmd_report", TRACE, "trace-cmd report -t -i {data}", "the same as text"),
    Item(
        "functions-record",
        "text",
        TRACE,
        TRACE_CMD + "-p function_graph -g {function} -O funcgraph-proc -o {data}",
        "which functions of the kernel a packet that is sent goes through",
    ),
    Item("functions-report", "trace_cmd_report", TRACE, "trace-cmd report -t -i {data}", "the same as text"),
    Item("drop-places", "kernel_functions", TRACE, KALLSYMS, "which functions drop, where a trace has addresses"),
)
ITEM = {item.id: item for item in ITEMS if item.where not in (NETNS, CONTAINER)}


class Plan(NamedTuple):
    """What the command line asks for. `root` is where the host's files are seen; `options` are those of ITEMS."""

    root: str = ""
    jobs: int = 1
    options: Tuple[str, ...] = ()
    window: "Optional[Window]" = None
    allow_changes: bool = False
    keep_inspect: bool = False


PLAIN = Plan()


FAMILIES = {"iptables": "ip-tables-names", "ip6tables": "ip6-tables-names"}
TABLES = ("filter", "nat", "mangle", "raw", "security")
ENGINE_JSON = ("info", "inspect", "network_inspect", "version")
JSON_FORMATS = ("daemon_json", *("docker_" + name for name in ENGINE_JSON), *("podman_" + name for name in ENGINE_JSON))
COLUMN_FORMATS = ("docker_ps", "docker_network_ls", "podman_ps", "podman_network_ls")

# Of `docker inspect` these keys are kept, and of some objects only the keys named here; --keep-inspect keeps all.
INSPECT_KEYS = {
    **dict.fromkeys("Id Name Created Path Args Driver Platform RestartCount NetworkSettings Mounts".split(), ""),
    **dict.fromkeys("ResolvConfPath HostsPath HostnamePath".split(), ""),
    "State": "Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt Health",
    "Config": "Hostname Domainname Image Env Labels ExposedPorts MacAddress NetworkDisabled",
    "HostConfig": "NetworkMode PortBindings PublishAllPorts RestartPolicy Dns DnsOptions DnsSearch ExtraHosts Links"
    " Privileged CapAdd CapDrop PidMode UsernsMode Sysctls Runtime Isolation AutoRemove",
}

KEPT_LABELS = ("com.docker.", "io.podman.")  # whose container it is: docker compose, podman's pods

LOCK_WAIT = 5  # seconds
LOCKED = "another process holds the lock of iptables"

INSPECT_BATCH = 50  # containers or networks for one `docker inspect`
STDERR_BYTES = 64 * 1024
POLL, GRACE = 0.2, 1.0  # seconds: between looks at an interrupt, and for what was killed to end
PATH_MORE = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not in the PATH of an ordinary user
CAP_SYS_ADMIN = 21  # linux/capability.h; setns(2) asks for it
NICENESS = 19
MIN_FREE = 64 * 1000 * 1000  # bytes that stay free where the bundle is made
MOST_OTHERS = 100  # network namespaces of no container: a browser alone may have dozens
MOST_WITH_PROGRAMS = 50  # namespaces in which ss names the programs: for each it looks at all processes of the host
MOST_STUCK = 3  # namespaces in which a command hangs, before no other one is entered
MOST_DEVICES = 16  # physical devices: a card may be cut into a hundred
INTO_HOST = ("nsenter", "--target=1", "--mount", "--net", "--")  # from a container: the host's programs and network
ANY_ID = "0" * 64  # stands for ids in a rehearsal
STARTED = "{{.Id}} {{.State.StartedAt}}"
PROCESSES = "/proc"  # where processes are looked for
NAMESPACES = ("/run/netns", "/run/docker/netns", "/var/run/docker/netns")  # where network namespaces have names
SYSFS_DEVICE = "/sys/class/net/{}/device"
IDLE = "idle"

# ------------------------------------------------------------------------------------------------------ masking secrets

MASK = "<masked>"
LEFT_OUT = "inspect-key-left-out"  # in the ledger: keys of `docker inspect` that no diagnosis needs
KEPT_AS_NAME = "kept-elsewhere-as-a-name"  # in the ledger: masked in its place, but not looked for (see needles)
CHASED_LENGTH = 8  # a shorter value is masked where it stands, and not looked for in other places
CONTEXT = 20  # arguments, or hundreds of characters, in which the program of a one-letter option is looked for

# A name is cut into words (DB_PASSWORD, dbPassword and db-password are db, password). It is a secret's when one of the
# words is of the first kind or the last one is of the second, unless the last one says that it is only about a secret.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD = re.compile(
    r".*(?:pass(?:word|wd|wort|phrase|code)|secret|token|credential|(?:api|auth|access|account|private|master)key)s?\Z"
    r"|authorization\Z|psk\Z"
)
_SECRET_LAST_WORD = re.compile(
    r".*(?<!by)(?<!com)(?<!tres)pass\Z|(?:master|basic|x)?auth\Z"
    r"|(?:pwd?|keys?|salt|cookie|sig|signature|creds?|jwt|otp|pin)\Z"
)
_NO_SECRET_KEY = ("host", "pub", "public", "sandbox")
_ABOUT_A_SECRET = frozenset(
    "algorithm backend class count dir directory disable disabled domain enable enabled endpoint expiration expires "
    "expiry field file format group header host id interval issuer length life lifetime limit method mode name path "
    "plugin policy port prefix provider realm required rotation scope scopes server size source store strategy timeout "
    "ttl type uri url user username version".split()
)
# Values that tell nothing: switches, references to variables, places of files, what others have masked.
_HARMLESS = re.compile(
    r"(?:true|false|yes|no|on|off|none|null|nil|enabled?|disabled?|required|optional|bearer|basic|digest|token|\d{1,2}"
    r"|<masked>.*|\(null\)?|<n(?:il|one)>|x{3,}|\*{3,}|\$+[A-Z_][A-Z0-9_]*|\$+\{\w+\}|file:.*"
    r"|/(?:app|bin|certs?|config|data|dev|etc|home|lib|mnt|opt|proc|root|run|secrets?|srv|sys|tmp|usr|var)"
    r"(?:/[\w.@+-]*)*)?\Z",
    re.I,
)

# What stands behind a name: in quotes (escaped ones too), or up to a delimiter. Of an option, up to a blank.
_VALUE = re.compile(
    r"""\\?(["'])(?P<quoted>(?:(?!\\?\1).)+)|(?P<bare>(?![\[{]\s?\\?["'])(?:[^\s&;,"'\\]|\\[^"'\s])+)"""
)
_OPTION_VALUE = re.compile(r"""\\?(["'])(?P<quoted>(?:(?!\\?\1).)+)|(?P<bare>(?:[^\s"'\\]|\\[^"'\s])+)""")
_AUTHORIZATION = re.compile(
    r"""(?i)\bauthorization\\?["']?\s?[:=]\s?(?:(?:bearer|basic|digest|token)\s+)?|\bbearer\s+(?=\S{8})"""
)
_USER_COLON = re.compile(
    r"""(?<![\w-])(?:-u|-U|--user|--proxy-user)(?:\s*|=)\\?["']?[^\s:="'\\-][^\s:="'\\]*:(?!//|\d+(?:\s|\Z))"""
)
_OPTION_IS = re.compile(r"(?<![\w-])--?(?P<name>[A-Za-z][\w.-]*)=")
_OPTION = re.compile(r"(?<![\w-])(?P<name>--?[A-Za-z][\w.-]*|requirepass|masterauth)\s+(?=[^-\s])")
_ASSIGNMENT = re.compile(r"""(?<![\w.-])-*(?P<name>[A-Za-z_][\w.-]*)\\?["']?[ \t]{0,8}[:=][ \t]{0,8}""")
_TAG = re.compile(r"<(?P<name>[A-Za-z_][\w.-]*)>")
_TAG_VALUE = re.compile(r"(?P<quoted>(?!))|(?P<bare>[^<]+)")
_PASSWORD_PROGRAMS = {
    "-p": re.compile(
        r"\b(?:mysql\w*|mariadb[\w-]*|mongo\w*|sshpass|rabbitmqadmin|smbclient|(?:docker|podman) login)\b"
    ),
    "-a": re.compile(r"\bredis-(?:cli|benchmark)\b"),
    "-w": re.compile(r"\bldap\w+\b"),
    "-k": re.compile(r"\bss-?(?:server|local|redir|tunnel|manager)\b"),
    "-P": re.compile(r"\bipmitool\b"),
    **dict.fromkeys(("-c", "-A", "-X"), re.compile(r"\bsnmp\w+\b")),
}
_SHORT_OPTION = re.compile(r"(?<![\w-])(?P<flag>" + "|".join(_PASSWORD_PROGRAMS) + r")(?P<gap>\s*)(?=[^-\s])")
# Of another program's -p, a port, a protocol or a path is no password.
_NO_PASSWORD = re.compile(
    r"""(?i)\\?["']?(?:\d[\d.:/-]*(?:tcp|udp|sctp)?|tcp|udp|sctp|icmp|icmpv6|all|[/.~$]\S*)(?=[\s"'\\]|\Z)"""
)
_IS_OPTION = re.compile(r"--?[A-Za-z][\w.-]*\Z")

# Secrets that show by their shape, wherever they stand.
_SHAPES = (
    ("url-password", re.compile(r"""//[^\s/:@"'<>]*:(?P<secret>[^\s/"']+)@""")),
    ("url-password", re.compile(r"""://[^\s/:@"'<>]*:(?!\d+(?:[/?#\s]|\Z))(?P<secret>[^\s"'@<>]{1,300})@""")),
    ("url-password", re.compile(r"""https?://(?P<secret>[^\s/:@"'<>]{8,})@""")),
    ("url-password", re.compile(r"""(?<![\w.-])[\w.-]+:(?P<secret>[^\s:/@"'<>]+)@(?:tcp|udp|unix)\(""")),
    (
        "password-hash",
        re.compile(r"""(?<![\w.-])[\w.-]+:(?P<secret>(?:\$+(?:apr1|1|2[abxy]|5|6|y|argon2\w+)\$|\{SHA\})[^\s,"']+)"""),
    ),
    ("password-hash", re.compile(r"""(?P<secret>\$+(?:apr1|1|2[abxy]|5|6|y|argon2\w+)\$[^\s,"':]{20,})""")),
    (
        "private-key",
        re.compile(r"""-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>[^"\x1f]{1,10000}?)(?:-----END|"|\Z)"""),
    ),
    ("password-file", re.compile(r"""\bmachine\s+\S+\s+login\s+\S+\s+password\s+(?P<secret>[^\s"']+)""")),
    (
        "password-file",  # .pgpass; no IPv6 address
        re.compile(
            r"(?<![\w.:*-])(?![0-9a-fA-F:.]+(?![\w*:.-]))"
            r"""[\w.*-]+:(?:\d{4,5}|\*):[\w.*-]+:[\w.*-]+:(?P<secret>[^\s:"'\\]+)"""
        ),
    ),
    (
        "webhook",
        re.compile(
            r"(?:hooks\.slack\.com/\w+|discord(?:app)?\.com/api/webhooks/\d+|webhook\.office\.com/\w+)/"
            r"""(?P<secret>[^\s"'?]+)"""
        ),
    ),
    ("webhook", re.compile(r"""\bapi\.telegram\.org/bot(?P<secret>\d+:[\w-]+)""")),
    (
        "quoted",  # SQL, and the shell of MongoDB
        re.compile(
            r"""(?i)(?:\bidentified\s+(?:with\s+\S+\s+)?by|\b\w*pass(?:word|phrase))\s+\\?["'](?P<secret>[^"'\\]+)"""
        ),
    ),
    ("quoted", re.compile(r"""\.auth\(\s*\\?["'][^"'\\]*\\?["']\s*,\s*\\?["'](?P<secret>[^"'\\]+)""")),
    *(
        ("command", re.compile(before + r"""\\?["']?(?P<secret><masked>|[^\s"'\\|;&<>]+)""" + after))
        for before, after in (
            (r"\bhtpasswd\s+(?:-\w+\s+){0,5}?-\w*b\w*\s+(?:-\w+\s+){0,5}(?:[^\s|;&<>]+\s+){1,2}", ""),
            (r"\b(?:add_user|change_password)\s+\S+\s+", ""),  # rabbitmqctl
            (r"\bmc\s+(?:alias\s+set|config\s+host\s+add)\s+\S+\s+\S+\s+\S+\s+", ""),
            (r"\b(?:vault\s+login|ngrok\s+(?:config\s+add-)?authtoken)\s+(?!-)", ""),
            (r"\blftp\b[^|;&]{0,200}?\s-u\s*[^\s,]+,", ""),
            (r"\s-U\s*[^\s%:]+%", ""),  # smbclient
            (r"\bredis-cli\b[^|;&]{0,200}?\s(?:AUTH|auth)\s+(?:\S+\s+)?", ""),
            (r"\bcurl\b[^|;&]{0,300}?\s(?:-b|--cookie)\s*[\w.-]+=", ""),
            (r"\becho\s+(?:-\w+\s+)?", r"""\\?["']?\s*\|[^|]{0,200}--\w*password-stdin"""),
            (r"\becho\s+(?:-\w+\s+)?\\?[\"']?[\w.-]+:", r"""\\?["']?\s*\|\s*(?:\S*/)?chpasswd\b"""),
        )
    ),
    (
        "known-token",
        re.compile(
            r"(?<![A-Za-z0-9])(?P<secret>gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|dckr_pat_[\w-]{16,}"
            r"|npm_\w{30,}|xox[abeprs]-[\w-]{10,}|[sr]k_live_\w{16,}|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{30,}|hv[sb]\.[\w-]{20,}"
            r"|SG\.[\w-]{16,}\.[\w-]{16,}|tskey-[\w-]{16,}|sk-(?:proj-)?\w{32,}|dop_v1_\w{40,}|pypi-\w{40,}"
            r"|ya29\.[\w-]{20,}|SWM(?:TKN|KEY)-1-[\w-]+|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
        ),
    ),
)
_JSON_ENVIRONMENT = re.compile(r'"[A-Za-z_][\w.-]*=(?P<secret>(?:[^"\\]|\\.)+)"')
_JSON_OPTION = re.compile(r'"(?P<name>--?[\w.-]+)",\s*(?=")')
_DROPPED_AT = re.compile(rb"\blocation=(0x[0-9a-f]{8,16})\b")
_KERNEL_SYMBOL = re.compile(rb"(?P<start>[0-9a-f]+) (?P<kind>\S) (?P<name>\S+)(?P<module>\t\[\S+\])?$")
_SYSCTL = re.compile(r"(?m)^\S*(?:fastopen_key|stable_secret) = (?P<secret>\S+)$")

# Outputs that hold command lines, and those that hold messages; of others what has the shape of a secret is masked.
COMMAND_LINES = ("lsns", "ps", "systemctl_show")
MESSAGES = ("stderr", "collector_log", "dmesg", "engine_events", "journal", "text")
_ARGUMENT_KEYS = ("Args", "Cmd", "Command", "Entrypoint", "OnBuild", "Shell", "Test")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")  # kept but for their passwords
_NAME_KEYS = frozenset(
    "Aliases Containers DNSNames Domainname Driver EndpointID Hostname ID Id Image Links Name NetworkID NetworkMode "
    "Networks SandboxID SandboxKey".split()
)


def kept_of(container: Any) -> Any:
    """A container of `docker inspect` with INSPECT_KEYS only."""
    if not isinstance(container, dict):
        return container
    kept = {key: container[key] for key in container if key in INSPECT_KEYS}
    for key, value in kept.items():
        wanted = INSPECT_KEYS[key].split()
        if wanted and isinstance(value, dict):
            kept[key] = {name: value[name] for name in value if name in wanted}
    state = kept.get("State")
    config = kept.get("Config")
    if isinstance(config, dict) and isinstance(config.get("Labels"), dict):
        config["Labels"] = {name: value for name, value in config["Labels"].items() if name.startswith(KEPT_LABELS)}
    if isinstance(state, dict) and isinstance(state.get("Health"), dict):
        state["Health"] = {name: state["Health"][name] for name in state["Health"] if name != "Log"}
    return kept


def count_keys(value: Any) -> int:
    """How many keys a JSON value has, those of its parts included."""
    if isinstance(value, dict):
        return len(value) + sum(map(count_keys, value.values()))
    return sum(map(count_keys, value)) if isinstance(value, list) else 0


@functools.lru_cache(maxsize=4096)
def names_a_secret(name: str) -> bool:
    """Whether a variable, option, label or key of this name holds a secret: DB_PASSWORD does, KEYCLOAK_URL does not."""
    words = [word.lower() for word in _WORD.findall(name)] or [""]
    if words[-1] in _ABOUT_A_SECRET and words[-2:] != ["secret", "id"]:
        return False
    if words[-1] == "key" and words[-2:-1] and words[-2] in _NO_SECRET_KEY:
        return False
    return any(_SECRET_WORD.match(word) for word in words) or bool(_SECRET_LAST_WORD.match(words[-1]))


def could_be_a_secret(value: str) -> bool:
    """Whether a variable's value is worth looking for whatever its name: no word, number, address, path, host name."""
    if re.search(r"\s|://|\A[-/.]", value) or not (re.search("[A-Za-z]", value) and re.search("[0-9]", value)):
        return False
    address = re.match(r"[0-9A-Fa-f.:/]+\Z", value) and re.search("[.:]", value)
    ordinary = re.match(r"[a-z0-9_:/@-]{1,19}\Z|[a-z0-9_:/@-]+\.[a-z0-9_.:/@-]+\Z", value)
    return not address and not ordinary


def decoded(data: bytes) -> str:
    """Text of any bytes, from which `encoded` makes the same bytes again."""
    return data.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """The bytes of `decoded` text."""
    return text.encode("utf-8", "surrogateescape")


def as_json(value: Any) -> bytes:
    """JSON laid out as `docker inspect` does. A lone surrogate, which UTF-8 cannot hold, stays an escape."""
    return (json.dumps(value, indent=4, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def mask_columns(text: str, mask: Callable[[str], str]) -> str:
    """Mask the cells of a table that docker printed, and lay its columns out anew when a cell has changed."""
    lines = text.splitlines()
    if not lines or not re.match(r"(?:CONTAINER|NETWORK) ID\s", lines[0]):
        return mask(text)
    starts = [found.start() for found in re.finditer(r"\S+(?: \S+)*", lines[0])]
    cells = [[line[start:end].rstrip() for start, end in zip(starts, [*starts[1:], None])] for line in lines]  # noqa: B905
    masked = [cells[0]] + [[mask(cell) for cell in row] for row in cells[1:]]
    if masked == cells:
        return mask(text)
    widths = [max(map(len, column)) for column in zip(*masked)]  # noqa: B905
    return mask("".join("   ".join(map(str.ljust, row, widths)).rstrip() + "\n" for row in masked))


class Masker:
    """Takes secrets out of what was collected. `counts` is the ledger: how often each rule masked, never what."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self.counts: "collections.Counter[str]" = collections.Counter()
        self._values: Set[str] = set()
        self._names: Set[str] = set()

    def stored(self, format_name: str, data: bytes, *, whole: bool = True) -> bytes:
        """What to store of an output of this format; of `docker inspect` only INSPECT_KEYS unless the `whole`."""
        if format_name in JSON_FORMATS:
            try:
                masked = self.json(json.loads(decoded(data)))
                if format_name in ("docker_inspect", "podman_inspect") and not whole:
                    masked = self._reduced(masked)
                return as_json(masked)
            except (ValueError, RecursionError):
                return encoded(self._broken_json(decoded(data)))
        if not self.enabled:
            return data
        if format_name in COLUMN_FORMATS:
            return encoded(mask_columns(decoded(data), self.text))
        if format_name == "dockerd_cmdline":
            arguments = self.arguments(decoded(data).rstrip("\n").split("\n"))
            return encoded("".join(argument + "\n" for argument in arguments))
        if format_name == "sysctl":
            return encoded(self._each("sysctl", _SYSCTL, decoded(data)))
        if format_name in COMMAND_LINES + MESSAGES:
            return encoded(self.text(decoded(data), is_message=format_name in MESSAGES))
        return encoded(self._shapes(decoded(data))) if b"://" in data else data

    def _reduced(self, containers: Any) -> Any:
        """Containers without the keys that no diagnosis needs; how many are left out is in the ledger."""
        if not isinstance(containers, list):
            return containers
        reduced = [kept_of(container) for container in containers]
        self.counts += collections.Counter({LEFT_OUT: count_keys(containers) - count_keys(reduced)})
        return reduced

    def text(self, text: str, before: str = "", *, is_message: bool = False) -> str:
        """Mask a command line or a message; `before` are words in front of it, which may name the program.

        In a message `-p` is more often the option that somebody complains of than one with a password behind it.
        """
        if not self.enabled or len(text) < 3:
            return text
        text = self._shapes(text)
        text = self._behind("authorization", _AUTHORIZATION, _OPTION_VALUE, text)
        text = self._behind("user-password", _USER_COLON, _OPTION_VALUE, text)
        text = self._behind("option", _OPTION_IS, _OPTION_VALUE, text)
        text = self._behind("option", _OPTION, _OPTION_VALUE, text)
        text = self._behind("assignment", _ASSIGNMENT, _VALUE, text)
        text = self._behind("assignment", _TAG, _TAG_VALUE, text)
        return self._behind("option", _SHORT_OPTION, _OPTION_VALUE, text, None if is_message else before + " ")

    def arguments(self, arguments: Sequence[str]) -> List[str]:
        """Mask the arguments of a process: a secret may be a whole argument, which the one before it tells."""
        masked: List[str] = []
        if self.enabled and arguments:  # what several together tell; \s takes this separator for a blank
            arguments = self._shapes("\x1f".join(arguments)).split("\x1f")
        for position, argument in enumerate(arguments):
            program = " ".join(arguments[max(0, position - CONTEXT) : position])
            name, equals, value = argument.partition("=")
            before = arguments[position - 1] if position else ""
            if self.enabled and self._is_value(before, argument, program):
                masked.append(self._secret("option", argument))
            elif before in ("-u", "-U", "--user", "--proxy-user"):
                masked.append(self.text(before + " " + argument)[len(before) + 1 :])
            elif self.enabled and equals and re.match(r"[-\w.]+\Z", name) and names_a_secret(name):
                masked.append(name + equals + self._secret("option", value))
            else:
                masked.append(self.text(argument, program))
        return masked

    def environment(self, entry: str) -> str:
        """Mask the value in NAME=value. Every value but a proxy's address is taken for a secret, every name is kept."""
        name, equals, value = entry.partition("=")
        self._names.add(name)
        if not self.enabled or not value:
            return entry
        if name.lower() in PROXY_VARIABLES:
            return name + equals + self.text(value)
        counts = collections.Counter(self.counts)
        self.text(value)  # finds the secrets inside, such as a URL's password: they may stand elsewhere on their own
        self.counts = counts
        if could_be_a_secret(value) or (names_a_secret(name) and not _HARMLESS.match(value)):
            self._values.add(value)
        self.counts["environment"] += 1
        return name + equals + MASK

    def json(self, value: Any, key: str = "") -> Any:
        """Mask a JSON value that stands under `key`."""
        if key in _NAME_KEYS:
            members = value if isinstance(value, (list, dict)) else [value]
            self._names.update(name for name in members if isinstance(name, str))
        if isinstance(value, dict):
            return {name: self.json(member, name) for name, member in value.items()}
        if isinstance(value, list):
            texts = all(isinstance(member, str) for member in value)
            if key == "Env" and texts:
                return [self.environment(entry) for entry in value]
            if key in _ARGUMENT_KEYS and texts:
                return self.arguments(value)
            return [self.json(member, key) for member in value]
        if not isinstance(value, str) or not self.enabled:
            return value
        return self._secret("key", value) if names_a_secret(key) else self.text(value)

    def needles(self) -> List[str]:
        """The masked values to look for in every file, longest first.

        Not those that are part of a container's, network's or image's name: masking the password `postgres` wherever
        the word stands would hide what things are called, and keep no secret.
        """
        names = "\n".join(self._names)
        long = [value for value in self._values if len(value) >= CHASED_LENGTH]
        needles = [value for value in long if value not in names and not (value.isalpha() and names_a_secret(value))]
        if len(needles) < len(long):
            self.counts[KEPT_AS_NAME] = len(long) - len(needles)
        return sorted(needles, key=lambda value: (-len(value), value))

    def _secret(self, rule: str, value: str) -> str:
        if _HARMLESS.match(value):
            return value
        self.counts[rule] += 1
        self._values.add(value)
        return MASK

    def _each(self, rule: str, pattern: "re.Pattern[str]", text: str) -> str:
        """Mask the group `secret` of each match."""
        parts, done = [], 0
        for found in pattern.finditer(text):
            parts += [text[done : found.start("secret")], self._secret(rule, found.group("secret"))]
            done = found.end("secret")
        return "".join(parts) + text[done:]

    def _shapes(self, text: str) -> str:
        for rule, pattern in _SHAPES:
            text = self._each(rule, pattern, text)
        return text

    def _behind(
        self, rule: str, pattern: "re.Pattern[str]", value: "re.Pattern[str]", text: str, before: Optional[str] = ""
    ) -> str:
        """Mask the value behind each match of the pattern, if what matched announces a secret."""
        parts, done = [], 0
        for found in pattern.finditer(text):
            if found.end() < done or not self._announces(found, before):
                continue
            behind = value.match(text, found.end())
            if not behind:
                continue
            group = "bare" if behind.group("quoted") is None else "quoted"
            secret = behind.group("quoted") or behind.group("bare").rstrip(";,)|&")  # what ends it in a shell's line
            parts += [text[done : behind.start(group)], self._secret(rule, secret)]
            done = behind.start(group) + len(secret)
        return "".join(parts) + text[done:]

    def _announces(self, found: "re.Match[str]", before: Optional[str]) -> bool:
        groups = found.groupdict()
        if "flag" in groups:
            program = (before or "") + found.string[max(0, found.start() - 100 * CONTEXT) : found.start()]
            rest = found.string[found.end() : found.end() + 100 * CONTEXT]
            separate = bool(groups["gap"]) and before is not None
            return self._is_password(groups["flag"], rest, program, separate=separate)
        return "name" not in groups or names_a_secret(groups["name"])

    def _is_value(self, option: str, argument: str, program: str) -> bool:
        """Whether an argument is a secret because of the argument before it."""
        if _IS_OPTION.match(argument.partition("=")[0]):
            return False
        if option in _PASSWORD_PROGRAMS:
            return self._is_password(option, argument, program, separate=True)
        return option in ("requirepass", "masterauth") or bool(_IS_OPTION.match(option) and names_a_secret(option))

    @staticmethod
    def _is_password(flag: str, value: str, program: str, *, separate: bool) -> bool:
        """Whether a one-letter option carries a password: that depends on the program."""
        if flag == "-p" and separate and not _NO_PASSWORD.match(value):
            return True
        return bool(_PASSWORD_PROGRAMS[flag].search(program))

    def _broken_json(self, text: str) -> str:
        """Mask JSON that was cut off, or a message in its place, as well as can be done without its structure."""
        if not self.enabled:
            return text
        text = self._each("environment", _JSON_ENVIRONMENT, text)
        return self.text(self._behind("option", _JSON_OPTION, _OPTION_VALUE, text))


class StillThere(Exception):
    """A value that was masked in one place stands in another one, and could not be masked there."""


def mask_everywhere(data: bytes, format_name: str, needles: Iterable[str]) -> Tuple[bytes, int]:
    """Mask the needles in a stored file. The number is how many there were. Raises StillThere if one is left."""
    is_json = format_name in JSON_FORMATS
    # In JSON a value stands quoted only; elsewhere as it is, or quoted as by Go.
    written = {needle: {quoted(needle)} if is_json else {needle, quoted(needle)} for needle in needles}
    found = [needle for needle, forms in written.items() if any(encoded(form) in data for form in forms)]
    if not found:
        return data, 0
    count = sum(data.count(encoded(form)) for needle in found for form in written[needle])
    mask = functools.partial(without, needles=[form for needle in found for form in (needle, quoted(needle))])
    text = decoded(data)
    try:
        masked = as_json(mask(json.loads(text))) if is_json else b""
    except (ValueError, RecursionError):
        masked = b""
    if not masked:
        masked = encoded(mask(mask_columns(text, mask) if format_name in COLUMN_FORMATS else text))
    if any(encoded(form) in masked for needle in found for form in written[needle]):
        raise StillThere
    return masked, count


def occurring(lines: Set[bytes], needles: Iterable[str]) -> List[str]:
    """Those of the needles that stand in one of the lines, or may, being of several.

    Each of many namespaces prints much the same, and a line that is printed everywhere is searched once.
    """
    text = b"\n".join(lines)
    return [
        needle
        for needle in needles
        if "\n" in needle or any(encoded(form) in text for form in (needle, quoted(needle)))
    ]


def quoted(value: str) -> str:
    """A value as it stands between the quotes of JSON, or of Go's %q."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def without(value: Any, needles: Iterable[str]) -> Any:
    """A JSON value with the needles masked in all its strings and keys."""
    if isinstance(value, dict):
        return {without(key, needles): without(member, needles) for key, member in value.items()}
    if isinstance(value, list):
        return [without(member, needles) for member in value]
    if isinstance(value, str):
        for needle in needles:
            value = value.replace(needle, MASK)
    return value


# ----------------------------------------------------------------------------------------------------- running commands


class Result(NamedTuple):
    """What a command did. Of `exit_code` and `signal` one is None. `started` is Unix time, `duration` seconds.

    A command that could not be started has the exit code 126, as in a shell, and the reason as its error output.
    """

    argv: List[str]
    stdout: bytes
    stderr: bytes
    exit_code: Optional[int]
    signal: Optional[int] = None
    timed_out: bool = False
    truncated: bool = False
    started: float = 0.0
    duration: float = 0.0


class Capped:
    """The beginning and the end of a stream: never more than `cap` bytes of it are held."""

    def __init__(self, cap: int) -> None:
        self._half = cap // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def add(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        room = self._half - len(self._head)
        self._total += len(chunk)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > self._half:
            del self._tail[: len(self._tail) - self._half]

    @property
    def truncated(self) -> bool:
        """Whether bytes had to be dropped."""
        return self._total > len(self._head) + len(self._tail)

    def data(self) -> bytes:
        """What was kept; a line says how many bytes are missing. Lines that were cut in two are left out whole."""
        if not self.truncated:
            return b"".join((self._head, self._tail))
        end, start = self._head.rfind(b"\n") + 1, self._tail.find(b"\n") + 1
        head = memoryview(self._head)[: end or None]
        tail = memoryview(self._tail)[start % len(self._tail) :]
        gap = "{}[netdiag: {} bytes left out here]\n".format("" if end else "\n", self._total - len(head) - len(tail))
        return b"".join((head, gap.encode("ascii"), tail))


class Runner:
    """Runs commands: no shell, no standard input, C locale, a time limit, an output limit.

    Each command gets a session of its own, so that it is killed together with its children. A signal handler sets
    `interrupted`: that ends the running commands, and the collector starts no other. `total` is the time limit of the
    whole run, in seconds from now.
    """

    rehearses = False

    def __init__(self, timeout: float, max_bytes: int, total: float = math.inf) -> None:
        self.timeout = timeout
        self.max_bytes = max_bytes
        self.total = total
        self.interrupted = False
        self._end = time.monotonic() + total
        self._path = [folder for folder in os.environ.get("PATH", os.defpath).split(":") if folder.startswith("/")]
        self._path += [folder for folder in PATH_MORE if folder not in self._path]
        self._environment = dict(os.environ, PATH=":".join(self._path), LC_ALL="C", LANG="C")

    def path_of(self, tool: str, root: str = "") -> str:
        """The file of a tool, empty when it is not installed, in the file system below `root`, whose links this process
        cannot follow.
        """
        if root:
            places = (os.path.join(root + folder, tool) for folder in self._path)
            return next((place for place in places if os.path.lexists(place)), "")
        return shutil.which(tool, path=self._environment["PATH"]) or ""

    def has(self, tool: str, root: str = "") -> bool:
        """Whether a tool is installed."""
        return bool(self.path_of(tool, root))

    @property
    def late(self) -> bool:
        """Whether the time limit of the whole run is over."""
        return time.monotonic() >= self._end

    def run(self, argv: Sequence[str], timeout: float = 0.0, grows: str = "") -> Result:
        """Run a command to its end, its time limit (`timeout` seconds when given) or an interrupt.

        `grows` is a file that it writes: when that is larger than an output may be, the command is asked to end.
        """
        started, clock = time.time(), time.monotonic()
        deadline = min(clock + (timeout or self.timeout), self._end)
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            return Result(list(argv), b"", encoded(str(error) + "\n"), 126, started=started)
        out, err = Capped(self.max_bytes), Capped(min(STDERR_BYTES, self.max_bytes))
        killed = self._read(process, {process.stdout: out, process.stderr: err}, deadline, grows)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
        killed = self._wait(process, deadline) or killed
        code = -signal.SIGKILL if process.returncode is None else process.returncode
        return Result(
            argv=list(argv),
            stdout=out.data(),
            stderr=err.data(),
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            timed_out=killed and not self.interrupted,
            truncated=out.truncated,
            started=started,
            duration=time.monotonic() - clock,
        )

    def read(self, path: str) -> Tuple[Optional[Capped], str]:
        """What a file holds, or why it cannot be read."""
        content = Capped(self.max_bytes)
        try:
            with open(path, "rb") as file:
                for chunk in iter(functools.partial(file.read, 65536), b""):
                    content.add(chunk)
        except OSError as error:
            return None, str(error.strerror)
        return content, ""

    def _read(
        self, process: "subprocess.Popen[bytes]", streams: Dict[Any, Capped], deadline: float, grows: str
    ) -> bool:
        """Read until both streams end. Returns whether the command had to be killed for that."""
        killed = False
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                left = deadline - time.monotonic()
                if killed and left <= 0:
                    break  # a child that has left the process group still holds the pipe
                if not killed and (left <= 0 or self.interrupted):
                    kill_group(process)
                    killed, deadline = True, time.monotonic() + GRACE
                if grows and size_of(grows) > self.max_bytes:
                    kill_group(process, signal.SIGINT)  # it then ends its file as it should
                    grows = ""
                for key, _ in selector.select(min(max(left, 0.0), POLL)):
                    chunk = os.read(key.fd, 65536)
                    if chunk:
                        streams[key.fileobj].add(chunk)
                    else:
                        selector.unregister(key.fileobj)
        return killed

    def _wait(self, process: "subprocess.Popen[bytes]", deadline: float) -> bool:
        """Wait for the end of a command whose output has ended. Returns whether it had to be killed for that."""
        killed = False
        while process.returncode is None:
            try:
                process.wait(POLL)
            except subprocess.TimeoutExpired:
                late = time.monotonic() > deadline
                if killed and late:
                    break  # it hangs in the kernel, and dies when the kernel lets it
                if not killed and (late or self.interrupted):
                    kill_group(process)
                    killed, deadline = True, time.monotonic() + GRACE
        return killed


def wait_for(work: Sequence["concurrent.futures.Future[None]"]) -> None:
    """Wait for what other threads do; the first error of theirs is raised.

    The wait is broken up, because Python handles signals between two steps of the main thread: one that another thread
    was given, or that came just before a wait began, does not end that wait.
    """
    unfinished = set(work)
    while unfinished:
        _, unfinished = concurrent.futures.wait(unfinished, POLL)
    for done in work:
        done.result()


def kill_group(process: "subprocess.Popen[bytes]", number: int = signal.SIGKILL) -> None:
    """Send a signal to a command and to those of its children that have stayed in its process group."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def size_of(path: str) -> int:
    """The size of a file in bytes, 0 when it is not there."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


# ---------------------------------------------------------------------------------------------------- asking the kernel


def read_text(path: str) -> str:
    """The text of a small file, empty when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return decoded(file.read())
    except OSError:
        return ""


@functools.lru_cache(maxsize=None)
def kernel_has(module: str) -> bool:
    """Whether the kernel has this module already, so that using it loads nothing."""
    if not os.path.exists("/proc/modules"):
        return True  # a kernel without loadable modules loads none
    if os.path.exists("/sys/module/" + module):
        return True
    builtin = read_text("/lib/modules/{}/modules.builtin".format(os.uname().release))
    return "/{}.ko".format(module) in builtin.replace("-", "_")


def namespace(path: str) -> Optional[int]:
    """What tells one network namespace from another (its inode), None when the path leads to none."""
    try:
        status = os.stat(path)
        return status.st_ino if status.st_dev == os.stat("/proc/self/ns/net").st_dev else None
    except OSError:
        return None


def capabilities() -> str:
    """The effective capabilities of this process, as the kernel's hexadecimal mask; empty when it does not tell."""
    found = re.search(r"(?m)^CapEff:\s*([0-9a-f]+)", read_text("/proc/self/status"))
    return found.group(1) if found else ""


def free_bytes(folder: str) -> int:
    """How much an unprivileged program may still write where a folder is."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def host_root() -> str:
    """Where this process sees the host's files: empty on the host itself, /proc/1/root in a container that shares the
    host's processes (`docker run --pid=host --privileged`).
    """
    in_container = os.environ.get("container") or any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv")))
    try:
        elsewhere = os.stat("/proc/1/ns/mnt").st_ino != os.stat("/proc/self/ns/mnt").st_ino
    except OSError:
        return ""
    return "/proc/1/root" if in_container and elsewhere else ""


def interface_indexes() -> Dict[str, int]:
    """The ifindex of each interface of this network namespace by name, as /proc/net/dev and sysfs tell."""
    names = [line.partition(":")[0].strip() for line in read_text("/proc/net/dev").splitlines() if ":" in line]
    found = {name: read_text("/sys/class/net/{}/ifindex".format(name)).strip() for name in names}
    return {name: int(index) for name, index in sorted(found.items()) if index.isdigit()}


def physical_devices() -> List[str]:
    """The interfaces of this network namespace that are up and have a device of a bus behind them."""
    return [name for name in interface_indexes() if _is_up(name) and os.path.exists(SYSFS_DEVICE.format(name))]


def _is_up(name: str) -> bool:
    """Whether the interface has the flag IFF_UP (linux/if.h)."""
    flags = read_text("/sys/class/net/{}/flags".format(name)).strip()
    return bool(flags) and bool(int(flags, 16) & 1)


def namespace_files(root: str) -> List[Tuple[str, str]]:
    """The network namespaces of this machine that have a name or a process, each once, as (name, file).

    A name is that of a mounted file: `ip netns`, the engines' own such as ingress_sbox; else pid-<the first process>.
    """
    folders = [root + folder for folder in NAMESPACES]
    named = [(name, os.path.join(folder, name)) for folder in folders for name in sorted(listed(folder))]
    pids = sorted(int(name) for name in listed(PROCESSES) if name.isdigit())
    found: Dict[int, Tuple[str, str]] = {}
    for name, path in named + [("pid-{}".format(pid), "/proc/{}/ns/net".format(pid)) for pid in pids]:
        inode = namespace(path)
        if inode:
            found.setdefault(inode, (name, path))
    return list(found.values())


def listed(folder: str) -> List[str]:
    """The names in a folder, none when it cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def dockerd_processes() -> List[str]:
    """The process ids of the engines in this network namespace, or of which it cannot be told (without root)."""
    here = (namespace("/proc/self/ns/net"), None)
    pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and read_text("/proc/" + pid + "/comm") == "dockerd\n"]
    return sorted((pid for pid in pids if namespace("/proc/" + pid + "/ns/net") in here), key=int)


def tracing_folder() -> str:
    """Where the kernel's trace files are to be seen, empty when they are not."""
    return next((folder for folder in TRACING if os.path.isdir(folder + "/events")), "")


def traced_events(folder: str) -> List[str]:
    """Those of `TRACE_EVENTS` that the kernel has, as options of perf and trace-cmd."""
    there = [event for event in TRACE_EVENTS if os.path.isdir(folder + "/events/" + re.sub(r":\*?", "/", event))]
    return [word for event in there for word in ("-e", event)]


def tracing_state() -> Optional[str]:
    """What the kernel's tracer does: `IDLE`, or a few words; None when it cannot be seen."""
    for folder in TRACING:
        tracer = read_text(folder + "/current_tracer").strip()
        if tracer:
            events = read_text(folder + "/set_event").split()
            return IDLE if tracer == "nop" and not events else "{}, {} events".format(tracer, len(events))
    return None


def functions_at(addresses: Iterable[int], kallsyms: Iterable[bytes]) -> List[bytes]:
    """A line for each address that is in a function of the kernel: `0xffffffff81f657b8 icmp_rcv+0x1d8 [ipv4]`.

    `kallsyms` are lines of that file, in any order. What has dropped a packet is in a function for sure: in that which
    begins last before the address.
    """
    wanted = sorted(addresses)
    begins = [(0, None)] * len(wanted)  # type: List[Tuple[int, Any]]  # by address the last symbol since the one before
    for symbol in filter(None, map(_KERNEL_SYMBOL.match, kallsyms)):
        start = int(symbol.group("start"), 16)
        place = bisect.bisect_left(wanted, start)
        if place < len(wanted) and start > begins[place][0]:
            begins[place] = (start, symbol)
    named = []
    for place, address in enumerate(wanted):
        start, symbol = max(begins[: place + 1], key=lambda begin: begin[0])
        if symbol and symbol.group("kind") in b"tTwW":
            module = (symbol.group("module") or b"").replace(b"\t", b" ")
            named.append(b"0x%x %s+0x%x%s\n" % (address, symbol.group("name"), address - start, module))
    return named


def first_traceable() -> str:
    """The function by which a packet leaves the stack; compilers inline the first on many kernels."""
    text = read_text(tracing_folder() + "/available_filter_functions")
    return "dev_queue_xmit" if re.search("(?m)^dev_queue_xmit$", text) else "__dev_queue_xmit"


def as_sysctl(data: bytes) -> bytes:
    """`/proc/sys/net/ipv4/conf/eth0.5/arp_filter:0` as sysctl prints it: `net.ipv4.conf.eth0/5.arp_filter = 0`."""
    swapped = {ord("."): "/", ord("/"): "."}
    lines = []
    for line in decoded(data).splitlines():
        path, colon, value = line.partition(":")
        if colon and path.startswith("/proc/sys/"):
            lines.append("{} = {}\n".format(path[len("/proc/sys/") :].translate(swapped), value))
    return encoded("".join(lines))


# ----------------------------------------------------------------------------------------------------------- collecting


class Space(NamedTuple):
    """Where commands run: `prefix` is put before each, `folder` holds their output, `obstacle` is why none can run.
    `entrance` is the file of a network namespace: when it leads to none any more, the namespace has gone.

    `container` is what `docker inspect` says of the container that lives there. `moment` is empty, or `before` or
    `after` when only counters are read once more.
    """

    place: str
    folder: str
    prefix: Tuple[str, ...] = ()
    obstacle: str = ""
    entrance: str = ""
    container: Optional[Dict[str, Any]] = None
    moment: str = ""

    @property
    def scope(self) -> str:
        """The place as the manifest names it."""
        return self.moment + ":" + self.place if self.moment else self.place

    def at(self, moment: str) -> "Space":
        """The same place at a moment."""
        return self._replace(moment=moment, folder=moment + "/" + self.folder)


ON_HOST = Space("host", "host")
OF_DOCKER = Space("docker", "docker")
OF_PODMAN = Space("podman", "podman")
OF_FILES = Space("files", "files")
OF_TRACE = Space("trace", "trace")


class Window(NamedTuple):
    """What shall happen between two looks at the counters: `command` is run, or just `seconds` go by.

    With `events` the kernel's network events are traced meanwhile, with `functions` the functions that it calls.
    """

    command: Tuple[str, ...]
    seconds: float
    events: bool
    functions: bool


def utc(seconds: float) -> str:
    """A moment (Unix time) as ISO 8601 UTC with milliseconds."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return "{:%Y-%m-%dT%H:%M:%S}.{:03d}Z".format(moment, moment.microsecond // 1000)


class Collector:
    """Collects masked files into the directory `stage`, and for each artifact a row for the manifest.

    `fingerprints` say what there was when the run began and when it ended: interfaces, containers, rules.
    """

    def __init__(
        self, stage: str, runner: Runner, masker: Masker, progress: Callable[[str], None], plan: Plan = PLAIN
    ) -> None:
        self.rows: List[Dict[str, Any]] = []
        self.fingerprints: Dict[str, Dict[str, Any]] = {"before": {}, "after": {}}
        self._stage = stage
        self._runner = runner
        self._masker = masker
        self._progress = progress
        self._plan = plan
        self._root = plan.root
        self._log: List[str] = []
        self._tools: Dict[str, List[Tuple[str, str]]] = {}
        self._waiting: Dict[str, str] = {}
        self._locked = False
        self._loaded: Dict[Tuple[str, str], Optional[bytes]] = {}
        self._stuck: Set[str] = set()
        self._crowd: Set[str] = set()
        self._asleep = False
        self._ledger: Dict[str, Dict[str, int]] = {}
        self._storing = threading.Lock()

    def collect(self) -> None:
        """Everything: first what is quick and always there, last what takes its time."""
        window = self._plan.window
        self.fingerprints["before"]["interfaces"] = interface_indexes()
        if not window:
            self._look("before", [ON_HOST])
        self._progress("the host's files and network")
        for item in ITEMS:
            if item.where == FILES:
                self._copy(item, OF_FILES, item.command, "files" + item.command)
        socket = self._take(ITEM["docker-socket"], ON_HOST)
        self._asleep = bool(socket and b"SubState=listening" in socket.stdout)
        with concurrent.futures.ThreadPoolExecutor(self._plan.jobs) as pool:
            network = pool.submit(self._space, ON_HOST, HOST)
            if self._plan.jobs == 1:
                wait_for([network])
            spaces = self._namespaces([*self._docker(), *self._podman()])
            wait_for([network])
            self._crowd = {space.scope for space in spaces[MOST_WITH_PROGRAMS:]}
            todo = ((number, len(spaces), space) for number, space in enumerate(spaces, 1))
            wait_for([pool.submit(self._whole, place) for place in todo])
        self.fingerprints["before"]["containers"] = self._running()
        watched = [ON_HOST]
        if window:
            watched += spaces
            self._look("before", watched)
            self._let_happen(window)
        self._look("after", watched)
        self.fingerprints["after"]["interfaces"] = interface_indexes()
        self.fingerprints["after"]["containers"] = self._running()
        # what ran side by side was entered as it ended
        side_by_side = (ON_HOST, OF_DOCKER, OF_PODMAN, *spaces)
        scopes = [OF_FILES.scope, *(space.scope for space in side_by_side), *(row["scope"] for row in self.rows)]
        place = {scope: number for number, scope in enumerate(dict.fromkeys(scopes))}
        self.rows.sort(key=lambda row: place[row["scope"]])

    def _running(self) -> Optional[Dict[str, str]]:
        """When each running container was started, by its id; None when docker does not tell."""
        listing = ["docker", "ps", "--quiet", "--no-trunc"]
        if self._refusal(OF_DOCKER, listing):
            return None
        listed_now = self._runner.run(self._words(OF_DOCKER, listing))
        ids = decoded(listed_now.stdout).split()
        if listed_now.exit_code != 0 or not ids:
            return {} if listed_now.exit_code == 0 else None
        asked = self._runner.run(self._words(OF_DOCKER, ["docker", "inspect", "--format", STARTED, *ids]))
        return dict(re.findall(r"(?m)^([0-9a-f]{64}) (\S+)$", decoded(asked.stdout)))

    def _whole(self, place: Tuple[int, int, Space]) -> None:
        """All of one namespace."""
        number, count, space = place
        again = "the same in " if self._runner.rehearses and number > 1 else ""
        self._progress("{}{} ({} of {})".format(again, space.scope, number, count))
        if not again:
            self._space(space, NETNS)
            self._files_of(space)

    def _look(self, moment: str, spaces: List[Space]) -> None:
        """Read the counters that move, once more."""
        self._progress("counters, {} the rest".format(moment))
        for space in spaces:
            there, here = space.at(moment), HOST if space is ON_HOST else NETNS
            for item in ITEMS:
                if item.moves and here in item.where and "{" not in item.command:
                    self._take(item, there)
                elif item.moves and item.where == FILES and space is ON_HOST:
                    self._copy(item, there, item.command, "{}/files{}".format(moment, item.command))
            if space is ON_HOST:
                self._devices(there, [item for item in ITEMS if item.moves])
            for family in FAMILIES:
                for tool, backend in self._backends(family):
                    self._rules(there, family, tool, backend)

    def note(self, message: str) -> None:
        """Write a line to the log of the bundle."""
        self._log.append("{} {}\n".format(utc(time.time()), message))

    def finish(self, needles: List[str]) -> None:
        """Store the log and the ledger, mask the needles in all files, enter sizes and hashes. Raises StillThere, with
        the file.
        """
        log = self._row("collector-log", "collector_log", "logs", None, path="logs/collector.log")
        self._store(log["path"], "collector_log", encoded("".join(self._log)))
        stored = [(path, "stderr") for path in (row["stderr_path"] for row in self.rows) if path]
        stored += [(row["path"], row["format"]) for row in self.rows if row["path"]]
        found = self._occurring([path for path, _ in stored], needles)
        for path, format_name in stored if found else ():
            self._chase(path, format_name, found)
        ledger = self._row("redaction", "text", "logs", None, path="redaction.json")
        counts = {"rules": dict(sorted(self._masker.counts.items())), "files": dict(sorted(self._ledger.items()))}
        self._write(ledger["path"], encoded(json.dumps(counts, indent=2) + "\n"))
        for row in self.rows:
            if row["path"]:
                row.update(self._measured(row["path"]))

    # -- one artifact

    def _row(
        self, name: str, format_name: str, scope: str, argv: Optional[Sequence[str]], **facts: Any
    ) -> Dict[str, Any]:
        """Enter an artifact into the manifest. Facts that are not given are null, or false."""
        row: Dict[str, Any] = {"id": name, "format": format_name, "argv": argv and list(argv), "scope": scope}
        row.update(path=None, exit_code=None, signal=None, timed_out=False, truncated=False, bytes=None, sha256=None)
        row.update(started=None, duration_s=None, stderr_path=None, skipped=None)
        row.update(facts)
        self.rows.append(row)
        return row

    def _skip(self, item: Item, space: Space, argv: Optional[Sequence[str]], reason: str) -> None:
        self._row(item.id, item.format, space.scope, argv, skipped=reason)
        self.note("{} {}: skipped, {}".format(space.scope, item.id, reason))
        if self._runner.rehearses and not space.prefix:
            self._progress("left out: {}: {}".format(item.id, reason))

    def _store(self, path: str, format_name: str, data: bytes) -> None:
        """Write an output into the stage, masked, and what was masked of it into the ledger."""
        with self._storing:
            known = collections.Counter(self._masker.counts)
            masked = self._masker.stored(format_name, data, whole=self._plan.keep_inspect)
            self._enter(path, self._masker.counts - known)
        self._write(path, masked)

    def _enter(self, path: str, counts: "collections.Counter[str]") -> None:
        """Add to what the ledger says of a file."""
        if counts:
            entry = self._ledger.setdefault(path, {})
            for rule, count in counts.items():
                entry[rule] = entry.get(rule, 0) + count

    def _write(self, path: str, data: bytes) -> None:
        if self._runner.rehearses:
            return
        full = os.path.join(self._stage, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)

    def _occurring(self, paths: Iterable[str], needles: List[str]) -> List[str]:
        """Those of the needles that may stand in any of the files."""
        lines: Set[bytes] = set()
        for path in paths if needles else ():
            with open(os.path.join(self._stage, path), "rb") as file:
                lines.update(file.read().split(b"\n"))
        return occurring(lines, needles)

    def _chase(self, path: str, format_name: str, needles: List[str]) -> None:
        """Mask in a stored file what was masked elsewhere."""
        with open(os.path.join(self._stage, path), "rb") as file:
            data = file.read()
        try:
            data, count = mask_everywhere(data, format_name, needles)
        except StillThere:
            raise StillThere(path) from None
        if count:
            self._masker.counts["seen-elsewhere"] += count
            self._enter(path, collections.Counter({"seen-elsewhere": count}))
            self._write(path, data)

    def _measured(self, path: str) -> Dict[str, Any]:
        """Size and hash of a stored file, as the manifest has them."""
        with open(os.path.join(self._stage, path), "rb") as file:
            data = file.read()
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def _copy(self, item: Item, space: Space, file_name: str, path: str) -> None:
        """Copy a file of the host to a path in the bundle."""
        started, clock = time.time(), time.monotonic()
        content, trouble = self._runner.read(self._on_host(file_name))
        if content is None:
            self._skip(item, space, None, "{}: {}".format(file_name, trouble))
        else:
            self._store(path, item.format, content.data())
            moment = {"started": utc(started), "duration_s": round(time.monotonic() - clock, 3)}
            self._row(item.id, item.format, space.scope, None, path=path, truncated=content.truncated, **moment)
        if item.format == "ip_tables_names":
            self._loaded["host", item.id] = content and content.data()

    def _on_host(self, path: str) -> str:
        """Where this process sees a file of the host."""
        if self._root and path.startswith("/proc/net/"):
            return "/proc/1" + path[len("/proc") :]
        return self._root + path

    def _files_of(self, space: Space) -> None:
        """Copy the files that the engine has made for a container."""
        for item in ITEMS:
            if item.where == CONTAINER and space.container is not None:
                path = own_file(space.container, item.command)
                if path.startswith("/"):
                    self._copy(item, space, path, "{}/{}.txt".format(space.folder, item.id))
                else:
                    self._skip(item, space, None, "inspect does not tell its {}".format(item.command))

    def _refusal(self, space: Space, words: Sequence[str], needs: Sequence[str] = ()) -> str:
        """Why a command cannot or must not be run, empty when it may."""
        tool = next(word for word in words if word != "env" and "=" not in word)
        absent = [] if self._plan.allow_changes else [module for module in needs if not kernel_has(module)]
        if self._runner.interrupted:
            return "interrupted"
        if self._runner.late:
            return "the time limit of the whole run ({:g} s) was reached".format(self._runner.total)
        if not self._runner.rehearses and free_bytes(self._stage) < MIN_FREE:
            return "less than {} MB are free where the bundle is made".format(MIN_FREE // 1000000)
        if space.obstacle:
            return space.obstacle
        if space.entrance and namespace(space.entrance) is None:
            return "the network namespace went away meanwhile"
        if not self._runner.has(tool, self._root if space is not OF_TRACE else ""):
            return "{} is not installed (not found in PATH)".format(tool)
        stuck = [scope for scope in self._stuck if scope.startswith("netns:")]
        if space.prefix and len(stuck) >= MOST_STUCK:
            return "commands in {} other namespaces did not answer within {:g} s".format(
                len(stuck), self._runner.timeout
            )
        if space.scope in self._stuck:
            what = "{} command".format(space.scope) if space in (OF_DOCKER, OF_PODMAN) else "command here"
            return "an earlier {} did not answer within {:g} s".format(what, self._runner.timeout)
        if tool == "docker" and self._asleep and not self._plan.allow_changes:
            return "the engine does not run, and systemd would start it when it is asked (docker.socket)"
        if tool == "docker" and self._is_podman(tool):
            return "the command docker is podman here"
        if tool == "podman" and podman_obstacle(self._root):
            return podman_obstacle(self._root)
        if absent:
            return "{} is not loaded; {} would load this kernel module".format(" and ".join(absent), tool)
        return ""

    def _take(self, item: Item, space: Space) -> Optional[Result]:
        """Run the command of an item, or the one instead of it, and store what it prints. None when neither may run."""
        result, refusals = None, []
        for command, needs in ((item.command, item.needs), (item.instead, ())):
            words = shlex.split(command)
            refusal = self._refusal(space, words, needs) if words else "there is no other command"
            if refusal:
                refusals.append(refusal)
                continue
            result = self._runner.run(self._words(space, words))
            if result.stdout or result.exit_code == 0 or result.timed_out:
                break
        if result is None:
            self._skip(item, space, self._words(space, shlex.split(item.command)), refusals[0])
            return None
        data = as_sysctl(result.stdout) if item.format == "sysctl" else result.stdout
        if item.only:
            data = b"".join(line for line in data.splitlines(keepends=True) if re.search(encoded(item.only), line))
        self._keep(item, space, result, data)
        if item.format == "iptables_save" and space.place == "host":
            rules = re.sub(rb"(?m)^#.*\n|\[[0-9]+:[0-9]+\] ?", b"", data)
            moment = "after" if space.moment == "after" else "before"
            self.fingerprints[moment].setdefault("rules", {})[item.id] = hashlib.sha256(rules).hexdigest()
        return result

    def _words(self, space: Space, words: Sequence[str]) -> List[str]:
        """A command as it is run: in its network namespace, and from a container with the host's programs."""
        if self._root and not space.prefix and space is not OF_TRACE:
            return [*INTO_HOST, *words]
        return [*space.prefix, *words]

    def _keep(self, item: Item, space: Space, result: Result, data: bytes) -> None:
        """Store what a command printed, and enter it into the manifest."""
        path = "{}/{}.txt".format(space.folder, item.id)
        if space in (OF_DOCKER, OF_PODMAN):
            path = engine_path(item)
        self._store(path, item.format, data)
        stderr_path = path + ".stderr.txt" if result.stderr else None
        if stderr_path:
            self._store(stderr_path, "stderr", result.stderr)
        self._row(
            item.id,
            item.format,
            space.scope,
            result.argv,
            path=path,
            exit_code=result.exit_code,
            signal=result.signal,
            timed_out=result.timed_out,
            truncated=result.truncated,
            started=utc(result.started),
            duration_s=round(result.duration, 3),
            stderr_path=stderr_path,
        )
        if result.exit_code and not result.timed_out:
            complaint = result.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = ": " + complaint[0].strip() if complaint else ""
            self.note("{} {}: exit code {}{}".format(space.scope, item.id, result.exit_code, reason))
        if result.timed_out:
            message = "{} {}: killed, it did not end within {:g} s".format(space.scope, item.id, self._runner.timeout)
            self.note(message)
            self._progress(message)
            if space is not ON_HOST:
                self._stuck.add(space.scope)

    # -- one network namespace

    def _space(self, space: Space, where: str) -> None:
        """Run all commands of a namespace."""
        for item in ITEMS:
            if where not in item.where or "{" in item.command or not self._is_wanted(item):
                continue
            result = self._take(without_programs(item) if space.scope in self._crowd else item, space)
            if item.format == "ip_tables_names":
                self._loaded[space.scope, item.id] = result.stdout if result and result.exit_code == 0 else None
        for family in FAMILIES:
            self._firewall(space, family)
        if space is ON_HOST:
            self._devices(space, ITEMS)

    def _devices(self, space: Space, items: Iterable[Item]) -> None:
        """What ethtool tells of each physical device."""
        devices = physical_devices()
        if len(devices) > MOST_DEVICES:
            self.note("{} of {} physical devices are left out".format(len(devices) - MOST_DEVICES, len(devices)))
        for device in devices[:MOST_DEVICES]:
            for item in items:
                if "{device}" in item.command:
                    self._take(filled(item.id, device=device), space)

    def _is_wanted(self, item: Item) -> bool:
        superfluous = item.unless and self._runner.has(item.unless, self._root)
        return item.option in ("", *self._plan.options) and not superfluous

    def _firewall(self, space: Space, family: str) -> None:
        """The rules of iptables or ip6tables, of each installed backend, of the tables that are there."""
        for tool, backend in self._backends(family):
            tables, absence = self._rules(space, family, tool, backend)
            waiting = tool + (self._waiting[family] if backend == "legacy" else "")
            for table in TABLES:
                listing = filled("{tool}-{table}", tool=tool, table=table)
                listing = listing._replace(command=listing.command.replace(tool, waiting, 1))
                if table in tables and self._locked and backend == "legacy":
                    self._skip(listing, space, self._words(space, listing.command.split()), LOCKED)
                elif table in tables:
                    result = self._take(listing, space)
                    self._locked = self._locked or bool(result and b"holding the xtables lock" in result.stderr)
                elif tool == family:
                    argv = self._words(space, listing.command.split())
                    self._row(listing.id, listing.format, space.scope, argv, skipped=absence.format(table))

    def _rules(self, space: Space, family: str, tool: str, backend: str) -> Tuple[List[str], str]:
        """Take iptables-save of one backend. Returns the tables that are there, and why another one is not listed."""
        save = filled("{tool}-save", tool=tool)
        return self._legacy_tables(space, save, family) if backend == "legacy" else self._nft_tables(space, save)

    def _backends(self, family: str) -> List[Tuple[str, str]]:
        """The firewall commands to use, each with its backend. Before 1.8 (2018) iptables named none and was legacy."""
        if family not in self._tools:
            version = self._take(filled("{tool}-version", tool=family), ON_HOST)
            backend = "nft" if version and b"nf_tables" in version.stdout else "legacy"
            self._tools[family] = [(family, backend)]
            self._waiting[family] = lock_wait(version.stdout if version else b"")
            if self._runner.has(family + "-nft", self._root) and self._runner.has(family + "-legacy", self._root):
                other = "legacy" if backend == "nft" else "nft"
                self._tools[family].append((family + "-" + other, other))
        return self._tools[family]

    def _legacy_tables(self, space: Space, save: Item, family: str) -> Tuple[List[str], str]:
        source = "/proc/net/" + FAMILIES[family].replace("-", "_")
        argv = self._words(space, save.command.split())
        names = self._names_of_tables(space, FAMILIES[family], source)
        if self._plan.allow_changes and self._take(save, space):
            return list(TABLES), ""
        if names is None and os.path.exists(source):
            unknown = "which tables are loaded is not known: {} cannot be read".format(source)
            unknown = self._refusal(space, save.command.split()) or unknown
            self._skip(save, space, argv, unknown)
            return [], unknown
        loaded = decoded(names or b"").split()
        if loaded or self._refusal(space, save.command.split()):
            self._take(save, space)
        else:
            self._skip(save, space, argv, "no legacy table is loaded")
        return loaded, "table {} is not loaded; listing it would load a kernel module"

    def _names_of_tables(self, space: Space, name: str, source: str) -> Optional[bytes]:
        """What /proc says of the loaded legacy tables of a namespace, None when it cannot be read there."""
        if space.place == "host" and (space.place, name) not in self._loaded:
            content, _ = self._runner.read(self._on_host(source))
            return content and content.data()
        return self._loaded.get((space.place, name))

    def _nft_tables(self, space: Space, save: Item) -> Tuple[List[str], str]:
        result = self._take(save._replace(needs=("nf_tables",)), space)
        if result is None or result.exit_code != 0:
            return [], "which tables exist is not known: {} could not be taken".format(save.id)
        printed = re.findall(r"(?m)^\*(\w+)|^# Table `(\w+)' is incompatible", decoded(result.stdout))
        return [name or foreign for name, foreign in printed], "table {} does not exist; listing it could create it"

    # -- docker and podman

    def _is_podman(self, tool: str) -> bool:
        """Whether a command is a small script that runs podman, as the package podman-docker makes one of docker."""
        program = self._runner.path_of(tool, self._root)
        return 0 < size_of(program) < 10000 and "podman" in read_text(program)

    def _docker(self) -> List[Dict[str, Any]]:
        """Ask the engine, unless that would start it. Returns its containers."""
        self._engine_arguments(ITEM["dockerd-cmdline"])
        self._take(ITEM["docker-version"], OF_DOCKER)
        self._take(ITEM["docker-info"], OF_DOCKER)
        containers = self._inspect(OF_DOCKER, ITEM["docker-ps"], ITEM["docker-inspect"])
        self._inspect(OF_DOCKER, ITEM["docker-network-ls"], ITEM["docker-network-inspect"])
        self._take(ITEM["docker-events"], OF_DOCKER)
        return [container for container in containers if isinstance(container, dict)]

    def _podman(self) -> List[Dict[str, Any]]:
        """Ask podman, which has no daemon: each command is the engine itself, as root's. The same is returned."""
        self._take(ITEM["podman-version"], OF_PODMAN)
        self._take(ITEM["podman-info"], OF_PODMAN)
        containers = self._inspect(OF_PODMAN, ITEM["podman-ps"], ITEM["podman-inspect"])
        self._inspect(OF_PODMAN, ITEM["podman-network-ls"], ITEM["podman-network-inspect"])
        self._take(ITEM["podman-events"], OF_PODMAN)
        return [container for container in containers if isinstance(container, dict)]

    def _engine_arguments(self, item: Item) -> None:
        """Keep the arguments of the dockerd of this network namespace; another one may run in a container."""
        pids = dockerd_processes()
        if not pids:
            self._skip(item, OF_DOCKER, None, "no process named dockerd of this network namespace is to be seen")
            return
        started = time.time()
        arguments = read_text("/proc/" + pids[0] + "/cmdline").replace("\0", "\n")
        self._store(engine_path(item), item.format, encoded(arguments))
        self._row(item.id, item.format, "docker", None, path=engine_path(item), started=utc(started), duration_s=0.0)
        self.note("dockerd is process {}; the arguments of the first are kept".format(", ".join(pids)))

    def _inspect(self, engine: Space, listing: Item, item: Item) -> List[Any]:
        """List containers or networks and inspect them all, in batches. Returns what the engine says, unmasked."""
        listed = self._take(listing, engine)
        words = item.command.split()
        table = decoded(listed.stdout) if listed and listed.exit_code == 0 else ""
        refusal = self._refusal(engine, words)
        heading = re.match(r"(?:CONTAINER|NETWORK) ID\s|NAME\s+VERSION\s+PLUGINS\s", table)
        if not refusal and not heading:
            refusal = "{} did not tell what there is to inspect".format(listing.id)
        if refusal:
            self._skip(item, engine, words, refusal)
            return []
        ids = re.findall(r"(?m)^([0-9a-z]{25,64})\s", table)  # ids of swarm networks have 25 characters
        if heading and heading.group().startswith("NAME"):  # podman's networks of CNI have no ids
            ids = re.findall(r"(?m)^(\S+)", table)[1:]
        batches = [ids[start : start + INSPECT_BATCH] for start in range(0, len(ids), INSPECT_BATCH)]
        results: List[Result] = []
        while batches and not self._runner.interrupted and not any(result.timed_out for result in results):
            batch = batches.pop(0)
            result = self._runner.run(self._words(engine, [*words, *batch]))
            if result.truncated and len(batch) > 1:
                batches[:0] = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
            else:
                results.append(result)
        objects: List[Any] = []
        unread: List[bytes] = []
        for result in results:
            try:
                objects += json.loads(decoded(result.stdout))
            except (ValueError, TypeError, RecursionError):
                unread.append(result.stdout)
        kept = self._within_limit(objects)
        missing = len(ids) - len(kept)
        if missing:
            self.note("{}: {} of {} are not in it (gone, unread or too large)".format(item.id, missing, len(ids)))
        joined = together([*words, *ids], results)
        joined = joined._replace(truncated=joined.truncated or len(kept) < len(objects) or bool(batches))
        self._keep(item, engine, joined, as_json(kept) if kept or not unread else unread[0])
        return objects

    def _within_limit(self, objects: List[Any]) -> List[Any]:
        """As many of the objects as an artifact may hold: a JSON document has no use for a cut in its middle."""
        kept, size = len(objects), len(as_json(objects))
        while size > self._runner.max_bytes and kept:
            kept = min(kept - 1, kept * self._runner.max_bytes // size)
            size = len(as_json(objects[:kept]))
        return objects[:kept]

    def _namespaces(self, containers: List[Dict[str, Any]]) -> List[Space]:
        """The network namespaces of running containers, then all others, each once, without the host's."""
        own = "/proc/1/ns/net" if self._root else "/proc/self/ns/net"
        spaces, seen = [], {namespace(own)}
        running = [container for container in containers if (container.get("State") or {}).get("Running")]
        for container in sorted(running, key=lambda container: network_mode(container).startswith("container:")):
            name = str(container.get("Id"))
            path = namespace_path(container, self._root)
            found = namespace(path)
            shared = found in seen or (not found and re.match("host$|container:", network_mode(container)))
            if shared or not re.match(r"[0-9a-f]{64}\Z", name):
                self.note("container {:.12}: no namespace of its own to collect".format(name))
                continue
            unseen = "" if found else "the container's network namespace is not to be seen from here"
            obstacle = self._obstacle() or unseen
            if found and not obstacle:
                seen.add(found)
            spaces.append(self._entered(name, path, obstacle)._replace(container=container))
        others = [(name, path) for name, path in namespace_files(self._root) if namespace(path) not in seen]
        for name, path in others[:MOST_OTHERS]:
            process = re.match(r"pid-([0-9]+)\Z", name)
            if process:
                comm = read_text("/proc/{}/comm".format(process.group(1))).strip()
                self.note("{} is the network namespace of {}, which is no container of docker".format(name, comm))
            if re.match(r"[A-Za-z0-9][\w.-]{0,100}\Z", name):
                spaces.append(self._entered(name, path, self._obstacle()))
        if len(others) > MOST_OTHERS:
            self.note("{} other network namespaces were left out".format(len(others) - MOST_OTHERS))
        return spaces

    def _obstacle(self) -> str:
        """Why no network namespace can be entered, empty when they can."""
        if not int(capabilities() or "0", 16) >> CAP_SYS_ADMIN & 1:
            return "entering a network namespace needs root (CAP_SYS_ADMIN)"
        return "" if self._runner.has("nsenter", self._root) else "nsenter is not installed (not found in PATH)"

    def _entered(self, name: str, path: str, obstacle: str) -> Space:
        """A network namespace; its commands are those of the host."""
        programs = ("--mount=/proc/1/ns/mnt",) if self._root else ()
        return Space("netns:" + name, "netns/" + name, ("nsenter", *programs, "--net=" + path, "--"), obstacle, path)

    # -- what happens between two looks at the counters

    def _let_happen(self, window: Window) -> None:
        """Run the customer's command, or wait; and trace meanwhile if asked to."""
        words = list(window.command) or ["sleep", "{:g}".format(window.seconds)]
        self._progress("between two looks at the counters: " + self._masker.text(" ".join(words)))
        folder = tracing_folder()
        if window.events and folder:
            self._copy(ITEM["drop-reasons"], OF_TRACE, folder + "/" + DROP_REASONS, "trace/drop-reasons.txt")
        if window.events and not self._trace("perf-record", "perf-script", words):
            self._trace("trace-cmd-record", "trace-cmd-report", words)
        if window.functions:
            self._trace("functions-record", "functions-report", words)
        if not window.events and not window.functions:
            result = self._runner.run(self._words(ON_HOST, words), timeout=math.inf)
            masked = result._replace(argv=self._masker.arguments(result.argv))
            self._keep(ITEM["during"], OF_TRACE, masked, result.stdout)

    def _trace(self, record: str, report: str, command: Sequence[str]) -> bool:
        """Record while a command runs, and store the recording as text. Returns whether there is one.

        Both tools would mount the kernel's trace files where they are not: that is left to who owns the host. trace-cmd
        uses the kernel's one tracer: it is not started while somebody else uses that, and what it left on when it was
        killed is reset.
        """
        data = os.path.join(self._stage, "recording")
        values = {"data": data, "function": first_traceable()}
        folder, before = tracing_folder(), tracing_state()
        words = []  # type: List[str]
        for word in ITEM[record].command.split():
            words += traced_events(folder) if word == "{events}" else [word.format(**values)]
        refusal = self._refusal(OF_TRACE, words)
        if not refusal and not folder:
            refusal = "the kernel's trace files are not to be seen: that needs root, and tracefs at " + TRACING[0]
        if not refusal and words[0] == "trace-cmd" and before not in (IDLE, None):
            refusal = "somebody else is tracing: {}".format(before)
        if refusal:
            self._skip(ITEM[record], OF_TRACE, words, refusal)
            return False
        result = self._runner.run([*words, *command], timeout=math.inf, grows=data)
        masked = self._masker.arguments(result.argv)
        self._keep(ITEM[record], OF_TRACE, result._replace(argv=masked), result.stdout)
        size = size_of(data)
        item = ITEM[report]._replace(command=ITEM[report].command.format(**values))
        taken = self._take(item, OF_TRACE) if size or self._runner.rehearses else None
        for name in listed(self._stage):
            if name.startswith("recording"):
                os.unlink(os.path.join(self._stage, name))
        if words[0] == "trace-cmd" and before == IDLE and tracing_state() != IDLE:
            self._runner.run(["trace-cmd", "reset"])
            self.note("trace-cmd left tracing on; it was reset")
        self._progress("{}: {:.1f} s, {:.1f} MB recorded".format(words[0], result.duration, size / 1e6))
        self.note("{} ran {:.1f} s and recorded {} bytes".format(record, result.duration, size))
        if taken and "{events}" in ITEM[record].command:
            self._name_places({int(found.group(1), 16) for found in _DROPPED_AT.finditer(taken.stdout)})
        return bool(taken and taken.stdout)

    def _name_places(self, addresses: Set[int]) -> None:
        """Store which functions of the kernel are at these addresses: older kernels tell no more of where a packet was
        dropped, and they are at other ones each time that the kernel starts.
        """
        item = ITEM["drop-places"]
        if self._runner.rehearses:
            self._runner.read(KALLSYMS)
        if not addresses:
            return
        started, clock = time.time(), time.monotonic()
        try:
            with open(KALLSYMS, "rb") as file:
                named = functions_at(addresses, file)
        except OSError as error:
            self._skip(item, OF_TRACE, None, "{}: {}".format(KALLSYMS, error.strerror))
            return
        if not named:
            self._skip(item, OF_TRACE, None, KALLSYMS + " names none of the trace's addresses (kernel.kptr_restrict)")
            return
        path = "trace/{}.txt".format(item.id)
        self._store(path, item.format, b"".join(named))
        moment = {"started": utc(started), "duration_s": round(time.monotonic() - clock, 3)}
        self._row(item.id, item.format, OF_TRACE.scope, None, path=path, **moment)


def engine_path(item: Item) -> str:
    """Where an answer of an engine is stored."""
    name = re.sub("^(?:docker|podman)-", "", item.id).replace("-", "_")
    return "{}/{}{}".format(item.where, name, ".json" if item.format in JSON_FORMATS else ".txt")


def podman_obstacle(root: str = "") -> str:
    """Why podman must not be asked, empty when it may.

    Its first command on a host would make its storage there, and that of another user than root speaks of that user's
    containers only.
    """
    if os.geteuid() != 0:
        return "not running as root, and only root's podman is asked"
    store = re.search(r'(?m)^\s*graphroot\s*=\s*"(.+?)"', read_text(root + "/etc/containers/storage.conf"))
    folder = store.group(1) if store else "/var/lib/containers/storage"
    if not os.path.isdir(os.path.join(root + folder, "libpod")):
        return "podman has not been used on this host"
    return ""


def without_programs(item: Item) -> Item:
    """`ss -tulpn` without the programs behind the sockets."""
    words = {name: getattr(item, name).replace("ss -tulpn", "ss -tuln") for name in ("command", "instead")}
    return item._replace(**words)


def lock_wait(version: bytes) -> str:
    """How iptables of the legacy backend is told to wait for its lock, but not for ever.

    -w came with 1.4.20, its seconds with 1.6.0; up to 1.8.7 it would not wait by itself, and later it would not end.
    """
    found = re.search(rb"v([0-9]+)\.([0-9]+)\.([0-9]+)", version)
    number = tuple(map(int, found.groups())) if found else (0,)
    if number >= (1, 6, 0):
        return " -w {}".format(LOCK_WAIT)
    return " -w" if number >= (1, 4, 20) else ""


def filled(name: str, **words: str) -> Item:
    """An item of ITEMS for one command and table of the firewall, or one device."""
    item = ITEM[name]
    return item._replace(id=item.id.format(**words), command=item.command.format(**words))


def network_mode(container: Dict[str, Any]) -> str:
    """HostConfig.NetworkMode of `docker inspect`: host, none, a network's name, or container:<id> of the owner."""
    return str((container.get("HostConfig") or {}).get("NetworkMode") or "")


def own_file(container: Dict[str, Any], key: str) -> str:
    """The file that the engine has made for a container, by its key of `docker inspect`; or the one that somebody has
    mounted in its place.
    """
    place = {"ResolvConfPath": "/etc/resolv.conf", "HostsPath": "/etc/hosts"}[key]
    mounts = [mount for mount in container.get("Mounts") or () if isinstance(mount, dict)]
    mounted = [str(mount.get("Source") or "") for mount in mounts if mount.get("Destination") == place]
    return mounted[0] if mounted else str(container.get(key) or "")


def namespace_path(container: Dict[str, Any], root: str = "") -> str:
    """The file by which a container's network namespace can be entered: its SandboxKey, or that of its process.

    The process is used only when its cgroup names the container: where pids are not those of the engine, the same
    number is another process.
    """
    sandbox = str((container.get("NetworkSettings") or {}).get("SandboxKey") or "")
    sandbox = root + sandbox if sandbox else ""
    if namespace(sandbox):
        return sandbox
    process = "/proc/{}/".format((container.get("State") or {}).get("Pid"))
    ours = str(container.get("Id")) in read_text(process + "cgroup")
    return process + "ns/net" if ours else sandbox


def together(argv: List[str], results: List[Result]) -> Result:
    """Several runs of one command as one, without their output: it failed as the worst of them did."""
    return Result(
        argv=argv,
        stdout=b"",
        stderr=b"".join(result.stderr for result in results),
        exit_code=max((result.exit_code for result in results if result.exit_code is not None), default=None),
        signal=next((result.signal for result in results if result.signal), None),
        timed_out=any(result.timed_out for result in results),
        truncated=any(result.truncated for result in results),
        started=results[0].started if results else time.time(),
        duration=sum(result.duration for result in results),
    )


# ----------------------------------------------------------------------------------------------------------- the bundle


def manifest(options: argparse.Namespace, collector: Collector, masker: Masker, needles: List[str]) -> Dict[str, Any]:
    """What manifest.json says: who collected what, when, how, and how each command ended."""
    release = re.search(r"""(?m)^PRETTY_NAME=["']?(.*?)["']?$""", read_text("/etc/os-release"))
    settings = {name: value for name, value in vars(options).items() if name not in ("output", "started", "monotonic")}
    for name in ("during", "trace_command"):
        settings[name] = masker.text(settings[name] or "")
    told = {
        "schema_version": SCHEMA_VERSION,
        "collector": {"version": VERSION, "sha256": own_sha256()},
        "host": os.uname().nodename,
        "kernel": os.uname().release,
        "os_release": release.group(1) if release else None,
        "uid": os.geteuid(),
        "capabilities": capabilities() or None,
        "runs_in": "a container, with the host's processes" if host_root() else "the host",
        "fingerprints": collector.fingerprints,
        "clock": {"wall": utc(options.started), "monotonic": options.monotonic, "timezone": time.strftime("%Z %z")},
        "argv": masker.arguments(sys.argv),
        "options": settings,
        "redaction": dict(sorted(masker.counts.items())),
        "artifacts": collector.rows,
    }  # type: Dict[str, Any]
    found = occurring(set(json_lines(told)), needles)
    for part in [told, *collector.rows] if found else ():
        part.update((key, without(part[key], found)) for key in ("argv", "host", "options", "skipped") if key in part)
    if occurring(set(json_lines(told)) if found else set(), [needle for needle in found if "\n" not in needle]):
        raise StillThere("manifest.json")
    return told


def json_lines(value: Any) -> List[bytes]:
    """A JSON value as lines to look for text in."""
    return encoded(json.dumps(value, indent=0, ensure_ascii=False)).split(b"\n")


def own_sha256() -> Optional[str]:
    """The SHA-256 of this script, None when it was not started from a file."""
    try:
        with open(__file__, "rb") as script:
            return hashlib.sha256(script.read()).hexdigest()
    except (NameError, OSError):
        return None


def claimed(folder: str, label: str, started: float) -> Tuple[str, str]:
    """The name of the bundle without its ending, netdiag-<host>[-<label>]-<YYYYmmddTHHMMSSZ>, and the new directory to
    collect into, which keeps that name from other collectors. The second is the next one that no bundle has.
    """
    names = [re.sub(r"[^A-Za-z0-9._-]", "-", name) for name in ("netdiag", os.uname().nodename, label) if name]
    while True:
        stem = "-".join(names) + time.strftime("-%Y%m%dT%H%M%SZ", time.gmtime(started))
        stage = os.path.join(folder, "." + stem)
        try:
            os.mkdir(stage, 0o700)
        except FileExistsError:
            pass
        else:
            if not os.path.exists(os.path.join(folder, stem + ".tar.gz")):
                return stem, stage
            os.rmdir(stage)
        started += 1


def write_bundle(stage: str, description: Dict[str, Any], folder: str, stem: str, started: float) -> str:
    """Pack the collected files, the manifest first, and write the checksum beside. Returns the path of the bundle.

    The bundle appears under its name only when it is whole.
    """
    files = sorted(
        os.path.relpath(os.path.join(parent, name), stage) for parent, _, names in os.walk(stage) for name in names
    )
    path = os.path.join(folder, stem + ".tar.gz")
    unfinished = os.path.join(stage, "bundle")
    with open(unfinished, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, started) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
            text = json.dumps(description, indent=2).encode("ascii")
            add_member(archive, stem + "/manifest.json", io.BytesIO(text), len(text), started)
            for name in files:
                full = os.path.join(stage, name)
                with open(full, "rb") as content:
                    add_member(archive, stem + "/" + name, content, os.path.getsize(full), started)
    digest = hashlib.sha256()
    with open(unfinished, "rb") as whole:
        for chunk in iter(functools.partial(whole.read, 1 << 20), b""):
            digest.update(chunk)
    with open(path + ".sha256", "x") as checksum:
        checksum.write("{}  {}\n".format(digest.hexdigest(), os.path.basename(path)))
    os.rename(unfinished, path)
    return path


def add_member(archive: tarfile.TarFile, name: str, content: Any, size: int, moment: float) -> None:
    """Add a plain file of root's, readable by its owner only."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(moment), 0o600
    member.uname = member.gname = "root"
    archive.addfile(member, content)


# --------------------------------------------------------------------------------------------------------- command line


def at_least(least: float, kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A converter for argparse that refuses smaller numbers."""

    def number(text: str) -> Any:
        if not kind(text) >= least:  # nan is neither
            raise argparse.ArgumentTypeError("must be at least {}".format(least))
        return kind(text)

    number.__name__ = "number"  # argparse names it when the text is none
    return number


WAIT_HELP = "read all counters twice, with this time between: reproduce the trouble meanwhile"
TRACE_HELP = "trace packets and drops that long between two looks at the counters (perf or trace-cmd)"


def planned(options: argparse.Namespace) -> Plan:
    """The options as the collector takes them."""
    command = shlex.split(options.during or options.trace_command or "")
    seconds, events = options.seconds or options.trace, bool(options.trace or options.trace_command)
    window = Window(tuple(command), seconds, events, options.trace_functions) if command or seconds else None
    return Plan(
        root=host_root(),
        jobs=options.jobs,
        options=("conntrack",) if options.conntrack else (),
        window=window,
        allow_changes=options.allow_system_changes,
        keep_inspect=options.keep_inspect,
    )


def parsed(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("-o", "--output", metavar="DIR", default=".", help="write the bundle into DIR (default: here)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--label", metavar="L", default="", help="a word for the bundle's name, such as a ticket")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=at_least(0.1, float), default=20.0, help="for one command (default: 20)"
    )
    parser.add_argument(
        "--max-bytes",
        metavar="N",
        type=at_least(1024, int),
        default=16 * 1024 * 1024,
        help="of one output; of more, the beginning and the end are kept (default: 16 MiB)",
    )
    parser.add_argument(
        "--max-time", metavar="SECONDS", type=at_least(1, float), default=300.0, help="for the whole run (default: 300)"
    )
    parser.add_argument("--jobs", metavar="N", type=at_least(1, int), default=2, help="commands at a time (default: 2)")
    parser.add_argument("--list", action="store_true", help="print what is collected and why, and end")
    parser.add_argument("--dry-run", action="store_true", help="print the commands for this host, run none, and end")
    parser.add_argument("--conntrack", action="store_true", help="list the connections that the kernel tracks as well")
    parser.add_argument(
        "--for", dest="seconds", metavar="SECONDS", type=at_least(1, float), default=0.0, help=WAIT_HELP
    )
    parser.add_argument("--during", metavar="CMD", help="the same, with this command in place of waiting")
    parser.add_argument("--trace", metavar="SECONDS", type=at_least(1, float), default=0.0, help=TRACE_HELP)
    parser.add_argument("--trace-command", metavar="CMD", help="the same while this command runs")
    parser.add_argument("--trace-functions", action="store_true", help="trace kernel functions of sending as well")
    parser.add_argument("--keep-inspect", action="store_true", help="keep all that docker inspect prints")
    parser.add_argument("--no-mask", dest="mask", action="store_false", help="leave passwords and the like in")
    parser.add_argument(
        "--allow-system-changes",
        action="store_true",
        help="list also what the kernel loads a module for; without it such outputs are skipped",
    )
    parser.add_argument("--version", action="version", version="netdiag_collect " + VERSION)
    options = parser.parse_args(arguments)
    if len([given for given in (options.seconds, options.during, options.trace, options.trace_command) if given]) > 1:
        parser.error("give one of --for, --during, --trace and --trace-command")
    if options.trace_functions and not (options.trace or options.trace_command):
        parser.error("--trace-functions needs --trace or --trace-command")
    options.started, options.monotonic = time.time(), round(time.monotonic(), 3)
    return options


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Collect, and print the bundle's path last. Returns 0 if a bundle was written, interrupted or not, else 1."""
    options = parsed(arguments)
    if options.list or options.dry_run:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` may end them
    if options.list:
        print(table())
        return 0
    plan = planned(options)
    if options.dry_run:
        rehearse(plan, options.timeout)
        return 0
    runner, masker = Runner(options.timeout, options.max_bytes, options.max_time), Masker(enabled=options.mask)

    def tell(message: str) -> None:
        if not options.quiet:
            print("netdiag: " + message, file=sys.stderr, flush=True)

    def interrupt(*_: Any) -> None:
        runner.interrupted = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup(1) wants it
            signal.signal(number, interrupt)
    os.umask(0o077)
    folder = os.path.abspath(options.output)
    stage = ""
    try:
        os.makedirs(folder, exist_ok=True)
        if free_bytes(folder) < MIN_FREE:
            raise OSError("less than {} MB are free in {}".format(MIN_FREE // 1000000, folder))
        stem, stage = claimed(folder, options.label, options.started)
        be_modest(runner)
        collector = Collector(stage, runner, masker, tell, plan)
        if plan.root:
            tell("running in a container; the host is looked at through {}".format(plan.root))
        if os.geteuid() != 0:
            tell("not running as root: firewall rules and the containers' network namespaces will be missing")
        collector.collect()
        needles = masker.needles()
        collector.finish(needles)
        description = manifest(options, collector, masker, needles)
        path = write_bundle(stage, description, folder, stem, options.started)
    except StillThere as failure:
        print("netdiag: no bundle: a masked value is still in {}; nothing was kept".format(failure), file=sys.stderr)
        return 1
    except OSError as error:
        print("netdiag: no bundle: {}".format(error), file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    skipped = sum(1 for row in collector.rows if row["skipped"])
    masked = sum(count for rule, count in masker.counts.items() if rule not in (KEPT_AS_NAME, LEFT_OUT))
    tell("{} artifacts, {} skipped, {} secrets masked".format(len(collector.rows), skipped, masked))
    tell("sha256 {}".format(read_text(path + ".sha256").split()[0]))
    tell("please send this file to who asked for it ({:.0f} kB):".format(os.path.getsize(path) / 1000))
    print(path)
    return 0


def be_modest(runner: Runner) -> None:
    """Let everything else on the host go first: of the CPU, and of the disk."""
    os.nice(NICENESS)
    if runner.has("ionice"):
        runner.run(["ionice", "-c", "3", "-p", str(os.getpid())])


LEGEND = """\
Each output: its name, the command or the file, why it is collected, and in brackets where and on what condition.
A namespace is a network namespace: that of each container, and of whatever else has one; each is entered by nsenter.
Nothing is changed: a command that needs a kernel module is left out unless the kernel has it already.
{tool} is iptables and ip6tables, {table} one of their tables that are there, {device} a physical device that is up.
"""
PLACES = {
    FILES: "a file of the host",
    CONTAINER: "a file of each container",
    HOST: "host",
    NETNS: "each other namespace",
    BOTH: "host and each other namespace",
    DOCKER: "Docker",
    PODMAN: "podman",
    TRACE: "only with --during, --for or --trace",
}
SHOWN = {
    "dockerd-cmdline": "the file /proc/<pid>/cmdline of dockerd",
    "resolv-conf": "the file that docker inspect names as ResolvConfPath",
    "hosts": "the file that docker inspect names as HostsPath",
    "during": "the command given with --during, or the waiting of --for",
}


def table() -> str:
    """What is collected, where, and why."""
    lines = [LEGEND]
    for item in ITEMS:
        notes = [PLACES[item.where]]
        notes += ["needs {} loaded".format(" and ".join(item.needs))] if item.needs else []
        notes += ["else {}".format(item.instead)] if item.instead else []
        notes += ["only with --{}".format(item.option)] if item.option else []
        notes += ["only without {}".format(item.unless)] if item.unless else []
        notes += ["read again when the run ends"] if item.moves else []
        shown = SHOWN.get(item.id, item.command) if item.where in (CONTAINER, DOCKER, TRACE) else item.command
        lines.append("{:24} {}".format(item.id, shown))
        lines.append("{:24} {} [{}]".format("", item.why, "; ".join(notes)))
    return "\n".join(lines)


class Rehearsal(Runner):
    """Runs nothing: prints what would be run. Where the next command depends on an answer, it gives the likely one."""

    rehearses = True

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        """Print a command."""
        print(" ".join(word.replace(ANY_ID, "<each id>") if ANY_ID in word else shlex.quote(word) for word in argv))
        return Result(list(argv), self._answer([word for word in argv if word != "--no-trunc"]).encode("ascii"), b"", 0)

    def _answer(self, argv: List[str]) -> str:
        if argv[-1] == "-V":  # which backend a firewall command uses is told by where its link leads
            program = os.path.realpath(shutil.which(argv[-2], path=self._environment["PATH"]) or "")
            return "nf_tables" if "nft" in os.path.basename(program) else "legacy"
        if argv[-2].endswith("-save"):
            return "".join("*{}\n".format(table) for table in TABLES)
        if argv[-2:] in (["ps", "-a"], ["network", "ls"]):
            return "{} ID   NAME\n{}   name\n".format("CONTAINER" if argv[-2] == "ps" else "NETWORK", ANY_ID)
        return ANY_ID if argv[-2:] == ["ps", "--quiet"] else ""

    def read(self, path: str) -> Tuple[Optional[Capped], str]:
        """Print that a file would be copied."""
        print("cat " + path)
        return super().read(path)


def rehearse(plan: Plan, timeout: float) -> None:
    """Print the commands for this host, in their order."""
    runner = Rehearsal(timeout, STDERR_BYTES)
    Collector("", runner, Masker(), lambda message: print("# " + message), plan._replace(jobs=1)).collect()


if __name__ == "__main__":
    sys.exit(main())
