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
        ({"exit_code": 2}, "grep: /proc/sys/net/ipv6/conf/veth8b5bf00: No such file or directory", CLEAN),
        ({"exit_code": 255}, 'Object "nexthop" is unknown, try "ip help".', CLEAN),
        ({"exit_code": 2}, "RTNETLINK answers: Address family not supported by protocol", CLEAN),
        ({"exit_code": 3}, "iptables-save v1.4.21: Cannot initialize: iptables who? (do you need to insmod?)", CLEAN),
        ({"exit_code": 1}, "", CLEAN),  # it printed its answer and did not complain, as sysctl of procps 4
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


def _asleep(site: Any) -> None:
    """The engine is stopped, and systemd would start it for the first client: the collector did not ask."""
    for command in ("info", "inspect", "network-inspect", "version"):
        del site.files[f"docker/docker-{command}.txt"]
        reason = "the engine does not run, and systemd would start it when it is asked (docker.socket)"
        site.skip(f"docker-{command}", reason, "docker")
    site.files["host/ps.txt"] = HEAD
    site.files["host/docker-socket.txt"] = "Id=docker.socket\nActiveState=active\nSubState=listening\n"
    site.facts["host/docker-socket.txt"] = {"format": "systemctl_show"}
    site.files["host/docker-unit.txt"] = "Id=docker.service\nActiveState=inactive\nSubState=dead\nResult=success\n"
    site.facts["host/docker-unit.txt"] = {"format": "systemctl_show"}


def test_an_engine_that_sleeps_behind_its_socket_is_down_and_was_not_asked(site: Any) -> None:
    _asleep(site)
    (finding,) = [each for each in site.analysis().findings if each.check == "bundle-docker-down"]
    assert finding.message.startswith("Docker does not answer: its daemon was stopped")
    assert [evidence.span.text for evidence in finding.evidence][:2] == ["SubState=listening", "ActiveState=inactive"]
    assert site.verdict("bundle-incomplete")[0] is CLEAN


def test_who_listens_is_also_known_from_netstat(site: Any) -> None:
    site.files["host/netstat.txt"] = (
        "Active Internet connections (only servers)\n"
        "Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name\n"
        "tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      7/sshd\n"
    )
    site.skip("ss", "ss is not installed (not found in PATH)")
    site.sockets = dict
    assert site.verdict("bundle-incomplete")[0] is CLEAN
    assert [(each.port, each.state) for each in site.analysis().host.root.sockets] == [(22, "LISTEN")]


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


# --- two engines ------------------------------------------------------------------------------------------------------

SECOND = "    700 4026531840 dockerd -H unix:///run/second.sock -p /run/second.pid --bridge={}\n"


def _engines(site: Any, *lines: str, head: str = HEAD) -> None:
    site.files["host/netns.txt"] = "net:[4026531840]\n"
    site.files["host/ps.txt"] = head + "".join(lines)


@pytest.mark.parametrize(
    ("options", "severity"),
    [
        ("none", Severity.WARNING),
        ("none --iptables=false", Severity.WARNING),  # it still deletes docker0
        ("docker0 --iptables=false", Severity.WARNING),
        ("br77", Severity.WARNING),
        ("br77 --iptables=false", Severity.NOTE),
    ],
)
def test_what_a_second_engine_was_told_decides_how_bad_it_is(site: Any, options: str, severity: Severity) -> None:
    _engines(site, ENGINE, SECOND.format(options))
    (finding,) = [f for f in site.analysis().findings if f.check == "bundle-two-daemons"]
    assert finding.severity is severity
    assert finding.remedy[0] == "kill 700; while kill -0 700 2>/dev/null; do sleep 1; done"
    assert ("systemctl restart docker" in finding.remedy) is (severity is Severity.WARNING)


@pytest.mark.parametrize("words", ["/snap/docker/2904/bin/dockerd -p /x.pid", "dockerd -p /run/snap.docker/docker.pid"])
def test_an_engine_of_a_snap_is_ended_by_snap(site: Any, words: str) -> None:
    _engines(site, f"     40 4026531840 {words}\n", ENGINE)
    assert remedy(site, "bundle-two-daemons")[0] == "snap stop --disable docker"


def test_an_engine_in_a_container_with_the_host_s_network_is_stopped_with_it(site: Any) -> None:
    site.docker("inspect").append(site.container("7" * 64, "dind", {}, mode="host", pid=700))
    _engines(site, ENGINE, SECOND.format("none"))
    assert remedy(site, "bundle-two-daemons")[0] == "docker stop dind"


