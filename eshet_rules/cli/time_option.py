"""Points in time as values of command line options."""

import contextlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

from eshet.clock import wall_now
from eshet.settings.kinds import read_span

__all__ = ["MOMENT", "checked_range", "range_options"]

F = TypeVar("F", bound=Callable[..., Any])


class _Moment(click.ParamType[datetime]):
    name = "moment"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """See `click.ParamType`."""
        if isinstance(value, datetime):
            return value
        try:
            return _read(value.strip())
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is not a time: write a date, a time of today or both, such as "
                "2026-11-25T18:30, or an age, such as 90s, 15m, 2h or 3d",
                param,
                ctx,
            )


MOMENT: Final = _Moment()
"""The type of an option that is a point in time; without a zone, in local time."""


def range_options(default: str, begin: str, end: str) -> Callable[[F], F]:
    """Make the options `--from` and `--to`; their values are `since` and `until`.

    Args:
        default: the beginning, such as `"24h"`; the end is the present by default.
        begin: the help on the beginning.
        end: the help on the end.
    """
    since = click.option(
        "--from",
        "since",
        metavar="TIME",
        type=MOMENT,
        default=default,
        show_default=True,
        help=begin,
    )
    until = click.option(
        "--to", "until", metavar="TIME", type=MOMENT, help=f"{end}  [default: now]"
    )
    return lambda command: since(until(command))


def checked_range(since: datetime, until: datetime | None) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a range of time.

    Raises:
        click.UsageError: it ends before it begins.
    """
    end = until or wall_now(UTC)
    if since >= end:
        raise click.UsageError("--from must be before --to")
    return since, end


def _read(text: str) -> datetime:
    now = wall_now(UTC)
    with contextlib.suppress(ValueError):
        return now - read_span(text.removeprefix("-"))
    if re.match(r"\d\d:", text):
        text = f"{now.astimezone():%Y-%m-%d}T{text}"
    return datetime.fromisoformat(text).astimezone()
