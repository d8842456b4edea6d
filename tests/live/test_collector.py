"""The collector on real hosts: it changes nothing, it stays within its bounds, it works where it is let in."""

from __future__ import annotations

import json
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import lab
import pytest

from netdiag.analysis import analyze
from netdiag.bundle import Bundle, open_bundle

pytestmark = pytest.mark.live
Lend = Callable[..., lab.DockerHost]

#: The folders that a laboratory host has for itself.
_OWN = "/etc /var/lib /var/log /run /tmp /root"
#: Files that a running host writes by itself, and what the test brings.
_RESTLESS = "^/(root/bundles|root/netdiag_collect.py|var/lib/docker|var/lib/containerd|run/docker|run/containerd)"
#: What the kernel counts or draws by itself.
_MOVES = re.compile(
    r"random|nf_conntrack_count|\.stable_secret|sched_|dirty|entropy|inode|dentry|file-nr|ns_last_pid|quota.syncs"
)


#: What to look at inside of a container, for which a firewall's tables could be made that were not there.
_INSIDE = (
    "nsenter -t $pid -n sh -c 'echo $0; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; nft list ruleset; "
    "ip -d addr; ip route show table all; sysctl -a' $pid 2>/dev/null"
)


def state(host: lab.DockerHost) -> dict[str, list[str]]:
    """What a collector could have changed: rules, links, addresses, sysctls, modules, processes, files."""
    commands = {
        "legacy tables": "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null || true",
        "rules": "iptables-save; ip6tables-save; nft list ruleset; ebtables-save; ipset list -n",
        "links": "ip -d link; ip addr; ip route show table all; ip rule; ip netns; bridge -d link; tc qdisc",
        "namespaces": f"for pid in $(docker ps -q | xargs docker inspect -f '{{{{.State.Pid}}}}'); do {_INSIDE}; done",
        "engine": "docker ps -aq --no-trunc; docker images -aq --no-trunc; docker network ls -q; docker volume ls -q",
        "mounts": "cat /proc/mounts",
        "sysctls": "sysctl -a 2>/dev/null",
        "modules": "cut -d' ' -f1 /proc/modules 2>/dev/null || true",
        "processes": "ps -eo args=",
        "files": f"find {_OWN} -xdev -printf '%p %y %m %U %s %C@\\n' | grep -Ev '{_RESTLESS}'",
        "tracer": "cat /sys/kernel/tracing/current_tracer /sys/kernel/tracing/set_event 2>/dev/null || true",
    }
    found = {}
    for name, command in commands.items():
        lines = host.shell(command, timeout=120).stdout.splitlines()
        lines = [
            re.sub(r"\[\d+:\d+\]|packets \d+ bytes \d+|^#.*|expires \w+|_timer\S* +[\d.]+", "", line) for line in lines
        ]
        found[name] = sorted(line for line in lines if not _MOVES.search(line) and "find / -xdev" not in line)
    found["processes"] = [line for line in found["processes"] if not re.match(r"\[|ps -eo|sh -c|sort", line)]
    return found


def settled(host: lab.DockerHost) -> None:
    """Wait until the kernel has checked each IPv6 address for a double (RFC 4862): it gives the host routes then."""
    deadline = time.monotonic() + 30
    while checking := host.shell("ip -6 addr show tentative").stdout:
        assert time.monotonic() < deadline, checking
        time.sleep(0.1)


def collect(host: lab.DockerHost, directory: Path, *options: str) -> Bundle:
    return open_bundle(lab.collect(host, directory, *options))


def not_collected(bundle: Bundle) -> dict[str, str]:
    return {f"{each.scope.partition(':')[0]}/{each.artifact}": each.reason for each in bundle.not_collected}


@pytest.mark.usefixtures("tracer")
def test_it_changes_nothing(docker_host: Lend, backend: lab.Backend, tmp_path: Path) -> None:
    host = docker_host(backend)
    # Its very first run is what may load or make something, so what it needs is brought without running it.
    host.copy_in(lab.COLLECTOR, "/root/netdiag_collect.py")
    host.shell("mkdir -p /root/bundles")
    settled(host)
    before = state(host)
    lab.collect(host, tmp_path, "--conntrack", "--for", "1")
    after = state(host)
    changed = {name: sorted(set(before[name]) ^ set(after[name])) for name in before}
    assert {name: lines for name, lines in changed.items() if lines} == {}


