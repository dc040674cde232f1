"""Tracebacks for rule authors: they show the lines of rules only."""

import asyncio
import itertools
import os
import sysconfig
import traceback
from typing import Final

import eshet
import eshet_rules
from eshet.exceptions import EshetError
from eshet.user_errors import MAX_ERRORS, bounded_traceback

__all__ = ["format_error", "frames_of_rules", "is_expected", "line_in"]

_OURS: Final = tuple(
    f"{folder}{os.sep}" for package in (eshet, eshet_rules, asyncio) for folder in package.__path__
)

_CUT: Final = f"... errors that led to these {MAX_ERRORS} are not shown ..."
_LIBRARIES: Final = tuple(
    f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def format_error(error: BaseException) -> str:
    """Return the traceback of an error, with the lines of rules only.

    Frames of the runner, `eshet` and libraries are left out. If the traceback has no line of a
    rule, all frames are shown except for leading ones of our packages.
    """
    parts, is_cut = bounded_traceback(error)
    of_rules = [frames_of_rules(part.stack) for part, _ in parts]
    has_any = any(of_rules)
    for (part, _), frames in zip(parts, of_rules, strict=True):
        kept = frames if has_any else _without_our_first(part.stack)
        part.stack = traceback.StackSummary.from_list(kept)
    text = "".join(parts[0][0].format()).rstrip("\n")
    return f"{_CUT}\n\n{text}" if is_cut else text


def is_expected(error: BaseException) -> bool:
    """Whether an error is an ESHET error that was raised without any line of a rule involved."""
    files = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))
    return isinstance(error, EshetError) and all(file.startswith(_OURS) for file in files)


def frames_of_rules(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """Return the frames of rules: those of neither our packages nor a library."""
    return [frame for frame in stack if not frame.filename.startswith((*_OURS, *_LIBRARIES, "<"))]


def line_in(file: str, error: BaseException) -> int | None:
    """Return the line of a file at which an error occurred, the innermost; None if there is none.

    Args:
        file: its name as in bytecode.
        error: the error.
    """
    # Not `error.__traceback__`: the class of the error may have its own `__getattribute__`.
    frames = traceback.walk_tb(object.__getattribute__(error, "__traceback__"))
    lines = [line for frame, line in frames if frame.f_code.co_filename == file]
    return lines[-1] if lines else None


def _without_our_first(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    frames = list(stack)
    rest = list(itertools.dropwhile(lambda frame: frame.filename.startswith(_OURS), frames))
    return rest or frames
