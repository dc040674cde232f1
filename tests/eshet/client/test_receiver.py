"""The turns in which a client handles messages: how long they are, and what overtakes what."""

import asyncio
import time

import pytest

from eshet import Client, codec
from eshet.client.receiver import TURN, Receiver
from eshet.exceptions import ProtocolError
from eshet.messages import ActionCall, EventNotify, NotifyKnown, Reply, ReplyKnown, pack
from eshet.server import Server


class House:
    """A receiver whose messages each take some time, and what it has done."""

    def __init__(self, *, takes=TURN / 2.5, max_waiting_bytes=10**6):
        self.now = 0.0
        self.takes = takes
        self.handled = []
        self.rejected = []
        self.dropped = 0
        self.receiver = Receiver(
            {Reply.code, ReplyKnown.code}, max_waiting_bytes, self.drop, lambda: self.now
        )
        self.receiver.attach(self.handle, self.state_of, self.rejected.append)

    def handle(self, payload):
        self.now += self.takes
        self.handled.append(payload)
        if payload == BROKEN:
            raise ProtocolError("a broken message")

    def state_of(self, payload):
        return b"/lux" if payload[0] == ReplyKnown.code else None

    def drop(self, count):
        self.dropped += count

    def read(self, *payloads):
        self.receiver.begin()
        for payload in payloads:
            self.receiver.receive(payload)

    async def next_turn(self):
        """Let the loop run once, and return how many messages it handled."""
        before = len(self.handled)
        await asyncio.sleep(0)
        return len(self.handled) - before


def event(number):
    return pack(EventNotify("/bell", codec.pack(number)))


def reply(number):
    return pack(Reply(number, codec.pack(None)))


def lux(value):
    return pack(NotifyKnown("/lux", codec.pack(value)))


BROKEN = event("broken")


@pytest.mark.parametrize("size", [0, -5])
def test_a_limit_that_lets_nothing_wait_is_refused(size):
    with pytest.raises(ValueError, match=f"max_waiting_bytes={size} would drop each event"):
        Client(max_waiting_bytes=size)


async def test_few_messages_are_handled_at_once():
    house = House(takes=0.0)
    house.read(*map(event, range(100)))
    assert house.handled == [event(number) for number in range(100)]


async def test_many_messages_are_handled_in_order_a_few_in_each_turn():
    house = House()
    house.read(*map(event, range(20)))
    assert len(house.handled) == 3
    assert await house.next_turn() == 3
    house.read(event(20))  # has to wait behind the others
    for _ in range(10):
        assert await house.next_turn() <= 3
    assert house.handled == [event(number) for number in range(21)]
    assert not house.receiver.inbox


async def test_each_turn_handles_at_least_one_message():
    house = House(takes=10 * TURN)
    house.read(*map(event, range(3)))
    assert [await house.next_turn() for _ in range(3)] == [1, 1, 0]


async def test_replies_overtake_everything_else_and_stay_in_order_themselves():
    house = House()
    house.read(*map(event, range(6)), *map(reply, range(5)))
    assert house.handled == list(map(event, range(3)))
    house.read(reply(5))
    for _ in range(4):
        await house.next_turn()
    assert house.handled[3:9] == list(map(reply, range(6)))
    assert house.handled[9:] == list(map(event, range(3, 6)))


async def test_a_reply_is_handled_at_once_while_events_wait():
    house = House()
    house.read(*map(event, range(6)))
    house.read(reply(0))
    assert house.handled[-1] == reply(0)


async def test_the_value_of_a_state_in_a_reply_is_handled_after_older_and_before_newer_ones():
    house = House()
    older, answer, newer = lux(1), pack(ReplyKnown(1, b"\x02")), lux(3)
    house.read(*map(event, range(6)), lux(0), event(6), older, reply(0), answer, newer)
    for _ in range(5):
        await house.next_turn()
    assert house.handled[3:] == [reply(0), older, answer, *map(event, range(3, 7)), newer]


