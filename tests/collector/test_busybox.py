"""A host whose tools are busybox's, as Alpine has them: what they know is read, and what they do not know is said."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netdiag.analysis import analyze

from .fakes import COLLECTOR, DEBIAN_PATH, with_constant

SET_UP = "ip link add br0 type bridge && ip addr add 10.1.0.1/24 dev br0 && ip link set br0 up && ip link set lo up"


@pytest.mark.usefixtures("container_netns")  # skips where no network namespace can be made
def test_what_busybox_prints_is_collected_and_read(tmp_path: Path) -> None:
    busybox = shutil.which("busybox", path=DEBIAN_PATH)
    if not busybox:
        pytest.skip("needs busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    tools, output = tmp_path / "bin", tmp_path / "output"
    for folder in (tools, output):
        folder.mkdir()
    for applet in applets:
        (tools / applet).symlink_to(busybox)
    script = tmp_path / "netdiag_collect.py"
    # of the machine's own, neither tools nor processes, so the one network namespace
    source = with_constant(with_constant(COLLECTOR.read_text(), "PATH_MORE", ()), "PROCESSES", str(output))
    script.write_text(with_constant(with_constant(source, "NAMESPACES", ()), "NICENESS", 0))
    collect = [busybox, "env", f"PATH={tools}", sys.executable, str(script), "-q", "-o", str(output)]
    command = ["unshare", "--net", "sh", "-ec", f'{SET_UP}; exec "$@"', "sh", *collect]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    analysis = analyze(Path(ended.stdout.strip()))
    root = analysis.host.root
    assert sorted(link.name for link in root.links) == ["br0", "lo"]
    assert [str(route.destination) for route in root.routes if route.table == "main"] == ["10.1.0.0/24"]
    assert [f"{each.path}:{line}: {why}" for each in analysis.coverage for line, why in each.unread] == []
    forwarding = root.sysctl("net.ipv4.ip_forward")
    assert (forwarding is not None, root.sysctls.whole) == (True, True)
    assert (root.sockets.items, root.sockets.whole) == ((), True)
    skipped = {each.artifact: each.reason for each in analysis.bundle.not_collected}
    assert skipped["bridge-link"] == "bridge is not installed (not found in PATH)"
