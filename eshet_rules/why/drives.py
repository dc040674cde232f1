"""Who decides over a path with drivers, as text."""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from eshet.text import safe_repr
from eshet_rules.why.times import since_text, until_text

__all__ = ["drive_lines"]

_LONGEST: Final = 100
"""Maximum length of a value, in characters."""


def drive_lines(drive: Mapping[str, Any], now: datetime, zone: tzinfo | None) -> Iterator[str]:
    """Iterate over lines about who decides, and all drivers.

    Args:
        drive: the report on the path, from the action `drives` of the runner.
        now: the present.
        zone: of the times; None for the local one.
    """
    override = drive["override"]
    since = f", since {since_text(drive['since'], now, zone)}" if drive["since"] else ""
    if drive["decides"] == "person":
        end = override["until"] if override else None
        yield f"a person decides{since}{f', until {until_text(end, now, zone)}' if end else ''}"
    elif drive["decides"] is None:
        yield f"no driver has an opinion{since}"
    else:
        yield f"{drive['decides']} decides{since}"
    if len(drive["drivers"]) > 1:
        yield "drivers, the first with an opinion decides:"
        yield from (f"  {_driver(each)}" for each in drive["drivers"])
    if drive["contested"]:
        yield "others change it again and again, so it is sent again at most once a minute"


def _driver(driver: Mapping[str, Any]) -> str:
    wants = f"wants {safe_repr(driver['value'], _LONGEST)}" if driver["has_opinion"] else "nothing"
    stands_by = ", stands by" if driver["stands_by"] else ""
    return f"{driver['rule']} (priority {driver['priority']:g}): {wants}{stands_by}"
