"""Cases of reloads as folders, and what a house sees of one as a text.

A case is a folder with the versions of a rules folder, `v1`, `v2` …, each a file, which is saved as
`hall.py`, or a folder, which is copied as a whole. `timeline.txt` tells what is done and what is
seen, each with its time in seconds:

    0   > save v1
    0   log loaded hall
    5   > emit /motion
    5   /light is true

What is done begins with `>`; the rest must come exactly so. The house has the events `/motion` and
`/button`, the states `/lux` and `/temperature`, the action `/lamp` and the state `/heater`, which
can be set; it looks at the states `/light`, `/level` and `/count` and listens to `/bell`.
"""

import asyncio
import json
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from eshet import ErrorValue, Unknown
from tests.support.house import House

__all__ = ["play"]

_SEEN_STATES = ("/light", "/level", "/count")
_LOGGED = ("kept", "migrated", "afresh", "refused", "error", "because")


async def play(house: House, case: Path) -> str:
    """Do what the timeline of a case says, and return it with what was seen instead."""
    timeline = _Timeline(house, case)
    await timeline.begin()
    for line in (case / "timeline.txt").read_text().splitlines():
        time, what = line.split(maxsplit=1)
        if what.startswith(">"):
            await timeline.do(float(time), what.removeprefix("> ").split())
    return timeline.text


class _Timeline:
    def __init__(self, house: House, case: Path) -> None:
        self._house = house
        self._case = case
        self._lines: list[tuple[float, str]] = []
        self._logged = 0
        self._updates: list[asyncio.Task[bool]] = []

    @property
    def text(self) -> str:
        return "".join(f"{time:<4g}{what}\n" for time, what in self._lines)

    async def begin(self) -> None:
        """Furnish the house."""
        viewer = self._house.viewer
        for event in ("/motion", "/button"):
            await viewer.event_register(event)
        for state in ("/lux", "/temperature"):
            await viewer.state_register(state)
        await viewer.action_register("/lamp", self._called)
        await viewer.state_register(
            "/heater", lambda value: self._see(f"/heater set {_show(value)}")
        )
        await viewer.event_listen_cb(
            "/bell", lambda value: self._see(f"/bell rings {_show(value)}")
        )
        for state in _SEEN_STATES:
            await viewer.state_observe(state, self._observer(state))

    async def do(self, time: float, words: list[str]) -> None:
        """Let time pass and do something."""
        await self._pass_to(time)
        self._see("> " + " ".join(words))
        await getattr(self, f"_{words[0]}")(*words[1:])
        await self._pass_to(time)

    async def _pass_to(self, time: float) -> None:
        loop = asyncio.get_running_loop()
        while time > loop.time():
            # In small steps, so that what is logged gets its place.
            await self._house.advance(min(0.5, time - loop.time()))
            self._read_log()
        await self._house.advance(0)
        self._read_log()

    # --- what is done -------------------------------------------------------------------------

    async def _save(self, version: str) -> None:
        folder = self._house.folder.path
        shutil.rmtree(folder)
        source = self._case / version
        if source.is_dir():
            shutil.copytree(source, folder)
        else:
            folder.mkdir()
            shutil.copy(self._case / f"{version}.py", folder / "hall.py")
        self._updates.append(self._house.start_update())

    async def _emit(self, path: str, payload: str = "null") -> None:
        await self._house.viewer.event_emit(path, json.loads(payload))

    async def _state(self, path: str, value: str) -> None:
        known = Unknown if value == "unknown" else json.loads(value)
        await self._house.viewer.state_changed(path, known)

    async def _set(self, path: str, value: str) -> None:
        await self._answered(self._house.viewer.set(path, json.loads(value)))

    async def _call(self, path: str, *args: str) -> None:
        await self._answered(self._house.viewer.action_call(path, *map(json.loads, args)))

    async def _break(self, path: str) -> None:
        """Let the lamp fail from now on."""
        self._broken = path == "lamp"

    async def _wait(self) -> None:
        """Do nothing, but see what happens until then."""

    async def _answered(self, request: Awaitable[Any]) -> None:
        try:
            self._see(f"answer {_show(await request)}")
        except ErrorValue as error:
            self._see(f"error {_show(error.value)}")

    # --- what is seen -------------------------------------------------------------------------

    _broken = False

    def _called(self, *args: Any) -> None:
        self._see(f"/lamp called {' '.join(map(_show, args))}")
        if self._broken:
            raise OSError("no line")

    def _observer(self, state: str) -> Callable[[Any], None]:
        return lambda value: self._see(f"{state} is {_show(value)}")

    def _see(self, what: str) -> None:
        self._read_log()
        self._lines.append((round(asyncio.get_running_loop().time(), 3), what))

    def _read_log(self) -> None:
        records = self._house.log.records
        new, self._logged = records[self._logged :], len(records)
        for record in new:
            about = record.get("rule") or record.get("module") or ""
            if record["event"] == "module.reload_aborted":
                del record["refused"]  # which is a hash
            facts = [f"{key}={_fact(record[key])}" for key in _LOGGED if record.get(key)]
            line = " ".join(["log", record["event"], about, *facts]).strip()
            self._lines.append((round(asyncio.get_running_loop().time(), 3), line))


def _show(value: Any) -> str:
    return "unknown" if value is Unknown else json.dumps(value)


def _fact(value: Any) -> str:
    text = "; ".join(value) if isinstance(value, list) else str(value)
    return re.sub(r" from '.*", "", text)  # names of versions, and of folders
