"""Server-sent events."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Advance
from tests.support.gateway import GatewayHouse, gateway_house
from tests.support.http import Wire


class Stream:
    """A stream as curl reads it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._lines: list[str] = []

    @classmethod
    async def open(cls, house: GatewayHouse, query: str) -> "Stream":
        wire = await Wire.open(house.port)
        # Version 1.0 has no chunks, so the lines are easy to read.
        wire.send(f"GET /events?{query} HTTP/1.0\r\nHost: localhost:{house.port}\r\n\r\n")
        head = await wire.reader.readuntil(b"\r\n\r\n")
        assert b" 200 OK" in head
        assert b"text/event-stream" in head
        assert b"no-store" in head
        return cls(wire)

    async def next(self) -> tuple[str, Any]:
        """Return the kind and the content of the next message."""
        block = (await self.wire.reader.readuntil(b"\n\n")).decode()
        if block.startswith(":"):
            return "comment", None
        event, data = block.rstrip("\n").split("\n")
        return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def state(path: str, value: Any) -> tuple[str, Any]:
    return "state", {"path": path, "known": True, "value": value}


async def test_it_begins_with_the_present_values(house: GatewayHouse, advance: Advance) -> None:
    light = await house.owner.state_register("/light")
    await light.changed({"on": True})
    await house.owner.state_register("/lux")
    stream = await Stream.open(house, "state=/light&state=/lux&event=/bell")
    assert await stream.next() == state("/light", {"on": True})
    assert await stream.next() == ("state", {"path": "/lux", "known": False, "value": None})
    await light.changed(5)
    await house.owner.event_emit("/bell", None)
    await advance(0.1)
    assert await stream.next() == state("/light", 5)
    assert await stream.next() == ("event", {"path": "/bell", "value": None})
    stream.wire.close()


async def test_a_state_is_sent_every_tenth_of_a_second(
    house: GatewayHouse, advance: Advance
) -> None:
    light = await house.owner.state_register("/light")
    stream = await Stream.open(house, "state=/light")
    await stream.next()
    for number in range(20):
        await light.changed(number)
        await advance(0.02)
    received = []
    while not received or received[-1] != 19:
        await advance(0.1)
        _, content = await stream.next()
        received.append(content["value"])
    assert len(received) <= 5
    stream.wire.close()


async def test_dropped_events_are_counted_and_named(house: GatewayHouse, advance: Advance) -> None:
    stream = await Stream.open(house, "event=/bell")
    await stream.next()
    for number in range(1010):
        await house.owner.event_emit("/bell", number)
    await advance(0.1)
    assert await stream.next() == ("dropped", {"path": "/bell", "count": 10})
    assert await stream.next() == ("event", {"path": "/bell", "value": 10})
    stream.wire.close()


async def test_a_comment_is_sent_while_nothing_happens(
    house: GatewayHouse, advance: Advance
) -> None:
    stream = await Stream.open(house, "event=/bell")
    assert await stream.next() == ("comment", None)
    await advance(16)
    assert await stream.next() == ("comment", None)
    stream.wire.close()


async def test_the_end_of_the_client_ends_its_subscriptions(
    house: GatewayHouse, advance: Advance
) -> None:
    stream = await Stream.open(house, "state=/a/light&event=/a/bell")
    assert len((await house.get("/ls/a")).json[1]) == 2
    stream.wire.close()
    await advance(1)
    assert (await house.get("/ls/a")).json == "path_not_found"


async def test_a_removed_token_ends_it(house: GatewayHouse, advance: Advance) -> None:
    house.access.public = True
    wire = await Wire.open(house.port)
    wire.send(
        f"GET /events?event=/bell HTTP/1.0\r\nHost: localhost:{house.port}\r\n"
        f"Authorization: {house.reader}\r\n\r\n"
    )
    await wire.reader.readuntil(b"\r\n\r\n:\n\n")
    house.tokens.remove("reader")
    await house.owner.event_emit("/bell", "secret")
    await advance(1)
    assert await wire.ended() == b""


async def test_a_client_that_does_not_read_is_cut(house: GatewayHouse, advance: Advance) -> None:
    light = await house.owner.state_register("/light")
    stream = await Stream.open(house, "state=/light")
    stream.wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(400):
        await light.changed("x" * 60_000)
        await advance(0.1)
    await advance(61)
    stream.wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await stream.wire.ended()) < 400 * 60_000


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("", 400, "invalid_paths"),
        ("x=1", 400, "invalid_paths"),
        ("state=light", 200, None),
        ("state=/a-b", 400, "invalid_path"),
        ("event=/a%0d%0ab", 400, "invalid_path"),
        ("event=/light", 520, "path_already_exists"),
        ("&".join(f"state=/s{number}" for number in range(501)), 400, "invalid_paths"),
    ],
)
async def test_wrong_paths_are_errors(
    house: GatewayHouse, query: str, status: int, error: str | None
) -> None:
    await house.owner.state_register("/light")
    if status == 200:
        (await Stream.open(house, query)).wire.close()
        return
    answer = await house.get(f"/events?{query}")
    assert (answer.status, answer.json["error"]) == (status, error)


async def test_without_a_server_there_is_an_answer(
    tmp_path: Path, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    async with gateway_house(tmp_path, over_tcp=True) as house:
        await house.server.close()
        asking = asyncio.create_task(house.get("/events?state=/s"))
        await advance(61)
        while not asking.done():
            await advance(1)
        assert (await asking).status == 503
