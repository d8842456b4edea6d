import pytest

from netdiag import formats
from netdiag.formats import Unread
from netdiag.formats.records import PolicyRule
from netdiag.spans import Source


@pytest.mark.parametrize(
    ("line", "priority", "selector", "action"),
    [
        ("0:\tfrom all lookup local", 0, "from all", "lookup local"),
        (
            "1001:\tnot from 10.0.0.0/8 fwmark 0x1/0xff lookup 9 proto static",
            1001,
            "not from 10.0.0.0/8 fwmark 0x1/0xff",
            "lookup 9 proto static",
        ),
        ("1008:\tfrom all goto 20000 [unresolved]", 1008, "from all", "goto 20000 [unresolved]"),
        ("1014:\tfrom all lookup 100 proto unspec dscp AF11", 1014, "from all dscp AF11", "lookup 100 proto unspec"),
        ("1002:\tfrom 10.66.0.0/16 unreachable", 1002, "from 10.66.0.0/16", "unreachable"),
    ],
)
def test_a_rule_is_its_priority_selector_and_action(line: str, priority: int, selector: str, action: str) -> None:
    source = Source("ip_rule.txt", line)
    assert formats.get("ip_rule").read(source).records == (PolicyRule(priority, selector, action, source.span(1)),)


def test_a_rule_without_an_action_is_told() -> None:
    document = formats.get("ip_rule").read(Source("ip_rule.txt", "0:\tfrom all"))
    assert document.unread == (Unread(1, "not expected here: 'end of line' (column 12)"),)
