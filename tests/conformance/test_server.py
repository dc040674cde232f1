"""What a server answers, message for message: the tables of the protocol as conversations."""

import pytest

from eshet.connection import Connector
from eshet.messages import (
    ActionCall,
    ActionRegister,
    EventEmit,
    EventListen,
    EventNotify,
    EventRegister,
    Get,
    Hello,
    HelloAccepted,
    HelloAllocated,
    HelloId,
    NotifyKnown,
    NotifyUnknown,
    Ping,
    PropGet,
    PropRegister,
    PropSet,
    Reply,
    ReplyError,
    ReplyKnown,
    ReplyKnownT,
    ReplyUnknown,
    ReplyUnknownT,
    Set,
    StateChanged,
    StateObserve,
    StateObserveT,
    StateRegister,
    StateSet,
    StateUnknown,
)
from eshet.nats.joined import JoinedServer
from eshet.protocol.framing import frame
from tests.conformance.script import Case, a, b, c, case, error, hello, ok, play, v
from tests.conftest import Advance
from tests.support.raw import connect_raw
from tests.support.shared_tree import SharedTree

ACTIONS = [
    case(
        "a call is passed to the owner and its reply back",
        a.sends(ActionRegister(1, "/a")),
        a.gets(ok(1)),
        b.sends(ActionCall(7, "/a", v([1, "x"]))),
        a.gets(ActionCall(0, "/a", v([1, "x"]))),
        a.sends(Reply(0, v({"r": 1}))),
        b.gets(Reply(7, v({"r": 1}))),
    ),
    case(
        "an owner's error is passed through as it is",
        a.sends(ActionRegister(1, "/a")),
        a.gets(ok(1)),
        b.sends(ActionCall(7, "/a", v([]))),
        a.gets(ActionCall(0, "/a", v([]))),
        a.sends(ReplyError(0, v(["my", {"error": 1.5}]))),
        b.gets(ReplyError(7, v(["my", {"error": 1.5}]))),
    ),
    case(
        "a client may call its own action",
        a.sends(ActionRegister(1, "/a"), ActionCall(2, "/a", v([]))),
        a.gets(ok(1), ActionCall(0, "/a", v([]))),
        a.sends(Reply(0, v(5))),
        a.gets(ok(2, 5)),
    ),
    case(
        "answers may come in another order than calls",
        a.sends(ActionRegister(1, "/a")),
        a.gets(ok(1)),
        b.sends(ActionCall(1, "/a", v([1])), ActionCall(2, "/a", v([2]))),
        a.gets(ActionCall(0, "/a", v([1])), ActionCall(1, "/a", v([2]))),
        a.sends(Reply(1, v("second")), Reply(0, v("first"))),
        b.gets(ok(2, "second"), ok(1, "first")),
    ),
    case(
        "the same request id twice in flight is answered twice",
        a.sends(ActionRegister(1, "/a")),
        a.gets(ok(1)),
        b.sends(ActionCall(5, "/a", v([1])), ActionCall(5, "/a", v([2]))),
        a.gets(ActionCall(0, "/a", v([1])), ActionCall(1, "/a", v([2]))),
        a.sends(Reply(0, v(1)), Reply(1, v(2))),
        b.gets(ok(5, 1), ok(5, 2)),
    ),
    case(
        "what waits for an owner is overtaken by what does not",
        a.sends(ActionRegister(1, "/a")),
        a.gets(ok(1)),
        b.sends(ActionCall(1, "/a", v([])), Ping(2)),
        a.gets(ActionCall(0, "/a", v([]))),
        b.gets(ok(2)),
        a.sends(Reply(0, v(0))),
        b.gets(ok(1, 0)),
    ),
    case(
        "callers are told when the owner's connection ends",
        a.sends(ActionRegister(1, "/a")),
        a.gets(ok(1)),
        b.sends(ActionCall(7, "/a", v([]))),
        a.gets(ActionCall(0, "/a", v([]))),
        a.ends(),
        b.gets(error(7, "client_exited")),
        b.sends(ActionCall(8, "/a", v([]))),
        b.gets(error(8, "path_not_found")),
    ),
    case(
        "an answer for a caller that has gone is dropped",
        a.sends(ActionRegister(1, "/a")),
        a.gets(ok(1)),
        b.sends(ActionCall(7, "/a", v([]))),
        a.gets(ActionCall(0, "/a", v([]))),
        b.ends(),
        a.sends(Reply(0, v(1))),
    ),
]

