"""Transactions: one change and all that follows from it, until everything has settled.

A source takes its new value; the derived nodes that it affects settle, lowest first; then
callbacks are called, each with the new value of its node. A change made by a callback, or by a
node's function, waits and becomes the next transaction.

Invariants:

- A node settles at most once in a transaction, after all of its inputs, so nothing sees a
  half-updated join.
- The cost is that of the nodes that settle: their heights are kept in a heap, never scanned.
- Nothing recurses, neither along a chain of nodes nor from callback to callback.
- Outside of a transaction the queue is empty, also after an error that is not an `Exception`
  interrupted a callback.

A graph belongs to the thread that made it, that of its event loop: each thread has its own
`Transactions`, to which its nodes refer.
"""

import heapq
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from threading import get_ident
from typing import Any, Final, Protocol

from eshet.exceptions import WrongThread
from eshet.reactive.core.markers import is_same
from eshet.reactive.core.pending import PendingChange
from eshet.scope import Scope, current, is_contained, use_scope

current_scope: Final = current.get  # bound once, as each transaction uses it

__all__ = [
    "ENDED",
    "IDLE",
    "QUEUED",
    "ChangeSource",
    "CollectedChanges",
    "Notified",
    "Notifier",
    "SettlingNode",
    "Tracer",
    "Transactions",
    "thread_local",
]

IDLE: Final = 0
QUEUED: Final = 1
ENDED: Final = 2


class Notified(Protocol):
    """A callback on a node, as a transaction calls it."""

    @property
    def callback(self) -> Callable[[Any], object] | None:
        """The function; None when the callback is disposed."""

    @property
    def scope(self) -> Scope | None:
        """The scope in which to call it."""

    @property
    def is_quiet(self) -> bool:
        """Whether it is called while values are restored, and not when a hand-over notifies."""

    def join(self) -> None:
        """Become active."""

    def call(self, value: object) -> None:
        """Call the function in its scope, unless it is disposed; an error is reported."""

    def run(self, returned: object) -> None:
        """Run the result of the function as a task, if it is a coroutine."""

    def report(self, error: BaseException) -> None:
        """Report an error of the function."""


class _Owner(Protocol):
    @property
    def scope(self) -> Scope: ...
    @property
    def root(self) -> Scope: ...


class SettlingNode(Protocol):
    """A node, as a transaction settles it."""

    state: int
    height: int
    value: object

    @property
    def inputs(self) -> "Sequence[SettlingNode]":
        """The nodes that it settles after."""

    @property
    def dependents(self) -> "Sequence[SettlingNode] | None":
        """The nodes that settle after it, including ended ones."""

    @property
    def callbacks(self) -> Sequence[Notified] | None:
        """Its callbacks, including disposed ones."""

    @property
    def node(self) -> "SettlingNode":
        """Itself."""

    @property
    def owner(self) -> _Owner | None:
        """The owner of the node."""

    def settle(self, transactions: "Transactions") -> bool:
        """Bring it up to date with its inputs; return whether it changed."""

    def held(self) -> "dict[SettlingNode, object]":
        """Return its current value, by itself."""

    def describe(self) -> str:
        """Return its name."""

    def report(self, error: BaseException) -> None:
        """Report an error of the node."""

    def wrong_thread(self) -> WrongThread:
        """Return the error to raise when another thread uses it."""


class Notifier(Protocol):
    """Something that changed; its callbacks are called when everything has settled."""

    @property
    def callbacks(self) -> Sequence[Notified] | None:
        """Its callbacks, including disposed ones."""

    @property
    def node(self) -> SettlingNode:
        """The node that changes, or the first of them."""

    @property
    def value(self) -> object:
        """The value to call them with."""


