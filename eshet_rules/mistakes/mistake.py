"""A mistake in the source of a rule file."""

import enum
from typing import NamedTuple

__all__ = ["Code", "Mistake"]


class Code(enum.StrEnum):
    """The kinds of mistakes."""

    NO_RULE = "no-rule"
    """An `async def` looks like a rule, but has no `@rule`."""
    TEXT_OF_VALUE = "text-of-value"
    """A Value is formatted as text, which does not follow it."""
    VALUE_NOT_SETTABLE = "value-not-settable"
    """`.value` of a Value is set that observes a path or follows other Values."""
    DECIDED_ONCE = "decided-once"
    """`if value.value` in a set-up decides only once."""
    CHANGED_IN_PLACE = "changed-in-place"
    """The list, dict or set in a Value is changed in place."""
    KEPT_TWICE = "kept-twice"
    """Two `keep` Values of a rule have the same name."""
    NEVER_AWAITED = "never-awaited"
    """A coroutine is never awaited."""
    ASYNC_CALLBACK = "async-callback"
    """An `async def` is passed to something that calls it, but does not await it."""
    BLOCKING_SLEEP = "blocking-sleep"
    """`time.sleep` in a rule stops all rules."""
    EVENT_AND_VALUE = "event-and-value"
    """`&` joins the payloads of an Event and a Value, in place of filtering the Event."""
    HIDDEN_INPUT = "hidden-input"
    """A function of Values reads another Value, which it does not follow."""
    DEAD_NODE = "dead-node"
    """A Value or Event follows others, but nothing uses it."""


class Mistake(NamedTuple):
    """A mistake at a line of a file.

    Args:
        line: the line, from 1.
        code: its kind.
        problem: the mistake.
        remedy: the correction.
    """

    line: int
    code: Code
    problem: str
    remedy: str
