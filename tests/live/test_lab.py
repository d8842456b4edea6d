"""The laboratory itself: its hosts are real, its probes can say no, and nothing of a host is left when it ends."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import lab
import pytest
from lab import Backend, DockerHost, HostPool, LabError

live = pytest.mark.live

Lend = Callable[..., DockerHost]


# Where live tests cannot run, they say why


def test_packages_named_are_the_packages_of_the_list() -> None:
    listed = (lab.HERE / "packages.txt").read_text(encoding="ascii").split()
    assert listed == sorted(lab.PROGRAMS_OF_PACKAGE)


def test_missing_programs_are_named_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program, path: None if program in {"dockerd", "nft"} else "/found")
    assert lab.available() == (
        "live tests need dockerd, nft: apt-get update && apt-get install -y --no-install-recommends docker.io nftables"
    )


def test_a_user_other_than_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert lab.available() == "live tests need root: they make namespaces and mounts"


def test_refused_namespaces_are_reported_with_the_words_of_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program, path: "/found")
    monkeypatch.setattr(lab, "NEW_NAMESPACES", ("--no-such-namespace",))
    reason = lab.available()
    assert reason is not None
    assert reason.startswith(
        "live tests need to make namespaces and mounts, which this machine refuses: exit 1: unshare"
    )


# A healthy host


@live
def test_standard_workload_does_all_it_should(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend)
    assert lab.broken_promises(host) == []
    # Docker keeps the networks of a container in a map: their order changes from call to call.
    listed = [line.split(" ") for line in host.docker("ps", "--format={{.Names}} {{.Networks}}").stdout.splitlines()]
    assert {name: set(networks.split(",")) for name, networks in listed} == {
        "app": {"back", "front"},
        "db": {"back"},
        "web": {"front"},
    }


@live
def test_standard_workload_works_without_docker_proxy(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend, "--userland-proxy=false")
    assert host.run(["pgrep", "-c", "docker-proxy"], check=False).stdout == "0\n"
    assert lab.broken_promises(host) == []


@live
def test_docker_writes_its_rules_into_the_chosen_backend_only(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend)
    rules = {tool: host.run([f"iptables-{tool}-save"]).stdout.count("MASQUERADE") for tool in lab.BACKENDS}
    assert rules == {tool: 4 if tool == backend else 0 for tool in lab.BACKENDS}


@live
def test_outside_world_sees_the_address_of_the_host_as_client(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend)
    client = lab.fetch(host.network_of("web"), f"http://{lab.OUTSIDE_SERVER}/")
    assert client == lab.HOST_ADDRESS


@live
def test_two_hosts_do_not_see_each_other() -> None:
    with DockerHost(name="first") as first, DockerHost(name="second") as second:
        first.docker("network", "create", "only-on-first")
        networks = second.docker("network", "ls", "--format={{.Name}}").stdout.split()
        assert networks == ["bridge", "host", "none"]
        assert [host.run(["hostname"]).stdout for host in (first, second)] == ["first\n", "second\n"]


# Negative controls: each probe says no when it should


@live
def test_published_and_localhost_are_false_on_a_port_that_nobody_published(docker_host: Lend) -> None:
    host = docker_host()
    assert not lab.published(host, 8081)
    assert not lab.localhost(host, 8081)
    assert lab.client_address_seen(host, 8081) is None


@live
def test_probes_of_an_address_that_no_container_has_are_false(docker_host: Lend) -> None:
    host = docker_host()
    subnet = host.address("web", "front").rpartition(".")[0]
    assert not lab.host_to_container(host, f"{subnet}.250")
    assert not lab.container_to_container(host, "app", f"{subnet}.250")


@live
def test_containers_without_a_common_network_are_isolated(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend)
    assert not lab.container_to_container(host, "web", host.address("db", "back"))


@live
def test_egress_is_false_for_the_network_without_masquerade_only(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend)
    rule = f"POSTROUTING -s 172.18.0.0/16 ! -o {host.bridge('front')} -j MASQUERADE"
    host.shell(f"iptables -t nat -D {rule}")
    assert not lab.egress(host, "web")
    assert lab.egress(host, "db")
    host.shell(f"iptables -t nat -A {rule}")
    assert lab.egress(host, "web")


@live
def test_published_is_false_without_dnat_and_docker_proxy_until_docker_restarts(
    docker_host: Lend, backend: Backend
) -> None:
    host = docker_host(backend, "--userland-proxy=false")
    web = host.address("web", "front")
    host.shell(f"iptables -t nat -D DOCKER -p tcp --dport 8080 -j DNAT --to-destination {web}:80")
    assert not lab.published(host)
    assert lab.host_to_container(host, web)
    host.shell("systemctl restart docker")
    lab.assert_healthy(host)


@live
def test_docker_proxy_hides_a_missing_dnat_rule_from_the_client_but_not_from_the_server(
    docker_host: Lend, backend: Backend
) -> None:
    host = docker_host(backend)
    dnat = f"! -i {host.bridge('front')} -p tcp --dport 8080 -j DNAT --to-destination {host.address('web', 'front')}:80"
    host.shell(f"iptables -t nat -D DOCKER {dnat}")
    assert lab.published(host)
    assert lab.client_address_seen(host) == "172.18.0.1"
    host.shell(f"iptables -t nat -A DOCKER {dnat}")
    assert lab.client_address_seen(host) == lab.ROUTER_ADDRESS


@live
def test_localhost_is_false_when_docker_proxy_is_dead(docker_host: Lend) -> None:
    host = docker_host()
    host.run(["pkill", "docker-proxy"])
    assert not lab.localhost(host)
    assert lab.published(host)
    host.restart_docker()
    lab.assert_healthy(host)


@live
def test_nothing_passes_a_bridge_that_is_down(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend)
    bridge = host.bridge("back")
    host.run(["ip", "link", "set", bridge, "down"])
    assert not lab.container_to_container(host, "app", host.address("db", "back"))
    assert not lab.host_to_container(host, host.address("db", "back"))
    assert lab.container_to_container(host, "app", host.address("web", "front"))
    host.run(["ip", "link", "set", bridge, "up"])
    lab.assert_healthy(host)
    assert lab.container_to_container(host, "app", host.address("db", "back"))


@live
def test_a_probe_from_a_stopped_container_is_an_error_and_not_a_no(docker_host: Lend) -> None:
    host = docker_host()
    host.docker("stop", "db")
    with pytest.raises(LabError, match="container db is not running"):
        lab.egress(host, "db")
    assert lab.broken_promises(host) == ["db runs"]
    host.docker("start", "db")
    lab.assert_healthy(host)


@live
def test_an_answer_other_than_200_is_an_error_and_not_a_no(docker_host: Lend) -> None:
    host = docker_host()
    with pytest.raises(LabError, match="404"):
        lab.fetch(host.network, "http://127.0.0.1:8080/missing")


@live
def test_a_namespace_that_is_not_there_is_an_error_and_not_a_no(docker_host: Lend) -> None:
    missing = docker_host().network.with_name("none")
    with pytest.raises(LabError, match="No such file"):
        lab.fetch(missing, "http://127.0.0.1:8080/")


# The daemon


@live
def test_restart_docker_brings_flushed_rules_back(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend)
    healthy = lab.configuration(host)
    host.shell("iptables -t nat -F; iptables -F")
    assert not lab.egress(host, "web")
    assert lab.changes(healthy, lab.configuration(host)) != []
    host.shell("systemctl restart docker")
    lab.assert_healthy(host)
    assert lab.changes_left(host, healthy) == []


@live
def test_systemctl_really_stops_starts_and_restarts_the_daemon_with_the_same_options(docker_host: Lend) -> None:
    host = docker_host("nft", "--userland-proxy=false")

    def daemon() -> tuple[str, str]:
        pid = host.run(["pgrep", "-x", "dockerd"]).stdout.strip()
        return pid, host.run(["cat", f"/proc/{pid}/cmdline"]).stdout

    first_pid, command_line = daemon()
    assert "--userland-proxy=false" in command_line.split("\0")
    host.shell("systemctl restart docker")
    second_pid, command_line_after_restart = daemon()
    assert command_line_after_restart == command_line
    assert second_pid != first_pid
    host.shell("systemctl stop docker")
    assert host.run(["pgrep", "-x", "dockerd"], check=False).returncode == 1
    assert "Cannot connect to the Docker daemon" in host.docker("ps", check=False).stderr
    host.shell("systemctl start docker")
    assert daemon()[1] == command_line


@live
@pytest.mark.parametrize(
    "arguments", ["restart nginx", "status docker", "daemon-reexec", "restart docker --no-block", ""]
)
def test_systemctl_refuses_what_it_does_not_do(docker_host: Lend, arguments: str) -> None:
    refused = docker_host().shell(f"systemctl {arguments}", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "only start, stop and restart of docker are known" in refused.stderr


@live
def test_systemctl_says_why_the_daemon_does_not_start(docker_host: Lend) -> None:
    host = docker_host()
    host.write_file("/etc/docker/daemon.json", '{"no-such-option": true}\n')
    refused = host.shell("systemctl restart docker", check=False)
    assert refused.returncode == 1
    assert "no-such-option" in refused.stderr
    assert "dockerd did not start" in refused.stderr
    host.run(["rm", "/etc/docker/daemon.json"])
    host.shell("systemctl start docker")
    lab.assert_healthy(host)


# Commands and files


@live
def test_run_enters_the_host_as_a_login_would(docker_host: Lend) -> None:
    host = docker_host()
    assert host.run(["pwd"]).stdout == "/root\n"
    assert dict(line.split("=", 1) for line in host.run(["env"]).stdout.splitlines()) == lab.ENVIRONMENT
    programs = host.shell("command -v docker; command -v systemctl").stdout.split()
    assert programs == ["/usr/bin/docker", "/usr/local/sbin/systemctl"]
    interfaces = {link["ifname"] for link in json.loads(host.run(["ip", "-json", "link"]).stdout)}
    assert set(host.run(["ls", "/sys/class/net"]).stdout.split()) == interfaces


@live
def test_run_gives_input_and_returns_the_exit_code(docker_host: Lend) -> None:
    host = docker_host()
    done = host.shell("cat; echo wrong >&2; exit 3", input="given", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "given", "wrong\n")


@live
def test_run_raises_with_command_and_output_when_the_command_fails(docker_host: Lend) -> None:
    with pytest.raises(LabError, match=r"exit 3: .*\n.*wrong"):
        docker_host().shell("echo wrong >&2; exit 3")


@live
def test_a_command_that_outlives_its_time_is_killed_on_the_host_too(docker_host: Lend) -> None:
    host = docker_host()
    with pytest.raises(LabError, match=r"still running after 0\.2 s"):
        host.shell("sleep 4711; true", timeout=0.2)
    wait_until(lambda: host.run(["pgrep", "-f", "sleep 4711"], check=False).stdout == "")


@live
def test_container_runs_the_tools_of_the_host_in_the_network_of_the_container(docker_host: Lend) -> None:
    host = docker_host()
    links = json.loads(host.container("app", ["ip", "-json", "link"]).stdout)
    assert sorted(link["ifname"] for link in links) == ["eth0", "eth1", "lo"]
    assert host.container("app", ["hostname"]).stdout == "web01\n"


@live
def test_veth_and_interface_are_the_two_ends_of_one_pair(docker_host: Lend) -> None:
    host = docker_host()
    veths = {host.veth("app", network) for network in lab.NETWORKS}
    for network in lab.NETWORKS:
        outer = json.loads(host.run(["ip", "-json", "link", "show", host.veth("app", network)]).stdout)[0]
        inner = json.loads(
            host.container("app", ["ip", "-json", "link", "show", host.interface("app", network)]).stdout
        )
        assert (outer["ifindex"], outer["link_index"]) == (inner[0]["link_index"], inner[0]["ifindex"])
        assert outer["master"] == host.bridge(network)
    assert len(veths) == 2


@live
def test_files_travel_unchanged_in_both_directions(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host()
    content = bytes(range(256)) * 5000
    (tmp_path / "sent").write_bytes(content)
    host.copy_in(tmp_path / "sent", "/root/new directory/file")
    host.copy_out("/root/new directory/file", tmp_path / "returned")
    assert (tmp_path / "returned").read_bytes() == content
    with pytest.raises(LabError, match="No such file"):
        host.copy_out("/root/missing", tmp_path / "missing")


@live
@pytest.mark.parametrize("directory", ["/etc", "/var/lib", "/var/log", "/run", "/tmp", "/root", "/usr/local"])
def test_files_written_on_a_host_are_not_written_on_the_machine(docker_host: Lend, directory: str) -> None:
    path = f"{directory}/netdiag-written-on-the-host"
    host = docker_host()
    host.write_file(path, "there\n")
    assert host.run(["cat", path]).stdout == "there\n"
    assert not Path(path).exists()
    host.run(["rm", path])


@live
def test_collect_brings_the_bundle_and_its_checksum_out(docker_host: Lend, tmp_path: Path) -> None:
    bundle = lab.collect(docker_host(), tmp_path, "--label", "lab")
    with tarfile.open(bundle) as archive:
        first = archive.next()
    assert first is not None
    assert Path(first.name).name == "manifest.json"
    assert bundle.name.startswith("netdiag-web01-lab-")
    checksum = Path(f"{bundle}.sha256").read_text(encoding="ascii").split()[0]
    assert checksum == hashlib.sha256(bundle.read_bytes()).hexdigest()


# What a test leaves behind is seen


@live
def test_changes_names_each_line_that_was_lost_and_each_that_is_new(docker_host: Lend, backend: Backend) -> None:
    host = docker_host(backend)
    healthy = lab.configuration(host)
    bridge, veth = host.bridge("back"), host.veth("db", "back")
    host.shell(
        "iptables -I DOCKER-USER -s 192.0.2.1 -j DROP && iptables -A DOCKER-USER -j RETURN"
        f" && ip link add orphan type veth peer name orphan-peer && ip link set {veth} nomaster"
        f" && ip address add 192.0.2.7/32 dev {bridge} && sysctl -q net.ipv4.ip_forward=0"
    )
    found = lab.changes(healthy, lab.configuration(host))
    lost_port = "-host: link <veth of db on back> kind veth flags BROADCAST,LOWER_UP,MULTICAST,UP mtu 1500"
    assert f"+host: iptables-{backend} -A DOCKER-USER -s 192.0.2.1/32 -j DROP" in found
    assert f"+host: iptables-{backend} -A DOCKER-USER -j RETURN" in found
    assert "+host: link orphan kind veth flags BROADCAST,M-DOWN,MULTICAST mtu 1500" in found
    assert any(line.startswith(f"{lost_port} master <bridge of back> ") for line in found)
    assert "+host: address 192.0.2.7/32 <bridge of back>" in found
    assert "-host: sysctl ipv4/ip_forward:1" in found
    host.shell(
        "iptables -D DOCKER-USER -s 192.0.2.1 -j DROP && iptables -D DOCKER-USER -j RETURN"
        f" && ip link delete orphan && ip link set {veth} master {bridge}"
        f" && ip address delete 192.0.2.7/32 dev {bridge} && sysctl -q net.ipv4.ip_forward=1"
    )
    assert lab.changes_left(host, healthy) == []


@live
def test_pool_lends_a_host_again_only_while_it_is_what_it_was(backend: Backend) -> None:
    with HostPool() as pool:
        first = pool.lend(backend)
        assert pool.take_back(first) == []
        assert pool.lend(backend) is first
        first.shell("iptables -I DOCKER-USER -s 192.0.2.1 -j DROP")
        assert pool.take_back(first) == [f"+host: iptables-{backend} -A DOCKER-USER -s 192.0.2.1/32 -j DROP"]
        second = pool.lend(backend)
        assert second is not first
        assert lab.broken_promises(second) == []
        pool.give_up(second)
        assert not second.directory.exists()


# Nothing is left


@live
def test_nothing_is_left_of_a_host_even_with_a_frozen_container_and_a_running_command(backend: Backend) -> None:
    mounts, names = mounted_namespaces(), named_namespaces()
    with DockerHost(backend) as host:
        lab.standard_workload(host)
        host.docker("pause", "db")
        host.shell("setsid sleep 4711 >/dev/null 2>&1 </dev/null &")
        host.run(["ip", "netns", "add", "left-over"])
        processes = [process for root in (host.init_pid, host.wan_pid) for process in family(root)]
        programs = {process_name(process) for process in processes}
        assert programs >= {"dockerd", "containerd", "httpd", "docker-proxy", "sleep", "tini"}
        assert list(Path("/sys/fs/cgroup").rglob(host.directory.name)) != []
    assert [process for process in processes if is_alive(process)] == []
    assert (mounted_namespaces(), named_namespaces()) == (mounts, names)
    assert host.directory.name not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert list(Path("/sys/fs/cgroup").rglob(host.directory.name)) == []
    assert not host.directory.exists()


@live
def test_nothing_is_left_of_a_host_that_does_not_start() -> None:
    host = DockerHost(daemon_args=["--no-such-option"])
    with pytest.raises(LabError, match="no-such-option"), host:
        pytest.fail("the host started")
    assert not host.directory.exists()
    assert not Path(f"/proc/{host.init_pid}").exists()
    assert not Path(f"/proc/{host.wan_pid}").exists()


@live
def test_processes_of_a_host_die_with_the_process_that_started_it() -> None:
    program = (
        "import lab, signal\n"
        "with lab.DockerHost() as host:\n"
        "    print(host.init_pid, host.wan_pid, host.directory, flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=lab.HERE, stdout=subprocess.PIPE, text=True) as starter:
        try:
            assert starter.stdout is not None
            init_pid, wan_pid, directory = starter.stdout.readline().split()
            processes = [process for root in (init_pid, wan_pid) for process in family(int(root))]
            assert {process_name(process) for process in processes} >= {"dockerd", "containerd", "tini"}
        finally:
            starter.kill()
    wait_until(lambda: not any(is_alive(process) for process in processes))
    lab._remove_cgroups(Path(directory).name)
    shutil.rmtree(directory)


@dataclass(frozen=True)
class Process:
    pid: int
    start: str  # in clock ticks since boot: tells a process from a later one with the same pid


def process_status(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on, see proc(5): state, parent ...; OSError without such a process."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def family(root: int) -> list[Process]:
    """A process and all its descendants."""
    parents = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(directory.name)] = int(process_status(int(directory.name))[1])
    members = [root]
    for member in members:
        members += [pid for pid, parent in parents.items() if parent == member]
    return [Process(pid, process_status(pid)[19]) for pid in members]


def process_name(process: Process) -> str:
    return Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").strip()


def is_alive(process: Process) -> bool:
    try:
        return process_status(process.pid)[19] == process.start
    except OSError:
        return False


def mounted_namespaces() -> list[str]:
    """Mounts that keep a namespace alive without a process."""
    return [line for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines() if " nsfs " in line]


def named_namespaces() -> list[Path]:
    return sorted([*Path("/run/netns").glob("*"), *Path("/run/docker/netns").glob("*")])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited 20 s in vain"
        time.sleep(0.02)
