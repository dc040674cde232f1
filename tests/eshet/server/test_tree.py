"""The tree of nodes against a plain model of it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eshet.server.peer import Peer
from eshet.server.tree import Directory, NodeKind, Tree, TreeError, TreeNode


class NoLine:
    """The tree sends nothing."""

    congestion = 0.0
    peername = "nowhere"

    def flush(self) -> None:
        raise AssertionError

    def close(self, reason: str) -> None:
        raise AssertionError

    def describe(self) -> dict[str, Any]:
        raise AssertionError


def a_peer(name: str) -> Peer:
    return Peer(name.encode(), [], NoLine())


def test_an_idle_node_is_gone_with_the_directories_above_it() -> None:
    tree, owner = Tree(), a_peer("owner")
    tree.register(b"/a/b/c", NodeKind.STATE, owner, 0.0)
    tree.register(b"/a/d", NodeKind.STATE, owner, 0.0)
    tree.release(owner)
    assert tree.root.children == {}
    with pytest.raises(TreeError, match="path_not_found"):
        tree.find(b"/a/d")


def test_a_released_state_has_no_value_and_says_that_it_had_one() -> None:
    tree, owner, observer = Tree(), a_peer("owner"), a_peer("observer")
    known = tree.register(b"/known", NodeKind.STATE, owner, 0.0)
    unknown = tree.register(b"/unknown", NodeKind.STATE, owner, 0.0)
    tree.listen(b"/known", NodeKind.STATE, observer, 0.0)
    known.value = b"\x01"
    assert tree.release(owner) == [(known, True), (unknown, False)]
    assert tree.find(b"/known").value is None
    assert tree.release(owner) == []


def answer(operation: Callable[..., object], *args: Any) -> str | None:
    """Return the error value that an operation ends with, if any."""
    try:
        operation(*args)
    except TreeError as error:
        return error.code
    return None


NAMES = st.sampled_from([b"a", b"b", b"c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: b"/" + b"/".join(names))
PEERS = st.integers(0, 2)
KINDS = st.sampled_from(NodeKind)


class TreeMachine(RuleBasedStateMachine):
    """Random registrations, listens and departures, against a dictionary of nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = Tree()
        self.peers = [a_peer(str(n)) for n in range(3)]
        self.model: dict[bytes, tuple[NodeKind, Peer | None, list[Peer]]] = {}

    def expected_error(self, path: bytes, kind: NodeKind) -> str | None:
        if path in self.model:
            return None if self.model[path][0] is kind else "path_already_exists"
        if any(other.startswith(path + b"/") for other in self.model):
            return "path_is_directory"
        if any(path.startswith(other + b"/") for other in self.model):
            return "not_a_directory"
        return None

    @rule(path=PATHS, kind=KINDS, peer=PEERS)
    def register(self, path: bytes, kind: NodeKind, peer: int) -> None:
        error = self.expected_error(path, kind)
        known, owner, listeners = self.model.get(path, (kind, None, []))
        if error is None and owner is not None:
            error = "path_already_exists"
        assert answer(self.tree.register, path, kind, self.peers[peer], 0.0) == error
        if error is None:
            self.model[path] = (known, self.peers[peer], listeners)

    @rule(path=PATHS, kind=KINDS, peer=PEERS)
    def listen(self, path: bytes, kind: NodeKind, peer: int) -> None:
        error = self.expected_error(path, kind)
        assert answer(self.tree.listen, path, kind, self.peers[peer], 0.0) == error
        if error is None:
            known, owner, listeners = self.model.get(path, (kind, None, []))
            if self.peers[peer] not in listeners:
                listeners = [*listeners, self.peers[peer]]
            self.model[path] = (known, owner, listeners)

    @rule(peer=PEERS)
    def leave(self, peer: int) -> None:
        gone = self.peers[peer]
        self.tree.unlisten_all(gone)
        self.tree.release(gone)
        for path, (kind, owner, listeners) in list(self.model.items()):
            owner = None if owner is gone else owner
            listeners = [listener for listener in listeners if listener is not gone]
            if owner is None and not listeners:
                del self.model[path]
            else:
                self.model[path] = (kind, owner, listeners)

    @invariant()
    def the_tree_is_the_model(self) -> None:
        found: dict[bytes, Any] = {}
        todo: list[tuple[bytes, TreeNode | Directory]] = [(b"", self.tree.root)]
        while todo:
            path, node = todo.pop()
            if isinstance(node, Directory):
                assert node.children or not path, "a directory has a child"
                todo += [(path + b"/" + name, child) for name, child in node.children.items()]
                continue
            assert node is self.tree.find(path)
            assert node.path == path
            found[path] = (node.kind, node.owner, list(node.listeners))
        assert found == self.model


TestTree = TreeMachine.TestCase
TestTree.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
