"""Callbacks that collect data for a node with a user function: they run before that function.

Later versions of yarp document this way to write a node::

    values = [v.value]
    v.on_value_changed(values.append)
    history = Value(inputs=(v,), get_value=values.copy)

Callbacks usually run after all nodes have settled, when `values.copy` has already returned the old
list. So when such a node is made, the callbacks that the same scope has on its inputs move to a
node between the two, which calls them as it settles. All other callbacks still run after settling,
where they never see a half-updated graph.
"""

from collections.abc import Iterable

from eshet.reactive.core.graph import EventNode, Node
from eshet.reactive.core.subscription import Preparation, Subscription
from eshet.reactive.core.transaction import Transactions, current_scope
from eshet.scope import Scope

__all__ = ["callbacks_first"]


def callbacks_first(inputs: Iterable[Node]) -> list[Node]:
    """Return the inputs of a node, and the nodes that call the earlier callbacks on them.

    Args:
        inputs: of a node with a user function, which is about to be made.
    """
    scope = current_scope()
    following: list[Node] = []
    for node in inputs:
        following.append(node)
        following += [each for each in node.dependents or () if _calls_for(each, scope)]
        subscriptions = [each for each in _subscriptions(node, scope) if _collects(each)]
        if subscriptions:
            following.append(_CallbacksFirst(node, subscriptions))
    return following


class _CallbacksFirst(EventNode):
    """Calls callbacks of its input as it settles; it emits nothing."""

    __slots__ = ("_scope", "_subscriptions")

    def __init__(self, node: Node, subscriptions: list[Subscription]) -> None:
        super().__init__([node])
        self._scope = current_scope()
        self._subscriptions = subscriptions  # they may still wait to become its `callbacks`
        for subscription in subscriptions:
            subscription.move_to(self)

    def settle(self, transactions: Transactions) -> bool:
        (node,) = self.inputs
        if transactions.quiet or (transactions.known and transactions.repeats_known_value(node)):
            return False
        for value in node.emissions if isinstance(node, EventNode) else (node.value,):
            for subscription in tuple(self.callbacks or ()):
                subscription.call(value)
        return False

    def is_of(self, node: Node) -> bool:
        return node in self.inputs and self._has_callbacks

    def calls_for(self, scope: Scope | None) -> bool:
        """Whether it calls callbacks of this scope."""
        return self._scope is scope and self._has_callbacks

    @property
    def _has_callbacks(self) -> bool:
        return any(each.callback is not None for each in self._subscriptions)

    def describe(self) -> str:
        return self.inputs[0].describe() if self.inputs else super().describe()


def _calls_for(node: Node, scope: Scope | None) -> bool:
    return isinstance(node, _CallbacksFirst) and node.calls_for(scope)


def _subscriptions(node: Node, scope: Scope | None) -> list[Subscription]:
    """Return the callbacks on a node, including those that are not yet active."""
    preparation = None if scope is None else scope.find(Preparation)
    waiting = () if preparation is None else preparation.subscriptions
    found = [*(node.callbacks or ()), *node.transactions.pending_subscriptions, *waiting]
    return [
        each
        for each in found
        if isinstance(each, Subscription) and each.node is node and each.scope is scope
    ]


def _collects(subscription: Subscription) -> bool:
    return subscription.callback is not None and not (
        subscription.is_quiet or subscription.listener is not None
    )
