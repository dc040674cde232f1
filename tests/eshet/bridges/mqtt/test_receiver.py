"""Passing messages to handlers: turns, order, conflation, limits and errors."""

import asyncio
import contextvars
import logging

import pytest

from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.receiver import MAX_PAYLOAD, TURN, Receiver, Subscription
from tests.conftest import Advance


class House:
    """A receiver with slow handlers, and a record of their calls."""

    def __init__(self, *, takes: float = 0.0, max_waiting_bytes: int = 10**6, limit: int = 1000):
        self.now = 0.0
        self.takes = takes
        self.handled: list[tuple[str, bytes]] = []
        self.acknowledged: list[int] = []
        self.gates: list[asyncio.Future[None]] = []
        self.receiver = Receiver(
            "mqtt://house",
            lambda message: self.acknowledged.append(message.number),
            lambda: limit,
            logging.getLogger("eshet.bridges.mqtt"),
            max_waiting_bytes,
            lambda: self.now,
        )
        self.numbers = 0

    def subscribe(self, pattern="#", handle=None, *, events=False, max_events=5, **more):
        subscription = Subscription(
            pattern,
            handle or self.handle,
            events=events,
            max_events=max_events,
            on_cancel=self.receiver.remove,
            **more,
        )
        self.receiver.add(subscription)
        return subscription

    def handle(self, message):
        self.now += self.takes
        self.handled.append((message.topic, message.payload))

    async def wait(self, message):
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        self.handle(message)

    def receive(self, topic, *payloads, qos=1):
        for payload in payloads:
            self.numbers += 1
            self.receiver.receive(Message(topic, payload, qos=qos, number=self.numbers))

    async def next_turn(self):
        before = len(self.handled)
        await asyncio.sleep(0)
        return len(self.handled) - before


async def test_messages_are_handled_in_turns(advance: Advance) -> None:
    house = House(takes=TURN / 2.5)
    house.subscribe(events=True, max_events=100)
    house.receive("bell", *(b"%d" % number for number in range(8)))
    assert house.handled == []  # never while a packet is being read
    assert [await house.next_turn() for _ in range(4)] == [3, 3, 2, 0]
    assert [payload for _, payload in house.handled] == [b"%d" % number for number in range(8)]


async def test_a_turn_handles_at_least_one_message(advance: Advance) -> None:
    house = House(takes=10)
    house.subscribe()
    for topic in ("a", "b"):
        house.receive(topic, b"")
    assert [await house.next_turn() for _ in range(3)] == [1, 1, 0]


async def test_the_last_message_of_each_state_is_handled(advance: Advance) -> None:
    house = House()
    house.subscribe()
    house.receive("a", b"1", b"2")
    house.receive("b", b"1")
    house.receive("a", b"3")
    await advance(0)
    assert house.handled == [("a", b"3"), ("b", b"1")]
    assert house.acknowledged == [1, 2, 3, 4]
    assert house.receiver.received == 4
    assert house.receiver.dropped == 0


async def test_a_slow_handler_of_one_topic_delays_no_other(advance: Advance) -> None:
    house = House()
    house.subscribe(handle=house.wait)
    house.receive("a", b"1")
    await advance(0)
    house.receive("a", b"2", b"3")
    house.receive("b", b"1")
    await advance(0)
    assert len(house.gates) == 2  # one message of each topic
    house.gates[1].set_result(None)
    await advance(0)
    assert house.handled == [("b", b"1")]
    assert house.acknowledged == []  # an older one is still handled
    house.gates[0].set_result(None)
    await advance(0)
    house.gates[2].set_result(None)
    await advance(0)
    assert house.handled == [("b", b"1"), ("a", b"1"), ("a", b"3")]
    assert house.acknowledged == [1, 2, 3, 4]


async def test_events_of_one_subscription_are_handled_one_after_the_other(
    advance: Advance,
) -> None:
    house = House()
    house.subscribe("bells/+", house.wait, events=True)
    house.receive("bells/1", b"1")
    house.receive("bells/2", b"2")
    for index in range(2):
        await advance(0)
        assert len(house.gates) == index + 1
        house.gates[index].set_result(None)
    await advance(0)
    assert house.handled == [("bells/1", b"1"), ("bells/2", b"2")]


