"""Connections to real nats-servers."""

import asyncio
import logging
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlparse

import pytest

from eshet.exceptions import MessageTooLong
from eshet.nats import session
from eshet.nats.address import NatsAddress
from eshet.nats.connection import NatsConnection, NatsMessage
from eshet.nats.exceptions import NoAnswer, NotConnected
from eshet.nats.transport import NatsTransport
from tests.eshet.nats.conftest import Connect, Peer, tasks_of_nats
from tests.support.nats import NatsServer, at_real_pace, nats_cluster, nats_server
from tests.support.proxy import Proxy


class Inbox:
    """The messages of a subscription."""

    def __init__(self, peer: Peer, subject: str) -> None:
        self.peer = peer
        self.messages: list[NatsMessage] = []
        self.subscription = peer.connection.subscribe(subject, self.messages.append)

    async def received(self) -> list[bytes]:
        """Return the payloads that were published before this call, by any flushed connection."""
        await self.peer.connection.flush()
        return [message.payload for message in self.messages]


@pytest.fixture
async def pair(shared_server: NatsServer, connect: Connect) -> tuple[Peer, Peer]:
    return await connect(shared_server.url), await connect(shared_server.url)


@pytest.fixture
async def proxy(shared_server: NatsServer) -> AsyncIterator[Proxy]:
    async with Proxy(("127.0.0.1", shared_server.port)) as proxy:
        yield proxy


async def test_a_message_is_received_by_others_only(pair):
    one, two = pair
    own, inbox = Inbox(one, "lamp.>"), Inbox(two, "lamp.>")
    await inbox.received()
    one.connection.publish("lamp.on", b"now", "answers", {"Cause": "7"})
    one.connection.publish("lamp.off", b"")
    await one.connection.flush()
    assert await inbox.received() == [b"now", b""]
    assert await own.received() == []
    message = inbox.messages[0]
    assert message == ("lamp.on", b"now", "answers", {"Cause": "7"})
    assert not message.is_no_responders


async def test_messages_of_several_subscriptions_keep_their_order(pair):
    one, two = pair
    order: list[bytes] = []
    for subject in "abc":
        two.connection.subscribe(subject, lambda message: order.append(message.payload))
    await two.connection.flush()
    subjects = "cabbacabcacbabc"
    for number, subject in enumerate(subjects):
        one.connection.publish(subject, b"%d" % number)
    await one.connection.flush()
    await two.connection.flush()
    assert order == [b"%d" % number for number in range(len(subjects))]


async def test_many_subscriptions_at_once(pair):
    one, two = pair
    inboxes = [Inbox(two, f"lamp{number}") for number in range(3000)]
    await two.connection.flush()
    one.connection.publish("lamp2999", b"on")
    await one.connection.flush()
    assert await inboxes[-1].received() == [b"on"]
    for inbox in inboxes:
        inbox.subscription.unsubscribe()


async def test_nothing_is_received_after_unsubscribe(pair):
    one, two = pair
    received = []

    def receive(message: NatsMessage) -> None:
        received.append(message.payload)
        subscription.unsubscribe()
        subscription.unsubscribe()

    subscription = two.connection.subscribe("lamp", receive)
    await two.connection.flush()
    one.connection.publish("lamp", b"1")
    one.connection.publish("lamp", b"2")
    await one.connection.flush()
    await two.connection.flush()
    assert received == [b"1"]
    answer = await one.connection.request("lamp", b"")
    assert answer.is_no_responders  # the server knows that it has ended