PROPERTIES = [
    case(
        "get and set of a property are passed to the owner",
        a.sends(PropRegister(1, "/p")),
        a.gets(ok(1)),
        b.sends(Get(2, "/p")),
        a.gets(PropGet(0, "/p")),
        a.sends(Reply(0, v(21.5))),
        b.gets(ok(2, 21.5)),
        b.sends(Set(3, "/p", v(22))),
        a.gets(PropSet(1, "/p", v(22))),
        a.sends(Reply(1, v(None))),
        b.gets(ok(3)),
    ),
]

EVENTS = [
    case(
        "every listener hears of an emission, and the emitter gets a reply",
        a.sends(EventRegister(1, "/e")),
        a.gets(ok(1)),
        b.sends(EventListen(1, "/e")),
        b.gets(ok(1)),
        c.sends(EventListen(4, "/e")),
        c.gets(ok(4)),
        a.sends(EventEmit(2, "/e", v(["x"]))),
        a.gets(ok(2)),
        b.gets(EventNotify("/e", v(["x"]))),
        c.gets(EventNotify("/e", v(["x"]))),
    ),
    case(
        "listening works before the owner exists, and anybody may emit then",
        b.sends(EventListen(1, "/e")),
        b.gets(ok(1)),
        c.sends(EventEmit(1, "/e", v(1))),
        c.gets(ok(1)),
        b.gets(EventNotify("/e", v(1))),
        a.sends(EventRegister(1, "/e")),
        a.gets(ok(1)),
        a.sends(EventEmit(2, "/e", v(2))),
        a.gets(ok(2)),
        b.gets(EventNotify("/e", v(2))),
    ),
    case(
        "a second listen of the same client changes nothing",
        b.sends(EventListen(1, "/e"), EventListen(2, "/e")),
        b.gets(ok(1), ok(2)),
        a.sends(EventEmit(1, "/e", v(1))),
        a.gets(ok(1)),
        b.gets(EventNotify("/e", v(1))),
    ),
    case(
        "who hears its own emission gets the reply first",
        a.sends(EventListen(1, "/e"), EventEmit(2, "/e", v(1)), EventEmit(3, "/e", v(2))),
        a.gets(ok(1), ok(2), EventNotify("/e", v(1)), ok(3), EventNotify("/e", v(2))),
    ),
    case(
        "an event without anybody is gone",
        b.sends(EventListen(1, "/e")),
        b.gets(ok(1)),
        b.ends(),
        a.sends(EventEmit(1, "/e", v(1))),
        a.gets(error(1, "path_not_found")),
    ),
]

