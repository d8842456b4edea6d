"""What is collected: the ids, formats and commands that the parsers rely on."""

import re
import shlex
from collections import Counter

import netdiag_collect as collect

HOST_COMMANDS = {
    "engine-files": ("ls_l", "ls -ln --full-time /var/run/docker.pid /var/run/docker.sock /etc/resolv.conf"),
    "docker-unit": (
        "systemctl_show",
        "systemctl show docker.service -p Id,LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,FragmentPath"
        ",DropInPaths,ExecStart",
    ),
    "docker-journal": ("journal", "journalctl --no-pager -o short-iso -n 200 -u docker.service"),
    "dockerd": ("ps", "ps -ww -C dockerd -o pid,ppid,netns,args"),
    "netns": ("netns", "readlink /proc/self/ns/net"),
    "ip-addr": ("ip_addr", "ip -d -s addr"),
    "ip-link": ("ip_addr", "ip -d link"),
    "ip-route": ("ip_route", "ip route show table all"),
    "ip6-route": ("ip_route", "ip -6 route show table all"),
    "ip-rule": ("ip_rule", "ip rule"),
    "ip6-rule": ("ip_rule", "ip -6 rule"),
    "ip-nexthop": ("ip_nexthop", "ip nexthop"),
    "ip-neigh": ("ip_neigh", "ip neigh"),
    "ip6-neigh-proxy": ("ip_neigh", "ip -6 neigh show proxy"),
    "route-n": ("route_n", "route -n"),
    "ifconfig": ("ifconfig", "ifconfig -a"),
    "arp-n": ("arp_n", "arp -n"),
    "bridge-link": ("bridge_link", "bridge -d link"),
    "bridge-vlan": ("bridge_vlan", "bridge vlan"),
    "bridge-mdb": ("bridge_mdb", "bridge -d mdb"),
    "bridge-fdb": ("bridge_fdb", "bridge fdb"),
    "lsns": ("lsns", "lsns -t net -o NS,TYPE,NPROCS,PID,USER,NETNSID,NSFS,COMMAND"),
    "ip-netns": ("ip_netns", "ip netns"),
    "docker-proxy": ("ps", "ps -ww -C docker-proxy -o pid,netns,args"),
    "network-managers": ("ps", "ps -ww -C systemd-networkd,NetworkManager -o pid,netns,args"),
    "networkctl": ("networkctl", "networkctl --no-pager list"),
    "firewalld": ("firewalld_zones", "firewall-cmd --list-all-zones"),
    "firewalld-policies": ("firewalld_zones", "firewall-cmd --list-all-policies"),
    "nmcli": ("nmcli_device", "nmcli device"),
    "ss": ("ss", "ss -tulpn"),
    "netstat": ("netstat", "netstat -tulpn"),
    "tc-qdisc": ("tc_qdisc", "tc -s qdisc"),
    "nstat": ("nstat", "nstat -asz"),
    "sysctl": (
        "sysctl",
        "grep -r --exclude=flush --exclude=stable_secret --exclude=tcp_fastopen_key --exclude=bpf_jit_*  /proc/sys/net",
    ),
    "nft-ruleset": ("nft_ruleset", "nft -a list ruleset"),
    "ebtables": ("ebtables", "ebtables -L --Lc --Ln"),
    "ebtables-nat": ("ebtables", "ebtables -t nat -L --Lc --Ln"),
    "ipset": ("ipset", "ipset list"),
    "conntrack-stats": ("conntrack_stats", "conntrack -S"),
    "conntrack": ("conntrack", "conntrack -L"),
    "dmesg": ("dmesg", "dmesg --level=emerg,alert,crit,err,warn"),
    "conntrack-udp": ("conntrack", "conntrack -L -p udp"),
    "ethtool-{device}": ("ethtool", "ethtool {device}"),
    "ethtool-driver-{device}": ("ethtool", "ethtool -i {device}"),
    "ethtool-features-{device}": ("ethtool", "ethtool -k {device}"),
    "ethtool-rings-{device}": ("ethtool", "ethtool -g {device}"),
    "ethtool-statistics-{device}": ("ethtool", "ethtool -S {device}"),
    "{tool}-version": ("iptables_version", "{tool} -V"),
    "{tool}-save": ("iptables_save", "{tool}-save -c"),
    "{tool}-{table}": ("iptables_list", "{tool} -t {table} -L -v -n -x"),
}
EVENTS = (
    " --filter event=create --filter event=start --filter event=restart --filter event=die --filter event=died"
    " --filter event=oom --filter event=kill --filter event=stop --filter event=destroy --filter event=remove"
    " --filter event=rename --filter event=connect --filter event=disconnect --filter event=reload"
)
DOCKER_COMMANDS = {
    "docker-socket": (
        "systemctl_show",
        "systemctl show docker.socket -p Id,LoadState,ActiveState,SubState",
    ),
    "docker-version": ("docker_version", "docker version --format {{json .}}"),
    "docker-info": ("docker_info", "docker info --format {{json .}}"),
    "docker-ps": ("docker_ps", "docker ps -a --no-trunc"),
    "docker-network-ls": ("docker_network_ls", "docker network ls --no-trunc"),
    "docker-events": (
        "engine_events",
        "docker events --since 24h --until 0s --filter type=container --filter type=network --filter type=daemon"
        f"{EVENTS} --format {{{{.TimeNano}}}} {{{{.Type}}}} {{{{.Action}}}} {{{{.Actor.ID}}}} "
        '(name={{index .Actor.Attributes "name"}}, container={{index .Actor.Attributes "container"}}, '
        'exitCode={{index .Actor.Attributes "exitCode"}})',
    ),
    "docker-inspect": ("docker_inspect", "docker inspect"),
    "docker-network-inspect": ("docker_network_inspect", "docker network inspect"),
    "dockerd-cmdline": ("dockerd_cmdline", ""),
}
PODMAN_COMMANDS = {
    "podman-events": (
        "engine_events",
        f"podman events --since 24h --stream=false{EVENTS}"
        " --format {{.Time}} {{.Type}} {{.Status}} {{.ID}} (name={{.Name}}, exitCode={{.ContainerExitCode}})",
    ),
    "podman-version": ("podman_version", "podman version --format json"),
    "podman-info": ("podman_info", "podman info --format json"),
    "podman-ps": ("podman_ps", "podman ps -a --no-trunc"),
    "podman-network-ls": ("podman_network_ls", "podman network ls --no-trunc"),
    "podman-inspect": ("podman_inspect", "podman inspect"),
    "podman-network-inspect": ("podman_network_inspect", "podman network inspect"),
}
FILES = {
    "os-release": ("os_release", "/etc/os-release"),
    "resolv-conf": ("resolv_conf", "/etc/resolv.conf"),
    "resolved-servers": ("resolv_conf", "/run/systemd/resolve/resolv.conf"),
    "nm-servers": ("resolv_conf", "/run/NetworkManager/no-stub-resolv.conf"),
    "dnsmasq-servers": ("resolv_conf", "/run/dnsmasq/resolv.conf"),
    "daemon-json": ("daemon_json", "/etc/docker/daemon.json"),
    "ufw": ("ufw_settings", "/etc/ufw/ufw.conf"),
    "ufw-defaults": ("ufw_settings", "/etc/default/ufw"),
    "netavark-driver": ("netavark_driver", "/run/containers/networks/firewall/firewall-driver"),
    "softnet-stat": ("proc_net_softnet_stat", "/proc/net/softnet_stat"),
    "xfrm-stat": ("proc_net_snmp", "/proc/net/xfrm_stat"),
    "ip-tables-names": ("ip_tables_names", "/proc/net/ip_tables_names"),
    "ip6-tables-names": ("ip_tables_names", "/proc/net/ip6_tables_names"),
}


