"""What an open page costs: the browser, and the runner; how soon a large house is shown; leaks.

    python benchmarks/page [load] [large] [leak] [--seconds 20]

`load` changes 2,000 values 1,000 times a second. One tab draws 500 of them, another client watches
all. It prints the frames of the tab, the processor time of the browser, and that of the runner with
and without a page, in turns.
`large` opens each view of a house with 10,000 paths and 500 rules.
`leak` sends as many messages to a page as it gets in eight hours, and prints the memory of the
browser and the runner at the beginning, in the middle and at the end.

It needs Chromium, and playwright.
"""

import argparse
import asyncio
import contextlib
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

import aiohttp
from playwright.async_api import Browser, Page, async_playwright

from benchmarks.page.house import Runner, running, tree_cpu, tree_memory
from benchmarks.runner.__main__ import Bench
from benchmarks.wire import serve_ours, server_process
from eshet import Client
from eshet.client import StateWrapper

VALUES: Final = 2_000
RATE: Final = 1_000
DRAWN: Final = 500
ROUNDS: Final = 7
CALM: Final = 5.0
"""Seconds of each measurement of the runner."""

_FRAMES: Final = """
seconds => new Promise(done => {
    const times = [];
    const began = performance.now();
    function frame(now) {
        times.push(now);
        if (now - began < seconds * 1000) requestAnimationFrame(frame);
        else done(times);
    }
    requestAnimationFrame(frame);
})
"""


