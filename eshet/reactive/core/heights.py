"""Inputs that are added to a node later or removed, and the loops that they could close."""

from eshet.exceptions import DependencyLoop
from eshet.reactive.core.graph import Node
from eshet.reactive.core.transaction import ENDED

__all__ = ["add_input", "drop_input"]


def add_input(node: Node, new: Node) -> None:
    """Make a node depend on another, and raise it, and all that depends on it, above that one.

    Raises:
        DependencyLoop: `new` depends on `node`, or is it. Nothing has changed.
    """
    if new.height >= node.height:
        _raise_above(node, new)
    node.follow(new)
    node.transactions.shape += 1


def drop_input(node: Node, old: Node) -> None:
    """Remove an input of a node. The height of the node stays: a greater one does no harm."""
    if old not in node.inputs:
        return
    node.inputs = tuple(each for each in node.inputs if each is not old)
    node.transactions.shape += 1
    if old.dependents is not None and node in old.dependents:
        # A new list, as the old one may be under iteration.
        old.dependents = [each for each in old.dependents if each is not node] or None
    old.release()


def _raise_above(node: Node, new: Node) -> None:
    above = _inputs_first(node, new)
    transactions = node.transactions
    transactions.requeue(node, new.height + 1)
    for each in above[1:]:
        height = 1 + max(input_.height for input_ in each.inputs)
        if height > each.height:
            transactions.requeue(each, height)


def _inputs_first(node: Node, new: Node) -> list[Node]:
    """Return a node and all of its dependents, each after those of its inputs in the list.

    Raises:
        DependencyLoop: `new` is one of them.
    """
    finished: list[Node] = []
    seen = {node}
    path = [node]  # from `node` to the current position of the search
    branches = [iter(node.dependents or ())]
    while path:
        if path[-1] is new:
            raise DependencyLoop([each.describe() for each in path])
        for dependent in branches[-1]:
            if dependent not in seen and dependent.state != ENDED:
                seen.add(dependent)
                path.append(dependent)
                branches.append(iter(dependent.dependents or ()))
                break
        else:
            finished.append(path.pop())
            branches.pop()
    finished.reverse()
    return finished