STATES = [
    case(
        "an observer gets the value and then each change, equal ones too",
        a.sends(StateRegister(1, "/s"), StateChanged(2, "/s", v(1))),
        a.gets(ok(1), ok(2)),
        b.sends(StateObserve(1, "/s")),
        b.gets(ReplyKnown(1, v(1))),
        a.sends(StateChanged(3, "/s", v(2))),
        a.gets(ok(3)),
        b.gets(NotifyKnown("/s", v(2))),
        a.sends(StateChanged(4, "/s", v(2))),
        a.gets(ok(4)),
        b.gets(NotifyKnown("/s", v(2))),
        a.sends(StateUnknown(5, "/s")),
        a.gets(ok(5)),
        b.gets(NotifyUnknown("/s")),
    ),
    case(
        "an observer gets each of many changes at once",
        a.sends(StateRegister(1, "/s"), StateChanged(2, "/s", v(1))),
        a.gets(ok(1), ok(2)),
        b.sends(StateObserve(1, "/s")),
        b.gets(ReplyKnown(1, v(1))),
        a.sends(StateChanged(3, "/s", v(2)), StateChanged(4, "/s", v(2)), StateUnknown(5, "/s")),
        a.gets(ok(3), ok(4), ok(5)),
        b.gets(NotifyKnown("/s", v(2)), NotifyKnown("/s", v(2)), NotifyUnknown("/s")),
    ),
    case(
        "unknown to unknown is notified when the owner says so",
        a.sends(StateRegister(1, "/s")),
        a.gets(ok(1)),
        b.sends(StateObserve(1, "/s")),
        b.gets(ReplyUnknown(1)),
        a.sends(StateUnknown(2, "/s")),
        a.gets(ok(2)),
        b.gets(NotifyUnknown("/s")),
    ),
    case(
        "observing works before the owner exists",
        b.sends(StateObserve(1, "/s")),
        b.gets(ReplyUnknown(1)),
        a.sends(StateRegister(1, "/s")),
        a.gets(ok(1)),
        a.sends(StateChanged(2, "/s", v(5))),
        a.gets(ok(2)),
        b.gets(NotifyKnown("/s", v(5))),
    ),
    case(
        "a second observation is answered and changes nothing",
        a.sends(StateRegister(1, "/s"), StateChanged(2, "/s", v(1))),
        a.gets(ok(1), ok(2)),
        b.sends(StateObserve(1, "/s"), StateObserve(2, "/s")),
        b.gets(ReplyKnown(1, v(1)), ReplyKnown(2, v(1))),
        a.sends(StateChanged(3, "/s", v(2))),
        a.gets(ok(3)),
        b.gets(NotifyKnown("/s", v(2))),
    ),
    case(
        "an observer that is the owner gets the reply first",
        a.sends(StateRegister(1, "/s"), StateObserve(2, "/s"), StateChanged(3, "/s", v(1))),
        a.gets(ok(1), ReplyUnknown(2), ok(3), NotifyKnown("/s", v(1))),
    ),
    case(
        "observers are told unknown when the owner goes, if it was known",
        a.sends(StateRegister(1, "/s"), StateChanged(2, "/s", v(1)), StateRegister(3, "/t")),
        a.gets(ok(1), ok(2), ok(3)),
        b.sends(StateObserve(1, "/s"), StateObserve(2, "/t")),
        b.gets(ReplyKnown(1, v(1)), ReplyUnknown(2)),
        a.ends(),
        b.gets(NotifyUnknown("/s")),
        b.sends(Get(3, "/s"), Set(4, "/s", v(1))),
        b.gets(error(3, "state_unknown"), error(4, "no_owner")),
    ),
    case(
        "observers are told unknown before callers are told that the client exited",
        a.sends(StateRegister(1, "/s"), StateChanged(2, "/s", v(1)), ActionRegister(3, "/a")),
        a.gets(ok(1), ok(2), ok(3)),
        b.sends(StateObserve(1, "/s"), ActionCall(2, "/a", v([]))),
        b.gets(ReplyKnown(1, v(1))),
        a.gets(ActionCall(0, "/a", v([]))),
        a.ends(),
        b.gets(NotifyUnknown("/s"), error(2, "client_exited")),
    ),
    case(
        "the server keeps the value for get",
        a.sends(StateRegister(1, "/s"), StateChanged(2, "/s", v([1, {"x": b"y"}]))),
        a.gets(ok(1), ok(2)),
        b.sends(Get(1, "/s")),
        b.gets(ok(1, [1, {"x": b"y"}])),
    ),
    case(
        "set is passed to the owner, and changes nothing by itself",
        a.sends(StateRegister(1, "/s"), StateChanged(2, "/s", v(1))),
        a.gets(ok(1), ok(2)),
        b.sends(StateObserve(1, "/s"), Set(2, "/s", v(9))),
        b.gets(ReplyKnown(1, v(1))),
        a.gets(StateSet(0, "/s", v(9))),
        a.sends(Reply(0, v(None))),
        b.gets(ok(2)),
        b.sends(Get(3, "/s")),
        b.gets(ok(3, 1)),
    ),
    case(
        "a value passes as the bytes that came, whatever their form",
        a.sends(StateRegister(1, "/s"), StateChanged(2, "/s", b"\xca\x3f\x80\x00\x00")),
        a.gets(ok(1), ok(2)),
        b.sends(StateObserve(1, "/s")),
        b.gets(ReplyKnown(1, b"\xca\x3f\x80\x00\x00")),
        a.sends(StateChanged(3, "/s", b"\x81\x91\x01\xcd\x00\x05")),
        a.gets(ok(3)),
        b.gets(NotifyKnown("/s", b"\x81\x91\x01\xcd\x00\x05")),
    ),
]

