"""Packing and unpacking of values: msgpack without its extension types.

Nil, booleans, integers of 64 bits, floats, text, bytes, lists, and maps with any key. Everything
else, including timestamps, is rejected on either side.
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
# The first bytes of extension types and of timestamps; they may also be part of other values.
_find_extension: Final = re.compile(rb"[\xc7-\xc9\xd4-\xd8]").search
_find_timestamp: Final = re.compile(rb"\xd6\xff|\xd7\xff|\xc7\x0c\xff").search

MAX_NESTING: Final = 128
"""The maximum nesting of lists and maps in a value that is sent."""

_Packer: Final = msgpack.Packer  # faster than packb()

_SHORT: Final = 64  # bytes
_MAX_CHECKED: Final = 4096
_MSGPACK_NESTING: Final = 1024  # the deepest nesting of lists that msgpack can unpack

# The exceptions of msgpack's C code for bytes that are not exactly one value.
_BAD_BYTES: Final = (
    ValueError,  # including ExtraData, FormatError, StackError and UnicodeDecodeError
    msgpack.OutOfData,
    msgpack.UnpackException,
)


def pack(value: object) -> bytes:
    """Return the value as bytes.

    Raises:
        UnsupportedValue: the protocol can't carry it, or a part of it, or it is nested deeper than
            `MAX_NESTING`, for which a server would end the connection.
    """
    try:
        packed: bytes = _Packer(strict_types=True, default=_plain).pack(value)
    except TypeError as error:
        raise UnsupportedValue(f"{safe_str(error)}; {_CARRIED}") from None
    except Exception as error:  # raised by a method of a subclass
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


def _plain(value: Any) -> object:
    """Return a plain value for a tuple or an object of a subclass, for msgpack to pack.

    msgpack itself trusts the length that a subclass of dict reports, and then packs invalid data.
    """
    kind = type(value)  # isinstance() would ask the object itself for its class
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
    """Return the packed list of packed values."""
    header: bytes = msgpack.Packer().pack_array_header(len(items))
    return header + b"".join(items)


def join_map(items: Mapping[str, bytes]) -> bytes:
    """Return the packed map of packed values."""
    header: bytes = msgpack.Packer().pack_map_header(len(items))
    return header + b"".join(pack(key) + value for key, value in items.items())


def unpack(data: bytes) -> Any:
    """Return the value in the bytes.

    A list that is the key of a map becomes a tuple, since a list can't be a key in Python.

    Raises:
        ProtocolError: the bytes are not exactly one value.
    """
    if len(data) > _SHORT:
        _skip(data)
    if _find_timestamp(data) is not None:
        _refuse_timestamps(data)
    try:
        return _unpackb(data)
    except TypeError:  # a key that Python does not support
        return _unpack_with(data, object_pairs_hook=_freeze_keys)
    except _BAD_BYTES as error:
        raise _no_value(error) from None


def check(data: bytes, nesting: int = _MSGPACK_NESTING) -> None:
    """Check that the bytes are exactly one value, without keeping the value.

    Args:
        data: the bytes.
        nesting: the maximum nesting of lists and maps.

    Raises:
        ProtocolError: they are not, or it is nested too deeply.
    """
    _skip(data)
    if len(data) > nesting:
        _check_nesting(data, nesting)
    _unpack_with(data, object_pairs_hook=len)


class Checked(set[bytes]):
    """Short values that have been checked: most messages repeat the same few values.

        if value not in checked:
            checked.check(value)

    Args:
        nesting: the maximum nesting of lists and maps in a value.
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
            if len(self) >= _MAX_CHECKED:
                self.clear()
            self.add(data)


def _check_nesting(data: bytes, limit: int) -> None:
    # msgpack has one fixed limit: wrap the data in so many lists that only our limit remains.
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) + _MSGPACK_NESTING)
    unpacker.feed(b"\x91" * (_MSGPACK_NESTING - limit) + data)
    try:
        unpacker.skip()
    except msgpack.StackError:
        raise ProtocolError(f"a value with lists and maps nested over {limit} deep") from None


def canonical(data: bytes) -> bytes:
    """Return a canonical form of the bytes, equal for all encodings of the same value.

    Raises:
        ProtocolError: the bytes are not exactly one value, or it is nested too deeply.
    """
    try:
        return bytes(msgpack.packb(_sort_maps(unpack(data))))
    except (ValueError, RecursionError) as error:
        raise _no_value(error) from None


def _skip(data: bytes) -> None:
    """Parse the bytes without building anything.

    A few bytes can announce arrays of millions of items, for which the unpacker would allocate
    memory at once; parsing finds in microseconds that the items are missing. Short values don't
    need this: no array is allocated larger than the data that contains it.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) or 1)
    unpacker.feed(data)
    try:
        unpacker.skip()
    except _BAD_BYTES as error:
        raise _no_value(error) from None


def _unpack_with(data: bytes, **hooks: object) -> object:
    """Unpack; raise TypeError only for a key that Python does not support."""
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


_unpackb: Final[Callable[..., object]] = functools.partial(
    msgpack.unpackb, strict_map_key=False, ext_hook=_refuse_extension
)


def _refuse_timestamps(data: bytes) -> None:
    """Reject timestamps, the one extension type that msgpack decodes without calling its hook."""
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


def _freeze_keys(pairs: list[tuple[object, Any]]) -> dict[Any, Any]:
    return {_freeze(key): value for key, value in pairs}


def _freeze(key: object) -> object:
    if isinstance(key, list):
        return tuple(_freeze(item) for item in key)
    if isinstance(key, dict):
        return tuple((_freeze(k), _freeze(v)) for k, v in key.items())
    return key


def _sort_maps(value: object) -> object:
    if isinstance(value, dict):
        pairs = [(key, _sort_maps(item)) for key, item in value.items()]
        return dict(sorted(pairs, key=lambda pair: bytes(msgpack.packb(pair[0]))))
    if isinstance(value, list):
        return [_sort_maps(item) for item in value]
    return value
