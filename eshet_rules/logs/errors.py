"""Errors as those who write rules want to see them: where in their own lines it went wrong."""

import asyncio
import os
import traceback
from typing import Final

import eshet
import eshet_rules
from eshet.exceptions import EshetError, Interrupted
from eshet.user_errors import MAX_ERRORS, bounded_traceback
from eshet_rules.exceptions import RulesError

__all__ = ["format_error", "is_expected"]

_OURS: Final = tuple(
    f"{folder}{os.sep}" for package in (eshet, eshet_rules, asyncio) for folder in package.__path__
)

_CUT: Final = f"... errors that led to these {MAX_ERRORS} are not shown ..."


def format_error(error: BaseException) -> str:
    """Return the traceback of an error, without what is the runner's own.

    It begins with the first line that is a rule's, or a library's. That of an error that we raise
    also ends there: what the line has done wrong is said by the error, not by how we found out.
    """
    parts, is_cut = bounded_traceback(error)
    for part, its_error in parts:
        raised_by_us = isinstance(its_error, EshetError | RulesError | Interrupted)
        part.stack = _without_our_frames(part.stack, at_the_end=raised_by_us)
    text = "".join(parts[0][0].format()).rstrip("\n")
    return f"{_CUT}\n\n{text}" if is_cut else text


def is_expected(error: BaseException) -> bool:
    """Whether a house has such errors, and none of the rule's own lines had a part in this one."""
    files = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))
    return isinstance(error, EshetError) and all(file.startswith(_OURS) for file in files)


def _without_our_frames(
    stack: traceback.StackSummary, *, at_the_end: bool
) -> traceback.StackSummary:
    frames = list(stack)
    while frames and frames[0].filename.startswith(_OURS):
        del frames[0]
    while at_the_end and frames and frames[-1].filename.startswith(_OURS):
        del frames[-1]
    return traceback.StackSummary.from_list(frames) if frames else stack
