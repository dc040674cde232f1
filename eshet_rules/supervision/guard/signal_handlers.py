"""Handlers of signals while rules run, which may set any of them.

Python runs the handler of a signal in the main thread, wherever that is: in the code of another
rule, of the runner, or while the event loop waits. An error of a rule's handler must not come out
there. So each handler that a rule has set is put into one that contains it, and the handlers by
which the runner is told to end are set again.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from contextvars import Context
from types import FrameType, FunctionType, ModuleType
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

import eshet
import eshet_rules
from eshet_rules.audit.records import SignalHandlerRestored, emit

__all__ = ["SignalHandlers"]

Handler = Callable[[int, FrameType | None], object]


def _folders(*packages: ModuleType) -> tuple[str, ...]:
    return tuple(f"{folder}{os.sep}" for package in packages for folder in package.__path__)


_RUNNER: Final = _folders(eshet, eshet_rules, asyncio)

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
"""Signals that end the runner, whose handlers are there already."""


class SignalHandlers:
    """Keeps the runner's handlers, and contains those of rules.

    Args:
        log: where it is reported that a rule has taken a signal of the runner.
        on_error: called by the event loop with what a rule's handler has raised.
    """

    def __init__(
        self, log: FilteringBoundLogger, on_error: Callable[[BaseException], object]
    ) -> None:
        self._log = log
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._kept: dict[signal.Signals, Any] = {
            number: signal.getsignal(number) for number in _ENDING
        }
        self._before: dict[signal.Signals, Any] = {}
        self._set = signal.signal
        # At once, not only in the next check: the signal may come before that.
        signal.signal = self._set_contained  # type: ignore[assignment]

    def set(self, number: signal.Signals, handler: Handler) -> None:
        """Set a handler, which is kept from now on."""
        self._before[number] = self._set(number, handler)
        self._kept[number] = handler

    def check(self) -> None:
        """Put all in order again; called now and then."""
        for number in signal.valid_signals():
            try:
                handler = signal.getsignal(number)
                if number in self._kept:
                    self._keep(signal.Signals(number), handler)
                elif callable(handler) and not _is_known(handler):
                    self._set(number, self._contained(handler))
            except BaseException:  # an object that raises when it is compared
                self._replace(number)

    def restore(self) -> None:
        """Set the handlers of before again, for the signals that were given one by `set`."""
        signal.signal = self._set
        for number, handler in self._before.items():
            self._set(number, handler)

    def _set_contained(self, number: int, handler: Any) -> Any:
        """Stand in for `signal.signal`."""
        if callable(handler) and not _is_known(handler):
            handler = self._contained(handler)
        return self._set(number, handler)

    def _keep(self, number: signal.Signals, handler: Any) -> None:
        if handler is not self._kept[number]:
            emit(self._log, SignalHandlerRestored(signal=number.name))
            self._set(number, self._kept[number])

    def _replace(self, number: int) -> None:
        with contextlib.suppress(BaseException):  # it returns the handler of before
            self._set(number, self._kept.get(signal.Signals(number), signal.SIG_IGN))

    def _contained(self, handler: Handler) -> Handler:
        def contain(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                # Not reported here: it may be in the midst of writing to the log.
                self._loop.call_soon_threadsafe(self._on_error, error, context=Context())

        return contain


def _is_known(handler: Any) -> bool:
    """Whether a handler is the runner's, or is contained already."""
    return type(handler) is FunctionType and handler.__code__.co_filename.startswith(_RUNNER)
