"""Guards the runner, its event loop and its process, against the rules that it runs."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType

from structlog.typing import FilteringBoundLogger

from eshet.private_files import make_private_folder
from eshet.scope import Scope
from eshet.text import type_name
from eshet.user_errors import plain_error
from eshet_rules.discovery import Source
from eshet_rules.supervision.crash import CrashFile
from eshet_rules.supervision.limits import Limits
from eshet_rules.supervision.quarantine import Quarantine
from eshet_rules.supervision.rule_loop import RuleLoop
from eshet_rules.supervision.supervised_rule import SupervisedRule
from eshet_rules.supervision.watchdog import Watchdog, place_of

__all__ = ["Guard"]


class Guard:
    """What is known of rules that have done harm, and what watches those that run.

    Args:
        folder: the rules folder.
        log: where it is told what rules do.
        limits: of all rules.
        state: where it is remembered who has done harm, over restarts; None to forget it.
    """

    def __init__(
        self,
        folder: Path,
        log: FilteringBoundLogger,
        limits: Limits | None = None,
        state: Path | None = None,
    ) -> None:
        self._folder = folder
        self._log = log
        self._limits = limits or Limits()
        self._quarantine: Quarantine | None = None
        self._crash: CrashFile | None = None
        self._rules: Callable[[], Iterable[SupervisedRule]] = list
        if state is not None:
            with contextlib.suppress(OSError):  # reported by who can't write there
                make_private_folder(state)
            self._quarantine = Quarantine(state, log, self._limits)

    def begin(self, sources: Mapping[str, Source]) -> None:
        """Find out what happened to the process before this one."""
        if self._quarantine is not None:
            self._quarantine.begin(sources)

    def see(self, sources: dict[str, Source]) -> dict[str, Source]:
        """Return what of the rules folder may be imported; see `Quarantine.see`."""
        return sources if self._quarantine is None else self._quarantine.see(sources)

    def why_off(self, rule: str) -> str | None:
        """Return why a rule stays off, given its full name; None if it may run."""
        return None if self._quarantine is None else self._quarantine.why_off(rule)

    def let_run(self, rules: Iterable[str]) -> None:
        """Let rules run, given their full names, whatever they have done."""
        if self._quarantine is not None:
            self._quarantine.let_run(list(rules))

    def ends(self) -> None:
        """Tell that the process is about to end as it should, even if it has to be by force."""
        if self._quarantine is not None:
            self._quarantine.lived()

    def write_again(self) -> None:
        """Write what is remembered again, as the state folder was deleted."""
        if self._quarantine is not None:
            self._quarantine.write_again()
        if self._crash is not None:
            self._crash.renew()

    @contextlib.contextmanager
    def watching(self, rules: Callable[[], Iterable[SupervisedRule]]) -> Iterator[None]:
        """Watch the running loop, in the main thread, within a `with` statement.

        Args:
            rules: returns the rules that are alive.
        """
        self._rules = rules
        quarantine = self._quarantine
        crash = self._crash = None if quarantine is None else CrashFile(quarantine.crash_file)
        watchdog = Watchdog(self._limits, self._log, self._folder, rules, crash)
        with contextlib.ExitStack() as undo:
            loop = asyncio.get_running_loop()
            if isinstance(loop, RuleLoop):
                loop.on_exit_call = self._on_exit_call
                undo.callback(setattr, loop, "on_exit_call", None)
            if crash is not None:
                undo.callback(crash.close)
                undo.callback(setattr, self, "_crash", None)
            if quarantine is not None:
                timer = loop.call_later(self._limits.short_life, quarantine.lived)
                undo.callback(timer.cancel)
            undo.callback(watchdog.stop)
            watchdog.start()
            yield

    def _on_exit_call(self, error: BaseException, scope: Scope | None) -> None:
        """Report that a rule wanted to end the runner, which goes on."""
        error = plain_error(error)
        kind = type_name(error)
        place = place_of(_raised_in(error), f"{self._folder}{os.sep}", self._rules)
        problem = RuntimeError("a rule can't end the runner: return instead")
        problem.__cause__ = error
        if scope is not None:
            where = f" at {place.file}:{place.line}" if place is not None else ""
            scope.report(problem, f"{kind}{where}")
        elif place is not None and place.rule is not None:
            place.rule.scope.report(problem, f"{kind} at {place.file}:{place.line}")
        else:
            self._log.error("something wanted to end the runner", exc_info=problem)


def _raised_in(error: BaseException) -> FrameType | None:
    """Return the frame in which an exception was raised."""
    found, step = None, error.__traceback__
    while step is not None:
        found, step = step.tb_frame, step.tb_next
    return found
