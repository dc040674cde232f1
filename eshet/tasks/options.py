"""The options that all strategies have."""

import dataclasses
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

__all__ = ["BUGS", "Backoff", "Options", "RetryOptions", "backoff_of", "check_retries"]

BUGS: Final = (TypeError, NameError, AttributeError)
"""Programming errors in a task, which another attempt would hit again."""

QUEUE_WARNING: Final = 100
"""How many tasks may wait before a warning is logged."""


@dataclass(frozen=True)
class Backoff:
    """The pauses between the attempts of a task.

    Args:
        start: seconds from the first failure to the second attempt.
        end: the longest pause, in seconds.
        multiplier: the factor from each pause to the next.
        assume_failed: whether an attempt is repeated although it succeeded.

    Raises:
        ValueError: the arguments are not consistent; the message says what to write.
    """

    start: float
    end: float
    multiplier: float
    assume_failed: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.start <= self.end < math.inf:
            raise ValueError(
                f"retry_start={self.start} and retry_end={self.end} are not a range of "
                "waits: write seconds with 0 < retry_start <= retry_end"
            )
        if not 1 <= self.multiplier < math.inf:
            raise ValueError(
                f"retry_multiplier={self.multiplier} would shorten the waits: "
                "write 1 for equal waits, or more"
            )

    def pauses(self) -> Iterator[float]:
        """Yield the pauses of one task, without end, in seconds."""
        pause = self.start
        while True:
            yield pause
            pause = min(pause * self.multiplier, self.end)


@dataclass(frozen=True, kw_only=True, repr=False)
class Options:
    """The options that all strategies have, by keyword.

    Args:
        timeout: seconds that an attempt may take; then it is cancelled, and has failed. None for
            no limit. A rule that runs under the strategy has no limit; its sinks have.
        max_queue: how many tasks may wait; beyond that the oldest is skipped. If a strategy runs
            any number at once, how many may run; further ones are skipped. None for no limit.
        warn_queue: how many tasks wait, or run at once, when a warning is logged; it is repeated
            each time the number doubles.
        max_attempts: the maximum number of attempts; None for no limit. Needs `retry`.
        retry_on: errors after which a task is attempted again. Needs `retry`.
        give_up_on: errors after which it is not, even if they match `retry_on`: by default those
            of bugs, which another attempt would hit again.
        jitter: the maximum fraction, from 0 to 1, by which a pause between attempts is shortened at
            random, so that many tasks that fail together are not repeated together. Needs `retry`.
        randomness: returns numbers from 0 to 1 for that.

    Raises:
        ValueError: an option is not valid; the message says what to write.
    """

    timeout: float | None = None
    max_queue: int | None = None
    warn_queue: int = QUEUE_WARNING
    max_attempts: int | None = None
    retry_on: tuple[type[Exception], ...] = (Exception,)
    give_up_on: tuple[type[Exception], ...] = BUGS
    jitter: float = 0.0
    randomness: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout={self.timeout} is not valid: write seconds, more than 0")
        for name, least in (("max_queue", 1), ("warn_queue", 1), ("max_attempts", 1)):
            count = getattr(self, name)
            if count is not None and count < least:
                raise ValueError(f"{name}={count} would let no task run: write 1 or more")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter={self.jitter} is not a fraction: write 0 to 1")
        for name in ("retry_on", "give_up_on"):
            if not _are_errors(getattr(self, name)):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not a tuple of errors: "
                    f"write {name}=(OSError, TimeoutError)"
                )

    def __repr__(self) -> str:
        shown = (
            f"{each.name}={getattr(self, each.name)!r}"
            for each in dataclasses.fields(self)
            if each.repr and getattr(self, each.name) != each.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, kw_only=True, repr=False)
class RetryOptions(Options):
    """Options of strategies that may attempt a failed task again.

    Args:
        retry: attempt a failed task again, until it succeeds.
        retry_start: seconds from a failure to the second attempt.
        retry_end: the longest pause between two attempts, in seconds.
        retry_multiplier: the factor from each pause to the next. A new task starts again with
            `retry_start`.
    """

    retry: bool = False
    retry_start: float = 2.0
    retry_end: float = 30.0
    retry_multiplier: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_retries(self)


class _Retries(Protocol):
    """The common part of `RetryOptions` and the contract's `RunSerially`."""

    @property
    def retry(self) -> bool: ...
    @property
    def retry_start(self) -> float: ...
    @property
    def retry_end(self) -> float: ...
    @property
    def retry_multiplier(self) -> float: ...


def backoff_of(strategy: _Retries, *, assume_failed: bool = False) -> Backoff | None:
    """Return how a strategy repeats a failed task; None if it does not."""
    backoff = Backoff(
        strategy.retry_start, strategy.retry_end, strategy.retry_multiplier, assume_failed
    )
    return backoff if strategy.retry else None


def check_retries(strategy: _Retries) -> None:
    """Check the retry options of a strategy.

    Raises:
        ValueError: an option is not valid; the message says what to write.
    """
    backoff_of(strategy)
    if strategy.retry:
        return
    for name in ("max_attempts", "retry_on", "jitter"):
        if getattr(strategy, name) != getattr(Options, name):
            raise ValueError(
                f"{name} is about attempts after the first, but retry is off: "
                f"write {type(strategy).__name__}(retry=True, {name}={getattr(strategy, name)!r})"
            )


def _are_errors(given: object) -> bool:
    return isinstance(given, tuple) and all(
        isinstance(each, type) and issubclass(each, Exception) for each in given
    )
