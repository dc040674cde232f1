"""A connection to a real mosquitto: devices, outages and restarts."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from eshet.address import Address
from eshet.bridges.mqtt.broker import AT_LEAST_ONCE, BrokerRefused, Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.inbox import MAX_EVENTS
from eshet.bridges.mqtt.outbox import CommandExpired
from eshet.bridges.mqtt.paho_broker import Credentials, PahoBroker
from tests.conftest import Advance
from tests.eshet.bridges.mqtt.test_paho_broker import connected, trusting
from tests.support.mosquitto import Mosquitto, mosquitto
from tests.support.publishing import published
from tests.support.waiting import until

WILL = Message("bridge/state", b"offline", retained=True, qos=AT_LEAST_ONCE)


class Bridge:
    """A connection, and futures for its events."""

    def __init__(self, port: int, client_id: str = "bridge", **options: object) -> None:
        address = Address("localhost", port)
        broker = PahoBroker(address, client_id=client_id, **options)  # type: ignore[arg-type]
        self.connection = MqttConnection(broker, will=WILL)
        self.connects: asyncio.Queue[None] = asyncio.Queue()
        self.losses: asyncio.Queue[str] = asyncio.Queue()
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.connection.on_connected(lambda: self.connects.put_nowait(None))
        self.connection.on_lost(self.losses.put_nowait)

    def receive(self, message: Message) -> None:
        self.messages.put_nowait(message)


@contextlib.asynccontextmanager
async def running(bridge: Bridge) -> AsyncIterator[Bridge]:
    task = asyncio.create_task(bridge.connection.run())
    try:
        yield bridge
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def bridge(broker: Mosquitto) -> AsyncIterator[Bridge]:
    async with running(Bridge(broker.port)) as bridge:
        await bridge.connects.get()
        yield bridge


async def test_a_device_is_read_and_commanded(broker: Mosquitto, bridge: Bridge) -> None:
    bridge.connection.subscribe("lamp", bridge.receive)
    async with connected(broker.port, "lamp/set") as lamp:
        await bridge.connection.publish("lamp/set", b"on")
        command = await lamp.next()
        assert command[:4] == ("lamp/set", b"on", False, 1)
        lamp.broker.acknowledge(command)
        await published(lamp.broker, Message("lamp", b"on", retained=True, qos=1))
        assert (await bridge.messages.get()).payload == b"on"


async def test_a_broker_that_is_killed_and_restarted(
    broker: Mosquitto, bridge: Bridge, advance: Advance
) -> None:
    bridge.connection.subscribe("lamps/+", bridge.receive)
    for _ in range(3):
        await advance(10)
        broker.kill()
        assert "closed the connection" in await bridge.losses.get()
        broker.start()
        await advance(1)
        await bridge.connects.get()
        await bridge.connection.publish("lamps/1", b"on")
        assert (await bridge.messages.get()).payload == b"on"
    assert bridge.connection.reconnects == 3


async def test_a_command_while_the_broker_is_away_is_dropped(
    broker: Mosquitto, bridge: Bridge, advance: Advance
) -> None:
    broker.kill()
    await bridge.losses.get()
    sending = asyncio.ensure_future(bridge.connection.publish("lamp/set", b"on"))
    await advance(5)
    with pytest.raises(CommandExpired, match="Connection refused"):
        await sending
    broker.start()
    async with connected(broker.port, "lamp/set") as lamp:
        await advance(6)
        await bridge.connects.get()
        await bridge.connection.publish("lamp/set", b"off")
        assert (await lamp.next()).payload == b"off"


async def test_the_connection_to_a_silent_broker_is_ended_with_its_commands(
    broker: Mosquitto, bridge: Bridge, advance: Advance
) -> None:
    await advance(1)
    broker.freeze()
    sending = asyncio.ensure_future(bridge.connection.publish("lamp/set", b"on"))
    await advance(5)
    with pytest.raises(CommandExpired, match="may have been carried out"):
        await sending
    assert "no acknowledgement of a message within 5 s" in await bridge.losses.get()
    broker.thaw()
    await advance(1)
    await bridge.connects.get()


async def test_messages_of_an_outage_come_later(
    broker: Mosquitto, bridge: Bridge, advance: Advance
) -> None:
    bridge.connection.subscribe("bell", bridge.receive, events=True)
    async with connected(broker.port) as bell:
        await published(bell.broker, Message("bell", b"1", qos=1))
        assert (await bridge.messages.get()).payload == b"1"
        bridge.connection._broker.abort("for a test")
        await published(bell.broker, Message("bell", b"2", qos=1))
        await advance(1)
        await bridge.connects.get()
        await published(bell.broker, Message("bell", b"3", qos=1))
        assert [(await bridge.messages.get()).payload for _ in range(2)] == [b"2", b"3"]


async def test_an_event_that_is_handled_while_the_connection_is_lost_is_handled_once(
    broker: Mosquitto, bridge: Bridge, advance: Advance
) -> None:
    handled, gate, started = [], asyncio.Event(), asyncio.Event()

    async def handle(message: Message) -> None:
        started.set()
        await gate.wait()
        handled.append(message.payload)
        bridge.receive(message)

    bridge.connection.subscribe("bell", handle, events=True)
    async with connected(broker.port) as bell:
        for payload in (b"1", b"2"):
            await published(bell.broker, Message("bell", payload, qos=1))
        await started.wait()
        bridge.connection._broker.abort("for a test")
        await advance(1)
        await bridge.connects.get()
        gate.set()
        await published(bell.broker, Message("bell", b"3", qos=1))
        for _ in range(3):
            await bridge.messages.get()
    assert handled == [b"1", b"2", b"3"]


CRASH = """
import asyncio, os, sys
from eshet.address import Address
from eshet.bridges.mqtt.paho_broker import PahoBroker

