"""What a careless check of name resolution would take for a fault, or for health. Each test changes one thing of a
sound host.
"""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

CLEAN, FINDING, UNKNOWN = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN
FALLBACK = "dns-resolv-loopback-fallback"

HOST_FILE, RESOLVED_FILE = "files/resolv-conf.txt", "files/resolved-servers.txt"
UPSTREAM = ("resolved-servers", "nm-servers", "dnsmasq-servers")
GOOGLE = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
INTERNAL = "nameserver 127.0.0.11\noptions ndots:0\n"


def asking(site: Any, inside: str, host: str | None, **settings: Any) -> None:
    """The resolv.conf of the container and of the host (none when it does not exist), on an engine without settings."""
    site.files[f"netns/{site.WEB}/resolv-conf.txt"] = inside
    site.docker("inspect")[0]["HostConfig"].update({"Dns": [], **settings})
    if host is None:
        site.skip("resolv-conf", "/etc/resolv.conf: No such file or directory", scope="files")
    else:
        site.files[HOST_FILE] = host
    for artifact in UPSTREAM:
        if RESOLVED_FILE not in site.files or artifact != "resolved-servers":
            site.skip(artifact, f"/run/{artifact}: No such file or directory", scope="files", of="resolv_conf")


def resolved_knows(site: Any, servers: str) -> None:
    site.files[RESOLVED_FILE] = servers
    site.facts[RESOLVED_FILE] = {"format": "resolv_conf"}


def severity_of(site: Any, check: str) -> Severity | None:
    return next((each.severity for each in site.analysis().findings if each.check == check), None)


@pytest.mark.parametrize(
    ("inside", "host", "expected"),
    [
        (GOOGLE, "nameserver 127.0.0.1\n", Severity.WARNING),
        (GOOGLE, "nameserver ::1\n", Severity.WARNING),
        (GOOGLE, "# empty\n", Severity.WARNING),
        (GOOGLE, None, Severity.WARNING),
        (INTERNAL, None, Severity.WARNING),  # before 28 Docker's resolver takes Google's as well
        (f"{INTERNAL}# NO EXTERNAL NAMESERVERS DEFINED\n", None, Severity.ERROR),
        (INTERNAL, "nameserver 127.0.0.1\n", None),  # asked from the host's namespace
        (GOOGLE, GOOGLE, None),  # the host itself asks Google
        ("nameserver 192.0.2.53\n", "nameserver 127.0.0.1\n", None),
    ],
)
def test_docker_takes_servers_of_its_own_for_lack_of_the_hosts(
    site: Any, inside: str, host: str | None, expected: Severity | None
) -> None:
    asking(site, inside, host)
    assert severity_of(site, FALLBACK) is expected


def test_servers_that_somebody_asked_for_are_no_fallback(site: Any) -> None:
    asking(site, GOOGLE, "nameserver 127.0.0.1\n", Dns=["8.8.8.8", "8.8.4.4"])
    assert site.verdict(FALLBACK)[0] is CLEAN
    asking(site, GOOGLE, "nameserver 127.0.0.1\n")
    site.files["files/daemon-json.txt"] = '{"dns": ["8.8.8.8", "8.8.4.4"]}'
    assert site.verdict(FALLBACK)[0] is CLEAN


def test_docker_looks_behind_the_stub_of_systemd_resolved(site: Any) -> None:
    resolved_knows(site, "nameserver 192.0.2.53\n")
    asking(site, "nameserver 192.0.2.53\n", "nameserver 127.0.0.53\n")
    assert site.verdict(FALLBACK)[0] is CLEAN


def test_behind_a_stub_may_be_nothing(site: Any) -> None:
    asking(site, GOOGLE, "nameserver 127.0.0.53\n")
    assert site.verdict(FALLBACK)[0] is FINDING


def test_what_is_behind_a_stub_may_not_be_known(site: Any) -> None:
    site.files[HOST_FILE] = "nameserver 127.0.0.53\n"
    site.files[f"netns/{site.WEB}/resolv-conf.txt"] = GOOGLE
    site.docker("inspect")[0]["HostConfig"]["Dns"] = []
    assert site.verdict(FALLBACK)[0] is UNKNOWN


def test_without_the_settings_of_the_daemon_google_may_be_wanted(site: Any) -> None:
    asking(site, GOOGLE, "nameserver 127.0.0.1\n")
    del site.files["docker/dockerd-cmdline.txt"]
    assert site.verdict(FALLBACK)[0] is UNKNOWN


