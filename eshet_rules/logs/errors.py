"""Errors as those who write rules want to see them: where in their own lines it went wrong."""

import asyncio
import itertools
import os
import sysconfig
import traceback
from collections.abc import Iterator
from typing import Final

import eshet
import eshet_rules
from eshet.exceptions import EshetError

__all__ = ["format_error", "is_expected"]

_OURS: Final = tuple(
    f"{folder}{os.sep}" for package in (eshet, eshet_rules, asyncio) for folder in package.__path__
)

_LIBRARIES: Final = tuple(
    f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def format_error(error: BaseException) -> str:
    """Return the traceback of an error, with the lines of rules only.

    What the runner, this package and libraries did before and after is left out, as the error says
    what was wrong. Where no line of a rule had a part in it, all lines are shown but the first ones
    if these are ours.
    """
    shown = traceback.TracebackException.from_exception(error)
    parts = list(_parts(shown))
    of_rules = [_of_rules(part.stack) for part in parts]
    has_any = any(of_rules)
    for part, frames in zip(parts, of_rules, strict=True):
        kept = frames if has_any else _without_our_first(part.stack)
        part.stack = traceback.StackSummary.from_list(kept)
    return "".join(shown.format()).rstrip("\n")


def is_expected(error: BaseException) -> bool:
    """Whether a house has such errors, and none of the rule's own lines had a part in this one."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, EshetError) and all(f.filename.startswith(_OURS) for f in frames)


def _parts(shown: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """Iterate over an error and all that it came of, or consists of, as shown."""
    seen: set[int] = set()
    todo: list[traceback.TracebackException | None] = [shown]
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        todo += [part.__cause__, part.__context__, *(part.exceptions or ())]


def _of_rules(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    return [frame for frame in stack if not frame.filename.startswith((*_OURS, *_LIBRARIES, "<"))]


def _without_our_first(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    frames = list(stack)
    rest = list(itertools.dropwhile(lambda frame: frame.filename.startswith(_OURS), frames))
    return rest or frames
