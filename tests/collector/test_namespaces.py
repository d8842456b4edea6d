"""Whose network namespaces are entered, and by which file."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import netdiag_collect as collect

from .fakes import APP, DB, WEB, Collected, FakeHost, with_constant

Namespaces = Callable[..., list[collect.Space]]


def _scopes(bundle: Collected) -> set[str]:
    return {row["scope"] for row in bundle.manifest["artifacts"] if row["scope"].startswith("netns:")}


def _container(name: str, sandbox: str = "", mode: str = "bridge", pid: int = 0) -> dict[str, Any]:
    return {
        "Id": name,
        "State": {"Running": True, "Pid": pid},
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"SandboxKey": sandbox},
    }


@pytest.fixture
def namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Namespaces:
    if not Path("/proc/self/ns/net").exists():
        pytest.skip("namespaces are told by /proc, which is not mounted")

    def of(
        *containers: dict[str, Any],
        capabilities: str = "000001ffffffffff",
        others: Sequence[tuple[str, str]] = (),
    ) -> list[collect.Space]:
        monkeypatch.setattr(collect, "capabilities", lambda: capabilities)
        monkeypatch.setattr(collect, "namespace_files", lambda _: others)
        runner = collect.Runner(timeout=1, max_bytes=4096)
        return collect.Collector(str(tmp_path), runner, collect.Masker(), lambda _: None)._namespaces(list(containers))

    return of


def test_only_running_containers_have_a_namespace(fake_host: FakeHost) -> None:
    bundle = fake_host.collect()
    assert _scopes(bundle) == {f"netns:{WEB}"}


def test_a_shared_namespace_is_collected_once_as_its_owners(fake_host: FakeHost) -> None:
    for container in fake_host.containers:
        container["State"]["Running"] = True
        if container["Id"] != DB:
            container["HostConfig"]["NetworkMode"] = f"container:{DB}"
    fake_host.set_containers()
    bundle = fake_host.collect()
    assert _scopes(bundle) == {f"netns:{DB}"}
    assert f"container {APP[:12]}: no namespace of its own to collect" in bundle.text("collector-log", "logs")


def test_a_container_in_the_hosts_namespace_is_the_host(namespaces: Namespaces) -> None:
    assert namespaces(_container(WEB, "/proc/self/ns/net", "host")) == []
    assert namespaces(_container(WEB, "/run/docker/netns/default", "host")) == []


def test_a_namespace_is_entered_by_its_sandbox_key(namespaces: Namespaces, container_netns: str) -> None:
    web = _container(WEB, container_netns)
    prefix = ("nsenter", f"--net={container_netns}", "--")
    assert namespaces(web) == [collect.Space(f"netns:{WEB}", f"netns/{WEB}", prefix, "", container_netns, web)]


def test_a_namespace_that_went_away_meanwhile_is_no_failure_of_its_commands(
    container_netns: str, tmp_path: Path, namespaces: Namespaces
) -> None:
    (space,) = namespaces(_container(WEB, container_netns))
    runner = collect.Runner(timeout=1, max_bytes=4096)
    collector = collect.Collector(str(tmp_path), runner, collect.Masker(), lambda _: None)
    assert collector._refusal(space, ["cat", "/proc/net/dev"]) == ""
    (tmp_path / "left behind").write_text("")
    for entrance in ("left behind", "taken away"):
        gone = space._replace(entrance=str(tmp_path / entrance))
        assert collector._refusal(gone, ["cat", "/proc/net/dev"]) == "the network namespace went away meanwhile"


def test_without_a_sandbox_key_it_is_entered_by_its_process(
    namespaces: Namespaces, container_netns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = int(container_netns.split("/")[2])
    monkeypatch.setattr(collect, "read_text", lambda path: f"0::/docker/{WEB}\n" if f"/{pid}/cgroup" in path else "")
    (space,) = namespaces(_container(WEB, "/nowhere", pid=pid))
    assert (space.prefix[1], space.obstacle) == (f"--net=/proc/{pid}/ns/net", "")


def test_another_process_of_the_same_number_is_not_entered(namespaces: Namespaces, container_netns: str) -> None:
    pid = int(container_netns.split("/")[2])
    (space,) = namespaces(_container(WEB, "/nowhere", pid=pid))
    assert space.obstacle == "the container's network namespace is not to be seen from here"


def test_a_sandbox_key_that_is_a_plain_file_is_not_entered(namespaces: Namespaces, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("")
    (space,) = namespaces(_container(WEB, str(tmp_path / "key")))
    assert space.obstacle == "the container's network namespace is not to be seen from here"


def test_without_the_capability_every_output_of_a_namespace_is_skipped_with_the_reason(
    namespaces: Namespaces, container_netns: str
) -> None:
    (space,) = namespaces(_container(WEB, container_netns), capabilities="0000000000000000")
    assert space.obstacle == "entering a network namespace needs root (CAP_SYS_ADMIN)"


def test_a_container_of_a_strange_id_gets_no_folder(namespaces: Namespaces, container_netns: str) -> None:
    assert namespaces(_container("../../etc", container_netns)) == []


@pytest.mark.parametrize(
    "container",
    [
        {"Id": WEB, "State": None, "HostConfig": None, "NetworkSettings": None},
        {"Id": WEB, "State": {"Running": True}, "HostConfig": None, "NetworkSettings": None},
        {"State": {"Running": True}},
    ],
    ids=["nothing-known", "no-settings", "no-id"],
)
def test_an_odd_container_costs_nothing_else(namespaces: Namespaces, container: dict[str, Any]) -> None:
    assert [space.scope for space in namespaces(container, _container(DB, "/nowhere"))][-1] == f"netns:{DB}"


def test_many_containers_are_inspected_in_batches_and_stored_as_one_array(fake_host: FakeHost) -> None:
    ids = [f"{number:064x}" for number in range(120)]
    listing = "CONTAINER ID" + " " * 55 + "NAMES\n" + "".join(f"{name}   name\n" for name in ids)
    fake_host.answer("docker", "ps -a --no-trunc", listing)
    print_objects = """shift; printf '['; for id; do printf '%s{"Id": "%s"}' "$comma" "$id"; comma=,; done; echo ']'"""
    fake_host.behave("docker", "inspect *", f"echo $# >>{fake_host.folder}/batches\n{print_objects}")
    bundle = fake_host.collect()
    assert (fake_host.folder / "batches").read_text().split() == ["51", "51", "21"]
    assert [container["Id"] for container in json.loads(bundle.files["docker/inspect.json"])] == ids
    assert bundle.artifact("docker-inspect", "docker")["argv"] == ["docker", "inspect", *ids]


def test_a_container_that_went_away_meanwhile_is_noted(fake_host: FakeHost) -> None:
    script = f"/bin/cat '{fake_host.folder}/gone.json'; echo 'Error: No such object: {APP}' >&2; exit 1"
    (fake_host.folder / "gone.json").write_text('[{"Id": "' + WEB + '"}, {"Id": "' + DB + '"}]')
    fake_host.behave("docker", "inspect *", script)
    bundle = fake_host.collect()
    assert bundle.artifact("docker-inspect", "docker")["exit_code"] == 1
    assert "docker-inspect: 1 of 3 are not in it" in bundle.text("collector-log", "logs")


def test_without_containers_the_array_is_empty_which_is_an_answer(fake_host: FakeHost) -> None:
    header = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    fake_host.answer("docker", "ps -a --no-trunc", header)
    bundle = fake_host.collect()
    assert bundle.files["docker/inspect.json"] == b"[]\n"
    assert bundle.artifact("docker-inspect", "docker")["skipped"] is None


def test_a_listing_in_another_layout_is_not_taken_for_no_containers(fake_host: FakeHost) -> None:
    fake_host.answer("docker", "ps -a --no-trunc", "web\ndb\n")
    skipped = fake_host.collect().artifact("docker-inspect", "docker")["skipped"]
    assert skipped == "docker-ps did not tell what there is to inspect"


def test_an_array_that_is_too_large_is_cut_between_containers_and_stays_json(fake_host: FakeHost) -> None:
    printed = "".join(f"{each['Id']}) echo '{json.dumps(each, indent=4)}';; " for each in fake_host.containers)
    loop = f"for id; do $comma; case $id in {printed} esac; comma='echo ,'; done"
    fake_host.behave("docker", "inspect *", f"shift; echo '['; {loop}; echo ']'")
    bundle = fake_host.collect("--max-bytes", "16000")
    kept = [container["Id"] for container in json.loads(bundle.files["docker/inspect.json"])]
    assert kept == [container["Id"] for container in fake_host.containers[:2]]
    assert bundle.artifact("docker-inspect", "docker")["truncated"] is True
    assert "docker-inspect: 1 of 3 are not in it" in bundle.text("collector-log", "logs")


def test_the_files_that_the_engine_made_for_a_container_are_copied(fake_host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "resolv").write_text("nameserver 127.0.0.11\n")
    for container in fake_host.containers:
        container["ResolvConfPath"], container["HostsPath"] = str(tmp_path / "resolv"), ""
    fake_host.set_containers()
    bundle = fake_host.collect()
    assert bundle.text("resolv-conf", f"netns:{WEB}") == "nameserver 127.0.0.11\n"
    assert bundle.artifact("hosts", f"netns:{WEB}")["skipped"] == "inspect does not tell its HostsPath"


def test_a_file_that_somebody_mounted_is_copied_in_the_place_of_the_engine_s(
    fake_host: FakeHost, tmp_path: Path
) -> None:
    (tmp_path / "mounted").write_text("nameserver 127.0.0.1\n")
    for container in fake_host.containers:
        container["ResolvConfPath"] = "/nowhere"
        container["Mounts"] = [None, {"Destination": "/etc/resolv.conf", "Source": str(tmp_path / "mounted")}]
    fake_host.set_containers()
    assert fake_host.collect().text("resolv-conf", f"netns:{WEB}") == "nameserver 127.0.0.1\n"


def test_where_there_are_many_namespaces_the_last_are_asked_without_the_programs(fake_host: FakeHost) -> None:
    fake_host.collector.write_text(with_constant(fake_host.collector.read_text(), "MOST_WITH_PROGRAMS", 0))
    fake_host.answer("ss", "-tuln", "Netid\n", "netns")
    bundle = fake_host.collect()
    assert bundle.artifact("ss")["argv"][-1] == "-tulpn"
    assert bundle.artifact("ss", f"netns:{WEB}")["argv"][-1] == "-tuln"
