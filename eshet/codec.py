"""One value of the wire, to bytes and back: msgpack without its extension types.

Nil, booleans, integers of 64 bits, floats, text, bytes, lists, and maps with any key. Everything
else, timestamps included, is refused on either side.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

import msgpack

from eshet.exceptions import ProtocolError, UnsupportedValue
from eshet.text import safe_str, type_name

_CARRIED: Final = (
    "None, booleans, integers of 64 bits, floats, text, bytes, lists, tuples and dicts can be sent"
)
# The first bytes of extension types and of timestamps; they may as well be part of something else.
_find_extension: Final = re.compile(rb"[\xc7-\xc9\xd4-\xd8]").search
_find_timestamp: Final = re.compile(rb"\xd6\xff|\xd7\xff|\xc7\x0c\xff").search

MAX_NESTING: Final = 128
"""How many lists and maps may be within each other in a value that is sent."""

_Packer: Final = msgpack.Packer  # which takes less time than packb()

_SHORT: Final = 64  # bytes
_MOST_CHECKED: Final = 4096
_DEEPEST: Final = 1024  # how many lists within each other msgpack can unpack

# Whatever msgpack's C code raises for bytes that are not one whole value.
_BAD_BYTES: Final = (
    ValueError,  # ExtraData, FormatError, StackError and UnicodeDecodeError among them
    msgpack.OutOfData,
    msgpack.UnpackException,
)


def pack(value: Any) -> bytes:
    """Return the value as bytes.

    Raises:
        UnsupportedValue: the wire can't carry it, or something in it, or it is nested over
            `MAX_NESTING` deep, for which a server would end the connection.
    """
    try:
        packed: bytes = _Packer(strict_types=True, default=_plain).pack(value)
    except TypeError as error:
        raise UnsupportedValue(f"{safe_str(error)}; {_CARRIED}") from None
    except Exception as error:  # whatever the methods of a subclass raise
        reason = safe_str(error) or type_name(error)
        raise UnsupportedValue(f"can't send {type_name(value)}: {reason}; {_CARRIED}") from None
    try:
        if len(packed) > MAX_NESTING:
            _check_nesting(packed, MAX_NESTING)
        if _find_extension(packed) is not None:
            check(packed)
    except ProtocolError as error:
        raise UnsupportedValue(f"{error}; {_CARRIED}") from None
    return packed


def _plain(value: Any) -> Any:
    """Return what msgpack packs for a tuple, or an object of a subclass.

    msgpack itself trusts a subclass of dict in how many items it has, and packs what is no value.
    """
    kind = type(value)  # which isinstance() does not stop at: it asks the object for its class
    if issubclass(kind, tuple | list):
        return list(value)
    if issubclass(kind, dict):
        return dict(value.items())
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, bytes | bytearray):
        return bytes(memoryview(value))
    raise TypeError(f"can not serialize '{kind.__name__}' object")


def join_list(items: Sequence[bytes]) -> bytes:
    """Return the list of values that are packed already."""
    header: bytes = msgpack.Packer().pack_array_header(len(items))
    return header + b"".join(items)


def join_map(items: Mapping[str, bytes]) -> bytes:
    """Return the map of values that are packed already."""
    header: bytes = msgpack.Packer().pack_map_header(len(items))
    return header + b"".join(pack(key) + value for key, value in items.items())


def unpack(data: bytes) -> Any:
    """Return the value that the bytes hold.

    A list that is the key of a map comes back as a tuple, since a list can't be a key in Python.

    Raises:
        ProtocolError: the bytes are not exactly one value.
    """
    if len(data) > _SHORT:
        _skip(data)
    if _find_timestamp(data) is not None:
        _refuse_timestamps(data)
    try:
        return _unpackb(data)
    except TypeError:  # a key that Python can't have as one
        return _unpack_with(data, object_pairs_hook=_freeze_keys)
    except _BAD_BYTES as error:
        raise _no_value(error) from None


def check(data: bytes, nesting: int = _DEEPEST) -> None:
    """Check that the bytes are exactly one value, without keeping the value.

    Args:
        data: the bytes.
        nesting: how many lists and maps may be within each other.

    Raises:
        ProtocolError: they are not, or there are more.
    """
    _skip(data)
    if len(data) > nesting:
        _check_nesting(data, nesting)
    _unpack_with(data, object_pairs_hook=len)


class Checked(set[bytes]):
    """Short values that have been checked: a house says the same few over and over.

        if value not in checked:
            checked.check(value)

    Args:
        nesting: how many lists and maps may be within each other in a value.
    """

    def __init__(self, nesting: int) -> None:
        super().__init__()
        self._nesting = nesting

    def check(self, data: bytes) -> None:
        """Check that the bytes are exactly one value, and keep them if they are short.

        Raises:
            ProtocolError: they are not, or the value is nested too deeply.
        """
        check(data, self._nesting)
        if len(data) <= _SHORT:
            if len(self) >= _MOST_CHECKED:
                self.clear()
            self.add(data)


def _check_nesting(data: bytes, limit: int) -> None:
    # msgpack can't be told a limit, but has one: what is left of it inside so many lists is ours.
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) + _DEEPEST)
    unpacker.feed(b"\x91" * (_DEEPEST - limit) + data)
    try:
        unpacker.skip()
    except msgpack.StackError:
        raise ProtocolError(f"a value with lists and maps nested over {limit} deep") from None


def canonical(data: bytes) -> bytes:
    """Return the same bytes for all bytes that hold the same value.

    Raises:
        ProtocolError: the bytes are not exactly one value, or one nested too deeply.
    """
    try:
        return bytes(msgpack.packb(_sort_maps(unpack(data))))
    except (ValueError, RecursionError) as error:
        raise _no_value(error) from None


def _skip(data: bytes) -> None:
    """Walk over the bytes without building anything.

    A few bytes can announce arrays of millions of items, for which the unpacker would at once
    make room; walking finds out in microseconds that the items are not there. Short values can do
    without: no array is taken to be longer than the value that it is in.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) or 1)
    unpacker.feed(data)
    try:
        unpacker.skip()
    except _BAD_BYTES as error:
        raise _no_value(error) from None


