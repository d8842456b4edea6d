"""Which tables are listed: those that are there, so that looking at them loads and creates nothing."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netdiag_collect as collect

from .fakes import COLLECTOR, DEBIAN_PATH, WEB, Collected, FakeHost, read_bundle

LEGACY_TOOLS = ("iptables-legacy", "iptables-legacy-save", "ip6tables-legacy", "ip6tables-legacy-save")
NOT_LOADED = "table {} is not loaded; listing it would load a kernel module"
NOT_THERE = "table {} does not exist; listing it could create it"


def _firewall(bundle: Collected, scope: str = "host") -> dict[str, Any]:
    """The reason, or None when it was taken, of each firewall artifact of IPv4."""
    rows = (row for row in bundle.manifest["artifacts"] if row["scope"] == scope)
    return {row["id"]: row["skipped"] for row in rows if row["id"].startswith("iptables-")}


def test_of_nft_the_tables_that_iptables_save_prints_are_listed(fake_host: FakeHost) -> None:
    fake_host.hide_machine_tools()
    bundle = fake_host.collect()
    assert _firewall(bundle) == {
        "iptables-version": None,
        "iptables-save": None,
        "iptables-filter": None,
        "iptables-nat": None,
        "iptables-mangle": NOT_THERE.format("mangle"),
        "iptables-raw": NOT_THERE.format("raw"),
        "iptables-security": NOT_THERE.format("security"),
    }
    assert _firewall(bundle, f"netns:{WEB}")["iptables-filter"] == NOT_THERE.format("filter")
    assert _firewall(bundle, f"netns:{WEB}")["iptables-nat"] is None


def test_a_table_that_iptables_nft_cannot_read_is_there_and_its_failure_is_kept(fake_host: FakeHost) -> None:
    fake_host.hide_machine_tools()
    saved = "# Table `raw' is incompatible, use 'nft' tool.\n"
    fake_host.answer("iptables-save", "-c", saved)
    fake_host.behave("iptables", "-t raw -L -v -n -x", "echo incompatible >&2; exit 1")
    bundle = fake_host.collect()
    assert bundle.artifact("iptables-raw")["exit_code"] == 1
    assert _firewall(bundle)["iptables-nat"] == NOT_THERE.format("nat")


def test_without_the_list_of_nft_tables_none_is_listed(fake_host: FakeHost) -> None:
    fake_host.hide_machine_tools()
    fake_host.behave("iptables-save", "-c", "echo 'Permission denied (you must be root)' >&2; exit 4")
    bundle = fake_host.collect()
    unknown = "which tables exist is not known: iptables-save could not be taken"
    assert {_firewall(bundle)[f"iptables-{table}"] for table in ("filter", "nat", "raw")} == {unknown}


def test_without_iptables_everything_of_it_is_skipped(fake_host: FakeHost) -> None:
    fake_host.hide_machine_tools()
    for tool in ("iptables", "iptables-save"):
        fake_host.remove(tool)
    reasons = _firewall(fake_host.collect())
    assert reasons["iptables-version"] == "iptables is not installed (not found in PATH)"
    assert None not in reasons.values()
    assert len(reasons) == 7


def _real(path: Path, prepare: str, *, default: str = "nft") -> Collected:
    """Collect with the real tools in a fresh network namespace, after lines of sh have been run in it."""
    tools = path / "tools"
    tools.mkdir()
    for family in ("iptables", "ip6tables"):
        for suffix in ("", "-save"):
            (tools / (family + suffix)).symlink_to(f"/usr/sbin/xtables-{default}-multi")
    script = f'{prepare}\nexec "$@"'
    command = ["unshare", "--net", "sh", "-ec", script, "sh", sys.executable, str(COLLECTOR), "-q", "-o", str(path)]
    environment = {"PATH": f"{tools}:{DEBIAN_PATH}"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return read_bundle(Path(ended.stdout.splitlines()[-1]))


@pytest.fixture
def both_backends(container_netns: str) -> None:
    if not all(shutil.which(tool, path=DEBIAN_PATH) for tool in (*LEGACY_TOOLS, "iptables-nft", "nft")):
        pytest.skip("needs the package iptables with both backends, and nftables")


@pytest.mark.usefixtures("both_backends")
def test_of_legacy_only_the_loaded_tables_are_listed(tmp_path: Path) -> None:
    bundle = _real(tmp_path, "iptables-legacy -t nat -A PREROUTING -j ACCEPT", default="legacy")
    assert _firewall(bundle) == {
        "iptables-version": None,
        "iptables-save": None,
        "iptables-filter": NOT_LOADED.format("filter"),
        "iptables-nat": None,
        "iptables-mangle": NOT_LOADED.format("mangle"),
        "iptables-raw": NOT_LOADED.format("raw"),
        "iptables-security": NOT_LOADED.format("security"),
        "iptables-nft-save": None,
    }
    assert bundle.files["files/proc/net/ip_tables_names"] == b"nat\n"
    assert "-A PREROUTING -j ACCEPT" in bundle.text("iptables-save")


@pytest.mark.usefixtures("both_backends")
def test_the_other_backend_is_collected_under_its_own_ids(tmp_path: Path) -> None:
    bundle = _real(tmp_path, "iptables-legacy -t raw -A OUTPUT -j ACCEPT; iptables-nft -t nat -A OUTPUT -j ACCEPT")
    taken = sorted(name for name, reason in _firewall(bundle).items() if reason is None)
    assert taken == [
        "iptables-legacy-raw",
        "iptables-legacy-save",
        "iptables-nat",
        "iptables-save",
        "iptables-version",
    ]
    assert bundle.text("iptables-legacy-save").splitlines()[1] == "*raw"
    assert bundle.artifact("iptables-legacy-raw")["argv"][:5] == ["iptables-legacy", "-w", "5", "-t", "raw"]


@pytest.mark.usefixtures("both_backends")
def test_of_a_legacy_default_the_nft_tables_are_the_other_backend(tmp_path: Path) -> None:
    bundle = _real(tmp_path, "iptables-nft -t nat -A OUTPUT -j ACCEPT", default="legacy")
    taken = sorted(name for name, reason in _firewall(bundle).items() if reason is None)
    assert taken == ["iptables-nft-nat", "iptables-nft-save", "iptables-version"]
    assert _firewall(bundle)["iptables-save"] == "no legacy table is loaded"


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("default", ["nft", "legacy"])
def test_collecting_loads_and_creates_no_table(tmp_path: Path, default: str) -> None:
    state = "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; nft list ruleset"
    watch = f"{{ {state}; }} >{tmp_path}/before; trap '{{ {state}; }} >{tmp_path}/after' EXIT"
    _real(tmp_path, f'{watch}\n"$@"\nexit', default=default)
    assert (tmp_path / "before").read_text() == ""
    assert (tmp_path / "after").read_text() == ""


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("iptables v1.4.7", ""),
        ("iptables v1.4.21", " -w"),
        ("iptables v1.6.0", " -w 5"),
        ("iptables v1.8.9 (legacy)", " -w 5"),
        ("iptables: command not found", ""),
    ],
)
def test_iptables_is_told_to_wait_for_its_lock_in_the_words_of_its_version(version: str, words: str) -> None:
    assert collect.lock_wait(version.encode()) == words


@pytest.mark.usefixtures("both_backends")
def test_where_the_lock_is_held_one_listing_waits_for_it_and_the_others_are_skipped(tmp_path: Path) -> None:
    prepare = (
        f"export XTABLES_LOCKFILE='{tmp_path}/lock'\n"
        "for table in filter nat; do iptables-legacy -t $table -A OUTPUT -j ACCEPT; done\n"
        '(exec >/dev/null 2>&1; exec flock "$XTABLES_LOCKFILE" sleep 20) &\n'
        "sleep 0.5"
    )
    bundle = _real(tmp_path, prepare, default="legacy")
    assert bundle.artifact("iptables-filter")["exit_code"] == 4
    assert "holding the xtables lock" in bundle.files["host/iptables-filter.txt.stderr.txt"].decode()
    assert _firewall(bundle)["iptables-nat"] == "another process holds the lock of iptables"
    assert bundle.text("iptables-save").count("-A OUTPUT -j ACCEPT") == 2
