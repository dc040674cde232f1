"""The causes of what is sent to a driven path, also after a restart."""

import asyncio

import pytest

from eshet.cause import Cause, current_cause, use_cause
from eshet.unknown import Unknown
from eshet.yarp.driving.driven_path import DrivenPath
from eshet.yarp.driving.driver import Driver


class Sink:
    """The sink of a driver; it notes the causes of what it has to send."""

    scope = None
    tracks_causes = True

    def __init__(self, driver, shown):
        self.driver = driver
        self.shown = shown
        self.sent = []

    def submit(self, sent, *, is_own):
        cause = current_cause()
        self.sent.append((sent.value, cause.kind, cause.parent and cause.parent.kind, is_own))
        sent.is_pending = False

    def note_shown(self, value):
        """See `DrivingSink`."""


class House:
    """A path with one driver that stands by for an hour."""

    def __init__(self, shown, state=None):
        self.is_held = True
        self.path = DrivenPath("/x", lambda: self.is_held, lambda path, effect: None)
        driver = Driver(rule="hall.light", override=3600.0)
        driver.value = 1
        self.sink = Sink(driver, shown)
        with use_cause(Cause("set-up", "hall")):
            self.path.join(self.sink, state, asyncio.get_running_loop().time())
        self.is_held = False
        self.path.decide_if_due()

    def show(self, value, kind="state"):
        with use_cause(Cause(kind, "/x")):
            self.path.show(self.sink, value, by_owner=True)

    def snapshot(self):
        return self.path.snapshot(self.sink.driver, asyncio.get_running_loop().time())


async def test_a_value_that_is_decided_later_has_the_cause_of_its_driver():
    assert House(0).sink.sent == [(1, "set-up", None, True)]


async def test_an_override_keeps_its_cause_over_a_restart(advance):
    house = House(0)
    house.show(1)
    house.show(5)
    state = house.snapshot()
    again = House(5, state)
    assert again.sink.sent == []
    await advance(3600)
    assert again.sink.sent == [(1, "timer", "state", True)]


@pytest.mark.parametrize("cause", [None, 3, ["a"], ["a", None, 3, "x"], ["a", None, "x", "y", "z"]])
async def test_a_damaged_cause_is_ignored(cause, advance):
    house = House(0)
    house.show(1)
    house.show(5)
    again = House(5, {**house.snapshot(), "cause": cause})
    await advance(3600)
    assert again.sink.sent == [(1, "timer", None, True)]


async def test_the_return_of_the_owner_is_the_cause_and_its_change_the_parent():
    house = House(0)
    house.show(1)
    house.show(Unknown)
    house.show(0)
    assert house.sink.sent[1:] == [(1, "owner", "state", True)]


async def test_the_value_of_a_person_has_the_override_as_its_cause():
    house = House(0)
    house.show(1)
    house.show(5)
    house.show(Unknown)
    house.show(0)
    assert house.sink.sent[1:] == [(5, "override", "state", False)]
