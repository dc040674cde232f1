"""Points in time as values of command line options."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from eshet.clock import wall_now

__all__ = ["MOMENT"]

_AGO: Final = re.compile(r"-?(\d+(?:\.\d+)?)\s*([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


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
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
    if re.match(r"\d\d:", text):
        text = f"{now.astimezone():%Y-%m-%d}T{text}"
    return datetime.fromisoformat(text).astimezone()
