"""Serializes values of rules: plain data, tuples, datetimes, and markers such as `NoValue`.

Values of rules are arbitrary: nested endlessly, as large as memory or larger once they are
serialized, with objects whose methods raise. The functions here do not recurse: msgpack walks
nested values with its own stack, up to 511 levels. A tuple uses two levels: it is a map of one
pair, with a marker as the key.
"""

import contextlib
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgpack

from eshet.interpreter import MSGPACK_MAX_NESTING
from eshet.reactive import FSM
from eshet.reactive.core.markers import NoValue
from eshet.text import safe_repr
from eshet.unknown import Unknown

__all__ = ["MAX_SIZE", "NotPlainData", "pack", "pack_plain", "unpack", "unpack_2"]

MAX_SIZE: Final = 64 * 1024 * 1024
"""Maximum size of a value in memory, in bytes; each object counts as often as it is referred to."""

_MAX_PARTS: Final = 2**21
_MAX_DEPTH_2: Final = 32

_TUPLE: Final = object()
_MARKS: Final[dict[int, Any]] = {0: _TUPLE, 1: Unknown, 2: NoValue, 3: FSM.START}
_DATETIME: Final = 4
"""The code of a datetime, as in values of `yarp.now`: its text, and the name of its zone."""

_TUPLE_MARK: Final = msgpack.ExtType(0, b"")


class NotPlainData(Exception):
    """A value can't be packed; the text says why."""


def pack(value: Any) -> bytes:
    """Return a value as bytes.

    Raises:
        NotPlainData: it can't be packed, for any reason.
    """
    try:
        _check_size(value)
        return pack_plain(value, default=_pack_other, strict_types=True)
    except NotPlainData:
        raise
    except OverflowError:
        raise NotPlainData("it contains a number of more than 64 bits") from None
    except BaseException as error:  # methods of user objects may raise any exception
        if isinstance(error, ValueError) and "recursion" in str(error):
            raise NotPlainData(_TOO_DEEP) from None
        raise NotPlainData(safe_repr(error, 200)) from None


def pack_plain(value: Any, **options: Any) -> bytes:
    """Return a value as bytes that is known to be plain data."""
    packed: bytes = msgpack.packb(value, unicode_errors="surrogatepass", **options)
    return packed


def unpack(packed: Any) -> Any:
    """Return the value of packed bytes.

    Raises:
        ValueError: this is not a packed value.
    """
    return _unpack_with(packed, _mark)


def unpack_2(packed: bytes, depth: int = 0) -> Any:
    """Return the value of bytes that were packed by version 2 of the checkpoint.

    It packs tuples recursively.

    Raises:
        ValueError: this is not a packed value, or its tuples are nested too deeply.
    """
    if depth > _MAX_DEPTH_2:
        raise ValueError(f"it has tuples nested over {_MAX_DEPTH_2} deep")

    def mark(code: int, data: bytes) -> Any:
        return tuple(unpack_2(data, depth + 1)) if code == 0 else _mark(code, data)

    return _unpack_with(packed, mark)


_TOO_DEEP: Final = "it is nested too deeply, or contains itself"


def _check_size(value: Any) -> None:
    """Check that a value is not too large once it is serialized.

    A few lists that contain each other many times take little memory, but very many bytes.

    Raises:
        NotPlainData: it is too large, or nested too deeply.
    """
    size = depth = 0
    level = [value]
    while level := [each for each in level if type(each) in (list, tuple, dict)]:
        depth += 1
        if depth > MSGPACK_MAX_NESTING:
            raise NotPlainData(_TOO_DEEP)
        if sum(map(len, level)) > _MAX_PARTS:
            raise NotPlainData(f"it contains over {_MAX_PARTS} objects")
        level = list(chain.from_iterable(map(_parts, level)))
        size += sum(map(sys.getsizeof, level))
        if size > MAX_SIZE:
            raise NotPlainData(f"it takes over {MAX_SIZE // 1024 // 1024} MiB")


def _parts(container: Any) -> Any:
    if type(container) is dict:
        return chain(container.keys(), container.values())
    return container


def _pack_other(value: Any) -> Any:
    """Return a packable replacement for a tuple, datetime or marker."""
    if type(value) is tuple:
        return {_TUPLE_MARK: list(value)}
    if type(value) is datetime and type(value.tzinfo) in (type(None), timezone, ZoneInfo):
        return msgpack.ExtType(_DATETIME, _datetime_text(value).encode())
    for code, mark in _MARKS.items():
        if value is mark:
            return msgpack.ExtType(code, b"")
    raise NotPlainData(f"it contains an object of the class {type(value).__qualname__}")


def _unpack_with(packed: Any, ext_hook: Callable[[int, bytes], Any]) -> Any:
    try:
        return msgpack.unpackb(
            packed,
            ext_hook=ext_hook,
            object_pairs_hook=_dict_or_tuple,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
    except ValueError:
        raise
    except Exception as error:  # various errors of msgpack, and of unhashable keys
        raise ValueError(safe_repr(error, 200)) from None


def _dict_or_tuple(pairs: list[tuple[Any, Any]]) -> Any:
    if len(pairs) == 1 and pairs[0][0] is _TUPLE:
        return tuple(pairs[0][1])
    return dict(pairs)


def _datetime_text(value: datetime) -> str:
    """Return the time in UTC and the zone; without a zone, the local time."""
    zone = value.tzinfo
    if zone is None:
        return f"{value.isoformat()} {value.fold}"
    offset = value.utcoffset() or timedelta()
    name = (zone.key or "") if isinstance(zone, ZoneInfo) else ""
    text = (value.replace(tzinfo=None, fold=0) - offset).isoformat()
    return f"{text} {value.fold} {offset.total_seconds()} {name}"


def _datetime_of(text: str) -> datetime:
    """Return the datetime of `_datetime_text`; with a fixed offset if its zone is unknown here."""
    time, fold, *place = text.split(" ")
    value = datetime.fromisoformat(time)
    if place:
        offset, name = place
        zone: timezone | ZoneInfo = timezone(timedelta(seconds=float(offset)))
        if name:
            with contextlib.suppress(LookupError, OSError, ValueError):
                zone = ZoneInfo(name)
        value = value.replace(tzinfo=UTC).astimezone(zone)
    return value.replace(fold=int(fold))


def _mark(code: int, data: bytes) -> Any:
    if code == _DATETIME:
        return _datetime_of(data.decode())
    if code not in _MARKS:
        raise ValueError(f"{code} is not the code of a marker")
    return _MARKS[code]