ERRORS = [
    *[
        case(
            f"{path!r} is an invalid path",
            a.sends(
                ActionRegister(1, path),
                PropRegister(2, path),
                EventRegister(3, path),
                StateRegister(4, path),
                ActionCall(5, path, v([])),
                Get(6, path),
                Set(7, path, v(1)),
                EventListen(8, path),
                EventEmit(9, path, v(1)),
                StateObserve(10, path),
                StateObserveT(11, path),
                StateChanged(12, path, v(1)),
                StateUnknown(13, path),
            ),
            a.gets(*[error(n, "invalid_path") for n in range(1, 14)]),
        )
        for path in ["", "/", "/a/", "//a", "/a-b", "a", "/a b"]
    ],
    case(
        "a path with a letter that is not ASCII is invalid",
        a.sends(frame(b"\x23\x00\x01/h\xc3\xb6fe\x00")),
        a.gets(error(1, "invalid_path")),
    ),
    case(
        "a path that is not in the tree is not found",
        a.sends(
            ActionCall(1, "/x", v([])), Get(2, "/x"), Set(3, "/x", v(1)), EventEmit(4, "/x", v(1))
        ),
        a.gets(*[error(n, "path_not_found") for n in range(1, 5)]),
        a.sends(ActionCall(5, "/meta/ls", v(["/x"]))),
        a.gets(error(5, "path_not_found")),
    ),
    case(
        "a directory is no node",
        a.sends(EventRegister(1, "/d/e")),
        a.gets(ok(1)),
        a.sends(
            ActionCall(2, "/d", v([])),
            Get(3, "/d"),
            Set(4, "/d", v(1)),
            EventEmit(5, "/d", v(1)),
            StateRegister(6, "/d"),
            EventListen(7, "/d"),
            StateObserve(8, "/d"),
        ),
        a.gets(*[error(n, "path_is_directory") for n in range(2, 9)]),
    ),
    case(
        "a leaf is no directory",
        a.sends(EventRegister(1, "/d/e")),
        a.gets(ok(1)),
        a.sends(
            Get(2, "/d/e/x"),
            StateRegister(3, "/d/e/x/y"),
            ActionCall(4, "/meta/ls", v(["/d/e/x"])),
            ActionCall(5, "/meta/ls", v(["/d/e/"])),
        ),
        a.gets(*[error(n, "not_a_directory") for n in range(2, 6)]),
    ),
    case(
        "a request for another kind of node",
        a.sends(ActionRegister(1, "/a"), EventRegister(2, "/e"), StateRegister(3, "/s")),
        a.gets(ok(1), ok(2), ok(3)),
        a.sends(
            ActionCall(4, "/e", v([])),
            ActionCall(5, "/s", v([])),
            Get(6, "/a"),
            Get(7, "/e"),
            Set(8, "/a", v(1)),
            Set(9, "/e", v(1)),
            EventEmit(10, "/s", v(1)),
        ),
        a.gets(*[error(n, "path_is_wrong_type") for n in range(4, 11)]),
    ),
    case(
        "a path that has an owner already, the same client included",
        a.sends(StateRegister(1, "/s")),
        a.gets(ok(1)),
        a.sends(StateRegister(2, "/s")),
        a.gets(error(2, "path_already_exists")),
        b.sends(StateRegister(1, "/s")),
        b.gets(error(1, "path_already_exists")),
    ),
    case(
        "a registration, listen or observe of another kind than the node's",
        a.sends(StateRegister(1, "/s"), EventListen(2, "/e")),
        a.gets(ok(1), ok(2)),
        b.sends(
            EventListen(1, "/s"),
            ActionRegister(2, "/s"),
            StateObserve(3, "/e"),
            StateObserveT(4, "/e"),
            StateRegister(5, "/e"),
        ),
        b.gets(*[error(n, "path_already_exists") for n in range(1, 6)]),
    ),
    case(
        "get of a state that nobody has given a value",
        a.sends(StateRegister(1, "/s")),
        a.gets(ok(1)),
        b.sends(Get(1, "/s")),
        b.gets(error(1, "state_unknown")),
    ),
    case(
        "get and set of a state that only has observers",
        b.sends(StateObserve(1, "/s"), Get(2, "/s"), Set(3, "/s", v(1))),
        b.gets(ReplyUnknown(1), error(2, "state_unknown"), error(3, "no_owner")),
    ),
    case(
        "a change by a client that does not own the state, or of an unowned one",
        a.sends(StateRegister(1, "/s")),
        a.gets(ok(1)),
        b.sends(StateObserve(1, "/t")),
        b.gets(ReplyUnknown(1)),
        b.sends(StateChanged(2, "/s", v(1)), StateUnknown(3, "/s"), StateChanged(4, "/t", v(1))),
        b.gets(error(2, "not_owner"), error(3, "not_owner"), error(4, "not_owner")),
    ),
    case(
        "a change of a path that is missing, or is no state",
        a.sends(EventRegister(1, "/e")),
        a.gets(ok(1)),
        a.sends(StateChanged(2, "/x", v(1)), StateUnknown(3, "/x")),
        a.gets(error(2, "no_such_node"), error(3, "no_such_node")),
        a.sends(StateChanged(4, "/e", v(1)), StateUnknown(5, "/e")),
        a.gets(error(4, "wrong_type_of_node"), error(5, "wrong_type_of_node")),
    ),
]

