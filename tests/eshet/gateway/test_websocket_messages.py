"""The messages of a WebSocket, as JSON."""

import json
from typing import Any

import pytest

from eshet import codec
from eshet import messages as m
from eshet.gateway.websocket_messages import Fault, read, write

ONE = codec.pack(1)


SENT: list[tuple[list[Any], m.Message]] = [
    (["hello", 1, 30], m.Hello(1, 30)),
    (["hello", 1, 0.5], m.Hello(1, 1)),
    (["hello_id", 1, 0, "me"], m.HelloId(1, 0, codec.pack("me"))),
    (["reply", 7, ["ok", 1]], m.Reply(7, ONE)),
    (["reply", 7, ["error", 1]], m.ReplyError(7, ONE)),
    (["ping", 7], m.Ping(7)),
    (["action_register", 7, "/a"], m.ActionRegister(7, "/a")),
    (["action_call", 7, "/a", [1]], m.ActionCall(7, "/a", codec.pack([1]))),
    (["prop_register", 7, "/a"], m.PropRegister(7, "/a")),
    (["get", 7, "/a"], m.Get(7, "/a")),
    (["set", 7, "/a", 1], m.Set(7, "/a", ONE)),
    (["event_register", 7, "/a"], m.EventRegister(7, "/a")),
    (["event_emit", 7, "/a", 1], m.EventEmit(7, "/a", ONE)),
    (["event_listen", 7, "/a"], m.EventListen(7, "/a")),
    (["state_register", 7, "/a"], m.StateRegister(7, "/a")),
    (["state_changed", 7, "/a", 1], m.StateChanged(7, "/a", ONE)),
    (["state_unknown", 7, "/a"], m.StateUnknown(7, "/a")),
    (["state_observe", 7, "/a"], m.StateObserve(7, "/a")),
    (["state_observe_t", 7, "/a"], m.StateObserveT(7, "/a")),
    (["get", 2**53 - 1, "nonsense \0"], m.Get(2**53 - 1, "nonsense \0")),
]


@pytest.mark.parametrize(("content", "message"), SENT)
def test_what_a_client_sends(content: list[Any], message: m.Message) -> None:
    assert read(json.dumps(content)) == message


RECEIVED: list[tuple[m.Message, list[Any]]] = [
    (m.HelloAccepted(), ["hello"]),
    (m.HelloAllocated(ONE), ["hello_id", 1]),
    (m.Reply(3, ONE), ["reply", 7, ["ok", 1]]),
    (m.ReplyError(3, ONE), ["reply", 7, ["error", 1]]),
    (m.ReplyKnown(3, ONE), ["reply_state", 7, ["ok", ["known", 1]]]),
    (m.ReplyUnknown(3), ["reply_state", 7, ["ok", "unknown"]]),
    (m.ReplyKnownT(3, 800, ONE), ["reply_state", 7, ["ok", ["known", 1], 0.8]]),
    (m.ReplyUnknownT(3, 1500), ["reply_state", 7, ["ok", "unknown", 1.5]]),
    (m.ActionCall(3, "/a", codec.pack([1])), ["action_call", 3, "/a", [1]]),
    (m.PropGet(3, "/a"), ["prop_get", 3, "/a"]),
    (m.PropSet(3, "/a", ONE), ["prop_set", 3, "/a", 1]),
    (m.StateSet(3, "/a", ONE), ["state_set", 3, "/a", 1]),
    (m.EventNotify("/a", ONE), ["event_notify", "/a", 1]),
    (m.NotifyKnown("/a", ONE), ["state_changed", "/a", ["known", 1]]),
    (m.NotifyUnknown("/a"), ["state_changed", "/a", "unknown"]),
]


@pytest.mark.parametrize(("message", "content"), RECEIVED)
def test_what_a_client_receives(message: m.Message, content: list[Any]) -> None:
    assert json.loads(write(message, 7)) == content


def test_every_message_of_the_protocol_has_a_form() -> None:
    kinds = {kind for table in (m.FROM_CLIENT, m.FROM_SERVER) for kind in table.values()}
    assert kinds == {type(message) for _, message in SENT} | {type(each) for each, _ in RECEIVED}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not the JSON of a value"),
        ("5", "not a list"),
        ("{}", "not a list"),
        ("[]", "not a list"),
        ("[5]", "not a list"),
        ('["nonsense", 1]', "unknown message 'nonsense'"),
        ('["state_set", 1, "/a", 5]', "unknown message 'state_set'"),
        ('["event_notify", "/a", 5]', "unknown message"),
        ('["get"]', "get with wrong fields"),
        ('["get", "7", "/a"]', "get with wrong fields"),
        ('["get", 7]', "get with wrong fields"),
        ('["get", 7, 5]', "get with wrong fields"),
        ('["get", 7, "/a", 5]', "get with wrong fields"),
        ('["set", 7, "/a"]', "set with wrong fields"),
        ('["ping", 7, 8]', "ping with wrong fields"),
        ('["action_call", 7, "/a", 5]', "list of arguments"),
        ('["get", -1, "/a"]', "ids are integers"),
        ('["get", true, "/a"]', "ids are integers"),
        ('["get", 9007199254740992, "/a"]', "ids are integers"),
        ('["hello", 1]', "hello with wrong fields"),
        ('["hello", 1, "x"]', "not a number of seconds"),
        ('["hello", 1, -1]', "not from 0 to"),
        ('["hello", 1, 1e9]', "not from 0 to"),
        ('["reply", 7, ["no", 1]]', "reply with wrong fields"),
        ('["reply", 7]', "reply with wrong fields"),
        ('["set", 7, "/a", {"$map": [[{"a": 1}, 1]]}]', "can't be the key"),
        ("[" * 1000, "more than 128 deep|Expecting"),
    ],
)
def test_what_a_client_may_not_send(text: str, problem: str) -> None:
    with pytest.raises(Fault, match=problem):
        read(text)


def test_only_messages_to_a_client_are_written() -> None:
    with pytest.raises(TypeError, match="no message to a client"):
        write(m.Hello(1, 1))
