"""Commands are bounded in time and in size, and an interrupt leaves a whole bundle."""

import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import netdiag_collect as collect

from .fakes import COLLECTOR, DEBIAN_PATH, Collected, FakeHost


def _reasons(bundle: Collected, scope: str) -> dict[str, Any]:
    return {
        row["id"]: row["skipped"] for row in bundle.manifest["artifacts"] if row["scope"] == scope and row["skipped"]
    }


def test_a_command_that_hangs_is_killed_with_its_children(fake_host: FakeHost, tmp_path: Path) -> None:
    fifo = tmp_path / "held-open-while-one-of-them-lives"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    fake_host.behave("ip", "rule", f"echo 'from all'; exec 7>'{fifo}'; /bin/sleep 1000 & /bin/sleep 1000")
    bundle = fake_host.collect("--timeout", "0.5")
    assert os.read(reader, 1) == b"", "a writer of the pipe is still alive"  # raises BlockingIOError then
    os.close(reader)
    row = bundle.artifact("ip-rule")
    assert (row["timed_out"], row["signal"], row["exit_code"]) == (True, signal.SIGKILL, None)
    assert bundle.text("ip-rule") == "from all\n"
    assert bundle.artifact("ip-neigh")["exit_code"] == 0


def test_a_command_that_closes_its_output_and_hangs_is_killed(fake_host: FakeHost) -> None:
    fake_host.behave("ip", "rule", "exec >&- 2>&-; exec /bin/sleep 1000")
    row = fake_host.collect("--timeout", "0.5").artifact("ip-rule")
    assert (row["timed_out"], row["signal"]) == (True, signal.SIGKILL)


def test_a_child_that_left_the_process_group_does_not_hold_it_up(fake_host: FakeHost, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    escape = f"import os, time; os.setsid(); open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
    fake_host.behave("ip", "rule", f'{sys.executable} -c "{escape}" & echo done')
    row = fake_host.collect("--timeout", "2").artifact("ip-rule")
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert (row["timed_out"], row["exit_code"], row["bytes"]) == (True, 0, len("done\n"))


def test_of_a_long_output_head_and_tail_are_kept_and_the_gap_is_counted(fake_host: FakeHost) -> None:
    lines = [f"line {number:06d}\n" for number in range(100_000)]
    fake_host.answer("ifconfig", "-a", "".join(lines))
    bundle = fake_host.collect("--max-bytes", "4096")
    stored = bundle.text("ifconfig")
    assert bundle.artifact("ifconfig")["truncated"] is True
    head, count, tail = re.split(r"\[netdiag: ([0-9]+) bytes left out here\]\n", stored)
    assert "".join(lines).startswith(head)
    assert "".join(lines).endswith(tail)
    assert len(head) + int(count) + len(tail) == len("".join(lines))
    assert min(len(head), len(tail)) > 2000
    assert len(stored) < 4200


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5000])
def test_never_more_than_the_limit_is_held_and_never_less_kept(size: int) -> None:
    stream = bytes(number % 251 + 1 for number in range(size)).replace(b"\n", b"-")
    capped = collect.Capped(1000)
    for start in range(0, size, 7):
        capped.add(stream[start : start + 7])
    assert (len(capped._head) + len(capped._tail), capped.truncated) == (min(size, 1000), size > 1000)
    gap = b"\n[netdiag: %d bytes left out here]\n" % (size - 1000) if size > 1000 else b""
    assert capped.data() == stream[:500] + gap + stream[max(500, size - 500) :]


def test_an_output_of_exactly_the_limit_is_kept_whole(fake_host: FakeHost) -> None:
    fake_host.answer("ifconfig", "-a", "x" * 4096)
    bundle = fake_host.collect("--max-bytes", "4096")
    assert (bundle.artifact("ifconfig")["truncated"], bundle.text("ifconfig")) == (False, "x" * 4096)


