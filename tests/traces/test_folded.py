"""Call stacks as folded lines, named as inferno and FlameGraph's scripts name them."""

import subprocess
import sys

from netdiag.spans import Source
from netdiag.traces import read_table
from netdiag.traces.folded import folded

TEXT = """\
Web Content  4885 [001]  6499.330270:     500250 cpu-clock:
\tffffffff81e63976 __dev_queue_xmit+0x486 ([kernel.kallsyms])
\t          10acb3 net::Socket<int>::send(char const*, int)+0x13 (/usr/lib/libnet.so)
\t    7fb46db80400 [unknown] (/opt/tool)
\t        6b04fe18 [unknown] ([unknown])

Web Content  4885 [001]  6499.330770:     500250 cpu-clock:
\tffffffff81e63990 __dev_queue_xmit+0x4a0 ([kernel.kallsyms])
\t          10acb3 net::Socket<int>::send(char const*, int)+0x13 (/usr/lib/libnet.so)
\t    7fb46db80999 [unknown] (/opt/tool)
\t        6b04fe18 [unknown] ([unknown])

java  4886 [001]  6499.331270:     500250 cpu-clock:
\t    7fb46db80400 Ljava/io/PrintStream;::print->Ljava/io/Writer;::write (/tmp/perf-4886.map)
\t    7fb46db80404 net/http.(*Client).Do+0x1 (/opt/tool)

java  4886 [001]  6499.331280: net:net_dev_queue: dev=trx0 skbaddr=0xffff88816c6f2200 len=43
\t    7fb46db80404 (deleted) ([unknown])

java  4886 [001]  6499.331290: net:net_dev_queue: dev=trx0 skbaddr=0xffff88816c6f2200 len=43

c++  4887 [001]  6499.331290: net:netif_rx: dev=trx0 skbaddr=0xffff88816c6f2200 len=43
\t    7fb46db80404 a::(anonymous namespace)::g(std::function<void (int)>)+0x3 (/opt/tool)
\t    7fb46db80404 std::function<void (int)>::call(int) const+0x3 (/opt/tool)
"""


def test_functions_are_named_as_flame_graph_tools_name_them() -> None:
    table = read_table(Source("perf.txt", TEXT, format="perf_script"))
    assert table.ways["columns"] == TEXT.count("\n") - 5
    assert folded(table) == {
        "Web_Content;[unknown];[tool];net::Socket<int>::send;__dev_queue_xmit": 1_000_500,
        "java;net/http.(*Client).Do;java/io/PrintStream:::print;java/io/Writer:::write_[i]": 500_250,
        "java": 1,
        "c++;std::function<void (int)>::call;a::(anonymous namespace)::g": 1,
    }
    assert folded(table, "net_dev_queue") == {"java": 1}


def test_any_name_is_folded() -> None:
    text = TEXT.replace("[unknown] (/opt/tool)", "a;\ud800(int) (/opt/tool)").replace("Web Content", "-")
    assert folded(read_table(Source("perf.txt", text, format="perf_script")), "cpu-clock") == {
        "-;[unknown];a:\ud800;net::Socket<int>::send;__dev_queue_xmit": 1_000_500,
        "java;net/http.(*Client).Do;java/io/PrintStream:::print;java/io/Writer:::write_[i]": 500_250,
    }


def test_nothing_is_folded_of_a_trace_without_stacks() -> None:
    table = read_table(Source("perf.txt", "a 7 [001]  6499.331290: net:netif_rx: dev=trx0\n", format="perf_script"))
    assert folded(table) == {}
    assert folded(table, "another") == {}


FOLD = """
import sys
from netdiag.spans import Source
from netdiag.traces import read_table
from netdiag.traces.folded import folded
folded(read_table(Source("", sys.argv[1], format="perf_script")))
print(*{"pandas", "jsonschema", "click", "numpy"} & sys.modules.keys())
"""


def test_folding_does_not_load_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", FOLD, TEXT], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "numpy\n"
