import json
from typing import Any

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import Container
from netdiag.spans import Source

ENDPOINT = {
    "NetworkID": "a" * 64,
    "EndpointID": "b" * 64,
    "Gateway": "172.18.0.1",
    "IPAddress": "172.18.0.2",
    "IPPrefixLen": 16,
    "MacAddress": "02:42:AC:12:00:02",
    "Aliases": None,
    "DNSNames": ["web", "0123456789ab"],
}


def read(*values: Any, name: str = "docker_inspect") -> Document:
    text = "\n".join(value if isinstance(value, str) else json.dumps(value) for value in values)
    return formats.get(name).read(Source("inspect.txt", text))


def only_container(document: Document) -> Container:
    (container,) = document.records
    assert isinstance(container, Container)
    return container


def summary(container: Container) -> tuple[str, list[tuple[str, str, str]]]:
    endpoints = [(found.network, str(found.address), str(found.gateway)) for found in container.endpoints]
    return container.id, endpoints


def test_the_three_pieces_that_people_print_give_the_same_endpoints() -> None:
    networks = {"front": ENDPOINT}
    settings = {"SandboxKey": "/var/run/docker/netns/0123456789ab", "Ports": {}, "Networks": networks}
    whole = {"Id": "0123456789ab", "Name": "/web", "NetworkSettings": settings}
    expected = ("0123456789ab", [("front", "172.18.0.2/16", "172.18.0.1")])
    assert [summary(only_container(read(value))) for value in (whole, settings, networks)] == [expected] * 3


def test_a_container_that_shares_a_network_is_read_and_gives_no_record_of_endpoints() -> None:
    document = read({"front": ENDPOINT}, {}, "null")
    assert len(document.records) == 1
    assert document.unread == ()


def test_before_networks_the_settings_are_the_endpoint_on_the_default_bridge() -> None:
    settings = {
        "Bridge": "",
        "Gateway": "172.17.42.1",
        "IPAddress": "172.17.0.4",
        "IPPrefixLen": 16,
        "MacAddress": "02:42:ac:11:00:04",
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
    }
    for value in (settings, {"Id": "0123456789ab", "NetworkSettings": settings}):
        container = only_container(read(value))
        (endpoint,) = container.endpoints
        assert (endpoint.network, str(endpoint.address), endpoint.mac) == (
            "bridge",
            "172.17.0.4/16",
            "02:42:ac:11:00:04",
        )
        assert endpoint.span.text == '"IPAddress"'
        assert [port.host_port for port in container.ports] == [8080]


def test_a_container_that_is_on_no_network_has_no_endpoint_of_old() -> None:
    settings = {"IPAddress": "", "Bridge": "", "Ports": {}, "Networks": {}}
    assert only_container(read({"Id": "0123456789ab", "NetworkSettings": settings})).endpoints == ()


@pytest.mark.parametrize(
    "podmans",
    [
        {"Id": "0123456789ab", "OCIRuntime": "crun", "NetworkSettings": {"Networks": {}}},
        {"Id": "0123456789ab", "NetworkSettings": {"SandboxKey": "/run/netns/netns-1", "Networks": {}}},
        {"SandboxKey": "/run/user/1000/netns/netns-1", "Networks": {"podman": ENDPOINT}},
        {"SandboxKey": "/run/netns/cni-1", "Networks": {"podman": ENDPOINT}},
    ],
)
def test_podmans_containers_are_not_taken_for_dockers(podmans: dict[str, Any]) -> None:
    assert read(podmans).unread == (Unread(1, "not a container of docker inspect"),)
    assert read(podmans, name="podman_inspect").unread == ()


@pytest.mark.parametrize(
    "dockers",
    [
        {"Id": "0123456789ab", "Name": "/web", "NetworkSettings": {"Networks": {}}},
        {"SandboxKey": "/var/run/docker/netns/0123456789ab", "Networks": {"front": ENDPOINT}},
    ],
)
def test_dockers_containers_are_not_taken_for_podmans(dockers: dict[str, Any]) -> None:
    assert read(dockers, name="podman_inspect").unread == (Unread(1, "not a container of podman inspect"),)
    assert read(dockers).unread == ()


def test_endpoints_that_do_not_tell_are_taken_for_dockers_and_read_by_both() -> None:
    text = json.dumps({"front": ENDPOINT})
    recognised = formats.recognise(Source("inspect.txt", text))
    assert recognised is not None
    assert recognised.name == "docker_inspect"
    assert read(text, name="podman_inspect").unread == ()


def test_a_value_of_the_wrong_kind_costs_that_value_only() -> None:
    document = read({"Id": "0123456789ab", "NetworkSettings": {"Networks": {"front": ENDPOINT | {"IPPrefixLen": 99}}}})
    assert [unread.reason for unread in document.unread] == [
        "NetworkSettings.Networks.front.IPPrefixLen: 99 is greater than the maximum of 32"
    ]
    assert only_container(document).endpoints[0].mac == "02:42:ac:12:00:02"
