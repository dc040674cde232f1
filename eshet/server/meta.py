"""What the server tells of itself, and what the wire has no message for: the nodes under `/meta`.

Each action takes a list of arguments like any other. What could be longer than a message comes in
pages: the answer says in `next` what to ask for the next one with, and that is nil at the end.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from eshet import codec
from eshet.messages import EventNotify
from eshet.server.peer import Asked, Peer, TookLong
from eshet.server.router import Router
from eshet.server.tree import Directory, Kind, Node, TreeError
from eshet.text import shorten

__all__ = ["Gone", "Meta"]

_LONG: Final = frozenset({b"/meta/ls", b"/meta/tree", b"/meta/clients", b"/meta/stats"})
"""Actions that go through all nodes of a directory, or all clients."""

_PAGE: Final = 48_000
"""How many bytes of entries go into one page, so that the page fits into a message."""


class Gone(NamedTuple):
    """A client whose connection was ended by the server, or broke."""

    client_id: bytes
    reason: str
    at: float


class Meta:
    """The owner of the nodes under `/meta`.

    Args:
        router: what it tells of.
        gone: of whom the connection has ended, and why.
        now: the time.
    """

    def __init__(self, router: Router, gone: Sequence[Gone], now: float) -> None:
        self._router = router
        self._gone = gone
        self._since = now
        self._actions: Final[dict[bytes, Callable[[Peer, Any], Any]]] = {
            b"/meta/ls": self.ls,
            b"/meta/tree": self.tree,
            b"/meta/clients": self.clients,
            b"/meta/stats": self.stats,
            b"/meta/unregister": self.unregister,
        }
        for path in self._actions:
            router.tree.register(path, Kind.ACTION, self, now)
        self._changed = router.tree.register(b"/meta/changed", Kind.EVENT, self, now)
        router.tree.on_change = self._on_change

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """See `Owner.ask`. Only calls ever come, since no property or state is registered.

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
            caller.reply(request_id, codec.pack(result))
        if path in _LONG:
            raise TookLong

    def _on_change(self, node: Node, change: str) -> None:
        """Emit `/meta/changed`: a node came or went."""
        if self._changed.listeners:
            payload = codec.pack([change, node.path.decode(), str(node.kind)])
            self._router.notify(self._changed, EventNotify.code, b"/meta/changed\0" + payload)

    # --- the actions --------------------------------------------------------------------------

    def ls(self, caller: Peer, arguments: Any) -> Any:
        """Tell what is at a path: `["dir", [[name, kind], …]]`, or the kind of a node.

        Args:
            caller: who asks.
            arguments: a list of the path, which may be `/` or end with a slash; for a page of a
                directory also the name after which it begins, `""` for the first: the answer has
                `next` as a third item then.

        Raises:
            TreeError: there is nothing, or `bad_args`.
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
            return str(found.kind)
        if after is None:
            return [
                "dir",
                [[name.decode(), _kind(child)] for name, child in found.children.items()],
            ]
        directory = path.encode().removesuffix(b"/") + b"/"
        later = self._router.tree.ordered.names(directory, after.encode())
        page, rest = _page([name.decode(), _kind(found.children[name])] for name in later)
        return ["dir", page, rest and rest[0]]

    def tree(self, caller: Peer, arguments: Any) -> Any:
        """Tell of all nodes, in the order of their paths: a map of `nodes` and `next`.

        Each node is `[path, kind, owner, value, listeners]`: the id of its owner, `["meta"]` for
        the server and nil for nobody; `["known", value]` or `"unknown"` for a state, else nil; and
        how many hear of it. A value that is longer than a page is shown as `["long", bytes]`.

        Args:
            caller: who asks.
            arguments: an empty list for the first page, or one of the path after which it begins.

        Raises:
            TreeError: `bad_args`.
        """
        after = _optional_text(arguments).encode()
        tree = self._router.tree
        page, rest = _page(_node(tree.find(path)) for path in tree.ordered.after(after))
        return {"nodes": page, "next": rest and rest[0]}

    def clients(self, caller: Peer, arguments: Any) -> Any:
        """Tell who is connected: a map of `clients`, `next` and `gone`.

        Each client is a map of its `id`, its `address`, for how many seconds it has been connected
        (`connected_s`), what it owns (`owns`) and hears (`hears`) as the number of nodes, how many
        bytes wait for it since it reads slowly (`queue`), and how many were `received` from it and
        `sent`. `gone` has the last whose connections were not ended by themselves, newest first
        and as many as fit: `[id, reason, seconds]` since then.

        Args:
            caller: who asks.
            arguments: an empty list for the first page, or one of the number of clients to skip.

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
        page, rest = _page(map(self._client, peers))
        now = self._router.now()
        gone, _ = _page(
            (
                [codec.unpack(g.client_id), shorten(g.reason, 200), round(now - g.at, 3)]
                for g in reversed(self._gone)
            ),
            _PAGE // 4,  # beside a page of clients
        )
        return {"clients": page, "next": rest and skip + len(page), "gone": gone}

    def stats(self, caller: Peer, arguments: Any) -> Any:
        """Tell how much there is: a map of numbers.

        `clients`, `nodes`, `uptime_s`, and of all clients together: bytes `received` and `sent`
        since each connected, and the bytes in their `queue`s.

        Raises:
            TreeError: `bad_args`: it takes none.
        """
        if arguments != []:
            raise TreeError("bad_args")
        lines = [peer.line.describe() for peer in self._router.peers.values()]
        totals = {name: sum(line[name] for line in lines) for name in ("received", "sent", "queue")}
        return {
            "clients": len(lines),
            "nodes": self._router.tree.size,
            "uptime_s": round(self._router.now() - self._since, 3),
            **totals,
        }

    def unregister(self, caller: Peer, arguments: Any) -> None:
        """Take back what the caller is to a node: its owner, its listener, its observer.

        Args:
            caller: whose.
            arguments: a list of the path.

        Raises:
            TreeError: as `find`; `not_owner` if it is none of these; `bad_args`.
        """
        match arguments:
            case [str(path)]:
                self._router.withdraw(caller, path.encode())
            case _:
                raise TreeError("bad_args")

    def _client(self, peer: Peer) -> dict[str, Any]:
        tree = self._router.tree
        return {
            "id": codec.unpack(peer.client_id),
            "owns": tree.owned_by(peer),
            "hears": tree.heard_by(peer),
            **peer.line.describe(),
        }


def _optional_text(arguments: Any) -> str:
    match arguments:
        case []:
            return ""
        case [str(text)]:
            return text
        case _:
            raise TreeError("bad_args")


def _node(node: Node) -> list[Any]:
    owner = node.owner
    whose = codec.unpack(owner.client_id) if isinstance(owner, Peer) else owner and ["meta"]
    value: Any = None
    if node.kind is Kind.STATE:
        value = "unknown" if node.value is None else _value(node.value)
    return [node.path.decode(), str(node.kind), whose, value, len(node.listeners)]


def _value(packed: bytes) -> list[Any]:
    if len(packed) > _PAGE:
        return ["long", len(packed)]
    return ["known", codec.unpack(packed)]


def _kind(found: Node | Directory) -> str:
    return "dir" if isinstance(found, Directory) else str(found.kind)


def _page(entries: Iterator[Any], most: int = _PAGE) -> tuple[list[Any], list[Any] | None]:
    """Return as many entries as fit into a page, and the last of them if more follow."""
    page: list[Any] = []
    size = 0
    for entry in entries:
        size += len(codec.pack(entry))
        if page and size > most:
            return page, page[-1]
        page.append(entry)
    return page, None
