"""One version of one module, brought to life: its client, its scope, its rules."""

import asyncio
from collections.abc import Callable
from typing import Final

from structlog.contextvars import bound_contextvars
from structlog.typing import FilteringBoundLogger

from eshet.client import Client
from eshet.scope import Reason
from eshet.yarp import using_client
from eshet_rules.importer import ModuleVersion
from eshet_rules.rule import Rule
from eshet_rules.supervision.scope import TaskScope
from eshet_rules.supervision.supervisor import SupervisedRule

__all__ = ["SET_UP_TIME", "Generation"]

SET_UP_TIME: Final = 1.0
"""How long to wait for rules to set up, in seconds; one that still runs then is taken as set up."""


class Generation:
    """One version of one module, alive from `start` to `dispose`.

    Args:
        version: of the module.
        make_client: makes the module's client, given the module's name.
        log: where what happens to its rules is logged.
    """

    def __init__(
        self,
        version: ModuleVersion,
        make_client: Callable[[str], Client],
        log: FilteringBoundLogger,
    ) -> None:
        self.version: Final = version
        self._log = log.bind(module=version.name, version=version.source.version)
        self._client = make_client(version.name)
        self._scope = TaskScope(version.name)

    async def start(self) -> bool:
        """Start the rules, each under its strategy, and wait for them to be set up.

        Returns:
            Whether no rule failed in its first attempt, in as much as that is known in
            `SET_UP_TIME`. Those that failed have been reported, and may be tried again by their
            strategies.
        """
        rules = [self._start(rule) for rule in self.version.rules.values()]
        attempts = [rule.first_attempt for rule in rules]
        if attempts:
            await asyncio.wait(attempts, timeout=SET_UP_TIME, return_when=asyncio.ALL_COMPLETED)
        return all(attempt.result() for attempt in attempts if attempt.done())

    async def dispose(self, reason: Reason) -> None:
        """End the rules and all that they made, and close the module's client.

        Its states are unknown then, and what it owned is free for the next generation.
        """
        still_running = await self._scope.close(reason)
        if still_running:
            self._log.error("tasks do not end when cancelled", tasks=still_running)
        await self._client.close()

    def _start(self, rule: Rule) -> SupervisedRule:
        full_name = f"{self.version.name}.{rule.name}"
        log = self._log.bind(rule=full_name)

        def report(error: BaseException, doing: str) -> None:
            log.error("rule failed", doing=doing, exc_info=error)

        supervised = SupervisedRule(rule, TaskScope(full_name, parent=self._scope, on_error=report))
        names = {"rule": full_name, "module": self.version.name}
        with (
            using_client(self._client),
            bound_contextvars(**names, version=self.version.source.version),
        ):
            supervised.start()
        return supervised
