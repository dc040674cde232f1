"""Waiting for what happens over a real socket, whose answers no clock foretells."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.conftest import Advance

__all__ = ["eventually", "passing_time", "until"]

T = TypeVar("T")

_TICK = 0.02


async def until(condition: Callable[[], bool], advance: Advance, step: float = 0) -> None:
    """Let the loop run, in no time or step by step, until the condition holds."""
    while not condition():
        await advance(step)


async def passing_time(awaitable: Awaitable[T], advance: Advance, step: float = 1) -> T:
    """Let time pass, step by step, until the awaitable is done, and return its result."""
    future = asyncio.ensure_future(awaitable)
    while not future.done():
        await advance(step)
    return await future


async def eventually(look: Callable[[], Awaitable[T] | T], holds: Callable[[T], bool] = bool) -> T:
    """Look again and again, while time passes, until a condition holds for it, and return it."""
    while True:
        seen = look()
        found = await seen if isinstance(seen, Awaitable) else seen
        if holds(found):
            return found
        await asyncio.sleep(_TICK)
