"""The kinds of values that the properties of devices have.

A kind converts reported values, so that each state keeps its type: a temperature is a float also
when the device writes `19`. It also checks the values that are to be sent to the device; the error
describes the valid ones.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from eshet.bridges.exceptions import NotAllowed, WrongKind
from eshet.text import first_names, safe_repr

__all__ = ["DATA", "Data", "Flag", "Kind", "Number", "Record", "Text", "check_keys"]

_STEP_TOLERANCE: Final = 1e-6
"""Tolerance of the check for multiples of a step, in steps, since 0.1 has no exact float."""


class Kind(Protocol):
    """The values that a property can have."""

    def read(self, value: Any) -> object:
        """Return a reported value as the value of a state.

        Raises:
            WrongKind: it is of another kind.
        """

    def check(self, value: Any) -> object:
        """Return a value that is to be sent, converted to the type of the kind.

        Raises:
            NotAllowed: the device does not accept it.
        """

    def describe(self) -> dict[str, object]:
        """Return the type and the limits, for `info` and generated modules."""


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def read(self, value: Any) -> bool:
        """See `Kind`."""
        if isinstance(value, bool):
            return value
        raise WrongKind(value, "true or false")

    def check(self, value: Any) -> bool:
        """See `Kind`."""
        if isinstance(value, bool):
            return value
        raise NotAllowed(value, "true or false")

    def describe(self) -> dict[str, object]:
        """See `Kind`."""
        return {"type": "bool"}


@dataclass(frozen=True)
class Number:
    """A number.

    Args:
        minimum: the smallest allowed number; None for no limit.
        maximum: the largest allowed number; None for no limit.
        step: numbers are multiples of it, beginning at the minimum or 0; None for all numbers.
        whole: whether the numbers are integers.
        unit: such as `"°C"`; empty if there is none.
    """

    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    whole: bool = False
    unit: str = ""

    def read(self, value: Any) -> float:
        """See `Kind`; also reads the text of a number."""
        number = _number(value)
        if number is None:
            raise WrongKind(value, "a number")
        return round(number) if self.whole else float(number)

    def check(self, value: Any) -> float:
        """See `Kind`."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self._takes(value):
            raise NotAllowed(value, self._allowed())
        return round(value) if self.whole else value

    def describe(self) -> dict[str, object]:
        """See `Kind`."""
        facts = {"min": self.minimum, "max": self.maximum, "step": self.step, "unit": self.unit}
        given = {name: fact for name, fact in facts.items() if fact is not None and fact != ""}
        return {"type": "int" if self.whole else "float", **given}

    def _takes(self, value: float) -> bool:
        if _number(value) is None:
            return False
        if self.minimum is not None and value < self.minimum:
            return False
        if self.maximum is not None and value > self.maximum:
            return False
        step = self.step or (1 if self.whole else None)
        if step is None:
            return True
        steps = (value - (self.minimum or 0)) / step
        return math.isfinite(steps) and abs(steps - round(steps)) <= _STEP_TOLERANCE

    def _allowed(self) -> str:
        what = "a whole number" if self.whole else "a number"
        if self.minimum is not None and self.maximum is not None:
            what += f" from {self.minimum:g} to {self.maximum:g}"
        elif self.minimum is not None:
            what += f" of at least {self.minimum:g}"
        elif self.maximum is not None:
            what += f" of at most {self.maximum:g}"
        if self.step is not None and self.step != 1:
            what += f" in steps of {self.step:g}"
        return f"{what} {self.unit}".rstrip()


@dataclass(frozen=True)
class Text:
    """A text.

    Args:
        choices: the allowed texts; empty if all are.
        max_length: the maximum number of characters; None for no limit.
    """

    choices: tuple[str, ...] = ()
    max_length: int | None = None

    def read(self, value: Any) -> str:
        """See `Kind`; a device may report more than its declared choices."""
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)  # as in a list of choices that are numbers
        raise WrongKind(value, "a text")

    def check(self, value: Any) -> str:
        """See `Kind`."""
        if isinstance(value, str):
            if self.choices and value in self.choices:
                return value
            if not self.choices and (self.max_length is None or len(value) <= self.max_length):
                return value
        raise NotAllowed(value, self._allowed())

    def describe(self) -> dict[str, object]:
        """See `Kind`."""
        described: dict[str, object] = {"type": "str"}
        if self.choices:
            described["choices"] = list(self.choices)
        if self.max_length is not None:
            described["max_length"] = self.max_length
        return described

    def _allowed(self) -> str:
        if self.choices:
            names = first_names([repr(choice) for choice in self.choices], 20)
            return f"one of {', '.join(names)}"
        if self.max_length is not None:
            return f"a text of at most {self.max_length} characters"
        return "a text"


@dataclass(frozen=True)
class Record:
    """A map with a kind for each field, such as a colour.

    Args:
        fields: the kinds of the known fields, by name. Reported fields that are not known are kept.
    """

    fields: Mapping[str, Kind] = field(default_factory=dict)

    def read(self, value: Any) -> dict[str, object]:
        """See `Kind`."""
        if not isinstance(value, dict):
            raise WrongKind(value, "a map")
        return {
            str(name): self.fields[name].read(item) if name in self.fields else item
            for name, item in value.items()
        }

    def check(self, value: Any) -> dict[str, object]:
        """See `Kind`."""
        checked = {}
        for name, item in check_keys(value, self.fields).items():
            try:
                checked[name] = self.fields[name].check(item)
            except NotAllowed as error:
                place = f"{name}.{error.name}" if error.name else name
                raise NotAllowed(error.value, error.allowed, place) from None
        return checked

    def describe(self) -> dict[str, object]:
        """See `Kind`."""
        return {
            "type": "map",
            "fields": {name: kind.describe() for name, kind in self.fields.items()},
        }


@dataclass(frozen=True)
class Data:
    """Any value of JSON, such as a list."""

    def read(self, value: Any) -> object:
        """See `Kind`."""
        return value

    def check(self, value: Any) -> object:
        """See `Kind`."""
        return value

    def describe(self) -> dict[str, object]:
        """See `Kind`."""
        return {"type": "any"}


DATA: Final = Data()


def check_keys(value: object, known: Iterable[str]) -> Mapping[str, Any]:
    """Return a value that has to be a map with some of these keys.

    Raises:
        NotAllowed: it is not a map, or is empty, or has another key.
    """
    names = [*known]
    allowed = f"a map with some of {', '.join(first_names(names, 20))}"
    if not isinstance(value, dict) or not value:
        raise NotAllowed(value, allowed)
    for key in value:
        if key not in names:
            raise NotAllowed(value, f"{allowed}, without {safe_repr(key, 80)}")
    return value


def _number(value: Any) -> float | None:
    """Return a number, or the number in a text; None for other values, infinity and NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return number if isinstance(value, str) else value
