"""Changes and events that wait for a stream's next interval."""

from eshet.gateway.conflation import MAX_EVENTS, Item, Waiting
from eshet.unknown import Unknown


def test_of_a_state_only_the_last_value_waits() -> None:
    waiting = Waiting()
    for number in range(5):
        waiting.put_state("/a", number)
    waiting.put_state("/b", Unknown)
    assert waiting.changed.is_set()
    assert waiting.take() == [
        Item("state", "/a", {"known": True, "value": 4}),
        Item("state", "/b", {"known": False, "value": None}),
    ]
    assert not waiting.changed.is_set()
    assert waiting.take() == []


def test_the_oldest_events_are_dropped_and_counted() -> None:
    waiting = Waiting()
    for number in range(MAX_EVENTS):
        waiting.put_event("/many", number)
    for number in range(3):
        waiting.put_event("/few", number)
    dropped, *events = waiting.take()
    assert dropped == Item("dropped", "/many", {"count": 3})
    assert len(events) == MAX_EVENTS
    assert events[0] == Item("event", "/many", {"value": 3})
    assert events[-1] == Item("event", "/few", {"value": 2})
    assert waiting.take() == []
