"""Callbacks on nodes, which are called after a transaction has settled."""

from collections.abc import Callable
from typing import Any

from eshet.exceptions import WrongThread
from eshet.reactive.graph import Node
from eshet.reactive.transaction import ENDED, here
from eshet.scope import Owned, Scope, current_scope, report_error, within

__all__ = ["Subscription", "subscribe"]

Callback = Callable[[Any], object]


class Subscription:
    """A callback that hears of each change or emission, until `dispose` is called.

    It keeps what it listens to alive.

    Args:
        node: what to listen to.
        callback: what to call.
        scope: in which to call it.
        listener: the node that changes by it, if it is there for one.

    Raises:
        WrongThread: the node belongs to another thread.
    """

    __slots__ = ("_owned", "callback", "listener", "node", "scope")

    def __init__(
        self, node: Node, callback: Callback, scope: Scope | None, listener: Node | None = None
    ) -> None:
        if node.transactions is not here.transactions:
            raise WrongThread(node.describe(), node.transactions.thread)
        self.listener = listener
        self.callback: Callback | None = callback
        self.node = node
        self.scope = scope
        self._owned: Owned | None = None
        node.uses += 1
        if node.transactions.running:
            node.transactions.joining.append(self)
        else:
            self.join()

    def join(self) -> None:
        """Begin to listen. What is made in a callback does so when all callbacks were called."""
        node = self.node
        if node.state == ENDED or self.callback is None:
            return  # there is nothing to hear
        if node.callbacks is None:
            node.callbacks = [self]
        else:
            node.callbacks.append(self)

    def __repr__(self) -> str:
        state = "disposed" if self.callback is None else f"{self.callback!r}"
        return f"<Subscription to {self.node.describe()}: {state}>"

    def dispose(self) -> None:
        """Stop listening, at once. A second call does nothing."""
        if self.callback is None:
            return
        self.callback = None
        if self._owned is not None:
            self._owned.forget()
            self._owned = None  # it holds `dispose`, and so this
        _sweep(self.node)
        self.node.release()

    def report(self, error: BaseException) -> None:
        """Report an error of the callback to its scope."""
        doing = f"callback of {self.node.describe()}"
        if self.scope is not None:
            self.scope.report(error, doing)
        else:
            with within(None):
                report_error(error, doing)


def subscribe(node: Node, callback: Callback) -> Subscription:
    """Call back at each change of a node, until the current scope is disposed."""
    scope = current_scope()
    subscription = Subscription(node, callback, scope)
    if scope is not None:
        subscription._owned = scope.own(subscription.dispose)
    return subscription


def _sweep(node: Node) -> None:
    """Drop the disposed callbacks of a node if they are more than half of all."""
    if node.callbacks is None:
        return
    node.silent += 1
    if node.silent * 2 > len(node.callbacks):
        node.callbacks = [each for each in node.callbacks if each.callback is not None] or None
        node.silent = 0
