"""Finds rules that trigger each other in a circle, by the chain of causes, and cuts it.

Each time a rule hears of something, the causes that led there tell whether this rule was among
them: then the chain has come *round* to it. One round, or ten, may be meant, as when two lights
follow each other; a hundred in ten seconds are not.

Only what is heard counts: a rule that does something every tenth of a second, by a timer, is no
circle, nor is one that hears of a hundred things which all have one cause.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from structlog.typing import FilteringBoundLogger

from eshet.cause import Cause, current_cause
from eshet.client.observer import ClientObserver
from eshet.scope import current_scope
from eshet_rules.audit.records import RuleLoopCut, emit
from eshet_rules.exceptions import LoopOfRules
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.supervised_rule import rule_of

__all__ = ["LoopObserver", "Loops"]

_FURTHEST: Final = 64
"""How many causes back it is looked for one that a rule has heard."""

_MOST: Final = 4096
"""Of how many causes it is remembered who has heard them."""


class _Input(NamedTuple):
    """That a rule has heard of what a cause started, and when its chain came round before.

    Args:
        cause: its id.
        times: points of the loop's clock, the last ones only.
    """

    cause: str
    times: tuple[float, ...]


_NEVER: Final = _Input("", ())


class Loops:
    """Remembers which rules the chains of causes have come to."""

    def __init__(self) -> None:
        # Of each cause: what was heard on the way there, and last that which was heard of it.
        self._heard: dict[str, Mapping[str, _Input]] = {}

    def on_input(
        self, cause: Cause, rule: str, limits: RuleLimits, now: float
    ) -> LoopOfRules | None:
        """Note that a rule hears of what a cause started.

        Args:
            cause: of what it hears.
            rule: its full name.
            limits: how many rounds are too many, in what time.
            now: the loop's time.

        Returns:
            What to tell if these were too many.
        """
        so_far = self._heard_on_the_way(cause)
        before = so_far.get(rule, _NEVER)
        if before.cause == cause.id:
            return None  # it has several callbacks for the same
        times = (*before.times, now)[-limits.loop_rounds - 1 :]
        self._remember(cause, {**so_far, rule: _Input(cause.id, times)})
        rounds = sum(now - each < limits.loop_period for each in times) - 1
        if rounds < limits.loop_rounds:
            return None
        cycle = self._cycle(cause, rule)
        self._heard.clear()  # another chain in the same circle is cut with it, or counted afresh
        return LoopOfRules(rule, cycle, rounds, now - times[0])

    def _heard_on_the_way(self, cause: Cause) -> Mapping[str, _Input]:
        for _, each in zip(range(_FURTHEST), cause.chain(), strict=False):
            if (heard := self._heard.get(each.id)) is not None:
                return heard
        return {}

    def _remember(self, cause: Cause, heard: Mapping[str, _Input]) -> None:
        self._heard[cause.id] = heard
        if len(self._heard) > _MOST:
            del self._heard[next(iter(self._heard))]

    def _cycle(self, cause: Cause, rule: str) -> list[str]:
        """Return the last round, path by path, with the rule that heard there, if any did."""
        way = []
        for number, each in zip(range(_FURTHEST), cause.chain(), strict=False):
            heard = self._heard.get(each.id, {})
            listeners = [name for name, its in heard.items() if its.cause == each.id]
            by = f" heard by {', '.join(listeners)}" if listeners else ""
            way.append(f"{each.kind} {each.path}{by}")
            if number and rule in listeners:
                break
        return way[::-1]


class LoopObserver(ClientObserver):
    """A witness that fails a rule to which a chain of causes has come too often.

    Args:
        log: where it is told which rules trigger each other.
        *more: what another witness needs that this is one with, by inheritance.
    """

    def __init__(self, log: FilteringBoundLogger, *more: Any) -> None:
        super().__init__(*more)
        self._loops = Loops()
        self._log = log

    def on_input(self, kind: str, path: str, value: Any) -> None:
        """See `ClientObserver`."""
        super().on_input(kind, path, value)
        cause, rule = current_cause(), rule_of(current_scope())
        if cause is None or rule is None:
            return
        now = asyncio.get_running_loop().time()
        error = self._loops.on_input(cause, rule.name, rule.limits, now)
        if error is not None:
            emit(
                self._log,
                RuleLoopCut(
                    rule=rule.name,
                    cycle=error.cycle,
                    rounds=error.rounds,
                    seconds=round(error.seconds, 3),
                ),
            )
            rule.fail(error)
