"""From an MQTT message through a rule to an MQTT command: our bridge beside a bare script.

    python benchmarks/bridge.py [--rounds 3] [--seconds 5]

Needs mosquitto. The broker, the driver and what reacts are processes of their own. The driver plays
64 sensors of zigbee2mqtt; each reports its next value when the command that follows from the last
one has arrived, so that no report replaces a waiting one. The bare script is paho-mqtt in its own
loop. Variants take turns; figures are medians over the rounds, and ratios are to the bare script.

The server of the rules is in the runner's process, at the default port, as for a new user.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import paho.mqtt.client as paho

SENSORS: Final = 64
RATE: Final = 1000
"""Messages per second while the latency is measured."""

BARE: Final = """
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

RULE: Final = """
from eshet import yarp
from eshet_rules import rule

@rule
async def follow():
    for number in range(64):
        level = await yarp.state_observe(f"/mqtt/bench/sensor_{number}/level")
        await yarp.set_value(f"/mqtt/bench/lamp_{number}/level", level)
"""


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


class Figures(NamedTuple):
    """What one round has measured."""

    throughput: float
    cpu: float
    p50: float
    p99: float
    mib: float


class Driver:
    """Plays the sensors, and receives the commands."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(1000)
        self._client.on_message = self._on_command
        self._client.connect("127.0.0.1", port)
        sock: Any = self._client.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.subscribe("zigbee2mqtt/+/set", qos=0)
        self._client.loop_start()
        self._sent = [0.0] * SENSORS
        self._levels = [0] * SENSORS
        self._closed_loop = False
        self.received = 0
        self.latencies: list[float] = []
        self.answered = threading.Event()
        self._client.publish("zigbee2mqtt/bridge/state", '{"state":"online"}', retain=True)
        devices = [described("sensor", n, 1) for n in range(SENSORS)]
        devices += [described("lamp", n, 3) for n in range(SENSORS)]
        self._client.publish("zigbee2mqtt/bridge/devices", json.dumps(devices), retain=True)

    def report(self, number: int) -> None:
        """Report the next value of a sensor, in a message of 108 bytes."""
        self._levels[number] += 1
        self._sent[number] = time.perf_counter()
        payload = json.dumps({"level": self._levels[number], "battery": 100, "more": "x" * 60})
        self._client.publish(f"zigbee2mqtt/sensor_{number}", payload)

    def _on_command(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        number = int(message.topic.split("/")[1].rpartition("_")[2])
        if json.loads(message.payload)["level"] != self._levels[number]:
            return
        self.received += 1
        self.latencies.append(time.perf_counter() - self._sent[number])
        self.answered.set()
        if self._closed_loop:
            self.report(number)

    def wait_until_answered(self) -> None:
        """Report until every sensor gets its command."""
        for number in range(SENSORS):
            while True:
                before = self.received
                self.report(number)
                deadline = time.monotonic() + 0.5
                while self.received == before and time.monotonic() < deadline:
                    time.sleep(0.001)
                if self.received > before:
                    break

    def run_closed(self, seconds: float) -> float:
        """Return how many commands arrive in a second if each sensor waits for the last one."""
        self._closed_loop = True
        for number in range(SENSORS):
            self.report(number)
        time.sleep(0.5)
        before, start = self.received, time.perf_counter()
        time.sleep(seconds)
        rate = (self.received - before) / (time.perf_counter() - start)
        self._closed_loop = False
        time.sleep(0.3)
        return rate

    def run_calm(self, seconds: float) -> list[float]:
        """Return latencies in ms at a fixed rate."""
        self.latencies.clear()
        start = time.perf_counter()
        for count in range(int(seconds * RATE)):
            pause = start + count / RATE - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            self.report(count % SENSORS)
        time.sleep(0.3)
        return sorted(each * 1000 for each in self.latencies)

    def close(self) -> None:
        """Disconnect."""
        self._client.loop_stop()
        self._client.disconnect()


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the end of the block."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run mosquitto, and return its port."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        sys.exit("install mosquitto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
        "set_tcp_nodelay true\n"
    )
    with running([program, "-c", str(config)]):
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        yield port


def commands(folder: Path, port: int) -> dict[str, list[str]]:
    """Return what reacts, by name."""
    bare = folder / "bare.py"
    bare.write_text(BARE)
    variants = {"bare paho": [sys.executable, str(bare), str(port)]}
    for name, trail in (("ours", "false"), ("ours, trail", "true")):
        rules = folder / f"rules_{trail}"
        rules.mkdir()
        (rules / "follow.py").write_text(RULE)
        (rules / "eshet-rules.toml").write_text(
            f'[audit]\nenabled = {trail}\n[bridges.bench]\ntype = "mqtt"\n'
            f'broker = "mqtt://127.0.0.1:{port}"\n'
        )
        variants[name] = [
            sys.executable,
            "-m",
            "eshet_rules",
            "run",
            str(rules),
            "--state-dir",
            str(folder / f"state_{trail}"),
        ]
    return variants


def cpu_of(pid: int) -> float:
    """Return the CPU time of a process in seconds."""
    return time.clock_gettime((~pid << 3) | 2)


def measure(command: list[str], port: int, seconds: float) -> Figures:
    """Run what reacts, and measure it."""
    driver = Driver(port)
    try:
        with running(command) as process:
            driver.wait_until_answered()
            before, received = cpu_of(process.pid), driver.received
            throughput = driver.run_closed(seconds)
            cpu = (cpu_of(process.pid) - before) / (driver.received - received) * 1e6
            latencies = driver.run_calm(seconds)
            status = Path(f"/proc/{process.pid}/status").read_text()
            mib = int(status.split("VmRSS:")[1].split()[0]) / 1024
            return Figures(
                throughput,
                cpu,
                latencies[len(latencies) // 2],
                latencies[len(latencies) * 99 // 100],
                mib,
            )
    finally:
        driver.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(broker(folder))
        variants = commands(folder, port)
        rounds: dict[str, list[Figures]] = {name: [] for name in variants}
        for _ in range(options.rounds):
            for name, command in variants.items():
                rounds[name].append(measure(command, port, options.seconds))
    names = ("messages/s", "µs CPU each", "p50 ms", "p99 ms", "MiB")
    print(f"{'':14}" + "".join(f"{name:>22}" for name in names))
    medians = {
        name: [statistics.median(column) for column in zip(*figures, strict=True)]
        for name, figures in rounds.items()
    }
    base = medians["bare paho"]
    for name, figures in medians.items():
        cells = [f"{a:,.1f} ({a / b:.2f})" for a, b in zip(figures, base, strict=True)]
        print(f"{name:14}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