async def test_a_callback_that_fails_is_logged_and_others_are_called(pair, caplog):
    one, two = pair
    two.connection.subscribe("lamp", lambda message: 1 // 0)
    inbox = Inbox(two, "lamp")
    await inbox.received()
    one.connection.publish("lamp", b"on")
    await one.connection.flush()
    assert await inbox.received() == [b"on"]
    assert "a message to lamp could not be processed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_request_is_answered(pair):
    one, two = pair
    two.connection.subscribe(
        "double", lambda message: two.connection.publish(message.reply, message.payload * 2)
    )
    await two.connection.flush()
    answers = await asyncio.gather(
        *(one.connection.request("double", b"%d" % number) for number in range(20))
    )
    assert [answer.payload for answer in answers] == [b"%d" % n * 2 for n in range(20)]


async def test_a_request_that_nobody_receives_is_answered_at_once(pair):
    answer = await pair[0].connection.request("nobody", b"")
    assert answer.is_no_responders


async def test_a_request_without_an_answer_fails(pair, advance):
    one, two = pair
    Inbox(two, "silent")
    await two.connection.flush()
    asking = asyncio.create_task(one.connection.request("silent", b"", timeout=3))
    await one.connection.flush()
    await advance(2.9)
    assert not asking.done()
    await advance(0.2)
    with pytest.raises(NoAnswer, match="silent: no answer within 3 s"):
        await asking


async def test_a_cancelled_request_leaves_nothing(pair):
    one, two = pair
    inbox = Inbox(two, "silent")
    await two.connection.flush()
    asking = asyncio.create_task(one.connection.request("silent", b""))
    await one.connection.flush()
    asking.cancel()
    await asyncio.wait([asking])
    await two.connection.flush()
    two.connection.publish(inbox.messages[0].reply, b"late")
    await two.connection.flush()
    await one.connection.flush()  # which has received the late answer, and still works


@pytest.mark.parametrize("headers", [None, {"Name": "value ü"}])
async def test_the_longest_message(pair, headers):
    one, two = pair
    inbox = Inbox(two, "long")
    await inbox.received()
    length = one.connection.max_payload
    if headers:
        length -= len("NATS/1.0\r\nName: value ü\r\n\r\n".encode())
    one.connection.publish("long", b"x" * length, headers=headers)
    with pytest.raises(MessageTooLong, match=r"publish long: 1048577 bytes do not fit"):
        one.connection.publish("long", b"x" * (length + 1), headers=headers)
    await one.connection.flush()
    assert await inbox.received() == [b"x" * length]
    assert one.losses.empty()


# --- outages ----------------------------------------------------------------------------------


async def test_a_server_that_is_killed_and_restarted(program, tmp_path, connect, advance, caplog):
    caplog.set_level(logging.INFO, "eshet.nats")
    with nats_server(tmp_path, program) as server:
        one, two = await connect(server.url), await connect(server.url)
        inbox = Inbox(two, "lamp")
        await inbox.received()
        for number in range(2):
            caplog.clear()
            server.kill()
            for peer in (one, two):
                reason = await peer.losses.get()
                assert reason in ("the server closed the connection", "Connection reset by peer")
                assert not peer.connection.is_connected
                with pytest.raises(NotConnected):
                    peer.connection.publish("lamp", b"lost")
                with pytest.raises(NotConnected):
                    await peer.connection.request("lamp", b"lost")
            await at_real_pace(asyncio.sleep(0.6), advance)
            server.start()
            for peer in (one, two):
                await at_real_pace(peer.restorations.get(), advance)
            await two.connection.flush()
            one.connection.publish("lamp", b"%d" % number)
            await one.connection.flush()
            assert await inbox.received() == [b"0", b"1"][: number + 1]
            lines = [record.message.split(": ", 1)[1] for record in caplog.records]
            assert sorted(set(lines)) == [
                "can't connect: Connection refused",
                f"connected again, to 127.0.0.1:{server.port}",
                f"the connection was lost: {reason}",
            ]
            assert len(lines) == 2 * 3  # for each connection


async def test_nothing_is_sent_after_a_reconnection(shared_server, proxy, connect, advance):
    one, two = await connect(f"nats://{proxy.address}"), await connect(shared_server.url)
    inbox = Inbox(two, "lamp")
    await inbox.received()
    proxy.stall()
    one.connection.publish("lamp", b"in the network")
    await advance(0)
    proxy.cut()
    one.connection.publish("lamp", b"in the client")
    await one.losses.get()
    proxy.flow()
    await at_real_pace(one.restorations.get(), advance)
    one.connection.publish("lamp", b"after")
    await one.connection.flush()
    assert await inbox.received() == [b"after"]


async def test_requests_under_way_fail_at_once(shared_server, proxy, connect):
    one, two = await connect(f"nats://{proxy.address}"), await connect(shared_server.url)
    Inbox(two, "silent")
    await two.connection.flush()
    asking = asyncio.create_task(one.connection.request("silent", b""))
    await one.connection.flush()
    proxy.cut()
    with pytest.raises(NotConnected, match="the connection to NATS was lost: "):
        await asking


async def test_subscriptions_can_be_changed_during_an_outage(proxy, connect, advance):
    one = await connect(f"nats://{proxy.address}")
    two = await connect(f"nats://{proxy.address}")
    old = Inbox(one, "old")
    await old.received()
    proxy.cut()
    await one.losses.get()
    old.subscription.unsubscribe()
    new = Inbox(one, "new")
    for peer in (one, two):
        await at_real_pace(peer.restorations.get(), advance)
    await new.received()
    two.connection.publish("old", b"1")
    two.connection.publish("new", b"2")
    await two.connection.flush()
    assert await new.received() == [b"2"]
    assert await old.received() == []


async def test_a_server_that_hangs_counts_as_lost(program, tmp_path, connect, advance):
    with nats_server(tmp_path, program) as server:
        one = await connect(server.url)
        server.freeze()
        await advance(2.9)
        assert one.connection.is_connected
        await advance(0.2)
        assert await one.losses.get() == "the server does not answer"
        server.thaw()
        await at_real_pace(one.restorations.get(), advance)


async def test_a_server_that_does_not_read(program, tmp_path, connect, monkeypatch):
    monkeypatch.setattr(session, "MAX_UNSENT", 1 << 20)
    with nats_server(tmp_path, program) as server:
        one = await connect(server.url)
        server.freeze()
        with pytest.raises(NotConnected, match="the NATS server reads too slowly"):
            await publish_often(one)
        server.thaw()


async def publish_often(peer: Peer) -> None:
    for _ in range(100):
        peer.connection.publish("lamp", bytes(1 << 20))
        await asyncio.sleep(0)


async def test_a_callback_of_the_owner_that_fails(proxy, connect, advance, caplog):
    one = await connect(f"nats://{proxy.address}")
    one.connection.on_lost = lambda reason: 1 // 0
    proxy.cut()
    await at_real_pace(one.restorations.get(), advance)
    assert "a callback failed" in caplog.text


async def test_callbacks_after_a_reconnection(proxy, connect, advance):
    one = await connect(f"nats://{proxy.address}")
    calls = []
    one.connection.on_restored = lambda: calls.append("owner")
    one.connection.notify_restored(lambda: calls.append("first"))
    end = one.connection.notify_restored(lambda: calls.append("ended"))
    end()
    restored = asyncio.Event()
    one.connection.notify_restored(restored.set)
    proxy.cut()
    await at_real_pace(restored.wait(), advance)
    assert calls == ["first", "owner"]


# --- opening and closing ----------------------------------------------------------------------


async def test_a_connection_is_closed_after_everything_was_sent(pair, shared_server, connect):
    inbox = Inbox(pair[0], "lamp")
    await inbox.received()
    one = await connect(shared_server.url)
    for number in range(100):
        one.connection.publish("lamp", bytes(10_000) + b"%d" % number)
    await one.connection.close()
    assert len(await inbox.received()) == 100
    with pytest.raises(NotConnected):
        one.connection.publish("lamp", b"")
    await one.connection.close()


async def test_closing_during_an_outage(program, tmp_path, advance):
    with nats_server(tmp_path, program) as server:
        one = Peer(server.url)
        await one.connection.open()
        server.kill()
        await one.losses.get()
        await advance(0.3)
        await one.connection.close()
    assert tasks_of_nats() == []


async def test_closing_while_the_server_hangs(program, tmp_path, advance):
    with nats_server(tmp_path, program) as server:
        one = Peer(server.url)
        await one.connection.open()
        server.freeze()
        one.connection.publish("lamp", bytes(1 << 20))
        closing = asyncio.create_task(one.connection.close())
        await advance(1.1)
        assert closing.done()
    assert tasks_of_nats() == []


async def test_closing_fails_requests_under_way(pair, shared_server, connect):
    Inbox(pair[0], "silent")
    await pair[0].connection.flush()
    one = await connect(shared_server.url)
    asking = asyncio.create_task(one.connection.request("silent", b""))
    await asyncio.sleep(0)
    await one.connection.close()
    with pytest.raises(NotConnected):
        await asking


async def test_a_connection_that_is_not_open():
    one = NatsConnection(NatsAddress.parse("nats://localhost"), name="one")
    assert not one.is_connected
    with pytest.raises(NotConnected):
        one.publish("lamp", b"")
    with pytest.raises(NotConnected):
        one.max_payload  # noqa: B018
    await one.close()


async def test_opening_can_be_cancelled(advance):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = Peer(f"nats://127.0.0.1:{silent.getsockname()[1]}")
        opening = asyncio.create_task(one.connection.open())
        await advance(0.5)
        opening.cancel()
        await asyncio.wait([opening])
    assert tasks_of_nats() == []


async def test_a_connection_to_itself_is_none(monkeypatch):
    with socket.socket() as itself:
        itself.bind(("127.0.0.1", 0))
        itself.connect(itself.getsockname())
        itself.setblocking(False)
        transport = NatsTransport(ssl.create_default_context, is_encrypted=False)
        loop = asyncio.get_running_loop()
        create = loop.create_connection
        monkeypatch.setattr(
            loop, "create_connection", lambda factory, *_: create(factory, sock=itself)
        )
        with pytest.raises(ConnectionRefusedError):
            await transport.connect(urlparse("nats://127.0.0.1:4222"), 0, 2)
        transport.close()
        await transport.wait_closed()


# --- a cluster --------------------------------------------------------------------------------


async def test_the_servers_of_a_cluster_are_discovered(program, tmp_path, connect, advance):
    with nats_cluster(tmp_path, program) as cluster:
        first = cluster.servers[0]
        one = await connect(first.url)
        first.kill()
        await at_real_pace(one.restorations.get(), advance)
        await one.connection.flush()


def test_nats_py_is_imported_only_when_it_is_used():
    code = "import sys, eshet, eshet.cli, eshet_rules.cli, eshet.nats; print('nats' in sys.modules)"
    ran = subprocess.run(  # noqa: S603 - the project's own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"
