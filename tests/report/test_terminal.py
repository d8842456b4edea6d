"""The report for a terminal: what a support engineer reads first.

The golden files are whole pages; `ACCEPT=1 pytest tests/report` rewrites them, and a person reads them.
"""

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netdiag.bundle import Bundle, NotCollected, Problem
from netdiag.finding import Confidence, Evidence, Finding, Outcome, Role, Severity, Subject, Verdict
from netdiag.model import Engine, Facts, Host, Namespace
from netdiag.report.snippet import Look, draw
from netdiag.report.terminal import describe, render
from netdiag.report.visible import UNSAFE, cells, columns
from netdiag.results import Analysis, CheckCard, SourceCoverage
from netdiag.spans import Source, Span

GOLDEN = Path(__file__).parent / "golden"
SGR = re.compile(r"\x1b\[[0-9;]*m")


def page(
    analysis: Analysis, *, colour: bool = False, width: int = 100, unicode: bool = True, pedantic: bool = False
) -> str:
    return render(analysis, colour=colour, width=width, unicode=unicode, pedantic=pedantic)


def expect(name: str, actual: str) -> None:
    """`actual` is what the golden file says."""
    path = GOLDEN / name
    if os.environ.get("ACCEPT"):
        path.write_bytes(actual.encode())
    assert actual == path.read_bytes().decode()


@pytest.fixture
def odd() -> Analysis:
    """Evidence that is hard to draw, in sources that are hard to draw."""
    inspect = Source("docker/inspect.json", '[{"Labels":{' + '"k":"v",' * 40 + '"a":""},"Name":"/web","Id":"1"}]')
    wide = Source(
        "host/ip_addr.txt",
        "2: 前端网络0: <UP>\tmtu 1500\tmaster br0\n\n3: eth\x1b[2J\u202e0\r: <UP>\0\r\n",
        "ip addr",
    )
    rules = Source(
        "host/iptables_save.txt",
        "*nat\n" + "".join(f"-A POSTROUTING -s 10.{n}.0.0/16 -j MASQUERADE\n" for n in range(12)) + "COMMIT\n",
        f"docker exec {'0123456789abcdef' * 12} iptables-save",
    )
    why = "The first line of it.\n    The second,\twith a tab."

    def finding(message: str, *evidence: Evidence) -> Finding:
        return Finding(
            "link-bridge-down",
            Severity.WARNING,
            Confidence.HIGH,
            "A bridge is down",
            message,
            (Subject("bridge", "br0"),),
            evidence,
            why,
            (),
            (),
        )

    name = inspect.text.index('"Name"') + 1
    findings = (
        finding(
            "wide characters and tabs stand over their carets",
            Evidence(wide.span(1, wide.text.index("master") + 1, wide.text.index("br0") + 4), "here"),
            Evidence(wide.span(1, 4, 8), "the link", Role.RELATED),
            Evidence(wide.span(2), "an empty line", Role.RELATED),
            Evidence(wide.span(3, 12, 13), "", Role.RELATED),
            Evidence(wide.span(3, 15), "to the end", Role.RELATED),
        ),
        finding(
            "a line of JSON is cut around the key",
            Evidence(
                inspect.span(1, name, name + 13), "a label of so many words that it does not fit beside the carets"
            ),
            Evidence(inspect.span(1, 3), "a span longer than the page", Role.RELATED),
        ),
        finding(
            "many lines are cut in the middle",
            Evidence(rules.span_of_lines(2, 13), "twelve rules"),
            Evidence(Span(rules, 13, 1, 14, 4), "the last rule\nand\x1b[5m the end", Role.RELATED),
        ),
    )
    unread = tuple((line, "not expected here") for line in range(2, 9))
    return replace(
        _nothing(),
        findings=findings,
        outcomes=(
            Outcome("link-bridge-down", Verdict.FINDING, "2 namespaces were not collected", ("a",), ("ip -d link",)),
            Outcome("link-bridge-missing", Verdict.UNKNOWN, "no list of links", ("a",), ("ip -d link", "docker ps")),
            Outcome("link-stale-bridge", Verdict.UNKNOWN, "no list of links", ("a",), ("docker ps",)),
            Outcome("link-veth-orphan", Verdict.UNKNOWN),
        ),
        coverage=(
            SourceCoverage("host/iptables_save.txt", "", "iptables_save", 14, 7, unread, source=rules),
            SourceCoverage("docker/inspect.json", "", "", 1, 0, (), "no format recognises it", source=inspect),
        ),
    )


