"""One change, run to rest: a transaction.

A source takes its new value; the derived nodes that can tell the difference settle, lowest first;
then callbacks are called, each with what its node changed to. What a callback sets, or a node's
function, is a change of its own: it waits and becomes the next transaction.

Invariants:

- A node settles at most once in a transaction, after all of its inputs, so nothing sees a
  half-updated join.
- The cost is that of the nodes that settle: their heights are kept in a heap, never scanned.
- Nothing recurses, neither along a chain of nodes nor from callback to callback.
- Outside of a transaction the queue is empty and every event is silent, also after a callback was
  interrupted by what is no `Exception`.

State is kept for each thread. A graph belongs to one thread, that of its event loop.
"""

import heapq
import threading
from collections import deque
from typing import Any

from eshet.reactive.graph import ENDED, IDLE, QUEUED, EventNode, Node, ValueNode
from eshet.reactive.subscription import Subscription

__all__ = ["Transactions", "change", "change_to", "here"]


class Transactions:
    """The changes of one thread: the transaction that runs, if any, and those that wait."""

    __slots__ = ("_heights", "_levels", "_running", "_waiting", "emitted", "heard", "passing")

    def __init__(self) -> None:
        self._running = False
        self._waiting: deque[tuple[Node, Any, bool]] = deque()
        self._heights: list[int] = []  # a heap of the keys of _levels
        self._levels: dict[int, list[Node]] = {}  # what is queued, by height
        self.heard: list[tuple[Subscription, Any]] = []  # who is to be called back, with what
        # What holds for this transaction only: who emits, and who goes back to which value.
        self.emitted: list[EventNode] = []
        self.passing: list[tuple[ValueNode, Any]] = []

    def change(self, node: Node, value: Any, lasting: bool) -> None:
        """Run a change, and those it leads to; or, while one runs, let it wait for its turn."""
        if self._running:
            self._waiting.append((node, value, lasting))
            return
        self._running = True
        try:
            while True:
                if lasting:
                    node.take(value, self)
                else:
                    node.take_passing(value, self)
                if node.callbacks:
                    node.notify(self.heard)
                if node.dependents:
                    self._settle_all(node.dependents)
                if self.emitted or self.passing:
                    self._lapse()
                if self.heard:
                    # What these set waits, so that nobody is added to the list meanwhile.
                    for subscription, told in self.heard:
                        subscription.call(told)
                    self.heard.clear()
                if not self._waiting:
                    return
                node, value, lasting = self._waiting.popleft()
        except BaseException:
            self._abandon()
            raise
        finally:
            self._running = False

    def requeue(self, node: Node, height: int) -> None:
        """Move a node, which rises to `height`, within the queue if it is there."""
        if node.state == QUEUED:
            level = self._levels[node.height]
            level[level.index(node)] = _GAP  # the list may be being run, so it keeps its length
            node.height = height
            node.state = IDLE
            self._queue([node])
        node.height = height

    def _settle_all(self, dependents: list[Node]) -> None:
        """Settle these, and what that leads to."""
        if len(dependents) == 1:
            self._settle_chain(dependents[0])
        else:
            self._queue(dependents)
        if self._heights:
            self._settle_queue()

    def _queue(self, nodes: list[Node]) -> None:
        """Queue those of these nodes that are not queued yet."""
        levels = self._levels
        height = -1
        level: list[Node] = []
        for node in nodes:
            if node.state == IDLE:
                node.state = QUEUED
                if node.height != height:  # most often it is that of the one before
                    height = node.height
                    if height in levels:
                        level = levels[height]
                    else:
                        level = levels[height] = []
                        heapq.heappush(self._heights, height)
                level.append(node)

    def _settle_queue(self) -> None:
        """Settle all that is queued, and what that leads to, lowest first."""
        heights, levels = self._heights, self._levels
        while heights:
            height = heights[0]
            level = levels[height]
            if len(level) == len(heights) == 1:
                heights.pop()
                del levels[height]
                self._settle_chain(level[0])
                continue
            for node in level:
                if node.state != QUEUED:
                    continue
                node.state = IDLE
                try:
                    changed = node.settle(self)
                except Exception as error:
                    node.report(error)
                    continue
                if changed:
                    if node.callbacks:
                        node.notify(self.heard)
                    if node.dependents:
                        self._queue(node.dependents)
            heapq.heappop(heights)
            del levels[height]

    def _settle_chain(self, node: Node) -> None:
        """Settle a node when nothing else is queued.

        Its dependent needs no queue either if it has only one, and so on: a chain is one loop.
        """
        while node.state != ENDED:
            node.state = IDLE
            try:
                changed = node.settle(self)
            except Exception as error:
                node.report(error)
                return
            if not changed:
                return
            if node.callbacks:
                node.notify(self.heard)
            dependents = node.dependents
            if not dependents:
                return
            if len(dependents) > 1:
                self._queue(dependents)
                return
            node = dependents[0]

    def _lapse(self) -> None:
        for event in self.emitted:
            event.emissions = ()
        self.emitted.clear()
        for value_node, lasting in self.passing:
            value_node.value = lasting
        self.passing.clear()

    def _abandon(self) -> None:
        for level in self._levels.values():
            for node in level:
                if node.state == QUEUED:
                    node.state = IDLE
        self._levels.clear()
        self._heights.clear()
        self._lapse()
        self.heard.clear()
        self._waiting.clear()


_GAP = Node()
_GAP.state = ENDED  # so that it is skipped


class _Thread(threading.local):
    def __init__(self) -> None:
        self.transactions = Transactions()


_thread = _Thread()


def here() -> Transactions:
    """Return the transactions of this thread."""
    return _thread.transactions


def change(node: Node, value: Any, lasting: bool = True) -> None:
    """Set a source to a value, or let it emit one.

    It returns when all that follows has happened, except in a callback or a node's function: there
    it returns at once, and the change is made when the present transaction has ended.

    Args:
        node: what changes.
        value: what it changes to, or emits.
        lasting: False lets a Value have it for this transaction only.
    """
    _thread.transactions.change(node, value, lasting)


def change_to(node: ValueNode, value: Any) -> None:
    """Set a Value, as `change` does, unless it holds an equal value already."""
    if value is not node.value and value != node.value:
        change(node, value)
