"""Which rule it is that acts, in a context variable; for a log, too."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final, NamedTuple

from structlog.contextvars import bound_contextvars

__all__ = ["Actor", "current_actor", "use_actor"]


class Actor(NamedTuple):
    """A rule, its module and the version of that; None for what is not known."""

    rule: str | None = None
    module: str | None = None
    version: str | None = None


_NOBODY: Final = Actor()

current_actor: Final[ContextVar[Actor]] = ContextVar("eshet_rules.acting", default=_NOBODY)
"""Who acts in this context."""


@contextlib.contextmanager
def use_actor(who: Actor) -> Iterator[None]:
    """Act as a rule or a module within a `with` statement; tasks started there do so to their end.

    Whatever is logged there says who it was.
    """
    token = current_actor.set(who)
    try:
        with bound_contextvars(**{name: v for name, v in who._asdict().items() if v is not None}):
            yield
    finally:
        current_actor.reset(token)