async def main():
    received = asyncio.Queue()
    broker = PahoBroker(Address("localhost", int(sys.argv[1])), client_id="bridge")
    await broker.connect(received.put_nowait, print, None, resume=False)
    await broker.subscribe(["bell"])
    print("subscribed", flush=True)
    broker.acknowledge(await received.get())
    await received.get()
    done = asyncio.Event()
    broker.publish(await received.get(), lambda _: done.set())
    await done.wait()
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_unacknowledged_messages_of_a_killed_bridge_are_sent_again(
    broker: Mosquitto, tmp_path: Path
) -> None:
    script = tmp_path / "crash.py"
    script.write_text(CRASH)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(broker.port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"subscribed\n"
    async with connected(broker.port, client_id="bell") as bell:
        for number in range(3):
            await published(bell.broker, Message("bell", b"%d" % number, qos=1))
        assert await process.wait() == -signal.SIGKILL
        messages: asyncio.Queue[Message] = asyncio.Queue()
        again = PahoBroker(Address("localhost", broker.port), client_id="bridge")
        assert await again.connect(messages.put_nowait, print, None, resume=True)
        assert [(await messages.get()).payload for _ in range(2)] == [b"1", b"2"]
        await again.close()


async def test_a_flood_while_handlers_are_slow(
    broker: Mosquitto, bridge: Bridge, advance: Advance
) -> None:
    """20,000 messages: the last value of each topic is right, and dropped events are counted."""
    count, topics = 20_000, 100
    gate = asyncio.Event()
    states: dict[str, bytes] = {}
    events: list[int] = []
    done = asyncio.Event()

    async def on_state(message: Message) -> None:
        await gate.wait()
        states[message.topic] = message.payload

    async def on_event(message: Message) -> None:
        await gate.wait()
        events.append(int(message.payload))
        if len(events) == MAX_EVENTS + 1:
            done.set()

    bridge.connection.subscribe("flood/+", on_state)
    bridge.connection.subscribe("flood/+", on_event, events=True)
    async with connected(broker.port) as source:
        await bridge.connection.publish("ready", b"")  # the subscriptions are in effect
        numbers = iter(range(count))

        async def publish() -> None:
            for number in numbers:
                topic = f"flood/{number % topics}"
                await published(source.broker, Message(topic, b"%d" % number, qos=1))

        await asyncio.gather(*(publish() for _ in range(20)))
        await until(lambda: bridge.connection.received == count, advance)
        gate.set()
        await done.wait()
        await bridge.connection.publish("ready", b"")
    assert states == {f"flood/{each}": b"%d" % (count - topics + each) for each in range(topics)}
    assert bridge.connection.dropped == count - MAX_EVENTS - 1
    assert events[1:] == list(range(count - MAX_EVENTS, count))


async def test_another_bridge_with_the_same_id_is_named(
    broker: Mosquitto, bridge: Bridge, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(broker.port, client_id="bridge") as other:
        for _ in range(2):
            await bridge.losses.get()
            await advance(1.3)
            await bridge.connects.get()
            await other.lost
            await other.connect()
        await bridge.losses.get()
    texts = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert any("another client probably uses the id 'bridge'" in each for each in texts)


async def test_tls_and_a_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ca = trustme.CA()
    with mosquitto(tmp_path / "m", ca=ca, users={"eva": "adam"}) as broker:
        options = {"tls": trusting(ca), "credentials": lambda: Credentials("eva", "adam")}
        async with running(Bridge(broker.port, **options)) as bridge:
            await bridge.connects.get()
            bridge.connection.subscribe("lamp", bridge.receive)
            await bridge.connection.publish("lamp", b"on")
            assert (await bridge.messages.get()).payload == b"on"
    assert "adam" not in caplog.text


async def test_a_wrong_password_is_logged_once(
    tmp_path: Path, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    with mosquitto(tmp_path / "m", users={"eva": "adam"}) as broker:
        wrong = Bridge(broker.port, credentials=lambda: Credentials("eva", "Adam"))
        async with running(wrong):
            await until(lambda: bool(caplog.records), advance)
            await advance(20)
        assert [each.message for each in caplog.records if each.levelname == "WARNING"] == [
            f"mqtt://localhost:{broker.port}: can't connect: "
            "the broker refused the connection: Not authorized"
        ]


async def test_the_end_of_a_bridge_is_seen_by_others(broker: Mosquitto) -> None:
    async with connected(broker.port, "bridge/state", client_id="house") as house:
        async with running(Bridge(broker.port)) as bridge:
            await bridge.connects.get()
        assert (await house.next()).payload == b"offline"


@pytest.mark.parametrize(
    "topic", ["a/" * 127 + "b", "\ue000", "\ufeff", "$SYS/x", " ", "/", "a" * 65_535, "😀\xa0"]
)
async def test_odd_topics_do_not_end_the_connection(bridge: Bridge, topic: str) -> None:
    """Those for which mosquitto would end it are refused; see `test_filters`."""
    bridge.connection.subscribe(topic, bridge.receive)
    with contextlib.suppress(BrokerRefused):
        await bridge.connection.publish(topic, b"1")
    bridge.connection.subscribe("after", bridge.receive)
    await bridge.connection.publish("after", b"2")
    while (await bridge.messages.get()).topic != "after":
        pass
    assert bridge.losses.empty()
