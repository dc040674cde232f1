"""Running tasks under a strategy.

A *task* is an async function without arguments, which can be called repeatedly to repeat its work.
The strategies, which only describe how tasks are run, are in `eshet.utils`.

    built       a strategy that runs tasks
    options     the options that all strategies have
    workload    the numbers of running and waiting tasks in a scope
    starting    starting asyncio tasks without holding them
"""

from eshet.tasks.built import (
    Arrival,
    BuiltStrategy,
    End,
    Ending,
    SendingTask,
    Task,
    current_attempt,
)
from eshet.tasks.options import BUGS, Options, RetryOptions, backoff_of, check_retries
from eshet.tasks.workload import Workload

__all__ = [
    "BUGS",
    "Arrival",
    "BuiltStrategy",
    "End",
    "Ending",
    "Options",
    "RetryOptions",
    "SendingTask",
    "Task",
    "Workload",
    "backoff_of",
    "check_retries",
    "current_attempt",
]
