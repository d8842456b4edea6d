"""How long netdiag takes to start and to analyze something small, as ratios to `python3 -c 'import click'` in the same
run.

    python benchmarks/startup.py [ROUNDS]

Every command runs once before the rounds (which fills the caches of Python and of the grammars), then all of them in
turn; the fastest run of each counts, because other work on the machine can only make a run slower. Times are those of
the processor.
"""

import os
import resource
import subprocess
import sys
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


#: With Python's cache of compiled modules, as an installed package has it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    before = _of_children()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env=ENVIRONMENT)
    return _of_children() - before


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
