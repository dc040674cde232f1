"""Keeps the cause of an output through a client that only forwards its inputs."""

from eshet.cause import Cause
from eshet.client.observer import ClientObserver, InputTarget

__all__ = ["CauseRelay"]


class CauseRelay(ClientObserver):
    """The observer of clients without recorded inputs and outputs, such as a bridge.

    An input gets the cause of the output of which it is the effect, rather than a cause of its own:
    that would be a cause in the chain without a record.

    Args:
        shared: the observer of the recorded clients.
    """

    def __init__(self, shared: ClientObserver) -> None:
        super().__init__(shared)

    def cause_of_input(
        self, kind: str, path: bytes, value: bytes, target: InputTarget
    ) -> Cause | None:
        """Return the cause of the output of which an input is the effect; None if there is none."""
        return self.cause_of_output(kind, path, value, target)
