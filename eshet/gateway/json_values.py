"""Values as JSON, without loss, in both directions.

A value that JSON can express exactly is unchanged. Any other is an object with one key:

    bytes                               {"$bytes": "aGFsbG8="}, as base64
    NaN and infinities                  {"$float": "NaN"}, "Infinity" or "-Infinity"
    integers outside of ±(2^53 - 1)     {"$int": "9007199254740993"}
    maps with keys that are not text    {"$map": [[key, value], …]}

A map with a single key that begins with `$` is written as `$map` as well, so reading is
unambiguous. A float without a fraction keeps its point (`1.0`), which readers such as JavaScript's
drop.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

from eshet.codec import MAX_NESTING
from eshet.text import encodable, safe_repr, shorten, type_name

__all__ = ["InvalidJson", "dumps", "loads"]

MAX_EXACT: Final = 2**53 - 1
"""The largest integer that every reader of JSON reads exactly."""

_LOWEST, _HIGHEST = -(2**63), 2**64 - 1  # the integers of the protocol
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_FLOATS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class InvalidJson(ValueError):
    """A text is not the JSON of a value.

    Args:
        problem: describes the mistake.
        position: the character at which it is; None if the whole text is wrong.
    """

    def __init__(self, problem: str, position: int | None = None) -> None:
        self.problem = problem
        self.position = position
        where = "" if position is None else f" at character {position}"
        super().__init__(f"not the JSON of a value{where}: {problem}")


# --- writing ----------------------------------------------------------------------------------


def dumps(value: object) -> str:
    """Return a value as one line of JSON, which UTF-8 can encode.

    Raises:
        TypeError: the value, or a part of it, is none that a message can carry.
        ValueError: it is nested too deeply.
    """
    try:
        text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("lists and maps are nested too deeply for JSON") from None
    # Lone surrogates become escapes of Python, which are those of JSON.
    return encodable(text)


def _plain(value: object) -> object:
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value) if -MAX_EXACT <= value <= MAX_EXACT else {"$int": str(int(value))}
        case float():
            return float(value) if math.isfinite(value) else {"$float": _name_of(value)}
        case bytes() | bytearray():
            return {"$bytes": base64.b64encode(value).decode()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            if all(isinstance(key, str) for key in value) and not _is_marked(value):
                return {key: _plain(item) for key, item in value.items()}
            return {"$map": [[_plain(key), _plain(item)] for key, item in value.items()]}
        case _:
            raise TypeError(f"{type_name(value)} can't be written as JSON: {safe_repr(value, 100)}")


def _name_of(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _is_marked(keys: Iterable[str]) -> bool:
    """Whether an object with these keys would be read as another kind of value."""
    names = list(keys)
    return len(names) == 1 and names[0].startswith("$")


# --- reading ----------------------------------------------------------------------------------


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text; bytes are UTF-8.

    Raises:
        InvalidJson: it is not JSON; a key occurs twice; text has a lone surrogate; a number is not
            finite or has more than 64 bits; lists and maps are nested more than `MAX_NESTING` deep;
            or an object with one key that begins with `$` is none of those above.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidJson("it is not UTF-8", error.start) from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_read_object,
            parse_int=_read_integer,
            parse_float=_read_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidJson(error.msg, error.pos) from None
    except RecursionError:
        raise InvalidJson(_TOO_DEEP) from None
    _check(value)
    return value


_TOO_DEEP: Final = f"lists and maps are nested more than {MAX_NESTING} deep"


def _read_object(pairs: list[tuple[str, Any]]) -> Any:
    if len(pairs) == 1 and pairs[0][0].startswith("$"):
        [(mark, content)] = pairs
        read = _MARKS.get(mark)
        if read is None:
            raise InvalidJson(
                f"an object with only the key {_show(mark)}: write a map whose one key begins with "
                f'$ as {{"$map": [[{_show(mark)}, …]]}}'
            )
        return read(content)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidJson(f"the key {_show(_first_repeated(key for key, _ in pairs))} occurs twice")
    return found


def _read_integer(text: str) -> int:
    if _INTEGER.fullmatch(text) is not None:
        number = int(text)
        if _LOWEST <= number <= _HIGHEST:
            return number
    raise InvalidJson(f"the integer {shorten(text, 40)} has more than 64 bits")


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidJson(f"the number {shorten(text, 40)} is too large for a float")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f'{name} is not JSON: write {{"$float": "{name}"}}')


def _read_marked_bytes(content: Any) -> bytes:
    if isinstance(content, str):
        try:
            return base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise InvalidJson('$bytes is base64 in a text, such as {"$bytes": "aGFsbG8="}')


def _read_marked_float(content: Any) -> float:
    if isinstance(content, str) and content in _FLOATS:
        return _FLOATS[content]
    raise InvalidJson(f"$float is one of the texts {', '.join(_FLOATS)}")


def _read_marked_integer(content: Any) -> int:
    if isinstance(content, str) and _INTEGER.fullmatch(content) is not None:
        return _read_integer(content)
    raise InvalidJson('$int is an integer of 64 bits in a text, such as {"$int": "-12"}')


def _read_marked_map(content: Any) -> dict[Any, Any]:
    if not isinstance(content, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in content
    ):
        raise InvalidJson('$map is a list of pairs, such as {"$map": [[1, "one"], [2, "two"]]}')
    keys = [_as_key(key) for key, _ in content]
    found = {key: item for key, (_, item) in zip(keys, content, strict=True)}
    if len(found) != len(keys):
        raise InvalidJson(f"the key {safe_repr(_first_repeated(keys), 60)} occurs twice in a $map")
    return found


_MARKS: Final[dict[str, Callable[[Any], Any]]] = {
    "$bytes": _read_marked_bytes,
    "$float": _read_marked_float,
    "$int": _read_marked_integer,
    "$map": _read_marked_map,
}


def _as_key(value: Any) -> Any:
    """Return a value as the key of a map: a list as a tuple, as `eshet.codec` does."""
    if isinstance(value, list):
        return tuple(_as_key(item) for item in value)
    if isinstance(value, dict):
        raise InvalidJson("a map can't be the key of a $map")
    return value


def _check(value: Any) -> None:
    """Refuse text that can't be sent, and too deep nesting."""
    waiting = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, str):
            _check_text(each)
        elif isinstance(each, list | tuple | dict):
            if depth == MAX_NESTING:
                raise InvalidJson(_TOO_DEEP)
            if isinstance(each, dict):
                waiting.extend((key, depth + 1) for key in each)
                waiting.extend((item, depth + 1) for item in each.values())
            else:
                waiting.extend((item, depth + 1) for item in each)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        lone = f"\\u{ord(text[error.start]):04x}"
        raise InvalidJson(f"a text has the lone surrogate {lone}") from None


def _first_repeated(keys: Iterable[Any]) -> Any:
    seen = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


def _show(text: str) -> str:
    return json.dumps(shorten(text, 60))
