import asyncio
import socket
import sys
import threading
from datetime import UTC, datetime

import pytest

from eshet.clock import wall_now, wall_time
from eshet_rules.testing import virtual_time
from eshet_rules.testing.virtual_time import VirtualLoop, WaitsForEver

DAY = 86400.0


def loop() -> VirtualLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualLoop)
    return running


async def test_time_starts_at_zero_and_stands_still_by_itself():
    assert loop().time() == 0
    for _ in range(10):
        await asyncio.sleep(0)
    assert loop().time() == 0


async def test_advance_calls_timers_in_order_each_at_its_time(advance):
    calls = []
    for delay in (3, 1, 2, 5):
        loop().call_later(delay, lambda: calls.append(loop().time()))
    await advance(3)
    assert calls == [1, 2, 3]
    assert loop().time() == 3


async def test_a_timer_at_the_very_end_of_advance_has_been_called_and_has_settled(advance):
    log = []

    async def work():
        await asyncio.sleep(60)
        await asyncio.sleep(0)
        log.append("done")

    task = asyncio.create_task(work())
    await advance(60)
    assert log == ["done"]
    assert task.done()


async def test_a_timer_that_only_rounding_puts_behind_the_end_is_called(advance):
    called = []
    loop().call_at(0.1 + 0.2, called.append, True)
    await advance(0.3)
    assert called


async def test_a_timer_is_never_called_before_its_time(advance):
    early = []

    def check(when):
        if loop().time() < when:
            early.append(when)

    for n in range(1, 1000):
        when = n / 3 + n * 1e-9
        loop().call_at(when, check, when)
        loop().call_at(when + 1e-12, check, when + 1e-12)
    await advance(1000)
    assert early == []


async def test_advance_by_nothing_lets_settle_and_moves_no_time(advance):
    log = []

    async def chain(n):
        if n:
            await asyncio.create_task(chain(n - 1))
        log.append(n)

    task = asyncio.create_task(chain(20))
    await advance(0)
    assert task.done()
    assert log == list(range(21))
    assert loop().time() == 0


async def test_timers_made_on_the_way_are_called_too(advance):
    ticks = []

    async def clock():
        while True:
            await asyncio.sleep(10)
            ticks.append(loop().time())

    task = asyncio.create_task(clock())
    await advance(60)
    task.cancel()
    assert ticks == [10, 20, 30, 40, 50, 60]


async def test_a_year_of_hourly_ticks_goes_by(advance):
    ticks = 0

    async def clock():
        nonlocal ticks
        while True:
            await asyncio.sleep(3600)
            ticks += 1

    task = asyncio.create_task(clock())
    await advance(365 * DAY)
    task.cancel()
    assert ticks == 365 * 24


async def test_a_timer_after_centuries_is_called(advance):
    await advance(300 * 365 * DAY)
    await asyncio.gather(asyncio.sleep(0.1), advance(1))
    assert loop().time() == 300 * 365 * DAY + 1


async def test_the_wall_clock_moves_with_time(advance):
    assert wall_time() == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    await advance(90 * 60)
    assert wall_now(UTC) == datetime(2026, 1, 1, 1, 30, tzinfo=UTC)


def test_the_wall_clock_starts_where_it_is_told_to():
    start = datetime(2026, 3, 29, 1, 59, 58, tzinfo=UTC)

    async def read():
        await loop().advance(8)
        return wall_now(UTC)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        assert runner.run(read()) == datetime(2026, 3, 29, 2, 0, 6, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
async def test_advance_refuses_what_is_no_length_of_time(advance, seconds):
    with pytest.raises(ValueError, match="finite number, 0 or more"):
        await advance(seconds)


async def test_two_cannot_advance_at_once(advance):
    first = asyncio.create_task(advance(1))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one after another"):
        await advance(1)
    await first
    assert loop().time() == 1


async def test_a_cancelled_advance_leaves_the_clock_usable(advance):
    task = asyncio.create_task(advance(10))
    loop().call_later(4, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop().time() == 4
    await advance(1)
    assert loop().time() == 5


async def test_time_waits_for_a_job_in_a_thread(advance):
    release = threading.Event()
    job = asyncio.create_task(asyncio.to_thread(release.wait, 5))
    late = []
    loop().call_later(1, lambda: late.append(job.done()))
    threading.Timer(0.01, release.set).start()
    await advance(1)
    assert late == [True]


async def test_time_waits_within_real_work(advance):
    done = loop().create_future()
    with loop().real_work():
        threading.Timer(0.01, loop().call_soon_threadsafe, [done.set_result, None]).start()
        passing = asyncio.create_task(advance(60))
        await done
        assert loop().time() == 0
    await passing
    assert loop().time() == 60


async def test_no_timeout_while_waiting_for_a_process():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print('hello')", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 0.001)
    assert out == b"hello\n"
    assert loop().time() == 0


async def test_sockets_within_the_loop_are_served_before_time_moves(advance):
    async def echo(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        reply = asyncio.create_task(asyncio.wait_for(reader.readline(), 1))
        await advance(10)
        assert await reply == b"hello\n"
        writer.close()


def test_waiting_for_a_time_that_never_comes_is_an_error_with_the_name(monkeypatch):
    monkeypatch.setattr(virtual_time, "_PATIENCE", 0.01)

    async def waits_for_a_minute():
        await asyncio.sleep(60)

    with (
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
        pytest.raises(WaitsForEver, match="Time moves only in") as raised,
    ):
        runner.run(waits_for_a_minute())
    assert [name.split(".")[-1] for name in raised.value.waiting] == ["waits_for_a_minute"]


def test_a_loop_with_something_of_the_real_world_waits_for_it(monkeypatch):
    monkeypatch.setattr(virtual_time, "_PATIENCE", 0.001)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def receive():
        threading.Timer(0.05, theirs.send, [b"x"]).start()
        return await asyncio.get_running_loop().sock_recv(ours, 1)

    with ours, theirs, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(receive()) == b"x"


async def test_timers_of_the_same_time_are_called_in_the_order_in_which_they_were_made(advance):
    loop = asyncio.get_running_loop()
    called = []
    for number in range(100):
        loop.call_at(1 + number % 3, called.append, number)
    await advance(5)
    assert called == sorted(range(100), key=lambda number: number % 3)
