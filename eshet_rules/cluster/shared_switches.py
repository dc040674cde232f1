"""Rules that were enabled or disabled by command, for all runners of a cluster.

The last command holds. Each runner also keeps what it knows in its state folder.
"""

from collections.abc import Iterable

from structlog.typing import FilteringBoundLogger

from eshet.nats.bucket import Bucket
from eshet_rules.cluster.shared_values import SharedValue, SharedValues

__all__ = ["SharedSwitches", "Switch"]


class Switch(SharedValue, frozen=True, kw_only=True):
    """A rule that was enabled or disabled.

    Args:
        on: whether it was enabled.
    """

    on: bool


class SharedSwitches(SharedValues[Switch]):
    """Tells the other runners which rules were enabled or disabled here, and follows them.

    Args:
        bucket: of the switches.
        cluster: the name of the cluster.
        log: receives errors.
    """

    def __init__(self, bucket: Bucket, cluster: str, log: FilteringBoundLogger) -> None:
        super().__init__(bucket, cluster, Switch, log)

    def switch(self, rules: Iterable[str], on: bool) -> None:
        """Tell the others, soon, that rules were enabled or disabled."""
        self.tell_soon(Switch(rule=rule, on=on) for rule in rules)
