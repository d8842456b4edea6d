"""`python3 -m netdiag` is `netdiag`."""

from netdiag.cli import main

main()
