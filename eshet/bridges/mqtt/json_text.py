"""Parses JSON of devices within limits of depth and size, and writes JSON for them."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from eshet.bridges.exceptions import NotAllowed, NotJson

__all__ = ["MAX_DEPTH", "as_map", "dump", "parse"]

MAX_DEPTH: Final = 32
"""The maximum depth of nested lists and maps."""

_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**64 - 1
"""The range of the integers that a message of ESHET can have."""

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = json.JSONEncoder(allow_nan=False).encode


def parse(payload: bytes | str) -> Any:
    """Return the value of a JSON text, with floats in place of integers beyond 64 bits.

    Raises:
        NotJson: it is not JSON, is not UTF-8, is nested more deeply than `MAX_DEPTH`, or has a
            number that is too large for a float.
    """
    try:
        value = _decode(payload)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise NotJson(f"not JSON: {error}") from None
    except RecursionError:
        raise NotJson(f"JSON nested more than {MAX_DEPTH} levels deep") from None
    if isinstance(value, dict | list):
        _check(value, 0)
        return value
    return _bounded(value) if type(value) is int else value


def as_map(value: object) -> Mapping[str, Any]:
    """Return a parsed value if it is a map, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def dump(value: object) -> bytes:
    """Return a value as JSON.

    Raises:
        NotAllowed: it can't be written as JSON.
    """
    try:
        return _encode(value).encode()
    except (RecursionError, TypeError, ValueError):
        raise NotAllowed(value, "what JSON can hold: texts, finite numbers, lists, maps") from None


def _check(value: dict[str, Any] | list[Any], depth: int) -> None:
    """Check the depth, and replace integers that are too large."""
    if depth > MAX_DEPTH:
        raise NotJson(f"JSON nested more than {MAX_DEPTH} levels deep")
    items: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        kind = type(item)
        if kind is dict or kind is list:
            _check(item, depth + 1)
        elif kind is int and not _SMALLEST <= item <= _LARGEST:
            value[key] = _bounded(item)


def _bounded(number: int) -> float:
    if _SMALLEST <= number <= _LARGEST:
        return number
    try:
        return float(number)
    except OverflowError:
        raise NotJson("a number is too large") from None
