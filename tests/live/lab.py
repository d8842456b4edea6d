"""Real Docker hosts for the live tests: each a Docker Engine in its own namespaces, with an outside world to talk to.

``DockerHost`` starts one within seconds and removes it without a trace::

    with DockerHost("legacy") as host:
        standard_workload(host)
        host.shell("iptables -t nat -F POSTROUTING")
        assert not egress(host, "web")

``DockerHost(engine="28.5")`` has another Docker Engine, and a ``PodmanHost`` podman; they bring the Debian that has it
in a package, as a root directory that is made once (``root_of``).

A host has the machine's kernel and Debian's programs, but its own ``/etc``, ``/var/lib``, ``/var/log``, ``/run``,
``/tmp``, ``/root``, processes and network; ``/usr/local`` is empty on it. Its uplink ``eth0`` (203.0.113.10/24) leads
to a second network namespace, the outside world or *wan*: 203.0.113.1 is the router there, 198.51.100.7 a web server,
198.51.100.53 a name server that nobody asks unless a test says so.
The wan has no route back to Docker's networks, so that a missing address translation really breaks traffic. No packet
leaves the machine. The addresses are those of RFC 5737.

A probe returns True or False from the answer that really came, and raises ``LabError`` when it could not ask.

Tests take their hosts from the fixture ``docker_host``, which lends them out of a ``HostPool``.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from subprocess import CompletedProcess
from types import TracebackType
from typing import IO, Any, Literal, Self

from http_probe import ProbeError, Request, answers

HERE = Path(__file__).resolve().parent
COLLECTOR = HERE.parents[1] / "collector" / "netdiag_collect.py"

Backend = Literal["nft", "legacy"]
BACKENDS: tuple[Backend, ...] = ("nft", "legacy")

HOST_ADDRESS = "203.0.113.10"
SWARM_ADDRESS, PEER_ADDRESS = "192.0.2.1", "192.0.2.2"
ROUTER_ADDRESS = "203.0.113.1"
OUTSIDE_SERVER = "198.51.100.7"
NAME_SERVER = "198.51.100.53"
PUBLISHED_PORT = 8080
IMAGE = "lab/busybox:1"

#: How many times as long as on a machine of its own everything may take: more than 1 on an emulated one.
PATIENCE = int(os.environ.get("NETDIAG_PATIENCE", "1"))
COMMAND_TIMEOUT_S = 60.0
HEALING_TIMEOUT_S = 15.0 * PATIENCE
SETTLING_TIMEOUT_S = 4.0 * PATIENCE

# Where the packages below put their programs; all that a laboratory host has beside them is its own systemctl.
DEBIAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {
    "PATH": f"/usr/local/sbin:/usr/local/bin:{DEBIAN_PATH}",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "NETDIAG_PATIENCE": str(PATIENCE),
}

# Roots of hosts whose engine is not the machine's own are made once and kept in this directory.
ROOTS = Path(os.environ.get("NETDIAG_ROOTS", "/var/tmp/netdiag-roots"))
MAKING_A_ROOT_TIMEOUT_S = 1800.0

PROGRAMS_OF_PACKAGE = {
    "bridge-utils": ("brctl",),
    "busybox-static": ("busybox",),
    "conntrack": ("conntrack",),
    "curl": ("curl",),
    "dbus": ("dbus-daemon",),
    "debootstrap": ("debootstrap",),
    "docker.io": ("dockerd", "docker", "docker-proxy"),
    "ethtool": ("ethtool",),
    "iproute2": ("ip", "bridge", "ss", "tc", "nstat"),
    "ipset": ("ipset",),
    "iptables": ("iptables-nft-save", "iptables-legacy-save"),
    "iputils-ping": ("ping",),
    "linux-perf": ("perf",),
    "net-tools": ("ifconfig", "route", "arp", "netstat"),
    "nftables": ("nft",),
    "procps": ("sysctl",),
    "python3": ("python3",),
    "systemd": ("networkctl",),
    "tini": ("tini",),
    "util-linux": ("unshare", "nsenter", "setpriv"),
}


@dataclass(frozen=True)
class Engine:
    """A container engine as a Debian suite packages it; `packages` are the engine's, without what every host has.

    `before` is run on the host before the engine starts: it starts what the engine works with.
    """

    suite: str
    name: str
    packages: tuple[str, ...]
    before: str = ""


_DOCKER = ("docker.io", "docker-cli")
_PODMAN = ("podman", "netavark", "aardvark-dns", "runc")
_PODMAN_WITH_CNI = ("podman", "containernetworking-plugins", "runc")

#: firewalld as systemd would start it, with the published port open as the administrator of a host like this has it.
_START_FIREWALLD = f"""
mkdir -p /run/dbus && dbus-daemon --system --fork
setsid firewalld --nofork --nopid >/var/log/firewalld.log 2>&1 </dev/null &
for _ in $(seq 100); do
    if firewall-cmd --state >/dev/null 2>&1; then
        firewall-cmd --quiet --permanent --add-port={PUBLISHED_PORT}/tcp && exec firewall-cmd --quiet --reload
    fi
    sleep 0.1
