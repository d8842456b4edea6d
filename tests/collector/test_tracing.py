"""Traces: only on request, by what works here, and never left on."""

import shutil
from pathlib import Path

import pytest

import netdiag_collect as collect

from .fakes import Collected, FakeHost, with_constant


def _perf(fake_host: FakeHost, *, works: bool = True) -> None:
    """A perf that runs the command and leaves a recording, or refuses."""
    recording = (
        'while [ "$1" != -o ]; do shift; done; data=$2; shift 2; [ "$1" = -- ] && shift; "$@"; echo data >"$data"'
    )
    refusal = "echo 'perf not found for kernel 6.1' >&2; exit 2"
    script = f'data=perf; case $1 in record) {recording if works else refusal};; script) echo "line of $*";; esac'
    fake_host.script("perf", script)


def _trace_cmd(fake_host: FakeHost) -> None:
    fake_host.script(
        "trace-cmd",
        'case $1 in record) while [ "$1" != -o ]; do shift; done; echo data >"$2"; shift 2; "$@";; '
        'report) echo "report of $*";; esac',
    )


def _formats(fake_host: FakeHost, *options: str) -> dict[str, str | None]:
    rows = fake_host.collect(*options).manifest["artifacts"]
    return {row["id"]: row["skipped"] for row in rows if row["scope"] == "trace"}


def test_nothing_is_traced_unless_asked_for(fake_host: FakeHost) -> None:
    _perf(fake_host)
    assert _formats(fake_host) == {}


def test_perf_records_while_the_command_runs_and_its_text_is_kept(fake_host: FakeHost) -> None:
    _perf(fake_host)
    _trace_cmd(fake_host)
    fake_host.script("ping", 'echo "pinged $*"')
    bundle = fake_host.collect("--trace-command", "ping -c1 172.17.0.2")
    assert bundle.text("perf-record", "trace") == "pinged -c1 172.17.0.2\n"
    fields = "comm,pid,tid,cpu,time,event,trace"
    assert bundle.text("perf-script", "trace").endswith(f"--ns -F {fields} --show-lost-events\n")
    assert bundle.text("drop-reasons", "trace") == "name: kfree_skb\n"
    assert bundle.artifact("perf-script", "trace")["format"] == "perf_script"
    assert [name for name in bundle.files if "recording" in name] == []
    assert "trace-cmd-record" not in {row["id"] for row in bundle.manifest["artifacts"]}
    assert "perf: " in bundle.stderr
    assert "MB recorded" in bundle.stderr


def test_what_the_kernel_cannot_trace_is_left_out(fake_host: FakeHost) -> None:
    _perf(fake_host)
    argv = fake_host.collect("--trace-command", "true").artifact("perf-record", "trace")["argv"]
    events = ["-e", "net:*", "-e", "skb:kfree_skb", "-e", "tcp:tcp_send_reset"]
    assert argv[:12] == ["perf", "record", "-q", "-a", "-m", "1M", *events]


def test_a_perf_that_does_not_know_an_option_prints_without_it(fake_host: FakeHost) -> None:
    _perf(fake_host)
    script = (fake_host.bin / "perf").read_text().removeprefix("#!/bin/sh\n")
    fake_host.script("perf", f'case "$*" in *--show-lost-events*) exit 129;; esac; {script}')
    assert "lost" not in fake_host.collect("--trace-command", "true").text("perf-script", "trace")


def test_trace_files_that_are_not_mounted_are_not_mounted(fake_host: FakeHost) -> None:
    _perf(fake_host)
    _trace_cmd(fake_host)
    shutil.rmtree(fake_host.folder / "tracing")
    skipped = _formats(fake_host, "--trace-command", "true")
    reason = "the kernel's trace files are not to be seen: that needs root, and tracefs at "
    assert skipped == dict.fromkeys(("perf-record", "trace-cmd-record"), f"{reason}{fake_host.folder / 'tracing'}")


def test_where_perf_fails_trace_cmd_records(fake_host: FakeHost) -> None:
    _perf(fake_host, works=False)
    _trace_cmd(fake_host)
    fake_host.script("sleep", "exit 0")
    bundle = fake_host.collect("--trace", "3")
    assert bundle.artifact("perf-record", "trace")["exit_code"] == 2
    assert bundle.artifact("trace-cmd-report", "trace")["format"] == "trace_cmd_report"
    assert bundle.text("trace-cmd-report", "trace").startswith("report of report -t -i ")


class _Canned(collect.Runner):
    """Writes a recording for whoever records."""

    def __init__(self) -> None:
        super().__init__(timeout=1, max_bytes=4096)
        self.ran: list[str] = []

    def has(self, tool: str, root: str = "") -> bool:
        return True

    def run(self, argv: object, **_: object) -> collect.Result:
        words = [str(word) for word in argv]  # type: ignore[attr-defined]
        self.ran.append(" ".join(words[:2]))
        if words[1] == "record":
            Path(words[words.index("-o") + 1]).write_text("data")
        return collect.Result(words, b"text\n", b"", 0)


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """`traced(states)`: what is run, and why not, while the kernel's tracer goes through these states."""

    def run(*states: str | None) -> tuple[list[str], list[str | None]]:
        told = iter(states)
        monkeypatch.setattr(collect, "tracing_state", lambda: next(told))
        monkeypatch.setattr(collect, "tracing_folder", lambda: str(tmp_path))
        runner = _Canned()
        collector = collect.Collector(str(tmp_path), runner, collect.Masker(), lambda _: None)
        collector._trace("trace-cmd-record", "trace-cmd-report", ["true"])
        return runner.ran, [row["skipped"] for row in collector.rows]

    return run


