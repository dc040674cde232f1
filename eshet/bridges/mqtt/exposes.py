"""The values of a device of zigbee2mqtt, read from its `exposes` as kinds and conversions.

The format is that of zigbee2mqtt 2: https://www.zigbee2mqtt.io/guide/usage/exposes.html. Every
value has a key in the JSON objects that zigbee2mqtt sends and accepts, which is its name here too.
Two units of lights are converted, so that the lights of all bridges use the same: a brightness is a
number from 0 to 1, and a colour temperature is in kelvin.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from eshet.bridges.exceptions import WrongKind
from eshet.bridges.kinds import DATA, Flag, Kind, Number, Record, Text

__all__ = ["Exposed", "read_exposes"]

_REPORTED: Final = 1
_SETTABLE: Final = 2
_GETTABLE: Final = 4
"""The bits of `access`."""

_GROUPING: Final = frozenset({"light", "switch", "cover", "lock", "fan", "climate"})
"""Types that only group their features."""

_MAX_DEPTH: Final = 8

Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Exposed:
    """A value of a device.

    Args:
        key: in the JSON objects; also its name in the tree.
        kind: of its values.
        access: bits: it is reported, it can be set, it can be requested.
        is_event: whether it is an event, and not a state.
        from_wire: converts a reported value for the kind; raises WrongKind.
        to_wire: converts a checked value to the form of zigbee2mqtt.
    """

    key: str
    kind: Kind
    access: int
    is_event: bool = False
    from_wire: Convert = field(default=_same, compare=False)
    to_wire: Convert = field(default=_same, compare=False)

    @property
    def is_reported(self) -> bool:
        """Whether the device reports it."""
        return bool(self.access & _REPORTED)

    @property
    def is_settable(self) -> bool:
        """Whether it can be set."""
        return bool(self.access & _SETTABLE)

    @property
    def is_gettable(self) -> bool:
        """Whether the value can be requested from the device."""
        return bool(self.access & _GETTABLE)


def read_exposes(exposes: object) -> tuple[list[Exposed], list[str]]:
    """Return the values of a device, and descriptions of the features that can't be read.

    Args:
        exposes: the value of that name in the definition of the device.
    """
    values: dict[str, Exposed] = {}
    unread: list[str] = []
    for each in _features(exposes, unread):
        try:
            value = _read(each, 0)
        except (KeyError, TypeError, ValueError):
            unread.append(_described(each))
            continue
        before = values.get(value.key)
        values[value.key] = value if before is None else _merged(before, value)
    return list(values.values()), unread


def _features(exposes: object, unread: list[str], light: bool = False) -> Iterator[dict[str, Any]]:
    """Yield all features with a key, those of a light marked as such."""
    if not isinstance(exposes, list):
        unread.append(_described(exposes))
        return
    for each in exposes:
        if not isinstance(each, dict):
            unread.append(_described(each))
        elif str(each.get("type")) in _GROUPING or (
            each.get("features") and not each.get("property")
        ):
            yield from _features(each.get("features"), unread, each.get("type") == "light")
        else:
            yield {**each, "light": light}


def _read(feature: Mapping[str, Any], depth: int) -> Exposed:
    """Return a feature as a value.

    Raises:
        KeyError: something is missing.
        TypeError: something is of a wrong type.
        ValueError: the type is not known, or nested too deeply.
    """
    access = feature.get("access", _REPORTED)
    if depth > _MAX_DEPTH or not isinstance(access, int):
        raise ValueError
    key = feature["property"] if depth == 0 else feature.get("property") or feature["name"]
    if not isinstance(key, str) or not key:
        raise ValueError
    match feature["type"]:
        case "binary":
            return _binary(key, access, feature["value_on"], feature["value_off"])
        case "numeric":
            return _numeric(key, access, feature)
        case "enum":
            values = _list(feature["values"])
            choices = tuple(map(str, values))
            wire = dict(zip(choices, values, strict=True))
            return Exposed(
                key,
                Text(choices),
                access,
                is_event=feature.get("name") == "action",
                to_wire=lambda text: wire.get(text, text),
            )
        case "text":
            return Exposed(key, Text(), access)
        case "composite":
            return _composite(key, access, _list(feature["features"]), depth)
        case "list":
            return Exposed(key, DATA, access)
    raise ValueError


def _binary(key: str, access: int, on: object, off: object) -> Exposed:
    if isinstance(on, bool) and isinstance(off, bool):
        # Also where true is "off", as for contacts: by their name, true means closed.
        return Exposed(key, Flag(), access)

    def from_wire(value: object) -> bool:
        text = str(value).lower()
        if text == str(on).lower():
            return True
        if text == str(off).lower():
            return False
        raise WrongKind(value, f"{on!r} or {off!r}")

    return Exposed(
        key,
        Flag(),
        access,
        from_wire=from_wire,
        to_wire=lambda value: on if value else off,
    )


def _numeric(key: str, access: int, feature: Mapping[str, Any]) -> Exposed:
    least, most = _limit(feature.get("value_min")), _limit(feature.get("value_max"))
    if feature.get("light") and feature.get("name") == "brightness" and most:
        full = most
        return Exposed(
            key,
            Number(0, 1),
            access,
            from_wire=lambda value: _number(value) / full,
            to_wire=lambda value: round(value * full),
        )
    if feature.get("light") and feature.get("name") in ("color_temp", "color_temp_startup"):
        # In mired, a millionth of the inverse: the largest value is the smallest in kelvin.
        return Exposed(
            key,
            Number(_kelvin(most) if most else 1, _kelvin(least) if least else None, unit="K"),
            access,
            from_wire=lambda value: _kelvin(_number(value)),
            to_wire=lambda value: round(1_000_000 / value),
        )
    step = _limit(feature.get("value_step"))
    kind = Number(
        least, most, step if step and step > 0 else None, unit=str(feature.get("unit", ""))
    )
    return Exposed(key, kind, access)


def _composite(key: str, access: int, features: Sequence[Any], depth: int) -> Exposed:
    if not all(isinstance(each, dict) for each in features):
        raise TypeError
    values = {value.key: value for value in (_read(each, depth + 1) for each in features)}

    def convert(direction: Callable[[Exposed], Convert]) -> Convert:
        def converted(record: Any) -> Any:
            if not isinstance(record, dict):
                return record
            return {
                name: direction(values[name])(item) if name in values else item
                for name, item in record.items()
            }

        return converted

    return Exposed(
        key,
        Record({name: value.kind for name, value in values.items()}),
        access,
        from_wire=convert(lambda value: value.from_wire),
        to_wire=convert(lambda value: value.to_wire),
    )


def _merged(one: Exposed, other: Exposed) -> Exposed:
    """Return two features with one key as one value, such as a colour as x, y and as hue."""
    if isinstance(one.kind, Record) and isinstance(other.kind, Record):
        return replace(one, kind=Record({**one.kind.fields, **other.kind.fields}))
    return replace(one, access=one.access | other.access)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _limit(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongKind(value, "a number")
    return value


def _kelvin(mired: float) -> float:
    if mired < 1:
        raise WrongKind(mired, "a number of at least 1")
    return round(1_000_000 / mired)


def _described(feature: object) -> str:
    if not isinstance(feature, dict):
        return repr(feature)[:80]
    return f"{feature.get('type')} {feature.get('property') or feature.get('name')}"[:80]
