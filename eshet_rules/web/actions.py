"""What a person does on the page. Each action is recorded, with the name of the token.

An action is completed, and recorded, even if the page is closed meanwhile. Otherwise a reload could
stop in its middle, and a program that closes its connection at once would leave no record.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from eshet.text import safe_str
from eshet_rules.audit.records.control import PageActed
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.redaction import Redaction
from eshet_rules.exceptions import NotDriven
from eshet_rules.runner.view import RunnerView
from eshet_rules.web.other_runners import OtherRunners
from eshet_rules.web.plain import seen

__all__ = ["COMMANDS", "Actions"]

T = TypeVar("T")

_ANSWER_WITHIN: Final = 60.0
"""How long the owner of a node may take to answer, in seconds."""

_SWITCHES: Final = ("enable", "disable")

COMMANDS: Final = ("enable", "disable", "restart", "reload")
"""What can be done with a rule, and with a module."""


class Actions:
    """Carries out requests; each method names who has made it.

    Args:
        view: the runner.
        others: the other runners of its cluster, where rules are enabled and disabled as well, and
            overrides are ended.
    """

    def __init__(self, view: RunnerView, others: OtherRunners) -> None:
        self._view = view
        self._others = others
        self._running: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Cancel the actions that are not completed."""
        for each in self._running:
            each.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def command(self, name: str, names: Sequence[str], by: str) -> dict[str, Any]:
        """Carry out a command of `Control` on rules or modules.

        Args:
            name: one of `COMMANDS`, or `"commit"`.
            names: those of the rules or modules.
            by: the name of the token.

        Raises:
            ClusterIncomplete: other runners have not enabled or disabled the rules; this one has.
            RulesError: see `Control`.
        """
        doing = self._commanded(name, names)
        done = await self._recorded(name, ", ".join(names) or "all", by, doing)
        return {"done": done}

    async def _commanded(self, name: str, names: Sequence[str]) -> list[str]:
        do: Callable[..., Awaitable[list[str]]] = getattr(self._view.control, name)
        done = await do(*names)
        if name in _SWITCHES:
            await self._others.switch(name, done)
        return done

    async def set(self, path: str, value: Any, by: str) -> dict[str, Any]:
        """Set a state or property.

        Raises:
            EshetError: see `eshet.Client.set`.
            TimeoutError: the owner has not answered within a minute.
        """
        setting = self._answered(self._view.client.set(path, value))
        await self._recorded("set", path, by, setting)
        return {"result": None}

    async def call(self, path: str, arguments: Sequence[Any], by: str) -> dict[str, Any]:
        """Call an action, and return its result.

        Raises:
            EshetError: see `eshet.Client.action_call`.
            TimeoutError: the owner has not answered within a minute.
        """
        calling = self._answered(self._view.client.action_call(path, *arguments))
        result, _ = seen(path, await self._recorded("call", path, by, calling), self._redaction)
        return {"result": result}

    async def release(self, path: str, by: str) -> dict[str, Any]:
        """End the override of a path with drivers, at the runner that drives it.

        Raises:
            NotDriven: no rule drives it.
            EshetError: another runner drives it, and has refused the request.
            TimeoutError: another runner drives it, and does not answer.
        """
        done = await self._recorded("release", path, by, self._released(path))
        return {"done": done}

    async def _released(self, path: str) -> list[str]:
        try:
            return await self._view.control.release(path)
        except NotDriven:
            done = await self._others.release(path)
            if done is None:
                raise
            return done

    async def roll_back(self, module: str, version: str, why: str, by: str) -> dict[str, Any]:
        """Run an earlier version of a module until its file changes.

        Raises:
            RulesError: see `eshet_rules.runner.rolling_back`.
        """
        target = f"{module}@{version}"
        rolling = self._view.control.roll_back(target, by=by, why=why)
        return {"done": await self._recorded("roll back", target, by, rolling)}

    async def _answered(self, answer: Awaitable[T]) -> T:
        async with asyncio.timeout(_ANSWER_WITHIN):
            return await answer

    async def _recorded(self, action: str, subject: str, by: str, doing: Awaitable[T]) -> T:
        """Complete an action in a task of its own, and record it."""
        acted = PageActed(action=action, subject=subject, by=by)
        task = asyncio.ensure_future(self._complete(acted, doing))
        self._running.add(task)
        task.add_done_callback(self._end)
        return await asyncio.shield(task)

    async def _complete(self, acted: PageActed, doing: Awaitable[T]) -> T:
        try:
            result = await doing
        except BaseException as error:
            acted.error = self._redaction.text(_reason(error))
            emit(self._view.log, acted, level="warning")
            raise
        emit(self._view.log, acted)
        return result

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it may have gone

    @property
    def _redaction(self) -> Redaction:
        return self._view.redaction


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "the runner stopped; it may have taken effect"
    if isinstance(error, TimeoutError):
        return f"no answer in {_ANSWER_WITHIN:g} s; it may still take effect"
    return safe_str(error)
