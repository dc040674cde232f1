"""JSON in messages of devices, which may be anything."""

from typing import Any, Final

import msgspec

__all__ = ["MAX_DEPTH", "parse"]

MAX_DEPTH: Final = 32
"""The maximum depth of nested lists and maps."""

_decode: Final = msgspec.json.Decoder().decode


def parse(payload: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, is not UTF-8, or is nested more deeply than `MAX_DEPTH`.
    """
    try:
        value = _decode(payload)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"JSON nested more than {MAX_DEPTH} levels deep") from None
    _check_depth(value, 0)
    return value


def _check_depth(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"JSON nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for item in value.values():
            if isinstance(item, dict | list):
                _check_depth(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                _check_depth(item, depth + 1)
