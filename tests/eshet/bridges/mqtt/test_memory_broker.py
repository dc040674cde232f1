"""The broker in memory behaves like a real one, as far as tests depend on it."""

import asyncio

import pytest

from eshet.bridges.mqtt.broker import (
    BrokerError,
    BrokerRefused,
    ConnectionLost,
    Loss,
    Message,
    NotConnected,
)
from eshet.bridges.mqtt.memory_broker import SESSION_EXPIRY, MemoryBroker
from tests.conftest import Advance
from tests.support.publishing import published

WILL = Message("bridge/state", b"offline", retained=True, qos=1)


class Peer:
    def __init__(self, broker: MemoryBroker, client_id: str = "peer") -> None:
        self.client = broker.client(client_id)
        self.messages: list[Message] = []
        self.lost: list[Loss] = []

    async def connect(self, will: Message | None = None, *, resume: bool = False) -> bool:
        return await self.client.connect(
            self.messages.append, self.lost.append, will, resume=resume
        )

    @property
    def payloads(self) -> list[bytes]:
        return [each.payload for each in self.messages]


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def peer(broker: MemoryBroker) -> Peer:
    peer = Peer(broker)
    await peer.connect()
    return peer


async def test_messages_are_routed_by_filters(
    broker: MemoryBroker, peer: Peer, advance: Advance
) -> None:
    await peer.client.subscribe(["lamps/+", "lamps/#"])
    broker.publish("lamps/1", b"on")
    broker.publish("doors/1", b"open")
    await published(peer.client, Message("lamps/2", b"off"))
    await advance(0)
    assert [each.topic for each in peer.messages] == ["lamps/1", "lamps/2"]  # once each
    assert [each.topic for each in broker.published] == ["lamps/1", "doors/1", "lamps/2"]
    assert broker.subscriptions("peer") == ["lamps/+", "lamps/#"]
    await peer.client.unsubscribe(["lamps/+", "lamps/#"])
    broker.publish("lamps/1", b"off")
    await advance(0)
    assert len(peer.messages) == 2


async def test_retained_messages_come_with_each_subscription(
    broker: MemoryBroker, peer: Peer, advance: Advance
) -> None:
    broker.publish("a", b"1", retained=True)
    broker.publish("b", b"2", retained=True)
    broker.publish("b", b"", retained=True)
    assert broker.retained == {"a": b"1"}
    for _ in range(2):
        await peer.client.subscribe(["#"])
        await advance(0)
    assert [each[:3] for each in peer.messages] == [("a", b"1", True)] * 2
    broker.publish("a", b"3", retained=True)
    await advance(0)
    assert not peer.messages[-1].retained


async def test_unacknowledged_and_later_messages_come_when_the_session_is_resumed(
    broker: MemoryBroker, peer: Peer, advance: Advance
) -> None:
    await peer.client.subscribe(["a"])
    for number in range(3):
        broker.publish("a", b"%d" % number)
    await advance(0)
    peer.client.acknowledge(peer.messages[0])
    assert [each.payload for each in broker.unacknowledged("peer")] == [b"1", b"2"]
    broker.cut("peer")
    assert peer.lost == [Loss("the connection was cut")]
    broker.publish("a", b"3")
    broker.publish("a", b"not kept", qos=0)
    peer.messages.clear()
    await advance(SESSION_EXPIRY - 1)
    assert await peer.connect(resume=True)
    await advance(0)
    assert peer.payloads == [b"1", b"2", b"3"]


@pytest.mark.parametrize("how", ["expired", "clean start", "closed", "forgotten"])
async def test_a_session_ends(broker: MemoryBroker, peer: Peer, advance: Advance, how: str) -> None:
    await peer.client.subscribe(["a"])
    broker.publish("a", b"1")
    if how == "closed":
        await peer.client.close()
    elif how == "forgotten":
        broker.stop(forget=True)
        broker.start()
    else:
        broker.cut("peer")
    await advance(SESSION_EXPIRY + 1 if how == "expired" else 0)
    peer.messages.clear()
    assert not await peer.connect(resume=how != "clean start")
    await advance(0)
    assert peer.messages == []
    assert broker.subscriptions("peer") == []


