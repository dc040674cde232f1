"""Lengths of time as text, such as "2h"."""

import math
import re
from typing import Final

from eshet.settings.kinds import LONGEST_TIME
from eshet.text import safe_repr

__all__ = ["seconds_of"]

_TEXT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])", re.ASCII)
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(length: float | str, name: str) -> float:
    """Return a length of time in seconds.

    Args:
        length: seconds, or a text such as "90s", "15m", "2h" or "3d".
        name: the name of the argument, for the error.

    Raises:
        ValueError: it is none of these, not positive, or longer than a year.
    """
    seconds: float
    if isinstance(length, str):
        found = _TEXT.fullmatch(length.strip())
        seconds = float(found[1]) * _UNITS[found[2]] if found else math.nan
    elif isinstance(length, bool) or not isinstance(length, int | float):
        seconds = math.nan
    else:
        seconds = length
    if seconds > LONGEST_TIME:
        raise ValueError(
            f"{name}={safe_repr(length, 100)} is longer than a year: write at most '365d'"
        )
    if not seconds > 0:
        raise ValueError(
            f"{name}={safe_repr(length, 100)} is not a length of time: write seconds, or a text "
            "such as '90s', '15m', '2h' or '3d'"
        )
    return float(seconds)  # not before: Python can't convert an integer of 400 digits
