"""Callbacks on nodes, which are called after a transaction has settled."""

from collections.abc import Callable
from typing import Any

from eshet.reactive.graph import ENDED, Node
from eshet.scope import Owned, Scope, current_scope, report_error

__all__ = ["Subscription", "subscribe"]

Callback = Callable[[Any], object]


class Subscription:
    """A callback that hears of each change or emission, until `dispose` is called.

    It keeps what it listens to alive.
    """

    __slots__ = ("_owned", "_scope", "callback", "node")

    def __init__(self, node: Node, callback: Callback, scope: Scope | None) -> None:
        self.callback: Callback | None = callback
        self.node = node
        self._scope = scope
        self._owned: Owned | None = None
        node.uses += 1
        if node.state == ENDED:
            return  # there is nothing to hear
        if node.callbacks is None:
            node.callbacks = {}
        node.callbacks[self] = None

    def __repr__(self) -> str:
        state = "disposed" if self.callback is None else f"{self.callback!r}"
        return f"<Subscription to {self.node.label()}: {state}>"

    def dispose(self) -> None:
        """Stop listening, at once. A second call does nothing."""
        if self.callback is None:
            return
        self.callback = None
        if self._owned is not None:
            self._owned.forget()
            self._owned = None  # it holds `dispose`, and so this
        if self.node.callbacks is not None:
            self.node.callbacks.pop(self, None)
        self.node.release()

    def call(self, value: Any) -> None:
        """Call the callback, in its own scope; an error is reported there."""
        callback = self.callback
        if callback is None:
            return  # an earlier callback of the same transaction disposed it
        scope = self._scope
        try:
            if scope is None or scope is current_scope():
                callback(value)
            else:
                with scope.active():
                    callback(value)
        except Exception as error:
            self._report(error)

    def _report(self, error: BaseException) -> None:
        doing = f"callback of {self.node.label()}"
        if self._scope is not None:
            self._scope.report(error, doing)
        else:
            report_error(error, doing)


def subscribe(node: Node, callback: Callback) -> Subscription:
    """Call back at each change of a node, until the current scope is disposed."""
    scope = current_scope()
    subscription = Subscription(node, callback, scope)
    if scope is not None:
        subscription._owned = scope.own(subscription.dispose)
    return subscription
