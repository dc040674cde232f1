"""Other systems that people use for such rules: HABApp, AppDaemon and Node-RED.

They are installed only for this benchmark, each in a folder of its own, with the newest version
that this Python or Node.js can run. Their configurations are as a new user would write them: what
is not needed for the job is left at its default, except that nothing but the loopback interface is
used. Each subscribes and publishes with QoS 1, as the bare script does.
"""

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.bridge.variants import DELAY, Variant, rule_text

__all__ = ["installed_peers"]

_HABAPP: Final = """
from HABApp import Rule
from HABApp.mqtt.events import MqttValueUpdateEventFilter
from HABApp.mqtt.items import MqttItem

class Follow(Rule):
    def __init__(self):
        super().__init__()
        for number in range(@SENSORS@):
            sensor = MqttItem.get_create_item(f"zigbee2mqtt/sensor_{number}")
            sensor.listen_event(self.react, MqttValueUpdateEventFilter())

    def react(self, event):
        number = event.name.rpartition("_")[2]
        self.mqtt.publish(f"zigbee2mqtt/lamp_{number}/set", {"level": event.value["level"]})

Follow()
"""

_HABAPP_TIMED: Final = """
from HABApp import Rule
from HABApp.mqtt.events import MqttValueUpdateEventFilter
from HABApp.mqtt.items import MqttItem

class Follow(Rule):
    def __init__(self):
        super().__init__()
        for number in range(@SENSORS@):
            sensor = MqttItem.get_create_item(f"zigbee2mqtt/sensor_{number}")
            sensor.listen_event(self.react, MqttValueUpdateEventFilter())
        sensor = MqttItem.get_create_item("zigbee2mqtt/sensor_@TIMER@")
        sensor.listen_event(self.react_later, MqttValueUpdateEventFilter())

    def react(self, event):
        number = event.name.rpartition("_")[2]
        self.send(number, event.value["level"])

    def react_later(self, event):
        self.run.once(@DELAY@, self.send, @TIMER@, event.value["level"])

    def send(self, number, level):
        self.mqtt.publish(f"zigbee2mqtt/lamp_{number}/set", {"level": level + @ADDED@})

Follow()
"""

_HABAPP_CONFIG: Final = """
mqtt:
  connection:
    host: 127.0.0.1
    port: {port}
    tls:
      enabled: false
  subscribe:
    qos: 1
    topics: ["zigbee2mqtt/+"]
  publish:
    qos: 1
openhab:
  connection:
    url: ""
"""

_APPDAEMON: Final = """
import json
from appdaemon.plugins.mqtt.mqttapi import Mqtt

class Follow(Mqtt):
    def initialize(self):
        self.listen_event(self.react, "MQTT_MESSAGE", wildcard="zigbee2mqtt/+")

    def react(self, event_name, data, **kwargs):
        number = data["topic"].rpartition("_")[2]
        level = json.loads(data["payload"])["level"]
        self.mqtt_publish(f"zigbee2mqtt/lamp_{number}/set", json.dumps({"level": level}), qos=1)
"""

_APPDAEMON_TIMED: Final = """
import json
from appdaemon.plugins.mqtt.mqttapi import Mqtt

class Follow(Mqtt):
    def initialize(self):
        self.listen_event(self.react, "MQTT_MESSAGE", wildcard="zigbee2mqtt/+")

    def react(self, event_name, data, **kwargs):
        number = int(data["topic"].rpartition("_")[2])
        level = json.loads(data["payload"])["level"]
        if number == @TIMER@:
            self.run_in(self.send, @DELAY@, number=number, level=level)
        else:
            self.send(number=number, level=level)

    def send(self, number, level, **kwargs):
        level = level + @ADDED@
        self.mqtt_publish(f"zigbee2mqtt/lamp_{number}/set", json.dumps({"level": level}), qos=1)
"""

_APPDAEMON_CONFIG: Final = """
appdaemon:
  latitude: 0
  longitude: 0
  elevation: 0
  time_zone: UTC
  plugins:
    MQTT:
      type: mqtt
      client_host: 127.0.0.1
      client_port: {port}
      client_qos: 1
      client_topics: ["zigbee2mqtt/+"]
"""

_NODE_RED_SETTINGS: Final = """
module.exports = {{
  uiHost: "127.0.0.1", uiPort: {port}, flowFile: "flows.json", credentialSecret: false,
  telemetry: {{enabled: false, updateNotification: false}},
}};
"""

_FUNCTION: Final = """
const number = msg.topic.split("_").pop();
return {topic: `zigbee2mqtt/lamp_${number}/set`, payload: {level: msg.payload.level}};
"""

_FUNCTION_TIMED: Final = """
const number = Number(msg.topic.split("_").pop());
const level = msg.payload.level + @ADDED@;
const command = {topic: `zigbee2mqtt/lamp_${number}/set`, payload: {level}};
return number === @TIMER@ ? [null, command] : [command, null];
"""