META = [
    case(
        "ls tells what is in a directory, the root included",
        a.sends(StateRegister(1, "/h/s"), EventRegister(2, "/h/e"), PropRegister(3, "/h/x/p")),
        a.gets(ok(1), ok(2), ok(3)),
        a.sends(
            ActionCall(4, "/meta/ls", v(["/"])),
            ActionCall(5, "/meta/ls", v(["/h"])),
            ActionCall(6, "/meta/ls", v(["/h/"])),
            ActionCall(7, "/meta/ls", v(["/meta/ls"])),
        ),
        a.gets(
            ok(4, ["dir", [["meta", "dir"], ["h", "dir"]]]),
            ok(5, ["dir", [["s", "state"], ["e", "event"], ["x", "dir"]]]),
            ok(6, ["dir", [["s", "state"], ["e", "event"], ["x", "dir"]]]),
            ok(7, "action"),
        ),
    ),
    case(
        "ls tells the kind of a node",
        a.sends(
            ActionRegister(1, "/a"),
            EventRegister(2, "/e"),
            StateRegister(3, "/s"),
            PropRegister(4, "/p"),
        ),
        a.gets(ok(1), ok(2), ok(3), ok(4)),
        a.sends(*[ActionCall(n, "/meta/ls", v([f"/{name}"])) for n, name in enumerate("aesp")]),
        a.gets(ok(0, "action"), ok(1, "event"), ok(2, "state"), ok(3, "prop")),
    ),
    case(
        "ls takes one path",
        a.sends(
            *[ActionCall(n, "/meta/ls", v(x)) for n, x in enumerate([[], [["/"]], [1], "/", {}])]
        ),
        a.gets(*[error(n, "bad_args") for n in range(5)]),
    ),
    case(
        "directories vanish with their last leaf",
        a.sends(StateRegister(1, "/x/y/z")),
        a.gets(ok(1)),
        b.sends(ActionCall(1, "/meta/ls", v(["/x/y"]))),
        b.gets(ok(1, ["dir", [["z", "state"]]])),
        a.ends(),
        b.sends(ActionCall(2, "/meta/ls", v(["/"]))),
        b.gets(ok(2, ["dir", [["meta", "dir"]]])),
    ),
]

CONVERSATIONS = [*ACTIONS, *PROPERTIES, *EVENTS, *STATES, *ERRORS, *META]


# What servers that share a tree do not promise; see "What differs from one server" in
# docs/howto/nats-tree.md.
OF_ONE_SERVER = {
    "an observer gets each of many changes at once": (
        "other servers may miss some of several changes of a state in quick succession"
    ),
    "a registration, listen or observe of another kind than the node's": (
        "other servers do not know of a path that is only listened to"
    ),
    "observers are told unknown before callers are told that the client exited": (
        "the two reach another server in different ways"
    ),
    "directories vanish with their last leaf": (
        "other servers learn a moment later that a client has left"
    ),
}


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_the_server_answers_as_the_protocol_says(
    connector: Connector, conversation: Case
) -> None:
    if isinstance(connector, SharedTree) and conversation.says in OF_ONE_SERVER:
        pytest.skip(OF_ONE_SERVER[conversation.says])
    is_shared = isinstance(connector, JoinedServer | SharedTree)
    await play(connector, conversation, in_order=not is_shared)


