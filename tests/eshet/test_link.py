"""A link carries bytes between two ends in one process."""

import asyncio
from contextvars import Context, ContextVar

from eshet.link import LinkTransport, link
from tests.conftest import Advance


class End(asyncio.Protocol):
    def __init__(self) -> None:
        self.log: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, LinkTransport)
        self.transport = transport
        self.log.append("made")

    def data_received(self, data: bytes) -> None:
        self.log.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.log.append(("lost", exc))


def ends() -> tuple[End, End]:
    one, other = End(), End()
    link(lambda: one, lambda: other)
    return one, other


async def test_what_one_end_writes_the_other_receives_in_a_later_turn(advance: Advance) -> None:
    one, other = ends()
    one.transport.write(b"a")
    one.transport.write(bytearray(b"b"))
    other.transport.write(b"c")
    assert other.log == ["made"]
    await advance(0)
    assert other.log == ["made", b"a", b"b"]
    assert one.log == ["made", b"c"]


async def test_what_was_written_before_the_end_arrives_before_it(advance: Advance) -> None:
    one, other = ends()
    one.transport.write(b"last words")
    one.transport.close()
    one.transport.write(b"too late")
    await advance(0)
    assert other.log == ["made", b"last words", ("lost", None)]
    assert one.log == ["made", ("lost", None)]
    assert one.transport.is_closing()
    assert other.transport.is_closing()


async def test_both_ends_may_close_and_each_is_lost_once(advance: Advance) -> None:
    one, other = ends()
    one.transport.close()
    other.transport.abort()
    one.transport.close()
    await advance(0)
    assert one.log == other.log == ["made", ("lost", None)]


async def test_an_end_that_is_held_receives_all_in_the_end(advance: Advance) -> None:
    one, other = ends()
    other.transport.hold()
    one.transport.write(b"a")
    one.transport.write(b"b")
    one.transport.close()
    await advance(0)
    assert other.log == ["made"]
    assert one.log == ["made", ("lost", None)]
    other.transport.release()
    assert other.log == ["made", b"ab", ("lost", None)]


async def test_an_end_that_is_released_still_waits_while_reading_is_paused(
    advance: Advance,
) -> None:
    one, other = ends()
    other.transport.pause_reading()
    other.transport.hold()
    one.transport.write(b"a")
    await advance(0)
    other.transport.release()
    one.transport.write(b"b")
    await advance(0)
    assert other.log == ["made"]
    other.transport.resume_reading()
    assert other.log == ["made", b"ab"]
    one.transport.write(b"c")
    await advance(0)
    assert other.log == ["made", b"ab", b"c"]


async def test_an_end_with_a_context_receives_in_it_and_the_other_in_that_of_the_writer(
    advance: Advance,
) -> None:
    rule: ContextVar[str] = ContextVar("rule", default="none")
    seen: list[tuple[str, str]] = []

    class Noting(End):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def data_received(self, data: bytes) -> None:
            seen.append((self.name, rule.get()))
            if self.name == "server":
                self.transport.write(b"answer")

        def connection_lost(self, exc: Exception | None) -> None:
            seen.append((self.name, rule.get()))

    client, server = Noting("client"), Noting("server")
    link(lambda: client, lambda: server, Context())
    rule.set("hall.light")
    client.transport.write(b"request")
    await advance(0)
    assert seen == [("server", "none"), ("client", "none")]
    client.transport.close()
    await advance(0)
    assert ("server", "none") in seen[2:]