async def test_the_oldest_events_are_dropped_counted_and_acknowledged(
    advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    house.subscribe("bell", house.wait, events=True, max_events=3)
    house.receive("bell", b"0")
    await advance(0)
    house.receive("bell", *(b"%d" % number for number in range(1, 9)))
    assert house.receiver.dropped == 5
    (record,) = caplog.records
    assert "too many events wait: the oldest messages of bell are dropped" in record.message
    for index in range(4):
        await advance(0)
        house.gates[index].set_result(None)
    await advance(0)
    assert [payload for _, payload in house.handled] == [b"0", b"6", b"7", b"8"]
    assert house.acknowledged == list(range(1, 10))


async def test_the_size_of_all_waiting_messages_is_limited(advance: Advance) -> None:
    house = House(max_waiting_bytes=100)
    house.subscribe("#")
    house.subscribe("b", events=True)
    for topic in ("a", "b", "c"):
        house.receive(topic, topic.encode() * 40)
    await advance(0)
    assert [topic for topic, _ in house.handled] == ["b", "c"]
    assert house.receiver.dropped == 2  # a, and one of the two b
    assert house.acknowledged == [1, 2, 3]


async def test_a_flood_on_one_subscription_delays_no_other(advance: Advance) -> None:
    house = House(takes=TURN)
    house.subscribe("flood", events=True, max_events=1000)
    house.subscribe("lamp")
    house.receive("flood", *(b"%d" % number for number in range(1000)))
    house.receive("lamp", b"on")
    await house.next_turn()
    await house.next_turn()
    assert house.handled == [("flood", b"0"), ("lamp", b"on")]


async def test_a_faulty_handler_is_logged_once_per_kind_and_still_called(
    advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()

    def broken(message: Message) -> None:
        if message.payload == b"1":
            raise KeyError("brightness")
        raise ValueError(message.payload)

    async def broken_later(message: Message) -> None:
        await asyncio.sleep(0)
        raise OSError("no connection")

    house.subscribe("lamp", broken, events=True)
    house.subscribe("lamp", broken_later, events=True)
    house.subscribe("lamp", events=True)
    house.receive("lamp", b"1", b"1", b"2", b"3")
    await advance(0)
    assert len(house.handled) == 4
    assert house.acknowledged == [1, 2, 3, 4]
    assert house.receiver.failed == 8
    texts = sorted(each.message for each in caplog.records)
    assert [text.partition("message of ")[2].partition(";")[0] for text in texts] == [
        "lamp: KeyError: 'brightness'",
        "lamp: OSError: no connection",
        "lamp: ValueError: b'2'",
    ]
    assert all(each.exc_info for each in caplog.records)


async def test_a_request_to_exit_passes_through_a_handler(advance: Advance) -> None:
    house = House()

    def leave(message: Message) -> None:
        raise SystemExit(3)

    house.subscribe("a", leave)
    house.subscribe("b")
    house.receive("a", b"")
    house.receive("b", b"")
    with pytest.raises(SystemExit):
        house.receiver._take_turn()
    await advance(0)
    assert house.handled == [("b", b"")]


@pytest.mark.parametrize(
    ("topic", "payload", "text"),
    [
        ("big", b"x" * (MAX_PAYLOAD + 1), "a payload is too large: messages of big are dropped"),
        ("a\udcff", b"", r"a topic is not UTF-8: messages of a\udcff are dropped"),
    ],
)
async def test_an_invalid_message_is_logged_once_counted_and_acknowledged(
    topic: str, payload: bytes, text: str, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    house.subscribe()
    house.receive(topic, payload, payload)
    house.receive("ä", b"x" * MAX_PAYLOAD)
    await advance(0)
    assert [topic for topic, _ in house.handled] == ["ä"]
    assert (house.receiver.dropped, house.receiver.refused) == (2, 2)
    assert house.acknowledged == [1, 2, 3]
    (record,) = caplog.records
    assert text in record.message


async def test_a_cancelled_subscription_handles_nothing_more(advance: Advance) -> None:
    house = House()
    first, second = house.subscribe("a"), house.subscribe("+")
    house.receive("a", b"1")
    first.cancel()
    first.cancel()
    await advance(0)
    house.receive("a", b"2")
    await advance(0)
    assert house.handled == [("a", b"1"), ("a", b"2")]  # by the second one
    assert house.acknowledged == [1, 2]
    assert first.cancelled
    assert not second.cancelled


async def test_a_message_of_no_subscription_is_acknowledged() -> None:
    house = House()
    house.subscribe("a")
    house.receive("b", b"")
    assert house.acknowledged == [1]


async def test_memory_of_handled_topics_is_freed(advance: Advance) -> None:
    house = House()
    subscription = house.subscribe()
    for number in range(100):
        house.receive(f"topics/{number}", b"")
    await advance(0)
    assert len(house.handled) == 100
    assert subscription._states == {}
    assert house.receiver._waiting_bytes == 0


async def test_a_handler_runs_in_the_context_of_its_subscription(advance: Advance) -> None:
    name = contextvars.ContextVar("name", default="nobody")
    house, seen = House(), []

    async def later(message: Message) -> None:
        seen.append(name.get())

    def at_once(message: Message) -> None:
        seen.append(name.get())

    name.set("eva")
    house.subscribe(handle=later)
    house.subscribe(handle=at_once)
    name.set("adam")
    house.receive("a", b"")
    await advance(0)
    assert seen == ["eva", "eva"]


async def test_closing_cancels_handlers_and_drops_waiting_messages(advance: Advance) -> None:
    house = House()
    house.subscribe("bell", house.wait, events=True)
    house.receive("bell", b"1", b"2")
    await advance(0)
    await house.receiver.close()
    house.receive("bell", b"3")
    await advance(0)
    assert len(house.gates) == 1
    assert house.gates[0].cancelled()
    assert house.handled == []


async def test_a_subscription_may_take_larger_payloads_than_others(advance: Advance) -> None:
    house = House()
    house.subscribe("a")
    house.subscribe("a", max_payload=MAX_PAYLOAD + 1)
    house.receive("a", b"x" * (MAX_PAYLOAD + 1))
    await advance(0)
    house.receive("a", b"x" * (MAX_PAYLOAD + 2), b"small")
    await advance(0)
    assert [len(payload) for _, payload in house.handled] == [MAX_PAYLOAD + 1, 5, 5]
    assert house.receiver.refused == 1
    assert house.acknowledged == [1, 2, 3]
