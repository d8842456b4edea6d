"""Bundles that a careless check would take for poor, or for good. Each test changes one thing of a healthy host."""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
NEEDS_ROOT = "entering a network namespace needs root (CAP_SYS_ADMIN)"
HEAD = "    PID      NETNS COMMAND\n"
ENGINE = "     49 4026531840 /usr/bin/dockerd -H fd://\n"
ELSEWHERE = "     51 4026532617 dockerd --data-root /var/lib/second\n"


def said(site: Any, check: str) -> list[str]:
    return [finding.message for finding in site.analysis().findings if finding.check == check]


def alarms(site: Any) -> list[str]:
    return [f"{f.check}: {f.message}" for f in site.analysis().findings if f.severity is not Severity.NOTE]


def remedy(site: Any, check: str) -> list[str]:
    return [command for f in site.analysis().findings if f.check == check for command in f.remedy]


# --- what is missing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("artifact", "scope", "reason"),
    [
        ("conntrack-stats", "host", "conntrack is not installed (not found in PATH)"),
        ("ipset", "host", "ipset is not installed (not found in PATH)"),
        ("nft-ruleset", "host", "nf_tables is not loaded; nft would load this kernel module"),
        ("iptables-legacy-save", "host", "no legacy table is loaded"),
        ("podman-info", "podman", "podman is not installed (not found in PATH)"),
        ("podman-info", "podman", "podman has not been used on this host"),
        ("podman-info", "podman", "the time limit of the whole run (300 s) was reached"),
        ("daemon-json", "files", "/etc/docker/daemon.json: No such file or directory"),
        ("iptables-list", "host", "table raw does not exist; listing it could create it"),
        ("route-n", "host", "route is not installed (not found in PATH)"),
        ("dmesg", "before:host", "interrupted"),
    ],
)
def test_what_the_host_does_not_have_is_not_missing(site: Any, artifact: str, scope: str, reason: str) -> None:
    site.skip(artifact, reason, scope)
    assert site.verdict("bundle-incomplete")[0] is CLEAN


@pytest.mark.parametrize(
    ("artifact", "reason", "again"),
    [
        ("iptables-legacy-save", "which tables are loaded is not known: /proc/x cannot be read", "sudo python3"),
        ("ss", "interrupted", "--max-time 1200"),
        ("ss", "the time limit of the whole run (300 s) was reached", "--max-time 1200"),
        ("ss", "an earlier command here did not answer within 20 s", "--timeout 60"),
        ("ss", "less than 64 MB are free where the bundle is made", "-o /var/tmp"),
    ],
)
def test_what_may_be_there_and_was_left_out_is_named_with_the_command(
    site: Any, artifact: str, reason: str, again: str
) -> None:
    site.skip(artifact, reason)
    verdict, message = site.verdict("bundle-incomplete")
    assert (verdict, message.startswith("1 output is missing or not whole, so that")) == (FINDING, True)
    assert artifact in message
    (command,) = remedy(site, "bundle-incomplete")
    assert again in command


def test_a_missing_tool_is_to_be_installed_by_the_package_that_has_it(site: Any) -> None:
    site.skip("bridge-fdb", "bridge is not installed (not found in PATH)")
    assert remedy(site, "bundle-incomplete") == [
        "apt-get install -y iproute2 || dnf install -y iproute",
        "python3 netdiag_collect.py",
    ]


@pytest.mark.parametrize(
    ("facts", "complaint", "expected"),
    [
        ({"exit_code": 4}, "iptables-save v1.8.9: Permission denied (you must be root)", FINDING),
        ({"exit_code": 1}, "iptables-save: some trouble", FINDING),
        ({"exit_code": 1}, "Error: No such object: 0123456789ab", CLEAN),
        ({"exit_code": 1}, "nsenter: cannot open /run/docker/netns/0123: No such file or directory", CLEAN),
        ({"exit_code": 255}, 'Object "nexthop" is unknown, try "ip help".', CLEAN),
        ({"exit_code": 2}, "RTNETLINK answers: Address family not supported by protocol", CLEAN),
        ({"timed_out": True}, "", FINDING),
        ({"truncated": True}, "", FINDING),
    ],
)
def test_how_a_command_ended(site: Any, facts: dict[str, Any], complaint: str, expected: Verdict) -> None:
    site.facts["host/iptables-save.txt"] = facts
    if complaint:
        line = f"host iptables-save: exit code {facts['exit_code']}: {complaint}"
        site.files["files/collector-log.txt"] += f"2026-11-23T10:15:01.000Z {line}\n"
    assert site.verdict("bundle-incomplete")[0] is expected


