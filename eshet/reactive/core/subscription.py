"""Callbacks on nodes, called after a transaction has settled."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from eshet.callables import not_callable
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.graph import Node, ValueNode
from eshet.reactive.core.transaction import ENDED, thread_local
from eshet.scope import Ownership, Scope, current_scope, is_contained, report_error, use_scope
from eshet.utils import in_task

__all__ = ["Preparation", "Subscription", "subscribe"]

Callback = Callable[[Any], object]


class Subscription:
    """A callback for each change or emission of a node, until `dispose` is called.

    It keeps its node alive.

    Args:
        node: the node to observe.
        callback: what to call.
        scope: the scope in which to call it.
        listener: the node that the callback changes, if it exists for one.
        is_sink: whether this is a sink, which decides by itself whether to send a value.
        waits: whether it becomes active only when `join` is called.

    Raises:
        WrongThread: the node belongs to another thread.
    """

    __slots__ = (
        "_joined",
        "_owned",
        "callback",
        "is_quiet",
        "listener",
        "node",
        "observed",
        "scope",
    )

    def __init__(
        self,
        node: Node,
        callback: Callback,
        scope: Scope | None,
        listener: Node | None = None,
        *,
        is_sink: bool = False,
        waits: bool = False,
    ) -> None:
        if node.transactions is not thread_local.transactions:
            raise node.wrong_thread()
        self.listener: Node | None = listener
        self.is_quiet: bool = (is_sink or listener is not None) and isinstance(node, ValueNode)
        """Whether a hand-over calls it while values are restored, and not when it notifies."""
        self._joined = False
        self.callback: Callback | None = callback
        self.node: Node = node
        """The node that calls it."""
        self.observed: Node = node
        """The node whose values or emissions it is called with; see `move_to`."""
        self.scope: Scope | None = scope
        self._owned: Ownership | None = None
        node.uses += 1
        if waits:
            return
        if node.transactions.running:
            node.transactions.pending_subscriptions.append(self)
        else:
            self.join()

    def join(self) -> None:
        """Become active. One made in a callback does so after all callbacks were called."""
        node = self.node
        if node.state == ENDED or self.callback is None:
            return
        self._joined = True
        if node.callbacks is None:
            node.callbacks = [self]
        else:
            node.callbacks.append(self)

    def move_to(self, node: Node) -> None:
        """Let another node call it from now on, with the values of the one it was made for."""
        left = self.node
        if self._joined and left.callbacks is not None:
            # A new list, as the old one may be under iteration.
            left.callbacks = [each for each in left.callbacks if each is not self] or None
        self.node = node
        node.uses += 1
        if self._joined:
            self.join()
        left.release()

    def __repr__(self) -> str:
        state = "disposed" if self.callback is None else f"{self.callback!r}"
        return f"<Subscription to {self.node.describe()}: {state}>"

    def dispose(self) -> None:
        """Stop the callback at once. A second call does nothing."""
        if self.callback is None:
            return
        self.callback = None
        if self._owned is not None:
            self._owned.forget()
            self._owned = None  # it refers to `dispose`, and so to this
        if self._joined:
            _sweep(self.node)
        self.node.release()

    def call(self, value: object) -> None:
        """Call the callback, unless this is disposed; an error is reported."""
        if self.callback is None:
            return
        try:
            with use_scope(self.scope):
                self.run(self.callback(value))
        except BaseException as error:
            if not is_contained(error, self.scope):
                raise
            self.report(error)

    def run(self, returned: object) -> None:
        """Run the result of the callback as a task of the scope, if it is a coroutine."""
        if inspect.iscoroutine(returned):
            coroutine = returned

            def work() -> Coroutine[Any, Any, Any]:
                return coroutine

            work.__qualname__ = coroutine.__qualname__
            task = in_task(work)()
            task.add_done_callback(lambda _: coroutine.close())  # if it ended before its first step

    def report(self, error: BaseException) -> None:
        """Report an error of the callback to its scope."""
        doing = f"callback of {self.node.describe()}"
        if self.scope is not None:
            self.scope.report(error, doing)
        else:
            with use_scope(None):
                report_error(error, doing)


class Preparation:
    """The callbacks of a version that is being prepared: they are not active yet.

    Args:
        scope: of the version, or of a part of it.
    """

    def __init__(self, scope: Scope) -> None:
        self.is_under_way: bool = False
        """Whether new callbacks have to wait."""
        self._waiting: list[tuple[Subscription, bool]] = []

    def add(self, subscription: Subscription, *, current: bool) -> None:
        """Add a callback that waits.

        Args:
            subscription: of the callback.
            current: whether to call it first with the current value.
        """
        self._waiting.append((subscription, current))

    @property
    def subscriptions(self) -> list[Subscription]:
        """The waiting callbacks."""
        return [subscription for subscription, _ in self._waiting]

    def end(self) -> list[Subscription]:
        """Activate all of them; return those to call with the current values of their nodes."""
        self.is_under_way = False
        waiting, self._waiting = self._waiting, []
        for subscription, _ in waiting:
            subscription.join()
        return [subscription for subscription, current in waiting if current]


def subscribe(
    node: Node, callback: Callback, *, current: bool = False, is_sink: bool = False
) -> Subscription:
    """Call back at each change of a node, until the current scope is disposed.

    A coroutine that the callback returns runs as a task of that scope. In a version that is being
    prepared, callbacks become active at the hand-over; see `Preparation`.

    Args:
        node: the node to observe.
        callback: what to call.
        current: whether to call it first with the current value of the node.
        is_sink: see `Subscription`; a sink does not wait for the hand-over.

    Raises:
        ReactiveTypeError: the callback can't be called.
    """
    if not callable(callback):
        raise not_callable(callback, f"a callback of {node.describe()}", ReactiveTypeError)
    scope = current_scope()
    preparation = None if scope is None or is_sink else scope.find(Preparation)
    waits = preparation is not None and preparation.is_under_way
    subscription = Subscription(node, callback, scope, is_sink=is_sink, waits=waits)
    if scope is not None:
        subscription._owned = scope.own(subscription.dispose)
    if preparation is not None and waits:
        preparation.add(subscription, current=current)
    elif current:
        subscription.run(callback(node.value))
    return subscription


def _sweep(node: Node) -> None:
    """Drop the disposed callbacks of a node if they are more than half of all."""
    if node.callbacks is None:
        return
    node.dead_callbacks += 1
    if node.dead_callbacks * 2 > len(node.callbacks):
        node.callbacks = [each for each in node.callbacks if each.callback is not None] or None
        node.dead_callbacks = 0
