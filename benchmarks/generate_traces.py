"""Writes traces of any size as the tools print them: what benchmarks/traces.py and benchmarks/trace_equality.py read.

    python benchmarks/generate_traces.py LAYOUT MEGABYTES FILE

Layouts: function_graph (trace-cmd report, calls with some events among them and lost events), perf_trace_old (perf of
RHEL 7), perf_trace (perf 5 and later), perf_script (samples with call stacks). Blanks, columns and shrinking decimals
are those of the samples in samples/formats; names, times and addresses come from a seed. A trace above 64 MB repeats
its first 64 MB.
"""

import random
import sys
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

MEGABYTE = 10**6
BLOCK = 64 * MEGABYTE

TASKS = ["ping", "Web Content", "runc:[2:INIT]", "tmux: server", "kworker/u8:3", "a-12 b", "nginx", "dockerd", "<idle>"]
TASKS += [f"worker-{number}" for number in range(21)]
DEVICES = ["docker0", "eth0", "br-f975a4dce9f9", "eth0.100"] + [f"veth{number * 7919:07x}" for number in range(40)]
LENGTHS = [42, 54, 66, 74, 84, 98, 590, 1514, *range(60, 1500, 17)]


class Chance(random.Random):
    """A source of names and numbers. Few functions are called often and many seldom, as in a kernel."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.functions = [self._function(number) for number in range(2_500)]
        self._weights = [*accumulate(1 / (rank + 5) for rank in range(len(self.functions)))]
        self.pids = {task: self.randrange(2, 4_194_304) for task in TASKS}

    def _function(self, number: int) -> str:
        words = [
            "ip",
            "tcp",
            "dev",
            "skb",
            "nf",
            "br",
            "napi",
            "sock",
            "queue",
            "xmit",
            "rcv",
            "finish",
            "lock",
            "hook",
        ]
        ending = self.choice(["", "", "", ".isra.0", ".part.106", ".constprop.0", " [nf_tables]", " [bridge]"])
        return f"{'_'.join(self.sample(words, 3))}_{number}{ending}"

    def often(self, count: int) -> list[str]:
        return self.choices(self.functions, cum_weights=self._weights, k=count)


def function_graph(chance: Chance) -> Iterator[str]:
    """Calls of eight CPUs, each with its own stack of calls, for some time of one CPU after the other."""
    open_calls: list[list[tuple[str, int]]] = [[] for _ in range(8)]
    now = 3_110_612_000_000
    yield "cpus=8\n"
    while True:
        cpu = chance.randrange(8)
        calls = open_calls[cpu]
        task = chance.choice(TASKS)
        place = f"{task:>16}-{chance.pids[task]:<7} [{cpu:03}] "
        if chance.random() < 0.02:
            yield f"CPU:{cpu} [{chance.randrange(1, 9999)} EVENTS DROPPED]\n"
        for function in chance.often(chance.randrange(20, 120)):
            now += chance.choice((0, 1, 1, 2, 3, 8, 40))
            head = f"{place}{now // 10**6:5}.{now % 10**6:06}: "
            choice = chance.random()
            if choice < 0.3 and len(calls) < 18:
                yield f"{head}funcgraph_entry:                   |  {'  ' * len(calls)}{function}() {{\n"
                calls.append((function, now))
            elif choice < 0.6 and calls:
                _, entered = calls.pop()
                lasted = printed_duration((now - entered) * 1000 + chance.randrange(1000))
                yield f"{head}funcgraph_exit:       {lasted}|  {'  ' * len(calls)}}}\n"
            elif choice < 0.97:
                lasted = printed_duration(int(chance.lognormvariate(6.5, 1.2)))
                yield f"{head}funcgraph_entry:      {lasted}|  {'  ' * len(calls)}{function}();\n"
            else:
                yield f"{head}{'net_dev_queue:':<21} {packet_fields(chance)}\n"


MARKS = (("$", 10**9), ("@", 10**8), ("*", 10**7), ("#", 10**6), ("!", 10**5), ("+", 10**4))


def printed_duration(nanoseconds: int) -> str:
    """As trace-cmd prints it: a sign for long ones, and as many decimals as there is room for."""
    number = f"{nanoseconds // 1000}.{nanoseconds % 1000:03}"[:7].rstrip(".")
    mark = next((sign for sign, least in MARKS if nanoseconds > least), " ")
    return f"{mark} {number} us ".ljust(13)


def packet_fields(chance: Chance) -> str:
    return f"dev={chance.choice(DEVICES)} skbaddr=0xffff{chance.getrandbits(40):010x}00 len={chance.choice(LENGTHS)}"


def perf_trace_old(chance: Chance) -> Iterator[str]:
    now = 0
    while True:
        skb = f"0xffff{chance.getrandbits(40):010x}00"
        length = chance.choice(LENGTHS)
        for event in ("net_dev_queue", "net_dev_xmit", "netif_rx", "netif_receive_skb"):
            now += chance.randrange(2, 90)
            ending = " rc=0" if event == "net_dev_xmit" else ""
            fields = f"dev={chance.choice(DEVICES)} skbaddr={skb} len={length}{ending}"
            yield f"{now // 1000:6}.{now % 1000:03} net:{event}:{fields})\n"


def perf_trace(chance: Chance) -> Iterator[str]:
    now = 0
    while True:
        skb = f"0xffff{chance.getrandbits(40):010x}00"
        length, sender, receiver = chance.choice(LENGTHS), chance.choice(DEVICES), chance.choice(DEVICES)
        task = chance.choice(TASKS)
        place = f"{task}/{chance.pids[task]}"
        headers = (
            f"protocol: 2048, len: {length - 14}, truesize: {chance.choice((768, 832, 2304))}, mac_header_valid: 1, "
            "mac_header: 4294967282"
        )
        for event in (
            f'net_dev_queue(skbaddr: {skb}, len: {length}, name: "{sender}")',
            f'net_dev_start_xmit(name: "{sender}", skbaddr: {skb}, protocol: 2048, len: {length}, network_offset: 14, '
            "transport_offset_valid: 1, transport_offset: 34)",
            f'netif_rx_entry(name: "{receiver}", skbaddr: {skb}, {headers})',
            f'netif_rx(skbaddr: {skb}, len: {length - 14}, name: "{receiver}")',
            "netif_rx_exit()",
            f'net_dev_xmit(skbaddr: {skb}, len: {length}, name: "{sender}")',
            f'netif_receive_skb(skbaddr: {skb}, len: {length - 14}, name: "{receiver}")',
        ):
            now += chance.randrange(2, 60)
            yield f"{now // 1000:6}.{now % 1000:03} {place} net:{event}\n"


def perf_script(chance: Chance) -> Iterator[str]:
    """Samples of two counters and of an event; a third of the stacks is new each time, the others come again."""
    now = 5_591_992_995
    modules = ["[kernel.kallsyms]"] * 6 + ["[nf_tables]", "/usr/lib/libc.so.6", "/opt/my tools/tool (old)"]
    frames = [
        f"\t{0xFFFFFFFF81000000 + 0x140 * number:16x} {name}+{hex(offset)} ({chance.choice(modules)})\n"
        for number, name in enumerate(chance.functions)
        for offset in chance.sample(range(1, 0x140), 5)
        if " " not in name
    ]
    often = [*accumulate(1 / (rank + 20) for rank in range(len(frames)))]
    known: list[str] = []
    while True:
        if len(known) < 2_000 or chance.random() < 0.3:
            stack = "".join(chance.choices(frames, cum_weights=often, k=chance.randrange(6, 30)))
            known.append(stack)
        else:
            stack = known[int(len(known) * chance.random() ** 3)]
        now += chance.randrange(5, 400)
        task = chance.choice(TASKS)
        head = f"{task} {chance.pids[task]:5} [{chance.randrange(8):03}] {now // 10**6:5}.{now % 10**6:06}: "
        if chance.random() < 0.8:
            yield f"{head}{chance.randrange(1, 4_000_000):10} cycles: \n{stack}\n"
        else:
            yield f"{head}               net:net_dev_queue: {packet_fields(chance)}\n{stack}\n"


LAYOUTS: dict[str, tuple[str, Callable[[Chance], Iterator[str]]]] = {
    "function_graph": ("trace_cmd_report", function_graph),
    "perf_trace_old": ("perf_trace", perf_trace_old),
    "perf_trace": ("perf_trace", perf_trace),
    "perf_script": ("perf_script", perf_script),
}


def generated(layout: str, size: int, seed: str = "netdiag") -> bytes:
    """A trace of about so many bytes."""
    lines, length = [], 0
    for line in LAYOUTS[layout][1](Chance(seed)):
        lines.append(line)
        length += len(line)
        if length >= size:
            break
    return "".join(lines).encode()


def write(layout: str, megabytes: float, path: Path) -> None:
    size = int(megabytes * MEGABYTE)
    block = generated(layout, min(size, BLOCK))
    with path.open("wb") as file:
        for _ in range(max(1, round(size / len(block)))):
            file.write(block)


if __name__ == "__main__":
    write(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
