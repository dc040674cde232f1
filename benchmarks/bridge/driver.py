"""Plays the devices of a house with zigbee2mqtt, and measures how the commands to them arrive.

The payloads are those of zigbee2mqtt: a sensor reports `{"level": …}`, and the rule sends the level
to the lamp with the same number. A changed rule adds `VERSION` times `STEP` to the level, so that
each command tells which version of the rule has sent it.
"""

import json
import socket
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

__all__ = ["SENSORS", "STEP", "TIMER", "Answer", "Driver"]

SENSORS: Final = 64
TIMER: Final = SENSORS
"""The number of the sensor that starts the timer, and of the lamp to which it leads."""
STEP: Final = 1_000_000
"""Is added to the level in commands, once for each version; levels are smaller than it."""
START: Final = 60.0
"""Seconds within which a variant must have started."""


class Answer(NamedTuple):
    """A command that followed from a report.

    Args:
        sent: when the report was sent, in seconds.
        arrived: when its command arrived, in seconds.
        version: of the rule that sent the command.
    """

    sent: float
    arrived: float
    version: int


def described(name: str, number: int, access: int) -> dict[str, Any]:
    """Return the description of a device with one value."""
    level = {"type": "numeric", "name": "level", "property": "level", "access": access}
    definition = {"model": "bench", "exposes": [level]}
    return {
        "ieee_address": f"0x{name}{number}",
        "friendly_name": f"{name}_{number}",
        "definition": definition,
        "type": "EndDevice",
    }


class Driver:
    """Plays the sensors, and receives the commands.

    Args:
        port: of the broker.
    """

    def __init__(self, port: int) -> None:
        self.answers: list[Answer] = []
        self.timer: list[float] = []  # when commands to the timer's lamp arrived
        self.received = 0
        self._waiting: dict[tuple[int, int], float] = {}  # when unanswered reports were sent
        self._levels = [0] * (SENSORS + 1)
        self._closed_loop = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(1000)
        self._client.on_message = self._on_command
        self._client.connect("127.0.0.1", port)
        sock: Any = self._client.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.subscribe("zigbee2mqtt/+/set", qos=0)
        self._client.loop_start()
        self._client.publish("zigbee2mqtt/bridge/state", '{"state":"online"}', retain=True)
        devices = [described("sensor", n, 1) for n in range(SENSORS + 1)]
        devices += [described("lamp", n, 3) for n in range(SENSORS + 1)]
        self._client.publish("zigbee2mqtt/bridge/devices", json.dumps(devices), retain=True)

    @property
    def unanswered(self) -> int:
        """The number of reports from which no command has followed."""
        return len(self._waiting)

    def report(self, number: int) -> None:
        """Report the next value of a sensor, in a message of 108 bytes."""
        level = self._levels[number] = self._levels[number] + 1
        payload = json.dumps({"level": level, "battery": 100, "more": "x" * 60})
        if number != TIMER:
            self._waiting[number, level] = time.perf_counter()
        self._client.publish(f"zigbee2mqtt/sensor_{number}", payload)

    def _on_command(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        now = time.perf_counter()
        number = int(message.topic.split("/")[1].rpartition("_")[2])
        if number == TIMER:
            self.timer.append(now)
            return
        version, level = divmod(json.loads(message.payload)["level"], STEP)
        # A rule that has been replaced may send the latest level again: that answers no report.
        sent = self._waiting.pop((number, level), None)
        if sent is None:
            return
        self.received += 1
        self.answers.append(Answer(sent, now, version))
        if self._closed_loop:
            self.report(number)

    def forget(self) -> None:
        """Forget all answers and reports until now."""
        self.answers.clear()
        self.timer.clear()
        self._waiting.clear()

    def wait_until_answered(self, version: int = 0) -> None:
        """Report until a version of the rule answers every sensor.

        Raises:
            TimeoutError: a minute has passed.
        """
        end = time.monotonic() + START
        for number in range(SENSORS):
            self.answers.clear()
            while not any(each.version == version for each in self.answers):
                if time.monotonic() > end:
                    raise TimeoutError(f"no command from version {version} within {START:.0f} s")
                self.report(number)
                before, deadline = len(self.answers), time.monotonic() + 0.5
                while len(self.answers) == before and time.monotonic() < deadline:
                    time.sleep(0.001)

    def drain(self, limit: float) -> None:
        """Wait until every report was answered, or none was for two seconds.

        Args:
            limit: the seconds after which not to wait any longer.
        """
        end = time.monotonic() + limit
        received, since = self.received, time.monotonic()
        while self._waiting and time.monotonic() < min(end, since + 2):
            time.sleep(0.01)
            if self.received != received:
                received, since = self.received, time.monotonic()

    def run_closed(self, seconds: float) -> float:
        """Return how many commands arrive in a second if each sensor waits for the last one."""
        self.forget()
        self._closed_loop = True
        for number in range(SENSORS):
            self.report(number)
        time.sleep(0.5)
        before, start = self.received, time.perf_counter()
        time.sleep(seconds)
        rate = (self.received - before) / (time.perf_counter() - start)
        self._closed_loop = False
        self.drain(5)
        return rate

    def run_paced(self, rate: float, until: Callable[[float], bool]) -> int:
        """Report at a fixed rate, whatever is answered, and return how many reports were sent.

        Args:
            rate: reports in a second.
            until: called with the seconds since the start before each report; ends the reports.
        """
        start, count = time.perf_counter(), 0
        while not until(time.perf_counter() - start):
            pause = start + count / rate - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            self.report(count % SENSORS)
            count += 1
        return count

    def close(self) -> None:
        """Disconnect."""
        self._client.loop_stop()
        self._client.disconnect()
