"""The tables of bridges in a configuration file: `[bridges.NAME]` and `[alias]`.

    tables     a dataclass for each type of bridge, with all defaults
    values     the kinds of values in them, such as the URL of a broker
    reading    reads these tables, and collects all mistakes in them

Passwords and tokens are in files of their own or in the environment, never in this file:

    [bridges.z2m]
    type = "mqtt"
    broker = "mqtt://house@broker.lan"
    password_file = "mqtt-password"

    [alias]
    "/house/hall/lamp" = "z2m/Hall lamp"
    "/house/front_door/open" = "not z2m/Front door/contact"
"""

from eshet.bridges.settings.reading import BRIDGE_NAME, misspelt, read_bridges
from eshet.bridges.settings.tables import (
    BridgeSettings,
    HomeAssistantSettings,
    MqttSettings,
    NotifySettings,
    PublishedPath,
)
from eshet.bridges.settings.values import URL, BrokerUrl

__all__ = [
    "BRIDGE_NAME",
    "URL",
    "BridgeSettings",
    "BrokerUrl",
    "HomeAssistantSettings",
    "MqttSettings",
    "NotifySettings",
    "PublishedPath",
    "misspelt",
    "read_bridges",
]
