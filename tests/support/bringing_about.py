"""Brings about the conditions that are given for a wanted value, as a person would do."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from eshet.reactive.conditions import Condition, Kind, Need
from eshet.reactive.core.graph import EventNode, Node
from eshet.reactive.core.subscription import subscribe
from eshet.unknown import Unknown
from tests.conftest import Advance

NUMBERS = [0, 1, 2, 3, -1, -2, 5, 10, -10, 20, -20, 50, -50, 100, -100, 1000, -1000, Unknown]
FLAGS = [True, False, Unknown]


class CanNotTellError(Exception):
    """The conditions say themselves that they are not enough, or contradict each other."""


class BringingAbout:
    """Brings about conditions.

    Args:
        advance: lets time pass.
        root: the node with the wanted value.
        now: returns the time of the loop.
        flags: the inputs that are true or false; all others have numbers.
    """

    def __init__(
        self, advance: Advance, root: Node, now: Callable[[], float], flags: Collection[Node]
    ) -> None:
        self._flags = flags
        self._advance = advance
        self._root = root
        self._now = now
        self._emitted: dict[Node, list[object]] = {}
        self._touched: set[Node | None] = set()
        self.is_undisturbed = True  # whether nothing was set since the question

    async def run(self, condition: Condition) -> bool:
        """Bring a condition about; return whether all of its parts hold at the end."""
        self._observe(condition)
        if isinstance(self._root, EventNode) and self._root not in self._emitted:
            self._emitted[self._root] = emitted = []
            subscribe(self._root, emitted.append)
        return await self._bring(condition) and self.holds(condition)

    def emitted(self, node: Node, need: Need) -> bool:
        """Whether a node has emitted what is needed."""
        return any(need.is_met(each) for each in self._emitted.get(node, ()))

    def _observe(self, condition: Condition) -> None:
        node = condition.node
        if isinstance(node, EventNode) and node not in self._emitted:
            self._emitted[node] = emitted = []
            subscribe(node, emitted.append)
        for each in condition.parts:
            self._observe(each)

    def holds(self, condition: Condition) -> bool:
        """Whether a condition holds now, or an Event of it has emitted."""
        node = condition.node
        if node is None:
            return condition.holds
        if condition.kind is Kind.THEN:
            return self.holds(condition.parts[-1])
        if _is_only_a_wait(condition):
            return condition.until is not None and self._now() >= condition.until
        if isinstance(node, EventNode):
            return self.emitted(node, condition.need)
        if condition.kind is Kind.ALL and not condition.need.is_met(node.value):
            return False
        if condition.kind is Kind.ALL:
            return all(map(self.holds, condition.parts))
        if condition.kind is Kind.ANY:
            return any(map(self.holds, condition.parts))
        return condition.need.is_met(node.value)

    async def _bring(self, condition: Condition) -> bool:
        if condition.holds or self._has_become(condition):
            return True
        match condition.kind:
            case Kind.VALUE | Kind.EVENT:
                await self._set(condition)
                return True
            case Kind.TIME:
                assert condition.until is not None
                undisturbed = self.is_undisturbed
                if condition.until > self._now():
                    await self._advance(condition.until - self._now())
                await self._advance(0)
                held = self.holds(condition)
                assert held or not undisturbed, condition
                return held
            case Kind.ALL:
                return await self._bring_all(condition)
            case Kind.ANY:
                for part in condition.parts:
                    if part.is_certain:
                        return await self._bring(part)
            case Kind.THEN:
                for part in condition.parts:
                    self._touched.discard(part.node)
                    if not await self._bring(part):
                        return False
                return True
        raise CanNotTellError

    def _has_become(self, condition: Condition) -> bool:
        """Whether a Value is as needed by now, by what another part has done."""
        node = condition.node
        is_value = node is not None and not isinstance(node, EventNode)
        is_lasting = condition.has_to_change or condition.is_emission or condition.kind is Kind.THEN
        return is_value and not is_lasting and condition.need.is_met(node.value)

    async def _bring_all(self, condition: Condition) -> bool:
        for part in condition.parts:
            if not await self._bring(part):
                return False
        values = [each for each in condition.parts if not each.is_emission]
        if not all(self.holds(each) for each in values):
            return False  # one of them has undone another
        await self._advance(condition.wait)
        await self._advance(0)
        if not all(self.holds(each) for each in values):
            return False
        events = [each for each in condition.parts if each.is_emission]
        # A Value that Events lead to holds its value; an Event emits at the moment of another.
        if events and isinstance(condition.node, EventNode) and condition.wait:
            return True
        assert self.holds_itself(condition), (condition, condition.node)
        return True

    def holds_itself(self, condition: Condition) -> bool:
        """Whether the node of a condition is as needed."""
        node = condition.node
        if isinstance(node, EventNode):
            return self.emitted(node, condition.need)
        return node is None or condition.need.is_met(node.value)

    async def _set(self, condition: Condition) -> None:
        if condition.node in self._touched and (condition.is_emission or condition.times > 1):
            raise CanNotTellError  # another condition has changed the same input
        self._touched.add(condition.node)
        self.is_undisturbed = False
        value = value_for(condition.need, FLAGS if condition.node in self._flags else NUMBERS)
        for _ in range(condition.times):
            assert condition.node is not None
            condition.node.change(value)
        await self._advance(0)


def _is_only_a_wait(condition: Condition) -> bool:
    """Whether an Event, such as that of `throttle`, may emit again from a moment on."""
    is_event = isinstance(condition.node, EventNode)
    return condition.kind is Kind.TIME and is_event and not condition.is_emission


def value_for(need: Need, candidates: Sequence[object]) -> object:
    """Return a value that meets a need.

    Args:
        need: the need.
        candidates: values that an input may have; numbers near those of the need are tried too,
            if there is a number among them.

    Raises:
        CanNotTellError: there is none.
    """
    has_numbers = any(type(each) is int for each in candidates)
    operands = [each for each in _operands(need) if type(each) in (int, float)]
    near = [each + step for each in operands for step in (0, 1, -1, 0.25, -0.25)]
    for each in [*candidates, *(near if has_numbers else [])]:
        if need.is_met(each):
            return each
    raise CanNotTellError(need)


def _operands(need: Any) -> Iterator[Any]:
    for name in ("one", "other", "need"):
        if hasattr(need, name):
            yield from _operands(getattr(need, name))
    operand = getattr(need, "operand", None)
    yield from operand if isinstance(operand, tuple) else [operand]
