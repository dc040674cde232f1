"""Time zones by name, and their locations."""

import os
import re
from collections.abc import Iterator
from datetime import tzinfo
from difflib import get_close_matches
from functools import cache
from importlib import resources
from math import acos, cos, degrees, radians, sin
from pathlib import Path
from typing import Final
from zoneinfo import TZPATH, ZoneInfo, available_timezones

from eshet.exceptions import ReactiveTypeError
from eshet.text import safe_repr, type_name

__all__ = ["distance", "place_of", "zone_of"]

_TABLE: Final = "zone.tab"
_PLACE: Final = re.compile(r"([+-]\d{4,6})([+-]\d{5,7})")


def zone_of(tz: str | tzinfo | None) -> tzinfo:
    """Return a time zone by its name, or the system's.

    Raises:
        ReactiveTypeError: the zone does not exist.
    """
    if isinstance(tz, tzinfo):
        return tz
    if tz is not None and not isinstance(tz, str):
        raise _not_a_zone(tz, f"its type is {type_name(tz)}")
    name = tz or _system_zone()
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # the cause names files that the user has not
        raise _not_a_zone(name, _advice_on(name)) from None


def _not_a_zone(tz: object, why: str) -> ReactiveTypeError:
    return ReactiveTypeError(
        'a time zone is a name, such as "Europe/Berlin", or a tzinfo, and not '
        f"{safe_repr(tz, 200)}: {why}"
    )


def _advice_on(name: str) -> str:
    """Return a hint about an unknown name of a zone: a similar name, if one exists."""
    zones = sorted(available_timezones())
    places = [zone for zone in zones if zone.lower().endswith(f"/{name.lower()}")]
    near = places or get_close_matches(name, zones, n=1)
    return f"did you mean {near[0]!r}?" if near else "there is no zone of this name"


def place_of(zone: tzinfo) -> tuple[float, float] | None:
    """Return latitude and longitude of the place that a zone is named after; None if unknown."""
    return _places().get(getattr(zone, "key", None) or "")


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the angle between two places, each as latitude and longitude, in degrees."""
    (north_a, east_a), (north_b, east_b) = a, b
    cosine = sin(radians(north_a)) * sin(radians(north_b)) + cos(radians(north_a)) * cos(
        radians(north_b)
    ) * cos(radians(east_a - east_b))
    return degrees(acos(max(-1.0, min(1.0, cosine))))


def _system_zone() -> str:
    """Return the name of this machine's zone."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        _, _, name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")
    return name or "UTC"


@cache
def _places() -> dict[str, tuple[float, float]]:
    places = {}
    for line in _table().splitlines():
        fields = line.split("\t")
        if not line.startswith("#") and len(fields) > 2 and (found := _PLACE.match(fields[1])):
            places[fields[2]] = _degrees(found[1], 2), _degrees(found[2], 3)
    return places


def _table() -> str:
    """Return the table of the locations of all zones; empty if this system has none."""
    for table in _tables():
        try:
            return table.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
    return ""


def _tables() -> Iterator[Path]:
    yield from (Path(folder) / _TABLE for folder in TZPATH)
    with resources.as_file(resources.files("tzdata") / "zoneinfo" / _TABLE) as path:
        yield path


def _degrees(text: str, digits: int) -> float:
    """Return an angle that is written as sign, degrees, minutes and optional seconds."""
    whole, minutes, seconds = (
        text[1 : 1 + digits],
        text[1 + digits : 3 + digits],
        text[3 + digits :],
    )
    angle = int(whole) + int(minutes) / 60 + int(seconds or 0) / 3600
    return -angle if text[0] == "-" else angle
