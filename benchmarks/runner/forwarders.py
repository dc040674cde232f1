"""Programs that call an action for each event: a bare script, and rules in the runner.

Each hears `/bench/event` and calls `/bench/sink` with what it heard.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from eshet import Client, EshetError

__all__ = ["BARE", "RULES", "Forwarder", "Process", "until_answered"]

_COMMANDS: Final = Path(sys.executable).parent
_CPU_CLOCK: Final = 2
"""Marks the id of a clock of Linux as that of a process: /proc has only hundredths of a second."""

BARE: Final = """
import asyncio
from eshet import Client

async def main():
    client = Client()
    tasks = set()
    def forward(value):
        task = asyncio.create_task(client.action_call("/bench/sink", value))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await client.event_listen_cb("/bench/event", forward)
    await client.action_register("/bench/ready", lambda: True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

BARE_STATE: Final = BARE.replace(
    'event_listen_cb("/bench/event", forward)', 'state_observe("/bench/state", forward)'
)

_HEAD: Final = """
import time

from eshet import yarp
from eshet.utils import RunInTask, RunSerially
from eshet_rules import rule

"""

_READY: Final = """
@rule
async def ready(client):
    await client.action_register("/bench/ready", lambda: True)
"""

_FORWARD: Final = """
@rule
async def forward():
    event = await yarp.event_listen("/bench/event")
    await yarp.action_call("/bench/sink", event)
"""

_FORWARD_STATE: Final = """
@rule
async def forward():
    state = await yarp.state_observe("/bench/state")
    await yarp.action_call("/bench/sink", state)
"""

_OPERATORS: Final = """
@rule
async def forward():
    event = await yarp.event_listen("/bench/event")
    number = yarp.event_to_value(event, 0)
    doubled = number * 2
    offset = doubled + 1
    back = (offset - 1) / 2
    await yarp.action_call("/bench/sink", yarp.value_to_event(back))
"""

_RETRIES: Final = """
@rule
async def forward():
    event = await yarp.event_listen("/bench/event")
    await yarp.action_call("/bench/sink", event, strategy=RunInTask(retry=True, max_attempts=3))
"""

_QUIET: Final = """
@rule
async def quiet_{number}():
    event = await yarp.event_listen("/bench/quiet/{number}")
    await yarp.action_call("/bench/sink", event)
"""

_SLOW: Final = """
handled = 0
last = -1
in_order = True

def work(number):
    global handled, last, in_order
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end:
        pass
    handled += 1
    in_order = in_order and number == last + 1
    last = number

@rule
async def slow(client):
    event = await yarp.event_listen("/bench/flood")
    event.on_event(work)
    await client.action_register("/bench/handled", lambda: [handled, in_order])
"""

_LATEST: Final = """
@rule
async def latest():
    state = await yarp.state_observe("/bench/flooded")
    await yarp.action_call("/bench/latest", state)
"""

RULES: Final = {
    "forward": _HEAD + _FORWARD + _READY,
    "states": _HEAD + _FORWARD_STATE + _READY,
    "operators": _HEAD + _OPERATORS + _READY,
    "retries": _HEAD + _RETRIES + _READY,
    "hundred": _HEAD + _FORWARD + _READY + "".join(_QUIET.format(number=n) for n in range(99)),
    "slow": _HEAD + _SLOW,
    "latest": _HEAD + _LATEST,
}
"""The text of modules, by name."""


class Process(NamedTuple):
    """A running forwarder."""

    popen: subprocess.Popen[str]

    def cpu(self) -> float:
        """Return the processor time that it has used, in seconds."""
        return time.clock_gettime((~self.popen.pid << 3) | _CPU_CLOCK)

    def memory(self) -> float:
        """Return its resident memory, in MiB."""
        lines = Path(f"/proc/{self.popen.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def end(self) -> None:
        """Ask it to end, and wait for that."""
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(30)


class Forwarder(NamedTuple):
    """How to forward.

    Args:
        name: shown in the results.
        modules: the names of the rule modules; none for the bare script.
        trail: whether the runner writes its audit trail.
        script: the text of the bare script.
    """

    name: str
    modules: tuple[str, ...] = ()
    trail: bool = False
    script: str = BARE

    @contextmanager
    def running(self, address: str, folder: Path) -> Iterator[Process]:
        """Run it in a process of its own.

        Args:
            address: of the server.
            folder: an empty folder for its files; its log is there in the end.
        """
        rules = folder / "rules"
        rules.mkdir(parents=True)
        for name in self.modules:
            (rules / f"{name}.py").write_text(RULES[name])
        if self.modules:
            trail = ["--audit", str(folder / "trail")] if self.trail else ["--no-audit"]
            command = [str(_COMMANDS / "eshet-rules"), "run", str(rules)]
            command += ["--state-dir", str(folder / "state"), "--log-format", "json", *trail]
        else:
            (folder / "bare.py").write_text(self.script)
            command = [sys.executable, str(folder / "bare.py")]
        environment = {**os.environ, "ESHET_SERVER": address}
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True) as popen,
        ):
            try:
                yield Process(popen)
            finally:
                if popen.poll() is None:
                    popen.kill()


async def until_answered(client: Client, path: str = "/bench/ready") -> None:
    """Wait until a forwarder answers.

    Raises:
        TimeoutError: it has not answered within half a minute.
    """
    for _ in range(600):
        with suppress(EshetError):
            await client.action_call(path)
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(path)
