"""Rules that have ended a runner, which no runner of the cluster runs then.

Else the module of such a rule would end one runner after the other. A rule stays in quarantine, as
on a single runner, until one of the files in question changes, or a command enables it.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC

from structlog.typing import FilteringBoundLogger

from eshet.clock import wall_now
from eshet.nats.bucket import Bucket
from eshet_rules.cluster.shared_values import SharedValue, SharedValues
from eshet_rules.supervision.guard.quarantine import Blame

__all__ = ["SharedBlame", "SharedQuarantine"]


class SharedBlame(SharedValue, frozen=True, kw_only=True):
    """A rule or module that has ended a runner.

    Args:
        blame: how.
        released: when a command has last enabled it, in UTC; empty if none has.
    """

    blame: Blame
    released: str = ""

    @property
    def is_released(self) -> bool:
        """Whether it was enabled after it has ended a runner."""
        return self.released >= self.blame.time


class SharedQuarantine(SharedValues[SharedBlame]):
    """Tells the other runners which rules have ended this one, and follows them.

    Args:
        bucket: of the rules in quarantine.
        cluster: the name of the cluster.
        runner: the name of this runner.
        log: receives errors.
    """

    def __init__(
        self, bucket: Bucket, cluster: str, runner: str, log: FilteringBoundLogger
    ) -> None:
        super().__init__(bucket, cluster, SharedBlame, log)
        self._runner = runner

    def add(self, blames: Iterable[Blame]) -> None:
        """Tell the others, soon, which rules and modules have ended this runner."""
        own = [replace(blame, runner=blame.runner or self._runner) for blame in blames]
        self.tell_soon(SharedBlame(rule=blame.name, blame=blame) for blame in own)

    def release(self, blames: Iterable[Blame]) -> None:
        """Tell the others, soon, that rules were enabled by command."""
        now = wall_now(UTC).isoformat(timespec="seconds")
        # The clock of a runner that has crashed may be ahead of that of this one.
        self.tell_soon(
            SharedBlame(rule=each.name, blame=each, released=max(now, each.time)) for each in blames
        )