@pytest.mark.parametrize(
    "other",
    [
        ELSEWHERE,  # in a namespace of its own
        "     60 4026531840 /usr/bin/containerd\n",
        "     61 4026531840 /usr/bin/podman system service\n",
        "     62 4026531840 /usr/bin/docker-proxy -proto tcp\n",
        "     63 4026531840 grep dockerd\n",
    ],
)
def test_what_is_no_second_engine_here(site: Any, other: str) -> None:
    _engines(site, ENGINE, other)
    assert site.verdict("bundle-two-daemons")[0] is CLEAN


def test_a_child_that_the_engine_has_just_forked_is_no_second_one(site: Any) -> None:
    child = "    900 4026531840 /usr/bin/dockerd -H fd://\n"
    _engines(site, ENGINE, child)
    assert site.verdict("bundle-two-daemons")[0] is UNKNOWN
    with_parents = "    PID    PPID      NETNS COMMAND\n"
    _engines(
        site,
        "     49       1 4026531840 /usr/bin/dockerd -H fd://\n",
        "    900      49 4026531840 /usr/bin/dockerd -H fd://\n",
        head=with_parents,
    )
    assert site.verdict("bundle-two-daemons")[0] is CLEAN


def test_what_the_second_engine_took_away_is_part_of_the_one_finding(site: Any) -> None:
    _engines(site, ENGINE, SECOND.format("none"))
    site.rules("[0:0] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n", "")
    site.rules(site.TRANSLATION, "")
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["bundle-two-daemons"]


# --- what moved -------------------------------------------------------------------------------------------------------

CLOCK = {"wall": "2026-11-23T10:15:00Z", "monotonic": 1.0, "timezone": "UTC"}
STARTED = "2026-11-20T08:00:00.123456789Z"


def _looks(site: Any, after: dict[str, Any] | None = None, **before: Any) -> dict[str, Any]:
    """A manifest with two looks at the same state, and what was otherwise in one of them."""
    state = site.docker("inspect")[0]["State"]
    state.setdefault("StartedAt", STARTED)
    same = {"interfaces": {"eth0": 2}, "containers": {site.WEB: STARTED}, "rules": {"iptables-save": "a" * 64}}
    return {"clock": CLOCK, "fingerprints": {"before": {**same, **before}, "after": {**same, **(after or {})}}}


def _moved(site: Any, manifest: dict[str, Any]) -> list[str]:
    found = site.analysis(**manifest).findings
    return [f.message.partition("collected: ")[2] for f in found if f.check == "bundle-inconsistent-snapshot"]


def test_the_same_at_both_ends_is_a_good_snapshot(site: Any) -> None:
    assert site.verdict("bundle-inconsistent-snapshot", **_looks(site))[0] is CLEAN


def test_a_container_that_was_restarted_while_inspect_told_the_old_start(site: Any) -> None:
    again = {site.WEB: "2026-11-23T10:15:07Z"}
    manifest = _looks(site, {"containers": again}, containers=again)
    assert _moved(site, manifest) == ["container `web` was restarted"]


def test_a_container_that_was_down_at_the_first_look_and_ran_before_was_restarted(site: Any) -> None:
    again = {site.WEB: "2026-11-23T10:15:07Z"}
    assert _moved(site, _looks(site, {"containers": again}, containers={})) == ["container `web` was restarted"]


def test_a_container_that_was_started_after_the_collection_had_begun(site: Any) -> None:
    site.docker("inspect")[0]["State"]["StartedAt"] = "2026-11-23T10:15:02Z"
    now = {site.WEB: "2026-11-23T10:15:02Z"}
    assert _moved(site, _looks(site, {"containers": now}, containers=now)) == ["container `web` appeared"]


def test_a_job_that_ended_meanwhile_went_away_and_one_that_ended_before_did_not(site: Any) -> None:
    for identity, name, ended in (("7" * 64, "job", "2026-11-23T10:15:03Z"), ("6" * 64, "old", "2026-11-22T00:00:00Z")):
        job = site.container(identity, name, {}, status="exited")
        job["State"]["FinishedAt"] = ended
        site.docker("inspect").append(job)
    assert _moved(site, _looks(site)) == ["container `job` went away"]


def test_containers_that_inspect_did_not_tell_did_not_appear(site: Any) -> None:
    manifest = _looks(site)
    del site.files["docker/docker-inspect.txt"]
    assert _moved(site, manifest) == []


def test_a_rule_that_came_is_shown(site: Any) -> None:
    ban = "[0:0] -A INPUT -s 192.0.2.66/32 -j DROP\n"
    later = site.RULES.replace("[0:0] -A FORWARD -j DOCKER-USER\n", ban + "[9:9] -A FORWARD -j DOCKER-USER\n")
    site.files["after/iptables-save.txt"] = later
    site.facts["after/iptables-save.txt"] = {"scope": "after:host"}
    analysis = site.analysis(**_looks(site, {"rules": {"iptables-save": "b" * 64}}))
    (finding,) = [f for f in analysis.findings if f.check == "bundle-inconsistent-snapshot"]
    assert finding.evidence[0].span.excerpt == ban.rstrip()


