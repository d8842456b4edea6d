"""How long netdiag takes to start and to analyze something small, as ratios to `python3 -c 'import click'` in the same
run.

    python benchmarks/startup.py [ROUNDS]

Every command runs once before the rounds (which fills the caches of Python and of the grammars), then all of them in
turn; the fastest run of each counts, because other work on the machine can only make a run slower.
"""

import subprocess
import sys
import time
from pathlib import Path

SEED = Path(__file__).resolve().parents[1] / "samples" / "bundles" / "seed"
NETDIAG = [sys.executable, "-m", "netdiag"]

COMMANDS = {
    "import click": ([sys.executable, "-c", "import click"], None),
    "netdiag --help": ([*NETDIAG, "--help"], 3),
    "netdiag analyze seed --format json": ([*NETDIAG, "analyze", str(SEED), "--format", "json"], 15),
    "netdiag analyze seed --format html": ([*NETDIAG, "analyze", str(SEED), "--format", "html"], None),
    "netdiag analyze seed --format pdf": ([*NETDIAG, "analyze", str(SEED), "--format", "pdf"], None),
}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for command, _ in COMMANDS.values():
        seconds(command)
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(rounds):
        for name, (command, _) in COMMANDS.items():
            best[name] = min(best[name], seconds(command))
    base = best["import click"]
    print(f"{'command':40} {'ms':>6} {'ratio':>6}  goal")
    for name, (_, goal) in COMMANDS.items():
        verdict = f"at most {goal}: {'met' if best[name] <= goal * base else 'MISSED'}" if goal else ""
        print(f"{name:40} {best[name] * 1000:6.0f} {best[name] / base:6.1f}  {verdict}".rstrip())


if __name__ == "__main__":
    main()
