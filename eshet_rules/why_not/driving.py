"""Which drivers of a path stand before a driver, so that its value is not the one that counts."""

from collections.abc import Mapping
from typing import Any, Final

from eshet.unknown import Unknown

__all__ = ["DriverOrder"]


class DriverOrder:
    """The drivers of a path, by the names of their rules.

    Args:
        report: on the path, see `Publisher`; None if no rule drives it.
    """

    def __init__(self, report: Mapping[str, Any] | None) -> None:
        self._report: Final = report or {"drivers": [], "decides": None}
        self._drivers: Final[list[Mapping[str, Any]]] = self._report["drivers"]
        self._ranks: Final[dict[str, int]] = {}
        for rank, driver in enumerate(self._drivers):
            self._ranks.setdefault(driver["rule"], rank)

    @property
    def shown(self) -> object:
        """The value that the path shows; Unknown if that is not known."""
        shown = self._report.get("shown")
        return Unknown if shown is None else shown

    def rank(self, rule: str) -> int:
        """Return the place of a driver in the order; the first one has 0."""
        return self._ranks.get(rule, len(self._drivers))

    def has_opinion(self, rule: str) -> bool:
        """Whether a driver wants anything."""
        return any(each["rule"] == rule and each["has_opinion"] for each in self._drivers)

    def ahead_of(self, rule: str) -> dict[str, Any] | None:
        """Return who decides before a driver: a rule, or `person`; and until when, if known.

        None if nobody does.
        """
        decides = self._report["decides"]
        if decides in (None, rule):
            return None
        if decides == "person":
            first = next((n for n, each in enumerate(self._drivers) if each["stands_by"]), 0)
            override = self._report["override"]
            is_ahead, until = self.rank(rule) >= first, override and override["until"]
        else:
            is_ahead, until = self.rank(rule) > self.rank(decides), None
        return {"by": decides, "until": until} if is_ahead else None

    def is_before_others(self, rule: str) -> bool:
        """Whether a driver decides, and another one would without it."""
        return bool(self._report["decides"] == rule and self.rank(rule) < len(self._drivers) - 1)
