"""Runs a rule under its strategy, attempt by attempt, and restarts it when it has failed."""

import asyncio
import contextvars
import dataclasses
import inspect
import re
from collections.abc import Mapping
from datetime import UTC
from types import CodeType
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger

from eshet.cause import Cause, current_cause, use_cause
from eshet.client import Client
from eshet.clock import wall_now
from eshet.exceptions import (
    Disconnected,
    ErrorValue,
    Interrupted,
    InvalidPath,
    PathTaken,
    ReactiveTypeError,
    UnsupportedValue,
)
from eshet.reactive.handover.handover import Snapshot
from eshet.scope import Reason, Scope, use_scope
from eshet.tasks import BUGS, BuiltStrategy, End, Ending, Options, Workload
from eshet.tasks.starting import is_failure, start_task
from eshet.text import safe_repr, safe_str
from eshet.user_errors import error_text, is_error
from eshet.utils import RunInTask, TaskStrategy
from eshet.yarp.default_strategy import DefaultStrategy
from eshet_rules.audit.records.rules import TasksNotEnding
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.supervision import RestartScheduled, RuleRestarted, RuleStaysFailed
from eshet_rules.keep import kept_in, provide_kept
from eshet_rules.logs import line_in, with_advice
from eshet_rules.rule import Rule
from eshet_rules.supervision.intensity import next_pause, recent
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.scope import RuleScope, TaskScope
from eshet_rules.supervision.status import RuleState, RuleStatus

__all__ = ["RunScope", "SupervisedRule", "rule_of"]

_SET_UP_TIME: Final = 10.0
"""Seconds after the start of an attempt within which a bug counts as one of the set-up."""

_BUGS: Final = (*BUGS, InvalidPath, UnsupportedValue)

_CERTAIN: Final = re.compile(
    r"coroutine| write `|^module '|positional argument|keyword argument|required argument"
    r"|publishes an? |'(Value|Event)' object"
)
"""Matches the text of a bug that does not depend on values."""

_ABSENT: Final = ("no_such_node", "no_owner", "path_not_found")
"""Error codes of servers for a path that nothing provides."""

_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
"""Seconds until the next attempt to register a path that another client provides; doubled each
time."""

_REMEDY: Final = "save its file, or restart it with `eshet-rules restart`"


class RunScope(TaskScope):
    """The scope of a rule from a start to its end, or to the next restart.

    Args:
        rule: the rule.
    """

    def __init__(self, rule: "SupervisedRule") -> None:
        super().__init__(rule.name, parent=rule.scope)
        self.rule: Final = rule


def _without_timeout(strategy: TaskStrategy) -> TaskStrategy:
    """Return a strategy without its timeout, since a rule may run forever."""
    if isinstance(strategy, Options) and strategy.timeout is not None:
        return dataclasses.replace(strategy, timeout=None)
    return strategy


def rule_of(scope: Scope | None) -> "SupervisedRule | None":
    """Return the rule that a scope belongs to; None if it belongs to no rule."""
    while scope is not None and not isinstance(scope, RunScope):
        scope = scope.parent
    return None if scope is None else scope.rule