def test_as_an_ordinary_user_it_says_what_it_could_not_see(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host()
    host.copy_in(lab.COLLECTOR, "/tmp/netdiag_collect.py")
    host.shell("chmod 755 /tmp /tmp/netdiag_collect.py; mkdir -p /tmp/out; chown 1000:1000 /tmp/out")
    user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"]
    ended = host.run([*user, "python3", "/tmp/netdiag_collect.py", "-o", "/tmp/out"], timeout=300)
    path = ended.stdout.splitlines()[-1]
    host.copy_out(path, tmp_path / "bundle.tar.gz")
    host.shell("rm -rf /tmp/out /tmp/netdiag_collect.py")
    assert "not running as root: firewall rules and the containers' network namespaces will be missing" in ended.stderr
    bundle = open_bundle(tmp_path / "bundle.tar.gz")
    assert bundle.manifest is not None
    assert bundle.manifest["uid"] == 1000
    whole = {source.path for source in bundle.sources if not source.trouble}
    assert {"host/ip-addr.txt", "host/ip-route.txt", "host/sysctl.txt"} <= whole
    verdicts = {outcome.check: outcome.verdict.value for outcome in analyze(tmp_path / "bundle.tar.gz").outcomes}
    assert verdicts["nat-masquerade-missing"] == "unknown"


def test_with_a_dead_engine_all_else_is_there(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host("nft", "--live-restore")
    host.shell("systemctl stop docker")
    try:
        started = time.monotonic()
        bundle = collect(host, tmp_path)
        took = time.monotonic() - started
    finally:
        host.shell("systemctl start docker")
    assert took < 60
    assert {"host/iptables-save.txt", "host/ip-addr.txt"} <= {s.path for s in bundle.sources if not s.trouble}
    assert not_collected(bundle)["docker/docker-inspect"] == "docker-ps did not tell what there is to inspect"
    namespaces = {source.scope for source in bundle.sources if source.scope.startswith("netns:")}
    assert len(namespaces) == len(lab.CONTAINERS), "the running containers' namespaces are found without the engine"


def test_an_engine_that_hangs_costs_one_time_limit(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host()
    host.shell("kill -STOP $(pidof dockerd)")
    try:
        bundle = collect(host, tmp_path, "--timeout", "3")
    finally:
        host.shell("kill -CONT $(pidof dockerd)")
    assert not_collected(bundle)["docker/docker-info"] == "an earlier docker command did not answer within 3 s"
    assert any(source.path == "host/iptables-save.txt" for source in bundle.sources)


def test_in_a_privileged_container_it_sees_the_host(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host()
    host.copy_in(lab.COLLECTOR, "/root/netdiag_collect.py")
    host.shell("mkdir -p /root/bundles")
    mounts = [f"--volume={folder}:{folder}:ro" for folder in ("/usr", "/lib", "/lib64")]
    # A laboratory host lacks some of the capabilities that --privileged gives; these are the ones that matter.
    allowed = [
        "--cap-add=SYS_ADMIN",
        "--cap-add=SYS_PTRACE",
        "--cap-add=NET_ADMIN",
        "--security-opt=seccomp=unconfined",
    ]
    in_container = ["run", "--rm", *allowed, "--net=host", "--pid=host", *mounts, "--volume=/root:/root"]
    command = ["/usr/bin/python3", "/root/netdiag_collect.py", "-o", "/root/bundles"]
    ended = host.docker(*in_container, lab.IMAGE, *command, timeout=300)
    host.copy_out(ended.stdout.splitlines()[-1], tmp_path / "bundle.tar.gz")
    assert "running in a container; the host is looked at through /proc/1/root" in ended.stderr
    bundle = open_bundle(tmp_path / "bundle.tar.gz")
    assert bundle.manifest is not None
    assert bundle.manifest["runs_in"] == "a container, with the host's processes"
    analysis = analyze(tmp_path / "bundle.tar.gz")
    containers = {container.name for container in analysis.host.containers}
    assert set(lab.CONTAINERS) <= containers
    assert {name for netns in analysis.host.namespaces[1:] for name in netns.name.split(", ")} >= set(lab.CONTAINERS)
    assert [finding.message for finding in analysis.findings if finding.severity.value == "error"] == []


@pytest.mark.usefixtures("tracer")
def test_a_traced_ping_is_in_the_bundle_and_tracing_is_off_again(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host()
    address = host.address("web", "front")
    bundle = lab.collect(host, tmp_path, "--trace-command", f"ping -c1 {address}")
    enabled = host.shell("cat /sys/kernel/tracing/set_event").stdout
    analysis = analyze(bundle)
    (trace,) = analysis.host.traces.traces
    assert (trace.format, trace.table.unread) == ("perf_script", ())
    events = trace.table.events()
    assert host.bridge("front") in set(events.device[events.name == "net_dev_queue"])
    assert enabled == ""
    rows = json.loads(json.dumps(analysis.bundle.manifest))["artifacts"]
    assert [row["exit_code"] for row in rows if row["id"] == "perf-record"] == [0]


def test_counters_that_the_reproduction_moved_are_shown(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host()
    rule = "FORWARD -d 192.0.2.1/32 -j DROP"
    host.shell(f"iptables -I {rule}")
    try:
        in_web = f"nsenter -t {host.inspect('web')[0]['State']['Pid']} -n ping -c3 -W1 -i0.2 192.0.2.1"
        bundle = lab.collect(host, tmp_path, "--during", in_web)
    finally:
        host.shell(f"iptables -D {rule}")
    movement = analyze(bundle).host.movement
    assert movement is not None
    assert movement.objects == ()
    dropped = {grown.owner: grown.after - grown.before for grown in movement.counters if grown.is_loss}
    assert dropped[f"ipv4 filter -A {rule}"] == 3


def test_no_secret_of_a_real_host_is_in_its_bundle(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host()
    secret = "Tr0ub4dor.and-3"
    script = f"sleep 1000; redis-cli -a {secret}A ping; echo {secret}B | docker login --password-stdin"
    told = {
        "--env": f"DATABASE_URL=postgres://u:{secret}C@db/x",
        "--label": f"com.docker.compose.x={{'password': '{secret}D'}}",
        "--health-cmd": f"PGPASSWORD={secret}E true",
        "--network": "secret",
    }
    host.docker("network", "create", "--label", f"api_token={secret}F", "secret")
    try:
        host.docker(
            "run", "--detach", "--name=secret", *(f"{option}={value}" for option, value in told.items()), lab.IMAGE,
            "sh", "-c", script, "--password", f"{secret}G", f"--token={secret}H",
        )  # fmt: skip
        host.docker("exec", "secret", "sh", "-c", f"echo {secret}I")
        during = ["--during", f"sh -c 'echo password={secret}J'"]
        paths = [lab.collect(host, tmp_path, *during), lab.collect(host, tmp_path, *during, "--keep-inspect")]
    finally:
        host.shell("docker rm -f secret; docker network rm secret", check=False)
    for path in paths:
        with tarfile.open(path) as archive:
            files = {member.name: archive.extractfile(member) for member in archive.getmembers() if member.isfile()}
            texts = {name: file.read() for name, file in files.items() if file}
        assert [name for name, text in texts.items() if secret.encode() in text] == []
        assert any(b"redis-cli -a <masked>" in text for text in texts.values()), "the container was looked at"


def test_a_finding_about_a_container_that_restarts_meanwhile_is_possibly_a_race(
    docker_host: Lend, tmp_path: Path
) -> None:
    host = docker_host()
    host.container("web", ["ip", "route", "del", "default"])
    bundle = lab.collect(host, tmp_path, "--during", "docker restart -t 1 web")
    assert host.container("web", ["ip", "route", "show", "default"]).stdout, "the restart has healed it"
    analysis = analyze(bundle)
    movement = analysis.host.movement
    assert movement is not None
    of_containers = [(each.name, each.words) for each in movement.objects if each.kind == "container"]
    assert of_containers == [("web", "was restarted")]
    of_web = {
        each.check: each.message
        for each in analysis.findings
        if ("container", "web") in {(subject.kind, subject.name) for subject in each.subjects}
    }
    assert "container `web` was restarted" in of_web.pop("bundle-inconsistent-snapshot")
    words = "(container web was restarted while the bundle was being collected: possibly a race)"
    assert of_web
    assert [check for check, message in of_web.items() if not message.endswith(words)] == []
