"""Several clients that do anything, against a simple model of the tree.

The router is driven without I/O: payloads go in, and what comes out for each client is compared,
frame by frame, with what the model expects, in order.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from eshet import codec, messages
from eshet.exceptions import ProtocolError
from eshet.messages import FROM_SERVER, Message, pack, unpack
from eshet.protocol.framing import FrameReader
from eshet.server.limits import Limits
from eshet.server.peer import Peer
from eshet.server.router import Router

PATHS = st.sampled_from(["/a", "/b", "/a/a", "/a/b", "/b/a", "/b/b"])
CLIENTS = st.integers(0, 2)
IDS = st.integers(0, 3)
KINDS = st.sampled_from(["action", "prop", "event", "state"])
VALUES = st.sampled_from([1, "x", [None]]).map(codec.pack)
NIL = codec.pack(None)


class Line:
    """The connection of a client, of which the router needs nothing here."""

    congestion = 0.0
    peername = "nowhere"

    def flush(self) -> None:
        pass

    def close(self, reason: str) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {}


@dataclass
class ModelNode:
    kind: str
    owner: int | None = None
    value: bytes | None = None
    listeners: list[int] = field(default_factory=list)


class RouterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.router = Router(lambda: 0.0, Limits())
        self.peers: list[Peer] = []
        self.expected: list[list[Message]] = [[], [], []]
        self.nodes: dict[str, ModelNode] = {}
        self.asked: list[list[tuple[int, int, int]]] = [[], [], []]  # id, asker, their id
        self.next_id = [0, 0, 0]
        for client in range(3):
            self.peers.append(Peer(bytes([client]), [], Line()))
            self.router.join(self.peers[client])

    # --- what the model expects ---------------------------------------------------------------

    def send(self, client: int, message: Message) -> None:
        self.router.handle(self.peers[client], [pack(message)])

    def expect(self, client: int, message: Message) -> None:
        self.expected[client].append(message)

    def error(self, client: int, request_id: int, code: str) -> None:
        self.expect(client, messages.ReplyError(request_id, codec.pack(code)))

    def tell(self, node: ModelNode, message: Message) -> None:
        for listener in node.listeners:
            self.expect(listener, message)

    def missing(self, path: str) -> str | None:
        """Return the error of a path that is no node, or None if it is one."""
        if path in self.nodes:
            return None
        if any(other.startswith(path + "/") for other in self.nodes):
            return "path_is_directory"
        if any(path.startswith(other + "/") for other in self.nodes):
            return "not_a_directory"
        return "path_not_found"

    def make(self, path: str, kind: str) -> "ModelNode | str":
        """Return the node that a registration is about, or its error."""
        missing = self.missing(path)
        if missing == "path_not_found":
            return ModelNode(kind)
        if missing is not None:
            return missing
        node = self.nodes[path]
        return node if node.kind == kind else "path_already_exists"

    def drop_idle(self) -> None:
        for path, node in list(self.nodes.items()):
            if node.owner is None and not node.listeners:
                del self.nodes[path]

    def pass_on(self, client: int, request_id: int, owner: int, make: Any, *rest: Any) -> None:
        asked_as = self.next_id[owner]
        self.next_id[owner] += 1
        self.asked[owner].append((asked_as, client, request_id))
        self.expect(owner, make(asked_as, *rest))

    # --- what clients do ----------------------------------------------------------------------

    @rule(
        client=CLIENTS,
        request=IDS,
        path=PATHS,
        kind=st.sampled_from(["action", "prop", "event", "state"]),
    )
    def register(self, client: int, request: int, path: str, kind: str) -> None:
        make = {
            "action": messages.ActionRegister, "prop": messages.PropRegister,
            "event": messages.EventRegister, "state": messages.StateRegister,
        }[kind]  # fmt: skip
        node = self.make(path, kind)
        if isinstance(node, str):
            self.error(client, request, node)
        elif node.owner is not None:
            self.error(client, request, "path_already_exists")
        else:
            self.nodes[path] = node
            node.owner = client
            self.expect(client, messages.Reply(request, NIL))
        self.send(client, make(request, path))

    @rule(client=CLIENTS, request=IDS, path=PATHS)
    def listen(self, client: int, request: int, path: str) -> None:
        node = self.make(path, "event")
        if isinstance(node, str):
            self.error(client, request, node)
        else:
            self.nodes[path] = node
            if client not in node.listeners:
                node.listeners.append(client)
            self.expect(client, messages.Reply(request, NIL))
        self.send(client, messages.EventListen(request, path))

    @rule(client=CLIENTS, request=IDS, path=PATHS)
    def observe(self, client: int, request: int, path: str) -> None:
        node = self.make(path, "state")
        if isinstance(node, str):
            self.error(client, request, node)
        else:
            self.nodes[path] = node
            if client not in node.listeners:
                node.listeners.append(client)
            if node.value is None:
                self.expect(client, messages.ReplyUnknown(request))
            else:
                self.expect(client, messages.ReplyKnown(request, node.value))
        self.send(client, messages.StateObserve(request, path))

    @rule(client=CLIENTS, request=IDS, path=PATHS, value=VALUES)
    def emit(self, client: int, request: int, path: str, value: bytes) -> None:
        missing = self.missing(path)
        if missing is not None:
            self.error(client, request, missing)
        elif self.nodes[path].kind != "event":
            self.error(client, request, "path_is_wrong_type")
        else:
            self.expect(client, messages.Reply(request, NIL))
            self.tell(self.nodes[path], messages.EventNotify(path, value))
        self.send(client, messages.EventEmit(request, path, value))

    @rule(client=CLIENTS, request=IDS, path=PATHS, value=VALUES | st.none())
    def change(self, client: int, request: int, path: str, value: bytes | None) -> None:
        missing = self.missing(path)
        if missing is not None:
            answer = "wrong_type_of_node" if missing == "path_is_directory" else "no_such_node"
            self.error(client, request, answer)
        elif self.nodes[path].kind != "state":
            self.error(client, request, "wrong_type_of_node")
        elif self.nodes[path].owner != client:
            self.error(client, request, "not_owner")
        else:
            node = self.nodes[path]
            node.value = value
            self.expect(client, messages.Reply(request, NIL))
            if value is None:
                self.tell(node, messages.NotifyUnknown(path))
            else:
                self.tell(node, messages.NotifyKnown(path, value))
        if value is None:
            self.send(client, messages.StateUnknown(request, path))
        else:
            self.send(client, messages.StateChanged(request, path, value))

    @rule(client=CLIENTS, request=IDS, path=PATHS)
    def get(self, client: int, request: int, path: str) -> None:
        missing = self.missing(path)
        if missing is not None:
            self.error(client, request, missing)
        elif self.nodes[path].kind in ("action", "event"):
            self.error(client, request, "path_is_wrong_type")
        elif self.nodes[path].kind == "prop":
            owner = self.nodes[path].owner
            assert owner is not None
            self.pass_on(client, request, owner, messages.PropGet, path)
        elif (value := self.nodes[path].value) is None:
            self.error(client, request, "state_unknown")
        else:
            self.expect(client, messages.Reply(request, value))
        self.send(client, messages.Get(request, path))

    @rule(client=CLIENTS, request=IDS, path=PATHS, value=VALUES)
    def set_or_call(self, client: int, request: int, path: str, value: bytes) -> None:
        missing = self.missing(path)
        kind = self.nodes[path].kind if missing is None else ""
        make = messages.ActionCall if kind == "action" else messages.Set
        if missing is not None:
            self.error(client, request, missing)
        elif kind == "event":
            self.error(client, request, "path_is_wrong_type")
        elif (owner := self.nodes[path].owner) is None:
            self.error(client, request, "no_owner")
        else:
            to_owner = {
                "action": messages.ActionCall, "prop": messages.PropSet, "state": messages.StateSet,
            }[kind]  # fmt: skip
            self.pass_on(client, request, owner, to_owner, path, value)
        self.send(client, make(request, path, value))

    @rule(client=CLIENTS, which=st.integers(0, 5), value=VALUES, fails=st.booleans())
    def answer(self, client: int, which: int, value: bytes, fails: bool) -> None:
        make = messages.ReplyError if fails else messages.Reply
        if not self.asked[client]:
            return
        asked_as, asker, their_id = self.asked[client].pop(which % len(self.asked[client]))
        if asker >= 0:
            self.expect(asker, make(their_id, value))
        self.send(client, make(asked_as, value))

    @rule(client=CLIENTS, path=PATHS)
    def withdraw(self, client: int, path: str) -> None:
        node = self.nodes.get(path)
        if node is None or (node.owner != client and client not in node.listeners):
            return
        if client in node.listeners:
            node.listeners.remove(client)
        if node.owner == client:
            if node.value is not None:
                self.tell(node, messages.NotifyUnknown(path))
            node.owner = node.value = None
        self.router.withdraw(self.peers[client], path.encode())
        self.drop_idle()

    @rule(client=CLIENTS, taken_over=st.booleans())
    def come_back(self, client: int, taken_over: bool) -> None:
        """The connection ends, or another says hello with the same id; both drop everything."""
        self.check(client)
        self.expected[client] = []
        for node in self.nodes.values():
            if client in node.listeners:
                node.listeners.remove(client)
        for path, node in self.nodes.items():
            if node.owner == client:
                if node.value is not None:
                    self.tell(node, messages.NotifyUnknown(path))
                node.owner = node.value = None
        self.drop_idle()
        for _, asker, their_id in self.asked[client]:
            if asker not in (client, -1):
                self.error(asker, their_id, "client_exited")
        self.asked[client] = []
        self.next_id[client] = 0
        for owner in range(3):
            self.asked[owner] = [
                (asked, -1 if asker == client else asker, their_id)
                for asked, asker, their_id in self.asked[owner]
            ]
        if not taken_over:
            self.router.leave(self.peers[client])
        self.peers[client] = Peer(bytes([client]), [], Line())
        self.router.join(self.peers[client])

    @rule(client=CLIENTS, payload=st.binary(max_size=12))
    def garbage(self, client: int, payload: bytes) -> None:
        """Whatever is no message is a protocol error, and nothing else."""
        known = {kind.code for kind in messages.FROM_CLIENT.values()}
        if payload and payload[0] not in known:
            try:
                self.router.handle(self.peers[client], [payload])
            except ProtocolError:
                return
            raise AssertionError(f"{payload!r} was taken for a message")

    # --- what came out ------------------------------------------------------------------------

    def check(self, client: int) -> None:
        out = self.peers[client].out
        payloads = FrameReader().feed(b"".join(out))
        out.clear()
        received = [unpack(payload, FROM_SERVER) for payload in payloads]
        expected, self.expected[client] = self.expected[client], []
        # Who owned several nodes is gone from all at once: their order is nobody's business.
        assert sorted(map(repr, received)) == sorted(map(repr, expected))
        if not any(isinstance(message, messages.NotifyUnknown) for message in expected):
            assert received == expected

    @invariant()
    def everybody_got_what_the_model_says(self) -> None:
        for client in range(3):
            self.check(client)

    @invariant()
    def the_tree_is_the_model(self) -> None:
        assert sorted(self.router.tree.paths()) == sorted(path.encode() for path in self.nodes)


@pytest.mark.parametrize("part", range(4))  # for as many processes, each with sequences of its own
def test_the_router_does_what_the_model_does(part):
    some = settings(max_examples=500, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(RouterMachine, settings=some)