class SupervisedRule:
    """Runs a rule under its strategy, and restarts it when it has failed.

    A rule fails when its coroutine raises, and its strategy makes no further attempt. Everything
    that an attempt has created is disposed before the next one begins, so that nothing exists
    twice. Errors are reported to the scope; errors of nodes, callbacks and sinks do not fail the
    rule.

    Args:
        rule: the rule.
        scope: owns everything that the rule creates; the rule ends when it is disposed. Its name
            is the full name of the rule.
        arguments: the arguments of the rule by name, except for `scope`.
        version: the version of its module.
        strategy: its strategy if it chooses none itself.
        limits: its limits.
        log: receives messages about its restarts.
        live: whether it may be restarted; otherwise restarts wait for `go_live`.
    """

    # With so many attributes, each rule would need a dict of its own, of 1.5 KiB.
    __slots__ = (
        "__weakref__",
        "_arguments",
        "_attempt_began",
        "_context",
        "_error_count",
        "_error_line",
        "_has_bug",
        "_kept",
        "_last_error",
        "_last_failure",
        "_live",
        "_log",
        "_lost_connection",
        "_reports_end",
        "_restart_count",
        "_restarts",
        "_run_scope",
        "_since",
        "_state",
        "_strategy",
        "_strategy_as_written",
        "_timer",
        "_version",
        "_wait_for_path",
        "_waits_to_go_live",
        "_was_cancelled",
        "_why",
        "_workload",
        "absent_path",
        "attempt_scope",
        "first_attempt",
        "limits",
        "name",
        "rule",
        "scope",
        "taken_path",
    )

    def __init__(
        self,
        rule: Rule,
        scope: TaskScope,
        arguments: Mapping[str, Any] | None = None,
        *,
        version: str = "",
        strategy: TaskStrategy | None = None,
        limits: RuleLimits = RuleLimits(),
        log: FilteringBoundLogger | None = None,
        live: bool = True,
    ) -> None:
        self.rule: Final = rule
        self.scope: Final = scope
        self.name: Final = scope.name
        self.first_attempt: Final[asyncio.Future[bool]] = asyncio.get_running_loop().create_future()
        """Whether the first attempt to set up the rule succeeded; pending while it runs. An attempt
        that fails for lack of a connection does not count."""
        self.attempt_scope: RuleScope | None = None
        """The scope of the present attempt, or the last one; None before the first."""
        self._arguments = arguments or {}
        self._version = version
        self.limits: Final = limits
        self._log: FilteringBoundLogger = log or structlog.get_logger()
        self._strategy: Final = rule.strategy or strategy or RunInTask()
        self._strategy_as_written: Final = safe_repr(self._strategy)
        self._context: contextvars.Context | None = None
        self._run_scope = RunScope(self)
        self._state = RuleState.ENDED
        self._since = wall_now(UTC)
        self._why = ""
        self._last_error: str | None = None
        self._error_count = 0
        self._error_line: int | None = None
        self._last_failure: str | None = None  # the error of the last attempt that failed
        self._kept: list[Snapshot] = []
        self._restarts: list[float] = []
        self._restart_count = 0
        self._workload = Workload()
        self._timer: asyncio.TimerHandle | asyncio.Task[None] | None = None
        self._live = live
        self._waits_to_go_live = False
        self._was_cancelled = False  # by other code than the runner
        # Why the last attempt failed: no connection, a bug in the set-up, or this path is taken.
        self._lost_connection = False
        self._has_bug = False
        self.taken_path: str = ""
        """The path for which the rule waits, as another client provides it; "" if none."""
        self.absent_path: str = ""
        """The path without an owner for which the last attempt failed; "" if it did not."""
        self._wait_for_path = _FIRST_WAIT  # seconds
        self._attempt_began = 0.0
        self._reports_end = True  # whether the strategy does; a user's own strategy does not
        scope.own(self._on_scope_end)

    @property
    def file(self) -> str:
        """The file of its function."""
        return self._code.co_filename

    @property
    def line(self) -> int:
        """The first line of its function."""
        return self._code.co_firstlineno

    @property
    def _code(self) -> CodeType:
        function: Any = inspect.unwrap(self.rule.function)
        code: CodeType = function.__code__
        return code

    @property
    def kept_by_last(self) -> list[Snapshot]:
        """The states of `keep` Values of the last attempt; none while an attempt is running."""
        is_running = self.attempt_scope is not None and not self.attempt_scope.disposed
        return [] if is_running else self._kept

    def kept(self) -> dict[str, Any]:
        """Return the states of the rule's `keep` Values, by their names."""
        self._save_kept()
        return {about.name: data for about, data, _ in self._kept if about.name is not None}

    @property
    def next_start(self) -> float | None:
        """The loop time of its next restart; None if none is scheduled for a time."""
        timer = self._timer if self._state is RuleState.RESTARTING else None
        return timer.when() if isinstance(timer, asyncio.TimerHandle) else None

    def status(self) -> RuleStatus:
        """Return the present status of the rule."""
        return RuleStatus(
            state=self._state,
            since=self._since,
            version=self._version,
            strategy=self._strategy_as_written,
            restarts=self._restart_count,
            last_error=self._last_error,
            why=self._why,
            running=self._workload.running,
            queued=self._workload.queued,
            errors=self._error_count,
            error_line=self._error_line,
        )

    def start(self) -> None:
        """Start the rule; the context of this call becomes the rule's."""
        self._context = contextvars.copy_context()
        self._begin()

    def go_live(self) -> None:
        """Note that its version is committed: if it has failed meanwhile, it is restarted."""
        self._live = True
        if self._waits_to_go_live:
            self._waits_to_go_live = False
            self._restart_or_stay_failed()

    def note_error(self, error: BaseException) -> None:
        """Show an error of a node, sink or task of the rule in the status."""
        self._set_last_error(_text(error), error)
        self.scope.note_activity()

    def note_recovery(self) -> None:
        """Show in the status that the operation of the last error has succeeded after all."""
        self._last_error = f"{self._last_error} (works again)"
        self.scope.note_activity()

    def fail(self, error: BaseException) -> None:
        """Fail the rule without a restart, as a restart would not help.

        When this returns, everything that it has created is disposed, and its tasks are cancelled.

        Args:
            error: the reason.
        """
        if self.scope.disposed:
            return
        self._cancel_restart()
        self._save_kept()
        self._set_last_error(str(error), error)
        self._stay_failed(str(error))
        self._first_attempt_ended(succeeded=False)  # if it was still in its set-up
        self._run_scope.begin_close(Reason.FAILED)
        with use_scope(None):
            _ = start_task(lambda: self._end_run(Reason.FAILED), self._end_run)

    def _set_last_error(self, text: str, error: BaseException) -> None:
        self._last_error = text
        self._error_count += 1
        self._error_line = line_in(self.file, error)

    # --- from a start to an end ---------------------------------------------------------------

    def _begin(self) -> None:
        """Build the strategy, and make it run the first attempt, in the context of the rule."""
        self._become(RuleState.RUNNING)

        async def attempt() -> None:
            await self._attempt()

        attempt.__qualname__ = self.rule.name  # the name in reports of failures
        try:
            self._run_scope.provide(DefaultStrategy, DefaultStrategy(self._strategy))
            with self._run_scope.active():
                # A user's own strategy may return any callable.
                run: Any = _without_timeout(self._strategy).build()
                self._reports_end = isinstance(run, BuiltStrategy)
                if self._reports_end:
                    run.on_end = self._on_end
                run(attempt)
        except BaseException as error:
            self.scope.report(error, f"strategy of {self.rule.name}")
            self._note_failure(error)
            self._first_attempt_ended(succeeded=False)
            self._restart_or_stay_failed()

    def _begin_again(self, cause: Cause | None) -> None:
        with use_cause(cause):
            self._begin()

    async def _end_run(self, reason: Reason) -> None:
        self._cancel_restart()
        still_running = await self._run_scope.close(reason)
        if still_running:
            emit(self._log, TasksNotEnding(tasks=still_running))

    # --- attempts -----------------------------------------------------------------------------

    async def _attempt(self) -> None:
        self._cancel_restart()
        if self.attempt_scope is not None:
            await self._end_attempt(self.attempt_scope, Reason.RESTARTED)
        self.attempt_scope = scope = RuleScope(self.rule.name, parent=self._run_scope)
        self._lost_connection = self._has_bug = False
        self._attempt_began = asyncio.get_running_loop().time()
        self._become(RuleState.RUNNING)
        scope.provide(Workload, self._workload)
        provide_kept(scope, self._kept)
        try:
            with scope.active():
                await self._call_rule(scope)
        except BaseException as error:
            self.taken_path = _taken_path(error)
            if not (is_error(error, Interrupted) or is_failure(error)):
                self._was_cancelled = is_error(error, asyncio.CancelledError)
                raise
            self._lost_connection = self._has_lost_connection(error)
            self._has_bug = self._is_bug_of_set_up(error)
            self.absent_path = _absent_path(error)
            await self._end_attempt(scope, Reason.FAILED)
            if not self._run_scope.disposed:  # else `fail` has noted it
                self._note_failure(error)
            if not self._lost_connection:
                self._first_attempt_ended(succeeded=False)
            if not self._reports_end:
                self._restart_or_stay_failed()  # the next attempt cancels this restart
            raise
        self.taken_path = ""
        self._first_attempt_ended(succeeded=True)

    async def _call_rule(self, scope: RuleScope) -> None:
        arguments = {**self._arguments, "scope": scope}
        wanted = [name for name in self.rule.asks_for if name in arguments]
        if "client" in wanted:
            await arguments["client"].wait_for_connection()
        try:
            await self.rule(**{name: arguments[name] for name in wanted})
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio would propagate it, and so end the whole runner.
            raise RuntimeError("a rule can't end the runner: return instead") from error

    async def _end_attempt(self, scope: RuleScope, reason: Reason) -> None:
        self._save_kept()
        still_running = await scope.close(reason)
        if still_running:
            emit(self._log, TasksNotEnding(tasks=still_running))

    def _save_kept(self) -> None:
        """Save the states of `keep` Values before the attempt that owns them is disposed."""
        if self.attempt_scope is not None and not self.attempt_scope.disposed:
            self._kept = kept_in(self.rule.name, self.attempt_scope) or self._kept

    def _first_attempt_ended(self, *, succeeded: bool) -> None:
        if not self.first_attempt.done():
            self.first_attempt.set_result(succeeded)

    # --- failure and restart ------------------------------------------------------------------

    def _note_failure(self, error: BaseException) -> None:
        self._last_failure = _text(error)
        self._set_last_error(self._last_failure, error)
        self._become(RuleState.RETRYING)

    def _on_end(self, ending: Ending) -> None:
        if self._was_cancelled and not self._run_scope.disposed:
            self._was_cancelled = False
            error = RuntimeError("the task of the rule was cancelled, but not by the runner")
            self.scope.report(error, f"task {self.rule.name}")
            self._note_failure(error)
            self._first_attempt_ended(succeeded=False)
            self._restart_or_stay_failed()
        elif ending.end is End.FAILED:
            self._restart_or_stay_failed()

    def _restart_or_stay_failed(self) -> None:
        if self._run_scope.disposed:
            return
        if self._lost_connection:
            self._restart_when_connected()
            return
        if not self._live:
            self._waits_to_go_live = True
            return
        if self._has_bug:
            self._stay_failed("its set-up has a bug, which a restart would meet again")
            return
        loop, limits = asyncio.get_running_loop(), self.limits
        if self.taken_path:
            self._retry_when_free(self.taken_path)
            return
        self._restarts = recent(self._restarts, loop.time(), limits)
        pause = next_pause(self._restarts, loop.time(), limits)
        if pause is None:
            times = f"{len(self._restarts)} restarts in {limits.restart_period:g} s"
            self._stay_failed(f"it failed again after {times}", error=self._last_failure)
        else:
            self._become(RuleState.RESTARTING)
            emit(self._log, RestartScheduled(restart=len(self._restarts) + 1, pause_s=pause))
            self._timer = loop.call_later(pause, self._restart)

    def _restart_when_connected(self) -> None:
        """Start again when the connection is back, without counting it as a restart."""
        self._become(RuleState.RESTARTING, "it waits for the connection")

        async def restart() -> None:
            await self._arguments["client"].wait_for_connection()
            self._start_again()

        with self.scope.active():
            self._timer = start_task(restart, restart)

    def _retry_when_free(self, path: str) -> None:
        """Start again later, without a limit: another client provides a path of the rule."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._attempt_began > _LONGEST_WAIT:  # the path was free meanwhile
            self._wait_for_path = _FIRST_WAIT
        self._become(RuleState.RESTARTING, f"{path} is provided by another rule or client")
        self._timer = loop.call_later(self._wait_for_path, self._start_again_with_cause)
        self._wait_for_path = min(self._wait_for_path * 2, _LONGEST_WAIT)

    def _start_again_with_cause(self) -> None:
        # The current cause is that of its failure.
        with use_cause(Cause("restart", self.name, current_cause())):
            self._start_again()

    def _restart(self) -> None:
        self._restarts.append(asyncio.get_running_loop().time())
        self._restart_count += 1
        # The current cause is that of its failure.
        with use_cause(Cause("restart", self.name, current_cause())):
            emit(self._log, RuleRestarted(restart=len(self._restarts)))
            self._start_again()

    def _start_again(self) -> None:
        """Begin again with the present cause, in the context of the rule."""
        self._run_scope.dispose(Reason.FAILED)
        self._run_scope = RunScope(self)
        assert self._context is not None  # noqa: S101 - `start` has set it
        self._context.copy().run(self._begin_again, current_cause())

    def _has_lost_connection(self, error: BaseException) -> bool:
        client: Client | None = self._arguments.get("client")
        is_lost = client is not None and not client.connected and not client.closed
        return is_lost and is_error(error, Disconnected)

    def _is_bug_of_set_up(self, error: BaseException) -> bool:
        """Whether the next attempt would fail for the same reason.

        If a bug may depend on a value, which can be different in the next attempt, the same error
        is required twice in a row.
        """
        lasted = asyncio.get_running_loop().time() - self._attempt_began
        if lasted >= _SET_UP_TIME or not is_error(error, _BUGS):
            return False
        text = safe_str(error)
        is_certain = is_error(error, (NameError, ReactiveTypeError)) or _CERTAIN.search(text)
        return bool(is_certain) or (self._last_failure == _text(error) and bool(text))

    def _stay_failed(self, because: str, error: str | None = None) -> None:
        why = f"{because}; {_REMEDY}"
        self._become(RuleState.FAILED, why)
        emit(self._log, RuleStaysFailed(why=why, error=error))

    def _on_scope_end(self) -> None:
        self._cancel_restart()
        self._become(RuleState.ENDED)

    def _cancel_restart(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _become(self, state: RuleState, why: str = "") -> None:
        if state is not self._state:
            self._since = wall_now(UTC)
        self._state = state
        self._why = why
        self.scope.note_activity()


def _taken_path(error: Any) -> str:
    """Return the path if an error says that another client provides it; else ""."""
    return str(error.path) if is_error(error, PathTaken) else ""


def _absent_path(error: Any) -> str:
    """Return the path if an error of the server says that nothing provides it; else ""."""
    if is_error(error, ErrorValue) and type(error.value) is str and error.value in _ABSENT:
        return str(error.request).rpartition(" ")[2]
    return ""


def _text(error: BaseException) -> str:
    """Return the text of an error; of a `SyntaxError` only the last line, without the place."""
    text = error_text(error)
    return text.splitlines()[-1] if is_error(error, SyntaxError) else with_advice(text, error)
