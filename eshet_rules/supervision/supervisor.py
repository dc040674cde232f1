"""A rule under its strategy, attempt by attempt."""

import asyncio
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from eshet.clock import wall_now
from eshet.scope import Reason
from eshet.utils import RunInTask, TaskStrategy
from eshet.yarp import using_strategy
from eshet_rules.rule import Rule
from eshet_rules.supervision.limits import Limits
from eshet_rules.supervision.scope import RuleScope, TaskScope
from eshet_rules.supervision.status import RuleState, RuleStatus

__all__ = ["SupervisedRule"]


class SupervisedRule:
    """Runs a rule under its strategy.

    What an attempt has made is disposed when it fails, and before the next one begins, so that
    nothing is there twice. Errors are reported to the scope.

    Args:
        rule: which is run.
        scope: what the rule makes belongs to this; the rule ends with it.
        given: what the rule is given by name, beside `scope`.
        version: of its module.
        strategy: under which it runs if it has chosen none.
        limits: of what it may take.
    """

    def __init__(
        self,
        rule: Rule,
        scope: TaskScope,
        given: Mapping[str, Any] | None = None,
        *,
        version: str = "",
        strategy: TaskStrategy | None = None,
        limits: Limits = Limits(),
    ) -> None:
        self.rule: Final = rule
        self.scope: Final = scope
        self.first_attempt: Final[asyncio.Future[bool]] = asyncio.get_running_loop().create_future()
        """Whether the first attempt to set up the rule succeeded; pending while it runs."""
        self.attempt_scope: RuleScope | None = None
        """The scope of the present attempt, or the last; None before the first."""
        self._given = given or {}
        self._version = version
        self._limits = limits
        self._since = wall_now(UTC)
        self._strategy: Final = rule.strategy or strategy or RunInTask()

    def start(self) -> None:
        """Start the rule; the context of this call becomes the rule's."""

        async def attempt() -> None:
            await self._attempt()

        attempt.__qualname__ = self.rule.name  # what a failure is reported of
        try:
            with self.scope.active(), using_strategy(self._strategy):
                self._strategy.build()(attempt)
        except Exception as error:
            self.scope.report(error, f"strategy of {self.rule.name}")
            self._first_attempt_ended(succeeded=False)

    def status(self) -> RuleStatus:
        """Return how the rule is now."""
        return RuleStatus(RuleState.RUNNING, self._since, self._version, repr(self._strategy))

    async def _attempt(self) -> None:
        if self.attempt_scope is not None:
            await self.attempt_scope.close(Reason.REPLACED)
        self.attempt_scope = scope = RuleScope(self.rule.name, parent=self.scope)
        try:
            with scope.active():
                await self._call_rule(scope)
        except Exception:
            await scope.close(Reason.FAILED)
            self._first_attempt_ended(succeeded=False)
            raise
        self._first_attempt_ended(succeeded=True)

    async def _call_rule(self, scope: RuleScope) -> None:
        given = {**self._given, "scope": scope}
        if "client" in self.rule.asks_for and "client" in given:
            await given["client"].wait_for_connection()
        try:
            await self.rule(**{name: given[name] for name in self.rule.asks_for if name in given})
        except SystemExit as error:
            # asyncio would let it end the whole runner.
            raise RuntimeError("a rule can't end the runner: return instead") from error

    def _first_attempt_ended(self, *, succeeded: bool) -> None:
        if not self.first_attempt.done():
            self.first_attempt.set_result(succeeded)
