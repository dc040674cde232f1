"""The outbox: order, slots of the broker, deadlines and outages, in virtual time."""

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest

from eshet.bridges.mqtt.broker import ConnectionLost, Message, OnDone
from eshet.bridges.mqtt.outbox import COMMAND_TIMEOUT, CommandExpired, Outbox
from tests.conftest import Advance


class Slots:
    """A broker that accepts a number of messages before it acknowledges one."""

    client_id = "test"
    max_unacknowledged = 10

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.sent: list[str] = []
        self.unacknowledged: dict[str, OnDone] = {}
        self.aborted: list[str] = []

    def publish(self, message: Message, on_done: OnDone) -> bool:
        if not message.topic:
            raise ValueError("the topic is empty")
        if len(self.unacknowledged) >= self.slots:
            return False
        self.sent.append(message.topic)
        self.unacknowledged[message.topic] = on_done
        return True

    def acknowledge_oldest(self, error: Exception | None = None) -> None:
        self.unacknowledged.pop(next(iter(self.unacknowledged)))(error)

    def lose(self) -> None:
        while self.unacknowledged:
            self.acknowledge_oldest(ConnectionLost("lost"))

    def abort(self, reason: str) -> None:
        self.aborted.append(reason)
        self.lose()

    async def connect(self, *_: object, **__: object) -> bool:
        raise NotImplementedError

    async def subscribe(self, filters: Sequence[str]) -> Mapping[str, str]:
        raise NotImplementedError

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        raise NotImplementedError

    def acknowledge(self, message: Message) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


def outbox_of(broker: Slots) -> Outbox:
    outbox = Outbox(broker, lambda: "unplugged")
    outbox.open()
    return outbox


def put(outbox: Outbox, topic: str) -> "asyncio.Future[None]":
    return outbox.put(Message(topic, b"", qos=1))


async def test_messages_wait_for_slots_in_their_order(advance: Advance) -> None:
    broker = Slots(2)
    outbox = outbox_of(broker)
    futures = [put(outbox, name) for name in "abcde"]
    assert broker.sent == ["a", "b"]
    broker.acknowledge_oldest()
    assert broker.sent == ["a", "b"]  # not within a callback of the broker
    await advance(0)
    assert broker.sent == ["a", "b", "c"]
    assert [each.done() for each in futures] == [True, False, False, False, False]
    futures[3].cancel()
    broker.acknowledge_oldest()
    broker.acknowledge_oldest()
    await advance(0)
    assert broker.sent == ["a", "b", "c", "e"]


async def test_a_message_without_a_slot_was_not_sent(advance: Advance) -> None:
    broker = Slots(1)
    outbox = outbox_of(broker)
    first, second = put(outbox, "a"), put(outbox, "b")
    outbox.heard()
    await advance(COMMAND_TIMEOUT)
    with pytest.raises(CommandExpired, match=r"publish a: .* may have been carried out"):
        first.result()
    with pytest.raises(CommandExpired, match=r"publish b: .* the message was not sent"):
        second.result()
    assert broker.sent == ["a"]
    assert broker.aborted  # it has been silent since `a` was sent


async def test_a_late_acknowledgement_only_frees_the_slot(advance: Advance) -> None:
    broker = Slots(1)
    outbox = outbox_of(broker)
    first = put(outbox, "a")
    await advance(1)
    outbox.heard()
    await advance(3.9)
    second = put(outbox, "b")
    await advance(0.2)
    assert isinstance(first.exception(), CommandExpired)
    assert broker.aborted == []
    broker.acknowledge_oldest()
    await advance(0)
    assert broker.sent == ["a", "b"]
    broker.acknowledge_oldest()
    assert second.result() is None


async def test_an_invalid_message_fails_and_takes_no_slot(advance: Advance) -> None:
    broker = Slots(1)
    outbox = outbox_of(broker)
    with pytest.raises(ValueError, match="the topic is empty"):
        await put(outbox, "")
    blocked, invalid, last = put(outbox, "a"), put(outbox, ""), put(outbox, "b")
    broker.acknowledge_oldest()
    await advance(0)
    assert blocked.done()
    assert isinstance(invalid.exception(), ValueError)
    assert broker.sent == ["a", "b"]
    assert not last.done()


async def test_unsent_messages_fail_at_the_end(advance: Advance) -> None:
    broker = Slots(1)
    outbox = outbox_of(broker)
    put(outbox, "a")
    waiting = put(outbox, "b")
    outbox.close()
    with pytest.raises(CommandExpired, match=r"unplugged: the message was not sent"):
        waiting.result()
    await advance(COMMAND_TIMEOUT * 2)
    assert broker.aborted == []  # no timer is left


@pytest.mark.parametrize("seed", range(40))
async def test_random_outages_and_slots(advance: Advance, seed: int) -> None:
    """Each message ends within its time, at most once, and messages are sent in order."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    broker = Slots(chance.choice([1, 2, 20]))
    outbox = outbox_of(broker)
    loop = asyncio.get_running_loop()
    put_at: list[float] = []
    ended_at: dict[int, float] = {}
    futures = []
    for number in range(200):
        future = put(outbox, str(number))
        put_at.append(loop.time())
        future.add_done_callback(lambda _, number=number: ended_at.setdefault(number, loop.time()))
        futures.append(future)
        match chance.randrange(8):
            case 0:
                outbox.pause()
                broker.lose()
            case 1:
                outbox.open()
            case 2:
                chance.choice(futures).cancel()
            case _:
                while broker.unacknowledged and chance.random() < 0.7:
                    broker.acknowledge_oldest()
        await advance(chance.choice([0, 0.1, 1]))
    await advance(COMMAND_TIMEOUT)
    assert len(ended_at) == len(futures)
    late = [n for n, at in ended_at.items() if at > put_at[n] + COMMAND_TIMEOUT + 1e-6]
    assert late == []
    assert broker.sent == sorted(set(broker.sent), key=int)
    for number, future in enumerate(futures):
        if not future.cancelled() and isinstance(error := future.exception(), CommandExpired):
            assert error.was_sent == (str(number) in broker.sent)