def test_what_trace_cmd_left_on_is_reset(traced: object) -> None:
    ran, _ = traced(collect.IDLE, "nop, 3 events")  # type: ignore[operator]
    assert ran == ["trace-cmd record", "trace-cmd report", "trace-cmd reset"]


def test_what_it_has_put_back_itself_is_left_alone(traced: object) -> None:
    ran, _ = traced(collect.IDLE, collect.IDLE)  # type: ignore[operator]
    assert ran == ["trace-cmd record", "trace-cmd report"]


def test_the_tracer_of_somebody_else_is_not_touched(traced: object) -> None:
    ran, skipped = traced("function, 0 events")  # type: ignore[operator]
    assert (ran, skipped) == ([], ["somebody else is tracing: function, 0 events"])


KALLSYMS = """\
what is no symbol
0000000000000000 A fixed_percpu_data
ffffffffb4ab6000 T icmp_rcv
ffffffffb4ab6000 T an_alias
ffffffffb4ab6400 T ping_rcv
ffffffffb4ab7000 d a_table
ffffffffc0a3f000 t br_pass\t[bridge]
ffffffffc0a3e000 t br_handle_frame\t[bridge]
"""


def test_an_address_is_in_the_function_that_begins_last_before_it() -> None:
    def named(*addresses: int) -> str:
        return b"".join(collect.functions_at(addresses, KALLSYMS.encode().splitlines())).decode()

    assert named(0xFFFFFFFFB4AB63F2) == "0xffffffffb4ab63f2 icmp_rcv+0x3f2\n"
    assert named(0xFFFFFFFFB4AB6400) == "0xffffffffb4ab6400 ping_rcv+0x0\n"
    assert named(0xFFFFFFFFC0A3E123, 0xFFFFFFFFB4AB63F2, 0xFFFFFFFFB4AB63F3) == (
        "0xffffffffb4ab63f2 icmp_rcv+0x3f2\n"
        "0xffffffffb4ab63f3 icmp_rcv+0x3f3\n"
        "0xffffffffc0a3e123 br_handle_frame+0x123 [bridge]\n"
    )
    assert named(0xFFFFFFFFB4AB7001, 0xFFFFFFFFB4AB5FFF) == ""


def test_where_addresses_are_hidden_nothing_has_a_name() -> None:
    hidden = [b"0000000000000000 T icmp_rcv", b"0000000000000000 t br_pass\t[bridge]"]
    assert collect.functions_at([0xFFFFFFFFB4AB63F2], hidden) == []


def _drops(fake_host: FakeHost, kallsyms: str | None) -> Collected:
    """A trace of drops at two addresses, on a kernel with these symbols."""
    _perf(fake_host)
    script = (fake_host.bin / "perf").read_text().removeprefix("#!/bin/sh\n")
    places = (0xFFFFFFFFB4AB63F2, 0xFFFFFFFFB4AB63F2, 0xFFFFFFFFC0A3E123)
    text = "".join(f"skb:kfree_skb: skbaddr=0xff1d location={place:#x} reason: NO_SOCKET\\n" for place in places)
    fake_host.script("perf", script.replace('echo "line of $*"', f"printf '{text}'"))
    symbols = fake_host.folder / "kallsyms"
    if kallsyms is not None:
        symbols.write_text(kallsyms)
    fake_host.collector.write_text(with_constant(fake_host.collector.read_text(), "KALLSYMS", str(symbols)))
    return fake_host.collect("--trace-command", "true")


def test_the_functions_are_kept_where_a_trace_has_addresses(fake_host: FakeHost) -> None:
    bundle = _drops(fake_host, KALLSYMS)
    named = "0xffffffffb4ab63f2 icmp_rcv+0x3f2\n0xffffffffc0a3e123 br_handle_frame+0x123 [bridge]\n"
    assert bundle.text("drop-places", "trace") == named
    assert bundle.artifact("drop-places", "trace")["format"] == "kernel_functions"


@pytest.mark.parametrize(
    ("kallsyms", "reason"),
    [
        ("0000000000000000 T icmp_rcv\n", " names none of the trace's addresses (kernel.kptr_restrict)"),
        (None, ": No such file or directory"),
    ],
)
def test_addresses_that_have_no_name_here_are_not_passed_over(
    kallsyms: str | None, reason: str, fake_host: FakeHost
) -> None:
    skipped = _drops(fake_host, kallsyms).artifact("drop-places", "trace")["skipped"]
    assert skipped == f"{fake_host.folder / 'kallsyms'}{reason}"


def test_a_trace_that_has_names_needs_none(fake_host: FakeHost) -> None:
    _perf(fake_host)
    assert "drop-places" not in _formats(fake_host, "--trace-command", "true")
