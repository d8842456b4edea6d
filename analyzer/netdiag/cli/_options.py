"""Options that mean the same in several commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from netdiag.finding import Severity

Command = TypeVar("Command", bound=Callable[..., Any])


def outputs(about: str) -> Callable[[Command], Command]:
    """`-o FILE`, as the parameter `outputs`."""
    return click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help=about,
    )


def fail_on(about: str) -> Callable[[Command], Command]:
    """`--fail-on SEVERITY`, as the parameter `fail_on`: a severity or `never`."""
    return click.option(
        "--fail-on",
        type=click.Choice([*(severity.value for severity in Severity), "never"]),
        default="error",
        show_default=True,
        help=about,
    )
