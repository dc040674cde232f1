"""The grammar and limits of paths, and paths relative to a base.

A path is `(/NAME)+` with ASCII word characters in names. Servers have the same limits by default
(see `eshet.server.Limits`), so that a client rejects a path before sending it.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Final

from eshet.exceptions import InvalidPath

MAX_LENGTH: Final = 1024
"""The maximum length of a path, in bytes."""
MAX_DEPTH: Final = 32
"""The maximum number of names in a path."""

_LONGEST_WORD: Final = 100
"""Maximum length of a name of something else in a path, in characters."""

_PATH: Final = re.compile(r"(?:/\w+)+", re.ASCII)
_WIRE_PATH: Final = re.compile(rb"(?:/\w+)+")
_BASE: Final = re.compile(r"(?:/\w+)*/?", re.ASCII)

_GRAMMAR: Final = (
    "write a slash before each name and only letters A-Z, digits and _ in names, as in /hall/light"
)

_LEAST: Final = 4
"""Minimum length of a name in a path that may be misspelt."""

_DIGITS: Final = re.compile(r"\d+")


def is_path(text: str) -> bool:
    """Whether the text is an absolute path of a node."""
    return _PATH.fullmatch(text) is not None


def is_wire_path(path: bytes) -> bool:
    """Whether the bytes are an absolute path of a node, as in a message."""
    return _WIRE_PATH.fullmatch(path) is not None


def check_base(base: str) -> str:
    """Return a client's base without its trailing slash, so that `/` becomes empty.

    Raises:
        InvalidPath: the base is not an absolute path of a directory, or is too long or too deep.
    """
    _check_limits(base, base.removesuffix("/"))
    if not base.startswith("/") or _BASE.fullmatch(base) is None:
        raise InvalidPath(base, _GRAMMAR)
    return base.removesuffix("/")


def word(name: str) -> str:
    """Return a name of something else in a form that is valid in a path; a very long one is cut."""
    return re.sub(r"\W", "_", name[:_LONGEST_WORD], flags=re.ASCII)


def resolve(base: str, path: str) -> str:
    """Return the absolute path of a node.

    Args:
        base: a result of `check_base`.
        path: absolute, with a leading slash, or relative to the base.

    Raises:
        InvalidPath: the result does not match the grammar, or is too long or too deep.
    """
    absolute = path if path.startswith("/") else f"{base}/{path}"
    _check_limits(path, absolute)
    if _PATH.fullmatch(absolute) is None:
        raise InvalidPath(path, _GRAMMAR)
    return absolute


def nearest(path: str, known: Iterable[str]) -> list[str]:
    """Return at most three of the known paths that a mistyped path may stand for, nearest first."""
    return difflib.get_close_matches(path, sorted(known), n=3, cutoff=0.75)


def is_misspelt(path: str, other: str) -> bool:
    """Whether one name in a path differs by one letter from that in another path.

    Names that differ by a digit are names of different things, and so are a word and its plural.
    """
    ours, theirs = path.split("/"), other.split("/")
    if len(ours) != len(theirs):
        return False
    different = [(one, two) for one, two in zip(ours, theirs, strict=True) if one != two]
    if len(different) != 1:
        return False
    [(one, two)] = different
    if _DIGITS.findall(one) != _DIGITS.findall(two) or min(len(one), len(two)) < _LEAST:
        return False
    return f"{one}s" != two and f"{two}s" != one and _differ_by_one(one, two)


def _differ_by_one(one: str, two: str) -> bool:
    """Whether a letter is missing, added or changed, or two neighbours are exchanged."""
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    rest, other = one[start:], two[start:]
    return (
        rest[1:] == other[1:]
        or rest[1:] == other
        or rest == other[1:]
        or (rest[:2] == other[1::-1] and len(rest) > 1 and rest[2:] == other[2:])
    )


def _check_limits(path: str, absolute: str) -> None:
    if len(absolute) > MAX_LENGTH:
        problem = f"it has {len(absolute)} characters, and may have at most {MAX_LENGTH}"
        raise InvalidPath(path, problem)
    if absolute.count("/") > MAX_DEPTH:
        problem = f"it has {absolute.count('/')} levels, and may have at most {MAX_DEPTH}"
        raise InvalidPath(path, problem)
