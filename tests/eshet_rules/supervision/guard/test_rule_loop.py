import asyncio
import contextlib
import gc
import math
import os
import signal
import socket
import sys
from contextvars import Context

import pytest

from eshet.interpreter import task_of
from eshet_rules.exceptions import LoopNotStopped, TasksNotChanged
from eshet_rules.rule import Rule
from eshet_rules.supervision.guard import rule_loop
from eshet_rules.supervision.guard.rule_loop import MUCH, SHARE, FairQueue, RuleLoop
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope
from eshet_rules.supervision.supervised_rule import RunScope, SupervisedRule


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_the_loop_goes_on_when_a_callback_wants_to_end_it(error):
    told = []
    scope = TaskScope("hall.light")

    def leave():
        raise error

    async def main():
        loop = asyncio.get_running_loop()
        loop.on_exit_call = lambda *call: told.append(call)
        with scope.active():
            loop.call_soon(leave)
        ready_behind_it = asyncio.Event()
        loop.call_soon(ready_behind_it.set)
        await ready_behind_it.wait()
        return "done"

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        assert runner.run(main()) == "done"
    assert told == [(error, scope)]


def test_the_loop_goes_on_when_a_task_wants_to_end_it():
    told = []

    async def leave():
        raise SystemExit(3)

    async def main():
        asyncio.get_running_loop().on_exit_call = lambda *call: told.append(call)
        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        return task.exception()

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        error = runner.run(main())
    assert told == [(error, None)]


def test_as_long_as_nobody_takes_the_call_it_ends_the_program():
    async def main():
        asyncio.get_running_loop().call_soon(leave)
        await asyncio.get_running_loop().create_future()

    def leave():
        raise SystemExit(3)

    with asyncio.Runner(loop_factory=RuleLoop) as runner, pytest.raises(SystemExit):
        runner.run(main())


@pytest.mark.parametrize(
    "handler", [lambda *_: 1 / 0, lambda *_: sys.exit(3), signal.default_int_handler, int]
)
def test_the_loop_goes_on_when_a_signal_handler_raises_while_it_waits(handler):
    told = []

    async def main():
        loop = asyncio.get_running_loop()
        wait = loop._selector.select

        def wait_and_hear(timeout=None):
            if timeout:
                signal.raise_signal(signal.SIGUSR1)
            return wait(timeout)

        loop._selector.select = wait_and_hear
        loop.on_exit_call = lambda error, scope: told.append((error, scope))
        for number in range(5):
            is_told = asyncio.Event()
            loop.call_later(0.001, is_told.set)
            await is_told.wait()
            assert len(told) > number
        del loop._selector.select
        return "done"

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with asyncio.Runner(loop_factory=RuleLoop) as runner:
            assert runner.run(main()) == "done"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert {scope for _, scope in told} == {None}


def test_the_loop_goes_on_when_its_failure_can_not_be_reported():
    def fail(*call):
        raise KeyboardInterrupt

    async def main():
        loop = asyncio.get_running_loop()
        loop.on_exit_call = fail
        for _ in range(3):
            loop.call_soon(fail)
            await asyncio.sleep(0)
        loop.on_exit_call = None
        return "done"

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        assert runner.run(main()) == "done"


BREAKING = {
    "its selector is closed": lambda loop: loop._selector.close(),
    "its files are closed": lambda loop: os.close(loop._selector.fileno()),
    "it has no selector": lambda loop: setattr(loop, "_selector", None),
    "its time raises": lambda loop: setattr(loop, "time", lambda: 1 / 0),
    "its timers can't be compared": lambda loop: loop._scheduled.insert(0, None),
}


class Broken(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("spoil", BREAKING.values(), ids=BREAKING)
def test_a_loop_that_can_not_go_on_is_given_up(spoil):
    told = []

    def end(error):
        raise Broken from error

    loop = RuleLoop()
    files = [loop._selector, loop._ssock, loop._csock]
    loop.on_exit_call, loop.on_broken = lambda *call: told.append(call), end
    loop.call_later(0.001, lambda: None)
    loop.call_soon(spoil, loop)
    with pytest.raises(Broken):
        loop.run_until_complete(loop.create_future())
    assert len(told) == 1
    for each in files:
        with contextlib.suppress(OSError):
            each.close()
    loop.close = lambda: None
    loop._closed = True


def test_what_a_rule_asks_of_the_loop_in_vain_is_its_own_failure():
    told = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.on_exit_call = lambda *call: told.append(call)
        future = loop.create_future()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_until_complete(future)
        with pytest.raises(LoopNotStopped):
            loop.stop()
        with pytest.raises(TasksNotChanged):
            loop.set_task_factory(None)
        await asyncio.sleep(0)
        return "done"

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        assert runner.run(main()) == "done"
    assert told == []


# --- timers -------------------------------------------------------------------------------------


class Unordered(float):
    """A number that can't be compared."""

    def __lt__(self, other):
        raise KeyboardInterrupt


TIMES = {
    "NaN": (float("nan"), ValueError),
    "a text": ("1", TypeError),
    "nothing": (None, TypeError),
    "complex": (1j, TypeError),
    "huge": (10**400, OverflowError),
    "below zero": (-math.inf, None),
    "without an order": (Unordered(0.0), None),
}


async def until(seconds):
    async with asyncio.timeout_at(seconds):
        await asyncio.Event().wait()


async def after(seconds):
    called = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, called.set)
    await called.wait()


