"""Internals of CPython, asyncio and msgpack that this project relies on, each with its reason.

tests/eshet/test_interpreter.py has a test for each: it fails on a version that changed it.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from types import CodeType, FrameType
from typing import Any, Final

__all__ = [
    "HANDLE_RUN",
    "LOOP_RUN_ONCE",
    "MSGPACK_MAX_NESTING",
    "context_of",
    "get_frame",
    "running_loop",
    "set_clock_resolution",
    "set_ready_queue",
    "thread_frames",
]

running_loop: Final[Callable[[], asyncio.AbstractEventLoop | None]] = asyncio._get_running_loop
"""Returns the running loop or None. `asyncio.get_running_loop()` raises instead, which is slow
where code regularly runs without a loop: time, logs, clients of scripts."""

get_frame: Final[Callable[[int], FrameType]] = sys._getframe
"""Returns a frame of the caller. `inspect.stack()` reads source files, and takes milliseconds:
every node records where it was made, and every task records its canceller."""

thread_frames: Final[Callable[[], Mapping[int, FrameType]]] = sys._current_frames
"""Returns the current frame of each thread, by the thread's ident: the only way to find threads of
rules that compute."""

HANDLE_RUN: Final[CodeType] = asyncio.Handle._run.__code__
"""The code that runs one callback or one step of a task. Its local `self` is the handle, which
identifies the rule of an error that leaves the loop."""

_base_loop: Any = asyncio.BaseEventLoop
LOOP_RUN_ONCE: Final[CodeType] = _base_loop._run_once.__code__
"""The code of one iteration of a loop: the frame that it calls is the current step of the loop, for
the watchdog."""

MSGPACK_MAX_NESTING: Final = 511
"""The nesting depth up to which msgpack packs, in C and in pure Python, without an error."""


def context_of(handle: asyncio.Handle) -> Context:
    """Return the context in which a loop runs a callback.

    The context holds the scope, which identifies the rule of a waiting or failed callback. Python
    3.12 has a public `Handle.get_context()`.
    """
    context: Context = handle._context  # type: ignore[attr-defined]
    return context


def set_ready_queue(loop: asyncio.BaseEventLoop, queue: deque[asyncio.Handle]) -> None:
    """Replace the queue of callbacks that a loop runs next.

    A rule that schedules thousands of callbacks must not delay the callbacks of others, so the
    runner's loop takes them in turn from each rule.
    """
    any_loop: Any = loop
    any_loop._ready = queue


def set_clock_resolution(loop: asyncio.BaseEventLoop, seconds: float) -> None:
    """Set how early a loop may call a timer, in seconds.

    A loop whose clock jumps exactly to the next timer must not call a later one with it.
    """
    any_loop: Any = loop
    any_loop._clock_resolution = seconds
