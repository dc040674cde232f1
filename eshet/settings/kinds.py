"""The kinds of values that keys of a configuration file may have."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from eshet.address import Address
from eshet.server_address import ServerAddress, parse_server_address

__all__ = [
    "ADDRESS",
    "FLAG",
    "LONGEST_TIME",
    "NAME",
    "PATH",
    "SPAN",
    "TEXTS",
    "ValueKind",
    "number",
    "one_of",
    "read_span",
    "seconds",
    "show",
    "whole_number",
    "without_password",
]

LONGEST_TIME: Final = 365 * 86400.0
"""The longest duration that a setting may have, in seconds: a year."""

_LONGEST_SHOWN: Final = 60

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class ValueKind:
    """A kind of values.

    Args:
        allowed: a description of valid values, to follow the word "write" in a message.
        read: converts a value of the file; raises ValueError if the value is not valid.
        words: all valid values, if they can be listed.
    """

    allowed: str
    read: Callable[[Any], Any]
    words: tuple[str, ...] = ()


_PASSWORD: Final = re.compile(r"((?:nats|tls):/*|://[^:/@]*:|^[^:/@]+:(?!/)).*@", re.DOTALL)
"""The password or token in a URL, also in one without a scheme, with the text around it."""


def without_password(text: str) -> str:
    """Return a text with `…` in place of the password or token of a URL in it."""
    return _PASSWORD.sub(r"\1…@", text)


def show(value: object) -> str:
    """Return a value roughly in TOML syntax, as one short line, without passwords of URLs."""
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = '"' + without_password(value.encode("unicode_escape").decode()) + '"'
        case Mapping():
            text = "{" + ", ".join(f"{key} = {show(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            text = "[" + ", ".join(map(show, value)) + "]"
        case _:
            text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def one_of(*words: str) -> ValueKind:
    """Return the kind with the given words as values."""
    quoted = [show(word) for word in words]
    return ValueKind(f"{', '.join(quoted[:-1])} or {quoted[-1]}", _one_of(words), words)


def seconds(*, or_zero: bool = False) -> ValueKind:
    """Return the kind of durations: above 0, or from 0 on, and at most a year."""

    def read(value: Any) -> float:
        # This rejects `nan` as well.
        fits = type(value) in (int, float) and 0 <= value <= LONGEST_TIME and (or_zero or value > 0)
        return float(_checked(value, fits))

    least = "0 or more" if or_zero else "above 0"
    return ValueKind(f"a number of seconds {least}, and at most {LONGEST_TIME:.0f}", read)


def read_span(text: str) -> timedelta:
    """Return the duration that a text such as `"90s"`, `"15m"`, `"2h"` or `"3d"` names.

    Raises:
        ValueError: it names none.
        OverflowError: it is too long.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def whole_number(what: str, least: int = 1, most: int | None = None) -> ValueKind:
    """Return the kind of whole numbers.

    Args:
        what: the unit, such as `"bytes"`.
        least: the smallest valid number.
        most: the largest valid number; None if there is none.
    """

    def read(value: Any) -> int:
        fits = type(value) is int and value >= least and (most is None or value <= most)
        return int(_checked(value, fits))

    bounds = f", at least {least}" if most is None else f" from {least} to {most}"
    return ValueKind(f"a whole number of {what}{bounds}", read)


def number(what: str, least: float, most: float) -> ValueKind:
    """Return the kind of numbers, with or without a fraction, in a range.

    Args:
        what: the unit, such as `"seconds"`; may be empty.
        least: the smallest valid number.
        most: the largest valid number.
    """

    def read(value: Any) -> float:
        return float(_checked(value, type(value) in (int, float) and least <= value <= most))

    unit = f" of {what}" if what else ""
    return ValueKind(f"a number{unit} from {least:g} to {most:g}", read)


def _checked(value: Any, fits: bool) -> Any:
    if not fits:
        raise ValueError
    return value


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    return lambda value: str(_checked(value, value in words))


def _flag(value: Any) -> bool:
    return bool(_checked(value, isinstance(value, bool)))


def _texts(value: Any) -> tuple[str, ...]:
    fits = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    return tuple(_checked(value, fits))


def _span(value: Any) -> str:
    if value is False or value == "":
        return ""
    try:
        length = read_span(_checked(value, isinstance(value, str))).total_seconds()
    except OverflowError:
        raise ValueError from None
    return str(_checked(value, 0 < length <= LONGEST_TIME))


def _path(value: Any) -> Path:
    fits = isinstance(value, str) and value != "" and "\0" not in value
    return Path(_checked(value, fits)).expanduser()


def _address(value: Any) -> ServerAddress:
    return parse_server_address(_checked(value, isinstance(value, str)))


def address_kind(default_port: int) -> ValueKind:
    """Return the kind of addresses to listen on; port 0 is any free port.

    Args:
        default_port: of an address without a port.
    """

    def read(value: Any) -> str:
        text = _checked(value, isinstance(value, str))
        return str(Address.parse(text, lowest_port=0, default_port=default_port))

    return ValueKind(f'an address in quotes, such as "127.0.0.1:{default_port}"', read)


def _name(value: Any) -> str:
    fits = isinstance(value, str) and re.fullmatch(r"\w+", value, re.ASCII) is not None
    return str(_checked(value, fits))


FLAG: Final = ValueKind("true or false, without quotes", _flag)
TEXTS: Final = ValueKind('a list of strings, such as ["/alarm/code"]', _texts)
SPAN: Final = ValueKind('a duration in quotes, such as "24h" or "90m", or "" for none', _span)
PATH: Final = ValueKind('a path in quotes, such as "/var/lib/eshet-rules"', _path)
ADDRESS: Final = ValueKind(
    'an address in quotes, such as "localhost", "house:11236" or "nats://house"', _address
)
NAME: Final = ValueKind('a name of letters A-Z, digits and _, in quotes, such as "house"', _name)
