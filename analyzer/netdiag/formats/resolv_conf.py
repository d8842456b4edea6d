"""/etc/resolv.conf: the name servers and how names are looked up; in a container's also what Docker notes about it
(moby libnetwork/internal/resolvconf, from 25 on).
"""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import as_address, read_records
from netdiag.formats.records import NameServer, ResolverRemark, ResolverSetting
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a record that waits for its span; None for a comment."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def comment(self, _: Token) -> None:
        return None

    def host_file(self, *words: Token) -> partial[ResolverRemark]:
        path = next((str(word) for word in words if word.type == "PATH"), "")
        return partial(ResolverRemark, "host file", (path, str(words[-1])))

    def external(self, *servers: Token) -> partial[ResolverRemark]:
        return partial(ResolverRemark, "external", tuple(map(str, servers)))

    def overrides(self, *names: Token) -> partial[ResolverRemark]:
        return partial(ResolverRemark, "overrides", tuple(map(str, names)))

    def defaults(self) -> partial[ResolverRemark]:
        return partial(ResolverRemark, "defaults", ())

    def no_external(self) -> partial[ResolverRemark]:
        return partial(ResolverRemark, "no external", ())

    def zone(self, device: Token) -> dict[str, str]:
        return {"device": str(device)}

    def name_server(self, address: Token, *rest: Any) -> partial[NameServer]:
        zone = next((part for part in rest if isinstance(part, dict)), {})
        return partial(NameServer, as_address(address), **zone)

    def setting(self, keyword: Token, *rest: Token) -> partial[ResolverSetting]:
        values = tuple(str(word) for word in rest if word.type == "WORD")
        return partial(ResolverSetting, str(keyword), values)


def read(source: Source) -> Document:
    """Every name server and setting; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="resolv_conf",
    title="resolver configuration (/etc/resolv.conf)",
    commands=("cat /etc/resolv.conf",),
    read=read,
)
