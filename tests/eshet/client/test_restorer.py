"""Restoring registrations in a session that answers as a test tells it to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from eshet import codec, messages
from eshet.client.connection_manager import Restorer
from eshet.client.registrations import Registration, RegistrationTable
from eshet.client.session import answered_with
from eshet.exceptions import Disconnected

Advance = Callable[[float], Awaitable[None]]
ACTION, STATE = messages.ActionRegister.code, messages.StateRegister.code
CHANGED = messages.StateChanged.code
LOG = logging.getLogger("test.restorer")


class Session:
    """Answers each request by `answers`, and ends at the request that `ends_at` names."""

    client_id = codec.pack("me")

    def __init__(self) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.asked: list[tuple[int, bytes, bytes]] = []
        self.answers: dict[tuple[int, bytes], Any] = {}
        self.ends_at: tuple[int, bytes] | None = None
        self.on_ask: Callable[[], None] = lambda: None

    def ask(
        self, code: int, path: bytes, value: bytes = b"", accept: Any = None
    ) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked.append((code, path, value))
        self.on_ask()
        if (code, path) == self.ends_at:
            self.lost.set_result("ended")
        if self.lost.done():
            future.set_exception(Disconnected("ask", "ended"))
            return future
        answer = self.answers.get((code, path))
        if isinstance(answer, str):
            future.set_exception(answered_with(answer, code, path))
        else:
            future.set_result(answer)
        return future


class Kit:
    """A restorer, its registrations, and a session."""

    def __init__(self) -> None:
        self.table = RegistrationTable()
        self.restorer = Restorer(self.table, LOG)

    def own(self, path: bytes, code: int = ACTION, value: bytes | None = None) -> Registration:
        owned = Registration(path, code, value=value, on_server=False)
        self.table.owned[path] = owned
        return owned

    async def restore(self, ends_at: tuple[int, bytes] | None = None, **answers: str) -> Session:
        session = Session()
        session.ends_at = ends_at
        self.table.disconnected()
        await self.restorer.restore(session)  # type: ignore[arg-type]
        return session


async def test_everything_is_sent_at_once_until_nothing_is_missing() -> None:
    kit = Kit()
    kit.own(b"/a")
    kit.own(b"/s", STATE, codec.pack(5))
    session = Session()

    def more() -> None:
        if len(session.asked) == 1:
            kit.own(b"/late")
            kit.table.owned[b"/late"].on_server = False

    session.on_ask = more
    await kit.restorer.restore(session)  # type: ignore[arg-type]
    assert session.asked == [
        (ACTION, b"/a", b""),
        (STATE, b"/s", b""),
        (CHANGED, b"/s", codec.pack(5)),
        (ACTION, b"/late", b""),
    ]


async def test_after_an_end_in_the_middle_they_are_sent_one_by_one_until_that_succeeds() -> None:
    kit = Kit()
    for path in (b"/a", b"/b", b"/c"):
        kit.own(path)
    first = await kit.restore((ACTION, b"/b"))
    assert len(first.asked) == 3
    second = await kit.restore((ACTION, b"/b"))
    assert [path for _, path, _ in second.asked] == [b"/a", b"/b"]
    third = await kit.restore()
    assert len(third.asked) == 3
    fourth = await kit.restore((ACTION, b"/a"))
    assert len(fourth.asked) == 3  # at once again


@pytest.mark.parametrize("change", [None, "value", "code"])
async def test_a_value_with_which_two_connections_ended_is_not_sent_again(
    change: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    kit = Kit()
    owned = kit.own(b"/s", STATE, codec.pack("x" * 10))
    kit.own(b"/t", STATE, codec.pack(1))
    where = (CHANGED, b"/s")
    await kit.restore(where)  # at once: it could have been any
    await kit.restore(where)
    assert owned.value is not None
    if change == "value":
        owned.value = codec.pack("y" * 10)
    await kit.restore((ACTION, b"/s") if change == "code" else where)
    if change is not None:
        assert owned.value is not None
        assert caplog.records == []
        return
    assert owned.value is None
    [record] = caplog.records
    assert record.getMessage() == (
        "the state /s is unknown until it changes: the server ended the connection twice when it "
        "was sent the value, of 11 bytes"
    )
    last = await kit.restore()
    assert (CHANGED, b"/t", codec.pack(1)) in last.asked
    assert where not in [each[:2] for each in last.asked]


async def test_a_value_is_not_suspected_after_a_restore_that_succeeded() -> None:
    kit = Kit()
    owned = kit.own(b"/s", STATE, codec.pack(1))
    where = (CHANGED, b"/s")
    await kit.restore(where)
    await kit.restore(where)
    await kit.restore()
    await kit.restore(where)
    await kit.restore(where)
    assert owned.value is not None
    await kit.restore(where)
    assert owned.value is None


async def test_a_registration_other_than_a_value_is_sent_however_often_it_ends() -> None:
    kit = Kit()
    kit.own(b"/a")
    for _ in range(5):
        session = await kit.restore((ACTION, b"/a"))
        assert session.asked == [(ACTION, b"/a", b"")]


async def test_a_taken_path_is_logged_also_while_they_are_restored_one_by_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit = Kit()
    owned = kit.own(b"/a")
    await kit.restore((ACTION, b"/a"))
    session = Session()
    session.answers = {(ACTION, b"/a"): "path_already_exists"}
    kit.table.disconnected()
    await kit.restorer.restore(session)  # type: ignore[arg-type]
    assert owned.taken
    assert "another client has taken /a" in caplog.text


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_a_path_that_another_client_has_taken_is_logged_once(
    withdrawn: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kit = Kit()
    owned = kit.own(b"/s", STATE, codec.pack(1))
    session = Session()
    session.answers = {(STATE, b"/s"): "path_already_exists", (CHANGED, b"/s"): "not_owner"}
    if withdrawn:
        owned.leaving = object()  # type: ignore[assignment]
    await kit.restorer.restore(session)  # type: ignore[arg-type]
    texts = [record.getMessage() for record in caplog.records]
    if withdrawn:
        assert not owned.taken
        assert all(text.startswith("not restored after a reconnection: ") for text in texts)
        assert len(texts) == 2
    else:
        assert (owned.taken, owned.on_server) == (True, False)
        assert texts == [
            "another client has taken /s during the outage: it is registered again when the path "
            "is free"
        ]
    assert {record.levelname for record in caplog.records} == {"ERROR"}


async def test_another_error_of_a_registration_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit = Kit()
    owned = kit.own(b"/a")
    session = Session()
    session.answers = {(ACTION, b"/a"): "too_many_nodes"}
    await kit.restorer.restore(session)  # type: ignore[arg-type]
    [record] = caplog.records
    assert record.getMessage().startswith("not restored after a reconnection: ")
    assert "too_many_nodes" in record.getMessage()
    assert not owned.taken


async def test_taken_paths_are_tried_again_ever_later_without_more_messages(
    advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    kit = Kit()
    owned, other = kit.own(b"/a"), kit.own(b"/b")
    other.on_server = True
    owned.taken = True
    session = Session()
    session.answers = {(ACTION, b"/a"): "path_already_exists"}
    loop = asyncio.get_running_loop()
    times: list[float] = []
    session.on_ask = lambda: times.append(loop.time())
    task = asyncio.create_task(kit.restorer.retry_taken(session))  # type: ignore[arg-type]
    await advance(1000)
    pauses = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    expected = [1, 2, 4, 8, 16, 32, 50, 50]
    for pause, about in zip(pauses, expected, strict=False):
        assert about * 0.8 <= pause <= about * 1.2
    assert len(pauses) > len(expected)
    assert {path for _, path, _ in session.asked} == {b"/a"}
    assert caplog.records == []
    session.answers = {}
    await advance(100)
    assert task.done()
    assert (owned.taken, owned.on_server) == (False, True)


async def test_without_taken_paths_nothing_is_tried(advance: Advance) -> None:
    kit = Kit()
    kit.own(b"/a")
    session = Session()
    await asyncio.wait_for(kit.restorer.retry_taken(session), 0.1)  # type: ignore[arg-type]
    assert session.asked == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"gone": [["you", "a", 1], ["me", "too slow", 2]]}, "too slow"),
        ({"gone": [["me", "first", 1], ["me", "second", 2]]}, "first"),
        ({"gone": [["you", "a", 1]]}, None),
        ({"gone": [["me", 5, 1], ["me"], 7]}, None),
        ({"gone": "me"}, None),
        ({}, None),
        (None, None),
        ({"gone": [["me", "x" * 1000, 1]]}, "x" * 90),
    ],
)
async def test_why_the_last_connection_ended_is_logged_if_the_server_knows(
    answer: Any, reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    kit = Kit()
    session = Session()
    where = (messages.ActionCall.code, b"/meta/clients")
    session.answers = {where: answer}
    await kit.restorer.explain(session)  # type: ignore[arg-type]
    assert session.asked == [(*where, codec.pack([0x7FFF_FFFF]))]
    texts = [record.getMessage() for record in caplog.records]
    if reason is None:
        assert texts == []
    else:
        assert texts[0].startswith(f"why the server ended the last connection: {reason}")
        assert len(texts[0]) < 300


async def test_a_server_that_does_not_know_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    kit = Kit()
    session = Session()
    session.answers = {(messages.ActionCall.code, b"/meta/clients"): "path_not_found"}
    await kit.restorer.explain(session)  # type: ignore[arg-type]
    assert caplog.records == []
