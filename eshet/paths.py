"""The grammar of paths, `(/NAME)+` with ASCII word characters, and paths relative to a base."""

import re
from typing import Final

from eshet.exceptions import InvalidPath

_PATH: Final = re.compile(r"(?:/\w+)+", re.ASCII)
_WIRE_PATH: Final = re.compile(rb"(?:/\w+)+")
_BASE: Final = re.compile(r"(?:/\w+)*/?", re.ASCII)

_GRAMMAR: Final = (
    "write a slash before each name and only letters A-Z, digits and _ in names, as in /hall/light"
)


def is_path(text: str) -> bool:
    """Whether the text is an absolute path of a node."""
    return _PATH.fullmatch(text) is not None


def is_wire_path(path: bytes) -> bool:
    """Whether the bytes are an absolute path of a node, as it stands in a message."""
    return _WIRE_PATH.fullmatch(path) is not None


def check_base(base: str) -> str:
    """Return a client's base without its trailing slash, so that `/` is the empty text.

    Raises:
        InvalidPath: the base is no absolute path of a directory.
    """
    if not base.startswith("/") or _BASE.fullmatch(base) is None:
        raise InvalidPath(base, _GRAMMAR)
    return base.removesuffix("/")


def resolve(base: str, path: str) -> str:
    """Return the absolute path of a node.

    Args:
        base: what `check_base` returned.
        path: absolute, with a leading slash, or relative to the base.

    Raises:
        InvalidPath: the result does not match the grammar.
    """
    absolute = path if path.startswith("/") else f"{base}/{path}"
    if _PATH.fullmatch(absolute) is None:
        raise InvalidPath(path, _GRAMMAR)
    return absolute
