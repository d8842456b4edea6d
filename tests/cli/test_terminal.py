"""What the commands make of the terminal that they run in: its size, colours and letters, and a reader that leaves."""

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STALE = ROOT / "samples" / "checks" / "link-stale-bridge" / "fires"
NETDIAG = [sys.executable, "-m", "netdiag"]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**kept, "PYTHONPATH": paths, "TERM": "xterm", "LANG": "C.UTF-8", **more}


def on_a_terminal(columns: int, *arguments: str | Path, **more: str) -> str:
    """What a command writes to a terminal of so many columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [*NETDIAG, *map(str, arguments)]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment(**more)) as running:
        os.close(its)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # nobody has its end open any more
                break
            written += piece
            if not piece:
                break
        running.wait()
    os.close(ours)
    return written.decode("utf-8").replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 80])
def test_a_finding_keeps_to_the_width_and_its_commands_are_not_broken(columns: int) -> None:
    prose, _, commands = on_a_terminal(columns, "analyze", STALE, NO_COLOR="1").partition("   = repair: ")
    assert prose.startswith("warning[link-stale-bridge]: bridge")
    assert [line for line in prose.splitlines() if len(line) > columns] == []
    assert commands.splitlines()[0] == "ip link delete br-0123456789ab type bridge"


def test_a_terminal_has_colours_and_letters() -> None:
    shown = on_a_terminal(80, "analyze", STALE)
    assert "\x1b[1;33mwarning[link-stale-bridge]\x1b[0m" in shown
    assert "│" in shown


@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_dumb_terminal_and_who_wants_none_get_no_colour(more: dict[str, str]) -> None:
    assert "\x1b" not in on_a_terminal(80, "analyze", STALE, **more)


@pytest.mark.parametrize("more", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "latin-1"}])
@pytest.mark.parametrize("command", ["analyze", "show"])
def test_who_asks_for_the_c_locale_or_has_other_letters_gets_ascii(command: str, more: dict[str, str]) -> None:
    assert on_a_terminal(60, command, STALE, **more).isascii()


@pytest.mark.parametrize("arguments", [("checks",), ("explain", "link-stale-bridge"), ("--help",), ("analyze", STALE)])
def test_a_reader_that_leaves_ends_the_command_without_a_word(arguments: tuple[str, ...], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    errors = tmp_path / "errors"
    with errors.open("wb") as file:
        command = [*NETDIAG, *map(str, arguments)]
        done = subprocess.run(command, stdout=writer, stderr=file, env=environment(), check=False)
    os.close(writer)
    assert (done.returncode, errors.read_text()) == (141, "")


def test_reports_are_written_though_nobody_reads_stdout(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    page = tmp_path / "report.md"
    command = [*NETDIAG, "analyze", str(STALE), "-o", str(page)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.DEVNULL, env=environment(), check=False)
    os.close(writer)
    assert done.returncode == 141
    assert page.read_text(encoding="utf-8").startswith("# Network of ")


def test_a_terminal_gets_no_pdf() -> None:
    shown = on_a_terminal(80, "analyze", STALE, "--format", "pdf")
    assert shown == "netdiag: a terminal shows no PDF: write it to a file with -o FILE.pdf\n"


def test_the_page_of_a_check_is_drawn_for_a_terminal_and_is_markdown_for_all_else() -> None:
    drawn = on_a_terminal(50, "explain", "link-stale-bridge", NO_COLOR="1")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", drawn)
    assert plain.startswith("link-stale-bridge (warning, layer link)\n\n")
    assert [line for line in plain.splitlines() if len(line) > 50] == []
    assert "Not a problem when" in plain
    assert "##" not in plain
    assert "\n## Not a problem when\n" in on_a_terminal(50, "explain", "link-stale-bridge", TERM="dumb")


@pytest.mark.parametrize("arguments", [("checks",), ("analyze", STALE)])
def test_a_full_disk_is_told_in_one_line_and_is_no_finding(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*NETDIAG, *map(str, arguments)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (2, "netdiag: stdout: No space left on device\n")


def test_a_closed_stdout_changes_nothing_but_what_is_seen() -> None:
    command = f"{shlex.join(NETDIAG)} analyze {shlex.quote(str(STALE))} --fail-on warning >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (1, "")