class Values:
    """2,000 states in directories of 500, which change in turn."""

    def __init__(self, states: list[StateWrapper]) -> None:
        self._states = states

    @classmethod
    async def register(cls, client: Client, count: int = VALUES) -> "Values":
        """Register them."""
        paths = [f"/values/part{number // DRAWN}/v{number}" for number in range(count)]
        states = [await client.state_register(path) for path in paths]
        for state in states:
            await state.changed(0)
        return cls(states)

    @property
    def paths(self) -> list[str]:
        """Their paths."""
        return [state.path for state in self._states]

    async def change(self, rate: float) -> None:
        """Change them so many times a second, until this is cancelled."""
        began, number = time.perf_counter(), 0
        while True:
            due = int((time.perf_counter() - began) * rate)
            while number < due:
                state = self._states[number * 7 % len(self._states)]
                number += 1
                await state.changed(number)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def changing(values: Values, rate: float = RATE) -> AsyncIterator[None]:
    """Change values within an `async with` statement."""
    task = asyncio.create_task(values.change(rate))
    try:
        yield
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start a browser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def watch_all(url: str, paths: list[str], received: list[int]) -> None:
    """Watch paths as a page does, and count the messages."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/api/1/live") as socket,
    ):
        await socket.send_json({"watch": paths})
        async for _ in socket:
            received[0] += 1


async def load(address: str, folder: Path, seconds: float) -> None:
    """Measure what an open page costs while many values change."""
    async with Client(server=address, client_id="bench") as client:
        values = await Values.register(client)
        emit = await client.event_register("/bench/event")
        bench = Bench(emit, is_state=False)
        await client.action_register("/bench/sink", bench.sink)
        with running(folder, address, "forward") as runner:
            await runner.until_answered(client)
            async with changing(values), chromium() as browser:
                await frames(browser, runner, values, seconds)
                await runner_share(browser, runner, values, bench)


async def frames(browser: Browser, runner: Runner, values: Values, seconds: float) -> None:
    """Print the frames of a tab that draws 500 values, and the processor time of the browser."""
    page = await browser.new_page()
    received = [0]
    idle = await page.evaluate(_FRAMES, 3.0)
    watching = asyncio.create_task(watch_all(runner.url, values.paths, received))
    await show_values(page, runner.url)
    cpu, own, count = tree_cpu("chromium"), runner.cpu(), received[0]
    began = time.perf_counter()
    times = await page.evaluate(_FRAMES, seconds)
    lasted = time.perf_counter() - began
    gaps = [after - before for before, after in itertools.pairwise(times)]
    print(f"page with {DRAWN} of {VALUES} values, {RATE} changes/s, {seconds:g} s:")
    print(f"  {len(gaps) / lasted:.1f} frames/s ({len(idle) / 3:.1f} of an empty page), ", end="")
    print(f"p99 {sorted(gaps)[int(len(gaps) * 0.99)]:.0f} ms, longest {max(gaps):.0f} ms")
    print(f"  browser {(tree_cpu('chromium') - cpu) / lasted:.0%} of a core, ", end="")
    print(f"runner {(runner.cpu() - own) / lasted:.0%}", flush=True)
    print(f"  {(received[0] - count) / lasted:.1f} messages/s to a client that watches all")
    watching.cancel()
    await page.close()


async def runner_share(browser: Browser, runner: Runner, values: Values, bench: Bench) -> None:
    """Print the processor time of the runner at 1,000 events/s, with and without a page, in turns.

    Not what it forwards at most: Chromium, the server and the load need both cores of a small
    machine, so that an event takes the runner longer for their sake.
    """
    shares: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for is_open in (False, True):
            async with contextlib.AsyncExitStack() as stack:
                if is_open:
                    page = await browser.new_page()
                    stack.push_async_callback(page.close)
                    await show_values(page, runner.url)
                await asyncio.sleep(1)
                cpu, began = runner.cpu(), time.perf_counter()
                await bench.calm(CALM)
                shares[is_open].append((runner.cpu() - cpu) / (time.perf_counter() - began))
    closed, opened = (statistics.median(shares[is_open]) for is_open in (False, True))
    spread = max(max(each) - min(each) for each in shares.values())
    print(
        f"runner at 1,000 events/s: {closed:.1%} of a core, {opened:.1%} with the page open: "
        f"{opened - closed:+.1%} (medians of {ROUNDS}, spread {spread:.1%})",
        flush=True,
    )


async def show_values(page: Page, url: str) -> None:
    """Open the directory of 500 values, and wait until they are drawn."""
    await page.goto(f"{url}/#/paths/values/part0")
    rows = page.locator("tbody tr")
    for count in range(100, DRAWN, 100):
        await rows.nth(count - 1).wait_for()
        await page.get_by_role("button", name="Show more").click()
    await rows.nth(DRAWN - 1).wait_for()


async def large(address: str, folder: Path) -> None:
    """Print how soon the views of a large house are drawn."""
    async with Client(server=address, client_id="bench") as client:
        for number in range(10_000):
            await client.state_register(f"/house/room{number // 100}/thing{number % 100}")
            await client.state_changed(f"/house/room{number // 100}/thing{number % 100}", number)
        with running(folder, address, "forward", rules=500) as runner:
            await runner.until_answered(client)
            async with chromium() as browser:
                for view in ("", "rules", "paths", "paths/house/room7", "rules/many0.r0", "trail"):
                    taken = [await first_view(browser, f"{runner.url}/#/{view}") for _ in range(5)]
                    print(f"  #/{view:<20} {statistics.median(taken):.2f} s", end="")
                    print(f" ({min(taken):.2f} to {max(taken):.2f})", flush=True)


async def first_view(browser: Browser, url: str) -> float:
    """Return how long a new browser takes to draw a view, in seconds."""
    context = await browser.new_context()
    page = await context.new_page()
    began = time.perf_counter()
    await page.goto(url)
    await page.wait_for_selector("main table, main pre, main dl")
    taken = time.perf_counter() - began
    rows = await page.evaluate("document.querySelectorAll('tr').length")
    assert rows <= 520, rows
    await context.close()
    return taken


async def leak(address: str, folder: Path, hours: float = 8.0) -> None:
    """Print the memory of browser and runner while a page gets the messages of some hours."""
    messages = int(hours * 3600 / 0.1)
    async with Client(server=address, client_id="bench") as client:
        values = await Values.register(client, DRAWN)
        with running(folder, address, "forward", interval=0.002) as runner:
            await runner.until_answered(client)
            async with changing(values, 5_000), chromium() as browser:
                page = await browser.new_page()
                session = await page.context.new_cdp_session(page)
                await session.send("HeapProfiler.enable")
                received = [0]

                def count(_: object) -> None:
                    received[0] += 1

                page.on("websocket", lambda socket: socket.on("framereceived", count))
                await show_values(page, runner.url)
                print(f"messages of {hours:g} h ({messages:,}):")
                for part in (0.02, 0.25, 0.5, 0.75, 1.0):
                    while received[0] < part * messages:  # noqa: ASYNC110
                        await asyncio.sleep(0.2)
                    await session.send("HeapProfiler.collectGarbage")
                    heap = (await session.send("Runtime.getHeapUsage"))["usedSize"] / 2**20
                    nodes = await page.evaluate("document.getElementsByTagName('*').length")
                    print(
                        f"  {part:4.0%}: heap {heap:.2f} MiB, {nodes} elements, "
                        f"browser {tree_memory('chromium'):.0f} MiB, "
                        f"runner {runner.memory():.1f} MiB",
                        flush=True,
                    )


@contextlib.contextmanager
def folder_for(name: str) -> Iterator[Path]:
    """Return an empty folder."""
    with tempfile.TemporaryDirectory(prefix=f"page-{name}-") as folder:
        yield Path(folder)


def main() -> None:
    """Measure what is asked for, and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=["load", "large", "leak"], default=[])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--hours", type=float, default=8.0, help="of `leak`")
    options = parser.parse_args()
    parts: dict[str, Any] = {
        "load": lambda *where: load(*where, options.seconds),
        "large": large,
        "leak": lambda *where: leak(*where, options.hours),
    }
    for name in options.parts or ["load", "large", "leak"]:
        with server_process(serve_ours) as (address, _), folder_for(name) as folder:
            asyncio.run(parts[name](":".join(map(str, address)), folder))


if __name__ == "__main__":
    main()
