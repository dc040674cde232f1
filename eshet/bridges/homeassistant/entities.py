"""Entities of Home Assistant: the types of their states, and the services that set them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from eshet.bridges.exceptions import NotAllowed
from eshet.bridges.kinds import Flag, Kind, Number, Text
from eshet.unknown import Unknown

__all__ = ["Entity", "Service", "is_settable", "kind_of", "service_for", "value_of"]

_SWITCHED: Final = frozenset(
    {"automation", "fan", "humidifier", "input_boolean", "light", "remote", "siren", "switch"}
)
"""Domains of entities that can be turned on and off."""

_ON_OR_OFF: Final = frozenset({"binary_sensor", "calendar", "schedule", "script", "update"})
"""Domains of entities that are on or off, and can't be set."""

_NUMBERS: Final = frozenset({"input_number", "number", "counter"})
_CHOICES: Final = frozenset({"input_select", "select"})
_TEXTS: Final = frozenset({"input_text", "text"})
_OPENED: Final = frozenset({"cover", "valve"})
_NONE: Final = frozenset({"unknown", "unavailable"})


@dataclass
class Entity:
    """An entity, with the last report of Home Assistant.

    Args:
        entity_id: such as `"light.kitchen"`.
        state: its text.
        attributes: by name.
        last_event: for domain `event`, the state of the last event, which is its time; empty if
            there was none, None if that is not known.
    """

    entity_id: str
    state: str = "unknown"
    attributes: dict[str, Any] = field(default_factory=dict)
    last_event: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.last_event = {"unknown": "", "unavailable": None}.get(self.state, self.state)

    @property
    def domain(self) -> str:
        """The domain: the first part of the id."""
        return self.entity_id.partition(".")[0]

    def update(self, change: Mapping[str, Any]) -> None:
        """Apply a change in the compressed form of `subscribe_entities`."""
        added, removed = change.get("+") or {}, change.get("-") or {}
        self.state = str(added.get("s", self.state))
        self.attributes |= added.get("a") or {}
        for name in removed.get("a") or ():
            self.attributes.pop(name, None)

    def take_event(self) -> bool:
        """Return whether the state shows an event since the last call.

        An event entity that becomes available again shows its last event once more.
        """
        if self.state in _NONE:
            if self.state == "unknown" and self.last_event is None:
                self.last_event = ""
            return False
        last, self.last_event = self.last_event, self.state
        return last is not None and last != self.state


@dataclass(frozen=True)
class Service:
    """A call of a service.

    Args:
        domain: of the service.
        name: of the service.
        data: for the service, without the target.
    """

    domain: str
    name: str
    data: Mapping[str, object] = field(default_factory=dict)


def kind_of(entity: Entity) -> Kind:
    """Return the kind of an entity's state."""
    attributes = entity.attributes
    if entity.domain in _SWITCHED or entity.domain in _ON_OR_OFF or entity.domain == "lock":
        return Flag()
    if entity.domain in _NUMBERS:
        return Number(
            _number(attributes.get("min")),
            _number(attributes.get("max")),
            _number(attributes.get("step")),
            unit=str(attributes.get("unit_of_measurement") or ""),
        )
    if attributes.get("unit_of_measurement") or attributes.get("state_class"):
        return Number(unit=str(attributes.get("unit_of_measurement") or ""))
    if entity.domain in _CHOICES:
        return Text(_texts(attributes.get("options")))
    if entity.domain == "climate":
        return Text(_texts(attributes.get("hvac_modes")))
    if entity.domain in _OPENED:
        return Text(("open", "closed"))  # it reports opening as well
    if entity.domain in _TEXTS:
        longest = _number(attributes.get("max"))
        return Text(max_length=None if longest is None else int(longest))
    return Text()


def value_of(entity: Entity) -> object:
    """Return the value of an entity's state, or Unknown."""
    if entity.state in _NONE:
        return Unknown
    if entity.domain == "lock":
        return {"locked": True, "unlocked": False}.get(entity.state, Unknown)
    if isinstance(kind_of(entity), Flag):
        return {"on": True, "off": False}.get(entity.state, Unknown)
    return entity.state


def service_for(entity: Entity, value: Any) -> Service:
    """Return the service that sets the state of an entity.

    Raises:
        NotAllowed: no service sets it.
    """
    domain = entity.domain
    if domain in _SWITCHED:
        return Service("homeassistant", "turn_on" if value else "turn_off")
    if domain == "lock":
        return Service(domain, "lock" if value else "unlock")
    if domain in ("input_number", "number"):
        return Service(domain, "set_value", {"value": value})
    if domain in _CHOICES:
        return Service(domain, "select_option", {"option": value})
    if domain in _TEXTS:
        return Service(domain, "set_value", {"value": value})
    if domain == "climate":
        return Service(domain, "set_hvac_mode", {"hvac_mode": value})
    if domain in _OPENED and value in ("open", "closed"):
        return Service(domain, f"{'open' if value == 'open' else 'close'}_{domain}")
    raise NotAllowed(value, "nothing: no service sets this state; call one", "state")


def is_settable(entity: Entity) -> bool:
    """Whether a service sets the state of an entity."""
    settable = _SWITCHED | _CHOICES | _TEXTS | _OPENED
    return entity.domain in settable | {"lock", "input_number", "number", "climate"}


def _number(given: Any) -> float | None:
    """Return a limit of an entity; None if there is none, or it is not a number."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return given if is_number and math.isfinite(given) else None


def _texts(given: Any) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, list) else ()
