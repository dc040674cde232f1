"""Queues of messages for handlers, and the order of acknowledgements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet.bridges.mqtt.broker import AT_LEAST_ONCE, Message
from eshet.bridges.mqtt.inbox import Acknowledgements, Delivery, EventQueue, StateSlot


def delivery(number, pending=1, qos=AT_LEAST_ONCE):
    return Delivery(Message("bell", b"%d" % number, qos=qos, number=number), pending)


class Waiting:
    def __init__(self):
        self.acknowledged = []
        self.acknowledgements = Acknowledgements(lambda m: self.acknowledged.append(m.number))

    def add(self, *numbers, pending=1, limit=100):
        added = [delivery(number, pending) for number in numbers]
        for each in added:
            self.acknowledgements.add(each, limit)
        return added


def test_the_last_message_of_a_state_replaces_the_waiting_one():
    slot = StateSlot()
    first, last = delivery(1), delivery(2)
    assert not slot
    assert slot.put(first) is None
    assert slot.put(last) is first
    assert slot
    assert slot.pop() is last
    assert not slot
    with pytest.raises(LookupError):
        slot.pop()


def test_events_wait_in_order_and_the_oldest_is_dropped():
    queue = EventQueue(limit=2)
    one, two, three = map(delivery, (1, 2, 3))
    assert queue.put(one) is None
    assert queue.put(two) is None
    assert queue.put(three) is one
    assert queue.pop() is two
    assert queue.pop() is three
    assert not queue


def test_a_message_is_acknowledged_after_those_before_it():
    waiting = Waiting()
    one, two, three = waiting.add(1, 2, 3)
    waiting.acknowledgements.handled(two)
    assert waiting.acknowledged == []
    waiting.acknowledgements.handled(one)
    assert waiting.acknowledged == [1, 2]
    waiting.acknowledgements.handled(three)
    assert waiting.acknowledged == [1, 2, 3]
    assert len(waiting.acknowledgements) == 0


def test_a_message_is_acknowledged_when_all_its_handlers_have_ended():
    waiting = Waiting()
    (one,) = waiting.add(1, pending=2)
    waiting.acknowledgements.handled(one)
    assert waiting.acknowledged == []
    waiting.acknowledgements.handled(one)
    assert waiting.acknowledged == [1]


def test_a_message_without_handlers_is_acknowledged_at_its_turn():
    waiting = Waiting()
    (one,) = waiting.add(1)
    waiting.add(2, pending=0)
    assert waiting.acknowledged == []
    waiting.acknowledgements.handled(one)
    assert waiting.acknowledged == [1, 2]


def test_a_message_with_qos_0_is_not_acknowledged():
    waiting = Waiting()
    waiting.acknowledgements.add(delivery(1, pending=0, qos=0), 100)
    assert waiting.acknowledged == []


def test_beyond_the_limit_the_oldest_is_acknowledged_early_and_once():
    waiting = Waiting()
    one, _two, _three = waiting.add(1, 2, 3, limit=2)
    assert waiting.acknowledged == [1]
    assert waiting.acknowledgements.early == 1
    waiting.acknowledgements.handled(one)
    assert waiting.acknowledged == [1]


def test_after_a_resumed_session_a_known_message_is_not_delivered_again():
    waiting = Waiting()
    one, two = waiting.add(1, 2)
    waiting.acknowledgements.disconnected()
    waiting.acknowledgements.handled(one)
    assert waiting.acknowledged == []  # its connection is lost

    assert waiting.acknowledgements.take_again(one.message) is one
    waiting.acknowledgements.add(one, 100)
    assert waiting.acknowledged == [1]
    assert waiting.acknowledgements.take_again(two.message) is two
    waiting.acknowledgements.add(two, 100)
    assert waiting.acknowledgements.take_again(two.message) is None
    waiting.acknowledgements.handled(two)
    assert waiting.acknowledged == [1, 2]


def test_a_message_whose_acknowledgement_was_lost_is_acknowledged_again():
    waiting = Waiting()
    (one,) = waiting.add(1, pending=0)
    waiting.acknowledgements.disconnected()
    # A new message may have the same number, and even the same content.
    assert waiting.acknowledgements.take_again(one.message) is None
    repeated = one.message._replace(is_repeated=True)
    again = waiting.acknowledgements.take_again(repeated)
    assert again is not None
    waiting.acknowledgements.add(again, 100)
    assert waiting.acknowledged == [1, 1]
    other = repeated._replace(payload=b"other")
    assert waiting.acknowledgements.take_again(other) is None
    waiting.acknowledgements.not_resumed()
    assert waiting.acknowledgements.take_again(repeated) is None


def test_a_limited_number_of_acknowledged_messages_is_remembered():
    waiting = Waiting()
    added = waiting.add(*range(1, 2000), pending=0)
    repeated = [each.message._replace(is_repeated=True) for each in added]
    known = [waiting.acknowledgements.take_again(each) is not None for each in repeated]
    assert known == [False] * 999 + [True] * 1000


def test_a_message_that_differs_is_a_new_one():
    waiting = Waiting()
    (one,) = waiting.add(1)
    waiting.acknowledgements.disconnected()
    assert waiting.acknowledgements.take_again(one.message._replace(payload=b"other")) is None


def test_without_a_resumed_session_no_message_is_known():
    waiting = Waiting()
    (one,) = waiting.add(1)
    waiting.acknowledgements.disconnected()
    waiting.acknowledgements.not_resumed()
    assert waiting.acknowledgements.take_again(one.message) is None


@given(st.permutations(range(8)), st.integers(1, 10))
def test_messages_are_acknowledged_once_and_in_order_whatever_ends_first(order, limit):
    waiting = Waiting()
    added = waiting.add(*range(8), limit=limit)
    for index in order:
        waiting.acknowledgements.handled(added[index])
    assert waiting.acknowledged == list(range(8))
