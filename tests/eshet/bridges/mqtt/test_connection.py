"""A connection across outages of its broker, in virtual time."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from eshet.bridges.mqtt.broker import BrokerRefused, ConnectionLost, Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.memory_broker import MemoryBroker
from eshet.bridges.mqtt.outbox import CommandExpired
from tests.conftest import Advance

WILL = Message("bridge/state", b"offline", retained=True, qos=1)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@contextlib.asynccontextmanager
async def running(connection: MqttConnection) -> AsyncIterator[MqttConnection]:
    task = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


@pytest.fixture
async def connection(broker: MemoryBroker, advance: Advance) -> AsyncIterator[MqttConnection]:
    async with running(MqttConnection(broker.client("bridge"), will=WILL)) as connection:
        await advance(0)
        assert connection.connected
        yield connection
        broker.proceed()  # so that the end does not have to wait


class Log:
    """The received messages, as a handler."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def payloads(self) -> list[bytes]:
        return [each.payload for each in self.messages]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno >= logging.WARNING]


async def test_a_subscription_takes_effect_before_and_after_connecting(
    broker: MemoryBroker, advance: Advance
) -> None:
    broker.publish("lamps/1", b"on", retained=True)
    connection = MqttConnection(broker.client("bridge"))
    early, late = Log(), Log()
    connection.subscribe("lamps/+", early)
    async with running(connection):
        await advance(0)
        connection.subscribe("lamps/#", late)
        await advance(0)
        assert broker.subscriptions("bridge") == ["lamps/+", "lamps/#"]
        broker.publish("lamps/1", b"off")
        await advance(0)
    assert early.payloads[0] == b"on"
    assert early.messages[0].retained
    assert early.payloads[-1] == late.payloads[-1] == b"off"
    assert connection.received >= 3
    assert broker.unacknowledged("bridge") == []


