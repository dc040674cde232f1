"""Points in time as values of command line options."""

import contextlib
import re
from datetime import UTC, datetime
from typing import Final

import click

from eshet.clock import wall_now
from eshet.settings.kinds import read_span

__all__ = ["MOMENT"]


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


def _read(text: str) -> datetime:
    now = wall_now(UTC)
    with contextlib.suppress(ValueError):
        return now - read_span(text.removeprefix("-"))
    if re.match(r"\d\d:", text):
        text = f"{now.astimezone():%Y-%m-%d}T{text}"
    return datetime.fromisoformat(text).astimezone()
