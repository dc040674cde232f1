"""Finds rules that trigger each other in a cycle, by their chains of causes, and cuts the cycle.

When a rule receives an input, its chain of causes shows whether the same rule was triggered earlier
in that chain: then the chain has completed a *round*. One round or ten may be intended, as when two
lights follow each other; a hundred in ten seconds are not.

Only inputs count: a rule that acts on a timer ten times a second is not a cycle, nor is one that
receives a hundred inputs with the same cause.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from structlog.typing import FilteringBoundLogger

from eshet.cause import Cause, current
from eshet.client.observer import ClientObserver
from eshet.scope import current_scope
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import RuleLoopCut
from eshet_rules.exceptions import LoopOfRules
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.supervised_rule import rule_of

__all__ = ["LoopObserver", "Loops"]

_MAX_DEPTH: Final = 64
"""Maximum number of ancestors of a cause to search for known inputs."""

_MOST: Final = 2048
"""The inputs of at least this many causes are kept, and of at most twice as many."""


class _Input(NamedTuple):
    """The last input of a rule in a chain of causes.

    Args:
        cause: the id of its cause.
        times: the times of the rule's last inputs in the chain, on the loop's clock.
    """

    cause: str
    times: tuple[float, ...]


_NEVER: Final = _Input("", ())

_First = tuple[str, float]
"""The first input of a cause without a parent: the rule, and the time on the loop's clock.

Most causes have only this. It takes a third of the memory of a mapping, of which the garbage
collector would have to search thousands.
"""


class Loops:
    """Tracks the inputs of rules in each chain of causes."""

    def __init__(self) -> None:
        # For each cause: the last inputs, by rule, of its chain up to and including that cause.
        self._inputs: dict[str, Mapping[str, _Input] | _First] = {}
        self._earlier: dict[str, Mapping[str, _Input] | _First] = {}  # of the causes before those

    def on_input(
        self, cause: Cause, rule: str, limits: RuleLimits, now: float
    ) -> LoopOfRules | None:
        """Note that a rule receives an input.

        Args:
            cause: the cause of the input.
            rule: the full name of the rule.
            limits: the limits of the rule.
            now: the time of the loop's clock.

        Returns:
            An error if the chain has completed too many rounds; else None.
        """
        key = cause.id
        if cause.parent is None and key not in self._inputs and key not in self._earlier:
            self._keep(cause, (rule, now))
            return None
        inputs = self._inputs_so_far(cause)
        before = inputs.get(rule, _NEVER)
        if before.cause == cause.id:
            return None  # another callback of the rule has received it already
        times = (*before.times, now)[-limits.loop_rounds - 1 :]
        self._keep(cause, {**inputs, rule: _Input(cause.id, times)})
        rounds = sum(now - each < limits.loop_period for each in times) - 1
        if rounds < limits.loop_rounds:
            return None
        cycle = self._cycle(cause, rule)
        # Other chains in the same cycle are cut with it, or counted from 0.
        self._inputs, self._earlier = {}, {}
        return LoopOfRules(rule, cycle, rounds, now - times[0])

    def _inputs_so_far(self, cause: Cause) -> Mapping[str, _Input]:
        for _, each in zip(range(_MAX_DEPTH), cause.chain(), strict=False):
            if inputs := self._inputs_of(each):
                return inputs
        return {}

    def _inputs_of(self, cause: Cause) -> Mapping[str, _Input]:
        inputs = self._inputs.get(cause.id) or self._earlier.get(cause.id, {})
        if isinstance(inputs, tuple):
            rule, time = inputs
            return {rule: _Input(cause.id, (time,))}
        return inputs

    def _keep(self, cause: Cause, inputs: Mapping[str, _Input] | _First) -> None:
        if len(self._inputs) >= _MOST and cause.id not in self._inputs:
            # All at once: a dict takes long to find its oldest key after deletions.
            self._inputs, self._earlier = {}, self._inputs
        self._inputs[cause.id] = inputs

    def _cycle(self, cause: Cause, rule: str) -> list[str]:
        """Return the paths of the last round, each with the rules that received it as an input."""
        steps = []
        for number, each in zip(range(_MAX_DEPTH), cause.chain(), strict=False):
            inputs = self._inputs_of(each)
            receivers = [name for name, its in inputs.items() if its.cause == each.id]
            by = f" received by {', '.join(receivers)}" if receivers else ""
            steps.append(f"{each.kind} {each.path}{by}")
            if number and rule in receivers:
                break
        return steps[::-1]


class LoopObserver(ClientObserver):
    """Fails a rule if a chain of causes has returned to it too often.

    Args:
        log: receives an error that names the rules that trigger each other.
        *more: arguments of another observer that a subclass inherits from.
    """

    def __init__(self, log: FilteringBoundLogger, *more: Any) -> None:
        super().__init__(*more)
        self._loops = Loops()
        self._log = log

    def on_input(self, kind: str, path: str, value: Any) -> None:
        """See `ClientObserver`."""
        super().on_input(kind, path, value)
        cause, scope = current.get(), current_scope()
        if scope is None or cause is None:
            return
        scope.note_activity()
        rule = rule_of(scope)
        if rule is None:
            return
        error = self._loops.on_input(cause, rule.name, rule.limits, self.loop_time())
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
