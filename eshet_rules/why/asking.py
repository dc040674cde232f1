"""Asks the runners of a cluster for a path, and for those that have led to its value."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from eshet_rules.why.merging import Known, merge_known, unexplained

__all__ = ["ask_for_path"]

_MOST_ASKED: Final = 20
"""Maximum number of paths of which all runners are asked."""


async def ask_for_path(path: str, ask: Callable[[str], Awaitable[Mapping[str, Known]]]) -> Known:
    """Return what all runners know of a path and of what has led to its value.

    Args:
        path: the path.
        ask: returns what each runner knows of a path, by its name; see `Explaining.why`.
    """
    answers, asked = [await ask(path)], {path}
    while paths := sorted(unexplained(answers) - asked)[: max(0, _MOST_ASKED - len(asked))]:
        asked.update(paths)
        answers += await asyncio.gather(*map(ask, paths))
    return merge_known(answers[0], answers[1:])