def _nothing() -> Analysis:
    host = Host("", (Namespace("host", "host"),), Facts(), Facts(), Engine())
    return Analysis(Bundle("odd", "", "yesterday", "", ()), (), (), host, (), ())


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_page_in_ascii(analysis: Analysis, width: int) -> None:
    expect(f"analysis-{width}-ascii.txt", page(analysis, width=width, unicode=False))


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_page_in_unicode(analysis: Analysis, width: int) -> None:
    expect(f"analysis-{width}-unicode.txt", page(analysis, width=width))


def test_the_page_in_colour(analysis: Analysis) -> None:
    expect("analysis-100-colour.txt", page(analysis, colour=True))


@pytest.mark.parametrize("kind", ["ascii", "unicode"])
def test_the_page_of_a_hostile_bundle(hostile: Analysis, kind: str) -> None:
    expect(f"hostile-100-{kind}.txt", page(hostile, unicode=kind == "unicode", pedantic=True))


def test_the_page_of_a_healthy_host(healthy: Analysis) -> None:
    expect("healthy-100-unicode.txt", page(healthy))


@pytest.mark.parametrize("width", [100, 60])
def test_what_was_put_aside_is_the_page_that_was_read(width: int, put_aside: Analysis) -> None:
    expect(f"put-aside-{width}-unicode.txt", page(put_aside, width=width))


def test_the_page_of_one_loose_file(bare: Analysis) -> None:
    expect("bare-60-ascii.txt", page(bare, width=60, unicode=False))


@pytest.mark.parametrize(("width", "kind"), [(60, "ascii"), (100, "unicode")])
def test_evidence_that_is_hard_to_draw(odd: Analysis, width: int, kind: str) -> None:
    expect(f"odd-{width}-{kind}.txt", page(odd, width=width, unicode=kind == "unicode"))


def test_colour_changes_nothing_but_colour(analysis: Analysis) -> None:
    assert SGR.sub("", page(analysis, colour=True)) == page(analysis)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("colour", [True, False])
def test_no_name_in_a_bundle_reaches_the_terminal_as_a_command(
    hostile: Analysis, *, unicode: bool, colour: bool
) -> None:
    shown = page(hostile, colour=colour, unicode=unicode, pedantic=True)
    bare_text = SGR.sub("", shown) if colour else shown
    assert UNSAFE.findall(bare_text.replace("\n", "")) == []
    assert "\\x9b31m" in bare_text


@pytest.mark.parametrize("unicode", [True, False])
def test_nothing_that_the_page_prints_can_act(odd: Analysis, *, unicode: bool) -> None:
    """Every text of an analysis that could come from a bundle, one way or another, is made to attack."""
    attack = "x\x1b[2J\r\n\t\x9b31m\u202e\u2066\u200b\ufeff\ud800y"
    source = Source(f"path{attack}", f"line{attack}\n", f"command{attack}", trouble=f"trouble{attack}")
    finding = replace(
        odd.findings[0],
        check=f"check{attack}",
        message=f"message{attack}",
        why=f"why{attack}",
        remedy=(f"remedy{attack}",),
        verify=(f"verify{attack}",),
        evidence=(Evidence(source.span(1, 2), f"label{attack}"), Evidence(source.span_of_lines(1, 2), f"all{attack}")),
    )
    case = replace(
        odd,
        bundle=replace(
            odd.bundle,
            name=f"name{attack}",
            collected_at=f"time{attack}",
            not_collected=(NotCollected(f"artifact{attack}", f"netns:{attack}", "", "", f"reason{attack}"),),
            problems=(Problem(f"place{attack}", f"problem{attack}"),),
        ),
        findings=(finding,),
        outcomes=tuple(
            Outcome(f"{verdict.value}{attack}", verdict, f"reason{attack}", (), (f"ask{attack}",))
            for verdict in Verdict
        ),
        coverage=(
            SourceCoverage(
                *(source.path, source.command, f"format{attack}", 1, 0, ((1, f"unread{attack}"),)),
                skipped=f"skipped{attack}",
                notes=(f"note{attack}",),
                source=source,
            ),
        ),
    )
    shown = page(case, unicode=unicode)
    assert UNSAFE.findall(shown.replace("\n", "")) == []
    assert len(re.findall(r"\\x9b31m", shown)) >= 20


def test_without_unicode_the_page_is_ascii(hostile: Analysis, odd: Analysis) -> None:
    assert page(hostile, unicode=False).isascii()
    assert page(odd, unicode=False).isascii()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_only_commands_and_long_words_reach_beyond_the_width(analysis: Analysis, odd: Analysis, width: int) -> None:
    for case in (analysis, odd):
        commands = tuple(command for finding in case.findings for command in (*finding.remedy, *finding.verify))
        lines = page(case, width=width, pedantic=True).split("\n")[:-2]
        too_long = [line for line in lines if columns(line) > max(width, 40) and not line.endswith(commands)]
        assert [line for line in too_long if not re.fullmatch(r"\s*((-->|:::) )?\S+", line)] == []


