"""Runs the rules in rules/ with simulated devices on a real broker; `make run-mqtt` does this.

    python rules_mqtt/run.py [--port 18830]

Starts a broker, the simulated zigbee2mqtt, and the runner, and ends all of them with the runner.
The broker is mosquitto, or amqtt if only that is installed.
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PORT = 18830

# Debian installs servers where the PATH of a user does not lead.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

MISSING = """\
mosquitto, an MQTT broker, is not installed. Install it, and try again:
    Debian, Ubuntu:  sudo apt install mosquitto
    Fedora:          sudo dnf install mosquitto
    macOS:           brew install mosquitto
Without a broker, `make run` runs the same rules."""

BROKER = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest stderr
log_type error
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=PORT, help="of the broker on this machine")
    port = parser.parse_args().port
    mosquitto = shutil.which("mosquitto", path=PATH)
    if mosquitto is None and importlib.util.find_spec("amqtt") is None:
        print(MISSING, file=sys.stderr)
        return 1
    # The runner gets the signal, too, and ends by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if mosquitto is None:
            print("mosquitto is not installed: amqtt is the broker", file=sys.stderr)
            stack.enter_context(running_script("amqtt_broker.py", port))
        else:
            broker = Path(folder, "mosquitto.conf")
            broker.write_text(BROKER.format(port=port))
            stack.enter_context(running(mosquitto, "-c", str(broker)))
        stack.enter_context(running_script("simulated_zigbee2mqtt.py", port))
        config = HERE / "eshet-rules.toml"
        if port != PORT:
            text = config.read_text().replace(str(PORT), str(port))
            config = Path(folder, "eshet-rules.toml")
            config.write_text(text)
        eshet_rules = Path(sys.executable).with_name("eshet-rules")
        command = [eshet_rules, "run", HERE.with_name("rules"), "--web", "--config", config]
        runner = subprocess.Popen(command, preexec_fn=default_signals)
        signal.signal(signal.SIGTERM, lambda *_: runner.terminate())
        return runner.wait()


@contextlib.contextmanager
def running(*command):
    """Run a program beside this one, until the end of the `with` statement."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def running_script(name, port):
    """Do the same with a script of this folder that has the option `--port`."""
    return running(sys.executable, str(HERE / name), "--port", str(port))


def default_signals():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