def test_a_silent_engine_is_no_incomplete_bundle_and_a_forbidden_one_is(site: Any) -> None:
    for command in ("inspect", "network-inspect", "version"):
        del site.files[f"docker/docker-{command}.txt"]
    for command in ("inspect", "network-inspect"):
        site.skip(f"docker-{command}", f"docker-{command} could not be taken", "docker")
    site.files["docker/docker-info.txt"] = {"ServerErrors": ["Cannot connect to the Docker daemon at unix:///x. Is"]}
    site.facts["docker/docker-info.txt"] = {"exit_code": 1}
    assert site.verdict("bundle-incomplete")[0] is CLEAN
    site.files["files/collector-log.txt"] += (
        "2026-11-23T10:15:01.000Z docker docker-info: exit code 1: permission denied while trying to connect\n"
    )
    verdict, message = site.verdict("bundle-incomplete")
    assert (verdict, "containers, networks" in message) == (FINDING, True)


# --- what is inside of containers -------------------------------------------------------------------------------------


def _unentered(site: Any, reason: str) -> None:
    """Nothing was collected in the namespace of `web`, and the manifest says why."""
    for path in [path for path in site.files if path.startswith(f"netns/{site.WEB}/")]:
        del site.files[path]
    site.skip("ip-addr", reason, f"netns:{site.WEB}")


def test_a_container_that_could_not_be_entered_is_one_note(site: Any) -> None:
    _unentered(site, NEEDS_ROOT)
    assert said(site, "bundle-netns-partial") == [
        f"nothing was collected inside of 1 running container: `web` ({NEEDS_ROOT})"
    ]
    assert said(site, "bundle-incomplete") == []
    assert alarms(site) == []


def test_without_any_rights_the_containers_are_part_of_the_one_note(site: Any) -> None:
    _unentered(site, NEEDS_ROOT)
    site.skip("iptables-legacy-save", "which tables are loaded is not known: /proc/x cannot be read")
    (finding,) = [f for f in site.analysis().findings if f.check.startswith("bundle")]
    assert finding.check == "bundle-incomplete"
    assert any("inside of 1 running container" in evidence.label for evidence in finding.evidence)


def test_a_slow_command_is_not_why_a_container_could_not_be_entered(site: Any) -> None:
    _unentered(site, NEEDS_ROOT)
    site.facts["host/iptables-save.txt"] = {"timed_out": True}
    found = [f.check for f in site.analysis().findings if f.check.startswith("bundle")]
    assert found == ["bundle-incomplete", "bundle-netns-partial"]


def test_a_container_of_which_the_bundle_does_not_speak_is_an_open_question(site: Any) -> None:
    _unentered(site, NEEDS_ROOT)
    site.skipped = site.skipped[:1]
    verdict, reason = site.verdict("bundle-netns-partial")
    assert (verdict, "what is inside of web" in reason) == (UNKNOWN, True)


@pytest.mark.parametrize("mode", ["host", "container:" + "8" * 64])
def test_a_container_without_a_namespace_of_its_own_is_not_missing(site: Any, mode: str) -> None:
    site.docker("inspect").append(site.container("7" * 64, "sidecar", {}, mode=mode))
    assert site.verdict("bundle-netns-partial")[0] is CLEAN


def test_a_container_that_came_meanwhile_is_not_missing(site: Any) -> None:
    late = site.container("7" * 64, "late", {"blue": site.endpoint(site.BLUE, "172.18.0.9")})
    late["State"]["StartedAt"] = "2026-11-23T10:15:09Z"
    site.docker("inspect").append(late)
    clock = {"wall": "2026-11-23T10:15:00Z", "monotonic": 1.0, "timezone": "UTC"}
    assert site.verdict("bundle-netns-partial", clock=clock)[0] is CLEAN


# --- the place --------------------------------------------------------------------------------------------------------


