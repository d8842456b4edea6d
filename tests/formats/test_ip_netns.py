import pytest

from netdiag import formats
from netdiag.formats import Unread
from netdiag.formats.records import NamedNamespace
from netdiag.spans import Source


@pytest.mark.parametrize(
    ("line", "name", "number"),
    [
        ("web (id: 3)", "web", 3),
        ("cni-1f2e-33 (id: 0)", "cni-1f2e-33", 0),
        ("nsid 3 (iproute2 netns name: web)", "web", 3),
        ("nsid 4", None, 4),
        ("nsid 4 current-nsid 7 (iproute2 netns name: db)", "db", 4),
    ],
)
def test_a_namespace_has_a_name_and_a_number(line: str, name: str | None, number: int) -> None:
    source = Source("ip_netns.txt", line)
    assert formats.get("ip_netns").read(source).records == (NamedNamespace(name, number, source.span(1)),)


NAMES = "web\ndb\n"


@pytest.mark.parametrize(
    "source",
    [
        Source("a", NAMES, "ip netns list"),
        Source("a", NAMES, format="ip_netns"),
        Source("a", NAMES + "far (id: 0)\n"),
    ],
    ids=["command", "manifest", "number"],
)
def test_a_bare_name_is_a_namespace_where_something_shows_it(source: Source) -> None:
    records = [record for record in formats.get("ip_netns").read(source).records if isinstance(record, NamedNamespace)]
    assert [(record.name, record.id) for record in records][:2] == [("web", None), ("db", None)]


def test_any_list_of_words_is_no_list_of_namespaces() -> None:
    document = formats.get("ip_netns").read(Source("ip_tables_names", "filter\nnat\n"))
    reason = "nothing shows that this is the name of a namespace"
    assert (document.records, document.unread) == ((), (Unread(1, reason), Unread(2, reason)))