#: Runs its arguments and prints, behind their output, the most memory (kB) that they and their children took. It stands
#: between because a process begins with the peak of the one that forked it, and that of a test run is large.
MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def test_half_a_gigabyte_of_output_is_read_in_bounded_memory(fake_host: FakeHost) -> None:
    fake_host.behave("ifconfig", "-a", "/usr/bin/yes 'eth0: flags=4163<UP> mtu 1500' | /usr/bin/head -c 500000000")
    command = [sys.executable, "-c", MEASURED, *fake_host.command()]
    done = subprocess.run(command, env=fake_host.environment, stdout=subprocess.PIPE, text=True, check=True)
    *printed, peak = done.stdout.splitlines(keepends=True)
    row = fake_host.read("".join(printed)).artifact("ifconfig")
    assert (row["truncated"], row["bytes"] <= 16 * 1024 * 1024 + 100) == (True, True)
    assert int(peak) < 80 * 1024


@pytest.fixture
def hangup_is_heeded() -> Iterator[None]:
    """What the tests were told to ignore, as by nohup(1), the collector ignores as well."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def _to_the_process(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    process.send_signal(number)


def _to_a_thread_that_works(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """As the kernel does when the main thread cannot take it. The main thread, which Python lets handle signals, is not
    woken by that; nor is it by a signal that comes just before it begins to wait.
    """
    worker = max(int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir())
    assert (worker != process.pid, ctypes.CDLL(None).tgkill(process.pid, worker, number)) == (True, 0)


@pytest.mark.usefixtures("hangup_is_heeded")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("send", [_to_the_process, _to_a_thread_that_works])
def test_an_interrupt_leaves_a_whole_bundle_of_what_was_there(
    fake_host: FakeHost,
    tmp_path: Path,
    send: Callable[["subprocess.Popen[str]", signal.Signals], None],
    number: signal.Signals,
) -> None:
    fifo = tmp_path / "opened-when-it-runs"
    os.mkfifo(fifo)
    fake_host.behave("ss", "-tulpn", f"echo started >'{fifo}'; exec /bin/sleep 1000")
    with subprocess.Popen(
        fake_host.command("--jobs", "1"),
        env=fake_host.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert fifo.read_text() == "started\n"
        send(process, number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    bundle = fake_host.read(stdout)
    assert bundle.artifact("ip-addr")["exit_code"] == 0
    assert (bundle.artifact("ss")["signal"], bundle.artifact("ss")["timed_out"]) == (signal.SIGKILL, False)
    assert _reasons(bundle, "host")["sysctl"] == "interrupted"
    assert _reasons(bundle, "docker")["docker-ps"] == "interrupted"
    assert list(fake_host.output.iterdir()) == []


def test_a_docker_that_hangs_costs_one_time_limit(fake_host: FakeHost) -> None:
    fake_host.script("docker", "exec /bin/sleep 1000")
    bundle = fake_host.collect("--timeout", "0.5")
    assert bundle.artifact("docker-version", "docker")["timed_out"] is True
    reasons = _reasons(bundle, "docker")
    asked = {name: reason for name, reason in reasons.items() if name != "dockerd-cmdline"}
    assert asked == dict.fromkeys(
        ["docker-info", "docker-ps", "docker-inspect", "docker-network-ls", "docker-network-inspect", "docker-events"],
        "an earlier docker command did not answer within 0.5 s",
    )
    assert bundle.artifact("iptables-nat")["exit_code"] == 0


def test_a_dead_engine_is_a_failure_of_each_question_and_of_no_more(fake_host: FakeHost) -> None:
    message = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    fake_host.script("docker", f"echo '{message}' >&2; exit 1")
    bundle = fake_host.collect()
    row = bundle.artifact("docker-ps", "docker")
    assert (row["exit_code"], row["bytes"]) == (1, 0)
    assert bundle.files[row["stderr_path"]].decode() == message + "\n"
    assert _reasons(bundle, "docker")["docker-inspect"] == "docker-ps did not tell what there is to inspect"
    assert bundle.artifact("iptables-nat")["exit_code"] == 0


def test_without_docker_everything_of_docker_is_skipped_with_the_reason(fake_host: FakeHost) -> None:
    fake_host.remove("docker")
    reasons = _reasons(fake_host.collect(), "docker")
    del reasons["dockerd-cmdline"]
    assert set(reasons.values()) == {"docker is not installed (not found in PATH)"}
    assert len(reasons) == 7


@pytest.mark.parametrize("tool", ["bridge", "ifconfig", "nft", "ss", "iptables-save"])
def test_a_missing_tool_is_named_and_costs_only_its_own_output(fake_host: FakeHost, tool: str) -> None:
    fake_host.hide_machine_tools()
    fake_host.remove(tool)
    reasons = _reasons(fake_host.collect(), "host")
    assert f"{tool} is not installed (not found in PATH)" in reasons.values()
    assert not {"ip-addr", "ip-route", "sysctl"} & reasons.keys()


def test_a_tool_that_cannot_be_started_is_a_failure(fake_host: FakeHost) -> None:
    (fake_host.bin / "docker").write_bytes(b"\x7fELF, but no program")
    bundle = fake_host.collect()
    row = bundle.artifact("docker-info", "docker")
    assert (row["exit_code"], row["skipped"]) == (126, None)
    assert "Exec format error" in bundle.files[row["stderr_path"]].decode()


def test_sysctls_are_stored_as_sysctl_prints_them_where_grep_cannot_leave_out_too(fake_host: FakeHost) -> None:
    text = "/proc/sys/net/ipv4/ip_forward:1\n/proc/sys/net/ipv4/conf/eth0.5/arp_filter:0\n"
    (fake_host.folder / "sysctls").write_text(text)
    fake_host.script("grep", "echo unrecognized option >&2; exit 2")
    fake_host.script("find", f"exec /bin/cat '{fake_host.folder}/sysctls'")
    bundle = fake_host.collect()
    assert bundle.text("sysctl") == "net.ipv4.ip_forward = 1\nnet.ipv4.conf.eth0/5.arp_filter = 0\n"
    assert bundle.artifact("sysctl")["argv"][:2] == ["find", "/proc/sys/net"]


@pytest.mark.skipif(not shutil.which("sysctl", path=DEBIAN_PATH), reason="needs sysctl (Debian: procps)")
@pytest.mark.usefixtures("container_netns")  # skips where no network namespace can be made
@pytest.mark.parametrize("command", [collect.READ_SYSCTLS, collect.FIND_SYSCTLS], ids=["grep", "find"])
def test_what_is_read_of_proc_are_the_settings_that_sysctl_prints(command: str) -> None:
    def printed(argv: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["unshare", "--net", *argv], env={"PATH": DEBIAN_PATH}, capture_output=True, check=False)

    read = printed(shlex.split(command))
    settings = set(collect.as_sysctl(read.stdout).decode().splitlines())
    told = set(printed(["sysctl", "-a", "--pattern", r"^net\."]).stdout.decode().splitlines())
    left_out = re.compile(
        r"tcp_fastopen_key|stable_secret|bpf_jit_|\.(?:base_reachable|retrans)_time "
    )  # or deprecated
    assert read.returncode == 0
    assert {line for line in settings ^ told if not left_out.search(line)} == set()
    assert "net.ipv4.ip_local_reserved_ports = " in settings


def test_netstat_says_who_listens_where_there_is_no_ss(fake_host: FakeHost) -> None:
    fake_host.hide_machine_tools()
    fake_host.answer("netstat", "-tulpn", "with netstat\n")
    ids = [row["id"] for row in fake_host.collect().manifest["artifacts"] if row["scope"] == "host"]
    assert "netstat" not in ids
    fake_host.remove("ss")
    bundle = fake_host.collect("--label", "again")
    assert bundle.text("netstat") == "with netstat\n"
    assert bundle.artifact("ss")["skipped"] == "ss is not installed (not found in PATH)"


def test_of_a_ps_that_cannot_select_the_lines_that_are_wanted_are_kept(fake_host: FakeHost) -> None:
    fake_host.script(
        "ps",
        "[ \"$*\" = '-o pid,args' ] || { echo invalid option >&2; exit 1; }\n"
        "echo 'PID   COMMAND'; echo '   49 /usr/bin/dockerd -H fd://'; echo '   57 /usr/bin/docker-proxy -proto tcp'",
    )
    bundle = fake_host.collect()
    assert bundle.text("dockerd") == "PID   COMMAND\n   49 /usr/bin/dockerd -H fd://\n"
    assert bundle.text("docker-proxy") == "PID   COMMAND\n   57 /usr/bin/docker-proxy -proto tcp\n"
    assert bundle.text("network-managers") == "PID   COMMAND\n"


def test_an_engine_that_asking_would_start_is_not_asked(fake_host: FakeHost) -> None:
    asked = fake_host.folder / "asked"
    fake_host.script("docker", f"echo x >>'{asked}'; exit 1")
    fake_host.script("systemctl", 'case "$2" in docker.socket) echo SubState=listening;; *) echo SubState=dead;; esac')
    reasons = _reasons(fake_host.collect(), "docker")
    assert not asked.exists()
    assert (
        reasons["docker-info"] == "the engine does not run, and systemd would start it when it is asked (docker.socket)"
    )
    fake_host.collect("--label", "again", "--allow-system-changes")
    assert asked.exists()


def test_an_old_ip_is_asked_without_details(fake_host: FakeHost) -> None:
    fake_host.behave("ip", "-d -s addr", "echo \"ip: invalid option -- 'd'\" >&2; exit 1")
    fake_host.answer("ip", "addr", "1: lo: <LOOPBACK,UP>\n")
    bundle = fake_host.collect()
    assert (bundle.artifact("ip-addr")["argv"], bundle.text("ip-addr")) == (["ip", "addr"], "1: lo: <LOOPBACK,UP>\n")


def test_commands_run_in_the_c_locale_without_standard_input(fake_host: FakeHost) -> None:
    fake_host.environment |= {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}
    fake_host.behave("ip", "rule", 'echo "$LC_ALL $LANG"; if read -r line; then echo "input $line"; fi; pwd')
    ended = subprocess.run(
        fake_host.command(), env=fake_host.environment, input="typed\n" * 99, capture_output=True, text=True, check=True
    )
    assert fake_host.read(ended.stdout).text("ip-rule") == "C C\n/\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--timeout", "soon"],
        ["--max-bytes", "5"],
        ["--frobnicate"],
        ["extra"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_exits_with_2(options: list[str], tmp_path: Path) -> None:
    command = [sys.executable, str(COLLECTOR), "-o", str(tmp_path), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, list(tmp_path.iterdir())) == (2, "", [])


def test_without_a_bundle_it_exits_with_1_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, str(COLLECTOR), "-q", "-o", str(tmp_path / "file")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"netdiag: no bundle: [Errno 17] File exists: '{tmp_path / 'file'}'\n"


def test_runs_of_one_second_get_names_of_their_own(tmp_path: Path) -> None:
    moment = 1_000_000_000.0
    stages = [collect.claimed(str(tmp_path), "a/b", moment) for _ in range(2)]
    Path(stages[0][1]).rename(tmp_path / f"{stages[0][0]}.tar.gz")
    stages.append(collect.claimed(str(tmp_path), "a/b", moment))

    name = f"netdiag-{os.uname().nodename}-a-b-20010909T0146"
    assert [stem for stem, _ in stages] == [f"{name}40Z", f"{name}41Z", f"{name}42Z"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{name}41Z", f".{name}42Z", f"{name}40Z.tar.gz"]
    assert Path(stages[1][1]).stat().st_mode & 0o777 == 0o700
