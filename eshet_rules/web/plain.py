"""Values and times in the answers of the API."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from eshet.clock import wall_time
from eshet.reactive.core.markers import is_absent
from eshet.text import encodable, safe_repr
from eshet_rules.audit.redaction import REDACTED, Redaction

__all__ = ["LONGEST_VALUE", "seen", "stamp", "stamp_at"]

LONGEST_VALUE: Final = 20_000
"""Maximum length of the text of a value that is not plain data, in characters."""

_DEEPEST: Final = 60
_PLAIN: Final = (bool, int, float, str, bytes)


def seen(path: str, value: object, redaction: Redaction) -> tuple[Any, bool]:
    """Return a value as the page shows it, and whether it is known.

    Args:
        path: of the value.
        value: the value; it may be Unknown or NoValue.
        redaction: removes secrets.
    """
    if is_absent(value):
        return None, False
    if redaction.hides(path):
        return REDACTED, True
    return redaction.value(_plain(value)), True


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value as plain data: anything else in it is replaced by its text."""
    kind = type(value)
    if value is None or kind in _PLAIN:
        return value
    if depth < _DEEPEST:
        if kind in (list, tuple):
            return [_plain(each, depth + 1) for each in value]
        if kind is dict:
            return {
                key if type(key) in _PLAIN else safe_repr(key, LONGEST_VALUE): _plain(
                    each, depth + 1
                )
                for key, each in value.items()
            }
    return encodable(safe_repr(value, LONGEST_VALUE))


def stamp(moment: datetime) -> str:
    """Return a time in UTC as in all answers: ISO 8601 with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamp_at(when: float) -> str:
    """Return the wall clock at a time of the running loop."""
    now = asyncio.get_running_loop().time()
    return stamp(datetime.fromtimestamp(wall_time() + when - now, UTC))
