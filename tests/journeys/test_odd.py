"""Traces that nobody meant: changed at random, out of order, with numbers beyond all bounds."""

import random

import pytest
from packets import Kernel
from packets import printed as as_text

from netdiag.journeys.observed import Observation

from .conftest import seen


def is_sound(found: Observation) -> bool:
    counted = sum(path.count for path in found.paths) + found.not_in_paths
    latencies = [hop.latency for journey in found.journeys for hop in journey.hops]
    return counted == found.packets and all(latency >= 0 for latency in latencies)


@pytest.mark.parametrize("seed", range(8))
def test_a_changed_trace_is_still_a_trace(seed: int) -> None:
    kernel = Kernel(seed)
    kernel.run(40)
    chance = random.Random(seed)
    text = [*as_text(kernel.events)]
    for _ in range(len(text) // 40):
        text[chance.randrange(len(text))] = chance.choice("0123456789abcdefx:=- \n\x00é[]")
    assert is_sound(seen("".join(text)))


@pytest.mark.parametrize("seed", range(3))
def test_lines_in_any_order_are_read(seed: int) -> None:
    kernel = Kernel(seed)
    kernel.run(40)
    lines = as_text(kernel.events).splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    assert is_sound(seen("".join(lines)))


def test_numbers_beyond_all_bounds_do_no_harm() -> None:
    fields = "dev=eth0 skbaddr=0xffffffffffffffff len=2147483647"
    text = "".join(
        f"t {pid} [{cpu:03d}] {second}.000000: net:{name}: {fields} rc=-2147483648\n"
        for second, (name, pid, cpu) in enumerate(
            [("net_dev_queue", 0, 0), ("net_dev_xmit", 2**31 - 1, 32767), ("netif_receive_skb", 1, 999)] * 3
        )
    )
    assert is_sound(seen(text + text.replace("t ", "t ", 1)))


def test_a_trace_of_one_line_and_one_of_none() -> None:
    line = "t 1 [000] 1.000000: net:net_dev_queue: dev=eth0 skbaddr=0xa0 len=98\n"
    assert seen(line).packets == 1
    assert seen("").packets == 0
