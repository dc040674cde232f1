"""Fetching the messages of a stream of a real JetStream."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from eshet.nats.consumer import Consumer
from eshet.nats.exceptions import JetStreamRefused, NotConnected
from eshet.nats.jetstream import api, store
from eshet.nats.stream import Stream, duplicate_window
from tests.eshet.nats.conftest import Connect, Peer
from tests.support.nats import NatsServer, at_real_pace
from tests.support.proxy import Proxy

NUMBERS = itertools.count()


@pytest.fixture
async def peer(shared_server: NatsServer, connect: Connect) -> Peer:
    return await connect(shared_server.url)


def make_stream(peer: Peer, name: str, subjects: str) -> Stream:
    config = {
        "name": name,
        "subjects": [subjects],
        "max_msgs_per_subject": -1,
        "max_age": 0,
        "duplicate_window": duplicate_window(0),
    }
    return Stream(peer.connection, config, title=name, kind="log", adapted=["max_age"])


@pytest.fixture
async def stream(peer: Peer) -> str:
    """Return the name of an empty stream, whose subjects begin with it."""
    name = f"log{next(NUMBERS)}"
    await make_stream(peer, name, f"{name}.*").open()
    return name


async def write(peer: Peer, stream: str, *numbers: int, to: str = "hall") -> None:
    for number in numbers:
        await store(peer.connection, f"{stream}.{to}", str(number).encode(), {}, "write")


async def fetched(consumer: Consumer) -> list[int]:
    found: list[int] = []
    while messages := await consumer.fetch():
        found += [int(each.payload) for each in messages]
    return found


async def test_all_messages_are_fetched_in_order(peer, stream):
    await write(peer, stream, *range(200))
    assert await fetched(Consumer(peer.connection, stream, f"{stream}.*")) == [*range(200)]


async def test_an_empty_stream_has_no_messages(peer, stream):
    assert await fetched(Consumer(peer.connection, stream, f"{stream}.*")) == []


async def test_it_fetches_the_messages_of_its_subject(peer, stream):
    await write(peer, stream, 1, 3)
    await write(peer, stream, 2, to="attic")
    consumer = Consumer(peer.connection, stream, f"{stream}.attic")
    [message] = await consumer.fetch()
    assert message == (f"{stream}.attic", b"2", 3)


async def test_it_begins_after_a_message_or_at_a_time(peer, stream):
    await write(peer, stream, *range(5))
    assert await fetched(Consumer(peer.connection, stream, f"{stream}.*", after=3)) == [3, 4]
    for minutes, expected in ((-1, [*range(5)]), (1, [])):
        since = datetime.now(UTC) + timedelta(minutes=minutes)
        consumer = Consumer(peer.connection, stream, f"{stream}.*", since=since)
        assert await fetched(consumer) == expected


async def test_it_waits_for_new_messages(peer, stream, advance):
    await write(peer, stream, 1)
    consumer = Consumer(peer.connection, stream, f"{stream}.*")
    for numbers in ([1], [], [2, 3]):
        await write(peer, stream, *[each for each in numbers if each > 1])
        messages = await at_real_pace(consumer.wait(0.3), advance)
        assert [int(each.payload) for each in messages] == numbers


async def test_it_continues_when_jetstream_has_removed_the_consumer(peer, stream, advance):
    await write(peer, stream, *range(100))
    consumer = Consumer(peer.connection, stream, f"{stream}.*")
    first = [int(each.payload) for each in await consumer.fetch()]
    [name] = (await api(peer.connection, f"CONSUMER.NAMES.{stream}", {}, "list"))["consumers"]
    await api(peer.connection, f"CONSUMER.DELETE.{stream}.{name}", {}, "delete")
    assert first + await at_real_pace(fetched(consumer), advance) == [*range(100)]


async def test_it_continues_after_a_reconnection(peer, stream, shared_server, connect, advance):
    await write(peer, stream, *range(100))
    async with Proxy(("127.0.0.1", shared_server.port)) as proxy:
        behind = await connect(f"nats://{proxy.address}")
        consumer = Consumer(behind.connection, stream, f"{stream}.*")
        first = [int(each.payload) for each in await consumer.fetch()]
        proxy.cut()
        await at_real_pace(behind.losses.get(), advance)
        with pytest.raises(NotConnected):
            await consumer.fetch()
        await at_real_pace(behind.restorations.get(), advance)
        assert first + await at_real_pace(fetched(consumer), advance) == [*range(100)]


async def test_a_stream_that_does_not_exist_is_an_error(peer):
    with pytest.raises(JetStreamRefused, match="read nowhere: stream not found"):
        await Consumer(peer.connection, "nowhere", "nowhere.*").fetch()


async def test_a_stream_with_other_subjects_is_not_adopted(peer, stream):
    with pytest.raises(
        JetStreamRefused, match=f"the stream {stream} exists, but is not such a log"
    ):
        await make_stream(peer, stream, "elsewhere.*").open()
