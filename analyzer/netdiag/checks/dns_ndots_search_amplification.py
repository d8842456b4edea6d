"""ndots/search lists multiply queries.

## What it finds
Containers whose resolv.conf has `ndots` of 3 or more, or more than 3 search domains.

## Why it matters
A name with fewer dots than `ndots` is first looked up below each search domain, and only then as it is. With five
domains a look-up of `api.example.net` is six, twelve with IPv6, of which all but the last are in vain: names resolve
slowly, and the name server has many times the load.

## How it is decided
From the file that the container reads. Docker's own resolver asks for `ndots:0` unless somebody asked for more.

## Not a problem when
The names that are looked up are short ones of the search domains: then the first look-up finds them.

## Repair
Start the container with another `--dns-opt` or `--dns-search`, repair the host's file when it was copied from there, or
write names with a dot at their end.

## Verify
The container's resolv.conf.

## References
resolv.conf(5); moby libnetwork/internal/resolvconf.
"""

from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._dns import container_subjects, known_resolvers, named
from netdiag.checks._docker import sh
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import ResolverSetting
from netdiag.model import Host
from netdiag.model.resolvers import Resolver

_FEW_DOTS = 2
_FEW_DOMAINS = 3
_MOST_SHOWN = 10


@check(Severity.NOTE, layer="dns")
def dns_ndots_search_amplification(host: Host) -> Verdicts:
    found, others = known_resolvers(host)
    yield from others
    many = {id(each): settings for each in found if (settings := list(_many(each)))}
    slow = [each for each in found if id(each) in many]
    if slow:
        shown = slow[:_MOST_SHOWN]
        yield Fault(
            message=f"containers {named(slow)} look names up several times: {many[id(slow[0])][0][1]}",
            subjects=container_subjects(shown),
            evidence=tuple(
                Evidence(setting.span, f"{text} in container {each.container.name}")
                for each in shown
                for setting, text in many[id(each)]
            ),
            remedy=tuple(
                sh("{} rm -f {}", each.container.engine, each.container.name)
                + "  # and start it again with --dns-opt ndots:1 and few --dns-search"
                for each in shown
            ),
            verify=(sh("{} exec {} cat /etc/resolv.conf", slow[0].container.engine, slow[0].container.name),),
        )


def _many(resolver: Resolver) -> Iterator[tuple[ResolverSetting, str]]:
    """The last line of each keyword counts."""
    last = {setting.keyword: setting for setting in resolver.netns.resolver}
    options, search = last.get("options"), last.get("search")
    dots = [word[6:] for word in options.values if word.startswith("ndots:")] if options else []
    if options and dots and dots[-1].isdecimal() and int(dots[-1]) > _FEW_DOTS:
        yield options, f"ndots is {dots[-1]}"
    if search and len(search.values) > _FEW_DOMAINS:
        yield search, f"there are {len(search.values)} search domains"