# --- hello ------------------------------------------------------------------------------------


async def test_a_hello_without_an_id_is_given_one_that_nobody_has(connector: Connector) -> None:
    first, second = await connect_raw(connector), await connect_raw(connector)
    first.send(Hello(1, 30))
    second.send(Hello(1, 30))
    one, two = await first.receive(), await second.receive()
    assert isinstance(one, HelloAllocated)
    assert isinstance(two, HelloAllocated)
    assert one != two


async def test_a_client_comes_back_with_the_id_it_was_given(connector: Connector) -> None:
    peer = await connect_raw(connector)
    peer.send(Hello(1, 30))
    given = await peer.receive()
    assert isinstance(given, HelloAllocated)
    await peer.end()
    again = await connect_raw(connector)
    again.send(HelloId(1, 30, given.client_id))
    assert await again.receive() == HelloAccepted()


async def test_a_hello_with_an_id_in_use_takes_the_place_of_the_older_connection(
    connector: Connector,
) -> None:
    older, observer = await hello(connector, "x"), await hello(connector, "observer")
    older.send(StateRegister(1, "/s"), StateChanged(2, "/s", v(1)))
    assert [await older.receive(), await older.receive()] == [ok(1), ok(2)]
    observer.send(StateObserve(1, "/s"))
    assert await observer.receive() == ReplyKnown(1, v(1))

    newer = await connect_raw(connector)
    newer.send(HelloId(1, 0, v("x")), StateRegister(1, "/s"))

    assert [await newer.receive() for _ in range(2)] == [HelloAccepted(), ok(1)]
    assert await older.closed() == []
    assert await observer.receive() == NotifyUnknown("/s")
    newer.send(StateChanged(2, "/s", v(2)))
    assert await newer.receive() == ok(2)
    assert await observer.receive() == NotifyKnown("/s", v(2))


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), ("x", b"x"), (1, True), (0, False), ([1], [1.0]), (None, 0)]
)
async def test_ids_of_other_types_are_other_clients(
    connector: Connector, one: object, other: object
) -> None:
    first, second = await connect_raw(connector), await connect_raw(connector)
    first.send(HelloId(1, 0, v(one)))
    second.send(HelloId(1, 0, v(other)))
    assert await first.receive() == await second.receive() == HelloAccepted()
    first.send(Ping(1))
    assert await first.receive() == ok(1)


async def test_an_id_is_the_same_in_another_form_of_bytes(connector: Connector) -> None:
    older = await connect_raw(connector)
    older.send(HelloId(1, 0, b"\x01"))
    await older.receive()
    newer = await connect_raw(connector)
    newer.send(HelloId(1, 0, b"\xcd\x00\x01"))
    await newer.receive()
    assert await older.closed() == []


async def test_ping_is_answered_before_a_hello(connector: Connector) -> None:
    peer = await connect_raw(connector)
    peer.send(Ping(3))
    assert await peer.receive() == ok(3)


# --- what closes a connection -----------------------------------------------------------------