async def test_many_values_of_states_in_replies_are_handled_a_few_in_each_turn():
    house = House()
    house.read(*[pack(ReplyKnown(number, b"\x01")) for number in range(20)])
    assert len(house.handled) == 3
    while len(house.handled) < 20:
        assert 0 < await house.next_turn() <= 3


async def test_nothing_is_logged_as_dropped_if_only_requests_wait():
    house = House(max_waiting_bytes=100)
    house.drop = None
    call = pack(ActionCall(1, "/act", b"\x90"))
    house.read(*map(event, range(3)), *[call] * 100)
    for _ in range(60):
        await house.next_turn()
    assert house.handled.count(call) == 100


async def test_beyond_the_limit_the_oldest_events_are_dropped_and_counted():
    house = House(max_waiting_bytes=5000)
    house.read(*map(event, range(2000)))
    while house.receiver.inbox:
        await house.next_turn()
    assert house.dropped > 1000
    assert len(house.handled) + house.dropped == 2000
    assert house.handled == [
        event(number) for number in (*range(3), *range(3 + house.dropped, 2000))
    ]


async def test_a_waiting_message_that_breaks_the_protocol_is_rejected_and_the_others_handled():
    house = House()
    house.read(*map(event, range(5)), BROKEN, event(6))
    for _ in range(3):
        await house.next_turn()
    assert [str(error) for error in house.rejected] == ["a broken message"]
    assert house.handled[-2:] == [BROKEN, event(6)]


async def test_a_message_that_breaks_the_protocol_at_once_raises():
    house = House()
    with pytest.raises(ProtocolError):
        house.read(BROKEN)


async def test_at_the_end_of_a_connection_replies_and_events_are_handled_and_no_requests():
    house = House()
    call = pack(ActionCall(1, "/act", b"\x90"))
    house.read(*map(event, range(4)), call, pack(NotifyKnown("/lux", b"\x01")), reply(1))
    house.receiver.disconnected()
    assert house.handled[-1] == reply(1)
    for _ in range(3):
        await house.next_turn()
    assert house.handled[-1] == event(3)
    assert call not in house.handled


async def test_before_the_end_only_replies_are_handled():
    house = House()
    house.read(*map(event, range(6)), reply(0))
    house.receiver.ignore_inputs()
    house.read(event(6), pack(ActionCall(1, "/act", b"\x90")), reply(1))
    for _ in range(3):
        await house.next_turn()
    assert house.handled == [*map(event, range(3)), reply(0), reply(1)]
    assert house.receiver.waiting == (0, 0.0)


async def test_nothing_is_handled_after_the_end():
    house = House()
    house.read(*map(event, range(6)), reply(0))
    house.receiver.close()
    assert await house.next_turn() == 0


# --- with a server ------------------------------------------------------------------------------


def test_an_observer_never_gets_an_older_value_after_a_newer_one():
    heard, all_heard = [], asyncio.Event()

    def slow(value):
        time.sleep(2 * TURN)  # in real time, as turns are limited by it
        heard.append(value)
        if len(heard) == 31:
            all_heard.set()

    async def observe_in_a_flood():
        async with Server() as server, Client(server=server) as other, Client(server=server) as own:
            state = await other.state_register("/lux")
            await other.event_register("/bell")
            await own.event_listen_cb("/bell", slow)
            await own.state_observe("/lux", slow)
            bells = [other.event_emit("/bell", number) for number in range(30)]
            values = [state.changed("dim"), state.changed("bright")]
            await asyncio.gather(*bells, *values)
            later = []
            assert await own.state_observe("/lux", later.append) == "bright"
            assert "bright" in heard  # before the reply, though the events came earlier
            assert len(heard) < 31
            await asyncio.wait_for(all_heard.wait(), 10)
            assert [value for value in heard if value != "bright"] == list(range(30))
            assert later == []

    asyncio.run(observe_in_a_flood())
