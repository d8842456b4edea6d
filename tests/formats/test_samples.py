"""What every format promises, tried on every sample.

`ACCEPT=1 pytest tests/formats` writes the golden files anew; a person reads what changed in them.
"""

import json
import os
from pathlib import Path

import pytest

from netdiag import formats, places
from netdiag.formats import Document, Format
from netdiag.plain import plain
from netdiag.spans import Source


def format_of(sample: Source) -> Format:
    return formats.get(sample.path.split("/")[0])


def golden_of(samples_folder: Path, sample: Source) -> Path:
    """Beside the sample. A sample that is JSON itself has a golden of another ending."""
    path = samples_folder / sample.path
    return path.with_suffix(".json" if path.suffix == ".txt" else ".golden.json")


def as_golden(document: Document) -> str:
    value = {
        "format": document.format,
        "lines": document.lines,
        "read": document.read,
        "unread": [{"line": unread.line, "reason": unread.reason} for unread in document.unread],
        "notes": list(document.notes),
        "records": [{"type": type(record).__name__, **plain(record, with_source=False)} for record in document.records],
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def test_a_sample_reads_to_its_golden_file(sample: Source, samples_folder: Path) -> None:
    actual = as_golden(format_of(sample).read(sample))
    golden = golden_of(samples_folder, sample)
    if os.environ.get("ACCEPT") == "1":
        golden.write_text(actual, encoding="utf-8")
    assert actual == golden.read_text(encoding="utf-8")


def test_every_line_of_a_sample_is_blank_or_read_or_told_of(sample: Source) -> None:
    document = format_of(sample).read(sample)
    unread = [line.line for line in document.unread]
    assert unread == sorted(set(unread))
    assert [line for line in unread if not sample.lines[line - 1].strip()] == []
    assert document.read + len(unread) == document.lines == len(sample.lines)
    assert document.records, "a sample without a record shows nothing"


def test_the_spans_of_a_sample_lie_inside_it(sample: Source) -> None:
    for record in format_of(sample).read(sample).records:
        assert record.span.source is sample
        assert 1 <= record.span.line <= record.span.line_end <= len(sample.lines)
        assert record.span.text.strip()


def test_a_sample_reads_the_same_with_carriage_returns(sample: Source) -> None:
    bare = sample.text.replace("\r\n", "\n")
    read = format_of(sample).read
    with_returns = read(Source(path=sample.path, text=bare.replace("\n", "\r\n")))
    assert as_golden(with_returns) == as_golden(read(Source(path=sample.path, text=bare)))


def test_a_sample_is_recognised_as_its_own_format(sample: Source) -> None:
    found = formats.recognise(sample)
    assert found is not None
    assert found.name == format_of(sample).name


@pytest.mark.parametrize("name", formats.names())
def test_a_format_has_a_sample(name: str, samples_folder: Path) -> None:
    assert list((samples_folder / name).glob("*.txt")) + list((samples_folder / name).glob("*.golden.json"))


def test_every_folder_of_samples_belongs_to_a_format(samples_folder: Path) -> None:
    assert sorted({folder.name for folder in samples_folder.iterdir()} - set(formats.names())) == []


@pytest.mark.parametrize("name", formats.names())
def test_a_format_is_named_like_its_module_and_says_what_to_type(name: str) -> None:
    found = formats.get(name)
    assert found.name == name
    assert found.title.strip()
    assert [command for command in found.commands if not command.strip()] == []
    assert found.commands


@pytest.mark.parametrize(
    "text",
    ["", "\n", "\n \n\t\n", "\x00", "\ufffd\ufffd\n", "no such output\n", "{", "[" * 10_000, "9" * 10_000],
    ids=["empty", "line end", "blanks", "nul", "not text", "prose", "brace", "brackets", "digits"],
)
@pytest.mark.parametrize("name", formats.names())
def test_a_format_reads_nothing_out_of_nothing(name: str, text: str) -> None:
    source = Source(path="loose.txt", text=text)
    document = formats.get(name).read(source)
    assert document.records == ()
    assert document.read == sum(1 for line in source.lines if not line.strip())


@pytest.mark.parametrize("grammar", sorted(places.grammars().glob("*.lark")), ids=lambda path: path.stem)
def test_a_grammar_shows_a_real_line_above_each_rule(grammar: Path) -> None:
    lines = grammar.read_text(encoding="utf-8").splitlines()
    rules = [(above, line) for above, line in zip(["", *lines], lines, strict=False) if _begins_a_rule(line)]
    assert [line for above, line in rules if not above.startswith("// ")] == []
    assert rules or grammar.stem == "common"


def _begins_a_rule(line: str) -> bool:
    """A list of the kinds of lines (`line: heading | row`) needs no example: each of them has its own."""
    name, colon, alternatives = line.partition(":")
    is_list = set(alternatives) <= set("abcdefghijklmnopqrstuvwxyz0123456789_ |")
    return colon == ":" and name.lstrip("!?_").isidentifier() and name.islower() and not is_list
