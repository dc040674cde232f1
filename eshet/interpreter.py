"""Internals of CPython, asyncio and msgpack that this project relies on, each with its reason.

tests/eshet/test_interpreter.py has a test for each: it fails on a version that changed it.
"""

import asyncio
import contextlib
import gc
import operator
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from types import CodeType, FrameType
from typing import Any, Final

__all__ = [
    "HANDLE_RUN",
    "LOOP_RUN_ONCE",
    "MSGPACK_MAX_NESTING",
    "context_of",
    "get_frame",
    "processor_time",
    "running_loop",
    "set_clock_resolution",
    "set_ready_queue",
    "task_of",
    "thread_frames",
    "threads_by_ident",
    "without_collections",
]

running_loop: Final[Callable[[], asyncio.AbstractEventLoop | None]] = asyncio._get_running_loop
"""Returns the running loop or None. `asyncio.get_running_loop()` raises instead, which is slow
where code regularly runs without a loop: time, logs, clients of scripts."""

get_frame: Final[Callable[[int], FrameType]] = sys._getframe
"""Returns a frame of the caller. `inspect.stack()` reads source files, and takes milliseconds:
every node records where it was made, and every task records its canceller."""


HANDLE_RUN: Final[CodeType] = asyncio.Handle._run.__code__
"""The code that runs one callback or one step of a task. Its local `self` is the handle, which
identifies the rule of an error that leaves the loop."""

_base_loop: Any = asyncio.BaseEventLoop
LOOP_RUN_ONCE: Final[CodeType] = _base_loop._run_once.__code__
"""The code of one iteration of a loop: the frame that it calls is the current step of the loop, for
the watchdog."""

MSGPACK_MAX_NESTING: Final = 511
"""The nesting depth up to which msgpack packs, in C and in pure Python, without an error."""

_CPU_CLOCK_OF_THREAD: Final = 6
"""Marks the id of a clock as that of one thread, and of the time that it was scheduled."""


def thread_frames() -> Mapping[int, FrameType]:
    """Return the current frame of each other thread, by the thread's ident.

    Python has no other way to find the threads that execute code of a rule. The frame of this
    thread is left out: a frame that refers to itself keeps the variables of all its callers alive.

    Before Python 3.11.9, a garbage collection in the middle of it can deadlock the interpreter
    (https://github.com/python/cpython/issues/106883), so there is none.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        frames = sys._current_frames()
    finally:
        if collects:
            gc.enable()
    frames.pop(threading.get_ident(), None)
    return frames


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Create long-lived objects within a `with` statement; the process must be the caller's own.

    The garbage collector searches neither meanwhile, nor these objects later: with a million
    objects, a collection stops the event loop for half a second. If objects that refer to each
    other in a cycle are replaced later, their memory is not freed.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def threads_by_ident() -> Mapping[int, threading.Thread]:
    """Return the running threads, by their idents, without a lock.

    `threading.enumerate()` takes a lock: in a signal handler it would wait forever, if the signal
    came while this thread held that lock.
    """
    any_threading: Any = threading
    threads: dict[int, threading.Thread] = any_threading._active.copy()
    return threads


def processor_time(native_id: int) -> float | None:
    """Return the processor time of a thread of this process, in seconds.

    None if the thread has ended, or if the system is not Linux. Linux has a clock for each thread
    (`clock_getcpuclockid(3)`), with an id computed from the thread's id. The function of Python,
    `time.pthread_getcpuclockid`, crashes if the thread has ended.

    Args:
        native_id: id that the system has given to the thread.
    """
    if sys.platform != "linux":
        return None
    try:
        return time.clock_gettime((~native_id << 3) | _CPU_CLOCK_OF_THREAD)
    except OSError:
        return None


context_of: Final[Callable[[asyncio.Handle], Context]] = operator.attrgetter("_context")
"""Returns the context in which a loop runs a callback.

The context holds the scope, which identifies the rule of a waiting or failed callback. Python 3.12
has a public `Handle.get_context()`.
"""


def task_of(handle: asyncio.Handle) -> "asyncio.Task[Any] | None":
    """Return the task of which a handle runs a step; None for other callbacks.

    An exception that has left the loop, and was reported, is also the result of its task.
    """
    callback: Any = handle._callback  # type: ignore[attr-defined]
    task = getattr(callback, "__self__", None)
    return task if isinstance(task, asyncio.Task) else None


def set_ready_queue(loop: asyncio.BaseEventLoop, queue: deque[asyncio.Handle]) -> None:
    """Replace the queue of callbacks that a loop runs next.

    A rule that schedules thousands of callbacks must not delay the callbacks of others, so the
    runner's loop takes them in turn from each rule.
    """
    any_loop: Any = loop
    any_loop._ready = queue


def set_clock_resolution(loop: asyncio.BaseEventLoop, seconds: float) -> None:
    """Set how early a loop may call a timer, in seconds.

    If its clock jumps exactly to the next timer, the loop must not call a later one with it.
    """
    any_loop: Any = loop
    any_loop._clock_resolution = seconds