BROKEN = {
    "a wrong sync byte": b"\x48\x00\x01\x09",
    "an unknown type": frame(b"\xee"),
    "a type that only the server sends": frame(b"\x44/s\x00\x01"),
    "an empty payload": frame(b""),
    "a truncated id": frame(b"\x09\x00"),
    "a path without its zero byte": frame(b"\x10\x00\x01/a"),
    "bytes after the path": frame(b"\x10\x00\x01/a\x00x"),
    "bytes after the value": frame(b"\x31\x00\x01/a\x00\x01\x02"),
    "no value": frame(b"\x31\x00\x01/a\x00"),
    "half a value": frame(b"\x31\x00\x01/a\x00\x92\x01"),
    "an extension type": frame(b"\x31\x00\x01/a\x00\xd4\x05\x00"),
    "a timestamp": frame(b"\x31\x00\x01/a\x00\xd6\xff\x00\x00\x00\x00"),
    "text that is not UTF-8": frame(b"\x31\x00\x01/a\x00\xa1\xff"),
    "the reserved byte": frame(b"\x31\x00\x01/a\x00\xc1"),
    "arrays announced without their items": frame(
        b"\x31\x00\x01/a\x00" + b"\xdd\x00\x00\xfd\xe8" * 13_000
    ),
    "a reply that nobody asked for": frame(b"\x05\x00\x01\xc0"),
    "a second hello": frame(b"\x01\x01\x00\x1e"),
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
async def test_a_broken_frame_closes_only_the_connection_it_came_from(
    connector: Connector, sent: bytes
) -> None:
    bad, other = await hello(connector, "bad"), await hello(connector, "other")
    bad.send(sent)
    assert await bad.closed() == []
    other.send(Ping(1))
    assert await other.receive() == ok(1)


@pytest.mark.one_server("a registration that waits for NATS is not answered any more")
@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
async def test_what_came_before_a_broken_frame_is_answered(
    connector: Connector, sent: bytes
) -> None:
    peer = await hello(connector, "bad")
    peer.send(Ping(1), StateRegister(2, "/s"), sent)
    assert await peer.closed() == [ok(1), ok(2)]


@pytest.mark.parametrize(
    "sent",
    [
        frame(b"\x01\x02\x00\x1e"),
        frame(b"\x02\x00\x00\x1e\x01"),
        frame(b"\x10\x00\x01/a\x00"),
        frame(b"\x23\x00\x01/a\x00"),
        frame(b"\x02\x01\x00\x1e" + b"\x91" * 600 + b"\x01"),
    ],
    ids=["another version", "version 0", "a registration", "a get", "an id nested too deeply"],
)
async def test_only_a_right_hello_opens_a_connection(connector: Connector, sent: bytes) -> None:
    peer = await connect_raw(connector)
    peer.send(sent)
    assert await peer.closed() == []


async def test_frames_are_understood_however_the_bytes_are_cut(connector: Connector) -> None:
    peer = await connect_raw(connector)
    sent = frame(b"\x02\x01\x00\x00\x07") + frame(b"\x40\x00\x01/s\x00") + frame(b"\x09\x00\x02")
    for byte in sent:
        peer.send(bytes([byte]))
    assert await peer.receive() == HelloAccepted()
    assert {await peer.receive(), await peer.receive()} == {ok(1), ok(2)}  # in either order


# --- time -------------------------------------------------------------------------------------


async def test_a_client_that_falls_silent_is_dropped(
    connector: Connector, advance: Advance
) -> None:
    peer = await connect_raw(connector)
    peer.send(HelloId(1, 10, v("x")))
    assert await peer.receive() == HelloAccepted()
    await advance(9)
    peer.send(Ping(1))
    assert await peer.receive() == ok(1)
    await advance(9)
    peer.send(Ping(2))
    assert await peer.receive() == ok(2)
    await advance(10)
    assert await peer.closed() == []


@pytest.mark.one_server("so much time can't pass for a nats-server")
async def test_a_timeout_of_zero_is_never(connector: Connector, advance: Advance) -> None:
    peer = await hello(connector, "x")
    await advance(100_000)
    peer.send(Ping(1))
    assert await peer.receive() == ok(1)


async def test_a_client_that_never_says_hello_is_dropped(
    connector: Connector, advance: Advance
) -> None:
    peer = await connect_raw(connector)
    await advance(5)
    assert await peer.closed() == []


@pytest.mark.one_server("ages are measured with the clock of NATS")
async def test_observe_t_counts_from_the_last_change_of_an_owner(
    connector: Connector, advance: Advance
) -> None:
    owner, observer = await hello(connector, "owner"), await hello(connector, "observer")
    observer.send(StateObserveT(1, "/s"))
    assert await observer.receive() == ReplyUnknownT(1, 0)
    await advance(2)
    owner.send(StateRegister(1, "/s"))
    assert await owner.receive() == ok(1)
    observer.send(StateObserveT(2, "/s"))
    assert await observer.receive() == ReplyUnknownT(2, 2000)
    owner.send(StateChanged(2, "/s", v(7)))
    assert await owner.receive() == ok(2)
    assert await observer.receive() == NotifyKnown("/s", v(7))
    await advance(1.5)
    observer.send(StateObserveT(3, "/s"))
    assert await observer.receive() == ReplyKnownT(3, 1500, v(7))
    await owner.end()
    assert await observer.receive() == NotifyUnknown("/s")
    await advance(1)
    observer.send(StateObserveT(4, "/s"))
    assert await observer.receive() == ReplyUnknownT(4, 2500)
