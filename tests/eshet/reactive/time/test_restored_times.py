"""Times that an earlier process left, on a machine whose clock is behind when it starts."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from eshet import Unknown, yarp
from eshet.clock import clock_watcher, wall_now, wall_time
from eshet.reactive.core.graph import RestoreContext
from eshet.reactive.handover.handover import (
    hand_over,
    quietly,
    stateful_nodes,
    take_snapshots,
)
from eshet.scope import Scope
from eshet_rules.testing.virtual_time import VirtualLoop

KINDS = {
    "delayed event": lambda e, v: yarp.delay(e, 10),
    "delayed event that comes late": lambda e, v: yarp.delay(e, 10, missed="emit"),
    "delayed value": lambda e, v: yarp.delay(v, 10),
    "time window": lambda e, v: yarp.time_window(e, 10),
    "time window of a value": lambda e, v: yarp.time_window(v, 10),
    "rate limit": lambda e, v: yarp.rate_limit(e, 10),
    "rate limit of a value": lambda e, v: yarp.rate_limit(v, 10),
    "machine": lambda e, v: (
        yarp.FSM(
            lambda s, t, es: (es[-1], 10) if es else (s if t else "over", t or None), [e]
        ).state
    ),
    "emission at a time": lambda e, v: yarp.emit_at(
        yarp.fn(lambda x: None if x is None else asyncio.get_running_loop().time() + 10)(
            yarp.event_to_value(e, None)
        )
    ),
    "debounce": lambda e, v: yarp.debounce(e, 5),
    "debounce of a value": lambda e, v: yarp.debounce(v, 5),
    "throttle": lambda e, v: yarp.throttle(e, 10),
    "for duration": lambda e, v: yarp.for_duration(v, 10),
    "stale": lambda e, v: yarp.stale(e, 10),
    "stale value": lambda e, v: yarp.stale(v, 10),
    "hold": lambda e, v: yarp.hold(e, 10),
    "hold of a value": lambda e, v: yarp.hold(v == 5, 10),
    "hold at most": lambda e, v: yarp.hold(v, at_most=8),
    "fold": lambda e, v: yarp.fold_state(
        e, lambda s, x: x, 0, timeouts={2: (6, 0), 0: (9, 1), 1: (3, 2)}
    ),
    "rate": lambda e, v: yarp.rate(e, 10),
}

UNCORRECTED = timedelta()


class Version:
    def __init__(self, make):
        self.scope = Scope("rule")
        with self.scope.active():
            self.event = yarp.Event(name="/event")
            self.value = yarp.Value(Unknown, name="/value")
            self.result = make(self.event, self.value)
        self.heard = []
        loop = asyncio.get_running_loop()
        self.result.on_value_changed(lambda x: self.heard.append((round(loop.time(), 3), x)))

    def hear(self, something):
        self.event.emit(something)
        self.value.value = something

    @property
    def nodes(self):
        return stateful_nodes({"rule": self.scope})


def restarted(make, down, behind=None, corrected=True):
    """Return what a rule hears from 3 s after a restart on, and what its result is by then.

    Args:
        make: makes the result.
        down: for how long nothing ran, in seconds.
        behind: how far the clock is behind at the start; None if it is right.
        corrected: whether it is set after 3 s.
    """

    async def main(loop):
        old = Version(make)
        old.hear(5)
        await loop.advance(4)
        old.hear(2)
        await loop.advance(2)
        written = wall_time()
        memos = take_snapshots(old.nodes, loop.time() - written)
        old.scope.dispose()
        await loop.advance(down)
        if behind is not None:
            loop.set_wall_time(wall_now(UTC) - behind)
        began = loop.time()
        clock_watcher().restore(began, written)
        epoch = began - max(wall_time(), written)
        new = Version(make)
        new.value.value = 2
        assert hand_over(memos, new.nodes, RestoreContext(began, epoch, began)).afresh == []
        await loop.advance(3)
        if behind is not None and corrected:
            loop.set_wall_time(wall_now(UTC) + behind)
        await loop.advance(0)
        new.heard.clear()
        value = new.result.value if isinstance(new.result, yarp.Value) else None
        await loop.advance(1)
        new.hear(7)
        await loop.advance(100)
        return value, [(round(time - began, 3), what) for time, what in new.heard]

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(datetime(2026, 6, 1, tzinfo=UTC))) as run:
        return run.run(main(run.get_loop()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behind", [timedelta(hours=4), timedelta(days=20_000)], ids=str)
@pytest.mark.parametrize("down", [0, 1, 4, 60])
def test_once_the_clock_is_set_all_is_as_if_it_had_been_right(kind, behind, down):
    assert restarted(KINDS[kind], down, behind) == restarted(KINDS[kind], down)


@pytest.mark.parametrize("kind", KINDS)
def test_as_long_as_the_clock_is_behind_nothing_waits_longer_than_when_it_was_written(kind):
    behind = timedelta(days=20_000)
    assert restarted(KINDS[kind], 60, behind, corrected=False) == restarted(KINDS[kind], 0)


async def test_what_is_handed_over_after_the_clock_was_set_is_right(advance):
    loop = asyncio.get_running_loop()
    old = Version(KINDS["hold"])
    old.hear(5)
    written = wall_time()
    memos = take_snapshots(old.nodes, loop.time() - written)
    loop.set_wall_time(wall_now(UTC) - timedelta(hours=4))
    epoch = loop.time() - written
    clock_watcher().restore(loop.time(), written)
    await advance(3)  # the server is away
    loop.set_wall_time(wall_now(UTC) + timedelta(hours=4, seconds=6))
    await advance(0)
    new = Version(KINDS["hold"])
    hand_over(memos, new.nodes, RestoreContext(loop.time(), epoch, loop.time()))
    await advance(0.9)
    assert new.result.value is True
    await advance(0.2)
    assert new.result.value is False


async def test_what_was_dropped_at_a_step_is_logged(advance, caplog):
    loop = asyncio.get_running_loop()
    old = Version(KINDS["delayed event"])
    old.event.emit("ding")
    written = wall_time()
    memos = take_snapshots(old.nodes, loop.time() - written)
    new = Version(KINDS["delayed event"])
    loop.set_wall_time(wall_now(UTC) - timedelta(hours=4))
    clock_watcher().restore(loop.time(), written)
    hand_over(memos, new.nodes, RestoreContext(loop.time(), loop.time() - written, loop.time()))
    loop.set_wall_time(wall_now(UTC) + timedelta(hours=8))
    await advance(100)
    assert new.heard == []
    [record] = [r for r in caplog.records if r.name == "eshet.reactive"]
    assert "rule: delay" in record.getMessage()
    assert "dropped ding" in record.getMessage()


@pytest.mark.parametrize("kind", ["debounce", "machine", "hold"])
def test_timers_of_one_instant_keep_their_order_when_the_clock_is_set(kind):
    async def main(loop):
        scopes = []

        def version(heard):
            scopes.append(Scope("rule"))
            with scopes[-1].active():
                events = [yarp.Event(name=f"/{place}") for place in range(3)]
                for place, event in enumerate(events):
                    result = KINDS[kind](event, event)
                    result.on_value_changed(lambda _, place=place: heard.append(place))
            return events

        for event in reversed(version([])):
            event.emit(5)
        written = wall_time()
        snapshots = take_snapshots(stateful_nodes({"rule": scopes[0]}), loop.time() - written)
        scopes[0].dispose()
        await loop.advance(1)
        loop.set_wall_time(wall_now(UTC) - timedelta(hours=4))
        clock_watcher().restore(loop.time(), written)
        heard = []
        version(heard)
        epoch = loop.time() - max(wall_time(), written)
        nodes = stateful_nodes({"rule": scopes[1]})
        with quietly():
            hand_over(snapshots, nodes, RestoreContext(loop.time(), epoch, loop.time()))
        await loop.advance(1)
        loop.set_wall_time(wall_now(UTC) + timedelta(hours=4))
        await loop.advance(20)
        return heard

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(datetime(2026, 6, 1, tzinfo=UTC))) as run:
        assert run.run(main(run.get_loop()))[:3] == [2, 1, 0]