async def test_many_filters_are_subscribed_in_several_packets(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    subscriptions = [connection.subscribe(f"lamps/{number}", Log()) for number in range(250)]
    await advance(0)
    assert len(broker.subscriptions("bridge")) == 250
    for each in subscriptions[:249]:
        each.cancel()
    await advance(0)
    assert broker.subscriptions("bridge") == ["lamps/249"]


async def test_long_filters_are_subscribed_in_several_packets(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance, monkeypatch
) -> None:
    """Some brokers end a connection with a packet of more than 128 kB."""
    subscribe, packets = connection._broker.subscribe, []

    async def record(filters):
        packets.append(sum(map(len, filters)))
        return await subscribe(filters)

    monkeypatch.setattr(connection._broker, "subscribe", record)
    for number in range(10):
        connection.subscribe(f"{number}{'x' * 60_000}", Log())
    for number in range(100):
        connection.subscribe(f"{number}{'x' * 1000}", Log())
    await advance(0)
    assert len(broker.subscriptions("bridge")) == 110
    assert max(packets) < 66_000


async def test_a_filter_is_unsubscribed_with_its_last_subscription(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    first, second = connection.subscribe("a", Log()), connection.subscribe("a", Log())
    await advance(0)
    first.cancel()
    await advance(0)
    assert broker.subscriptions("bridge") == ["a"]
    second.cancel()
    again = connection.subscribe("a", Log())
    again.cancel()
    await advance(0)
    assert broker.subscriptions("bridge") == []


async def test_a_subscription_cancelled_during_an_outage_ends_with_the_resumed_session(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    subscription = connection.subscribe("a", Log())
    connection.subscribe("b", Log())
    await advance(0)
    broker.cut("bridge")
    subscription.cancel()
    await advance(1)
    assert connection.connected
    assert broker.subscriptions("bridge") == ["b"]


async def test_after_an_outage_filters_are_subscribed_and_values_received_again(
    broker: MemoryBroker,
    connection: MqttConnection,
    advance: Advance,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    log, calls = Log(), []
    connection.subscribe("lamp", log)
    connection.on_connected(lambda: calls.append("connected"))
    remove = connection.on_lost(calls.append)
    await advance(0)
    broker.stop(forget=True)
    assert not connection.connected
    assert connection.problem == "the connection was lost: the broker was stopped"
    await advance(60)
    assert connection.problem == "can't connect: Connection refused"
    broker.start()
    broker.publish("lamp", b"on", retained=True)
    await advance(6)
    assert connection.connected
    assert connection.problem == ""
    assert connection.reconnects == 1
    assert log.payloads == [b"on"]
    assert calls == ["the connection was lost: the broker was stopped", "connected"]
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "mqtt://memory: the connection was lost: the broker was stopped"),
        ("INFO", "connected to mqtt://memory"),
    ]
    remove()
    await advance(60)
    broker.cut("bridge")
    await advance(1)
    assert calls[2:] == ["connected"]


async def test_messages_of_a_short_outage_are_received_once(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    log, gate = [], asyncio.Event()

    async def handle(message: Message) -> None:
        await gate.wait()
        log.append(message.payload)

    connection.subscribe("bell", handle, events=True)
    await advance(0)
    broker.publish("bell", b"1")
    broker.publish("bell", b"2")
    await advance(0)
    broker.cut("bridge")
    broker.publish("bell", b"3")
    await advance(1)
    assert connection.connected
    gate.set()
    await advance(0)
    assert log == [b"1", b"2", b"3"]
    assert broker.unacknowledged("bridge") == []
    assert connection.received == 3


async def test_messages_that_were_handled_during_an_outage_are_not_handled_again(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    log = Log()
    connection.subscribe("bell", log, events=True)
    await advance(0)
    broker.publish("bell", b"1")
    await asyncio.sleep(0)  # received, and handled in the next step only
    broker.cut("bridge")
    await advance(1)
    assert log.payloads == [b"1"]
    assert broker.unacknowledged("bridge") == []


async def test_events_that_wait_are_kept_when_the_broker_forgets_them(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    log, gate = [], asyncio.Event()

    async def handle(message: Message) -> None:
        await gate.wait()
        log.append(message.payload)

    connection.subscribe("bell", handle, events=True)
    await advance(0)
    for payload in (b"1", b"2"):
        broker.publish("bell", payload)
    await advance(0)
    broker.stop(forget=True)
    broker.start()
    await advance(1)
    broker.publish("bell", b"1")  # with the same number as the first
    gate.set()
    await advance(0)
    assert log == [b"1", b"2", b"1"]


async def test_a_refused_connection_is_logged_once_and_tried_again(
    broker: MemoryBroker, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    broker.stop()
    async with running(MqttConnection(broker.client("bridge"))) as connection:
        await advance(20)
        broker.start()
        broker.refusal = "Not authorized"
        await advance(60)
        assert warnings_of(caplog) == [
            "mqtt://memory: can't connect: Connection refused",
            "mqtt://memory: can't connect: the broker refused the connection: Not authorized",
        ]
        broker.refusal = None
        await advance(6)
        assert connection.connected
        assert connection.reconnects == 0


async def test_a_refused_filter_is_logged_once_and_disturbs_no_other(
    broker: MemoryBroker,
    connection: MqttConnection,
    advance: Advance,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker.refused_filters.add("secret")
    connection.subscribe("secret", Log())
    connection.subscribe("lamp", Log())
    await advance(0)
    broker.cut("bridge")
    await advance(1)
    assert broker.subscriptions("bridge") == ["lamp"]
    text = "mqtt://memory: the broker refused the subscription of secret: Not authorized"
    assert warnings_of(caplog).count(text) == 1


async def test_a_command_is_acknowledged_by_the_broker(
    broker: MemoryBroker, connection: MqttConnection
) -> None:
    await connection.publish("lamp/set", b"on")
    await connection.publish("lamp", b"on", retained=True, qos=0)
    command, state = broker.published
    assert (command.retained, command.qos, command.expires) == (False, 1, 5)
    assert (state.retained, state.qos, state.expires) == (True, 0, 0)


async def test_the_reply_to_a_request_finds_its_subscription(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    log = Log()
    for number in range(250):
        connection.subscribe(f"replies/{number}", log)
    await connection.publish("replies/249", b"done")
    await advance(0)
    assert log.payloads == [b"done"]


async def test_a_command_waits_for_a_connection_and_expires(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    broker.stop()
    dropped = asyncio.ensure_future(connection.publish("lamp/set", b"on"))
    await advance(4.9)
    assert not dropped.done()
    later = asyncio.ensure_future(connection.publish("lamp/set", b"off"))
    await advance(0.1)
    with pytest.raises(CommandExpired) as caught:
        await dropped
    assert str(caught.value) == (
        "publish lamp/set: there was no connection for 5 s (can't connect: Connection refused): "
        "the message was not sent"
    )
    assert not caught.value.was_sent
    broker.start()
    await advance(4.7)
    await later
    assert [each.payload for each in broker.published] == [b"off"]


async def test_a_command_that_is_not_acknowledged_expires_and_is_never_carried_out_later(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    broker.pause()
    sending = asyncio.ensure_future(connection.publish("lamp/set", b"on"))
    await advance(5)
    problem = "did not acknowledge the message within 5 s: the command may"
    with pytest.raises(CommandExpired, match=problem):
        await sending
    # As the broker was silent, the connection is ended, and the command is dropped.
    broker.proceed()
    await advance(1)
    assert connection.connected
    assert [each.topic for each in broker.published] == [WILL.topic]


async def test_a_connection_to_a_busy_broker_that_still_sends_is_kept(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    broker.pause()
    sending = asyncio.ensure_future(connection.publish("lamp/set", b"on"))
    await advance(1)
    broker._links["bridge"].deliver(Message("lamp", b"on"))
    await advance(4)
    assert isinstance(sending.exception(), CommandExpired)
    assert connection.reconnects == 0


async def test_a_connection_without_answers_to_commands_is_ended(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    broker.pause()
    for expected in (0, 0, 1):
        sending = asyncio.ensure_future(connection.publish("lamp/set", b"on"))
        await advance(1)
        broker._links["bridge"].deliver(Message("lamp", b"on"))
        await advance(5)
        assert isinstance(sending.exception(), CommandExpired)
        assert connection.reconnects == expected


async def test_a_command_whose_connection_is_lost_may_have_been_carried_out(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    broker.pause()
    sending = asyncio.ensure_future(connection.publish("lamp/set", b"on"))
    await advance(0)
    broker.cut("bridge")
    with pytest.raises(ConnectionLost):
        await sending


async def test_a_cancelled_command_does_not_end_the_connection(
    broker: MemoryBroker, connection: MqttConnection, advance: Advance
) -> None:
    broker.pause()
    sending = asyncio.ensure_future(connection.publish("lamp/set", b"on"))
    await advance(1)
    sending.cancel()
    await advance(10)
    assert connection.connected


@pytest.mark.parametrize("topic", ["lamps/+/set", ""])
async def test_a_command_to_an_invalid_topic_is_refused(
    connection: MqttConnection, topic: str
) -> None:
    with pytest.raises(ValueError, match="topic"):
        await connection.publish(topic, b"")


async def test_invalid_subscriptions_are_refused(connection: MqttConnection) -> None:
    with pytest.raises(ValueError, match="filter 'lamps#'"):
        connection.subscribe("lamps#", Log())
    with pytest.raises(TypeError, match="the handler of lamps must be a function"):
        connection.subscribe("lamps", None)  # type: ignore[arg-type]


async def test_a_connection_without_answers_to_subscriptions_is_ended(
    broker: MemoryBroker,
    connection: MqttConnection,
    advance: Advance,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker.pause()
    connection.subscribe("lamp", Log())
    await advance(29)
    assert connection.connected
    await advance(2)
    broker.proceed()
    await advance(31)
    assert connection.connected
    assert broker.subscriptions("bridge") == ["lamp"]
    assert "no answer to subscriptions within 30 s" in warnings_of(caplog)[0]


async def test_at_its_end_it_publishes_the_will_and_disconnects(
    broker: MemoryBroker, advance: Advance
) -> None:
    lost: list[str] = []
    async with running(MqttConnection(broker.client("bridge"), will=WILL)) as connection:
        connection.on_lost(lost.append)
        await advance(0)
        await connection.publish("bridge/state", b"online", retained=True)
    assert broker.clients == []
    assert broker.retained == {"bridge/state": b"offline"}
    assert lost == ["this connection was closed"]
    assert [each.payload for each in broker.published] == [b"online", b"offline"]


async def test_the_end_does_not_wait_long_for_a_broker_that_does_not_answer(
    broker: MemoryBroker, advance: Advance
) -> None:
    connection = MqttConnection(broker.client("bridge"), will=WILL)
    task = asyncio.create_task(connection.run())
    await advance(0)
    broker.pause()
    task.cancel()
    await advance(1)
    assert task.cancelled()


async def test_at_its_end_handlers_are_cancelled(broker: MemoryBroker, advance: Advance) -> None:
    cancelled = []

    async def handle(message: Message) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(message.payload)
            raise

    async with running(MqttConnection(broker.client("bridge"))) as connection:
        connection.subscribe("bell", handle)
        await connection.publish("bell", b"1")
        await advance(1)
    assert cancelled == [b"1"]


async def test_a_callback_that_fails_is_logged_and_the_others_are_called(
    broker: MemoryBroker, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    connection = MqttConnection(broker.client("bridge"))
    calls: list[str] = []
    connection.on_connected(lambda: 1 / 0)
    connection.on_connected(lambda: calls.append("connected"))
    async with running(connection):
        await advance(0)
        assert calls == ["connected"]
    assert warnings_of(caplog) == ["mqtt://memory: a callback failed: division by zero"]


async def test_a_refused_message_is_an_error(
    broker: MemoryBroker, connection: MqttConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(message: Message) -> None:
        raise BrokerRefused("the broker refused the message: Not authorized")

    monkeypatch.setattr(broker, "_route", refuse)
    with pytest.raises(BrokerRefused):
        await connection.publish("lamp/set", b"on")


class Rival:
    """Another client with the same id, which reconnects at once whenever it is disconnected."""

    def __init__(self, broker: MemoryBroker, *, delay: float) -> None:
        self._client = broker.client("bridge")
        self._delay = delay
        self.connects = 0

    async def run(self) -> None:
        while True:
            lost: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            await self._client.connect(print, lost.set_result, None, resume=False)
            self.connects += 1
            await asyncio.shield(lost)
            await asyncio.sleep(self._delay)


@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize("named", [True, False])
async def test_another_client_with_the_same_id_is_logged_once_and_keeps_its_connection(
    broker: MemoryBroker,
    connection: MqttConnection,
    advance: Advance,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    delay: float,
    named: bool,
) -> None:
    if not named:  # as mosquitto 2.0 does
        disconnect = broker._disconnect
        monkeypatch.setattr(
            broker,
            "_disconnect",
            lambda link, loss, **options: disconnect(
                link, loss and loss._replace(is_taken_over=False), **options
            ),
        )
    await advance(600)
    rival = Rival(broker, delay=delay)
    task = asyncio.create_task(rival.run())
    await advance(3600)
    task.cancel()
    assert rival.connects < 25
    texts = warnings_of(caplog)
    assert "another client " in texts[-1]
    assert "uses the id 'bridge'" in texts[-1]
    assert ("probably" in texts[-1]) is not named
    assert len(texts) <= 3  # without a reason, the first ones look like any other
    # The rival has gone: the connection is made again, and an outage is logged as ever.
    await asyncio.wait([task])
    await advance(800)
    assert connection.connected
    broker.stop("power cut")
    await advance(1)
    assert warnings_of(caplog)[-1] == "mqtt://memory: the connection was lost: power cut"
