"""The tables of bridges in a configuration file: `[bridges.NAME]` and `[alias]`.

[bridges.z2m]
type = "mqtt"
broker = "mqtt://house@broker.lan"
password_file = "mqtt-password"

[alias]
"/house/hall/lamp" = "z2m/Hall lamp"
"/house/front_door/open" = "not z2m/Front door/contact"
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.names import Alias
from eshet.paths import is_path
from eshet.settings.kinds import FLAG, LONGEST_TIME, PATH, TEXTS, ValueKind, one_of, seconds, show
from eshet.settings.table import Table, TableReader, kinds_of, setting

__all__ = [
    "BridgeSettings",
    "BrokerUrl",
    "HomeAssistantSettings",
    "MqttSettings",
    "NotifySettings",
    "PublishedPath",
    "read_bridges",
]

_SCHEMES: Final = {"mqtt": 1883, "mqtts": 8883}
"""The schemes of brokers' URLs, and their ports."""

_NAME: Final = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class BrokerUrl:
    """Where a broker is.

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
        port = parts.port or _SCHEMES.get(parts.scheme)
        if port is None or not parts.hostname or parts.password or parts.path.strip("/"):
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
    _ = parts.port  # raises ValueError if it is none
    return parts.geturl()


def _topic(value: Any) -> str:
    topic = _text(value)
    if set(topic) & set("+#\0") or topic.endswith("/"):
        raise ValueError
    return topic


def _topics(value: Any) -> tuple[str, ...]:
    if value is False:
        return ()
    return tuple(map(_topic, value if isinstance(value, list) else [value]))


def _filters(value: Any) -> tuple[str, ...]:
    filters = TEXTS.read(value)
    for each in filters:
        levels = each.split("/")
        has_more = any(len(level) > 1 and set(level) & set("+#") for level in levels)
        if not each or "\0" in each or has_more or "#" in levels[:-1]:
            raise ValueError
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


def _text(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError


_TYPE: Final = one_of("mqtt", "homeassistant", "notify")
_URL: Final = ValueKind('a URL in quotes, such as "http://homeassistant.local:8123"', _http_url)
_BROKER: Final = ValueKind(
    'the URL of a broker in quotes, without a password, such as "mqtt://localhost" or '
    '"mqtts://house@broker.lan:8883"',
    _broker,
)
_TOPICS: Final = ValueKind(
    'a base topic in quotes, such as "zigbee2mqtt", a list of them, or false', _topics
)
_FILTERS: Final = ValueKind(
    "a list of topics in quotes, where + stands for a level and # for all at the end, such as "
    '["weather/+/rain", "door/#"]',
    _filters,
)
_AGES: Final = ValueKind('a table of seconds by device, such as {"Hall sensor" = 7200}', _ages)
_CLIENT_ID: Final = ValueKind('a text in quotes, such as "eshet-house"', _text)
_TEXT: Final = ValueKind("a text in quotes", _text)
_NUMBER: Final = ValueKind("a number", _number)


@dataclass(frozen=True)
class PublishedPath:
    """`[bridges.NAME.publish."GLOB"]`: nodes that Home Assistant shows as entities.

    Args:
        settable: whether they can be set from there.
        name: the name of the entity; by default, the last part of the path.
        unit: of numbers, such as `"°C"`.
        min: the smallest number that can be set.
        max: the largest number that can be set.
        step: the step between these numbers.
        options: the texts that can be set.
    """

    settable: bool = setting(FLAG, False)
    name: str = setting(_TEXT, "")
    unit: str = setting(_TEXT, "")
    min: float | None = setting(_NUMBER, None)
    max: float | None = setting(_NUMBER, None)
    step: float | None = setting(_NUMBER, None)
    options: tuple[str, ...] = setting(TEXTS, ())


@dataclass(frozen=True)
class MqttSettings:
    """`[bridges.NAME]` with `type = "mqtt"`: the devices of an MQTT broker.

    Args:
        type: `"mqtt"`.
        broker: where the broker is, with the name of the user.
        password_file: a file with the password; by default, it is in the environment variable
            `ESHET_NAME_PASSWORD`, with the bridge's name in capitals.
        ca_file: the certificates that sign the broker's; by default those of the system.
        client_id: names the bridge to the broker, which only allows one client with that id; by
            default it is made of the host and the bridge's name.
        zigbee2mqtt: the base topics of zigbee2mqtt.
        tasmota: whether to read devices with Tasmota.
        shelly: whether to read Shelly devices.
        discovery: the prefixes of Home Assistant's discovery.
        topics: topics, with wildcards or without, whose messages are states or events of their own.
        confirm: seconds within which a device must report a value that was set; otherwise the set
            fails. By default, a set succeeds when the broker has it.
        stale_after: seconds without a report after which the values of a device are unknown, by its
            name or id.
    """

    type: str = setting(_TYPE, "mqtt")
    broker: BrokerUrl = setting(_BROKER, BrokerUrl("localhost", 1883))
    password_file: Path | None = setting(PATH, None)
    ca_file: Path | None = setting(PATH, None)
    client_id: str | None = setting(_CLIENT_ID, None)
    zigbee2mqtt: tuple[str, ...] = setting(_TOPICS, ("zigbee2mqtt",))
    tasmota: bool = setting(FLAG, True)
    shelly: bool = setting(FLAG, True)
    discovery: tuple[str, ...] = setting(_TOPICS, ("homeassistant",))
    topics: tuple[str, ...] = setting(_FILTERS, ())
    confirm: float | None = setting(seconds(), None)
    stale_after: Mapping[str, float] = field(default_factory=dict, metadata={"kind": _AGES})
    publish: Mapping[str, PublishedPath] = field(default_factory=dict, metadata={"kind": None})
    """What is published on the broker, by globs of paths."""
    aliases: Mapping[str, Alias] = field(default_factory=dict, metadata={"kind": None})
    """Those of `[alias]` for this bridge."""

    @property
    def address(self) -> str:
        """Where the broker is."""
        return str(self.broker)

    def password(self, name: str) -> str | None:
        """Return the password, from the file or the environment; None if there is none.

        Args:
            name: of the bridge.

        Raises:
            BridgeError: the file can't be read.
        """
        return _secret(self.password_file, f"ESHET_{name.upper()}_PASSWORD")


@dataclass(frozen=True)
class HomeAssistantSettings:
    """`[bridges.NAME]` with `type = "homeassistant"`: the entities of a Home Assistant.

    Args:
        type: `"homeassistant"`.
        url: where it is, such as `"http://homeassistant.local:8123"`.
        token_file: a file with a long-lived access token; by default, it is in the environment
            variable `ESHET_NAME_TOKEN`, with the bridge's name in capitals.
        entities: globs of the entities to publish.
        confirm: see `MqttSettings`.
    """

    type: str = setting(_TYPE, "homeassistant")
    url: str = setting(_URL, "http://homeassistant.local:8123")
    token_file: Path | None = setting(PATH, None)
    entities: tuple[str, ...] = setting(TEXTS, ("*",))
    confirm: float | None = setting(seconds(), None)
    aliases: Mapping[str, Alias] = field(default_factory=dict, metadata={"kind": None})
    """Those of `[alias]` for this bridge."""

    @property
    def address(self) -> str:
        """Where Home Assistant is."""
        return self.url

    def token(self, name: str) -> str:
        """Return the access token.

        Args:
            name: of the bridge.

        Raises:
            BridgeError: there is none, or the file can't be read.
        """
        token = _secret(self.token_file, f"ESHET_{name.upper()}_TOKEN")
        if not token:
            raise BridgeError(
                f"the bridge {name} has no access token: write it in a file, token_file, or in "
                f"ESHET_{name.upper()}_TOKEN; create one on the page of your user in Home Assistant"
            )
        return token


@dataclass(frozen=True)
class NotifySettings:
    """`[bridges.NAME]` with `type = "notify"`: a service that sends notifications to people.

    Args:
        type: `"notify"`.
        url_file: a file with the URL of the service; by default, it is in the environment variable
            `ESHET_NAME_URL`, with the bridge's name in capitals.
    """

    type: str = setting(_TYPE, "notify")
    url_file: Path | None = setting(PATH, None)
    aliases: Mapping[str, Alias] = field(default_factory=dict, metadata={"kind": None})
    """Always without effect: there are no devices."""

    @property
    def address(self) -> str:
        """What to show in place of the URL, which is a secret."""
        return "notifications"

    def url(self, name: str) -> str:
        """Return the URL of the service.

        Args:
            name: of the bridge.

        Raises:
            BridgeError: there is none, or the file can't be read.
        """
        url = _secret(self.url_file, f"ESHET_{name.upper()}_URL")
        if not url:
            raise BridgeError(
                f"the bridge {name} has no URL: write it in a file, url_file, or in "
                f"ESHET_{name.upper()}_URL, such as ntfy://TOPIC"
            )
        return url


BridgeSettings = MqttSettings | HomeAssistantSettings | NotifySettings

_TYPES: Final[Mapping[object, type[BridgeSettings]]] = {
    "mqtt": MqttSettings,
    "homeassistant": HomeAssistantSettings,
    "notify": NotifySettings,
}


def _secret(file: Path | None, variable: str) -> str | None:
    """Return a secret from a file, or else from an environment variable."""
    if file is None:
        return os.environ.get(variable)
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BridgeError(f"can't read the secret in {file}: {error}") from None


def read_bridges(reader: TableReader, content: Table) -> dict[str, BridgeSettings]:
    """Return the settings of all bridges in a file, by name.

    Args:
        reader: collects the mistakes.
        content: of the file.
    """
    tables = reader.table(("bridges",), content.get("bridges", {}))
    aliases = _read_aliases(reader, content, tables)
    bridges: dict[str, BridgeSettings] = {}
    for name, table in tables.items():
        keys = ("bridges", name)
        if _NAME.fullmatch(name) is None:
            reader.problem(keys, "write a name of letters A-Z, digits and _")
            continue
        given = dict(reader.table(keys, table))
        secrets = ("password", "token", *(["url"] if given.get("type") == "notify" else []))
        for secret in secrets:
            if given.pop(secret, None) is not None:
                reader.problem(
                    (*keys, secret),
                    f"a {secret} in this file could be read by everybody who may read the rules; "
                    f"write it in another file, {secret}_file, or in the environment variable "
                    f"ESHET_{name.upper()}_{secret.upper()}",
                )
        type_ = given.get("type")
        of = _TYPES.get(type_) if isinstance(type_, str) else None
        if of is None:
            found = f"found {show(given['type'])}" if "type" in given else "there is no type"
            reader.problem((*keys, "type"), f"{found}; write type = {_TYPE.allowed}")
            continue
        kinds = kinds_of(of)
        del kinds["aliases"]
        more: dict[str, Any] = {"aliases": aliases.get(name, {})}
        if "publish" in kinds:
            del kinds["publish"]
            more["publish"] = {
                glob: reader.settings(PublishedPath, (*keys, "publish", glob), how)
                for glob, how in reader.table((*keys, "publish"), given.pop("publish", {})).items()
            }
        bridges[name] = of(**reader.values(kinds, keys, given), **more)
    return bridges


def _read_aliases(
    reader: TableReader, content: Table, bridges: Table
) -> dict[str, dict[str, Alias]]:
    """Return the aliases of each bridge."""
    found: dict[str, dict[str, Alias]] = {}
    for path, target in reader.table(("alias",), content.get("alias", {})).items():
        keys = ("alias", path)
        if not is_path(path):
            reader.problem(keys, 'write a path before the =, such as "/house/hall/lamp"')
        elif not isinstance(target, str) or not target.partition("/")[2]:
            reader.problem(
                keys,
                f"found {show(target)}; write the bridge and the device, with a property or "
                'without, such as "z2m/Hall lamp" or "z2m/Hall lamp/brightness"',
            )
        else:
            is_negated = target.startswith("not ")
            bridge, _, device = target.removeprefix("not ").partition("/")
            others = found.setdefault(bridge, {})
            if bridge in bridges and device in others:
                reader.problem(
                    keys, f"{show(target)} is {others[device].path} already; keep one of both"
                )
            elif bridge in bridges:
                others[device] = Alias(path, is_negated)
            else:
                names = ", ".join(sorted(bridges)) or "none"
                reader.problem(
                    keys, f"there is no bridge {bridge!r}; the bridges of this file are: {names}"
                )
    return found