async def test_a_command_that_expires_is_not_delivered_late(
    broker: MemoryBroker, peer: Peer, advance: Advance
) -> None:
    lamp = Peer(broker, "lamp")
    await lamp.connect()
    await lamp.client.subscribe(["lamp/set"])
    broker.cut("lamp")
    await published(peer.client, Message("lamp/set", b"on", qos=1, expires=5))
    await published(peer.client, Message("lamp/set", b"off", qos=1))
    await advance(6)
    await lamp.connect(resume=True)
    await advance(0)
    assert lamp.payloads == [b"off"]


async def test_acknowledgements_out_of_order_are_errors(
    broker: MemoryBroker, peer: Peer, advance: Advance
) -> None:
    await peer.client.subscribe(["a"])
    broker.publish("a", b"1")
    broker.publish("a", b"2")
    await advance(0)
    first, second = peer.messages
    with pytest.raises(ValueError, match="message 2 was acknowledged out of order"):
        peer.client.acknowledge(second)
    peer.client.acknowledge(first)
    with pytest.raises(ValueError, match="out of order"):
        peer.client.acknowledge(first)
    peer.client.acknowledge(second)
    assert broker.unacknowledged("peer") == []


async def test_the_will_is_published_unless_the_client_closes(
    broker: MemoryBroker, peer: Peer
) -> None:
    other = Peer(broker, "other")
    await other.connect(WILL)
    await other.client.close()
    assert broker.retained == {}
    await other.connect(WILL)
    other.client.abort("for a test")
    assert broker.retained == {"bridge/state": b"offline"}
    assert other.lost == [Loss("for a test")]
    assert broker.clients == ["peer"]


async def test_a_second_client_with_the_same_id_ends_the_connection_of_the_first(
    broker: MemoryBroker, peer: Peer
) -> None:
    second = Peer(broker)
    await second.connect()
    assert peer.lost[0].is_taken_over
    assert second.lost == []


async def test_a_stopped_broker_fails_waiting_requests_and_refuses_connections(
    broker: MemoryBroker, peer: Peer, advance: Advance
) -> None:
    broker.pause()
    waiting = asyncio.ensure_future(published(peer.client, Message("a", b"", qos=1)))
    await advance(100)
    assert not waiting.done()
    broker.stop("power cut")
    with pytest.raises(ConnectionLost):
        await waiting
    assert peer.lost == [Loss("power cut")]
    with pytest.raises(NotConnected):
        await published(peer.client, Message("a", b""))
    with pytest.raises(BrokerError, match="Connection refused"):
        await peer.connect()
    broker.start()
    broker.refusal = "Not authorized"
    with pytest.raises(BrokerRefused, match="the broker refused the connection: Not authorized"):
        await peer.connect()


async def test_after_a_pause_requests_of_connected_clients_are_carried_out(
    broker: MemoryBroker, peer: Peer, advance: Advance
) -> None:
    gone = Peer(broker, "gone")
    await gone.connect()
    broker.pause()
    broker.publish("a", b"1")
    sending = [
        asyncio.ensure_future(
            published(each.client, Message("a", each.client.client_id.encode(), qos=1))
        )
        for each in (peer, gone)
    ]
    await advance(1)
    gone.client.abort("for a test")
    broker.proceed()
    await advance(0)
    assert [each.payload for each in broker.published] == [b"1", b"peer"]
    assert sending[0].exception() is None
    assert isinstance(sending[1].exception(), ConnectionLost)


async def test_a_refused_filter_is_returned_with_the_reason(
    broker: MemoryBroker, peer: Peer
) -> None:
    broker.refused_filters.add("secret/#")
    assert await peer.client.subscribe(["a", "secret/#"]) == {"secret/#": "Not authorized"}
    assert broker.subscriptions("peer") == ["a"]
