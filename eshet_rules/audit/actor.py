"""The rule that is running, in a context variable and in the context of the log."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final, NamedTuple

from structlog.contextvars import bound_contextvars

__all__ = ["Actor", "current_actor", "use_actor"]


class Actor(NamedTuple):
    """A rule, its module and the module's version; None where unknown."""

    rule: str | None = None
    module: str | None = None
    version: str | None = None


_NOBODY: Final = Actor()

current_actor: Final[ContextVar[Actor]] = ContextVar("eshet_rules.acting", default=_NOBODY)
"""The actor in this context."""


@contextlib.contextmanager
def use_actor(actor: Actor) -> Iterator[None]:
    """Set the actor within a `with` statement, and for all tasks that are started there.

    Log messages get its fields.
    """
    token = current_actor.set(actor)
    try:
        with bound_contextvars(**{name: v for name, v in actor._asdict().items() if v is not None}):
            yield
    finally:
        current_actor.reset(token)
