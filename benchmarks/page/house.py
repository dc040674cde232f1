"""A runner with a page, in a process of its own; and the processor time and memory of a browser."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.runner.forwarders import RULES, Process, until_answered
from eshet import Client

__all__ = ["Runner", "running", "tree_cpu", "tree_memory"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

_MANY: Final = """
from eshet import yarp
from eshet_rules import rule

@rule
async def r{number}():
    value = await yarp.state_observe("/house/room{room}/thing{number}")
    await yarp.state_register("/many/r{number}", value + 1)
"""

_START: Final = """
import sys
from eshet_rules.web import visitor
visitor.INTERVAL = visitor.HIDDEN_INTERVAL = {interval}
from eshet_rules.cli import main
main(sys.argv[1:])
"""


class Runner(Process):
    """A running runner.

    Attributes:
        url: of its page.
    """

    url: str

    async def until_answered(self, client: Client) -> None:
        """Wait until its rules run."""
        await until_answered(client)


@contextmanager
def running(
    folder: Path, address: str, module: str, *, rules: int = 0, interval: float = 0.1
) -> Iterator[Runner]:
    """Run the rules of a module of `benchmarks.runner`, with a page.

    Args:
        folder: an empty folder.
        address: of the server.
        module: its name.
        rules: number of further rules, each in a module of its own.
        interval: seconds between two messages to a page.
    """
    place = folder / "rules"
    place.mkdir()
    (place / f"{module}.py").write_text(RULES[module])
    for number in range(rules):
        text = _MANY.format(number=number % 100, room=number // 100)
        (place / f"many{number}.py").write_text(text.replace("/many/", f"/many/{number}/"))
    command = [sys.executable, "-c", _START.format(interval=interval), "run", str(place)]
    command += ["--state-dir", str(folder / "state"), "--log-format", "json"]
    command += ["--web", "127.0.0.1:0"]
    log = folder / "log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            env={**os.environ, "ESHET_SERVER": address},
            stdout=file,
            stderr=file,
            text=True,
        ) as popen,
    ):
        try:
            runner = Runner(popen)
            runner.url = _url_in(log, popen)
            yield runner
        finally:
            popen.kill()


def _url_in(log: Path, popen: subprocess.Popen[str]) -> str:
    while popen.poll() is None:
        for line in log.read_text().splitlines():
            if '"page.served"' in line:
                return str(json.loads(line)["url"])
        time.sleep(0.05)
    raise RuntimeError(log.read_text())


def tree_cpu(name: str) -> float:
    """Return the processor time of all processes with this name, in seconds."""
    return sum(sum(map(int, each[13:15])) for each in _stats(name)) / _TICKS


def tree_memory(name: str) -> float:
    """Return the memory of all processes with this name, in MiB; what they share counts twice."""
    return sum((int(each[23])) for each in _stats(name)) * _PAGE / 2**20


def _stats(name: str) -> Iterator[list[str]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it has ended
            continue
        before, _, after = text.rpartition(")")
        if before.partition("(")[2].startswith(name):
            number = before.partition(" ")[0]
            yield [number, name, *after.split()]
