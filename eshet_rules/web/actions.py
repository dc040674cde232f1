"""What a person does on the page. Each action is recorded, with the name of the token."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from eshet.exceptions import EshetError
from eshet.text import safe_str
from eshet_rules.audit.records import PageActed, emit
from eshet_rules.audit.redaction import Redaction
from eshet_rules.exceptions import RulesError
from eshet_rules.runner.view import RunnerView
from eshet_rules.web.plain import seen

__all__ = ["COMMANDS", "Actions"]

T = TypeVar("T")

COMMANDS: Final = ("enable", "disable", "restart", "reload")
"""What can be done with a rule, and with a module."""


class Actions:
    """Carries out requests; each method names who has made it.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view

    async def command(self, name: str, names: Sequence[str], by: str) -> dict[str, Any]:
        """Carry out a command of `Control` on rules or modules.

        Args:
            name: one of `COMMANDS`, or `"commit"`.
            names: those of the rules or modules.
            by: the name of the token.

        Raises:
            RulesError: see `Control`.
        """
        do: Callable[..., Awaitable[list[str]]] = getattr(self._view.control, name)
        done = await self._recorded(name, ", ".join(names) or "all", by, do(*names))
        return {"done": done}

    async def set(self, path: str, value: Any, by: str) -> dict[str, Any]:
        """Set a state or property.

        Raises:
            EshetError: see `eshet.Client.set`.
        """
        await self._recorded("set", path, by, self._view.client.set(path, value))
        return {"result": None}

    async def call(self, path: str, arguments: Sequence[Any], by: str) -> dict[str, Any]:
        """Call an action, and return its result.

        Raises:
            EshetError: see `eshet.Client.action_call`.
        """
        calling = self._view.client.action_call(path, *arguments)
        result, _ = seen(path, await self._recorded("call", path, by, calling), self._redaction)
        return {"result": result}

    async def release(self, path: str, by: str) -> dict[str, Any]:
        """End the override of a path with drivers.

        Raises:
            NotDriven: no rule drives it.
        """
        done = await self._recorded("release", path, by, self._view.control.release(path))
        return {"done": done}

    async def roll_back(self, module: str, version: str, why: str, by: str) -> dict[str, Any]:
        """Run an earlier version of a module until its file changes.

        Raises:
            RulesError: see `eshet_rules.runner.rolling_back`.
        """
        target = f"{module}@{version}"
        rolling = self._view.control.roll_back(target, by=by, why=why)
        return {"done": await self._recorded("roll back", target, by, rolling)}

    async def _recorded(self, action: str, subject: str, by: str, doing: Awaitable[T]) -> T:
        acted = PageActed(action=action, subject=subject, by=by)
        try:
            result = await doing
        except (EshetError, RulesError) as error:
            acted.error = self._redaction.text(safe_str(error))
            emit(self._view.log, acted, level="warning")
            raise
        emit(self._view.log, acted)
        return result

    @property
    def _redaction(self) -> Redaction:
        return self._view.redaction
