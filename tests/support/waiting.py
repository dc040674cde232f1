"""Waiting for what happens over a real socket, whose answers no clock foretells."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.conftest import Advance

__all__ = ["passing_time", "until"]

T = TypeVar("T")


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
