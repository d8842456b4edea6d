"""`python3 -m netdiag` is `netdiag`."""

import os

from netdiag.cli import main


def run() -> None:
    """Run a command, and be gone as soon as it is done.

    In an orderly end Python takes a hundred thousand objects and some hundred modules apart first, each by itself: a
    fifth of the time of a small analysis. A profiler that waits for such an end runs `netdiag.cli.main`.
    """
    main(leave=os._exit)


if __name__ == "__main__":
    run()
