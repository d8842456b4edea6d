"""A host of fake tools that print what the real ones printed, and a way to run the real collector file on it.

`captured/` holds the output of a real host: Docker 20.10.24, iptables 1.8.9 (nf_tables), iproute2 6.1, net-tools 2.10,
with the containers web (port 80 published), db and app; `netns/` is of the container web. Of the sysctls only some.
The numbers of namespaces and the proxies are those of other such hosts.
"""

import json
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLLECTOR = Path(__file__).resolve().parents[2] / "collector" / "netdiag_collect.py"
CAPTURED = Path(__file__).with_name("captured")
DEBIAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

WEB, DB, APP = (
    re.findall(r"(?m)^[0-9a-f]{64}", (CAPTURED / "docker/ps.txt").read_text())[place] for place in (2, 1, 0)
)

_COMMANDS = {
    "ip": {
        "-d -s addr": "ip-addr",
        "-d link": "ip-link",
        "route show table all": "ip-route",
        "-6 route show table all": "ip6-route",
        "rule": "ip-rule",
        "neigh": "ip-neigh",
    },
    "route": {"-n": "route-n"},
    "ifconfig": {"-a": "ifconfig"},
    "arp": {"-n": "arp-n"},
    "bridge": {"-d link": "bridge-link", "fdb": "bridge-fdb", "vlan": "bridge-vlan"},
    "lsns": {"-t net -o NS,TYPE,NPROCS,PID,USER,NETNSID,NSFS,COMMAND": "lsns"},
    "ps": {
        "-ww -C docker-proxy -o pid,netns,args": "docker-proxy",
        "-ww -C dockerd -o pid,ppid,netns,args": "dockerd",
        "-ww -C systemd-networkd,NetworkManager -o pid,netns,args": "network-managers",
    },
    "networkctl": {"--no-pager list": "networkctl"},
    "readlink": {"/proc/self/ns/net": "netns"},
    "ss": {"-tulpn": "ss"},
    "tc": {"-s qdisc": "tc-qdisc"},
    "nstat": {"-asz": "nstat"},
    "grep": {
        "-r --exclude=flush --exclude=stable_secret --exclude=tcp_fastopen_key --exclude=bpf_jit_*  /proc/sys/net": (
            "sysctl"
        )
    },
    "nft": {"-a list ruleset": "nft-ruleset"},
    "dmesg": {"--level=emerg,alert,crit,err,warn": "dmesg"},
    "iptables": {
        "-V": "iptables-version",
        "-t filter -L -v -n -x": "iptables-filter",
        "-t nat -L -v -n -x": "iptables-nat",
    },
    "ip6tables": {"-V": "ip6tables-version"},
    "iptables-save": {"-c": "iptables-save"},
    "ip6tables-save": {"-c": "ip6tables-save"},
}
_DOCKER = {
    "version --format {{json .}}": "version",
    "info --format {{json .}}": "info",
    "ps -a --no-trunc": "ps",
    "network ls --no-trunc": "network_ls",
    "network inspect *": "network_inspect",
    "inspect *": "inspect",
}


@dataclass(frozen=True)
class Collected:
    """A bundle as it was written, its files by path below the top directory, and how the collector ended."""

    path: Path
    names: tuple[str, ...]
    files: dict[str, bytes]
    manifest: dict[str, Any]
    stderr: str

    def artifact(self, name: str, scope: str = "host") -> dict[str, Any]:
        (found,) = (row for row in self.manifest["artifacts"] if (row["id"], row["scope"]) == (name, scope))
        return dict(found)

    def text(self, name: str, scope: str = "host") -> str:
        return self.files[self.artifact(name, scope)["path"]].decode()


def read_bundle(path: Path, stderr: str = "") -> Collected:
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        contents = {member.name.partition("/")[2]: archive.extractfile(member) for member in members}
        files = {name: content.read() for name, content in contents.items() if content}
    manifest = json.loads(files["manifest.json"])
    return Collected(path, tuple(member.name for member in members), files, manifest, stderr)


def with_constant(source: str, name: str, value: object) -> str:
    """The collector's source with another value of one of its constants."""
    changed, count = re.subn(rf"(?m)^({name} = ).*?(?=  #|$)", lambda found: f"{found[1]}{value!r}", source)
    assert count == 1
    return changed


