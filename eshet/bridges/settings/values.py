"""The kinds of values in the tables of bridges."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from eshet.settings.kinds import LONGEST_TIME, TEXTS, ValueKind, one_of

__all__ = [
    "AGES",
    "BROKER",
    "CLIENT_ID",
    "ENTITIES",
    "FILTERS",
    "NUMBER",
    "OPTIONS",
    "POSITIVE",
    "TEXT",
    "TOPICS",
    "TYPE",
    "URL",
    "BrokerUrl",
]

_SCHEMES: Final = {"mqtt": 1883, "mqtts": 8883}
"""The schemes of brokers' URLs, and their ports."""


_NOT_IN_HOST: Final = re.compile(r"[\s\0-\x1f\x7f]")

_MAX_TOPIC: Final = 65_535
"""The maximum size of a topic and of a client id in MQTT, in bytes."""


@dataclass(frozen=True)
class BrokerUrl:
    """The URL of a broker.

    Args:
        host: its name or address.
        port: its port.
        is_encrypted: whether the connection uses TLS.
        user: the name of the user; None for none.
    """

    host: str
    port: int
    is_encrypted: bool = False
    user: str | None = None

    @classmethod
    def parse(cls, text: str) -> "BrokerUrl":
        """Read a URL such as `"mqtts://user@broker.lan:8883"`.

        Raises:
            ValueError: it is not such a URL, or has a password in it.
        """
        parts = urlsplit(text)
        if parts.scheme not in _SCHEMES:
            raise ValueError
        port = _SCHEMES[parts.scheme] if parts.port is None else parts.port
        if not parts.hostname or parts.password or parts.path.strip("/") or not port:
            raise ValueError
        if _NOT_IN_HOST.search(parts.hostname):
            raise ValueError
        user = unquote(parts.username) if parts.username else None
        return cls(parts.hostname, port, parts.scheme == "mqtts", user)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.is_encrypted else ''}://{host}:{self.port}"


def _broker(value: Any) -> BrokerUrl:
    return BrokerUrl.parse(_text(value))


def _http_url(value: Any) -> str:
    parts = urlsplit(_text(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
        raise ValueError
    _ = parts.port  # raises ValueError if it is not a port
    return parts.geturl()


def _topic(value: Any) -> str:
    topic = _text(value)
    if set(topic) & set("+#") or topic.endswith("/"):
        raise ValueError
    return _mqtt_text(topic)


def _mqtt_text(value: Any) -> str:
    """Return a text that MQTT allows as a topic or a client id."""
    text = _text(value)
    if "\0" in text or len(text.encode()) > _MAX_TOPIC:
        raise ValueError
    return text


def _topics(value: Any) -> tuple[str, ...]:
    if value is False:
        return ()
    return tuple(map(_topic, value if isinstance(value, list) else [value]))


def _filters(value: Any) -> tuple[str, ...]:
    filters = TEXTS.read(value)
    for each in filters:
        levels = each.split("/")
        has_more = any(len(level) > 1 and set(level) & set("+#") for level in levels)
        if has_more or "#" in levels[:-1]:
            raise ValueError
        _mqtt_text(each)
    return tuple(filters)


def _ages(value: Any) -> Mapping[str, float]:
    if not isinstance(value, Mapping) or not all(
        type(age) in (int, float) and 0 < age <= LONGEST_TIME for age in value.values()
    ):
        raise ValueError
    return {str(name): float(age) for name, age in value.items()}


def _number(value: Any) -> float:
    if type(value) in (int, float) and math.isfinite(value):
        return float(value)
    raise ValueError


def _positive(value: Any) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError


TYPE: Final = one_of("mqtt", "homeassistant", "notify")
URL: Final = ValueKind('a URL in quotes, such as "http://homeassistant.local:8123"', _http_url)
BROKER: Final = ValueKind(
    'the URL of a broker in quotes, without a password, such as "mqtt://localhost" or '
    '"mqtts://house@broker.lan:8883"',
    _broker,
)
TOPICS: Final = ValueKind(
    'a base topic in quotes, such as "zigbee2mqtt", a list of them, or false', _topics
)
FILTERS: Final = ValueKind(
    "a list of topics in quotes, where + stands for a level and # for all at the end, such as "
    '["weather/+/rain", "door/#"]',
    _filters,
)
AGES: Final = ValueKind('a table of seconds by device, such as {"Hall sensor" = 7200}', _ages)
CLIENT_ID: Final = ValueKind('a text in quotes, such as "eshet-house"', _mqtt_text)
TEXT: Final = ValueKind("a text in quotes", _text)
NUMBER: Final = ValueKind("a number", _number)
POSITIVE: Final = ValueKind("a number above 0", _positive)
ENTITIES: Final = ValueKind(
    'a list of globs of entity ids in quotes, such as ["light.*", "sensor.hall_*"]', TEXTS.read
)
OPTIONS: Final = ValueKind('a list of texts in quotes, such as ["eco", "boost"]', TEXTS.read)