def _run(command: list[str]) -> None:
    """Run an installing command.

    Raises:
        OSError: it does not exist, or failed; the text is its last line.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise OSError(f"{command[0]}: {lines[-1]}")


class PythonPeer(Variant):
    """A peer from PyPI, in a virtual environment of its own.

    Args:
        folder: of the environment; made and filled unless it is there.

    Raises:
        OSError: the package can't be installed.
    """

    package: str

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._bin = folder / "bin"
        if not (self._bin / self.package).exists():
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([str(self._bin / "python"), "-m", "pip", "install", "--quiet", self.package])
        code = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        shown = subprocess.check_output([str(self._bin / "python"), "-c", code], text=True)
        self.name = f"{type(self).__name__} {shown.strip()}"


class HABApp(PythonPeer):
    """A rule engine for MQTT and openHAB; it loads a file of its rules folder when it changes."""

    package = "habapp"
    plain = _HABAPP
    timed = _HABAPP_TIMED

    def prepare(self, folder: Path, port: int) -> list[str]:
        (folder / "rules").mkdir()
        self.rule_file(folder).write_text(rule_text(self.plain))
        (folder / "config.yml").write_text(_HABAPP_CONFIG.format(port=port))
        return [str(self._bin / "habapp"), "--config", str(folder)]

    def rule_file(self, folder: Path) -> Path:
        return folder / "rules" / "follow.py"


class AppDaemon(PythonPeer):
    """Apps for Home Assistant and MQTT; it looks for changed files each second."""

    package = "appdaemon"
    plain = _APPDAEMON
    timed = _APPDAEMON_TIMED

    def prepare(self, folder: Path, port: int) -> list[str]:
        apps = folder / "apps"
        apps.mkdir()
        self.rule_file(folder).write_text(rule_text(self.plain))
        (apps / "apps.yaml").write_text("follow:\n  module: follow\n  class: Follow\n")
        (folder / "appdaemon.yaml").write_text(_APPDAEMON_CONFIG.format(port=port))
        return [str(self._bin / "appdaemon"), "-c", str(folder)]

    def rule_file(self, folder: Path) -> Path:
        return folder / "apps" / "follow.py"


class NodeRed(Variant):
    """A flow of an MQTT input, a function and an MQTT output, changed by its admin API.

    A save is measured twice: deploying the modified flow, which restarts its nodes, and deploying
    the modified nodes only. The editor offers both, besides restarting everything.

    Args:
        folder: for the npm packages; made and filled unless it is there.

    Raises:
        OSError: the package can't be installed.
    """

    plain = _FUNCTION
    timed = _FUNCTION_TIMED

    def __init__(self, folder: Path) -> None:
        super().__init__()
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise OSError("install Node.js with npm")
        self._node = node
        self._package = folder / "node_modules" / "node-red"
        if not (self._package / "red.js").exists():
            folder.mkdir(parents=True, exist_ok=True)
            version = subprocess.check_output([node, "--version"], text=True)
            is_new = int(version.lstrip("v").split(".")[0]) >= 22
            # Node-RED 5 needs Node.js 22.9 or newer.
            package = "node-red" if is_new else "node-red@4"
            quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
            _run([npm, "install", "--prefix", str(folder), *quiet, package])
        number = json.loads((self._package / "package.json").read_text())["version"]
        self.name = f"Node-RED {number}"
        self._admin_port = self._mqtt_port = 0

    def prepare(self, folder: Path, port: int) -> list[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._admin_port = free.getsockname()[1]
        self._mqtt_port = port
        (folder / "settings.js").write_text(_NODE_RED_SETTINGS.format(port=self._admin_port))
        flow = json.dumps(self._flow(self.plain, 0))
        (folder / "flows.json").write_text(flow)
        return [self._node, str(self._package / "red.js"), "--userDir", str(folder)]

    def _flow(self, function: str, version: int) -> list[dict[str, Any]]:
        """Return the nodes of the flow."""
        broker = {"broker": "broker", "qos": "1", "z": "flow"}
        return [
            {"id": "flow", "type": "tab", "label": "bench"},
            {
                "id": "broker",
                "type": "mqtt-broker",
                "broker": "127.0.0.1",
                "port": str(self._mqtt_port),
                "autoConnect": True,
                "protocolVersion": "4",
                "keepalive": "60",
                "cleansession": True,
            },
            broker
            | {
                "id": "in",
                "type": "mqtt in",
                "topic": "zigbee2mqtt/+",
                "datatype": "json",
                "inputs": 0,
                "wires": [["react"]],
            },
            {
                "id": "react",
                "type": "function",
                "z": "flow",
                "func": rule_text(function, version),
                "outputs": 2,
                "wires": [["out"], ["later"]],
            },
            {
                "id": "later",
                "type": "delay",
                "z": "flow",
                "pauseType": "delay",
                "timeout": str(DELAY),
                "timeoutUnits": "seconds",
                "wires": [["out"]],
            },
            broker | {"id": "out", "type": "mqtt out", "topic": "", "retain": "", "wires": []},
        ]

    def _deploy(self, version: int, kind: str) -> None:
        """Deploy a version of the flow, as the editor does.

        Args:
            version: of the rule.
            kind: `flows` restarts the modified flow, `nodes` only the modified nodes.
        """
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._admin_port}/flows",
            json.dumps(self._flow(self.timed, version)).encode(),
            {"Content-Type": "application/json", "Node-RED-Deployment-Type": kind},
        )
        urllib.request.urlopen(request, timeout=30).close()

    def saves(self, folder: Path) -> dict[str, Callable[[int], None]]:
        return {
            self.name: lambda version: self._deploy(version, "flows"),
            f"{self.name}, nodes": lambda version: self._deploy(version, "nodes"),
        }


def installed_peers(folder: Path) -> list[Variant]:
    """Install the peers that are not there yet, and return those that are.

    Args:
        folder: for the installations.
    """
    peers: list[Variant] = []
    kinds: dict[str, Callable[[Path], Variant]] = {
        "habapp": HABApp,
        "appdaemon": AppDaemon,
        "node-red": NodeRed,
    }
    for name, kind in kinds.items():
        try:
            peers.append(kind(folder / name))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name} is skipped, as it can't be installed: {error}", file=sys.stderr)
    return peers