def _rows(where: str) -> dict[str, tuple[str, str]]:
    return {
        item.id: (item.format, " ".join(shlex.split(item.command))) for item in collect.ITEMS if where in item.where
    }


def test_the_host_is_asked_exactly_what_the_parsers_know() -> None:
    assert _rows(collect.HOST) == HOST_COMMANDS


def test_a_container_is_asked_the_same_but_for_what_is_the_same_everywhere() -> None:
    only_on_host = {"ip-link", "ip-nexthop", "bridge-vlan", "ebtables", "ipset", "conntrack-stats", "conntrack"}
    only_on_host |= {"{tool}-version", "lsns", "ip-netns", "docker-proxy", "ebtables-nat"}
    only_on_host |= {"engine-files", "docker-unit", "docker-journal", "dockerd"}
    only_on_host |= {"firewalld", "firewalld-policies", "bridge-mdb", "network-managers", "networkctl", "nmcli"}
    only_on_host |= {"dmesg"}
    only_on_host |= {name for name in HOST_COMMANDS if name.startswith("ethtool-")}
    only_on_host |= {"conntrack-udp", "ip6-neigh-proxy"}
    names = {
        "ip-tables-names": ("ip_tables_names", "cat /proc/net/ip_tables_names"),
        "ip6-tables-names": ("ip_tables_names", "cat /proc/net/ip6_tables_names"),
    }
    shared = {name: row for name, row in HOST_COMMANDS.items() if name not in only_on_host}
    assert _rows(collect.NETNS) == shared | names


def test_the_engine_is_asked_exactly_what_the_parsers_know() -> None:
    assert _rows(collect.DOCKER) == DOCKER_COMMANDS
    assert _rows(collect.PODMAN) == PODMAN_COMMANDS


def test_the_copied_files_are_few_and_known() -> None:
    assert _rows(collect.FILES) == FILES


def test_an_id_is_unique_in_each_place() -> None:
    places = (collect.FILES, collect.DOCKER, collect.PODMAN, collect.HOST, collect.NETNS)
    counts = Counter((place, item.id) for place in places for item in collect.ITEMS if place in item.where)
    assert [key for key, count in counts.items() if count > 1] == []


def test_an_id_is_in_kebab_case_and_a_format_in_snake_case() -> None:
    filled = [(item.id.format(tool="ip6tables-nft", table="nat", device="eth0"), item.format) for item in collect.ITEMS]
    assert [name for name, _ in filled if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name)] == []
    assert [name for _, name in filled if not re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", name)] == []


def test_every_row_says_why() -> None:
    assert [item.id for item in collect.ITEMS if not item.why.strip()] == []


def test_what_is_run_instead_needs_no_kernel_module() -> None:
    with_needs = {item.id: (item.needs, item.instead) for item in collect.ITEMS if item.needs}
    assert with_needs == {
        "ss": (("tcp_diag", "udp_diag"), "env PROC_ROOT=/proc ss -tulpn"),
        "nft-ruleset": (("nf_tables",), ""),
        "ebtables": (("ebtable_filter",), ""),
        "ebtables-nat": (("ebtable_nat",), ""),
        "ipset": (("ip_set",), ""),
        "conntrack-stats": (("nf_conntrack_netlink",), ""),
        "conntrack": (("nf_conntrack_netlink",), ""),
        "conntrack-udp": (("nf_conntrack_netlink",), ""),
    }
