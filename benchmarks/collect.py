"""What the collector costs a host with many containers: time, processor time, memory, size of the bundle.

    sudo python benchmarks/collect.py [CONTAINERS...]        (50, 100 and 200 when none is given)

A real Docker Engine runs so many containers on five networks, as in the live tests, and needs what they need. "own" is
the processor time of the collector itself, "all" that with the commands it runs; the memory is the collector's own, at
its peak.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "live"))
import lab

NETWORKS = 5
#: Runs a collector; prints seconds, seconds of the processor (own, all), peak MB, MB of the bundle.
MEASURED = """
import os, resource, subprocess, sys, time
clock = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
peak = own = 0
while process.poll() is None:
    for line in open("/proc/%d/status" % process.pid):
        if line.startswith("VmHWM"):
            peak = max(peak, int(line.split()[1]))
    utime, stime = open("/proc/%d/stat" % process.pid).read().rpartition(")")[2].split()[11:13]
    own = max(own, int(utime) + int(stime))
    time.sleep(0.02)
wall = time.monotonic() - clock
used = resource.getrusage(resource.RUSAGE_CHILDREN)
path = process.stdout.read().split()[-1]
own /= os.sysconf("SC_CLK_TCK")
print(wall, own, used.ru_utime + used.ru_stime, peak / 1000, os.path.getsize(path) / 1e6)
"""


def start_containers(host: lab.DockerHost, first: int, last: int) -> None:
    """Start containers, each on one of the networks."""
    for number in range(first, last):
        network = f"net{number % NETWORKS}"
        host.docker("run", "--detach", f"--name=c{number}", f"--network={network}", lab.IMAGE, timeout=300)


def main() -> None:
    counts = sorted(int(argument) for argument in sys.argv[1:]) or [50, 100, 200]
    print("containers  wall s  own s   all s  memory MB  bundle MB  seconds a container")
    with lab.DockerHost() as host:
        for number in range(NETWORKS):
            host.docker("network", "create", f"net{number}")
        host.copy_in(lab.COLLECTOR, "/root/netdiag_collect.py")
        host.run(["mkdir", "-p", "/root/bundles"])
        started = 0
        for count in counts:
            start_containers(host, started, count)
            started = count
            collector = ["python3", "/root/netdiag_collect.py", "-q", "-o", "/root/bundles"]
            printed = host.run(["python3", "-c", MEASURED, *collector], timeout=900).stdout
            wall, own, used, memory, size = map(float, printed.split())
            print(
                f"{count:10} {wall:7.1f} {own:6.1f} {used:7.1f} {memory:10.1f} {size:10.2f} {wall / count:20.3f}",
                flush=True,
            )
        running = len(json.loads(host.docker("inspect", *[f"c{n}" for n in range(started)]).stdout))
        assert running == started


if __name__ == "__main__":
    main()
