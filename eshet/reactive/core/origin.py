"""The place in the user's code where a node was made, for messages."""

import os
from pathlib import Path
from types import CodeType
from typing import Final

from eshet.interpreter import get_frame

__all__ = ["NodeName", "Origin", "of_caller", "place_of", "unnamed", "where"]

Origin = str | tuple[CodeType, int] | None
"""The name of a node; or the place where it was made, as bytecode; None if neither is known."""

_HERE: Final = str(Path(__file__).parents[2]) + os.sep


class NodeName(str):
    """The name of a node, which also keeps the place where the node was made."""

    __slots__ = ("made_at",)

    made_at: Origin

    def __new__(cls, name: str, made_at: Origin) -> "NodeName":
        """Make the name of a node.

        Args:
            name: of the node.
            made_at: the previous origin of the node.
        """
        made = super().__new__(cls, name)
        made.made_at = made_at
        return made


def unnamed(origin: Origin) -> Origin:
    """Return the place where a node was made, also if it has a name."""
    return origin.made_at if isinstance(origin, NodeName) else origin


def where() -> Origin:
    """Return the nearest place on the stack that is outside of `eshet`.

    `place_of` computes the line when it is needed: that takes longer than everything else here.
    """
    frame = get_frame(1)
    while frame.f_code.co_filename.startswith(_HERE):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def of_caller() -> Origin:
    """Return the place where the calling function was called."""
    frame = get_frame(2)
    return frame.f_code, frame.f_lasti


def place_of(origin: Origin) -> str:
    """Return a place as text, such as `" at hall.py:12"`; empty if it is not known."""
    if not isinstance(origin, tuple):
        return ""
    code, instruction = origin
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return f" at {Path(code.co_filename).name}:{line}"
    return f" at {Path(code.co_filename).name}"