def test_no_finding_is_left_out(analysis: Analysis, odd: Analysis) -> None:
    for case in (analysis, odd):
        shown = _flat(page(case, width=60, pedantic=True))
        for finding in case.findings:
            assert _flat(f"{finding.severity.value}[{finding.check}]: {finding.message}") in shown
            assert _flat(finding.why) in shown
            for command in (*finding.remedy, *finding.verify):
                assert _flat(command) in shown


def test_every_piece_of_evidence_is_shown_with_its_path_and_label(analysis: Analysis) -> None:
    for finding in analysis.findings:
        shown = describe(finding, colour=False, width=100, unicode=False)
        for item in finding.evidence:
            assert item.span.source.path in shown
            assert f" {item.label}\n" in shown


def _flat(text: str) -> str:
    """Text without its line breaks and what belongs to them."""
    return re.sub(r"\s+", "", text)


def test_what_follows_is_said_once_for_findings_that_share_it(odd: Analysis) -> None:
    assert page(odd).count("= why: The first line of it. The second, with a tab.\n") == 1
    assert len(odd.findings) == 3


def test_each_command_to_ask_for_is_listed_once(analysis: Analysis) -> None:
    _, _, asked = page(analysis).partition("please also run:\n")
    assert asked.split("\n\n")[0].splitlines() == [
        "  # on the host",
        "  sysctl -a --pattern '^net[.]'",
        "  # for containers, on the host",
        "  nsenter -t 475 -n ip -d addr",
    ]


def test_many_open_questions_are_shown_by_the_command_that_would_answer_them(analysis: Analysis) -> None:
    few = [Outcome(f"link-{n}", Verdict.UNKNOWN, f"link {n}", (), ("ip -d addr",)) for n in range(3)]
    many = [Outcome(f"nat-{n}", Verdict.UNKNOWN, f"rule {n}", (), ("iptables-save -c", "ip rule")) for n in range(9)]
    partly = Outcome("sysctl-a", Verdict.FINDING, "the rest", (), ("ip -d addr",))
    helpless = Outcome("bundle-a", Verdict.UNKNOWN, "nobody knows")
    shown = page(replace(analysis, outcomes=(*few, *many, partly, helpless)), width=80)
    assert shown.partition("could not be judged, ")[2].partition("\n\n")[0] == (
        "for want of the output of:\n"
        "  iptables-save -c\n"
        "      nat-0, nat-1, nat-2, nat-3, nat-4 and 4 more checks\n"
        "  ip -d addr\n"
        "      sysctl-a (in part), link-0, link-1, link-2\n"
        "could not be judged for other reasons:\n"
        "  bundle-a: nobody knows"
    )


def test_low_confidence_is_hidden_and_counted_unless_asked_for(analysis: Analysis) -> None:
    assert "nat-dnat-stale" not in page(analysis)
    assert "1 of low confidence hidden (--pedantic)" in page(analysis, width=200)
    assert "warning[nat-dnat-stale]: the DNAT rule" in page(analysis, pedantic=True)
    assert "2 errors, 2 warnings, 1 note; 4 clean" in page(analysis, pedantic=True)


def test_the_last_lines_count_and_name_one_next_command(analysis: Analysis) -> None:
    assert page(analysis, width=200).split("\n")[-3:] == [
        "2 errors, 1 warning, 1 note; 4 clean, 2 unknown, 1 not applicable, 1 crashed, 1 line unread, 1 file not read, "
        "1 of low confidence hidden (--pedantic)  (bundle web01, 2026-11-24 01:50 UTC)",
        "next: netdiag explain link-veth-not-enslaved",
        "",
    ]


@pytest.mark.parametrize(
    ("outcomes", "manifest", "command"),
    [
        ((Verdict.CLEAN, Verdict.UNKNOWN), {}, "netdiag explain check-1"),
        ((Verdict.CLEAN, Verdict.UNKNOWN), None, "netdiag collector > netdiag_collect.py"),
        ((Verdict.CLEAN, Verdict.CLEAN, Verdict.CRASHED), {}, "netdiag explain check-2"),
        ((Verdict.CLEAN, Verdict.NOT_APPLICABLE), {}, "netdiag checks"),
    ],
)
def test_without_findings_the_next_command_is_the_one_that_tells_more(
    outcomes: tuple[Verdict, ...], manifest: dict[str, str] | None, command: str
) -> None:
    nothing = _nothing()
    case = replace(
        nothing,
        bundle=replace(nothing.bundle, manifest=manifest),
        outcomes=tuple(Outcome(f"check-{number}", verdict) for number, verdict in enumerate(outcomes)),
    )
    assert page(case).split("\n")[-2] == f"next: {command}"


