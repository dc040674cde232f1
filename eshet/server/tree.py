"""The tree of nodes, with their owners, listeners, and the values of states. No I/O.

A node is a leaf of one of four kinds. Its directories are created with it and removed with their
last leaf. The cost of every operation is independent of the size of the tree. Paths are bytes, as
in messages.

Invariants: a path in the index is a node or a directory, never both; a node is in the tree as long
as it has an owner or a listener; a directory as long as it has a child; a state without an owner
has no value; the sets of nodes per owner and per listener agree with the nodes.
"""

import enum
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from eshet.paths import MAX_DEPTH, MAX_LENGTH, is_wire_path
from eshet.server.memory import shrunk
from eshet.server.path_index import PathIndex
from eshet.server.peer import Owner, Peer

__all__ = ["Directory", "NodeKind", "Tree", "TreeError", "TreeNode"]


class NodeKind(enum.StrEnum):
    """The kinds of nodes, as `/meta/ls` names them."""

    ACTION = "action"
    PROP = "prop"
    EVENT = "event"
    STATE = "state"


class TreeError(Exception):
    """A request that the tree can't carry out; its code is the answer.

    Args:
        code: the error value of the protocol.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(slots=True, eq=False)
class TreeNode:
    """A leaf of the tree.

    Args:
        path: its path.
        kind: its kind.
        since: when the state last changed, or when the node was made.
    """

    path: bytes
    kind: NodeKind
    since: float
    owner: Owner | None = None
    value: bytes | None = None
    """The packed value of a state; None if it is unknown."""
    listeners: dict[Peer, Callable[[bytes], None]] = field(default_factory=dict)
    """The listeners and observers in the order of their requests, and how to send to each."""


@dataclass(slots=True, eq=False)
class Directory:
    """A directory, with its children by name, in the order in which they were added."""

    children: "dict[bytes, TreeNode | Directory]" = field(default_factory=dict)


class Tree:
    """All nodes of a server.

    Args:
        max_length: the maximum length of a path, in bytes.
        max_depth: the maximum number of names in a path.
    """

    def __init__(self, max_length: int = MAX_LENGTH, max_depth: int = MAX_DEPTH) -> None:
        self.root: Final[Directory] = Directory()
        self.on_change: Callable[[TreeNode, str], None] | None = None
        """Called with a node that was `added` or `removed`, or that was there without an owner and
        is `owned` now; if it is set."""
        self.size: int = 0
        """The number of nodes."""
        self.ordered: Final = PathIndex(self.paths)
        """The paths of all nodes, in order."""
        self._max_length = max_length
        self._max_depth = max_depth
        self._index: dict[bytes, TreeNode | Directory] = {}
        self._owned: defaultdict[Owner, dict[TreeNode, None]] = defaultdict(dict)
        self._listened: defaultdict[Peer, dict[TreeNode, None]] = defaultdict(dict)

    def find(self, path: bytes) -> TreeNode:
        """Return the node at a path.

        Raises:
            TreeError: `invalid_path`, `path_not_found`, `path_is_directory` or `not_a_directory`.
        """
        node = self._index.get(path)
        if isinstance(node, TreeNode):
            return node
        raise TreeError("path_is_directory" if node is not None else self._why_missing(path))

    def node_at(self, path: bytes) -> TreeNode | None:
        """Return the node at a path; None if there is none."""
        node = self._index.get(path)
        return node if isinstance(node, TreeNode) else None

    def may_be(self, path: bytes) -> bool:
        """Whether there could be a node at a path, given the form of the path."""
        return self._why_missing(path) != "invalid_path"

    def look_up(self, path: bytes) -> TreeNode | Directory:
        """Return the node or directory at a path, which may be `/` or end with a slash.

        Raises:
            TreeError: `invalid_path`, `path_not_found` or `not_a_directory`.
        """
        if path == b"/":
            return self.root
        node = self._index.get(path.removesuffix(b"/"))
        if node is None:
            raise TreeError(self._why_missing(path.removesuffix(b"/")))
        if isinstance(node, TreeNode) and path.endswith(b"/"):
            raise TreeError("not_a_directory")
        return node

    def register(self, path: bytes, kind: NodeKind, owner: Owner, now: float) -> TreeNode:
        """Give a node an owner, and create the node if needed.

        Raises:
            TreeError: the errors of `find`, and `path_already_exists` if it has an owner or another
                kind.
        """
        is_known = path in self._index
        node = self._ensure(path, kind, now)
        if node.owner is not None:
            raise TreeError("path_already_exists")
        node.owner = owner
        self._owned[owner][node] = None
        if is_known and self.on_change is not None:
            self.on_change(node, "owned")
        return node

    def listen(self, path: bytes, kind: NodeKind, listener: Peer, now: float) -> TreeNode:
        """Add a listener or observer to a node, and create the node if needed.

        Raises:
            TreeError: the errors of `find`, and `path_already_exists` if it has another kind.
        """
        node = self._ensure(path, kind, now)
        node.listeners[listener] = listener.send
        self._listened[listener][node] = None
        return node

    def paths(self) -> list[bytes]:
        """Return the paths of all nodes."""
        return [path for path, node in self._index.items() if isinstance(node, TreeNode)]

    def owned_by(self, owner: Owner) -> int:
        """Return the number of nodes of an owner."""
        return len(self._owned.get(owner, ()))

    def listened_by(self, listener: Peer) -> int:
        """Return the number of nodes that a client listens to or observes."""
        return len(self._listened.get(listener, ()))

    def release(self, owner: Owner) -> list[tuple[TreeNode, bool]]:
        """Remove an owner from all its nodes.

        Returns:
            Each node, and whether it had a value, which is now unknown.
        """
        nodes = self._owned.pop(owner, {})
        self._owned = shrunk(self._owned)
        return [(node, self._disown(node)) for node in nodes]

    def nodes_of(self, owner: Owner) -> list[TreeNode]:
        """Return the nodes of an owner, in the order of their registration."""
        return list(self._owned.get(owner, ()))

    def nodes_listened_by(self, listener: Peer) -> list[TreeNode]:
        """Return the nodes that a client listens to or observes, in the order of its requests."""
        return list(self._listened.get(listener, ()))

    def pass_on(self, node: TreeNode, owner: Owner) -> None:
        """Give a node that has an owner to another one, with its value and listeners."""
        if node.owner is not None:
            _remove(self._owned, node.owner, node)
        node.owner = owner
        self._owned[owner][node] = None

    def disown(self, node: TreeNode) -> bool:
        """Remove the owner of a node; return whether it had a value, which is now unknown."""
        if node.owner is not None:
            _remove(self._owned, node.owner, node)
        return self._disown(node)

    def _disown(self, node: TreeNode) -> bool:
        was_known = node.value is not None
        node.owner = node.value = None
        self._drop_if_idle(node)
        return was_known

    def unlisten(self, listener: Peer, node: TreeNode) -> None:
        """Remove a listener or observer from a node."""
        _remove(self._listened, listener, node)
        self._remove_listener(listener, node)

    def unlisten_all(self, listener: Peer) -> None:
        """Remove a listener or observer from all its nodes."""
        nodes = self._listened.pop(listener, {})
        self._listened = shrunk(self._listened)
        for node in nodes:
            self._remove_listener(listener, node)

    def _remove_listener(self, listener: Peer, node: TreeNode) -> None:
        del node.listeners[listener]
        node.listeners = shrunk(node.listeners)
        self._drop_if_idle(node)

    def _ensure(self, path: bytes, kind: NodeKind, now: float) -> TreeNode:
        node = self._index.get(path)
        if node is None:
            return self._insert(path, kind, now)
        if isinstance(node, Directory):
            raise TreeError("path_is_directory")
        if node.kind is not kind:
            raise TreeError("path_already_exists")
        return node

    def _insert(self, path: bytes, kind: NodeKind, now: float) -> TreeNode:
        code = self._why_missing(path)
        if code != "path_not_found":
            raise TreeError(code)
        node: TreeNode = TreeNode(path, kind, now)
        self._index[path] = node
        self.size += 1
        self.ordered.add(path)
        self._attach(path, node)
        if self.on_change is not None:
            self.on_change(node, "added")
        return node

    def _attach(self, path: bytes, child: TreeNode | Directory) -> None:
        """Add a child to its directory, and create missing directories."""
        while True:
            above, _, name = path.rpartition(b"/")
            directory = self.root if not above else self._index.get(above)
            if isinstance(directory, Directory):
                directory.children[name] = child
                return
            made: Directory = Directory({name: child})
            self._index[above] = made
            path, child = above, made

    def _drop_if_idle(self, node: TreeNode) -> None:
        if node.owner is None and not node.listeners:
            self._drop(node)
            self._index = shrunk(self._index)

    def _drop(self, node: TreeNode) -> None:
        path = node.path
        del self._index[path]
        self.size -= 1
        self.ordered.remove(path)
        if self.on_change is not None:
            self.on_change(node, "removed")
        while path:
            above, _, name = path.rpartition(b"/")
            directory = cast(Directory, self._index[above] if above else self.root)
            del directory.children[name]
            directory.children = shrunk(directory.children)
            if directory.children or not above:
                return
            del self._index[above]
            path = above

    def _why_missing(self, path: bytes) -> str:
        """Return the error value for a path that is not in the index."""
        # The limits come first, since the rest takes time in proportion to both.
        if len(path) > self._max_length or path.count(b"/") > self._max_depth:
            return "invalid_path"
        if not is_wire_path(path):
            return "invalid_path"
        above = path.rpartition(b"/")[0]
        while above:
            node = self._index.get(above)
            if isinstance(node, TreeNode):
                return "not_a_directory"
            if node is not None:
                break
            above = above.rpartition(b"/")[0]
        return "path_not_found"


_Of = TypeVar("_Of")


def _remove(nodes: dict[_Of, dict[TreeNode, None]], of: _Of, node: TreeNode) -> None:
    """Remove a node from the set of an owner or listener."""
    del nodes[of][node]
    nodes[of] = shrunk(nodes[of])
