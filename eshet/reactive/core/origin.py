"""Where in the user's code a node was made, so that people are told it by that."""

import os
import sys
from pathlib import Path
from types import CodeType
from typing import Final

__all__ = ["NodeName", "Origin", "of_caller", "place_of", "unnamed", "where"]

Origin = str | tuple[CodeType, int] | None
"""The name that a node was given; or the place where it was made, as bytecode; or nothing known."""

_HERE: Final = str(Path(__file__).parents[1]) + os.sep


class NodeName(str):
    """The name that a node was given, which remembers where the node was made."""

    __slots__ = ("made_at",)

    made_at: Origin

    def __new__(cls, name: str, made_at: Origin) -> "NodeName":
        """Make the name of a node.

        Args:
            name: of the node.
            made_at: its origin until now.
        """
        made = super().__new__(cls, name)
        made.made_at = made_at
        return made


def unnamed(origin: Origin) -> Origin:
    """Return the place where a node was made that may have a name."""
    return origin.made_at if isinstance(origin, NodeName) else origin


def where() -> Origin:
    """Return the nearest place on the stack that is not of this package.

    Its line is not computed before somebody asks, by `place_of`: that takes longer than all else.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_HERE):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def of_caller() -> Origin:
    """Return the place at which the caller of this was called."""
    frame = sys._getframe(2)
    return frame.f_code, frame.f_lasti


def place_of(origin: Origin) -> str:
    """Return where that is, as `" at hall.py:12"`; empty if it is not known."""
    if not isinstance(origin, tuple):
        return ""
    code, instruction = origin
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return f" at {Path(code.co_filename).name}:{line}"
    return f" at {Path(code.co_filename).name}"
