"""What reacts to the sensors: the bare script, and our runner with its MQTT bridge.

The job is the same for each variant: a report of `sensor_N` leads to a command with its level to
`lamp_N`. For measuring a save, the rule is replaced by one that adds its version to the level, and
has a timer: a report of the last sensor leads to a command after `DELAY` seconds.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.bridge.driver import SENSORS, STEP, TIMER

__all__ = ["DELAY", "Bare", "Ours", "Variant", "rule_text"]

DELAY: Final = 5.0
"""Seconds of the timer."""
_CPU_CLOCK: Final = 2
"""Marks the id of a clock of Linux as that of a process: /proc has only hundredths of a second."""

_BARE: Final = """
import json, sys
import paho.mqtt.client as paho

def react(client, _, message):
    number = message.topic.rpartition("_")[2]
    level = json.loads(message.payload)["level"]
    client.publish(f"zigbee2mqtt/lamp_{number}/set", json.dumps({"level": level}), qos=1)

client = paho.Client(paho.CallbackAPIVersion.VERSION2)
client.on_message = react
client.connect("127.0.0.1", int(sys.argv[1]))
client.subscribe("zigbee2mqtt/+", qos=1)
client.loop_forever()
"""

_BARE_TIMED: Final = """
import json, sys, threading
import paho.mqtt.client as paho

def react(client, _, message):
    number = int(message.topic.rpartition("_")[2])
    level = json.loads(message.payload)["level"] + @ADDED@
    command = (f"zigbee2mqtt/lamp_{number}/set", json.dumps({"level": level}), 1)
    if number == @TIMER@:
        threading.Timer(@DELAY@, client.publish, command).start()
    else:
        client.publish(*command)

client = paho.Client(paho.CallbackAPIVersion.VERSION2)
client.on_message = react
client.connect("127.0.0.1", int(sys.argv[1]))
client.subscribe("zigbee2mqtt/+", qos=1)
client.loop_forever()
"""

_RULE: Final = """
from eshet import yarp
from eshet_rules import rule

@rule
async def follow():
    for number in range(@SENSORS@):
        level = await yarp.state_observe(f"/mqtt/bench/sensor_{number}/level")
        await yarp.set_value(f"/mqtt/bench/lamp_{number}/level", level)
"""

_RULE_TIMED: Final = """
from eshet import yarp
from eshet_rules import rule

@rule
async def follow():
    for number in range(@SENSORS@):
        level = await yarp.state_observe(f"/mqtt/bench/sensor_{number}/level")
        await yarp.set_value(f"/mqtt/bench/lamp_{number}/level", level + @ADDED@)

@rule
async def later():
    level = await yarp.state_observe("/mqtt/bench/sensor_@TIMER@/level")
    later = yarp.delay(level, @DELAY@)
    await yarp.set_value("/mqtt/bench/lamp_@TIMER@/level", later + @ADDED@)
"""


def rule_text(text: str, version: int = 0) -> str:
    """Return the text of a rule with its numbers put in.

    Args:
        text: with the names of the numbers between `@`.
        version: of the rule.
    """
    numbers = {"SENSORS": SENSORS, "TIMER": TIMER, "DELAY": DELAY, "ADDED": version * STEP}
    for name, number in numbers.items():
        text = text.replace(f"@{name}@", str(number))
    return text


class Variant:
    """A program that reacts, in a process of its own.

    Subclasses have the texts of the rule: `plain` is the job alone, `timed` has a version and the
    timer.
    """

    name: str
    plain: str
    timed: str

    def __init__(self) -> None:
        self._log: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, folder: Path, port: int) -> list[str]:
        """Write the configuration and the plain rule; return the command that starts the program.

        Args:
            folder: an empty folder for the files of this run.
            port: of the broker.
        """
        raise NotImplementedError

    def rule_file(self, folder: Path) -> Path:
        """Return the file of the rule."""
        raise NotImplementedError

    def saves(self, folder: Path) -> dict[str, Callable[[int], None]]:
        """Return functions that save a version of the rule, each by the name of its results."""

        def save(version: int) -> None:
            self.rule_file(folder).write_text(rule_text(self.timed, version))

        return {self.name: save}

    @contextmanager
    def running(self, folder: Path, port: int) -> Iterator[None]:
        """Run the program until the end of the block."""
        self._log = folder / "output.log"
        command = self.prepare(folder, port)
        self.start(command)
        try:
            yield
        finally:
            self.stop()

    def start(self, command: list[str]) -> None:
        """Start the process."""
        assert self._log is not None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._log.parent
            )

    def stop(self) -> None:
        """Ask the process to end, and wait for that."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def cpu(self) -> float:
        """Return the CPU time of the process, in seconds."""
        assert self._process is not None
        return time.clock_gettime((~self._process.pid << 3) | _CPU_CLOCK)

    def mib(self) -> float:
        """Return the resident memory of the process, in MiB."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Bare(Variant):
    """A script with paho-mqtt in its own loop; without a reload, so a save restarts it."""

    name = "bare paho"
    plain = _BARE
    timed = _BARE_TIMED

    def prepare(self, folder: Path, port: int) -> list[str]:
        self.rule_file(folder).write_text(self.plain)
        self._command = [sys.executable, str(self.rule_file(folder)), str(port)]
        return self._command

    def rule_file(self, folder: Path) -> Path:
        return folder / "bare.py"

    def saves(self, folder: Path) -> dict[str, Callable[[int], None]]:
        (write,) = super().saves(folder).values()

        def save(version: int) -> None:
            write(version)
            self.stop()
            self.start(self._command)

        return {self.name: save}


class Ours(Variant):
    """The runner with its MQTT bridge; its server is in the same process, at the default port.

    Args:
        trail: whether it writes the audit trail.
    """

    plain = _RULE
    timed = _RULE_TIMED

    def __init__(self, *, trail: bool) -> None:
        super().__init__()
        self.name = "ours, trail" if trail else "ours"
        self._trail = trail

    def prepare(self, folder: Path, port: int) -> list[str]:
        rules = folder / "rules"
        rules.mkdir()
        self.rule_file(folder).write_text(rule_text(self.plain))
        (rules / "eshet-rules.toml").write_text(
            f"[audit]\nenabled = {str(self._trail).lower()}\n"
            '[bridges.bench]\ntype = "mqtt"\n'
            f'broker = "mqtt://127.0.0.1:{port}"\n'
        )
        command = [sys.executable, "-m", "eshet_rules", "run", str(rules)]
        return [*command, "--state-dir", str(folder / "state")]

    def rule_file(self, folder: Path) -> Path:
        return folder / "rules" / "follow.py"