class FakeHost:
    """Tools in a folder that is the whole PATH, in a network namespace of its own, with one more for a container.

    The processes of the machine, and so the network namespaces that they live in, are not to be seen. Its kernel can
    trace, and nobody does.
    """

    def __init__(self, folder: Path, container_netns: str) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.output = folder / "output"
        self.collector = folder / "netdiag_collect.py"
        source = with_constant(COLLECTOR.read_text(), "PROCESSES", str(folder / "processes"))
        source = with_constant(source, "TRACING", (str(folder / "tracing"),))
        self.collector.write_text(with_constant(with_constant(source, "NAMESPACES", ()), "NICENESS", 0))
        for event in ("net/net_dev_queue", "skb/kfree_skb", "tcp/tcp_send_reset"):
            (folder / "tracing/events" / event).mkdir(parents=True)
        (folder / "tracing/events/skb/kfree_skb/format").write_text("name: kfree_skb\n")
        (folder / "tracing/current_tracer").write_text("nop\n")
        self.environment = {"PATH": str(self.bin), "HOME": str(folder / "home")}
        self._answers: dict[str, dict[str, str]] = {}
        for place in ("bin", "output", "home", "text", "processes"):
            (folder / place).mkdir()
        for tool, commands in _COMMANDS.items():
            for arguments, name in commands.items():
                for where in ("host", "netns"):
                    if (captured := CAPTURED / where / f"{name}.txt").exists():
                        self.answer(tool, arguments, captured.read_text(), where)
        for arguments, name in _DOCKER.items():
            self.answer("docker", arguments, (CAPTURED / f"docker/{name}.txt").read_text())
        for table in ("ip_tables_names", "ip6_tables_names"):
            self.answer("cat", f"/proc/net/{table}", "", "netns")
        self.script("env", 'exec /usr/bin/env "$@"')
        self.script("nsenter", 'case "$1" in --net=*) ;; *) exit 9;; esac; shift 2; FAKE_NETNS=netns exec "$@"')
        containers = json.loads((CAPTURED / "docker/inspect.txt").read_text())
        for container in containers:
            container["State"]["Running"] = container["Id"] == WEB
            container["NetworkSettings"]["SandboxKey"] = container_netns
        self.containers: list[dict[str, Any]] = containers
        self.set_containers()

    def set_containers(self) -> None:
        """Let `docker inspect` print `containers`, changed or not."""
        self.answer("docker", "inspect *", json.dumps(self.containers, indent=4))

    def answer(self, tool: str, arguments: str, text: str, where: str = "host") -> None:
        """Let a tool print a text; an asterisk at the end of the arguments stands for any."""
        place = self.folder / "text" / f"{where} {tool} {arguments}".replace("/", "-")
        place.write_text(text)
        self.behave(tool, arguments, f"exec /bin/cat '{place}'", where)

    def behave(self, tool: str, arguments: str, script: str, where: str = "host") -> None:
        """Let a tool run lines of sh."""
        known = self._answers.setdefault(tool, {})
        known[f"{where} {arguments}"] = script
        closest_first = sorted(known.items(), key=lambda item: -len(item[0]))
        cases = (_case(pattern) + f") {line}\nexit ;;" for pattern, line in closest_first)
        body = ['case "${FAKE_NETNS:-host} $*" in', *cases, "esac", 'echo "no such fake: $0 $*" >&2; exit 1']
        self.script(tool, "\n".join(body))

    def script(self, tool: str, body: str) -> None:
        place = self.bin / tool
        place.write_text(f"#!/bin/sh\n{body}\n")
        place.chmod(0o755)

    def remove(self, tool: str) -> None:
        (self.bin / tool).unlink()

    def hide_machine_tools(self) -> None:
        """Leave only the fakes: the collector adds the system's folders to PATH, so run it with those taken out."""
        self.collector.write_text(with_constant(self.collector.read_text(), "PATH_MORE", ()))

    def command(self, *options: str, python: str = sys.executable) -> list[str]:
        unshare = shutil.which("unshare", path=DEBIAN_PATH) or "unshare"
        return [unshare, "--net", "--", python, str(self.collector), "-o", str(self.output), *options]

    def collect(self, *options: str, python: str = sys.executable) -> Collected:
        """Run the collector and read its bundle; the bundle's folder is empty again afterwards."""
        command = self.command(*options, python=python)
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=120)
        return self.read(ended.stdout, ended.stderr)

    def read(self, stdout: str, stderr: str = "") -> Collected:
        for file in self.output.iterdir():
            file.rename(self.folder / file.name)
        return read_bundle(self.folder / Path(stdout.splitlines()[-1]).name, stderr)


def _case(pattern: str) -> str:
    fixed = pattern[:-1] if pattern.endswith("*") else pattern
    return "'" + fixed + "'" + pattern[len(fixed) :]


def is_private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) == 0o600


def _interpreters() -> Iterator[tuple[str, str]]:
    """Version and path of each Python 3.6 to 3.14 that pyenv or PATH has."""
    folders: Sequence[Path] = [
        *sorted(Path("~/.pyenv/versions").expanduser().glob("*/bin")),
        *(Path(folder) for folder in DEBIAN_PATH.split(":")),
    ]
    known = set()
    for folder in folders:
        for program in sorted(folder.glob("python3.*")):
            found = re.fullmatch(r"python3\.([0-9]+)", program.name)
            if found and 6 <= int(found[1]) <= 14 and program.resolve() not in known:
                known.add(program.resolve())
                yield f"3.{found[1]} of {folder}", str(program)


INTERPRETERS = dict(_interpreters())
