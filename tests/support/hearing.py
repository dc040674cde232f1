"""What tests of reactive values listen with."""

from typing import Any

from eshet.reactive import Event, Value
from eshet.scope import Scope


def heard(reactive: Value[Any] | Event[Any]) -> list[Any]:
    """Return a list that grows by each new value or emission."""
    told: list[Any] = []
    reactive.on_value_changed(told.append)
    return told


class Errors:
    """A scope that keeps what is reported to it, as pairs of the error and what raised it."""

    def __init__(self, name: str = "rule") -> None:
        self.reported: list[tuple[str, str]] = []
        self.scope = Scope(name, on_error=self._keep)

    def _keep(self, error: BaseException, doing: str) -> None:
        self.reported.append((repr(error), doing))
