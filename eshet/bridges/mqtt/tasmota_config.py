"""The description that a device with Tasmota publishes in `tasmota/discovery/<MAC>/config`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eshet.bridges.mqtt.filters import check_topic
from eshet.bridges.mqtt.json_text import as_map

__all__ = ["TasmotaConfig"]

_MAX_OUTPUTS: Final = 64
"""Maximum number of outputs and inputs that are read; devices have fewer."""

_RELAY, _LIGHT, _SHUTTER = 1, 2, 3
"""The types of outputs in `rl`."""


@dataclass(frozen=True)
class TasmotaConfig:
    """The description of a device.

    Args:
        mac: its address, which identifies it.
        name: of the device.
        facts: for its `info`.
        topics: the beginnings of the topics of commands, of their results, and of reports.
        words: for off and on.
        availability: the words for offline and online.
        switches: the numbers of its relays and lights.
        has_light: whether one of them is a light.
        light: 0 for none or one that is only on or off, 1 for one with a brightness, 2 with white
            of several temperatures, 3 or 4 with colours, 5 with both.
        shutters: their number.
        events: the names of its buttons and switches that report how they are pressed.
    """

    mac: str
    name: str
    facts: Mapping[str, object]
    topics: tuple[str, str, str]
    words: tuple[str, str]
    availability: tuple[str, str]
    switches: tuple[int, ...]
    has_light: bool
    light: int
    shutters: int
    events: tuple[str, ...]

    @classmethod
    def read(cls, mac: str, config: Mapping[str, Any]) -> "TasmotaConfig":
        """Return the description in a message; parts of a wrong type are left out.

        Args:
            mac: the address of the device.
            config: the message.

        Raises:
            ValueError: the message has no topic that can be used.
        """
        topic = config.get("t")
        if not isinstance(topic, str) or not topic:
            raise ValueError(f"{mac} has no topic")
        outputs = _list(config.get("rl"))
        facts = {"model": "md", "firmware": "sw", "address": "ip"}
        off, on = _words(config.get("state"), "OFF", "ON")
        described = cls(
            mac,
            str(config.get("dn") or topic),
            {name: fact for name, key in facts.items() if isinstance(fact := config.get(key), str)},
            _topics(mac, topic, config),
            (off, on),
            (str(config.get("ofln") or "Offline"), str(config.get("onln") or "Online")),
            tuple(n for n, kind in enumerate(outputs, 1) if kind in (_RELAY, _LIGHT)),
            _LIGHT in outputs,
            light if isinstance(light := config.get("lt_st"), int) else 0,
            outputs.count(_SHUTTER) // 2,  # of two outputs each
            tuple(_events(config)),
        )
        for each in described.topics:
            check_topic(each)
        return described


def _topics(mac: str, topic: str, config: Mapping[str, Any]) -> tuple[str, str, str]:
    commands, results, reports = _words(config.get("tp"), "cmnd", "stat", "tele")
    template = str(config.get("ft") or "%prefix%/%topic%/").removesuffix("/")
    marks = {"%topic%": topic, "%hostname%": str(config.get("hn", "")), "%id%": mac[-6:]}
    for mark, text in marks.items():
        template = template.replace(mark, text)
    return (
        template.replace("%prefix%", commands),
        template.replace("%prefix%", results),
        template.replace("%prefix%", reports),
    )


def _events(config: Mapping[str, Any]) -> Iterator[str]:
    options = as_map(config.get("so"))
    if options.get("73"):
        for number, is_button in enumerate(_list(config.get("btn")), 1):
            if is_button:
                yield f"Button{number}"
    if options.get("114"):
        for number, mode in enumerate(_list(config.get("swc")), 1):
            if mode != -1:
                yield f"Switch{number}"


def _list(value: object) -> list[Any]:
    """Return a list, cut to the maximum number of outputs; empty for other values."""
    return value[:_MAX_OUTPUTS] if isinstance(value, list) else []


def _words(value: object, *defaults: str) -> tuple[str, ...]:
    """Return the first words of a list, with defaults for those that are missing."""
    words = [str(each) for each in _list(value)][: len(defaults)]
    return *words, *defaults[len(words) :]
