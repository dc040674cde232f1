"""What the server tells of itself, as ordinary actions under `/meta`."""

from collections.abc import Callable
from typing import Any, Final

from eshet import codec
from eshet.messages import ActionCall, Reply, ReplyError, WithId
from eshet.server.peer import Answer
from eshet.server.tree import Directory, Kind, Node, Tree, TreeError

__all__ = ["Meta"]


class Meta:
    """The owner of the nodes under `/meta`.

    Args:
        tree: what it tells of.
        now: the time, for the nodes that it makes.
    """

    def __init__(self, tree: Tree, now: float) -> None:
        self._tree = tree
        self._actions: Final[dict[str, Callable[..., Any]]] = {"/meta/ls": self.ls}
        for path in self._actions:
            tree.register(path, Kind.ACTION, self, now)

    def ask(self, answer: Answer, make: Callable[..., WithId], *fields: Any) -> None:
        """See `Owner.ask`. Only actions are ever asked for, as nothing else is registered."""
        message = make(0, *fields)
        if not isinstance(message, ActionCall):
            raise TypeError(f"{make.__name__} of an action")
        try:
            result = self._actions[message.path](codec.unpack(message.value))
        except TreeError as error:
            answer(ReplyError, codec.pack(error.code))
        else:
            answer(Reply, codec.pack(result))

    def ls(self, arguments: Any) -> Any:
        """Tell what is at a path: `["dir", [[name, kind], …]]`, or the kind of a node.

        Args:
            arguments: a list of the path, which may be `/` or end with a slash.

        Raises:
            TreeError: there is nothing, or `bad_args`.
        """
        match arguments:
            case [str(path)]:
                found = self._tree.look_up(path)
            case _:
                raise TreeError("bad_args")
        if isinstance(found, Directory):
            return ["dir", [[name, _kind(child)] for name, child in found.children.items()]]
        return _kind(found)


def _kind(found: Node | Directory) -> str:
    return "dir" if isinstance(found, Directory) else str(found.kind)
