"""The causes of changes in Home Assistant, by the contexts of service calls.

Each change of an entity has a context: the id of its cause, with the user, and the id of the
context before it. The result of a service call has the context of its effects, but comes after
them. So changes that may be effects of a call are held back until its result has come.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eshet.cause import Cause, current_cause, use_cause

__all__ = ["HOLD_TIME", "Contexts"]

HOLD_TIME: Final = 1.0
"""Seconds after the begin of a call in which changes are held back for its result."""

_MAX_AGE: Final = 10.0
"""Seconds for which the cause of a context is kept, as for other outputs; see `ClientObserver`."""


@dataclass(frozen=True)
class _Change:
    """A change of an entity.

    Args:
        entity_id: of the entity.
        context: in the form of `subscribe_entities`: only its differences from the last change.
        is_new: whether the change adds the entity, so that its context is complete.
        calls: those without a result when the change came.
        apply: applies it.
    """

    entity_id: str
    context: object
    is_new: bool
    calls: frozenset[object]
    apply: Callable[[], object]


class Contexts:
    """Applies changes of entities within the causes of the service calls that led to them.

    Only calls that have a cause count. Where causes are not tracked, no change is held back.
    """

    def __init__(self) -> None:
        self._causes: dict[str, tuple[Cause, float]] = {}  # by id, with their times, oldest first
        self._last: dict[str, Mapping[str, Any]] = {}  # the last context of each entity
        self._calls: set[object] = set()  # without a result, and younger than HOLD_TIME
        self._held: list[_Change] = []
        self._held_ids: set[str] = set()  # the entities of held changes

    @contextlib.contextmanager
    def call(self) -> Iterator[Callable[[object], None]]:
        """Yield a function for the context in the result of a service call of the current cause."""
        cause = current_cause()
        if cause is None:
            yield lambda _: None
            return
        call = object()
        timer = asyncio.get_running_loop().call_later(HOLD_TIME, self._end, call)
        self._calls.add(call)
        try:
            yield lambda context: self._remember(_field(context, "id"), cause)
        finally:
            timer.cancel()
            self._end(call)

    def handle(
        self,
        entity_id: str,
        context: object,
        apply: Callable[[], object],
        *,
        is_new: bool = False,
        at_once: bool = False,
    ) -> None:
        """Apply a change within its cause, in the order of the changes of the entity.

        It is applied at once, unless it may be the effect of a call that has no result yet: then it
        is applied when the result comes, at the latest `HOLD_TIME` after the call began.

        Args:
            entity_id: of the entity.
            context: in the form of `subscribe_entities`: a text or a map; None if it is the same.
            apply: applies the change; must not raise, as it may be called when a call ends.
            is_new: whether the change adds the entity.
            at_once: whether to apply it at once in any case.
        """
        calls = frozenset(() if at_once else self._calls)
        self._put(_Change(entity_id, context, is_new, calls, apply))

    def forget(self, entity_id: str) -> None:
        """Forget the last context of an entity that was removed."""
        self._last.pop(entity_id, None)

    def release(self) -> None:
        """Apply all changes that are held back, as the connection was lost."""
        self._calls.clear()
        self._apply_held()

    def _end(self, call: object) -> None:
        """Stop waiting for the result of a call."""
        if call in self._calls:
            self._calls.discard(call)
            self._apply_held()

    def _apply_held(self) -> None:
        held, self._held = self._held, []
        self._held_ids.clear()
        for change in held:
            self._put(change)

    def _put(self, change: _Change) -> None:
        """Apply a change, or hold it back."""
        entity_id, cause = change.entity_id, None
        must_wait = entity_id in self._held_ids
        if not must_wait and change.context is not None:
            context = self._complete(change)
            cause = self._cause_of(context)
            # A service is called for a user, and the changes that it triggers have a parent.
            may_be_effect = bool(context.get("user_id") or context.get("parent_id"))
            must_wait = cause is None and may_be_effect and not self._calls.isdisjoint(change.calls)
            if not must_wait:
                self._last[entity_id] = context
        if must_wait:
            self._held.append(change)
            self._held_ids.add(entity_id)
            return
        with use_cause(cause):
            change.apply()

    def _complete(self, change: _Change) -> Mapping[str, Any]:
        """Return the context of a change with the fields that are the same as before."""
        given = change.context if isinstance(change.context, dict) else {"id": change.context}
        return given if change.is_new else {**self._last.get(change.entity_id, {}), **given}

    def _cause_of(self, context: Mapping[str, Any]) -> Cause | None:
        own = _field(context, "id")
        for each in (own, _field(context, "parent_id")):
            known = self._causes.get(each)
            if known is not None and known[1] >= self._oldest():
                if each != own:
                    self._remember(own, known[0])  # it may be the parent of others
                return known[0]
        return None

    def _remember(self, context_id: str, cause: Cause) -> None:
        if not context_id:
            return
        oldest = self._oldest()
        for each, (_, time) in list(self._causes.items()):
            if time >= oldest:
                break
            del self._causes[each]
        self._causes.pop(context_id, None)  # so that it becomes the last one
        self._causes[context_id] = cause, asyncio.get_running_loop().time()

    def _oldest(self) -> float:
        return asyncio.get_running_loop().time() - _MAX_AGE


def _field(context: object, name: str) -> str:
    """Return an id in a context; empty if it is missing."""
    value = context.get(name) if isinstance(context, dict) else None
    return value if isinstance(value, str) else ""
