"""A conversation between a server and some clients, written down as data.

    case(
        "a state without an owner is unknown",
        b.sends(StateObserve(1, "/s")),
        b.gets(ReplyUnknown(1)),
    )

Clients are named `a`, `b`, `c`; each says hello with its name as its id before its first step.
After the last step each client that is still there pings, and must get the answer to that and
nothing else.
"""

import itertools
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from eshet import codec
from eshet.connection import Connector
from eshet.messages import NIL, HelloAccepted, HelloId, Message, Ping, Reply, ReplyError, WithId
from tests.support.raw import RawPeer, connect_raw


def v(value: Any) -> bytes:
    return codec.pack(value)


def ok(request_id: int, value: Any = None) -> Reply:
    return Reply(request_id, v(value))


def error(request_id: int, value: Any) -> ReplyError:
    return ReplyError(request_id, v(value))


@dataclass(frozen=True)
class Sends:
    who: str
    messages: tuple[Message | bytes, ...]


@dataclass(frozen=True)
class Gets:
    who: str
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Ends:
    who: str


Step = Sends | Gets | Ends


@dataclass(frozen=True)
class Party:
    name: str

    def sends(self, *messages: Message | bytes) -> Sends:
        return Sends(self.name, messages)

    def gets(self, *messages: Message) -> Gets:
        return Gets(self.name, messages)

    def ends(self) -> Ends:
        """The client closes its connection."""
        return Ends(self.name)


a, b, c = Party("a"), Party("b"), Party("c")


@dataclass(frozen=True)
class Case:
    says: str
    steps: tuple[Step, ...]


def case(says: str, *steps: Step) -> Any:
    return pytest.param(Case(says, steps), id=says)


async def hello(connector: Connector, name: str) -> RawPeer:
    peer = await connect_raw(connector)
    peer.send(HelloId(1, 0, v(name)))
    assert await peer.receive() == HelloAccepted()
    return peer


async def play(connector: Connector, conversation: Case, *, in_order: bool = True) -> None:
    """Check that the server answers as the conversation says.

    Without `in_order`, replies between two notifications may come in any order: a server that
    shares its tree does not let one request of a client wait for another.
    """
    peers: dict[str, RawPeer] = {}
    for step in conversation.steps:
        if step.who not in peers:
            peers[step.who] = await hello(connector, step.who)
        peer = peers[step.who]
        match step:
            case Sends(_, messages):
                peer.send(*messages)
            case Gets(_, messages) if in_order:
                for message in messages:
                    assert await peer.receive() == message
            case Gets(_, messages):
                received = [await peer.receive() for _ in messages]
                assert _normal(received) == _normal(messages)
            case Ends():
                await peer.end()
                del peers[step.who]
    for peer in peers.values():
        peer.send(Ping(999))
        assert await peer.receive() == Reply(999, NIL)


def _normal(messages: Iterable[Message]) -> list[Message]:
    """Return messages with the replies between two notifications in the order of their ids."""
    normal: list[Message] = []
    for is_with_id, group in itertools.groupby(messages, lambda each: isinstance(each, WithId)):
        between = list(group)
        normal += sorted(between, key=operator.attrgetter("id")) if is_with_id else between
    return normal
