"""One connection to a real broker, through paho-mqtt: mosquitto, or a scripted broker."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable

import pytest
import trustme

from eshet.address import Address
from eshet.bridges.mqtt.bridge import make_broker
from eshet.bridges.mqtt.broker import (
    AT_LEAST_ONCE,
    Broker,
    BrokerError,
    BrokerRefused,
    ConnectionLost,
    Loss,
    Message,
    NotConnected,
)
from eshet.bridges.mqtt.outbox import Outbox
from eshet.bridges.mqtt.paho_broker import CONNECT_TIMEOUT, Credentials, PahoBroker
from eshet.bridges.settings import BrokerUrl, MqttSettings
from tests.conftest import Advance
from tests.support.mosquitto import Mosquitto, free_port, mosquitto
from tests.support.publishing import published
from tests.support.waiting import until

WILL = Message("bridge/state", b"offline", retained=True, qos=AT_LEAST_ONCE)


class Peer:
    """A client of the broker, and its received messages."""

    def __init__(self, port: int, client_id: str = "peer", **options: object) -> None:
        self.broker = PahoBroker(Address("localhost", port), client_id=client_id, **options)  # type: ignore[arg-type]
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.lost: asyncio.Future[Loss] = asyncio.get_running_loop().create_future()

    async def connect(self, will: Message | None = None, *, resume: bool = False) -> bool:
        self.lost = asyncio.get_running_loop().create_future()
        return await self.broker.connect(
            self.messages.put_nowait, self.lost.set_result, will, resume=resume
        )

    async def next(self) -> Message:
        return await self.messages.get()


@contextlib.asynccontextmanager
async def connected(port: int, *filters: str, client_id: str = "peer", **options: object):
    peer = Peer(port, client_id, **options)
    await peer.connect()
    if filters:
        assert await peer.broker.subscribe(filters) == {}
    try:
        yield peer
    finally:
        await peer.broker.close()


@pytest.mark.parametrize("qos", [0, 1])
async def test_messages_go_both_ways(broker: Mosquitto, qos: int) -> None:
    async with (
        connected(broker.port, "lamps/+/set", client_id="lamp") as lamp,
        connected(broker.port, "lamps/#", client_id="house") as house,
    ):
        await published(house.broker, Message("lamps/1/set", b"on", qos=qos))
        message = await lamp.next()
        assert message[:4] == ("lamps/1/set", b"on", False, qos)
        lamp.broker.acknowledge(message)

        assert (await house.next()).topic == "lamps/1/set"
        await published(lamp.broker, Message("lamps/1", b"\xff\0", qos=qos))
        assert (await house.next())[:2] == ("lamps/1", b"\xff\0")


async def test_a_retained_message_is_marked_for_later_subscribers(broker: Mosquitto) -> None:
    async with connected(broker.port, client_id="lamp") as lamp:
        await published(lamp.broker, Message("lamp", b"on", retained=True, qos=1))
    async with connected(broker.port, "lamp") as house:
        assert (await house.next())[:4] == ("lamp", b"on", True, 1)


async def test_a_filter_that_is_unsubscribed_receives_nothing_more(broker: Mosquitto) -> None:
    async with connected(broker.port, "a", "b") as peer:
        await peer.broker.unsubscribe(["a"])
        for topic in ("a", "b"):
            await published(peer.broker, Message(topic, b"", qos=1))
        assert (await peer.next()).topic == "b"


async def test_unacknowledged_messages_come_again_when_the_session_is_resumed(
    broker: Mosquitto,
) -> None:
    async with connected(broker.port, client_id="bell") as bell:
        peer = Peer(broker.port)
        assert not await peer.connect()
        await peer.broker.subscribe(["bell"])
        for number in range(3):
            await published(bell.broker, Message("bell", b"%d" % number, qos=1))
        received = [await peer.next() for _ in range(3)]
        peer.broker.acknowledge(received[0])
        await published(
            peer.broker, Message("other", b"", qos=1)
        )  # so that the broker has read that
        peer.broker.abort("for a test")
        assert await peer.lost == Loss("for a test")
        await published(bell.broker, Message("bell", b"3", qos=1))

        assert await peer.connect(resume=True)
        assert [(await peer.next()).payload for _ in range(3)] == [b"1", b"2", b"3"]
        await peer.broker.close()
        assert not await peer.connect(resume=True)  # closing ends the session
        await peer.broker.close()


async def test_without_resume_the_broker_forgets_the_session(broker: Mosquitto) -> None:
    async with connected(broker.port, client_id="bell") as bell:
        peer = Peer(broker.port)
        await peer.connect()
        await peer.broker.subscribe(["bell"])
        peer.broker.abort("for a test")
        assert not await peer.connect(resume=False)
        await published(bell.broker, Message("bell", b"", qos=1))
        await peer.broker.subscribe(["other"])
        assert peer.messages.empty()
        await peer.broker.close()


async def test_the_will_is_published_when_the_connection_is_lost(broker: Mosquitto) -> None:
    async with connected(broker.port, "bridge/state", client_id="house") as house:
        peer = Peer(broker.port)
        await peer.connect(WILL)
        peer.broker.abort("for a test")
        assert (await house.next())[:2] == WILL[:2]

        await peer.connect(WILL)
        await peer.broker.close()
        await published(house.broker, Message("bridge/state", b"the next", qos=1))
        assert (await house.next()).payload == b"the next"


async def test_a_killed_broker_ends_all_waiting_requests(broker: Mosquitto) -> None:
    async with connected(broker.port) as peer:
        broker.freeze()
        waiting = [
            asyncio.ensure_future(published(peer.broker, Message("a", b"", qos=1)))
            for _ in range(50)
        ]
        waiting.append(asyncio.ensure_future(peer.broker.unsubscribe(["a"])))
        await asyncio.sleep(0)
        broker.kill()
        assert "closed the connection" in (await peer.lost).reason
        for each in waiting:
            with pytest.raises((ConnectionLost, NotConnected)):
                await each
        with pytest.raises(NotConnected):
            await published(peer.broker, Message("a", b"", qos=0))
        with pytest.raises(NotConnected):
            await peer.broker.subscribe(["a"])
        peer.broker.acknowledge(Message("a", b"", qos=1, number=1))

        with pytest.raises(BrokerError, match="Connection refused"):
            await peer.connect()
        broker.start()
        await peer.connect()


async def test_a_silent_broker_is_noticed(
    broker: Mosquitto, virtual_pings: None, advance: Advance
) -> None:
    async with connected(broker.port) as peer:
        broker.freeze()
        await advance(22)
        assert not peer.lost.done()
        await advance(1)
        assert "nothing was received from the broker for 2" in (await peer.lost).reason


async def test_an_idle_connection_is_kept_by_pings(
    broker: Mosquitto, virtual_pings: None, advance: Advance
) -> None:
    async with connected(broker.port) as peer:
        connection = peer.broker._connection
        assert connection is not None
        for _ in range(5):
            before = connection._sent_at
            await until(lambda: connection._sent_at > before, advance, step=0.5)  # noqa: B023
            # The answer of the broker takes real time, in which no virtual time passes.
            await until(lambda: connection._received_at >= connection._sent_at, advance)
            assert connection._sent_at == pytest.approx(before + 15, abs=2)
        assert not peer.lost.done()


async def test_a_second_client_with_the_same_id_ends_the_connection_of_the_first(
    broker: Mosquitto,
) -> None:
    async with connected(broker.port) as first, connected(broker.port) as second:
        await first.lost
        assert not second.lost.done()


async def test_a_session_that_was_taken_over_is_reported() -> None:
    taken_over = bytes([0xE0, 2, 0x8E, 0])
    async with Script(lambda _: CONNACK + taken_over) as port, connected(port) as peer:
        loss = await peer.lost
    assert loss.is_taken_over
    assert loss.reason == "the broker ended the connection: Session taken over"


async def test_a_broker_may_choose_the_interval_of_pings(
    virtual_pings: None, advance: Advance
) -> None:
    for seconds, lost in ((2, True), (0, False)):
        keep_alive = bytes([0x20, 6, 0, 0, 3, 19, 0, seconds])
        async with Script(lambda _: keep_alive) as port, connected(port) as peer:  # noqa: B023
            await advance(4 if lost else 60)
            assert peer.lost.done() is lost


@pytest.mark.parametrize("keep_alive", [0, -1, 65_536])
def test_an_interval_of_pings_that_is_not_valid_is_refused(keep_alive: int) -> None:
    with pytest.raises(ValueError, match=f"keep_alive={keep_alive}: write 1 to 65535"):
        PahoBroker(Address("localhost", 1883), client_id="peer", keep_alive=keep_alive)


async def test_the_reason_of_a_broker_that_shuts_down_is_reported() -> None:
    shutting_down = bytes([0xE0, 2, 0x8B, 0])
    async with Script(lambda _: CONNACK + shutting_down) as port, connected(port) as peer:
        assert await peer.lost == Loss("the broker ended the connection: Server shutting down")


async def test_user_and_password(tmp_path) -> None:
    with mosquitto(tmp_path / "m", users={"eva": "adam"}) as broker:
        async with connected(broker.port, credentials=lambda: Credentials("eva", "adam")) as peer:
            await published(peer.broker, Message("a", b"", qos=1))
        for wrong in (None, Credentials("eva", "Adam"), Credentials("eva")):
            peer = Peer(broker.port, credentials=wrong and (lambda wrong=wrong: wrong))
            with pytest.raises(BrokerRefused, match="refused the connection: Not authorized"):
                await peer.connect()
            assert not peer.lost.done()
    assert "adam" not in repr(Credentials("eva", "adam"))


async def test_a_corrected_password_is_read_at_the_next_attempt(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("ESHET_Z2M_PASSWORD", raising=False)
    file = tmp_path / "password"
    file.write_text("Adam")
    with mosquitto(tmp_path / "m", users={"eva": "adam"}) as running:
        url = BrokerUrl("localhost", running.port, user="eva")
        broker = make_broker("z2m", MqttSettings(broker=url, password_file=file))

        async def connect(broker: Broker) -> str:
            try:
                await broker.connect(lambda _: None, lambda _: None, None, resume=False)
            except BrokerError as error:
                return str(error)
            await broker.close()
            return ""

        assert await connect(broker) == (
            "the broker refused the connection: Not authorized; "
            f"check the user 'eva' and the password in password_file {file}"
        )
        file.unlink()
        assert "can't read the secret in" in await connect(broker)
        file.write_text("adam")
        assert await connect(broker) == ""
        without = make_broker("z2m", MqttSettings(broker=url))
        assert "in password_file or the environment variable ESHET_Z2M_PASSWORD" in (
            await connect(without)
        )
        nobody = make_broker("z2m", MqttSettings(broker=BrokerUrl("localhost", running.port)))
        assert "as in mqtt://USER@localhost, and use password_file" in await connect(nobody)


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


async def test_tls(tmp_path) -> None:
    ca = trustme.CA()
    with mosquitto(tmp_path / "m", ca=ca) as broker:
        async with connected(broker.port, "#", tls=trusting(ca)) as peer:
            assert str(peer.broker) == f"mqtts://localhost:{broker.port}"
            # Many in one record of TLS, where a selector sees nothing; and one in many records.
            payloads = [b"%d" % number for number in range(500)] + [b"x" * 200_000]
            outbox = Outbox(peer.broker, str)
            outbox.open()
            await asyncio.gather(*[outbox.put(Message("a", each, qos=1)) for each in payloads])
            assert [(await peer.next()).payload for _ in payloads] == payloads


async def test_tls_without_a_check_of_the_name(tmp_path) -> None:
    ca = trustme.CA()
    context = trusting(ca)
    context.check_hostname = False
    with mosquitto(tmp_path / "m", ca=ca) as broker:
        async with connected(broker.port, tls=context):
            pass


async def test_a_broker_with_another_certificate_is_not_trusted(tmp_path) -> None:
    with mosquitto(tmp_path / "m", ca=trustme.CA()) as broker:
        peer = Peer(broker.port, tls=trusting(trustme.CA()))
        with pytest.raises(BrokerError, match=r"TLS: .*CERTIFICATE_VERIFY_FAILED"):
            await peer.connect()


@pytest.mark.parametrize("size", [0, 1_000_000])
async def test_payloads_of_any_size(broker: Mosquitto, size: int) -> None:
    async with connected(broker.port, "a") as peer:
        for qos in (0, 1):
            await published(peer.broker, Message("a", b"x" * size, qos=qos))
            assert len((await peer.next()).payload) == size


async def test_a_message_published_while_another_is_handled_is_sent(broker: Mosquitto) -> None:
    """A callback of paho-mqtt holds a lock, and sending in it would wait for that lock forever."""
    answered = asyncio.get_running_loop().create_future()
    peer = PahoBroker(Address("127.0.0.1", broker.port), client_id="peer")

    def on_message(message: Message) -> None:
        if message.topic == "question":
            # As an eager task of Python 3.12 does.
            sending = published(peer, Message("answer", b""))
            with contextlib.suppress(StopIteration):
                sending.send(None)
            sending.close()
        else:
            answered.set_result(message.topic)

    await peer.connect(on_message, print, None, resume=False)
    await peer.subscribe(["question", "answer"])
    await published(peer, Message("question", b""))
    assert await answered == "answer"
    await peer.close()


class Script:
    """A broker with a scripted answer to the first packet of each connection.

    Args:
        answers: called with the version of MQTT in the packet; returns bytes, or None to pass the
            connection on to `target`.
        target: the port of a real broker.
    """

    def __init__(self, answers: Callable[[int], bytes | None], target: int = 0) -> None:
        self._answers = answers
        self._target = target
        self._ending: set[asyncio.Task[None]] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.versions: list[int] = []

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._ending, *self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packet = await reader.read(1000)
        version = packet[packet.index(b"MQTT") + 4]
        self.versions.append(version)
        answer = self._answers(version)
        if answer is not None:
            task = asyncio.current_task()
            assert task is not None
            self._ending.add(task)
            writer.write(answer)
            if answer[:1] == CONNACK[:1] and not answer[3]:
                await reader.read()  # until the client ends it
            writer.close()
            await writer.wait_closed()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        back.write(packet)
        for source, sink in ((reader, back), (there, writer)):
            self._pumps.add(asyncio.create_task(pump(source, sink)))


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
    finally:
        sink.close()


CONNACK = bytes([0x20, 3, 0, 0, 0])


@pytest.mark.parametrize(
    ("refusal", "remembered"),
    [
        (bytes([0x20, 2, 0, 1]), True),  # in MQTT 3.1.1: the version is not supported
        (bytes([0x20, 3, 0, 0x84, 0]), True),  # in MQTT 5
        (b"", False),
    ],
)
async def test_a_broker_without_mqtt_5_is_connected_by_3_1_1(
    broker: Mosquitto, refusal: bytes, remembered: bool
) -> None:
    script = Script(lambda version: refusal if version == 5 else None, broker.port)
    async with script as port, connected(port, "a") as peer:
        await published(peer.broker, Message("a", b"1", qos=1, expires=5))
        message = await peer.next()
        assert message[:4] == ("a", b"1", False, 1)
        peer.broker.acknowledge(message)
        assert peer.broker.max_unacknowledged < 20
        await peer.broker.close()
        assert not await peer.connect(resume=True)
        assert script.versions == ([5, 4, 4] if remembered else [5, 4, 5, 4])


async def test_a_topic_that_is_not_utf_8_is_passed_on_with_surrogates() -> None:
    packet = bytes([0x30, 6, 0, 2, 0x61, 0xFF, 0, 0x78])
    async with Script(lambda _: CONNACK + packet) as port, connected(port) as peer:
        message = await peer.next()
        assert message.topic.encode(errors="surrogateescape") == b"a\xff"
        assert message.payload == b"x"


async def test_bytes_that_are_not_mqtt_end_the_connection() -> None:
    for garbage in (b"\x30\xff\xff\xff\xff\xff", b"\x00\x00", b"\x40\x01\x00", b"\x30\x02\x00\xff"):
        async with Script(lambda _: CONNACK + garbage) as port, connected(port) as peer:  # noqa: B023
            assert (await peer.lost).reason


async def test_an_answer_that_does_not_come_ends_the_attempt(advance: Advance) -> None:
    accepted, ended = asyncio.Event(), asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        accepted.set()
        await reader.read()  # until the end
        writer.close()
        ended.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    peer = Peer(server.sockets[0].getsockname()[1])
    connecting = asyncio.ensure_future(peer.connect())
    await accepted.wait()
    await advance(CONNECT_TIMEOUT)
    with pytest.raises(BrokerError, match="no answer within 10 s"):
        await connecting
    await ended.wait()
    server.close()


async def test_a_cancelled_attempt_leaves_no_connection(broker: Mosquitto) -> None:
    peer = Peer(broker.port)
    connecting = asyncio.ensure_future(peer.connect())
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    with pytest.raises(NotConnected):
        await peer.broker.subscribe(["a"])
    await peer.connect()
    assert not peer.lost.done()
    await peer.broker.close()


async def test_a_name_that_does_not_exist_is_an_error() -> None:
    broker = PahoBroker(Address("broker.invalid", free_port()), client_id="peer")
    with pytest.raises(BrokerError):
        await broker.connect(print, print, None, resume=False)
    await broker.close()
    broker.abort("not connected")
