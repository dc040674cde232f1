"""The cause of each change in Home Assistant, and the changes that are held back to find it."""

import asyncio
import contextlib

import pytest

from eshet.bridges.homeassistant.contexts import HOLD_TIME, Contexts
from eshet.cause import Cause, current_cause, use_cause

BELL = Cause("event", "/bell")
OURS = {"id": "ours", "user_id": "u", "parent_id": None}


class House:
    """Changes of entities, and those that were applied, with their causes."""

    def __init__(self):
        self.contexts = Contexts()
        self.applied = []

    def change(self, entity_id, context, name=None, **options):
        def apply():
            self.applied.append((name or entity_id, current_cause()))

        self.contexts.handle(entity_id, context, apply, **options)

    @contextlib.contextmanager
    def call(self, context=OURS, cause=BELL):
        with use_cause(cause), self.contexts.call() as note, use_cause(None):
            yield
            note(context)


@pytest.fixture
async def house():
    return House()


async def test_a_change_before_the_result_waits_and_has_the_cause_of_the_call(house):
    with house.call():
        house.change("light.a", OURS)
        assert house.applied == []
    assert house.applied == [("light.a", BELL)]


async def test_later_changes_in_the_context_have_its_cause_for_ten_seconds(house, advance):
    with house.call():
        pass
    house.change("light.a", OURS)
    await advance(9)
    house.change("light.b", OURS)
    await advance(2)
    house.change("light.c", OURS)
    assert house.applied == [("light.a", BELL), ("light.b", BELL), ("light.c", None)]


async def test_what_a_change_in_the_context_triggers_has_its_cause(house):
    with house.call():
        house.change("light.a", {"id": "child", "user_id": None, "parent_id": "ours"})
        assert house.applied == []
    house.change("light.b", {"id": "grandchild", "user_id": None, "parent_id": "child"})
    house.change("light.c", {"id": "x", "user_id": None, "parent_id": "elsewhere"})
    assert house.applied == [("light.a", BELL), ("light.b", BELL), ("light.c", None)]


async def test_a_change_without_a_user_and_a_parent_does_not_wait(house):
    with house.call():
        house.change("sensor.a", "measured")
        assert house.applied == [("sensor.a", None)]


async def test_changes_of_one_entity_keep_their_order(house):
    with house.call():
        house.change("light.a", OURS, "first")
        house.change("light.a", {"id": "by itself", "user_id": None}, "second")
        house.change("light.a", None, "third")
        house.change("light.b", "by itself", "other")
        assert house.applied == [("other", None)]
    assert house.applied[1:] == [("first", BELL), ("second", None), ("third", None)]


async def test_only_the_fields_that_differ_are_in_a_context(house):
    house.change("light.a", {"id": "before", "user_id": "u", "parent_id": None}, is_new=True)
    house.change("sensor.a", "before", is_new=True)
    with house.call():
        house.change("light.a", "ours")  # of the same user
        house.change("sensor.a", "measured")
        assert [name for name, _ in house.applied] == ["light.a", "sensor.a", "sensor.a"]
    assert house.applied[3:] == [("light.a", BELL)]


async def test_an_entity_that_is_added_again_has_a_new_context(house):
    house.change("light.a", {"id": "before", "user_id": "u", "parent_id": None}, is_new=True)
    house.contexts.forget("light.a")
    with house.call():
        house.change("light.a", "loaded", is_new=True)
        house.change("light.a", "measured")
        assert house.applied[1:] == [("light.a", None), ("light.a", None)]


async def test_a_change_in_a_known_context_does_not_wait_for_another_call(house):
    with house.call():
        pass
    with house.call({"id": "other", "user_id": "u", "parent_id": None}):
        house.change("light.a", OURS)
        assert house.applied == [("light.a", BELL)]


async def test_a_change_waits_for_the_calls_before_it_and_not_for_later_ones(house):
    with contextlib.ExitStack() as later:
        with house.call():
            with house.call(None):
                house.change("light.a", OURS)
            assert house.applied == []
            house.change("light.b", {"id": "other", "user_id": "u", "parent_id": None})
            later.enter_context(house.call(None))
        assert house.applied == [("light.a", BELL), ("light.b", None)]


async def test_nothing_waits_longer_than_a_second_for_a_slow_call(house, advance):
    with house.call():
        await advance(0.9 * HOLD_TIME)
        house.change("light.a", OURS)
        assert house.applied == []
        await advance(0.2 * HOLD_TIME)
        assert house.applied == [("light.a", None)]
        house.change("light.b", OURS)
        assert house.applied[1:] == [("light.b", None)]
    house.change("light.c", OURS)
    assert house.applied[2:] == [("light.c", BELL)]


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_a_call_that_fails_or_is_cancelled_holds_nothing_back(house, error):
    def fail():
        with house.call():
            house.change("light.a", OURS)
            raise error

    with pytest.raises(error):
        fail()
    assert house.applied == [("light.a", None)]


async def test_nothing_waits_for_a_call_without_a_cause(house):
    with house.call(cause=None):
        house.change("light.a", OURS)
        assert house.applied == [("light.a", None)]
    house.change("light.a", None)
    assert house.applied[1:] == [("light.a", None)]


async def test_the_end_of_the_connection_and_its_first_event_release_all_changes(house):
    with house.call():
        house.change("light.a", OURS)
        house.contexts.release()
        assert house.applied == [("light.a", None)]
    with house.call({"id": "other", "user_id": "u", "parent_id": None}):
        house.change("light.b", {"id": "x", "user_id": "u"}, is_new=True, at_once=True)
        assert house.applied[1:] == [("light.b", None)]


@pytest.mark.parametrize("context", [None, 5, {}, {"id": None}, {"id": 5}, [], {"id": ["x"]}])
async def test_a_strange_context_is_that_of_no_call(house, context):
    with house.call(context):
        pass
    house.change("light.a", context)
    assert house.applied == [("light.a", None)]
