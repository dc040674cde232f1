"""Tasks at work.

A *task* is an async function without arguments; called again, it does its work again. The
strategies, which only describe how tasks are run, are in `eshet.utils`.

    built       a strategy at work
    options     what every strategy can be told
    workload    how much the strategies of a context have to do
    starting    asyncio tasks that nobody has to hold
"""

from eshet.tasks.built import Arrival, BuiltStrategy, End, Ending, Task, current_attempt
from eshet.tasks.options import BUGS, Options, RetryOptions, back_off_of, check_retries
from eshet.tasks.workload import Workload

__all__ = [
    "BUGS",
    "Arrival",
    "BuiltStrategy",
    "End",
    "Ending",
    "Options",
    "RetryOptions",
    "Task",
    "Workload",
    "back_off_of",
    "check_retries",
    "current_attempt",
]
