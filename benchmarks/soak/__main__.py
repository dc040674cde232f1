"""A hostile rule of each kind beside 20 good ones: is any event missed, and who is named?

    python benchmarks/soak [--minutes 30] [--only TEXT] [--seed N]

A server and `eshet-rules run` are processes of their own. This one emits 100 events/s, each of
which each good rule hears and answers, so that what is missed, doubled or late is known exactly.
First there are only the good rules, for a tenth of the time; then hostile ones act in turns, each
time as a new version; then, after the minutes, those that end the process, which is started again
as systemd does.

The exit code is 1 if an event was missed or doubled, if the 99th percentile of the latencies was
over twice that at rest and over the watchdog's limit, if the log did not name a culprit or named a
good rule, or if the runner did not end well.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.soak.driver import GOOD, Driver, percentile
from benchmarks.soak.hostile import ENDING, HOSTILE
from benchmarks.soak.house import LIMIT, House
from benchmarks.soak.kinds import Kind, module_of, naming
from tests.support.processes import line, running

SLOT: Final = 6.0
"""Seconds for one act, at least."""

SETTLED: Final = (
    "module.loaded",
    "module.reloaded",
    "module.import_failed",
    "module.import_failed_again",
    "module.reload_aborted",
    "rule.stays_failed",
)
"""What the log says when a save is dealt with."""

BLOCKS: Final = "rule.blocks_loop"
"""What the log says of a rule that keeps the loop from the others."""


class Act(NamedTuple):
    """One act of a hostile module.

    Args:
        kind: of which it is.
        begin: the number of the first event after its begin.
        end: that of the first event after its end.
        record: the index of the first record of the log.
    """

    kind: Kind
    begin: int
    end: int
    record: int


class Soak:
    """Lets hostile modules act, and judges what became of the good ones.

    Args:
        house: their runner.
        driver: who emits events.
    """

    def __init__(self, house: House, driver: Driver) -> None:
        self.house: Final = house
        self.driver: Final = driver
        self.acts: list[Act] = []
        self.memory: list[float] = []
        self.faults: list[str] = []

    def check(self, is_good: bool, fault: str) -> None:
        """Remember a fault if it is one."""
        if not is_good:
            self.faults.append(fault)

    # --- phases -------------------------------------------------------------------------------

    async def rest(self, seconds: float) -> tuple[int, int]:
        """Let the good rules be alone, and return the first event and that after the last."""
        await asyncio.sleep(3)
        begin = self.driver.count
        await asyncio.sleep(seconds)
        return begin, self.driver.count

    async def be_hostile(self, kinds: list[Kind], seconds: float, order: random.Random) -> None:
        """Let all act in turns, in another order each time, until the time is over."""
        end = time.monotonic() + seconds
        while kinds and time.monotonic() < end:
            for kind in order.sample(kinds, len(kinds)):
                await self._act(kind)
                if time.monotonic() >= end:
                    break

    async def _act(self, kind: Kind) -> None:
        end_of_slot = time.monotonic() + SLOT
        begin, record = self.driver.count, len(self.house.log.records)
        for _ in range(kind.saves):
            mark = len(self.house.log.records)
            self.house.save_kind(kind)
            settled = await self.house.log.wait_for(
                lambda record: record["event"] in SETTLED and module_of(record) == kind.name,
                mark,
                15,
            )
            self.check(settled is not None, f"{kind.name}: a save was not noticed within 15 s")
        for number in range(kind.pokes):
            await self.driver.client.event_emit(f"/soak/poke/{kind.name}", number)
        await asyncio.sleep(end_of_slot - time.monotonic())
        await self.drain(max(begin, self.driver.count - 20), 10)  # so that each act is judged alone
        self.acts.append(Act(kind, begin, self.driver.count, record))

    async def drain(self, begin: int, seconds: float = 15) -> None:
        """Wait until all events from `begin` to now are answered."""
        end = self.driver.count
        for _ in range(int(seconds / 0.05)):
            if not self.driver.missed(begin, end):
                break
            await asyncio.sleep(0.05)

    async def end_process(self, kind: Kind) -> None:
        """Let a module end the process, start that again, and see what became of all."""
        house, driver = self.house, self.driver
        house.save_kind(kind)
        await asyncio.sleep(6)  # longer than a short life
        begin = driver.count
        await driver.client.event_emit(f"/soak/poke/{kind.name}", 0)
        code = await house.ended(30)
        self.check(code is not None, f"{kind.name}: the process was not ended within 30 s")
        if code is None:
            house.close()
        mark = len(house.log.records)
        await house.start()
        await asyncio.sleep(2)
        back = driver.count
        await asyncio.sleep(2)
        end = driver.count
        await asyncio.sleep(1)
        house.log.read()
        named = naming(kind, house.log.records[mark:])
        self.check(bool(named) or not kind.named_by, f"{kind.name}: is not named")
        self.check(not driver.missed(back, end), f"{kind.name}: not all rules are back")
        lost = len({*driver.missed(begin, end)})
        print(
            f"  {kind.name:<24} exit code {code}, {lost / 100:.1f} s of events lost; "
            + (f"named: {named[0]['event']}" if named else "nothing to name it by")
        )
        (house.rules / f"{kind.name}.py").unlink()

    # --- report -------------------------------------------------------------------------------

    def report(self, reference: tuple[int, int], end: int) -> None:
        """Print what became of the good rules, and of each culprit."""
        driver = self.driver
        begin = reference[1]
        rest, hostile = driver.latencies(*reference), driver.latencies(begin, end)
        normal = percentile(rest, 0.99)
        missed = driver.missed(reference[0], end)
        print(f"{end - reference[0]:,} events, {GOOD} answers each: {len(missed)} missed, ", end="")
        print(f"{driver.duplicates} doubled, {driver.unknown} made up")
        self.check(not missed, f"{len(missed)} answers missed, of events {missed[:5]}…")
        self.check(not driver.duplicates, f"{driver.duplicates} answers doubled")
        self.check(not driver.unknown, f"{driver.unknown} answers to no event")
        calm = [
            each
            for act in self.acts
            if BLOCKS not in act.kind.named_by
            for each in driver.latencies(act.begin, act.end)
        ]
        self._print_latencies("good rules alone", rest, normal)
        self._print_latencies("while hostile ones act", hostile, normal)
        self._print_latencies("  those that do not block", calm, normal)
        most = max(2 * normal, LIMIT)
        p99 = percentile(hostile, 0.99)
        self.check(p99 <= most, f"p99 is {p99:.3f} s, over {most:.3f} s")
        self._report_kinds(normal)
        self._check_blame()
        print("memory each minute, MiB:", " ".join(f"{each:.0f}" for each in self.memory))

    def _print_latencies(self, name: str, latencies: list[float], normal: float) -> None:
        p50, p99, most = (percentile(latencies, share) * 1000 for share in (0.5, 0.99, 1))
        ratio = p99 / 1000 / normal
        print(
            f"{name:<26} p50 {p50:7.1f} ms, p99 {p99:7.1f} ms ({ratio:.1f} x), max {most:7.1f} ms"
        )

    def _report_kinds(self, normal: float) -> None:
        print(f"{'kind':<24} acts  named in  p99 x that at rest  longest wait  as")
        records = self.house.log.records
        for kind in dict.fromkeys(act.kind for act in self.acts):
            acts = [act for act in self.acts if act.kind is kind]
            ends = [act.record for act in acts[1:]] + [len(records)]
            named = [
                naming(kind, records[act.record : end]) for act, end in zip(acts, ends, strict=True)
            ]
            enough = sum(len(each) >= kind.least for each in named)
            latencies = [x for act in acts for x in self.driver.latencies(act.begin, act.end)]
            longest = max(latencies, default=0.0)
            print(
                f"{kind.name:<24} {len(acts):4}  {enough if kind.named_by else '-':>8}"
                f"  {percentile(latencies, 0.99) / normal:18.1f}  {longest * 1000:9.0f} ms  "
                + (kind.named_by[0] if kind.named_by else "")
            )
            if kind.named_by:
                counts = [len(each) for each in named]
                is_enough = enough > 0 if kind.once else enough == len(acts)
                self.check(is_enough, f"{kind.name}: named {counts} times, not {kind.least}")
            else:
                # An act that lets another one act, as a reload of all modules does, is that one's.
                of_itself = [
                    latency
                    for act, end in zip(acts, ends, strict=True)
                    if not any(r["event"] == BLOCKS for r in records[act.record : end])
                    for latency in self.driver.latencies(act.begin, act.end)
                ]
                p99 = percentile(of_itself, 0.99)
                is_short = p99 <= max(2 * normal, LIMIT)
                self.check(is_short, f"{kind.name}: others wait, p99 {p99:.1f} s, unnamed")

    def _check_blame(self) -> None:
        blamed = [
            record
            for record in self.house.log.records
            if module_of(record).startswith("good_") and record["level"] == "error"
        ]
        self.check(not blamed, f"{len(blamed)} records blame good rules, as {blamed[:1]}")
        components = [r for r in self.house.log.records if r["event"] == "component.failed"]
        self.check(not components, f"parts of the runner failed: {components[:1]}")


@contextlib.asynccontextmanager
async def background(*coroutines: Any) -> AsyncIterator[None]:
    """Run these within an `async with` statement."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def follow(soak: Soak) -> None:
    """Read the log, and note the memory each minute."""
    for beat in range(10**9):
        soak.house.log.read()
        if beat % 240 == 0:
            soak.memory.append(soak.house.resident())
        await asyncio.sleep(0.25)


