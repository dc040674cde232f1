"""Simulated devices: states and actions that behave as a test decides."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Never

from eshet.client import Client
from eshet.unknown import Unknown
from eshet_rules.testing.awaited import Calls, checked

__all__ = ["Device", "DeviceFailure", "SimulatedAction"]


class DeviceFailure(Exception):
    """A simulated device refuses a request, as the test wants."""


class _Obedient:
    """The common part of a state and an action: they can fail, and take their time.

    Args:
        path: of the node.
        fails: how many of the next requests fail.
        delay: seconds until a request is answered.
    """

    def __init__(self, path: str, fails: int, delay: float) -> None:
        self.path = path
        self.fails: int = fails
        """How many of the next requests fail."""
        self.delay: float = delay
        """Seconds until a request is answered."""
        self._is_offline = False

    async def _obey(self) -> None:
        if self._is_offline:
            raise DeviceFailure(f"{self.path} is offline")
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.fails > 0:
            self.fails -= 1
            raise DeviceFailure(f"{self.path} fails, as the test wants")


class Device(_Obedient):
    """A state that shows the value to which it was set, such as a lamp; made by `House.device`."""

    def __init__(
        self,
        path: str,
        initial: object,
        settle: Callable[[], Awaitable[None]],
        calls_made: Calls,
        *,
        settable: bool,
        fails: int,
        delay: float,
        ignores: int,
    ) -> None:
        super().__init__(path, fails, delay)
        self.calls_made: Final = calls_made
        self.ignores: int = ignores
        """How many of the next sets are answered, but have no effect."""
        self._initial = initial
        self._value = initial
        self.sets: list[Any] = []
        """The values to which it was set, by rules and by the test, also those that failed."""
        self._settable = settable
        self._settle = settle
        self._client: Client | None = None  # until it is registered

    def __repr__(self) -> str:
        return f"<device {self.path} = {self._value!r}>"

    @property
    def value(self) -> Any:
        """The present value; `Unknown` while it is not known."""
        return self._value

    @value.setter
    def value(self, value: object) -> Never:
        raise AttributeError(
            f"{self.path} would not show that: write `await device.report({value!r})`"
        )

    async def register(self, client: Client) -> None:
        """Register the state, and show the first value."""
        self._client = client
        await client.state_register(self.path, self._set if self._settable else None)
        await self._show()

    @checked
    async def report(self, value: object) -> None:
        """Show a value, as when a person uses the device, or as a sensor does.

        Like `offline` and `online`, this returns when the consequences have settled.
        """
        self._value = value
        await self._show()
        await self._settle()

    @checked
    async def offline(self) -> None:
        """Become unknown, and fail each request until `online` is called."""
        self._is_offline = True
        await self._show()
        await self._settle()

    @checked
    async def online(self) -> None:
        """Show the last value again, and obey again."""
        self._is_offline = False
        await self._show()
        await self._settle()

    @checked
    async def power_cut(self) -> None:
        """Disappear, as when a lamp has no power: requests fail, and the state is unknown."""
        assert self._client is not None  # noqa: S101 - a test awaits something before
        await self._client.unregister(self.path)
        await self._settle()

    @checked
    async def power_back(self) -> None:
        """Be there again after `power_cut`, with the first value."""
        assert self._client is not None  # noqa: S101 - `power_cut` has checked it
        self._value = self._initial
        await self.register(self._client)
        await self._settle()

    async def _set(self, value: object) -> None:
        self.sets.append(value)
        await self._obey()
        if self.ignores > 0:
            self.ignores -= 1
            return
        self._value = value
        await self._show()

    async def _show(self) -> None:
        if self._client is None:
            return  # it shows its value when it is registered, which is soon
        if self._is_offline or self._value is Unknown:
            await self._client.state_unknown(self.path)
        else:
            await self._client.state_changed(self.path, self._value)


class SimulatedAction(_Obedient):
    """An action that records its calls; made by `House.action`."""

    def __init__(
        self, path: str, answer: object | Callable[..., Any], *, fails: int, delay: float
    ) -> None:
        super().__init__(path, fails, delay)
        self.calls: list[list[Any]] = []
        """The arguments of all calls, also of those that failed."""
        self._answer = answer

    async def register(self, client: Client) -> None:
        """Register the action."""
        await client.action_register(self.path, self._call)

    async def _call(self, *arguments: Any) -> object:
        self.calls.append(list(arguments))
        await self._obey()
        answer = self._answer(*arguments) if callable(self._answer) else self._answer
        return await answer if isinstance(answer, Awaitable) else answer
