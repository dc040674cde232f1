"""Errors as those who write rules want to see them: where in their own lines it went wrong."""

import asyncio
import os
import traceback
from collections.abc import Iterator
from typing import Final

import eshet
import eshet_rules
from eshet.exceptions import EshetError, Interrupted
from eshet_rules.exceptions import RulesError

__all__ = ["format_error", "is_expected"]

_OURS: Final = tuple(
    f"{folder}{os.sep}" for package in (eshet, eshet_rules, asyncio) for folder in package.__path__
)


def format_error(error: BaseException) -> str:
    """Return the traceback of an error, without what is the runner's own.

    It begins with the first line that is a rule's, or a library's. That of an error that we raise
    also ends there: what the line has done wrong is said by the error, not by how we found out.
    """
    shown = traceback.TracebackException.from_exception(error)
    for part, its_error in _parts(shown, error):
        raised_by_us = isinstance(its_error, EshetError | RulesError | Interrupted)
        part.stack = _without_our_frames(part.stack, at_the_end=raised_by_us)
    return "".join(shown.format()).rstrip("\n")


def is_expected(error: BaseException) -> bool:
    """Whether a house has such errors, and none of the rule's own lines had a part in this one."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, EshetError) and all(f.filename.startswith(_OURS) for f in frames)


def _parts(
    shown: traceback.TracebackException, error: BaseException
) -> Iterator[tuple[traceback.TracebackException, BaseException]]:
    """Iterate over an error and all that it came of, or consists of, as shown and as it is."""
    seen: set[int] = set()
    todo: list[tuple[traceback.TracebackException | None, BaseException | None]] = [(shown, error)]
    while todo:
        part, its_error = todo.pop()
        if part is None or its_error is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part, its_error
        todo += [
            (part.__cause__, its_error.__cause__),
            (part.__context__, its_error.__context__),
        ]
        if isinstance(its_error, BaseExceptionGroup):
            todo += zip(part.exceptions or (), its_error.exceptions, strict=False)


def _without_our_frames(
    stack: traceback.StackSummary, *, at_the_end: bool
) -> traceback.StackSummary:
    frames = list(stack)
    while frames and frames[0].filename.startswith(_OURS):
        del frames[0]
    while at_the_end and frames and frames[-1].filename.startswith(_OURS):
        del frames[-1]
    return traceback.StackSummary.from_list(frames) if frames else stack
