"""The command line as scripts use it: exit codes, what goes to stdout and what to stderr, and how little `--help`
loads.
"""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netdiag import __version__, formats

ROOT = Path(__file__).parents[2]
BUNDLES = ROOT / "samples" / "bundles"
HEALTHY, SEED = BUNDLES / "healthy-nft.tar.gz", BUNDLES / "seed"


def netdiag(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-m", "netdiag", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**kept, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8", **environment},
        check=False,
    )


def test_a_healthy_bundle_exits_with_0() -> None:
    done = netdiag("analyze", HEALTHY)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("note", 1), ("never", 0)])
def test_findings_exit_with_1_unless_never(fail_on: str, code: int) -> None:
    assert netdiag("analyze", SEED, "--fail-on", fail_on).returncode == code


def test_warnings_alone_do_not_fail_by_default() -> None:
    stale = ROOT / "samples" / "checks" / "link-stale-bridge" / "fires"
    assert netdiag("analyze", stale).returncode == 0
    assert netdiag("analyze", stale, "--fail-on", "warning").returncode == 1


def test_what_cannot_be_read_exits_with_2_and_one_line(tmp_path: Path) -> None:
    done = netdiag("analyze", tmp_path / "absent.tar.gz")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "absent.tar.gz" in done.stderr


@pytest.mark.parametrize(("command", "more"), [("analyze", ()), ("show", ()), ("diff", (HEALTHY,))])
def test_what_is_no_bundle_at_all_is_refused_and_not_found_healthy(
    command: str, more: tuple[Path, ...], tmp_path: Path
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Hello,\nthe container cannot reach the database.\n")
    told = "that netdiag reads; `netdiag formats` lists those\n"
    for path, what in ((tmp_path, "none of its 2 files is an output"), (tmp_path / "a.txt", "it is no output")):
        done = netdiag(command, path, *more)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"netdiag: {path.name}: {what} {told}")