def _unpack_with(data: bytes, **hooks: Any) -> Any:
    """Unpack, raising TypeError only for a key that Python can't have as one."""
    if _find_timestamp(data) is not None:
        _refuse_timestamps(data)
    try:
        return _unpackb(data, **hooks)
    except _BAD_BYTES as error:
        raise _no_value(error) from None


def _no_value(error: Exception) -> ProtocolError:
    return ProtocolError(f"not exactly one msgpack value: {str(error) or type(error).__name__}")


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise ProtocolError(f"msgpack extension type {code} is not allowed")


_unpackb: Final[Callable[..., Any]] = functools.partial(
    msgpack.unpackb, strict_map_key=False, ext_hook=_refuse_extension
)


def _refuse_timestamps(data: bytes) -> None:
    """Find the one extension type that msgpack decodes without asking its hook."""
    try:
        pairs = {"object_pairs_hook": list, "strict_map_key": False}
        todo = [msgpack.unpackb(data, ext_hook=_refuse_extension, **pairs)]
    except _BAD_BYTES as error:
        raise _no_value(error) from None
    while todo:
        value = todo.pop()
        if isinstance(value, msgpack.Timestamp):
            _refuse_extension(-1, b"")
        if isinstance(value, list | tuple):
            todo.extend(value)


def _freeze_keys(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    return {_freeze(key): value for key, value in pairs}


def _freeze(key: Any) -> Any:
    if isinstance(key, list):
        return tuple(_freeze(item) for item in key)
    if isinstance(key, dict):
        return tuple((_freeze(k), _freeze(v)) for k, v in key.items())
    return key


def _sort_maps(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = [(key, _sort_maps(item)) for key, item in value.items()]
        return dict(sorted(pairs, key=lambda pair: bytes(msgpack.packb(pair[0]))))
    if isinstance(value, list):
        return [_sort_maps(item) for item in value]
    return value
