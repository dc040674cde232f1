"""The rules folder of the cluster: each module answers events, keeps a delay, and owns a state."""

from pathlib import Path
from typing import Final

__all__ = ["LONG", "SHORT", "write_rules"]

SHORT: Final = 7.0
"""Seconds from `/arm/MODULE` to the call of `/fire/MODULE`."""

LONG: Final = 16.0
"""Seconds from `/arm/MODULE` to the call of `/late/MODULE`: longer than a lease."""

_MODULE: Final = """\
import os

from eshet import yarp
from eshet_rules import rule

RUNNER = os.environ["RUNNER"]


@rule
async def answer(client):
    incoming = await yarp.event_listen("/in/{name}")
    incoming.on_event(lambda number: client.action_call("/out/{name}", RUNNER, number))


@rule
async def fire(client):
    armed = await yarp.event_listen("/arm/{name}")
    yarp.delay(armed, {short}).on_event(
        lambda number: client.action_call("/fire/{name}", RUNNER, number)
    )
    yarp.delay(armed, {long}).on_event(
        lambda number: client.action_call("/late/{name}", RUNNER, number)
    )


@rule
async def count():
    incoming = await yarp.event_listen("/in/{name}")
    await yarp.state_register("/count/{name}", yarp.len(yarp.time_window(incoming, 10)))
"""


def write_rules(folder: Path, modules: int) -> list[str]:
    """Write the modules, and return their names."""
    names = [f"m{number:03}" for number in range(modules)]
    for name in names:
        (folder / f"{name}.py").write_text(_MODULE.format(name=name, short=SHORT, long=LONG))
    return names
