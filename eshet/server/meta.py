"""The nodes under `/meta`: the server's description of itself, and requests without a message.

Answers are joined from packed values: pages of Python objects would keep the garbage collector
busy, and a value of the maximum nesting could not be packed inside an answer.

Each action takes a list of arguments, like any other. Results that may be longer than a message
come in pages: `next` in the answer is the argument for the next page, or nil after the last.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from eshet import codec
from eshet.messages import NIL, EventNotify
from eshet.server.peer import Asked, Peer, TookLong
from eshet.server.router import Router
from eshet.server.tree import Directory, NodeKind, TreeError, TreeNode
from eshet.text import shorten

__all__ = ["Gone", "Meta"]

_LONG: Final = frozenset({b"/meta/ls", b"/meta/tree", b"/meta/clients", b"/meta/stats"})
"""Actions that iterate over all nodes of a directory, or over all clients."""

_PAGE: Final = 48_000
"""The maximum size of the entries of one page, in bytes, so that it fits into a message."""

_KINDS: Final = {kind: codec.pack(str(kind)) for kind in NodeKind}
_DIR: Final = codec.pack("dir")
_META: Final = codec.pack(["meta"])
_KNOWN: Final = codec.pack("known")
_UNKNOWN: Final = codec.pack("unknown")

K = TypeVar("K")


class Gone(NamedTuple):
    """A client that the server disconnected, or that lost its connection."""

    client_id: bytes
    reason: str
    at_ms: int
    """The server's time of the end. An integer, since Python reuses the memory of floats from all
    over the heap: after a flood each of these records might keep a MiB of memory."""


class Meta:
    """The owner of the nodes under `/meta`.

    Args:
        router: the router to describe.
        gone: the clients that were disconnected, and why.
        now: the time.
    """

    client_id: Final = _META
    """See `eshet.server.peer.Owner`."""

    def __init__(self, router: Router, gone: Sequence[Gone], now: float) -> None:
        self._router = router
        self._gone = gone
        self._since = now
        self._actions: Final[dict[bytes, Callable[[Peer, Any], bytes]]] = {
            b"/meta/ls": self.ls,
            b"/meta/tree": self.tree,
            b"/meta/clients": self.clients,
            b"/meta/stats": self.stats,
            b"/meta/unregister": self.unregister,
        }
        for path in self._actions:
            router.tree.register(path, NodeKind.ACTION, self, now)
        self._changed = router.tree.register(b"/meta/changed", NodeKind.EVENT, self, now)
        router.tree.on_change = self._on_change

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """See `Owner.ask`. Receives only calls, since it registers no property or state.

        Raises:
            TookLong: it has been answered, and that took long.
        """
        caller, request_id = asked
        path, _, arguments = rest.partition(b"\0")
        try:
            result = self._actions[path](caller, codec.unpack(arguments))
        except TreeError as error:
            caller.fail(request_id, codec.pack(error.code))
        else:
            caller.reply(request_id, result)
        if path in _LONG:
            raise TookLong

    def _on_change(self, node: TreeNode, change: str) -> None:
        """Emit `/meta/changed`, since a node was added or removed, or has got an owner."""
        if self._changed.listeners:
            payload = codec.pack([change, node.path.decode(), str(node.kind)])
            self._router.notify(self._changed, EventNotify.code, b"/meta/changed\0" + payload)

    # --- the actions --------------------------------------------------------------------------

    def ls(self, caller: Peer, arguments: object) -> bytes:
        """Return the content of a path: `["dir", [[name, kind], …]]`, or the kind of a node.

        Args:
            caller: the client that asks.
            arguments: a list of the path, which may be `/` or end with a slash; for a page of a
                directory also the name after which the page starts, `""` for the first page: then
                the answer has `next` as its third item.

        Raises:
            TreeError: the errors of `look_up`, or `bad_args`; `reply_too_long` for a directory that
                takes more than a page.
        """
        after: str | None = None
        match arguments:
            case [str(path)]:
                pass
            case [str(path), str(after)]:
                pass
            case _:
                raise TreeError("bad_args")
        found = self._router.tree.look_up(path.encode())
        if not isinstance(found, Directory):
            return _KINDS[found.kind]
        if after is None:
            page, rest = _page(_children(found, found.children))
            if rest is not None:
                raise TreeError("reply_too_long")
            return codec.join_list([_DIR, page])
        directory = path.encode().removesuffix(b"/") + b"/"
        later = self._router.tree.ordered.names(directory, after.encode())
        page, rest = _page(_children(found, later))
        return codec.join_list([_DIR, page, codec.pack(rest)])

    def tree(self, caller: Peer, arguments: object) -> bytes:
        """Return all nodes, in the order of their paths: a map of `nodes` and `next`.

        Each node is `[path, kind, owner, value, listeners]`: the id of its owner, `["meta"]` for
        the server and nil for none; `["known", value]` or `"unknown"` for a state, else nil; and
        the number of listeners. A value that is longer than a page is shown as `["long", bytes]`.

        Args:
            caller: the client that asks.
            arguments: an empty list for the first page, or a list of the path after which the page
                starts.

        Raises:
            TreeError: `bad_args`.
        """
        after = _optional_text(arguments).encode()
        tree = self._router.tree
        page, rest = _page(_node(tree.find(path)) for path in tree.ordered.after(after))
        return codec.join_map({"nodes": page, "next": codec.pack(rest)})

    def clients(self, caller: Peer, arguments: object) -> bytes:
        """Return the connected clients: a map of `clients`, `next` and `gone`.

        Each client is a map of its `id`, its `address`, the seconds since it connected
        (`connected_s`), the number of nodes that it owns (`owns`) and listens to or observes
        (`hears`), the bytes that wait for it because it reads slowly (`queue`), and the bytes that
        were `received` from it and `sent`. `gone` lists the last clients that did not disconnect by
        themselves, newest first, as many as fit: `[id, reason, seconds]` since the end.

        Args:
            caller: the client that asks.
            arguments: an empty list for the first page, or a list of the number of clients to skip.

        Raises:
            TreeError: `bad_args`.
        """
        match arguments:
            case []:
                skip = 0
            case [int(skip)]:
                pass
            case _:
                raise TreeError("bad_args")
        peers = itertools.islice(self._router.peers.values(), max(skip, 0), None)
        numbered = enumerate(peers, max(skip, 0) + 1)
        page, rest = _page((number, self._client(peer)) for number, peer in numbered)
        # Leave space for a page of clients.
        gone, _ = _page(map(self._describe_gone, reversed(self._gone)), _PAGE // 4)
        return codec.join_map({"clients": page, "next": codec.pack(rest), "gone": gone})

    def stats(self, caller: Peer, arguments: object) -> bytes:
        """Return the size and traffic of the server: a map of numbers.

        `clients`, `nodes`, `uptime_s`, and of all connected clients together: bytes `received` and
        `sent` since each connected, and the bytes in their `queue`s.

        Raises:
            TreeError: `bad_args`: there are arguments.
        """
        if arguments != []:
            raise TreeError("bad_args")
        received = sent = queue = 0
        for peer in self._router.peers.values():
            traffic = peer.line.traffic
            received += traffic.received
            sent += traffic.sent
            queue += traffic.queue
        return codec.pack(
            {
                "clients": len(self._router.peers),
                "nodes": self._router.tree.size,
                "uptime_s": round(self._router.now() - self._since, 3),
                "received": received,
                "sent": sent,
                "queue": queue,
            }
        )

    def unregister(self, caller: Peer, arguments: object) -> bytes:
        """Undo the caller's registration, listening and observation of a node.

        Args:
            caller: the client that asks.
            arguments: a list of the path.

        Raises:
            TreeError: the errors of `Tree.find`; `not_owner` if there is none of these; `bad_args`.
        """
        match arguments:
            case [str(path)]:
                self._router.withdraw(caller, path.encode())
                return NIL
            case _:
                raise TreeError("bad_args")

    def _client(self, peer: Peer) -> bytes:
        tree = self._router.tree
        described = {
            "owns": tree.owned_by(peer),
            "hears": tree.listened_by(peer),
            **peer.line.describe(),
        }
        packed = {name: codec.pack(value) for name, value in described.items()}
        return codec.join_map({"id": peer.client_id, **packed})

    def _describe_gone(self, gone: Gone) -> tuple[None, bytes]:
        seconds = round(self._router.now() - gone.at_ms / 1000, 3)
        reason = codec.pack(shorten(gone.reason, 200))
        return None, codec.join_list([gone.client_id, reason, codec.pack(seconds)])


def _optional_text(arguments: object) -> str:
    match arguments:
        case []:
            return ""
        case [str(text)]:
            return text
        case _:
            raise TreeError("bad_args")


def _children(directory: Directory, names: Iterable[bytes]) -> Iterable[tuple[str, bytes]]:
    """Yield each name, and a packed list of the name and its kind."""
    for name in names:
        text = name.decode()
        child = directory.children[name]
        kind = _DIR if isinstance(child, Directory) else _KINDS[child.kind]
        yield text, codec.join_list([codec.pack(text), kind])


def _node(node: TreeNode) -> tuple[str, bytes]:
    """Return the path of a node, and its packed description."""
    path, owner, value = node.path.decode(), NIL, NIL
    if node.owner is not None:
        owner = node.owner.client_id
    if node.kind is NodeKind.STATE:
        value = _UNKNOWN if node.value is None else _value(node.value)
    listeners = codec.pack(len(node.listeners))
    return path, codec.join_list([codec.pack(path), _KINDS[node.kind], owner, value, listeners])


def _value(packed: bytes) -> bytes:
    if len(packed) > _PAGE:
        return codec.pack(["long", len(packed)])
    return codec.join_list([_KNOWN, packed])


def _page(entries: Iterable[tuple[K, bytes]], most: int = _PAGE) -> tuple[bytes, K | None]:
    """Return as many entries as fit into a page.

    Args:
        entries: pairs of the argument for the next page, if it starts after this entry, and the
            packed entry.
        most: the size of a page in bytes.

    Returns:
        The packed list; and the argument for the next page if more entries follow, else None.
    """
    page: list[bytes] = []
    size, last = 0, None
    for key, entry in entries:
        size += len(entry)
        if page and size > most:
            return codec.join_list(page), last
        page.append(entry)
        last = key
    return codec.join_list(page), None
