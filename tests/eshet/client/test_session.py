"""One connection of a client, against a server that is told what to send."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from eshet import messages
from eshet.client.receiver import MAX_WAITING_BYTES, Receiver
from eshet.client.session import (
    REPLIES,
    ClientSession,
    Handler,
    Request,
    answered_with,
    describe,
)
from eshet.exceptions import Disconnected, ErrorValue, MessageTooLong, PathTaken
from eshet.messages import (
    NIL,
    ActionCall,
    EventEmit,
    Get,
    HelloAccepted,
    HelloAllocated,
    Message,
    Ping,
    Reply,
    ReplyError,
    ReplyKnown,
    ReplyKnownT,
    ReplyUnknown,
    ReplyUnknownT,
    Set,
    StateObserve,
    StateRegister,
    pack,
)
from eshet.protocol import MAX_PAYLOAD, TimeoutConfig
from eshet.protocol.framing import frame
from eshet.protocol.requests import IDS
from eshet.unknown import Unknown
from tests.conformance.script import v
from tests.conftest import Advance
from tests.support.raw import RawPeer, RawServer


class Talk:
    """A session, and the other end of its connection."""

    def __init__(self, client_id: bytes | None, handlers: Mapping[int, Handler]) -> None:
        self.lost: list[str] = []
        receiver = Receiver(REPLIES.keys(), MAX_WAITING_BYTES, lambda dropped: None)
        self.session = ClientSession(
            client_id, TimeoutConfig(), handlers, receiver, self.lost.append
        )
        self.peer: RawPeer

    async def begin(self, advance: Advance, *answers: Message) -> "Talk":
        server = RawServer()
        await server.connect(lambda: self.session.connection)
        self.peer = await server.accept()
        await self.peer.receive()
        self.peer.send(*answers)
        await advance(0)
        return self


@pytest.fixture
async def talk(advance: Advance) -> Talk:
    return await Talk(v("me"), REPLIES).begin(advance, HelloAccepted())


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (messages.ActionRegister.code, "register action /x"),
        (messages.Get.code, "get /x"),
        (messages.EventListen.code, "listen to /x"),
        (messages.StateUnknown.code, "make unknown /x"),
    ],
)
def test_a_request_is_described_by_its_purpose_and_path(code: int, text: str) -> None:
    assert describe(code, b"/x") == text


@pytest.mark.parametrize(
    "code",
    [
        messages.ActionRegister.code,
        messages.PropRegister.code,
        messages.EventRegister.code,
        messages.StateRegister.code,
    ],
)
def test_a_registration_of_a_path_of_another_client_is_refused_as_taken(code: int) -> None:
    taken = answered_with("path_already_exists", code, b"/x")
    assert isinstance(taken, PathTaken)
    assert taken.path == "/x"
    other = answered_with("invalid_path", code, b"/x")
    assert type(other) is ErrorValue
    assert other.value == "invalid_path"
    assert describe(code, b"/x") in str(other)


def test_another_request_with_that_error_is_an_error_like_any_other() -> None:
    error = answered_with("path_already_exists", messages.EventListen.code, b"/x")
    assert type(error) is ErrorValue


# --- a request --------------------------------------------------------------------------------


class Asked:
    """A request, and what its `accept` was called with."""

    def __init__(self, *, accept: bool = True) -> None:
        self.accepted: list[Any] = []
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.request = Request(
            Get.code, b"/x", b"", self.future, self.accepted.append if accept else None
        )

    async def outcome(self, future: asyncio.Future[Any] | None = None) -> Any:
        outcome = await asyncio.gather(future or self.future, return_exceptions=True)
        return outcome[0]


ENDINGS = {
    "succeeded": lambda request: request.succeed(5),
    "failed": lambda request: request.fail("no"),
    "lost": lambda request: request.lose("gone"),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("again", ENDINGS)
@pytest.mark.parametrize("accept", [False, True])
async def test_a_request_ends_once(ending: str, again: str, accept: bool) -> None:
    asked = Asked(accept=accept)
    ENDINGS[ending](asked.request)
    ENDINGS[again](asked.request)
    outcome = await asked.outcome()
    if ending == "succeeded":
        assert outcome == 5
    elif ending == "failed":
        assert isinstance(outcome, ErrorValue)
        assert (outcome.value, "get /x" in str(outcome)) == ("no", True)
    else:
        assert isinstance(outcome, Disconnected)
        assert "get /x" in str(outcome)
        assert "gone" in str(outcome)
    assert asked.accepted == ([5] if accept and ending == "succeeded" else [])


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_cancelled_request_is_not_accepted(ending: str) -> None:
    asked = Asked()
    asked.future.cancel()
    ENDINGS[ending](asked.request)
    assert asked.accepted == []


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_the_reply_of_a_request_can_outlive_its_caller(
    ending: str, is_cancelled: bool
) -> None:
    asked = Asked()
    future = asked.request.outlive_caller()
    assert future is not asked.future
    if is_cancelled:
        asked.future.cancel()
    ENDINGS[ending](asked.request)
    outcome = await asked.outcome(future)
    original = await asked.outcome()
    if is_cancelled:
        assert isinstance(original, asyncio.CancelledError)
    else:
        assert original is outcome or original == outcome
    assert (outcome == 5) is (ending == "succeeded")


async def test_a_cancelled_copy_of_a_reply_cancels_the_original(advance: Advance) -> None:
    asked = Asked()
    asked.request.outlive_caller().cancel()
    await advance(0)
    assert asked.future.cancelled()


# --- a session --------------------------------------------------------------------------------


async def test_a_session_is_greeted_by_the_answer_to_its_hello(advance: Advance) -> None:
    talk = await Talk(v("me"), REPLIES).begin(advance)
    assert not talk.session.greeted.done()
    talk.peer.send(HelloAccepted())
    await advance(0)
    assert talk.session.greeted.done()
    assert talk.session.client_id == v("me")
    assert not talk.session.ready
    allocated = await Talk(None, REPLIES).begin(advance, HelloAllocated(v(77)))
    assert allocated.session.client_id == v(77)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (lambda n: Reply(n, v(5)), 5),
        (lambda n: ReplyKnown(n, v(5)), 5),
        (lambda n: ReplyUnknown(n), Unknown),
        (lambda n: ReplyKnownT(n, 1000, v(5)), 5),
        (lambda n: ReplyUnknownT(n, 1000), Unknown),
    ],
)
async def test_each_kind_of_reply_goes_to_the_request_with_its_id(
    talk: Talk, reply: Any, value: Any, advance: Advance
) -> None:
    accepted: list[Any] = []
    first = talk.session.ask(StateObserve.code, b"/a", accept=accepted.append)
    second = talk.session.ask(Get.code, b"/b")
    assert [request.path for request in talk.session.in_flight] == [b"/a", b"/b"]
    assert [await talk.peer.receive() for _ in range(2)] == [
        StateObserve(0, "/a"),
        Get(1, "/b"),
    ]
    talk.peer.send(reply(1))
    await advance(0)
    assert (await second, first.done(), accepted) == (value, False, [])
    talk.peer.send(reply(0))
    assert await first == value
    assert accepted == [value]
    assert talk.session.in_flight == []


async def test_an_error_goes_to_its_request_and_the_next_one_goes_on(
    talk: Talk, advance: Advance
) -> None:
    futures = [talk.session.ask(StateRegister.code, b"/a"), talk.session.ask(Get.code, b"/a")]
    talk.peer.send(ReplyError(0, v("path_already_exists")), ReplyError(1, v(["no"])))
    taken, error = await asyncio.gather(*futures, return_exceptions=True)
    assert isinstance(taken, PathTaken)
    assert type(error) is ErrorValue
    assert error.value == ["no"]


@pytest.mark.parametrize(
    "payload",
    [
        pack(Ping(1)),
        bytes([0xF0, 0, 0]),
        pack(ReplyUnknown(0)) + b"x",
        pack(ReplyUnknownT(0, 5)) + b"x",
        pack(ReplyUnknownT(0, 5))[:-1],
        pack(Reply(0, b"\xc1")),
        pack(Reply(0, b"")),
        pack(ReplyKnownT(0, 5, b"")),
        pack(Reply(3, v(1))),  # which nothing waits for
        pack(ReplyError(3, v(1))),
    ],
)
async def test_a_message_that_a_server_does_not_send_ends_the_connection(
    talk: Talk, payload: bytes, advance: Advance
) -> None:
    future = talk.session.ask(Get.code, b"/a")
    talk.peer.send(frame(payload))
    await advance(0)
    assert len(talk.lost) == 1
    assert isinstance((await asyncio.gather(future, return_exceptions=True))[0], Disconnected)


async def test_a_message_with_a_handler_of_its_own_is_passed_to_it(advance: Advance) -> None:
    seen: list[tuple[Any, bytes]] = []
    handlers = {
        **REPLIES,
        messages.NotifyUnknown.code: lambda session, payload: seen.append((session, payload)),
    }
    talk = await Talk(v("me"), handlers).begin(advance, HelloAccepted())
    talk.peer.send(messages.NotifyUnknown("/s"))
    await advance(0)
    assert seen == [(talk.session, pack(messages.NotifyUnknown("/s")))]
    talk.session.answer(Reply.code, 7, v(1))
    await advance(0)
    assert await talk.peer.receive() == Reply(7, v(1))


async def test_the_end_of_the_connection_ends_all_requests_once(
    talk: Talk, advance: Advance
) -> None:
    futures = [talk.session.ask(Get.code, b"/a") for _ in range(7)]
    futures[3].cancel()
    talk.session.ready = True
    talk.peer.transport.close()
    await advance(0)
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert isinstance(outcomes.pop(3), asyncio.CancelledError)
    assert {type(each) for each in outcomes} == {Disconnected}
    assert talk.lost == [talk.session.lost.result()]
    assert not talk.session.ready
    assert talk.session.in_flight == []


async def test_a_session_whose_connection_ends_before_the_hello_is_greeted_and_lost(
    advance: Advance,
) -> None:
    talk = await Talk(v("me"), REPLIES).begin(advance)
    talk.peer.transport.close()
    await advance(0)
    assert talk.session.greeted.done()
    assert talk.session.lost.done()
    assert len(talk.lost) == 1


async def test_requests_beyond_the_free_ids_wait_and_are_sent_in_order(
    talk: Talk, advance: Advance
) -> None:
    most = IDS - 1
    futures = [talk.session.ask(EventEmit.code, b"/e", v(n)) for n in range(most + 3)]
    assert len(talk.session.in_flight) == most
    futures[most].cancel()  # it waits, and so is never sent
    await advance(0)
    for n in range(most):
        assert await talk.peer.receive() == EventEmit(n, "/e", v(n))
    for number, answer in ((most + 1, ReplyError(1, v("no"))), (most + 2, Reply(0, NIL))):
        talk.peer.send(answer)
        await advance(0)
        sent = await talk.peer.receive()
        assert isinstance(sent, EventEmit)
        assert sent.value == v(number)
    assert len(talk.session.in_flight) == most


@pytest.mark.parametrize("code", [Set.code, ActionCall.code])
async def test_a_request_fits_into_a_frame_or_is_refused_at_once(
    talk: Talk, code: int, advance: Advance
) -> None:
    head = len(b"\x00\x00\x00" + b"/x" + b"\0")
    with pytest.raises(MessageTooLong) as raised:
        talk.session.ask(code, b"/x", bytes(MAX_PAYLOAD - head + 1))
    assert describe(code, b"/x") in str(raised.value)
    assert talk.session.in_flight == []
    talk.session.ask(code, b"/x", bytes(MAX_PAYLOAD - head))
    assert len(talk.session.in_flight) == 1
    await advance(0)