def test_a_host_that_has_servers_again_has_stale_containers(site: Any) -> None:
    asking(site, GOOGLE, "nameserver 192.0.2.53\n")
    assert site.verdict(FALLBACK)[0] is CLEAN
    assert site.verdict("dns-resolv-stale")[0] is FINDING


def test_containers_that_outlive_the_daemon_are_started_anew_too(site: Any) -> None:
    resolved_knows(site, "nameserver 192.0.2.53\n")
    asking(site, GOOGLE, "nameserver 127.0.0.1\n")
    site.docker("info")["LiveRestoreEnabled"] = True
    (finding,) = [each for each in site.analysis().findings if each.check == FALLBACK]
    assert '"dns": ["192.0.2.53"]' in finding.remedy[0]
    assert finding.remedy[1:] == ("systemctl restart docker", "docker restart web")


# --- look-ups that clash ----------------------------------------------------------------------------------------------

RACE = "dns-conntrack-race"
OLD_KERNEL = "4.15.0-213-generic"


def lost(site: Any, kernel: str | None, look: str = "host", **counters: int) -> None:
    """What `conntrack -S` counted on a kernel, beside so many forwarded packets that it is nothing by itself."""
    site.docker("info")["KernelVersion"] = kernel
    words = " ".join(f"{name}={value}" for name, value in counters.items())
    site.files[f"{look}/conntrack-stats.txt"] = f"cpu=0 found=3 {words}\ncpu=1 found=0 insert_failed=0 drop=0\n"
    site.files["host/nstat.txt"] = "#kernel\nIpForwDatagrams 84123456 0.0\n"


@pytest.mark.parametrize(
    ("kernel", "counters", "expected"),
    [
        (OLD_KERNEL, {"insert_failed": 341, "drop": 312}, Severity.NOTE),
        (OLD_KERNEL, {"insert_failed": 341, "drop": 2}, None),  # all but two were saved
        (OLD_KERNEL, {"insert_failed": 2, "drop": 341}, None),  # the table was full
        ("3.10.0-1160.el7.x86_64", {"insert_failed": 341, "drop": 0}, Severity.NOTE),  # it does not count drops yet
        ("5.6.0", {"insert_failed": 341, "drop": 312}, None),
        ("6.1.0-18-amd64", {"insert_failed": 341, "drop": 312}, None),
    ],
)
def test_packets_are_lost_when_no_clash_resolution_saves_them(
    site: Any, kernel: str, counters: dict[str, int], expected: Severity | None
) -> None:
    asking(site, "nameserver 192.0.2.53\n", "nameserver 192.0.2.53\n")
    lost(site, kernel, **counters)
    assert severity_of(site, RACE) is expected


@pytest.mark.parametrize("server", ["172.18.0.1", "203.0.113.10", "127.0.0.1"])
def test_look_ups_that_the_host_answers_are_not_translated(site: Any, server: str) -> None:
    asking(site, f"nameserver {server}\n", "nameserver 192.0.2.53\n", Dns=[server])
    lost(site, OLD_KERNEL, insert_failed=341, drop=312)
    assert site.verdict(RACE)[0] is CLEAN


def test_without_the_kernels_version_a_loss_may_be_of_no_account(site: Any) -> None:
    asking(site, "nameserver 192.0.2.53\n", "nameserver 192.0.2.53\n")
    lost(site, None, insert_failed=3, drop=3)
    assert site.verdict(RACE)[0] is CLEAN
    lost(site, None, insert_failed=341, drop=312)
    assert site.verdict(RACE, kernel="")[0] is UNKNOWN


def test_a_loss_that_is_large_is_one_finding_of_its_cause(site: Any) -> None:
    asking(site, "nameserver 192.0.2.53\n", "nameserver 192.0.2.53\n")
    lost(site, OLD_KERNEL, insert_failed=34100, drop=31200)
    site.files["host/sysctl.txt"] += "net.netfilter.nf_conntrack_max = 262144\n"
    findings = [each for each in site.analysis().findings if each.check in (RACE, "conntrack-insert-failed")]
    assert [each.check for each in findings] == ["conntrack-insert-failed"]
    assert any("may take 5 s" in each.label for each in findings[0].evidence)
