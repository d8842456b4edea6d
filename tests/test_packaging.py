"""The analyzer and the collector are released together, as one distribution."""

import netdiag
import netdiag_collect


def test_the_collector_has_the_version_of_the_analyzer() -> None:
    assert netdiag.__version__ == netdiag_collect.VERSION
