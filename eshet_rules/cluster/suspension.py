"""Suspends the rules while others may run their modules without this runner knowing it.

Others take the modules of a runner that seems to have ended: its server is missed, and nothing
listens where it answers probes. But it may only have lost its connection to NATS, or its process
may have been stopped until NATS closed that. What its rules send is refused then, but what they do
without ESHET is not. So before others can have noticed, the rules are suspended, until it is sure
again that nobody has ended the presence.

A connection alone does not make that sure: if it is lost again and again, others may have noticed
none of those in between. But they take nothing from a runner if its server has renewed its entry
since they have begun to miss it. So it is sure as soon as a renewal of the server, and then a sign
of life of the runner, were stored that were sent since the connection was made.
"""

import math
import time
from collections.abc import Callable
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from eshet_rules.audit.records.cluster import RulesSuspended
from eshet_rules.audit.records.schema import emit
from eshet_rules.cluster.presence import Presence

__all__ = ["RuleRunner", "Suspension", "time_with_sleep"]

_STILL: Final = 1.0
"""Seconds for which the process may stand still; the loop wakes up each half a second."""

_UNSURE: Final = 0.75
"""Seconds for which others may miss this runner, as far as it knows.

With the time between two checks, this is less than the 1.5 s after which a server is missed."""

_LOGGED: Final = 0.5
"""Seconds from which a suspension is logged."""


class RuleRunner(Protocol):
    """What runs the rules: the event loop and the server of their clients."""

    def suspend_rules(self) -> None:
        """Let no rule do anything until `resume_rules`."""
        ...

    def resume_rules(self) -> None:
        """Let rules go on where they are."""
        ...


class Suspension:
    """Decides when rules are suspended, and for how long.

    Args:
        runners: run the rules.
        presence: of this runner.
        sure_since: see `JoinedServer.sure_since`.
        now: returns the loop's time.
        elapsed: returns the seconds since any time, with those for which the machine slept.
        log: receives each suspension that others may notice.
    """

    def __init__(
        self,
        *runners: RuleRunner,
        presence: Presence,
        sure_since: Callable[[], float | None],
        now: Callable[[], float],
        elapsed: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._runners = runners
        self._presence = presence
        self._sure_since = sure_since
        self._now = now
        self._elapsed = elapsed
        self._log = log
        self._woke = elapsed()
        self._sure = now()  # when it was last sure that others do not miss this runner
        self._sent = -math.inf  # when the last sign of life was sent that was stored
        self._asked: float | None = None  # since when a sign of life is to make it sure
        self._began: float | None = None  # the loop's time
        self._since = 0.0  # a sign of life has to be sent after this time
        self._why = ""

    def check(self) -> None:
        """Suspend the rules if necessary. Call this first whenever the loop has waited."""
        elapsed, now = self._elapsed(), self._now()
        still, self._woke = elapsed - self._woke, elapsed
        is_sure = self._is_sure()
        if is_sure:
            self._sure = now
        if not self._presence.number:
            return
        if still > _STILL:
            self._suspend(f"the process stood still for {still:.1f} s")
        elif self._began is None and now - self._sure > _UNSURE:
            self._suspend("there is no connection to NATS")
        elif is_sure and self._sent >= self._since:
            self.end()

    def renewed(self, sent: float) -> None:
        """Note that a sign of life was stored, which may end it.

        Args:
            sent: the loop's time at which it was sent.
        """
        self._sent = max(self._sent, sent)
        if self._is_sure() and self._sent >= self._since:
            self.end()

    def server_renewed(self) -> None:
        """Note that the server was renewed: then a sign of life makes it sure."""
        self._is_sure()

    def end(self) -> None:
        """End it, if there is one."""
        if self._began is None:
            return
        seconds, self._began = self._now() - self._began, None
        for runner in self._runners:
            runner.resume_rules()
        if seconds >= _LOGGED:
            emit(self._log, RulesSuspended(seconds=round(seconds, 3), why=self._why))

    def _is_sure(self) -> bool:
        """Whether others can't have missed this runner; if not, ask for what makes it sure."""
        since = self._sure_since()
        if since is None or self._sent >= since:
            return since is not None
        if self._asked != since and self._presence.number:
            self._asked = since
            self._presence.renew_soon()
        return False

    def _suspend(self, why: str) -> None:
        self._since = self._now()
        if self._began is None:
            self._began, self._why = self._since, why
            for runner in self._runners:
                runner.suspend_rules()
        self._presence.renew_soon()


def time_with_sleep() -> float:
    """Return the seconds since any time, with those of the machine's sleep where they are known."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
