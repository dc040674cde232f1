"""The event loop of a simulated house: virtual time, and threads that take none of any kind."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

from eshet_rules.testing.virtual_time import VirtualLoop

__all__ = ["SimulatedLoop"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class SimulatedLoop(VirtualLoop):
    """A loop in which the work of threads is done at once, so that a seed gives the same again."""

    def run_in_executor(
        self, executor: Any, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Call the function now."""
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future