def test_the_time_is_shown_in_utc_and_kept_when_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    nothing = _nothing()
    for given_time, shown in (
        ("2026-03-04T12:07:59Z", ", 2026-03-04 12:07 UTC"),
        ("2026-03-04T14:07:59+02:00", ", 2026-03-04 12:07 UTC"),
        ("0001-01-01T00:00:00+23:00", ", 0001-01-01T00:00:00+23:00"),
        ("yesterday\x1b", ", yesterday␛"),
        ("", ""),
    ):
        case = replace(nothing, bundle=replace(nothing.bundle, collected_at=given_time))
        assert page(case).split("\n")[0] == f"no findings; 0 clean  (bundle odd{shown})"
    monkeypatch.undo()
    time.tzset()


def test_a_caret_behind_a_line_that_fills_the_page_is_in_view() -> None:
    source = Source("path.txt", "a" * 36)
    look = Look(colour=False, width=40, unicode=True)
    assert list(draw([Evidence(source.span(1, 37), "")], "error", look))[2:] == [
        "1 │ …" + "a" * 34,
        "  │ " + " " * 35 + "^",
    ]


LINES = st.text(
    st.one_of(st.sampled_from("ab \t前端\u0301\x1b\u202e\x00"), st.characters(codec="utf-8", exclude_characters="\n")),
    min_size=0,
    max_size=150,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the lines
@given(line=LINES, data=st.data(), width=st.integers(20, 130), charset=st.sampled_from(["ascii", "unicode"]))
def test_the_carets_stand_under_the_beginning_of_the_span(
    line: str, data: st.DataObject, width: int, charset: str
) -> None:
    source = Source("some/path.txt", f"first\n{line}\n")
    text = source.lines[1]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    look = Look(colour=False, width=width, unicode=charset == "unicode")
    _, _, shown, marks, *_ = rows = list(draw([Evidence(source.span(2, start + 1, end + 1), "label")], "error", look))
    assert [row for row in rows if columns(row) > look.columns] == []
    # An empty span points at the character behind it.
    spanned = _ink("".join(sign for sign, _ in cells(text[start : max(end, start + 1)], unicode=look.unicode)))
    seen = _ink(_between(shown, marks.index("^"), marks.rindex("^") + 1))
    if spanned and seen != spanned:
        assert spanned.startswith(seen)
        assert shown.endswith(look.ellipsis)


def _between(text: str, first: int, last: int) -> str:
    """What stands between two columns."""
    at = [columns(text[:number]) for number in range(len(text))]
    return "".join(character for character, column in zip(text, at, strict=True) if first <= column < last)


def _ink(text: str) -> str:
    """Text without blanks, as the width of a tab depends on the cut, and without marks on other characters."""
    return "".join(character for character in _flat(text) if columns(character))


def many(analysis: Analysis, number: int) -> Analysis:
    """The first finding so many times, each about another container."""
    first = analysis.findings[0]
    alike = tuple(replace(first, message=f"`veth{n}` is not a port") for n in range(number))
    return replace(analysis, findings=alike)


def test_a_few_findings_of_a_check_are_shown_whole(analysis: Analysis) -> None:
    assert page(many(analysis, 4)).count("  --> host/ip_addr.txt:23") == 4


def test_of_many_findings_of_a_check_two_are_shown_whole_and_the_others_with_a_line_each(analysis: Analysis) -> None:
    text = page(many(analysis, 7))
    assert text.count("  --> host/ip_addr.txt:23") == 2
    lines = text.splitlines()
    at = lines.index("error[link-veth-not-enslaved]: 5 more like these")
    assert lines[at + 1 : at + 6] == [f"  `veth{n}` is not a port (host/ip_addr.txt:23)" for n in range(2, 7)]


def test_of_very_many_findings_the_rest_is_counted(analysis: Analysis) -> None:
    text = page(many(analysis, 100))
    assert "error[link-veth-not-enslaved]: 98 more like these" in text
    assert "  and 58 more (--format json has all)" in text.splitlines()
    assert "\n100 errors; " in text


def test_explain_tells_once_for_a_check_how_it_decided_and_when_that_is_no_problem(analysis: Analysis) -> None:
    card = CheckCard("link", "title", decision="It looks\nat the bridge.", exceptions="It is on purpose.")
    told = replace(many(analysis, 2), cards={"link-veth-not-enslaved": card})
    text = render(told, colour=False, width=100, unicode=True, pedantic=False, explain=True)
    assert text.count("   = decided: It looks at the bridge.\n   = not a problem when: It is on purpose.\n") == 1
    assert "decided" not in page(told)