def test_containers_that_docker_did_not_tell_of_are_an_open_question(site: Any) -> None:
    manifest = _looks(site, {"containers": None})
    assert site.verdict("bundle-inconsistent-snapshot", **manifest)[0] is UNKNOWN


def test_without_two_looks_it_is_an_open_question(site: Any) -> None:
    assert site.verdict("bundle-inconsistent-snapshot", fingerprints=None)[0] is UNKNOWN


# --- live-restore -----------------------------------------------------------------------------------------------------

OWN_PORT = "[0:0] -A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE\n"


def _started_anew(site: Any, *, container: str = "2026-11-20T08:00:00Z", live_restore: bool = True) -> None:
    """The daemon was started on November 21."""
    site.docker("info")["LiveRestoreEnabled"] = live_restore
    site.docker("inspect")[0]["State"]["StartedAt"] = container
    pid_file = "-rw-r--r-- 1 0 0 3 2026-11-21 06:00:00.000000000 +0000 /var/run/docker.pid\n"
    site.files["host/ls-l.txt"] = pid_file


def _accept(site: Any) -> str:
    (rule,) = [line for line in site.RULES.splitlines(keepends=True) if "-A DOCKER -d 172.18.0.2/32" in line]
    return str(rule)


def _without_proxy(site: Any) -> None:
    site.files["docker/dockerd-cmdline.txt"] += "--userland-proxy=false\n"
    site.files["host/sysctl.txt"] += site.WITHOUT_PROXY
    site.rules("! -d 127.0.0.0/8 -m addrtype", "-m addrtype")
    for device in (site.BRIDGE, "docker0"):
        site.rules(f"[0:0] -A DOCKER -i {device} -j RETURN\n", "")
    site.rules(f"-A DOCKER ! -i {site.BRIDGE} -p tcp", "-A DOCKER -p tcp")
    site.rules(site.MASQUERADE, site.FROM_HOST + site.FROM_HOST.replace(site.BRIDGE, "docker0") + site.MASQUERADE)


@pytest.mark.parametrize(
    ("live_restore", "container", "expected"),
    [
        (True, "2026-11-20T08:00:00Z", CLEAN),
        (True, "2026-11-22T08:00:00Z", NOT_APPLICABLE),
        (False, "2026-11-20T08:00:00Z", NOT_APPLICABLE),
    ],
)
def test_a_container_that_has_it_all_has_not_drifted(
    site: Any,
    live_restore: bool,  # noqa: FBT001
    container: str,
    expected: Verdict,
) -> None:
    _started_anew(site, container=container, live_restore=live_restore)
    assert site.verdict("bundle-live-restore-drift")[0] is expected


@pytest.mark.parametrize(
    ("proxy", "container", "expected"),
    [
        (False, "2026-11-20T08:00:00Z", ["bundle-live-restore-drift"]),
        (False, "2026-11-22T08:00:00Z", ["bridge-hairpin-missing"]),  # then somebody switched it off
        (True, "2026-11-20T08:00:00Z", []),
    ],
)
def test_hairpin_mode_that_was_never_set(
    site: Any,
    proxy: bool,  # noqa: FBT001
    container: str,
    expected: list[str],
) -> None:
    _started_anew(site, container=container)
    if not proxy:
        _without_proxy(site)
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == expected


def test_rules_of_ports_that_did_not_come_back_are_one_finding(site: Any) -> None:
    _started_anew(site)
    for rule in (site.TRANSLATION, OWN_PORT, _accept(site)):
        site.rules(rule, "")
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["bundle-live-restore-drift"]
    assert remedy(site, "bundle-live-restore-drift") == ["docker restart web"]


def test_one_rule_of_a_port_that_is_gone_is_no_drift(site: Any) -> None:
    _started_anew(site)
    site.rules(site.TRANSLATION, "")
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["nat-dnat-missing"]


def test_rules_that_are_gone_for_all_are_no_drift(site: Any) -> None:
    _started_anew(site)
    for rule in (site.TRANSLATION, OWN_PORT, _accept(site), site.MASQUERADE):
        site.rules(rule, "")
    assert site.verdict("bundle-live-restore-drift")[0] is CLEAN


def test_a_daemon_of_unknown_age_is_an_open_question(site: Any) -> None:
    _started_anew(site)
    del site.files["host/ls-l.txt"]
    assert site.verdict("bundle-live-restore-drift")[0] is UNKNOWN
