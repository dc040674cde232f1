"""Protects the event loop and the process of the runner against rules."""

import asyncio
import contextlib
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from structlog.typing import FilteringBoundLogger

from eshet.private_files import make_private_folder
from eshet.scope import Scope
from eshet.text import type_name
from eshet.user_errors import error_text, is_error, plain_error
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import LoopBroken, StopPrevented
from eshet_rules.modules.discovery import Source
from eshet_rules.supervision.guard.crash import CrashFile
from eshet_rules.supervision.guard.quarantine import Blame, Quarantine
from eshet_rules.supervision.guard.rule_loop import RuleLoop
from eshet_rules.supervision.guard.watchdog import Place, Watchdog, place_of
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.supervised_rule import SupervisedRule

__all__ = ["Guard"]


class Guard:
    """Watches running rules, and keeps rules in quarantine that have ended the process.

    Args:
        folder: the rules folder.
        log: receives a message for each incident.
        limits: the default limits of rules.
        state: the folder for the quarantine, which survives restarts; None to keep none.
    """

    def __init__(
        self,
        folder: Path,
        log: FilteringBoundLogger,
        limits: RuleLimits | None = None,
        state: Path | None = None,
    ) -> None:
        self._folder = folder
        self._log = log
        self._limits = limits or RuleLimits()
        self._quarantine: Quarantine | None = None
        self._crash: CrashFile | None = None
        self._rules: Callable[[], Iterable[SupervisedRule]] = list
        if state is not None:
            with contextlib.suppress(OSError):  # reported when a file can't be written there
                make_private_folder(state)
            self._quarantine = Quarantine(state, log, self._limits)

    def begin(self, sources: Mapping[str, Source]) -> None:
        """Find out how the previous process ended; see `Quarantine.begin`."""
        if self._quarantine is not None:
            self._quarantine.begin(sources)

    def admit(self, sources: dict[str, Source]) -> dict[str, Source]:
        """Return the sources that may be imported; see `Quarantine.admit`."""
        return sources if self._quarantine is None else self._quarantine.admit(sources)

    def disabled_reason(self, rule: str) -> str | None:
        """Return why a rule is disabled, given its full name; None if it may run."""
        return None if self._quarantine is None else self._quarantine.disabled_reason(rule)

    def is_in_safe_mode(self, rule: str) -> bool:
        """Whether a rule, given its full name, does not run because of safe mode."""
        return self._quarantine is not None and self._quarantine.is_in_safe_mode(rule)

    def release(self, rules: Iterable[str]) -> list[Blame]:
        """Release rules from quarantine; see `Quarantine.release`."""
        return [] if self._quarantine is None else self._quarantine.release(rules)

    @property
    def own_blames(self) -> list[Blame]:
        """The crashes of this runner for which rules are in quarantine."""
        return [] if self._quarantine is None else self._quarantine.own

    def follow(self, blames: Iterable[Blame], released: Mapping[str, str]) -> bool:
        """Disable rules that have ended other runners; see `Quarantine.follow`."""
        return self._quarantine is not None and self._quarantine.follow(blames, released)

    def mark_clean_exit(self) -> None:
        """Note that the process is about to exit normally, even if the exit has to be forced."""
        if self._quarantine is not None:
            self._quarantine.mark_healthy()

    def write_again(self) -> None:
        """Write all files again after the state folder was deleted."""
        if self._quarantine is not None:
            self._quarantine.write_again()
        if self._crash is not None:
            self._crash.renew()

    @contextlib.contextmanager
    def watching(self, rules: Callable[[], Iterable[SupervisedRule]]) -> Iterator[None]:
        """Watch the running loop, in the main thread, within a `with` statement.

        Args:
            rules: returns the running rules.
        """
        self._rules = rules
        quarantine = self._quarantine
        crash = self._crash = None if quarantine is None else CrashFile(quarantine.crash_file)
        watchdog = Watchdog(
            self._limits, self._log, self._folder, rules, self._on_handler_error, crash
        )
        with contextlib.ExitStack() as undo:
            loop = asyncio.get_running_loop()
            if isinstance(loop, RuleLoop):
                loop.on_exit_call, loop.on_broken = self._on_exit_call, self._on_broken
                undo.callback(setattr, loop, "on_exit_call", None)
            if crash is not None:
                undo.callback(crash.close)
                undo.callback(setattr, self, "_crash", None)
            if quarantine is not None:
                timer = loop.call_later(self._limits.min_uptime, quarantine.mark_healthy)
                undo.callback(timer.cancel)
            undo.callback(watchdog.stop)
            watchdog.start()
            yield

    def _on_exit_call(self, error: BaseException, scope: Scope | None) -> None:
        """Report an exception that would have ended the event loop, which keeps running."""
        error = plain_error(error)
        place = self._place_of(error)
        doing = type_name(error) + _at(place)
        if is_error(error, (SystemExit, KeyboardInterrupt)):
            cause, error = error, RuntimeError("a rule can't end the runner: return instead")
            error.__cause__ = cause
        if scope is not None:
            scope.report(error, doing)
        else:
            self._report(error, doing, place)

    def _on_handler_error(self, error: BaseException) -> None:
        """Report an error of a rule's signal handler."""
        error = plain_error(error)
        place = self._place_of(error)
        self._report(error, f"signal handler{_at(place)}", place)

    def _on_broken(self, error: BaseException) -> NoReturn:
        """End the process, as its event loop can't continue, so that it is restarted."""
        with contextlib.suppress(BaseException):
            emit(self._log, LoopBroken(), error=error)
        with contextlib.suppress(OSError):
            os.write(2, f"eshet-rules: the event loop is broken: {error_text(error)}\n".encode())
        if self._crash is not None:
            self._crash.end()
        os._exit(1)

    def _report(self, error: BaseException, doing: str, place: Place | None) -> None:
        if place is not None and place.rule is not None:
            place.rule.scope.report(error, doing)
        else:
            emit(self._log, StopPrevented(), error=error)

    def _place_of(self, error: BaseException) -> Place | None:
        """Return the innermost line of the rules folder in the traceback of an error."""
        folder = f"{self._folder}{os.sep}"
        for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
            if frame.f_code.co_filename.startswith(folder):
                return place_of(frame, folder, self._rules)
        return None


def _at(place: Place | None) -> str:
    return "" if place is None else f" at {place.file}:{place.line}"
