"""Tracing of transactions: which node ran, why, and how it changed.

Without a tracer, this costs one check in each transaction. With one, `Tracer` settles in place of
`Transactions`: without its short cuts, step by step.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eshet.reactive.core.graph import ValueNode
from eshet.reactive.core.markers import NoValue
from eshet.reactive.core.transaction import (
    ENDED,
    IDLE,
    QUEUED,
    ChangeSource,
    SettlingNode,
    Transactions,
    current_scope,
    thread_local,
)
from eshet.scope import Ownership, Scope, current, is_contained, report_error, use_scope

__all__ = ["Step", "Watching", "on_transaction"]


class Step(NamedTuple):
    """The step of one node in a transaction.

    Attributes:
        node: compare it with `is`.
        because: the changed inputs for which it ran; empty for the source that was set.
        before: the previous value of a Value.
        after: the new value of a Value, or the tuple of an Event's emissions.
        changed: whether its dependents were notified.
        error: the exception of its function.
    """

    node: SettlingNode
    because: Sequence[SettlingNode]
    before: Any
    after: Any
    changed: bool
    error: BaseException | None = None

    @property
    def name(self) -> str:
        """The description of the node, with the place where it was made."""
        return self.node.describe()

    @property
    def scope(self) -> str | None:
        """The name of the scope that owns the node."""
        return None if self.node.owner is None else self.node.owner.scope.name

    def __str__(self) -> str:
        because = ", ".join(node.describe() for node in self.because) or "it was set"
        if self.error is not None:
            return f"{self.name}: {self.error!r}, because: {because}"
        return f"{self.name}: {self.before!r} -> {self.after!r}, because: {because}"


StepsCallback = Callable[[list[Step]], object]


class Watching:
    """A function that is called for each transaction, until `dispose` is called."""

    __slots__ = ("_owned", "_scope", "_transactions", "callback")

    def __init__(self, transactions: Transactions, callback: StepsCallback) -> None:
        self.callback: StepsCallback = callback
        self._transactions = transactions
        self._owned: Ownership | None = None
        self._scope: Scope | None = current.get()
        tracer = transactions.tracer
        watching = tracer.watching if isinstance(tracer, _Tracer) else ()
        transactions.tracer = _Tracer((*watching, self))
        if self._scope is not None:
            self._owned = self._scope.own(self.dispose)

    def dispose(self) -> None:
        """Stop the calls. A second call does nothing."""
        if self._owned is not None:
            self._owned.forget()
            self._owned = None
        tracer = self._transactions.tracer
        if isinstance(tracer, _Tracer):
            others = tuple(each for each in tracer.watching if each is not self)
            self._transactions.tracer = _Tracer(others) if others else None

    def notify(self, steps: list[Step]) -> None:
        """Call the function, in the scope in which it was registered."""
        if self._scope is not current_scope():
            with use_scope(self._scope):
                self.notify(steps)
            return
        try:
            self.callback(steps)
        except BaseException as error:
            if not is_contained(error, self._scope):
                raise
            report_error(error, "on_transaction")


def on_transaction(callback: StepsCallback) -> Watching:
    """Call a function with the steps of each transaction of this thread.

    It is called when all nodes have settled, before any of their callbacks. The first steps are
    those of the sources. Changes that it makes happen after this transaction.

    Returns:
        An object with a method `dispose` that ends it; disposing the current scope does so as well.
    """
    return Watching(thread_local.transactions, callback)


class _Tracer:
    """Settles as `Transactions` does, and reports each step."""

    __slots__ = ("watching",)

    def __init__(self, watching: tuple[Watching, ...]) -> None:
        self.watching = watching

    def settle(self, source: ChangeSource, value: object, transactions: Transactions) -> None:
        changed = source.held()
        source.take(value, transactions)
        if source.callbacks:
            transactions.to_notify.append(source)
        steps: list[Step] = []
        for node, before in changed.items():
            steps.append(_step((node, (), before, _now(node), True, None)))
        height, followers = source.height, source.dependents
        while followers and len(followers) == 1:  # as in Transactions, this needs no queue
            node = followers[0]
            if node.state == ENDED or not _settle(node, changed, steps, transactions):
                followers = None
                break
            height, followers = node.height, node.dependents
        if followers:
            for node in tuple(followers):  # nor do several of the same height
                if node.height != height + 1:
                    transactions.queue((node,))
                elif node.state == IDLE and _settle(node, changed, steps, transactions):
                    transactions.queue(node.dependents or ())
        while (level := transactions.lowest()) is not None:
            for node in level:
                if node.state == QUEUED:
                    node.state = IDLE
                    if _settle(node, changed, steps, transactions) and node.dependents:
                        transactions.queue(node.dependents)
            transactions.drop_lowest()
        for watching in self.watching:
            watching.notify(steps)


def _settle(
    node: SettlingNode,
    changed: dict[SettlingNode, object],
    steps: list[Step],
    transactions: Transactions,
) -> bool:
    """Settle a node, and record the step; return whether it changed."""
    because = node.inputs
    if len(because) > 1:
        because = [each for each in because if each in changed]
    holds = isinstance(node, ValueNode)
    before = node.value if holds else NoValue
    try:
        settled = node.settle(transactions)
    except BaseException as error:
        if not is_contained(error, node.owner):
            raise
        node.report(error)
        steps.append(_step((node, because, before, before, False, error)))
        return False
    after = node.value if holds else _now(node)
    steps.append(_step((node, because, before, after, settled, None)))
    if settled:
        changed[node] = before
        if node.callbacks:
            transactions.to_notify.append(node)
    return settled


# Like Step(), but in half of the time, since there is one for each node of each transaction.
_step: Callable[[tuple[object, ...]], Step] = functools.partial(tuple.__new__, Step)


def _now(node: Any) -> Any:
    return node.value if isinstance(node, ValueNode) else tuple(node.emissions)