@pytest.mark.parametrize("name", ["html", "pdf", "sarif", "junit", "csv"])
def test_documents_are_of_one_bundle(name: str) -> None:
    done = netdiag("analyze", HEALTHY, SEED, "--format", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"netdiag: --format {name} writes the report of one bundle: give one bundle at a time\n"


def test_several_bundles_follow_each_other(tmp_path: Path) -> None:
    done = netdiag("analyze", BUNDLES / "three-faults.tar.gz", SEED, "--format", "concise")
    assert (done.returncode, done.stdout.count("\n")) == (1, 7)


def test_a_wrong_option_exits_with_2() -> None:
    assert netdiag("analyze", HEALTHY, "--format", "poem").returncode == 2


def test_incomplete_evidence_exits_with_3_when_all_is_required() -> None:
    assert netdiag("analyze", SEED, "--require-complete", "--fail-on", "never").returncode == 3
    assert netdiag("analyze", HEALTHY, "--require-complete").returncode == 0


def test_reports_are_written_by_the_ending_of_their_names(tmp_path: Path) -> None:
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    done = netdiag("analyze", HEALTHY, "-o", page, "-o", data)
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert json.loads(data.read_text(encoding="utf-8"))["summary"]["error"] == 0
    assert [line.split()[-1] for line in done.stderr.splitlines()] == [str(page), str(data)]


def test_an_unknown_ending_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    done = netdiag("analyze", HEALTHY, "-o", tmp_path / "report.docx")
    assert (done.returncode, done.stdout) == (2, "")


def test_limits_can_be_lowered_and_raised() -> None:
    done = netdiag("analyze", HEALTHY, "--max-members", "3")
    assert done.returncode == 2
    assert "--max-members" in done.stderr


def test_colour_is_forced_and_forbidden_by_the_environment() -> None:
    assert "\x1b[" not in netdiag("analyze", SEED).stdout
    assert "\x1b[" in netdiag("analyze", SEED, FORCE_COLOR="1").stdout
    assert "\x1b[" not in netdiag("analyze", SEED, FORCE_COLOR="1", NO_COLOR="1").stdout


def test_parse_prints_one_json_object_a_file_with_every_line_accounted_for() -> None:
    files = [SEED / "route_n.txt", SEED / "perf_trace.txt"]
    route, trace = (json.loads(line) for line in netdiag("parse", *files).stdout.splitlines())
    assert route.keys() == trace.keys() == {"path", "format", "lines", "read", "unread", "records"}
    assert (route["format"], route["read"], route["unread"], len(route["records"])) == (
        "route_n",
        route["lines"],
        [],
        4,
    )
    assert (trace["format"], trace["read"], trace["unread"], len(trace["records"])) == ("perf_trace", 13, [], 12)


def test_parse_says_of_a_file_that_no_format_knows_that_no_line_is_read(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Hello,\nthe container cannot reach the database.\n")
    (line,) = netdiag("parse", tmp_path / "note.txt").stdout.splitlines()
    note = json.loads(line)
    assert (note["format"], note["read"], note["unread"]) == (None, 0, [1, 2])


def test_parse_prints_csv_of_all_records() -> None:
    rows = list(csv.DictReader(io.StringIO(netdiag("parse", "--csv", SEED / "route_n.txt").stdout)))
    assert [row["destination"] for row in rows] == [
        "0.0.0.0/0",
        "192.168.2.0/24",
        "192.168.41.0/24",
        "192.168.122.0/24",
    ]


def test_nothing_that_parse_prints_acts(tmp_path: Path) -> None:
    (tmp_path / "route.txt").write_text((SEED / "route_n.txt").read_text().replace("virbr0", "=\u202evir\x9b"))
    printed = netdiag("parse", tmp_path / "route.txt").stdout
    assert '"device": "=\\u202evir\\u009b"' in printed
    assert '""device"": ""=\\u202evir\\x9b""' in netdiag("parse", "--csv", tmp_path / "route.txt").stdout


def test_parse_takes_a_file_for_the_format_that_is_named() -> None:
    (line,) = netdiag("parse", "--format", "ip_addr", SEED / "route_n.txt").stdout.splitlines()
    assert (json.loads(line)["format"], json.loads(line)["records"]) == ("ip_addr", [])


def test_explain_prints_the_page_of_a_check() -> None:
    assert "## Not a problem when" in netdiag("explain", "nat-masquerade-missing").stdout
    assert netdiag("explain", "no-such-check").returncode == 2
    assert "did you mean nat-masquerade-missing or " in netdiag("explain", "nat-masq").stderr


def test_checks_and_formats_are_listed() -> None:
    assert "nat-masquerade-missing" in netdiag("checks").stdout
    assert "iptables_save" in netdiag("formats").stdout


def test_formats_tells_the_commands_the_versions_and_the_kinds_of_samples_within_80_columns() -> None:
    listed = netdiag("formats").stdout
    assert [line for line in listed.splitlines() if len(line) > 80] == []
    told = next(each for each in listed.split("\n\n") if each.startswith("proc_net_softnet_stat:"))
    assert told.splitlines() == [
        "proc_net_softnet_stat: incoming packets of each CPU (/proc/net/softnet_stat)",
        "  commands  cat /proc/net/softnet_stat",
        "  captured  linux-6.18",
        "  typed     linux-3.10, linux-5.10",
    ]


def test_formats_of_one_name_tells_how_each_sample_was_had() -> None:
    done = netdiag("formats", "proc_net_softnet_stat")
    assert "  linux-3.10\n    typed, not captured, from the kernel's net/core/net-procfs.c at 3.10" in done.stdout
    assert netdiag("formats", "poem").stderr == "netdiag: there is no format 'poem'; `netdiag formats` lists them\n"


def test_the_collector_is_printed_byte_for_byte() -> None:
    assert netdiag("collector").stdout.startswith("#!/usr/bin/env python3\n")


def test_collect_hands_its_options_to_the_collector() -> None:
    assert "netdiag_collect" in netdiag("collect", "--help").stdout


def modules_loaded_by(script: str, *names: str) -> list[str]:
    """Which of these modules a Python script has loaded when it ends."""
    ending = f"import sys; print(*sorted({set(names)!r} & set(sys.modules)))"
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", f"{script}\n{ending}"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return done.stdout.splitlines()[-1].split()


def running(*words: str) -> str:
    """A program that runs a command, and may go on then."""
    return f"""
import sys
sys.argv = {["netdiag", *words]!r}
from netdiag.cli import main
try:
    main()
except SystemExit:
    pass
"""


def test_help_loads_no_heavy_module() -> None:
    script = running("--help")
    heavy = ("pandas", "lark", "pyarrow", "jsonschema", "weasyprint", "jinja2", "rich")
    assert modules_loaded_by(script, "click", *heavy) == ["click"]


def test_short_traces_are_read_without_what_long_ones_need() -> None:
    script = running("analyze", str(BUNDLES / "seed"), "--format", "json")
    for_long_ones = ("pandas", "pyarrow", "netdiag.traces.reading", "concurrent.futures.process", "jinja2")
    assert modules_loaded_by(script, "numpy", *for_long_ones) == ["numpy"]


def test_a_small_analysis_starts_no_threads() -> None:
    script = running("analyze", str(BUNDLES / "seed"), "--format", "json")
    script += 'import os; print("numpy" in sys.modules, len(os.listdir("/proc/self/task")), file=sys.stderr)'
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr.splitlines()[-1] == "True 1"


def test_what_tells_of_plug_ins_is_not_loaded_where_there_are_none() -> None:
    script = "import sys; from netdiag.checks import all_checks; all_checks()"
    assert modules_loaded_by(script, "netdiag.checks", "importlib.metadata", "email") == ["netdiag.checks"]


def test_nothing_that_draws_for_a_watcher_is_loaded_where_nobody_watches() -> None:
    bundle = BUNDLES / "three-faults.tar.gz"
    script = running("analyze", str(bundle), "--format", "concise")
    assert modules_loaded_by(script, "lark", "rich", "pandas", "jinja2") == ["lark"]


def test_analyze_to_json_loads_neither_pandas_nor_weasyprint_without_a_trace() -> None:
    bundle = BUNDLES / "three-faults.tar.gz"
    script = f"""
from pathlib import Path
from netdiag.analysis import analyze
from netdiag.report import render
render(analyze(Path({str(bundle)!r})), "json")
"""
    assert modules_loaded_by(script, "lark", "pandas", "pyarrow", "weasyprint", "jinja2") == ["lark"]


def test_show_prints_an_overview_and_tables_in_four_formats() -> None:
    bundle = BUNDLES / "three-faults.tar.gz"
    assert netdiag("show", bundle).stdout.startswith("host        web01, 2026-11-28 05:47 UTC\n")
    assert netdiag("show", bundle, "networks").stdout.startswith("Networks (5):\n")
    (row, *_) = csv.DictReader(io.StringIO(netdiag("show", bundle, "containers", "--format", "csv").stdout))
    assert (row["name"], row["state"]) == ("app", "running")
    assert list(json.loads(netdiag("show", bundle, "links", "--format", "json").stdout)["tables"]) == ["links"]
    assert netdiag("show", bundle, "links", "--format", "markdown").stdout.startswith("### Links (16)\n")
    assert netdiag("show", bundle, "--format", "csv").returncode == 2


SUPPRESS_STALE = '[[suppress]]\ncheck = "link-stale-bridge"\nreason = "known"\nuntil = {}\n'


def test_a_suppressed_finding_does_not_fail_and_does_not_vanish(tmp_path: Path) -> None:
    stale = ROOT / "samples" / "checks" / "link-stale-bridge" / "fires"
    config = tmp_path / "ours.toml"
    config.write_text(SUPPRESS_STALE.format("2999-01-01"))
    done = netdiag("analyze", stale, "--fail-on", "warning", "--config", config)
    assert done.returncode == 0
    assert "suppressed:\n  warning[link-stale-bridge]: " in done.stdout


def test_what_a_suppression_put_aside_counts_again_when_it_has_ended(tmp_path: Path) -> None:
    stale = ROOT / "samples" / "checks" / "link-stale-bridge" / "fires"
    config = tmp_path / "ours.toml"
    config.write_text(SUPPRESS_STALE.format("2020-01-01"))
    done = netdiag("analyze", stale, "--fail-on", "warning", "--config", config)
    assert done.returncode == 1
    assert "suppressed" not in done.stdout
    assert done.stderr == (
        f"netdiag: {config}: suppression of link-stale-bridge ended on 2020-01-01: what it put aside counts again\n"
    )


def test_only_what_is_new_since_the_baseline_fails(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    assert netdiag("analyze", SEED, "-o", old).returncode == 1
    assert netdiag("analyze", SEED, "--baseline", old).returncode == 0
    assert netdiag("analyze", BUNDLES / "three-faults.tar.gz", "--baseline", old).returncode == 1


def test_version_tells_what_reads_the_outputs() -> None:
    first, second = netdiag("--version").stdout.splitlines()
    assert first == f"netdiag {__version__}"
    assert second.startswith(f"{len(formats.names())} formats read by lark 1.")


def test_explain_is_said_inline_when_asked_for() -> None:
    bundle = ROOT / "samples" / "checks" / "link-stale-bridge" / "fires"
    assert " = decided: Gates: the engine is here" in netdiag("analyze", bundle, "--explain").stdout
    assert " = decided: " not in netdiag("analyze", bundle).stdout


def test_the_shell_completes_commands_options_and_names_of_checks() -> None:
    def completed(words: str, number: int) -> list[str]:
        done = netdiag(_NETDIAG_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(number))
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert completed("netdiag sh", 1) == ["show"]
    assert completed("netdiag analyze --base", 2) == ["--baseline"]
    assert completed("netdiag explain link-stale", 2) == ["link-stale-bridge"]
    assert "_netdiag_completion" in netdiag(_NETDIAG_COMPLETE="bash_source").stdout


@pytest.mark.parametrize("name", ["analyze", "diff", "show", "test", "trace"])
def test_the_schemas_are_printed(name: str) -> None:
    schema = json.loads(netdiag("schema", name).stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == f"Result of netdiag {name} --format json"