async def run(options: argparse.Namespace, folder: Path, server: str) -> list[str]:
    kinds = [kind for kind in HOSTILE if options.only in kind.name]
    ending = [kind for kind in ENDING if options.only in kind.name]
    seconds = options.minutes * 60
    house = House(folder, server)
    try:
        await house.start()
        driver = Driver(server)
        await driver.begin(kind.name for kind in (*kinds, *ending))
        soak = Soak(house, driver)
        async with background(driver.tick()):
            async with background(follow(soak)):
                reference = await soak.rest(max(6, min(60, seconds / 10)))
                await soak.be_hostile(kinds, seconds * 0.9, random.Random(options.seed))
                await soak.rest(1)
            end = driver.count
            await soak.drain(reference[0])
            house.log.read()
            soak.memory.append(house.resident())
            house.process.send_signal(signal.SIGTERM)
            code = await house.ended(10)
            soak.check(code == 0, f"the runner ended with {code}")
            soak.report(reference, end)
            print(f"exit code {code}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            print("what ends the process:")
            for kind in kinds:
                (house.rules / f"{kind.name}.py").unlink(missing_ok=True)
            await house.start()
            for kind in ending:
                await soak.end_process(kind)
            house.process.send_signal(signal.SIGTERM)
            code = await house.ended(10)
            soak.check(code == 0, f"the runner ended with {code} at last")
        await driver.client.close()
        return soak.faults
    finally:
        house.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--only", default="", help="only kinds with this in their name")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which they act")
    parser.add_argument("--keep", type=Path, help="a folder for the files, which are kept")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        folder.mkdir(exist_ok=True)
        errors = stack.enter_context((folder / "server.log").open("w"))
        serve = running("eshet", "serve", "--listen", "127.0.0.1:0", stderr=errors)
        process = stack.enter_context(serve)
        faults = asyncio.run(run(options, folder, line(process).split()[-1]))
    for fault in faults:
        print("FAULT:", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
