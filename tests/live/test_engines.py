"""Other Docker Engines than the machine's: healthy hosts of each are read to the last line and raise no alarm."""

from collections.abc import Callable
from pathlib import Path

import lab
import pytest

from netdiag import formats
from netdiag.analysis import analyze
from netdiag.finding import Severity, Verdict
from netdiag.formats.records import Container, ContainerLine, Network
from netdiag.spans import Source

pytestmark = pytest.mark.live

Lend = Callable[..., lab.DockerHost]

DOCKER_ENGINES = [name for name, engine in lab.ENGINES.items() if engine.name == "docker"]
PODMAN_ENGINES = [name for name, engine in lab.ENGINES.items() if engine.name == "podman"]
#: Podman with CNI is read, but its hosts are not judged.
NETAVARK_ENGINES = [name for name in PODMAN_ENGINES if name != "podman 3.0"]

# what a person types, `podman` or `docker` in the place of `engine`
OUTPUTS = {
    "ps": "engine ps -a --no-trunc",
    "inspect": "engine inspect $(engine ps -aq)",
    "network_inspect": "engine network inspect $(engine network ls -q)",
    "info": "engine info --format '{{json .}}'",
    "info_text": "engine info",
    "version": "engine version --format '{{json .}}'",
    "version_text": "engine version",
}


def outputs(host: lab.DockerHost) -> dict[str, formats.Document]:
    """What the host's engine prints, read."""
    client = f"alias engine={host.client}\n"  # an alias holds for the lines below it
    printed = {name: host.shell(client + line).stdout for name, line in OUTPUTS.items()}
    read = {name: formats.get(f"{host.client}_{name}").read for name in OUTPUTS}
    return {name: read[name](Source(f"{name}.txt", text)) for name, text in printed.items()}


def make_many_kinds_of_containers(host: lab.DockerHost) -> None:
    """Containers on the default network, on two, on the host's, on none, in another one's; some do not run."""
    host.docker("network", "create", "front")
    host.docker("network", "create", "back")
    host.docker("run", "--detach", "--name=first", lab.IMAGE)
    ports = (
        "--publish=8080:80",
        "--publish=127.0.0.1:8443:443",
        "--publish=5353:53/udp",
        "--publish=7000-7002:7000-7002",
    )
    host.docker("run", "--detach", "--name=web", "--network=front", *ports, lab.IMAGE)
    host.docker("network", "connect", "back", "web")
    host.docker("run", "--detach", "--name=everywhere", "--network=host", lab.IMAGE)
    host.docker("run", "--detach", "--name=alone", "--network=none", lab.IMAGE)
    host.docker("run", "--detach", "--name=sidecar", "--network=container:web", lab.IMAGE, "sleep", "1000")
    host.docker("create", "--name=fresh", "--network=front", "--publish=8081:80", lab.IMAGE)


def assert_read_in_agreement(host: lab.DockerHost) -> None:
    """No line is unread, and what the table says of running containers is what inspect says, and so on."""
    read = outputs(host)
    assert {name: document.unread for name, document in read.items() if document.unread} == {}
    containers = {found.name: found for found in read["inspect"].records if isinstance(found, Container)}
    rows = {found.names[0]: found for found in read["ps"].records if isinstance(found, ContainerLine)}
    assert set(containers) == set(rows) == {"first", "web", "everywhere", "alone", "sidecar", "fresh"}
    assert {name: found.id for name, found in containers.items()} == {name: row.id for name, row in rows.items()}
    web, row = containers["web"], rows["web"]
    assert {(port.protocol, port.container_port, port.host_port) for port in web.ports} == {
        (port.protocol, port.container_port, port.host_port) for port in row.ports if port.host_port
    }
    assert {endpoint.network for endpoint in web.endpoints} == {"front", "back"}
    networks = {found.name: found for found in read["network_inspect"].records if isinstance(found, Network)}
    for endpoint in web.endpoints:
        subnets = [found.subnet for found in networks[endpoint.network].subnets]
        assert endpoint.address is not None
        assert endpoint.address.network in subnets
        assert str(endpoint.address.ip) == host.address("web", endpoint.network)
    assert len(read["info"].records) == len(read["info_text"].records) == 1
    assert read["version"].records[0].span.text
    assert [str(getattr(read[name].records[0], "version", "")) for name in ("version", "version_text")] == [
        engine_version(host)
    ] * 2


def engine_version(host: lab.DockerHost) -> str:
    side = "Server" if host.client == "docker" else "Client"
    return host.docker("version", f"--format={{{{.{side}.Version}}}}").stdout.strip()


@pytest.mark.parametrize("engine", ["", *DOCKER_ENGINES])
def test_all_that_docker_prints_is_read_and_agrees(engine: str, have_engine: Callable[[str], None]) -> None:
    if engine:
        have_engine(engine)
    with lab.DockerHost(engine=engine) as host:
        make_many_kinds_of_containers(host)
        assert_read_in_agreement(host)


@pytest.mark.parametrize("engine", PODMAN_ENGINES)
def test_all_that_podman_prints_is_read_and_agrees(engine: str, have_engine: Callable[[str], None]) -> None:
    have_engine(engine)
    with lab.PodmanHost(engine) as host:
        make_many_kinds_of_containers(host)
        assert_read_in_agreement(host)


@pytest.mark.parametrize("engine", [*DOCKER_ENGINES, *NETAVARK_ENGINES])
def test_a_healthy_host_of_another_engine_raises_no_alarm_and_every_line_is_read(
    engine: str, docker_host: Lend, tmp_path: Path
) -> None:
    host = docker_host(engine=engine)
    analysis = analyze(lab.collect(host, tmp_path))
    assert [finding.message for finding in analysis.findings if finding.severity is not Severity.NOTE] == []
    assert [outcome.reason for outcome in analysis.outcomes if outcome.verdict is Verdict.UNKNOWN] == []
    assert [(each.path, line, why) for each in analysis.coverage for line, why in each.unread] == []
    assert analysis.bundle.problems == ()


@pytest.mark.parametrize("engine", DOCKER_ENGINES)
def test_a_host_has_the_engine_that_was_asked_for(engine: str, docker_host: Lend) -> None:
    version = docker_host(engine=engine).docker("version", "--format={{.Server.Version}}").stdout
    assert version.startswith(f"{engine.partition(' ')[0]}.")


def test_an_engine_that_cannot_be_had_is_said_with_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lab, "ROOTS", tmp_path)
    monkeypatch.setattr(lab.shutil, "which", lambda program, path: None)
    with pytest.raises(lab.LabError, match=f"26.1 needs {tmp_path}/trixie-docker.*install debootstrap"):
        lab.root_of("26.1")
