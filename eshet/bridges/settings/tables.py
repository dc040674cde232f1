"""The settings of bridges: a dataclass for each table, with all defaults."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.names import Alias
from eshet.bridges.settings.values import (
    AGES,
    BROKER,
    CLIENT_ID,
    ENTITIES,
    FILTERS,
    NUMBER,
    OPTIONS,
    POSITIVE,
    TEXT,
    TOPICS,
    TYPE,
    URL,
    BrokerUrl,
)
from eshet.settings.kinds import FLAG, PATH, seconds
from eshet.settings.table import setting

__all__ = [
    "TYPES",
    "BridgeSettings",
    "HomeAssistantSettings",
    "MqttSettings",
    "NotifySettings",
    "PublishedPath",
]


_MAX_SECRET: Final = 65_536
"""The maximum size of a file with a secret, in bytes."""


@dataclass(frozen=True)
class PublishedPath:
    """`[bridges.NAME.publish."GLOB"]`: nodes that Home Assistant shows as entities.

    Args:
        settable: whether Home Assistant can set them.
        name: the name of the entity; by default, the last part of the path.
        unit: of numbers, such as `"°C"`.
        min: the smallest number that can be set.
        max: the largest number that can be set.
        step: the step between these numbers.
        options: the texts that can be set.
    """

    settable: bool = setting(FLAG, False)
    name: str = setting(TEXT, "")
    unit: str = setting(TEXT, "")
    min: float | None = setting(NUMBER, None)
    max: float | None = setting(NUMBER, None)
    step: float | None = setting(POSITIVE, None)
    options: tuple[str, ...] = setting(OPTIONS, ())


@dataclass(frozen=True)
class MqttSettings:
    """`[bridges.NAME]` with `type = "mqtt"`: the devices of an MQTT broker.

    Args:
        type: `"mqtt"`.
        broker: the URL of the broker, with the name of the user.
        password_file: a file with the password; by default, it is in the environment variable
            `ESHET_NAME_PASSWORD`, with the bridge's name in capitals.
        ca_file: the certificates of authorities to check the broker's; by default those of the
            system.
        client_id: identifies the bridge to the broker, which allows only one client with an id; by
            default it is made of the host and the bridge's name.
        zigbee2mqtt: the base topics of zigbee2mqtt.
        tasmota: whether to read devices with Tasmota.
        shelly: whether to read Shelly devices.
        discovery: the prefixes of Home Assistant's discovery.
        topics: topics, with wildcards or without, that are shown as states of their own.
        confirm: seconds within which a device must report a value that was set; otherwise the set
            fails. By default, a set succeeds when the broker has received it.
        stale_after: seconds without a report after which the values of a device are unknown, by its
            name or id.
    """

    type: str = setting(TYPE, "mqtt")
    broker: BrokerUrl = setting(BROKER, BrokerUrl("localhost", 1883))
    password_file: Path | None = setting(PATH, None)
    ca_file: Path | None = setting(PATH, None)
    client_id: str | None = setting(CLIENT_ID, None)
    zigbee2mqtt: tuple[str, ...] = setting(TOPICS, ("zigbee2mqtt",))
    tasmota: bool = setting(FLAG, True)
    shelly: bool = setting(FLAG, True)
    discovery: tuple[str, ...] = setting(TOPICS, ("homeassistant",))
    topics: tuple[str, ...] = setting(FILTERS, ())
    confirm: float | None = setting(seconds(), None)
    stale_after: Mapping[str, float] = field(default_factory=dict, metadata={"kind": AGES})
    publish: Mapping[str, PublishedPath] = field(default_factory=dict, metadata={"kind": None})
    """The settings of published nodes, by globs of paths."""
    aliases: Mapping[str, Alias] = field(default_factory=dict, metadata={"kind": None})
    """The aliases of this bridge, from `[alias]`."""

    @property
    def address(self) -> str:
        """The address of the broker, for logs and lists."""
        return str(self.broker)

    def password(self, name: str) -> str | None:
        """Return the password, from the file or the environment; None if there is none.

        Args:
            name: of the bridge.

        Raises:
            BridgeError: the file can't be read.
        """
        return _secret(self.password_file, f"ESHET_{name.upper()}_PASSWORD")

    def password_source(self, name: str) -> str:
        """Return where the password is, for error texts.

        Args:
            name: of the bridge.
        """
        if self.password_file is not None:
            return f"password_file {self.password_file}"
        return f"password_file or the environment variable ESHET_{name.upper()}_PASSWORD"


@dataclass(frozen=True)
class HomeAssistantSettings:
    """`[bridges.NAME]` with `type = "homeassistant"`: the entities of a Home Assistant.

    Args:
        type: `"homeassistant"`.
        url: its address, such as `"http://homeassistant.local:8123"`.
        token_file: a file with a long-lived access token; by default, it is in the environment
            variable `ESHET_NAME_TOKEN`, with the bridge's name in capitals.
        entities: globs of the entities to publish.
        confirm: see `MqttSettings`.
    """

    type: str = setting(TYPE, "homeassistant")
    url: str = setting(URL, "http://homeassistant.local:8123")
    token_file: Path | None = setting(PATH, None)
    entities: tuple[str, ...] = setting(ENTITIES, ("*",))
    confirm: float | None = setting(seconds(), None)
    aliases: Mapping[str, Alias] = field(default_factory=dict, metadata={"kind": None})
    """The aliases of this bridge, from `[alias]`."""

    @property
    def address(self) -> str:
        """The address of Home Assistant, for logs and lists."""
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
    """`[bridges.NAME]` with `type = "notify"`: a service that sends notifications to users.

    Args:
        type: `"notify"`.
        url_file: a file with the URL of the service; by default, it is in the environment variable
            `ESHET_NAME_URL`, with the bridge's name in capitals.
    """

    type: str = setting(TYPE, "notify")
    url_file: Path | None = setting(PATH, None)
    aliases: Mapping[str, Alias] = field(default_factory=dict, metadata={"kind": None})
    """Without effect, as the bridge does not have devices."""

    @property
    def address(self) -> str:
        """The text to show in place of the URL, which is a secret."""
        return "its service"

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

TYPES: Final[Mapping[object, type[BridgeSettings]]] = {
    "mqtt": MqttSettings,
    "homeassistant": HomeAssistantSettings,
    "notify": NotifySettings,
}
"""The dataclass of each type of bridge."""


def _secret(file: Path | None, variable: str) -> str | None:
    """Return a secret from a file, or else from an environment variable."""
    if file is None:
        return os.environ.get(variable)
    try:
        return _read_regular(file).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BridgeError(f"can't read the secret in {file}: {error}") from None


def _read_regular(file: Path) -> bytes:
    """Return the content of a file, but not of a pipe: reading it could block the event loop.

    Raises:
        OSError: the file can't be read, is not a regular file, or is too large for a secret.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError("it is not a regular file")
        content = opened.read(_MAX_SECRET + 1)
    if len(content) > _MAX_SECRET:
        raise OSError(f"it has more than {_MAX_SECRET} bytes")
    return content
