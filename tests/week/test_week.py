"""A week of a house with sixteen rules, with saves and restarts in between, and without.

The rules are written as the documentation says. What devices are told is the same both times, to
the second, and the log has no line that nobody needs. In CI it is the first day; `ESHET_DAYS=7`
lives the week.
"""

import asyncio
import os
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

from eshet import Client, Unknown
from eshet.server import Server
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.checkpoint import decode, encode
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.scope import TaskScope
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.support.house import House
from tests.support.rules import Folder, Log

RULES = Path(__file__).with_name("rules")
DAYS = int(os.environ.get("ESHET_DAYS", "1"))
SAVES, RESTARTS = 29 * DAYS, 3 * DAYS
START = datetime(2026, 3, 27, tzinfo=UTC)  # a week in which the clocks change

DEVICES = ["/hall/light", "/bath/fan", "/heating/heater", "/bedroom/lamp", "/living_room/lamp",
           "/garden/valve", "/boiler"]  # fmt: skip
ACTIONS = ["/phone", "/siren", "/blinds", "/chime"]
EVENTS = ["/hall/motion", "/kitchen/motion", "/bedroom/button", "/rain", "/bell"]
STATES = {
    "/lux": 100, "/bath/humidity": 50, "/temperature": 20.0, "/washing/power": 0, "/door": False,
    "/cellar/water": False, "/outside": 5, "/price": 30, "/bath/window": False,
    "/kitchen/window": False, "/bedroom/window": False,
}  # fmt: skip
PUBLISHED = ["/heating/target", "/night/mode", "/presence", "/visits", "/mean_temperature",
             "/bath/told"]  # fmt: skip


def happenings(chance):
    """Return what happens in the house: when, where, and what."""
    end = DAYS * 86400
    happens = []
    for _ in range(DAYS * 120):
        at = chance.uniform(60, end)
        path = chance.choice([*EVENTS, *STATES, "/hall/motion", "/kitchen/motion"])
        value = {
            "/lux": chance.randrange(100), "/bath/humidity": chance.randrange(40, 95),
            "/temperature": round(chance.uniform(19, 23), 1), "/outside": chance.randrange(-5, 20),
            "/price": chance.randrange(10, 40), "/washing/power": chance.choice([0, 0, 2, 500]),
        }.get(path, chance.random() < 0.4)  # fmt: skip
        happens.append((at, path, value))
    happens += [(chance.uniform(0, end), "/heating/target", 20.0 + day) for day in range(DAYS)]
    return sorted(happens)


def interruptions(chance):
    """Return when the runner is interrupted, and how."""
    end = DAYS * 86400
    modules = sorted(file.stem for file in RULES.glob("*.py"))
    saves = [(chance.uniform(60, end), "save", chance.choice(modules)) for _ in range(SAVES)]
    return sorted(saves + [(chance.uniform(60, end), "restart", "") for _ in range(RESTARTS)])


class Week:
    """The house, its devices, and a ledger of what they are told."""

    def __init__(self, folder):
        self.folder = folder
        self.ledger = []
        self.version = 0

    def note(self, path, value):
        self.ledger.append((round(asyncio.get_running_loop().time()), path, value))

    async def furnish(self, server, advance):
        shutil.copytree(RULES, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.house = House(server, Folder(self.folder), Log(), advance)
        viewer = self.house.viewer
        await viewer.wait_for_connection()
        for path in DEVICES:
            await self.add_device(path)
        for path in ACTIONS:
            await viewer.action_register(path, lambda *args, p=path: self.note(p, args))
        for path in EVENTS:
            await viewer.event_register(path)
        for path, value in STATES.items():
            await viewer.state_register(path)
            await viewer.state_changed(path, value)
        assert await self.house.update(0)
        for path in PUBLISHED:
            await self.watch(path)

    async def add_device(self, path):
        async def set_to(value):
            self.note(path, value)
            await self.house.viewer.state_changed(path, value)

        await self.house.viewer.state_register(path, set_to)

    async def watch(self, path):
        last = [await self.house.viewer.state_observe(path, lambda value: see(value))]

        def see(value):
            if value is not Unknown and value != last[0]:  # a restart makes it unknown for a blink
                last[0] = value
                self.note(path, value)

    async def happen(self, path, value):
        if path in EVENTS:
            await self.house.viewer.event_emit(path, value)
        elif path in STATES:
            await self.house.viewer.state_changed(path, value)
        else:
            await self.house.viewer.set(path, value)

    async def save(self, module):
        self.version += 1
        file = self.folder / f"{module}.py"
        file.write_text(f"{(RULES / file.name).read_text()}# {self.version}\n")
        os.utime(file, (self.version, self.version))
        assert await self.house.update(0)

    async def restart(self, _):
        house, epoch = self.house, wall_epoch()
        given = {
            name: house.reloader.snapshot(name, epoch) for name in house.reloader.with_snapshot
        }
        await house.reloader.close()
        house.reloader = Reloader(
            Importer(self.folder, TaskScope),
            lambda module: Client(server=house.server, client_id=f"test/{module}"),
            house.log.logger,
            inherited=decode(encode(given), wall_epoch()),
        )
        assert await house.update(0)


async def live(folder, *, interrupted):
    """Let the time pass; return the ledger, and what was logged."""
    loop = asyncio.get_running_loop()
    week = Week(folder)
    async with Server() as server:
        await week.furnish(server, loop.advance)
        happens = [(at, week.happen, args) for at, *args in happenings(random.Random(1))]  # noqa: S311
        if interrupted:
            happens += [
                (at, getattr(week, how), (module,))
                for at, how, module in interruptions(random.Random(2))  # noqa: S311
            ]
        for at, do, args in sorted(happens, key=lambda each: each[0]):
            await loop.advance(at - loop.time())
            await do(*args)
            await loop.advance(0)
        await loop.advance(DAYS * 86400 - loop.time())
        records = week.house.log.records
        await week.house.reloader.close()
        await week.house.viewer.close()
    return week.ledger, records


def run(folder, *, interrupted):
    loop = VirtualLoop(START)
    try:
        return loop.run_until_complete(live(folder, interrupted=interrupted))
    finally:
        loop.close()


def test_saves_and_restarts_change_nothing(tmp_path):
    plain, _ = run(tmp_path / "plain", interrupted=False)
    ledger, records = run(tmp_path / "interrupted", interrupted=True)
    assert ledger == plain
    assert {path for _, path, _ in plain} > {*DEVICES, *ACTIONS}, "all devices have been told"
    assert {record["event"] for record in records} == {
        "module.loaded",
        "module.state_handed_over",
        "module.reloaded",
    }
    assert not [record for record in records if record["level"] != "info" or "afresh" in record]
