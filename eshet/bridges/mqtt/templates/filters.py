"""The filters, after `|` in an expression, and the tests, after `is`."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from eshet.bridges.mqtt.templates.values import (
    MAX_TEXT,
    MissingValue,
    TemplateFailed,
    Undefined,
    defined,
    number,
)

__all__ = ["FILTERS", "TESTS"]

TESTS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "defined": lambda value: not isinstance(value, Undefined),
    "none": lambda value: value is None,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "number": lambda value: isinstance(value, int | float),
    "string": lambda value: isinstance(value, str),
}

_RAISE: Final = object()


def _default(value: Any, other: Any = "", if_false: Any = False) -> Any:
    return other if isinstance(value, Undefined) or (if_false and not value) else value


def _converted(convert: Callable[[Any], Any], value: Any, default: Any) -> Any:
    try:
        return convert(defined(value))
    except (LookupError, MissingValue, OverflowError, TypeError, ValueError):
        if default is _RAISE:
            raise
        return default


def _int(value: Any, default: Any = _RAISE, _: Any = 10) -> Any:
    return _converted(lambda given: int(float(given)), value, default)


def _float(value: Any, default: Any = _RAISE) -> Any:
    return _converted(float, value, default)


def _round(value: Any, digits: Any = 0, method: Any = "common", default: Any = _RAISE) -> Any:
    if method != "common":
        raise ValueError(f"round by the method {method!r}")
    rounded = _converted(lambda given: round(float(given), int(digits)), value, default)
    return int(rounded) if not digits and isinstance(rounded, float) else rounded


def _bool(value: Any, default: Any = _RAISE) -> Any:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    return _converted(lambda given: words[str(given).lower()], value, default)


def _truncate(
    value: Any, length: Any = 255, cut_words: Any = False, end: Any = "...", leeway: Any = 5
) -> str:
    text = str(defined(value))
    if len(text) <= length + leeway:
        return text
    kept = text[: max(length - len(end), 0)]
    return f"{kept if cut_words else kept.rsplit(' ', 1)[0]}{end}"


def _join(value: Any, by: Any = "") -> str:
    texts, separator = [str(item) for item in defined(value)], str(by)
    _check_length(sum(map(len, texts)) + (len(texts) - 1) * len(separator))
    return separator.join(texts)


def _replace(value: Any, old: Any, new: Any) -> str:
    text, before, after = str(defined(value)), str(old), str(new)
    _check_length(len(text) + text.count(before) * (len(after) - len(before)))
    return text.replace(before, after)


def _check_length(length: int) -> None:
    """Check the length of a text before it is built, since it may be a product of lengths."""
    if length > MAX_TEXT:
        raise TemplateFailed(f"a text of more than {MAX_TEXT} characters")


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "default": _default,
    "d": _default,
    "int": _int,
    "float": _float,
    "round": _round,
    "abs": lambda value: abs(number(defined(value))),
    "bool": _bool,
    "lower": lambda value: str(defined(value)).lower(),
    "upper": lambda value: str(defined(value)).upper(),
    "trim": lambda value: str(defined(value)).strip(),
    "string": lambda value: str(defined(value)),
    "length": lambda value: len(defined(value)),
    "first": lambda value: defined(value)[0],
    "last": lambda value: defined(value)[-1],
    "join": _join,
    "replace": _replace,
    "truncate": _truncate,
    "tojson": lambda value: json.dumps(defined(value)),
    "is_defined": defined,
    "iif": lambda value, yes=True, no=False: yes if value else no,
}
