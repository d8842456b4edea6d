"""What a bundle says is shown and never obeyed: hostile names reach every report as text, and every command as
one quoted word.
"""

import json
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.report import FORMATS, render
from netdiag.results import Analysis

NAMES = {
    "markup": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)',
    "template": "{{ 7 * 7 }}{% raw %}",
    "terminal": "\x1b[2J\x1b]0;owned\x07",
    "direction": "ab\u202ecd\u2066",
    "surrogate": "\ud800",
    "shell": "x; touch /tmp/owned; $(reboot) `reboot`",
    "lines": "one\ntwo\r\nthree",
    "wide": "\u5bb9\u5668" * 40,
}

SAVE = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.18.0.0/16 ! -o br-aaaaaaaaaaaa -j MASQUERADE
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
COMMIT
"""

LOOPBACK = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n"


@pytest.fixture(params=NAMES.values(), ids=NAMES.keys())
def name(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture
def analysis(name: str, make_bundle: Callable[..., Path]) -> Analysis:
    """A container of this name whose published port has no DNAT rule, on a network of this name without a bridge."""
    network = {"Id": "a" * 64, "Name": name, "Driver": "bridge", "Scope": "local", "Internal": False}
    network |= {"Options": {}, "IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]}}
    endpoint = {"NetworkID": "a" * 64, "IPAddress": "172.18.0.2", "IPPrefixLen": 16, "MacAddress": "02:42:ac:14:00:02"}
    container = {
        "Id": "c" * 64,
        "Name": f"/{name}",
        "State": {"Status": "running", "Pid": 7},
        "Config": {},
        "HostConfig": {"NetworkMode": name},
        "NetworkSettings": {
            "Networks": {name: endpoint},
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
        },
    }
    bundle = make_bundle(
        {
            "docker/docker_inspect.json": json.dumps([container], indent=4),
            "docker/docker_network_inspect.json": json.dumps([network], indent=4),
            "docker/docker_version.json": json.dumps({"Server": {"Version": "20.10.24", "ApiVersion": "1.41"}}),
            "host/iptables_save.txt": SAVE,
            "host/ip_addr.txt": LOOPBACK,
        }
    )
    return analyze(bundle)


def test_the_faults_are_found_all_the_same(analysis: Analysis) -> None:
    found = {finding.check for finding in analysis.findings}
    assert found == {"address-mac-ip-mismatch", "link-bridge-missing", "nat-dnat-missing", "sec-eol-docker"}


@pytest.mark.parametrize("report", [report for report in FORMATS if report != "pdf"])
def test_no_control_character_leaves_a_report(analysis: Analysis, report: str) -> None:
    text = render(analysis, report).decode("utf-8")
    if report == "csv":  # RFC 4180, 2: rows end with CR and LF
        text = text.replace("\r\n", "\n")
    assert [character for character in text if ord(character) < 32 and character not in "\n\t"] == []
    assert "\u202e" not in text or report == "json"


class Scripts(HTMLParser):
    """Counts what a browser would run."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.handlers += [attribute for attribute, _ in attrs if attribute.startswith("on")]


def test_the_page_runs_only_its_own_script(analysis: Analysis) -> None:
    page = Scripts()
    page.feed(render(analysis, "html").decode("utf-8"))
    assert (page.scripts, page.handlers) == (1, [])


def test_a_pasted_command_takes_the_name_for_one_word(analysis: Analysis, name: str, tmp_path: Path) -> None:
    commands = [command for f in analysis.findings for command in (*f.remedy, *f.verify) if name in command]
    assert commands != []
    tool, words = tmp_path / "docker", tmp_path / "words"
    tool.write_text(f'#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done >>{words}\n')
    tool.chmod(0o755)
    there = sorted(tmp_path.iterdir())
    for command in commands:
        typed = command.encode("utf-8", "surrogatepass")
        subprocess.run(["/bin/sh", "-c", typed], env={"PATH": str(tmp_path)}, cwd=tmp_path, check=True)
    assert name.encode("utf-8", "surrogatepass") in words.read_bytes().split(b"\0")
    assert sorted(tmp_path.iterdir()) == sorted([*there, words])
    assert not Path("/tmp/owned").exists()