def _in_a_namespace_of_its_own(site: Any) -> None:
    """The host's outputs are those of an empty network namespace."""
    links, _, _ = site.files["host/ip-addr.txt"].partition("2: eth0")
    site.files["host/ip-addr.txt"] = links
    site.files["host/ip-route.txt"] = site.files["host/iptables-save.txt"] = site.files["host/bridge-link.txt"] = ""
    site.files["host/bridge-fdb.txt"] = site.files["host/ip-neigh.txt"] = site.files["host/tc-qdisc.txt"] = ""
    site.files["host/netns.txt"] = "net:[4026531999]\n"


def test_an_engine_of_another_namespace_is_one_finding(site: Any) -> None:
    _in_a_namespace_of_its_own(site)
    site.files["host/ps.txt"] = HEAD + ENGINE
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["bundle-wrong-netns"]
    assert remedy(site, "bundle-wrong-netns") == ["nsenter -t 49 -n python3 netdiag_collect.py"]


def test_where_no_process_is_seen_the_bridges_tell(site: Any) -> None:
    _in_a_namespace_of_its_own(site)
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["bundle-wrong-netns"]
    site.files["host/iptables-save.txt"] = site.RULES
    assert "bundle-wrong-netns" not in {alarm.partition(":")[0] for alarm in alarms(site)}


def test_an_engine_in_a_container_beside_the_own_one_is_no_wrong_place(site: Any) -> None:
    site.files["host/netns.txt"] = "net:[4026531840]\n"
    site.files["host/ps.txt"] = HEAD + ENGINE + ELSEWHERE
    assert site.verdict("bundle-wrong-netns")[0] is CLEAN
    site.files["host/ps.txt"] = HEAD + ELSEWHERE  # and where only that one is seen, the bridges are here
    assert site.verdict("bundle-wrong-netns")[0] is CLEAN


def test_one_bridge_that_is_gone_is_no_wrong_place(site: Any) -> None:
    site.files["host/ip-addr.txt"] = site.files["host/ip-addr.txt"].partition("4: br-")[0]
    assert site.verdict("bundle-wrong-netns")[0] is CLEAN
    assert site.verdict("link-bridge-missing")[0] is FINDING


@pytest.mark.parametrize(
    ("key", "value", "words", "again"),
    [
        ("Name", "desktop7", "another host (desktop7)", "on the host of the engine, desktop7"),
        ("OperatingSystem", "Docker Desktop", "Docker Desktop's virtual machine", "docker run --rm --privileged"),
        ("SecurityOptions", ["name=rootless"], "rootless", "nsenter -U"),
    ],
)
def test_an_engine_that_says_itself_that_it_is_elsewhere(
    site: Any, key: str, value: Any, words: str, again: str
) -> None:
    site.docker("info")[key] = value
    site.files["host/netns.txt"] = "net:[4026531840]\n"
    site.files["host/ps.txt"] = HEAD + ENGINE  # an engine of this host runs too, and was not asked
    verdict, message = site.verdict("bundle-wrong-netns")
    assert (verdict, words in message) == (FINDING, True)
    assert again in remedy(site, "bundle-wrong-netns")[0]


def test_the_same_host_with_and_without_its_domain(site: Any) -> None:
    site.docker("info")["Name"] = "web01.example.org"
    assert site.verdict("bundle-wrong-netns")[0] is CLEAN


# --- networks that are no bridges -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        ("macvlan", "only checks of the route layer look at it"),
        ("overlay", "only checks of the overlay layer look at it"),
        ("weaveworks/net-plugin:latest_release", "netdiag knows nothing of weaveworks/net-plugin"),
    ],
)
def test_a_network_of_another_driver_is_a_note_when_a_container_runs_on_it(site: Any, driver: str, words: str) -> None:
    site.docker("network-inspect").append(site.network("7" * 64, "lan", driver, subnet="192.0.2.0/24"))
    assert site.verdict("bundle-unsupported-driver")[0] is CLEAN
    site.docker("inspect")[0]["NetworkSettings"]["Networks"]["lan"] = site.endpoint("7" * 64, "192.0.2.9")
    assert words in site.verdict("bundle-unsupported-driver")[1]


def test_a_configuration_of_networks_is_none(site: Any) -> None:
    site.docker("network-inspect").append(site.network("7" * 64, "config", "null", ConfigOnly=True))
    site.docker("network-inspect").append(site.network("6" * 64, "mac", "macvlan", ConfigOnly=True))
    assert site.verdict("bundle-unsupported-driver")[0] is CLEAN
