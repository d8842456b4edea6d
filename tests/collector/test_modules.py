"""What the kernel has not loaded is not loaded by looking at it: decisions that this machine's kernel cannot show."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import netdiag_collect as collect

NFT_VERSION = b"iptables v1.8.9 (nf_tables)\n"
LEGACY_VERSION = b"iptables v1.6.1\n"


class CannedRunner(collect.Runner):
    """Has every tool but those that are left out; answers from a table, and with nothing else."""

    def __init__(self, answers: dict[str, bytes], lacks: Sequence[str]) -> None:
        super().__init__(timeout=1, max_bytes=4096)
        self.ran: list[str] = []
        self._answers = answers
        self._lacks = lacks

    def has(self, tool: str, root: str = "") -> bool:
        return tool not in self._lacks

    def run(self, argv: Sequence[str], **_: Any) -> collect.Result:
        self.ran.append(" ".join(argv))
        return collect.Result(list(argv), self._answers.get(self.ran[-1], b""), b"", 0)


@pytest.fixture
def on_host(tmp_path: Path) -> Callable[..., tuple[CannedRunner, dict[str, Any]]]:
    """Collect the host's namespace. Returns what was run, and the reason of each artifact that was skipped."""

    def run(
        answers: dict[str, bytes], legacy_names: bytes | None, lacks: Sequence[str] = ()
    ) -> tuple[CannedRunner, dict[str, Any]]:
        runner = CannedRunner(answers, lacks)
        collector = collect.Collector(str(tmp_path), runner, collect.Masker(), lambda _: None)
        collector._loaded = {("host", name): legacy_names for name in ("ip-tables-names", "ip6-tables-names")}
        collector._space(collect.ON_HOST, collect.HOST)
        return runner, {row["id"]: row["skipped"] for row in collector.rows if row["skipped"]}

    return run


def _kernel(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    monkeypatch.setattr(collect, "kernel_has", lambda module: module in modules)


Run = Callable[..., tuple[CannedRunner, dict[str, Any]]]


def test_nothing_asks_for_nf_tables_when_it_is_not_loaded(monkeypatch: pytest.MonkeyPatch, on_host: Run) -> None:
    _kernel(monkeypatch, "tcp_diag", "udp_diag")
    runner, skipped = on_host({"iptables -V": NFT_VERSION, "ip6tables -V": NFT_VERSION}, b"")
    asking = [command for command in runner.ran if command.startswith(("nft", "iptables", "ip6tables"))]
    assert asking == ["iptables -V", "ip6tables -V"]
    assert skipped["nft-ruleset"] == "nf_tables is not loaded; nft would load this kernel module"
    assert skipped["iptables-save"] == "nf_tables is not loaded; iptables-save would load this kernel module"
    assert skipped["iptables-nat"] == "which tables exist is not known: iptables-save could not be taken"


def test_sockets_are_read_from_proc_when_their_modules_are_not_loaded(
    monkeypatch: pytest.MonkeyPatch, on_host: Run
) -> None:
    _kernel(monkeypatch, "nf_tables", "tcp_diag")
    runner, skipped = on_host({"env PROC_ROOT=/proc ss -tulpn": b"Netid\n"}, b"")
    assert [command for command in runner.ran if "ss -tulpn" in command] == ["env PROC_ROOT=/proc ss -tulpn"]
    assert "ss" not in skipped


def test_an_iptables_that_names_no_backend_is_legacy(monkeypatch: pytest.MonkeyPatch, on_host: Run) -> None:
    _kernel(monkeypatch)
    runner, skipped = on_host({"iptables -V": LEGACY_VERSION}, b"nat\nfilter\n", ["iptables-nft"])
    ipv4 = [command for command in runner.ran if command.startswith("iptables")]
    assert ipv4 == [
        "iptables -V",
        "iptables-save -c",
        "iptables -w 5 -t filter -L -v -n -x",
        "iptables -w 5 -t nat -L -v -n -x",
    ]
    assert skipped["iptables-raw"] == "table raw is not loaded; listing it would load a kernel module"


def test_legacy_tables_that_cannot_be_told_are_not_listed(monkeypatch: pytest.MonkeyPatch, on_host: Run) -> None:
    monkeypatch.setattr("os.path.exists", lambda _: True)
    runner, skipped = on_host({"iptables -V": LEGACY_VERSION}, None)
    unknown = "which tables are loaded is not known: /proc/net/ip_tables_names cannot be read"
    assert (skipped["iptables-save"], skipped["iptables-nat"]) == (unknown, unknown)
    assert "iptables-save -c" not in runner.ran


def test_a_kernel_without_the_legacy_code_has_no_legacy_tables(monkeypatch: pytest.MonkeyPatch, on_host: Run) -> None:
    monkeypatch.setattr("os.path.exists", lambda _: False)
    runner, skipped = on_host({"iptables -V": LEGACY_VERSION}, None)
    assert skipped["iptables-save"] == "no legacy table is loaded"
    assert "iptables-save -c" not in runner.ran


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, True),
        ({"/proc/modules": ""}, False),
        ({"/proc/modules": "", "/sys/module/nf_tables": ""}, True),
        ({"/proc/modules": "", "builtin": "kernel/net/netfilter/nf_tables.ko\n"}, True),
        ({"/proc/modules": "", "builtin": "kernel/net/netfilter/nf-tables.ko\n"}, True),
        ({"/proc/modules": "", "builtin": "kernel/net/netfilter/nf_tables_set.ko\n"}, False),
    ],
    ids=["kernel-without-modules", "not-loaded", "loaded", "built-in", "built-in-with-hyphen", "only-its-neighbour"],
)
def test_a_module_is_there_when_it_is_loaded_or_built_in(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], *, expected: bool
) -> None:
    monkeypatch.setattr("os.path.exists", lambda path: path in files)
    monkeypatch.setattr(collect, "read_text", lambda path: files.get("builtin", "") if "builtin" in path else "")
    assert collect.kernel_has.__wrapped__("nf_tables") is expected
