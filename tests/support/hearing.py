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
    """A scope that keeps what is reported to it, as pairs of the error and what raised it.

    Attributes:
        reported: these pairs, without the place where what raised was made.
        places: that place of each, as `"test_fn.py:12"`.
    """

    def __init__(self, name: str = "rule") -> None:
        self.reported: list[tuple[str, str]] = []
        self.places: list[str] = []
        self.scope = Scope(name, on_error=self._keep)

    def _keep(self, error: BaseException, doing: str) -> None:
        doing, _, place = doing.partition(" at ")
        self.reported.append((repr(error), doing))
        self.places.append(place)