done
cat /var/log/firewalld.log; exit 1
"""

#: By the version that was seen; a suite may get a newer one. The machine's own Docker Engine is not among them.
ENGINES = {
    "20.10 firewalld": Engine("bookworm", "docker", ("docker.io", "firewalld", "dbus"), _START_FIREWALLD),
    "26.1": Engine("trixie", "docker", _DOCKER),
    "28.5": Engine("sid", "docker", _DOCKER),
    "podman 3.0": Engine("bullseye", "podman", _PODMAN_WITH_CNI),
    "podman 4.3": Engine("bookworm", "podman", _PODMAN),
    "podman 5.4": Engine("trixie", "podman", _PODMAN),
}

#: Hosts in a swarm, by what they are asked for by, with the engine of its nodes.
SWARMS = {"swarm": "", "swarm 28.5": "28.5"}

NEW_NAMESPACES = ("--mount", "--net", "--uts", "--ipc", "--pid", "--propagation=private")

Run = Callable[[Sequence[str]], CompletedProcess[str]]
_Stream = IO[bytes] | None
_WRITE_FILE = ("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh")


class LabError(RuntimeError):
    """The laboratory itself failed: what it was asked to do was not done, so nothing is known about the product."""


def available() -> str | None:
    """Why live tests cannot run here, with what to do about it; None when they can."""
    if not sys.platform.startswith("linux"):
        return f"live tests need Linux namespaces, this is {sys.platform}"
    if os.geteuid() != 0:
        return "live tests need root: they make namespaces and mounts"
    missing = {
        package: [program for program in programs if not shutil.which(program, path=DEBIAN_PATH)]
        for package, programs in PROGRAMS_OF_PACKAGE.items()
    }
    packages = [package for package, programs in missing.items() if programs]
    if packages:
        programs = ", ".join(program for package in packages for program in missing[package])
        return (
            f"live tests need {programs}: "
            f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"
        )
    return _namespaces_refused()


def root_of(engine: str) -> Path:
    """The root directory with an engine of ``ENGINES``, made when it is not there yet; LabError when it cannot be had.

    Making one takes minutes, debootstrap and Debian's mirror.
    """
    found = ENGINES[engine]
    root = ROOTS / f"{found.suite}-{found.name}"
    ROOTS.mkdir(parents=True, exist_ok=True)
    with (ROOTS / f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not root.is_dir():
            _make_root(engine, root)
    return root


def _make_root(engine: str, root: Path) -> None:
    if not shutil.which("debootstrap", path=DEBIAN_PATH):
        message = f"a host with {engine} needs {root}, and making that needs debootstrap: apt-get install debootstrap"
        raise LabError(message)
    found = ENGINES[engine]
    common = sorted({*PROGRAMS_OF_PACKAGE, "ethtool"} - {"docker.io", "dbus", "systemd"})
    script = ["/bin/sh", str(HERE / "make-root.sh"), found.suite, str(root), *found.packages, *common]
    _execute(script, timeout=MAKING_A_ROOT_TIMEOUT_S)


def _namespaces_refused() -> str | None:
    try:
        _execute(["unshare", *NEW_NAMESPACES, "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
    except LabError as error:
        words = "; ".join(str(error).splitlines())
        return f"live tests need to make namespaces and mounts, which this machine refuses: {words}"
    return None


def _execute(
    argv: Sequence[str],
    *,
    check: bool = True,
    input: str | None = None,  # noqa: A002 - the name that subprocess.run gives it
    timeout: float = COMMAND_TIMEOUT_S,
) -> CompletedProcess[str]:
    """Run a command to its end; raise LabError when it outlives `timeout` seconds or, with `check`, when it fails.

    An emulated machine has `PATIENCE` times as long.
    """
    timeout *= PATIENCE
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=ENVIRONMENT,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(input, timeout)
        except BaseException as error:
            # nsenter --pid forks: killing only nsenter would leave the command itself running.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                message = f"still running after {timeout:g} s: {shlex.join(argv)}"
                raise LabError(message) from None
            raise
    if check and process.returncode != 0:
        message = f"exit {process.returncode}: {shlex.join(argv)}\n{stdout}{stderr}".rstrip()
        raise LabError(message)
    return CompletedProcess(argv, process.returncode, stdout, stderr)


class DockerHost:
    """One Docker host, up between ``__enter__`` and ``__exit__``; start it from the main thread.

    `iptables` is what ``/usr/sbin/iptables`` leads to on it, `daemon_args` are given to dockerd. `engine` is one of
    ``ENGINES``; without it the host has the one of the machine's ``docker.io`` package. When the process that started a
    host is killed, so are the host's.
    """

    client = "docker"  # the command that asks the engine
    directory: Path  # data of the engine; its name is also the name of the containers' parent control group
    init_pid: int  # the host's PID 1, as the outside counts
    wan_pid: int  # the outside world's web server

    def __init__(
        self, iptables: Backend = "nft", daemon_args: Sequence[str] = (), name: str = "web01", engine: str = ""
    ) -> None:
        self.iptables = iptables
        self.daemon_args = tuple(daemon_args)
        self.name = name
        self.engine = engine
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        root = root_of(self.engine) if self.engine else None
        with ExitStack() as undo:
            # Not /tmp, which may be a tmpfs: /var/lib/docker of the host lies in it.
            self.directory = Path(tempfile.mkdtemp(prefix="netdiag-host-", dir="/var/tmp"))
            undo.callback(shutil.rmtree, self.directory)
            undo.callback(_remove_cgroups, self.directory.name)
            self.wan_pid = self._start_wan(undo)
            self.init_pid = self._start_host(undo, root)
            self._connect_uplink()
            self._start_engine()
            self._import_image()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,  # noqa: A002 - the name that subprocess.run gives it
        timeout: float = COMMAND_TIMEOUT_S,
    ) -> CompletedProcess[str]:
        """Run a command on the host, as ``ssh root@host`` would: in all its namespaces, with a clean environment."""
        return _execute(self._entered(argv), check=check, input=input, timeout=timeout)

    def shell(
        self,
        line: str,
        *,
        check: bool = True,
        input: str | None = None,  # noqa: A002 - the name that subprocess.run gives it
        timeout: float = COMMAND_TIMEOUT_S,
    ) -> CompletedProcess[str]:
        """Run one line in the host's shell, unchanged: this is how a printed remedy is pasted."""
        return self.run(["sh", "-c", line], check=check, input=input, timeout=timeout)

    def wan(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = COMMAND_TIMEOUT_S
    ) -> CompletedProcess[str]:
        """Run a command in the outside world: the machine's files, the network of 203.0.113.1 and 198.51.100.7."""
        return _execute(["nsenter", f"--target={self.wan_pid}", "--net", "--", *argv], check=check, timeout=timeout)

    def container(
        self, name: str, argv: Sequence[str], *, check: bool = True, timeout: float = COMMAND_TIMEOUT_S
    ) -> CompletedProcess[str]:
        """Run one of the host's programs in the network namespace of a running container."""
        return self.run(in_network_of(self.inspect(name)[0], argv), check=check, timeout=timeout)

    def docker(self, *args: str, check: bool = True, timeout: float = COMMAND_TIMEOUT_S) -> CompletedProcess[str]:
        """Run ``docker ARGS`` on the host."""
        return self.run([self.client, *args], check=check, timeout=timeout)

    @property
    def network(self) -> Path:
        """The host's network namespace."""
        return Path(f"/proc/{self.init_pid}/ns/net")

    @property
    def wan_network(self) -> Path:
        """The outside world's network namespace."""
        return Path(f"/proc/{self.wan_pid}/ns/net")

    def network_of(self, container: str) -> Path:
        """The network namespace of a running container."""
        return self.namespace(self.inspect(container)[0])

    def namespace(self, record: Mapping[str, Any]) -> Path:
        """The network namespace of a running container with this record."""
        # the record has the process as the host counts, which has a /proc of its own
        return Path(f"/proc/{self.init_pid}/root/proc/{_pid(record)}/ns/net")

    def inspect(self, *containers: str) -> list[dict[str, Any]]:
        """Docker's records of containers, as ``docker inspect`` prints them."""
        records: list[dict[str, Any]] = json.loads(self.docker("container", "inspect", *containers).stdout)
        return records

    def restart_docker(self) -> None:
        """Stop and start dockerd; containers of the standard workload come back with it."""
        self.shell("systemctl restart docker")

    def write_file(self, path: str, text: str) -> None:
        """Write a file on the host, making its directories."""
        self.run([*_WRITE_FILE, path], input=text)

    def copy_in(self, source: Path, path: str) -> None:
        """Copy a file of the machine to `path` on the host, making its directories."""
        with source.open("rb") as content:
            self._transfer([*_WRITE_FILE, path], stdin=content)

    def copy_out(self, path: str, destination: Path) -> None:
        """Copy the host's file at `path` to the machine."""
        with destination.open("wb") as content:
            self._transfer(["cat", path], stdout=content)

    def bridge(self, network: str) -> str:
        """Name of the bridge that the engine's record says a network has, whether the device exists or not."""
        return self.bridges(network)[0]

    def bridges(self, *networks: str) -> list[str]:
        """Names of the bridges that the engine's records say networks have."""
        return [self._bridge(record) for record in json.loads(self.docker("network", "inspect", *networks).stdout)]

    def _bridge(self, record: Mapping[str, Any]) -> str:
        return str(record["Options"].get("com.docker.network.bridge.name") or f"br-{record['Id'][:12]}")

    def address(self, container: str, network: str) -> str:
        """IPv4 address that Docker's record gives a running container on a network."""
        return _recorded_address(self.inspect(container)[0], network)

    def interface(self, container: str, network: str) -> str:
        """Name, inside the container, of the interface that carries its address on a network."""
        return str(self._container_link(container, network)["ifname"])

    def veth(self, container: str, network: str) -> str:
        """Name of the host's end of the container's veth pair for a network."""
        return _name_of_peer(self._container_link(container, network), _links(self.run))

    def _container_link(self, container: str, network: str) -> dict[str, Any]:
        return _link_carrying(self.address(container, network), _links(partial(self.container, container)))

    def _entered(self, argv: Sequence[str]) -> list[str]:
        namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--root", "--wd"]
        return ["nsenter", f"--target={self.init_pid}", *namespaces, "--", *argv]

    def _transfer(self, argv: Sequence[str], *, stdin: _Stream = None, stdout: _Stream = None) -> None:
        """Run a command on the host with bytes from a file or to one."""
        done = subprocess.run(
            self._entered(argv),
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            message = f"exit {done.returncode}: {shlex.join(argv)}\n{done.stderr.decode(errors='replace')}".rstrip()
            raise LabError(message)

    def _start_wan(self, undo: ExitStack) -> int:
        server = _start_guarded(["unshare", "--net", "--", sys.executable, str(HERE / "wan_server.py")])
        undo.callback(_end, server)
        _ready(server)
        return server.pid

    def _start_host(self, undo: ExitStack, root: Path | None) -> int:
        init = ["/bin/sh", str(HERE / "init.sh"), str(self.directory), self.name, self.iptables]
        if root:
            init.append(str(root))
        unshare = _start_guarded(["unshare", *NEW_NAMESPACES, "--fork", "--kill-child", "--", *init])
        undo.callback(_end, unshare)
        init_pid = int(_ready(unshare))
        undo.callback(_end_init, init_pid, unshare, self.directory.name)
        return init_pid

    def _connect_uplink(self) -> None:
        host_end = ["type", "veth", "peer", "name", "eth0", "netns", str(self.init_pid)]
        self.wan(["ip", "link", "add", "up0", *host_end])
        self.wan(["ip", "address", "add", f"{OUTSIDE_SERVER}/32", "dev", "lo"])
        self.wan(["ip", "address", "add", f"{ROUTER_ADDRESS}/24", "dev", "up0"])
        self.wan(["ip", "link", "set", "lo", "up"])
        self.wan(["ip", "link", "set", "up0", "up"])
        self.run(["ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", "eth0"])
        self.run(["ip", "link", "set", "eth0", "up"])
        self.run(["ip", "route", "add", "default", "via", ROUTER_ADDRESS])

    def _start_engine(self) -> None:
        options = shlex.join([f"--cgroup-parent=/{self.directory.name}", *self.daemon_args])
        self.write_file("/etc/default/docker", f'DOCKER_OPTS="{options}"\n')
        self.copy_in(HERE / "systemctl.sh", "/usr/local/sbin/systemctl")
        self.run(["chmod", "+x", "/usr/local/sbin/systemctl"])
        if self.engine:
            self.shell(ENGINES[self.engine].before)
        self.shell("systemctl start docker", timeout=120)

    def _import_image(self) -> None:
        with tempfile.TemporaryFile() as archive:
            archive.write(_image_archive())
            archive.seek(0)
            self._transfer([self.client, "import", '--change=CMD ["/bin/serve"]', "-", IMAGE], stdin=archive)


class SwarmHost(DockerHost):
    """A host that manages a swarm of two: `peer` is the other one, at the far end of eth1 (192.0.2.1 and 192.0.2.2).

    Overlay network `mesh` has a container on each: `near` here, `far` there.
    """

    peer: DockerHost

    def __enter__(self) -> Self:
        super().__enter__()
        with ExitStack() as undo:
            undo.callback(self._undo.close)
            self.peer = undo.enter_context(DockerHost(self.iptables, self.daemon_args, "web02", self.engine))
            self._connect_peer()
            self._join_swarm()
            self._undo = undo.pop_all()
        return self

    def _connect_peer(self) -> None:
        far_end = ["peer", "name", "eth1", "netns", str(self.peer.init_pid)]
        # made from outside of both, where the process id of the peer means something
        self.wan(["ip", "link", "add", "swarm0", "type", "veth", *far_end])
        self.wan(["ip", "link", "set", "swarm0", "name", "eth1", "netns", str(self.init_pid)])
        for host, address in ((self, SWARM_ADDRESS), (self.peer, PEER_ADDRESS)):
            host.run(["ip", "address", "add", f"{address}/24", "dev", "eth1"])
            host.run(["ip", "link", "set", "eth1", "up"])

    def _join_swarm(self) -> None:
        self.docker("swarm", "init", f"--advertise-addr={SWARM_ADDRESS}")
        token = self.docker("swarm", "join-token", "--quiet", "worker").stdout.strip()
        manager = f"{SWARM_ADDRESS}:2377"
        self.peer.docker("swarm", "join", f"--token={token}", f"--advertise-addr={PEER_ADDRESS}", manager)
        self.docker("network", "create", "--driver=overlay", "--attachable", "mesh")
        for host, name in ((self, "near"), (self.peer, "far")):
            host.docker("run", "--detach", f"--name={name}", "--network=mesh", "--restart=always", IMAGE)

    def reaches_far(self) -> bool:
        """Whether `near` is answered by `far`, through the tunnel between the hosts."""
        return container_to_container(self, "near", self.peer.address("far", "mesh"))


class PodmanHost(DockerHost):
    """A host with podman, which has no daemon: ``docker()`` runs podman, and what needs dockerd is not there."""

    client = "podman"

    def __init__(self, engine: str, name: str = "web01") -> None:
        super().__init__(name=name, engine=engine)

    def docker(self, *args: str, check: bool = True, timeout: float = COMMAND_TIMEOUT_S) -> CompletedProcess[str]:
        """Run ``podman ARGS`` on the host; containers get the host's control group, which is removed with it."""
        if args[0] in {"run", "create"}:
            args = (args[0], f"--cgroup-parent=/{self.directory.name}", *args[1:])
        return super().docker(*args, check=check, timeout=timeout)

    def _bridge(self, record: Mapping[str, Any]) -> str:
        return str(record["network_interface"])

    def _start_engine(self) -> None:
        self.write_file("/etc/containers/containers.conf", _CONTAINERS_CONF)
        self.write_file("/etc/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}\n')


def host_with(iptables: Backend, daemon_args: Sequence[str], engine: str) -> DockerHost:
    """A host that is still to be started, with podman or in a swarm when `engine` is one."""
    if engine in SWARMS:
        return SwarmHost(iptables, daemon_args, engine=SWARMS[engine])
    if engine and ENGINES[engine].name == "podman":
        return PodmanHost(engine)
    return DockerHost(iptables, daemon_args, engine=engine)


# crun refuses a machine that has both versions of control groups, and such a machine has no limit of processes.
_CONTAINERS_CONF = """\
[containers]
pids_limit = 0
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def in_network_of(record: Mapping[str, Any], argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` on the host in the network namespace of a container with this record."""
    return ["nsenter", f"--target={_pid(record)}", "--net", "--", *argv]


def _pid(record: Mapping[str, Any]) -> int:
    """The first process of a running container, as its host counts."""
    pid = int(record["State"]["Pid"])
    if pid == 0:
        message = f"container {record['Name'].removeprefix('/')} is not running"
        raise LabError(message)
    return pid


def _recorded_address(record: Mapping[str, Any], network: str) -> str:
    address = str(record["NetworkSettings"]["Networks"][network]["IPAddress"])
    if not address:
        message = f"container {record['Name'].removeprefix('/')} has no address on {network}: is it running?"
        raise LabError(message)
    return address


def _recorded_mac(record: Mapping[str, Any], network: str) -> str:
    return str(record["NetworkSettings"]["Networks"][network]["MacAddress"])


def _links(run: Run) -> list[dict[str, Any]]:
    links: list[dict[str, Any]] = json.loads(run(["ip", "-json", "-details", "address"]).stdout)
    return links


def _link_carrying(address: str, links: Sequence[dict[str, Any]]) -> dict[str, Any]:
    for link in links:
        if any(entry["local"] == address for entry in link["addr_info"]):
            return link
    message = f"no interface carries {address}"
    raise LabError(message)


def _name_of_peer(link: Mapping[str, Any], links: Sequence[Mapping[str, Any]]) -> str:
    """Name of the other end of a veth pair, among the links of the namespace that it is in."""
    for candidate in links:
        if candidate["ifindex"] == link["link_index"]:
            return str(candidate["ifname"])
    message = f"no interface is the other end of {link['ifname']}"
    raise LabError(message)


def _start_guarded(argv: Sequence[str]) -> subprocess.Popen[str]:
    """Start a process that the kernel kills when this one dies, and that a Ctrl-C in the terminal does not reach."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", "--", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=ENVIRONMENT,
        start_new_session=True,
    )


def _ready(process: subprocess.Popen[str]) -> str:
    """Wait for the process to print ``ready [WORD]``; the word. LabError with all it said when it ended instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("ready"):
        process.kill()
        message = f"{process.args!r}\n{line}{process.stdout.read()}".rstrip()
        raise LabError(message)
    return line.removeprefix("ready").strip()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(timeout=30)
    assert process.stdout is not None
    process.stdout.close()


def _end_init(init_pid: int, unshare: subprocess.Popen[str], cgroup: str) -> None:
    """Kill a host's PID 1 and with it every process of the host; back when the last of them is gone."""
    # Frozen processes do not die, and PID 1 waits for them.
    _thaw_cgroups(cgroup)
    os.kill(init_pid, signal.SIGKILL)
    unshare.wait(timeout=30)


def _cgroups(name: str) -> list[Path]:
    """The control groups that a host's containers were put in, one in each hierarchy (version 1, 2 or both)."""
    root = Path("/sys/fs/cgroup")
    return [path for path in (root / name, *root.glob(f"*/{name}")) if path.is_dir()]


def _thaw_cgroups(name: str) -> None:
    for cgroup in _cgroups(name):
        for state in cgroup.rglob("freezer.state"):
            state.write_text("THAWED")
        for state in cgroup.rglob("cgroup.freeze"):
            state.write_text("0")


def _remove_cgroups(name: str) -> None:
    """Remove a host's control groups, which outlive its processes and can be busy for a moment after them."""
    deadline = time.monotonic() + 30
    while groups := _cgroups(name):
        if time.monotonic() > deadline:
            message = f"control groups stay busy: {', '.join(map(str, groups))}"
            raise LabError(message)
        for group in groups:
            _remove_cgroup(group)


def _remove_cgroup(group: Path) -> None:
    for path, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            time.sleep(0.02)


@cache
def _image_archive() -> bytes:
    """A root file system as a tar archive: busybox, each of its applets as a link, and the files of rootfs/."""
    busybox = shutil.which("busybox", path=ENVIRONMENT["PATH"])
    assert busybox is not None
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(busybox, "bin/busybox", filter=_owned_by_root)
        archive.add(HERE / "rootfs", ".", filter=_owned_by_root)
        for applet in _execute([busybox, "--list"]).stdout.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
    return content.getvalue()


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


# The standard workload

NETWORKS = ("front", "back")
CONTAINERS = {"web": ("front",), "db": ("back",), "app": ("front", "back")}


def standard_workload(host: DockerHost) -> None:
    """Networks front and back; web on front with 8080 published, db on back, app on both; all answer HTTP on port 80.

    The default bridge stays without containers. Containers are restarted with the daemon. Back when all of it works.
    """
    for network in NETWORKS:
        host.docker("network", "create", network)
    _start_container(host, "web", "front", f"--publish={PUBLISHED_PORT}:80")
    _start_container(host, "db", "back")
    _start_container(host, "app", "front")
    host.docker("network", "connect", "back", "app")
    assert_healthy(host)


def _start_container(host: DockerHost, name: str, network: str, *options: str) -> None:
    identity = [f"--name={name}", f"--hostname={name}", f"--network={network}"]
    host.docker("run", "--detach", "--restart=always", *identity, *options, IMAGE)


# Probes


def fetch(namespace: Path, url: str, source: str = "") -> str | None:
    """Body of the answer to an HTTP request made in a network namespace, less its last newline; None without answer.

    Raises LabError for every outcome that is neither, such as a status other than 200.
    """
    return _fetch_all([Request(namespace, url, source)])[0]


def _fetch_all(requests: Sequence[Request]) -> list[str | None]:
    try:
        return answers(requests)
    except ProbeError as error:
        raise LabError(str(error)) from error


def egress(host: DockerHost, container: str) -> bool:
    """Whether the container is answered by the outside web server."""
    return fetch(host.network_of(container), f"http://{OUTSIDE_SERVER}/") is not None


def published(host: DockerHost, port: int = PUBLISHED_PORT) -> bool:
    """Whether the outside world is answered on a port of the host's address."""
    return fetch(host.wan_network, f"http://{HOST_ADDRESS}:{port}/") is not None


def localhost(host: DockerHost, port: int = PUBLISHED_PORT) -> bool:
    """Whether the host is answered on a port of 127.0.0.1."""
    return fetch(host.network, f"http://127.0.0.1:{port}/") is not None


def container_to_container(host: DockerHost, container: str, address: str) -> bool:
    """Whether a container is answered by another one's address, port 80."""
    return fetch(host.network_of(container), f"http://{address}/") is not None


def host_to_container(host: DockerHost, address: str) -> bool:
    """Whether the host is answered by a container's address, port 80."""
    return fetch(host.network, f"http://{address}/") is not None


def client_address_seen(host: DockerHost, port: int = PUBLISHED_PORT) -> str | None:
    """The address that a published container takes its outside client for; None when there is no answer.

    Without a DNAT rule docker-proxy still answers, and the container sees its bridge's gateway instead of 203.0.113.1.
    """
    return fetch(host.wan_network, f"http://{HOST_ADDRESS}:{port}/cgi-bin/client")


_CLIENT = "web sees the address of its outside client"


def broken_promises(host: DockerHost) -> list[str]:
    """What the standard workload should do and does not; empty on a healthy host."""
    records = dict(zip(CONTAINERS, host.inspect(*CONTAINERS), strict=True))
    stopped = [name for name, record in records.items() if not record["State"]["Running"]]
    if stopped:
        return [f"{name} runs" for name in stopped]
    at_web = f"http://{_recorded_address(records['web'], 'front')}/"
    at_db = f"http://{_recorded_address(records['db'], 'back')}/"
    at_app_from_web = f"http://{_recorded_address(records['app'], 'front')}/"
    at_app_from_db = f"http://{_recorded_address(records['app'], 'back')}/"
    outside, published_web = f"http://{OUTSIDE_SERVER}/", f"http://{HOST_ADDRESS}:{PUBLISHED_PORT}/"
    web, db, app = (host.namespace(records[name]) for name in ("web", "db", "app"))
    promises = {
        "outside clients reach web": Request(host.wan_network, published_web),
        _CLIENT: Request(host.wan_network, f"{published_web}cgi-bin/client"),
        "the host reaches web on 127.0.0.1": Request(host.network, f"http://127.0.0.1:{PUBLISHED_PORT}/"),
        "web reaches the outside": Request(web, outside),
        "db reaches the outside": Request(db, outside),
        "app reaches the outside": Request(app, outside),
        "app reaches web": Request(app, at_web),
        "app reaches db": Request(app, at_db),
        "web reaches app": Request(web, at_app_from_web),
        "db reaches app": Request(db, at_app_from_db),
        "the host reaches web": Request(host.network, at_web),
        "the host reaches db": Request(host.network, at_db),
    }
    answered = dict(zip(promises, _fetch_all(list(promises.values())), strict=True))
    wrong = {promise for promise, answer in answered.items() if answer is None}
    if answered[_CLIENT] != ROUTER_ADDRESS:
        wrong.add(_CLIENT)
    return [promise for promise in promises if promise in wrong]


def assert_healthy(host: DockerHost) -> None:
    """Wait until the standard workload does all it should; AssertionError with what it does not."""
    deadline = time.monotonic() + HEALING_TIMEOUT_S
    while broken := broken_promises(host):
        assert time.monotonic() < deadline, f"not healthy: {'; '.join(broken)}"


# What a test must put back


def configuration(host: DockerHost) -> tuple[str, ...]:
    """The network configuration of the host and of its containers as sorted lines, for comparison with ``changes``.

    Rules of both iptables backends, nft tables, links, addresses, routes, policy rules and sysctls. What a restart of
    the daemon may change is left out or replaced: containers' addresses and MACs and the names of bridges and veths by
    what they belong to; counters, ifindexes, random ports and the order of rules not at all.
    """
    records = dict(zip(CONTAINERS, host.inspect(*CONTAINERS), strict=True))
    runs = {name: partial(_run_in_network_of, host, record) for name, record in records.items()}
    outer_links = _links(host.run)
    bridges = zip(host.bridges(*NETWORKS), NETWORKS, strict=True)
    names = {bridge: f"bridge of {network}" for bridge, network in bridges}
    names |= {link["ifname"]: "way out of a swarm" for link in outer_links if link.get("master") == "docker_gwbridge"}
    if any(link["ifname"] == "docker_gwbridge" for link in outer_links):
        names |= dict.fromkeys(_addresses_on_gwbridge(host), "address of a way out of a swarm")
    names_inside: dict[str, dict[str, str]] = {}
    for container, networks in CONTAINERS.items():
        links = _links(runs[container])
        names_inside[container] = {}
        for network in networks:
            address = _recorded_address(records[container], network)
            link = _link_carrying(address, links)
            names_inside[container][link["ifname"]] = f"interface on {network}"
            names[address] = f"{container} on {network}"
            names[_recorded_mac(records[container], network)] = f"MAC of {container} on {network}"
            names[_name_of_peer(link, outer_links)] = f"veth of {container} on {network}"
    lines = [f"host: {line}" for line in _namespace_lines(host.run, names)]
    for container, run in runs.items():
        shown = _namespace_lines(run, names | names_inside[container])
        lines += [f"{container}: {line}" for line in shown]
    return tuple(sorted(lines))


def _addresses_on_gwbridge(host: DockerHost) -> list[str]:
    record = json.loads(host.docker("network", "inspect", "docker_gwbridge").stdout)[0]
    return [each["IPv4Address"].partition("/")[0] for each in record["Containers"].values()]


def _run_in_network_of(host: DockerHost, record: Mapping[str, Any], argv: Sequence[str]) -> CompletedProcess[str]:
    return host.run(in_network_of(record, argv))


def changes(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Lines in which two configurations differ: lost ones with a minus, new ones with a plus."""
    lost, new = Counter(before) - Counter(after), Counter(after) - Counter(before)
    return [f"-{line}" for line in lost.elements()] + [f"+{line}" for line in new.elements()]


def changes_left(host: DockerHost, before: Sequence[str]) -> list[str]:
    """Lines in which the host still differs from an earlier configuration after it had `SETTLING_TIMEOUT_S` seconds.

    The kernel reports a change of carrier up to a second late, and with it the state of bridges, ports and routes.
    """
    deadline = time.monotonic() + SETTLING_TIMEOUT_S
    while (left := changes(before, configuration(host))) and time.monotonic() < deadline:
        pass
    return left


_SHOW_CONFIGURATION = r"""
set -e
for tool in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
    echo "== $tool" && $tool-save
done
echo "== nft" && nft list tables
if nft list table inet netavark >/dev/null 2>&1; then
    echo "== netavark" && nft list table inet netavark
fi
echo "== route" && ip -4 route show table all
echo "== rule" && ip rule
echo "== sysctl"
cd /proc/sys/net
# sysctl --all would read each setting that there is; 2: no bridge is there, or no br_netfilter
grep -rs '' ipv4/ip_forward ipv4/conf/all ipv4/conf/default ipv4/conf/docker0 ipv4/conf/br-* ipv4/conf/podman[0-9] \
    ipv4/conf/eth[0-9] bridge || [ $? = 2 ]
"""


def _namespace_lines(run: Run, names: Mapping[str, str]) -> Iterator[str]:
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    for line in [*_link_lines(run), *_section_lines(run)]:
        named = re.sub(rf"(?<![\w.])({known})(?!\w)", lambda match: f"<{names[match[1]]}>", line)
        without_counters = re.sub(r" \[\d+:\d+\]$", "", named)
        yield re.sub(r"(127\.0\.0\.11:|127\.0\.0\.11/32 .*--sport )\d+", r"\1<port>", without_counters)


# What iptables-save prints of a table that does nothing. A legacy table, once it is there, cannot be taken away again.
_DOES_NOTHING = re.compile(r"\*\w+|:[A-Z]+ ACCEPT .*|COMMIT")


def _section_lines(run: Run) -> Iterator[str]:
    section = ""
    for line in run(["sh", "-c", _SHOW_CONFIGURATION]).stdout.splitlines():
        if line.startswith("== "):
            section = line.removeprefix("== ")
        elif not line.startswith("#") and not ("tables-" in section and _DOES_NOTHING.fullmatch(line)):
            yield f"{section} {line}"


def _link_lines(run: Run) -> Iterator[str]:
    """The settings of each link, and its IPv4 addresses."""
    for link in _links(run):
        yield f"link {link['ifname']} {_link_settings(link)}"
        for address in link["addr_info"]:
            if address["family"] == "inet":
                yield f"address {address['local']}/{address['prefixlen']} {link['ifname']}"


def _link_settings(link: Mapping[str, Any]) -> str:
    detail = link.get("linkinfo", {})
    port = detail.get("info_slave_data", {})
    flags = {*link["flags"]}
    if "LOWER_UP" in flags:  # is known at once, while the kernel looks for carriers once a second
        flags.discard("NO-CARRIER")
    settings = {
        "kind": detail.get("info_kind"),
        "flags": ",".join(sorted(flags)),
        "mtu": link["mtu"],
        "master": link.get("master"),
        # Only containers' MACs follow from something; those of bridges and of the host's veth ends are drawn by lot.
        "mac": link["address"] if link["ifname"].startswith("eth") else None,
        **{name: port.get(name) for name in ("state", "hairpin", "isolated", "learning", "flood")},
    }
    return " ".join(f"{name} {value}" for name, value in settings.items() if value is not None)


@dataclass(frozen=True)
class _Kept:
    host: DockerHost
    configuration: tuple[str, ...]
    close: Callable[[], None]


class HostPool:
    """Hosts with a healthy standard workload, lent to one test after another.

    A test that breaks something heals it: a host that comes back changed is closed, and the next test gets a new one.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Backend, tuple[str, ...], str], _Kept] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as closing:
            for kept in self._kept.values():
                closing.callback(kept.close)
        self._kept.clear()

    def lend(self, iptables: Backend = "nft", daemon_args: Sequence[str] = (), engine: str = "") -> DockerHost:
        """A healthy host with this iptables backend, options of dockerd and engine; started when there is none."""
        kind = (iptables, tuple(daemon_args), engine)
        if kind not in self._kept:
            with ExitStack() as starting:
                host = starting.enter_context(host_with(iptables, daemon_args, engine))
                standard_workload(host)
                self._kept[kind] = _Kept(host, configuration(host), starting.pop_all().close)
        return self._kept[kind].host

    def give_up(self, host: DockerHost) -> None:
        """Close a host that was lent, whatever it is like."""
        self._kept.pop(self._kind(host)).close()

    def _kind(self, host: DockerHost) -> tuple[Backend, tuple[str, ...], str]:
        return next(kind for kind, kept in self._kept.items() if kept.host is host)

    def take_back(self, host: DockerHost) -> list[str]:
        """What a test left behind on a host that was lent to it, in lines; empty when it is as healthy as before."""
        kind = self._kind(host)
        try:
            assert_healthy(host)
            left = changes_left(host, self._kept[kind].configuration)
        except (AssertionError, LabError) as error:
            left = str(error).splitlines()
        if left:
            self.give_up(host)
        return left


# The product


def collect(host: DockerHost, directory: Path, *options: str, also_traced: Sequence[str] = ()) -> Path:
    """Run the collector on the host as a customer would and bring its bundle to `directory`; its path there.

    `also_traced` are events that its trace has beside those that every trace has.
    """
    # The hosts of a laboratory share one machine: there a collector that lets all others go first never ends.
    script = COLLECTOR.read_text(encoding="utf-8").replace("NICENESS = 19", "NICENESS = 0")
    more = "".join(f'    "{events}",\n' for events in also_traced)
    script = script.replace("TRACE_EVENTS = (\n", f"TRACE_EVENTS = (\n{more}")
    host.write_file("/root/netdiag_collect.py", script)
    host.run(["mkdir", "-p", "/root/bundles"])
    printed = host.run(["python3", "/root/netdiag_collect.py", "-o", "/root/bundles", *options], timeout=300).stdout
    path = printed.rstrip().rpartition("\n")[2]
    assert path.endswith(".tar.gz"), f"the collector's last line is not the path of a bundle: {path!r}"
    bundle = directory / Path(path).name
    host.copy_out(path, bundle)
    host.copy_out(f"{path}.sha256", directory / f"{bundle.name}.sha256")
    return bundle