class ChangeSource(Notifier, Protocol):
    """The start of a transaction: a node, or a stand-in for nodes in one transaction."""

    @property
    def owner(self) -> _Owner | None:
        """The owner of the node; None if there are several nodes."""

    @property
    def height(self) -> int:
        """The height of the node, or of the lowest if there are several."""

    @property
    def dependents(self) -> Sequence[SettlingNode] | None:
        """The nodes that may settle after it, each once, including ended ones."""

    def take(self, value: object, transactions: "Transactions") -> None:
        """Take the new value."""

    def held(self) -> dict[SettlingNode, object]:
        """Return the previous value of each node that changes, in a new dict."""


class CollectedChanges(ChangeSource, Protocol):
    """The changes that are made as one; see `Batch`."""

    at_once: bool

    @property
    def empty(self) -> bool:
        """Whether there are none."""

    def add(self, source: ChangeSource, value: object) -> None:
        """Make one more change."""


class Tracer(Protocol):
    """Settles in place of `Transactions`, to report each step."""

    def settle(self, source: ChangeSource, value: object, transactions: "Transactions") -> None:
        """Set a source to a value, and settle all that follows."""


class Transactions:
    """The changes of one thread: the running transaction, if any, and the waiting ones."""

    __slots__ = (
        "_busy",
        "_cut_after",
        "_heights",
        "_levels",
        "_running",
        "_thread",
        "_waiting",
        "batch",
        "handover_number",
        "known",
        "number",
        "pending_subscriptions",
        "quiet",
        "shape",
        "to_notify",
        "tracer",
        "transient",
    )

    def __init__(self) -> None:
        self._thread = get_ident()
        self._cut_after = 0  # the number of the transaction in which `cut` was called
        self._busy = False  # running a transaction, or within a batch
        self._waiting: deque[PendingChange[ChangeSource]] = deque()
        # The running change, if it had to wait.
        self._running: PendingChange[ChangeSource] | None = None
        self._heights: list[int] = []  # a heap of the keys of _levels
        self._levels: dict[int, list[SettlingNode]] = {}  # the queued nodes, by height
        self.batch: CollectedChanges | None = None
        self.tracer: Tracer | None = None
        self.number: int = 0  # of the last transaction
        self.to_notify: list[Notifier] = []  # their callbacks are to be called
        # Made during a transaction, active from the next change on.
        self.pending_subscriptions: list[Notified] = []
        # The lasting values of nodes set transiently.
        self.transient: dict[SettlingNode, object] = {}
        self.quiet: bool = False  # state is being restored, nothing is emitted; see handover.py
        self.handover_number: int = -1  # of the transaction that notifies after a hand-over
        self.shape: int = 0  # how often inputs of nodes were added or removed
        # The values that observers know in that transaction.
        self.known: Mapping[SettlingNode, object] = {}

    def change(self, source: ChangeSource, value: object) -> None:
        """Run a change and all that follows from it; while another one runs, queue it.

        Raises:
            WrongThread: the source belongs to another thread.
        """
        if self._busy or get_ident() != self._thread:
            if get_ident() != self._thread:
                raise source.node.wrong_thread()
            if self.batch is None:
                self._waiting.append(PendingChange(source, value, self._running))
            else:
                self.batch.add(source, value)
            return
        self._busy = True
        to_notify = self.to_notify
        # One long function: with a call for each step, the most frequent case, a short chain of
        # nodes with a callback at its end, would spend half of its time on calls.
        try:
            while True:
                self.number += 1
                if (owner := source.owner) is not None and not owner.root.is_active:
                    owner.root.note_activity()
                if self.tracer is None:
                    source.take(value, self)
                    if source.callbacks:
                        to_notify.append(source)
                    node: Any = source
                    followers = source.dependents
                    while followers:
                        if len(followers) > 1:
                            self._settle_level(followers, node.height + 1)
                            break
                        # A single one needs no queue, as nothing else is to settle.
                        node = followers[0]
                        try:
                            if node.state == ENDED or not node.settle(self):
                                break
                        except BaseException as error:
                            if not is_contained(error, node.owner):
                                raise
                            node.report(error)
                            break
                        if node.callbacks:
                            to_notify.append(node)
                        followers = node.dependents
                    if self._heights:
                        self._settle_queue()
                else:
                    self.tracer.settle(source, value, self)
                if self.transient:
                    self._reset_transient()
                if to_notify and (self.quiet or self.handover_number == self.number):
                    self._notify_some()
                elif to_notify:
                    scope = current_scope()
                    for each in to_notify:
                        new_value = each.value
                        for subscription in each.callbacks or ():  # a callback may end the node
                            callback = subscription.callback
                            if callback is None:
                                continue  # an earlier one disposed it
                            try:
                                if subscription.scope is scope:
                                    if (returned := callback(new_value)) is not None:
                                        subscription.run(returned)
                                else:
                                    with use_scope(subscription.scope):
                                        if (returned := callback(new_value)) is not None:
                                            subscription.run(returned)
                            except BaseException as error:
                                if not is_contained(error, subscription.scope):
                                    raise
                                subscription.report(error)
                    to_notify.clear()
                if self.pending_subscriptions:
                    self._join()
                if not self._waiting:
                    return
                self._running = self._next_change()
                if self._running is None:
                    return
                source, value = self._running.source, self._running.value
        except BaseException:
            self._reset()
            raise
        finally:
            self._running = None
            self._busy = False

    def _notify_some(self) -> None:
        """Call the quiet callbacks while values are restored, or the others when that is done."""
        for each in dict.fromkeys(self.to_notify):  # a node that was handed over may settle too
            new_value = each.value
            if not self.quiet and self.repeats_known_value(each.node):
                continue
            for subscription in each.callbacks or ():
                if subscription.is_quiet == self.quiet:
                    subscription.call(new_value)
        self.to_notify.clear()

    def repeats_known_value(self, node: SettlingNode) -> bool:
        """Whether a hand-over notifies now, and the observers of a Value know its value already."""
        return (
            self.handover_number == self.number
            and node in self.known
            and is_same(self.known[node], node.value)
        )

    @property
    def thread(self) -> str:
        """The name of the thread, while it is running."""
        names = [each.name for each in threading.enumerate() if each.ident == self._thread]
        return names[0] if names else "one that has ended"

    @property
    def running(self) -> bool:
        """Whether a transaction runs."""
        return self._busy and (self.batch is None or not self.batch.at_once)

    def begin_batch(self, batch: CollectedChanges) -> None:
        """Collect all changes from now on, and make them as one change."""
        self.batch = batch
        batch.at_once = not self._busy
        self._busy = True

    def end_batch(self, batch: CollectedChanges) -> None:
        """Make the collected changes, or queue them."""
        self.batch = None
        if batch.at_once:
            self._busy = False
        if not batch.empty:
            self.change(batch, None)

    def queue(self, nodes: Sequence[SettlingNode]) -> None:
        """Queue those of these nodes that are not yet queued."""
        height, level = -1, _NO_LEVEL
        for node in nodes:
            if node.state == IDLE:
                node.state = QUEUED
                if node.height != height:  # most often the same as that of the previous node
                    height = node.height
                    level = self._level(height)
                level.append(node)

    def _level(self, height: int) -> list[SettlingNode]:
        """Return the list of queued nodes of a height, creating it if needed."""
        level = self._levels.get(height)
        if level is None:
            level = self._levels[height] = []
            heapq.heappush(self._heights, height)
        return level

    def lowest(self) -> list[SettlingNode] | None:
        """Return the lowest level of the queue, which may grow until it is dropped."""
        return self._levels[self._heights[0]] if self._heights else None

    def drop_lowest(self) -> None:
        """Drop the lowest level of the queue: all of it has settled."""
        del self._levels[heapq.heappop(self._heights)]

    def requeue(self, node: SettlingNode, height: int) -> None:
        """Move a node to a greater height, within the queue if it is queued."""
        if node.state == QUEUED:
            level = self._levels[node.height]
            level[level.index(node)] = _GAP  # keeps the length, as the list may be under iteration
            node.height = height
            node.state = IDLE
            self.queue([node])
        node.height = height

    def _settle_level(self, nodes: Sequence[SettlingNode], height: int) -> None:
        """Settle the nodes at this height, when nothing below is left to settle; queue the rest.

        Most often these are all the nodes that follow a source, so they skip the queue.
        """
        to_notify = self.to_notify
        # Written out as in _settle_queue(): a call for each node would cost the time saved.
        for node in tuple(nodes):
            if node.state != IDLE:
                continue
            if node.height != height:  # it is higher, or has just been raised
                self.queue((node,))
                continue
            try:
                if not node.settle(self):
                    continue
            except BaseException as error:
                if not is_contained(error, node.owner):
                    raise
                node.report(error)
                continue
            if node.callbacks:
                to_notify.append(node)
            if node.dependents:
                self.queue(node.dependents)

    def _settle_queue(self) -> None:
        """Settle all queued nodes, and all that follows from them, lowest first."""
        heights, levels, to_notify = self._heights, self._levels, self.to_notify
        while heights:
            height = heapq.heappop(heights)
            level = levels.get(height)  # None if it settled right after the one below it
            while level:
                # The next level is most often one higher, so this skips the heap.
                height_above = height + 1
                above = levels.get(height_above)
                if above is None:
                    above = levels[height_above] = []
                for node in level:
                    if node.state != QUEUED:
                        continue
                    node.state = IDLE
                    try:
                        if not node.settle(self):
                            continue
                    except BaseException as error:
                        if not is_contained(error, node.owner):
                            raise
                        node.report(error)
                        continue
                    if node.callbacks:
                        to_notify.append(node)
                    if node.dependents:
                        # Like queue(), without a call for each node that changed.
                        for each in node.dependents:
                            if each.state == IDLE:
                                each.state = QUEUED
                                if each.height == height_above:
                                    above.append(each)
                                else:
                                    self._level(each.height).append(each)
                del levels[height]
                height, level = height_above, above
            if level is not None:
                del levels[height]

    def cut(self) -> bool:
        """After this transaction, drop the waiting changes of the source that has the most of them.

        For a watchdog that finds, during a transaction, that it causes so many others that nothing
        else can run. This takes no time, so a signal handler may call it. Changes that are queued
        after that are not dropped.

        Returns:
            Whether any change is waiting.
        """
        self._cut_after = self.number
        return bool(self._waiting)

    def _next_change(self) -> PendingChange[ChangeSource] | None:
        """Take the next waiting change; report and drop endless ones."""
        if self._cut_after == self.number:
            self._drop_most()
        while self._waiting:
            change = self._waiting.popleft()
            endless = change.endless()
            if endless is None:
                return change
            change.source.node.report(endless)
        return None

    def _drop_most(self) -> None:
        sources = Counter(each.source.node for each in self._waiting)
        for most, _ in sources.most_common(1):
            self._waiting = deque(each for each in self._waiting if each.source.node is not most)

    def _join(self) -> None:
        for subscription in self.pending_subscriptions:
            subscription.join()
        self.pending_subscriptions.clear()

    def _reset_transient(self) -> None:
        for value_node, lasting in self.transient.items():
            value_node.value = lasting
        self.transient.clear()

    def _reset(self) -> None:
        for level in self._levels.values():
            for node in level:
                if node.state == QUEUED:
                    node.state = IDLE
        self._levels.clear()
        self._heights.clear()
        self._reset_transient()
        self.to_notify.clear()
        self._join()
        self._waiting.clear()
        self.number += 1  # so that no emission counts as current


_NO_LEVEL: Final[list[SettlingNode]] = []  # stays empty, as no height is -1


class _Gap:
    """Fills the place in the queue of a node that moved to a greater height."""

    state: Final = ENDED  # so that it is skipped


_GAP: Final[Any] = _Gap()


class _Thread(threading.local):
    def __init__(self) -> None:
        self.transactions: Transactions = Transactions()


thread_local: Final = _Thread()
"""Holds the `transactions` of the current thread."""