WAITS = {
    "sleep": asyncio.sleep,
    "wait_for": lambda seconds: asyncio.wait_for(
        asyncio.get_running_loop().create_future(), seconds
    ),
    "timeout_at": until,
    "call_later": after,
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize(("seconds", "error"), TIMES.values(), ids=TIMES)
def test_a_time_without_an_order_is_refused_and_the_timers_of_others_go_off(seconds, error, wait):
    order = []

    async def main():
        loop = asyncio.get_running_loop()
        for number in range(8):
            loop.call_later(number / 1000, order.append, number)
            loop.call_later(3600 + number, print)
        tried = [asyncio.create_task(wait(seconds)) for _ in range(8)]
        await asyncio.sleep(0.008)
        for task in tried:
            task.cancel()
        return await asyncio.gather(*tried, return_exceptions=True)

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        ended = runner.run(main())
    assert order == list(range(8))
    if error is not None and not (seconds is None and wait in NO_LIMIT):
        assert {type(each) for each in ended} == {error}


NO_LIMIT = [WAITS["wait_for"], WAITS["timeout_at"]]
"""Which wait without a limit if they are given None."""


# --- fairness -----------------------------------------------------------------------------------


class Handle:
    """What is ready, of somebody."""

    def __init__(self, owner, number):
        self.owner = owner
        self.number = number
        self._context = Context()


def fair_queue(*, flood=0, others=()):
    queue = FairQueue(lambda handle: handle.owner)
    queue.extend(Handle("flood", number) for number in range(flood))
    queue.extend(Handle(owner, number) for number, owner in enumerate(others))
    return queue


def run_round(queue):
    return [queue.popleft() for _ in range(len(queue))]


def run_all(queue):
    done = []
    while queue:
        done += run_round(queue)
    return done


def test_what_is_little_runs_in_the_order_of_coming():
    queue = fair_queue(flood=100, others=["a", None, "b"])
    assert [handle.owner for handle in run_round(queue)][-3:] == ["a", None, "b"]
    assert not queue


def test_a_flood_has_its_share_and_all_others_have_theirs_in_the_same_round():
    queue = fair_queue(flood=100_000, others=["a", None, "b"])
    owners = [handle.owner for handle in run_round(queue)]
    assert owners == [None, *["flood"] * SHARE, "a", "b"]
    assert queue


def test_a_flood_that_delays_no_other_rule_has_as_many_steps_as_in_a_plain_loop():
    queue = fair_queue(flood=100_000, others=[None])
    owners = [handle.owner for handle in run_round(queue)]
    assert owners == [None, *["flood"] * MUCH]
    queue.append(Handle("a", 0))
    assert [handle.owner for handle in run_round(queue)] == [*["flood"] * SHARE, "a"]


def test_nothing_is_lost_and_what_has_one_owner_stays_in_order():
    queue = fair_queue(flood=1000, others=["a", "b", None] * 100)
    done = run_round(queue)
    queue.extend([Handle("flood", 1000), Handle("a", 1000)])  # while the rest still waits
    done += run_all(queue)
    assert len(done) == 1302
    for owner in ("flood", "a", "b", None):
        numbers = [handle.number for handle in done if handle.owner == owner]
        assert numbers == sorted(numbers)


def test_a_round_that_an_exception_has_left_goes_on_in_order():
    queue = fair_queue(flood=1000, others=["a", "b", None] * 200)
    done = []
    while queue:
        for _ in range(len(queue)):
            done.append(queue.popleft())
            if done[-1].owner == "flood" and done[-1].number % 7 == 0:
                queue.append(Handle("a", 1000 + len(done)))
                queue.continue_round()
                break
        if len(done) == 200:  # the flood is not over, but all others have had many turns
            assert {handle.owner for handle in done} == {"flood", "a", "b", None}
    for owner in ("flood", "a", "b", None):
        numbers = [handle.number for handle in done if handle.owner == owner]
        assert numbers == sorted(numbers)
    assert len([handle for handle in done if handle.owner == "flood"]) == 1000
    last_flood = max(i for i, handle in enumerate(done) if handle.owner == "flood")
    last_b = max(i for i, handle in enumerate(done) if handle.owner == "b")
    assert last_b < last_flood


def test_what_comes_while_a_flood_waits_has_its_turn_in_the_next_round():
    queue = fair_queue(flood=10_000)
    run_round(queue)
    queue.append(Handle("a", 0))
    assert "a" in [handle.owner for handle in run_round(queue)]


def test_all_can_be_forgotten():
    queue = fair_queue(flood=10_000)
    run_round(queue)
    queue.clear()
    assert not queue
    assert len(queue) == 0


def test_a_flood_of_tasks_of_one_rule_lets_others_run_between_them():
    order = []

    async def step(name):
        order.append(name)

    async def main():
        own_tasks_by_scope(asyncio.get_running_loop())
        rule = SupervisedRule(Rule("flood", step), TaskScope("bad.flood"))
        with RunScope(rule).active():
            flood = [asyncio.create_task(step("flood")) for _ in range(10_000)]
        other = asyncio.create_task(step("other"))
        await asyncio.gather(*flood, other)

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        runner.run(main())
    assert len(order) == 10_001
    assert order.index("other") <= SHARE


def test_an_error_of_a_task_that_would_end_the_loop_is_reported_once():
    reported, unhandled = [], []

    async def leave():
        raise KeyboardInterrupt

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        loop.on_exit_call = lambda error, scope: reported.append(type(error))
        task = loop.create_task(leave())
        for _ in range(3):
            await asyncio.sleep(0)
        del task
        gc.collect()
        loop.on_exit_call = None

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        runner.run(main())
    assert reported == [KeyboardInterrupt]
    assert unhandled == []


def test_the_loop_tells_that_it_wakes_up_before_any_step():
    told = []

    async def work():
        loop = asyncio.get_running_loop()
        loop.on_wake = lambda: told.append("wake")
        loop.call_later(0.01, told.append, "timer")
        received, sent = socket.socketpair()
        loop.add_reader(received, told.append, "input")
        sent.send(b"x")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.remove_reader(received)
        await asyncio.sleep(0.02)
        loop.on_wake = None
        await asyncio.sleep(0)
        for end in (received, sent):
            end.close()

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        runner.run(work())
    assert told[0] == "wake"
    for step in ("input", "timer"):
        assert told[told.index(step) - 1] == "wake"


@pytest.mark.parametrize("flood", [3, 100_000])
def test_while_rules_are_suspended_only_the_runner_has_turns(flood):
    queue = fair_queue(flood=flood, others=["a", None, "b", None])
    run_round(queue)
    queue.append(Handle("a", 1))
    queue.suspend()
    queue.append(Handle(None, 2))
    queue.append(Handle("a", 2))
    assert [handle.owner for handle in run_all(queue)] == [None]
    assert not queue  # so the loop waits for input
    queue.append(Handle(None, 3))
    assert [handle.owner for handle in run_all(queue)] == [None]
    queue.resume()
    assert queue
    of_a = [handle.number for handle in run_all(queue) if handle.owner == "a"]
    assert of_a[-2:] == [1, 2]


def test_a_rule_stands_still_while_it_is_suspended_and_then_goes_on(monkeypatch):
    done = []

    async def count(rule):
        while True:
            done.append(rule)
            await asyncio.sleep(0)

    async def main():
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop._queue, "_owner_of", owner_of)
        tasks = [asyncio.create_task(count(name), name=name) for name in ("rule", "runner")]
        for step in ("runs", "is suspended", "goes on"):
            if step == "is suspended":
                loop.suspend_rules()
            if step == "goes on":
                loop.resume_rules()
            done.clear()
            for _ in range(5):
                await asyncio.sleep(0)
            seen[step] = set(done)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def owner_of(handle):
        task = task_of(handle)
        return "rule" if task is not None and task.get_name() == "rule" else None

    seen = {}
    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        runner.run(main())
    assert seen == {
        "runs": {"rule", "runner"},
        "is suspended": {"runner"},
        "goes on": {"rule", "runner"},
    }


def test_input_for_a_suspended_rule_waits_without_occupying_the_loop(monkeypatch):
    received, naps = [], []

    async def main():
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(rule_loop, "sleep", naps.append)
        monkeypatch.setattr(loop._queue, "_owner_of", owner_of)
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            loop.add_reader(here, receive, here)
            loop.suspend_rules()
            there.send(b"hello")
            await asyncio.sleep(0.05)
            assert [len(each) for each in loop._queue._later.values()] == [1]
            assert received == []
            assert naps
            loop.resume_rules()
            await asyncio.sleep(0.01)
            assert received == [b"hello"]
            count = len(naps)
            await asyncio.sleep(0.01)
            assert len(naps) == count
            loop.remove_reader(here)

    def receive(here):
        with contextlib.suppress(BlockingIOError):
            received.append(here.recv(10))

    def owner_of(handle):
        return "rule" if handle._callback is receive else None

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        runner.run(main())
