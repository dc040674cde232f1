"""What the server tells of itself, as ordinary actions under `/meta`."""

from collections.abc import Callable
from typing import Any, Final

from eshet import codec
from eshet.server.peer import Asked
from eshet.server.tree import Directory, Kind, Node, Tree, TreeError

__all__ = ["Meta"]


class Meta:
    """The owner of the nodes under `/meta`, which are actions.

    Args:
        tree: what it tells of.
        now: the time, for the nodes that it makes.
    """

    def __init__(self, tree: Tree, now: float) -> None:
        self._tree = tree
        self._actions: Final[dict[bytes, Callable[..., Any]]] = {b"/meta/ls": self.ls}
        for path in self._actions:
            tree.register(path, Kind.ACTION, self, now)

    def ask(self, asked: Asked, code: int, rest: bytes) -> None:
        """See `Owner.ask`. Only calls ever come, since only actions are registered."""
        path, _, arguments = rest.partition(b"\0")
        try:
            result = self._actions[path](codec.unpack(arguments))
        except TreeError as error:
            asked.peer.fail(asked.request_id, codec.pack(error.code))
        else:
            asked.peer.reply(asked.request_id, codec.pack(result))

    def ls(self, arguments: Any) -> Any:
        """Tell what is at a path: `["dir", [[name, kind], …]]`, or the kind of a node.

        Args:
            arguments: a list of the path, which may be `/` or end with a slash.

        Raises:
            TreeError: there is nothing, or `bad_args`.
        """
        match arguments:
            case [str(path)]:
                found = self._tree.look_up(path.encode())
            case _:
                raise TreeError("bad_args")
        if isinstance(found, Directory):
            children = found.children.items()
            return ["dir", [[name.decode(), _kind(child)] for name, child in children]]
        return _kind(found)


def _kind(found: Node | Directory) -> str:
    return "dir" if isinstance(found, Directory) else str(found.kind)
