"""Wraps signal handlers that rules set, and restores those of the runner.

Python runs a signal handler in the main thread, between any two instructions: in the code of
another rule, of the runner, or while the event loop waits. An error of a rule's handler must not be
raised there. So each handler of a rule is wrapped in one that contains its errors, and the handlers
that stop the runner are restored if a rule replaces them.
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
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import SignalHandlerRestored

__all__ = ["SignalHandlers"]

Handler = Callable[[int, FrameType | None], object]


def _folders(*packages: ModuleType) -> tuple[str, ...]:
    return tuple(f"{folder}{os.sep}" for package in packages for folder in package.__path__)


_RUNNER: Final = _folders(eshet, eshet_rules, asyncio)

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
"""Signals that stop the runner; their handlers are set before this is used."""


class SignalHandlers:
    """Keeps the runner's signal handlers, and contains errors of those of rules.

    Args:
        log: receives a warning if a rule has replaced a handler of the runner.
        on_error: called by the event loop with each error of a rule's handler.
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
        # Wrap handlers immediately, not only in the next check: the signal may come before that.
        signal.signal = self._set_contained  # type: ignore[assignment]

    def set(self, number: signal.Signals, handler: Handler) -> None:
        """Set a handler, which is kept from now on."""
        self._before[number] = self._set(number, handler)
        self._kept[number] = handler

    def check(self) -> None:
        """Restore the runner's handlers, and wrap those of rules; called at intervals."""
        for number in signal.valid_signals():
            try:
                handler = signal.getsignal(number)
                if number in self._kept:
                    self._keep(signal.Signals(number), handler)
                elif callable(handler) and not _is_known(handler):
                    self._set(number, self._contained(handler))
            except BaseException:  # raised by the comparison of a user object
                self._replace(number)

    def restore(self) -> None:
        """Restore the previous handlers of the signals for which `set` was called."""
        signal.signal = self._set
        for number, handler in self._before.items():
            self._set(number, handler)

    def _set_contained(self, number: int, handler: Any) -> Any:
        """Replace `signal.signal`."""
        if callable(handler) and not _is_known(handler):
            handler = self._contained(handler)
        return self._set(number, handler)

    def _keep(self, number: signal.Signals, handler: Any) -> None:
        if handler is not self._kept[number]:
            emit(self._log, SignalHandlerRestored(signal=number.name))
            self._set(number, self._kept[number])

    def _replace(self, number: int) -> None:
        with contextlib.suppress(BaseException):  # raised by the previous handler's comparison
            self._set(number, self._kept.get(signal.Signals(number), signal.SIG_IGN))

    def _contained(self, handler: Handler) -> Handler:
        def contain(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                # Not reported here: the signal may have interrupted a write to the log.
                self._loop.call_soon_threadsafe(self._on_error, error, context=Context())

        return contain


def _is_known(handler: Any) -> bool:
    """Whether a handler is the runner's, or is wrapped already."""
    return type(handler) is FunctionType and handler.__code__.co_filename.startswith(_RUNNER)
