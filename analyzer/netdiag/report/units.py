"""Amounts in words."""


def in_time(nanoseconds: int) -> str:
    """A duration, below a millisecond with all digits that tracers print: `15.500 us`, `1.234 ms`, `2.500 s`."""
    if nanoseconds < 1_000_000:
        return f"{nanoseconds / 1_000:.3f} us"
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds / 1_000_000:.3f} ms"
    return f"{nanoseconds / 1_000_000_000:.3f} s"


def in_share(part: int, whole: int) -> str:
    """A part of a whole: `93.3%`."""
    return f"{100 * part / whole if whole else 0:.1f}%"


def counted(count: int, word: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
