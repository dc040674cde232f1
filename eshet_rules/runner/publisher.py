"""Publishes the states of the runner and its rules in ESHET, and offers its commands as actions.

    /eshet_rules/NAME/runner              a state: folder, process, and numbers of rules by state
    /eshet_rules/NAME/rules/MODULE/RULE   a state for each rule; see `RuleReport.plain`
    /eshet_rules/NAME/list                an action: the same for all rules, page by page
    /eshet_rules/NAME/reload, enable, disable, restart, commit
                                          actions, called with names of rules or modules
    /eshet_rules/NAME/release             an action, called with paths that were changed by hand
    /eshet_rules/NAME/drain               an action: gives all modules to other runners
    /eshet_rules/NAME/drives              an action: who decides over each path with `yarp.drive`
    /eshet_rules/NAME/rollback            an action: runs an earlier version of a module
    /eshet_rules/NAME/why                 an action: the last records and the rules of a path
    /eshet_rules/NAME/why_not             an action: the conditions for another value of a path
    /eshet_rules/NAME/inside              an action: the graph of the inside of a rule
    /eshet_rules/NAME/cluster             an action: the cluster as this runner knows it

In paths, each character of a name other than A-Z, a-z, 0-9 and _ is replaced by _. The state of a
rule contains its full name.

Changes are published at most twice a second; unchanged states are not republished.
"""

import asyncio
import inspect
import itertools
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from eshet import codec
from eshet.client import Client
from eshet.clock import wall_now
from eshet.exceptions import Disconnected, ErrorValue, EshetError
from eshet.paths import word
from eshet.scope import Scope
from eshet.text import encodable, safe_repr, shorten
from eshet_rules.audit.records.control import (
    PublishingAvailable,
    PublishingUnavailable,
    RequestFailed,
    RequestRefused,
)
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.redaction import Redaction
from eshet_rules.exceptions import RulesError, WrongArguments
from eshet_rules.reload.reloader import Reloader
from eshet_rules.runner.committed import WaitingChange
from eshet_rules.runner.control import Control
from eshet_rules.runner.drive_reports import DriveReports
from eshet_rules.runner.roll_backs import RollBack
from eshet_rules.supervision.report import RuleReport

__all__ = ["ACTIONS", "ROOT", "SETTING", "Publisher", "runner_name"]

ROOT: Final = "/eshet_rules"
ACTIONS: Final = ("reload", "enable", "disable", "restart", "commit")

SETTING: Final = "--name, or `name` below [server]"
"""How to give a runner another name, for advice."""

_INTERVAL: Final = 0.5
"""Seconds between two checks for changes."""

_FIRST_RETRY: Final = 1.0
"""Seconds until a second attempt to publish, for example while the server of a runner with the same
name that was killed is not missed yet; each time, twice as many."""

_LONGEST_RETRY: Final = 60.0

_TAKEN: Final = ("path_already_exists", "not_owner")
"""Error codes of a server for a path that another client owns."""

_MAX_BROKEN: Final = 20
"""Maximum number of broken modules in one message."""

_PAGE: Final = 48_000
"""Maximum size of the reports in one message, in bytes."""


def runner_name(configured: str | None, folder: Path) -> str:
    """Return the name under which the runner of a folder publishes."""
    return configured or word(folder.name) or "rules"


class Publisher:
    """Publishes the states of a runner and its rules, and offers the runner's commands as actions.

    Args:
        client: the runner's own client.
        name: the name of the runner.
        reloader: provides the reports on the rules.
        control: executes the commands.
        log: receives refused commands and failures to publish.
        folder: the rules folder.
        redaction: removes secrets from published texts.
        bridges: returns the reports on the bridges, as plain data.
        answers: other actions, by name.
        on_changes: called with the reports on all rules whenever one of them has changed.
        setting: how to give the runner another name, for advice.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        reloader: Reloader,
        control: Control,
        log: FilteringBoundLogger,
        folder: Path,
        redaction: Redaction | None = None,
        bridges: Callable[[], list[dict[str, Any]]] = list,
        answers: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
        on_changes: Callable[[Iterable[RuleReport]], object] = lambda reports: None,
        setting: str = SETTING,
    ) -> None:
        self._client = client
        self._base: Final = f"{ROOT}/{name}"
        self._reloader = reloader
        self._control = control
        self._log = log
        self._redaction: Final = redaction or Redaction()
        self._drive_reports: Final = DriveReports(reloader, self._redaction)
        self._bridges = bridges
        self._answers = answers
        self._on_changes = on_changes
        self._setting = setting
        self._scope = self._new_scope()
        self._constant: Final = {
            "name": name,
            "folder": encodable(str(folder)),
            "pid": os.getpid(),
            "since": wall_now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        self._paths: dict[str, str] = {}  # paths of the states of rules, by the rules' full names
        self._published: dict[str, RuleReport] = {}
        self._broken: dict[str, str] | None = None
        self._known_roll_backs: Mapping[str, RollBack] = {}  # as last published
        self._known_waiting: Mapping[str, WaitingChange] = {}
        self._listed: list[RuleReport] = []  # by the reloader, the last time
        self._changes = 0
        self._publishing: Final = asyncio.Lock()

    async def run(self) -> None:
        """Publish all changes, forever; if that fails, log it and try again."""
        logged: PublishingUnavailable | None = None
        retry = _FIRST_RETRY
        while True:
            await self._client.wait_for_connection()
            try:
                await self._offer()
                retry = _FIRST_RETRY
                if logged is not None:
                    emit(self._log, PublishingAvailable(path=self._base))
                    logged = None
                await self._keep_publishing()
            except Disconnected:
                self._withdraw()
            except EshetError as error:
                self._withdraw()
                problem = await self._problem(error)
                if problem != logged:
                    logged = problem
                    emit(self._log, problem)
                await asyncio.sleep(retry)
                retry = min(2 * retry, _LONGEST_RETRY)
            except BaseException:
                self._withdraw()  # the next run starts from scratch
                raise

    async def close(self) -> None:
        """Unregister everything, and close the client."""
        self._scope.dispose()
        await self._client.close()

    def summary(self) -> dict[str, Any]:
        """Return the state of the runner as plain data."""
        return {
            **self._constant,
            "rules": self._reloader.states(),
            "broken": list(self._broken_modules()),
            "rolled_back": list(self._rolled_back()),
            "waiting": list(self._waiting()),
            "changes": self._changes,
        }

    async def _keep_publishing(self) -> None:
        while True:
            try:
                await self._publish_changes()
            except Disconnected:
                await self._client.wait_for_connection()  # the client restores all states
            await asyncio.sleep(_INTERVAL)

    def _withdraw(self) -> None:
        """Unregister everything."""
        self._scope.dispose()
        self._scope = self._new_scope()
        self._paths, self._published, self._broken, self._listed = {}, {}, None, []

    def _new_scope(self) -> Scope:
        return Scope("commands", on_error=self._log_refused)

    async def _problem(self, error: EshetError) -> PublishingUnavailable:
        """Return the event to log for an error, with advice if there is any."""
        if not isinstance(error, ErrorValue) or error.value not in _TAKEN:
            return PublishingUnavailable(path=self._base, error=str(error))
        try:
            other = await self._client.get(f"{self._base}/runner")
            owner = f"the runner of {other['folder']}, process {other['pid']},"
        except (EshetError, TypeError, LookupError):
            owner = "another runner"
        return PublishingUnavailable(
            path=self._base,
            error=f"{owner} has the name {self._constant['name']!r} on this server",
            advice=f"start one of them with another name: {self._setting}",
        )

    async def _offer(self) -> None:
        """Register the actions, and the state of the runner."""
        with self._scope.active():
            await self._client.state_register(f"{self._base}/runner")
            actions: dict[str, Callable[..., Any]] = {
                **{name: self._answering(getattr(self._control, name)) for name in ACTIONS},
                "rollback": self._roll_back,
                "release": self._release,
                "drain": self._drain,
                "drives": self._drives,
                **self._answers,
                "list": self._list,  # the last one: commands look for runners with this action
            }
            for name, do in actions.items():
                await self._client.action_register(f"{self._base}/{name}", _checking(name, do))

    async def _drain(self, undo: Any = False) -> dict[str, Any]:
        done = await self._control.drain(undo=undo is True)
        modules = {name: list(map(encodable, done[name])) for name in ("modules", "without_runner")}
        return {**done, **modules}

    async def _release(self, *paths: Any) -> list[str]:
        return await self._control.release(*map(str, paths))

    async def _roll_back(
        self, target: Any, write: Any = False, by: Any = "", why: Any = ""
    ) -> dict[str, Any]:
        done = await self._control.roll_back(
            str(target), write=write is True, by=shorten(str(by), 100), why=shorten(str(why), 500)
        )
        await self._publish_changes()
        return {**done, "file": encodable(done["file"])}

    def _answering(
        self, do: Callable[..., Awaitable[list[str]]]
    ) -> Callable[..., Awaitable[list[str]]]:
        async def answer(*names: Any) -> list[str]:
            done = await do(*map(str, names))
            await self._publish_changes()
            return done

        return answer

    def _log_refused(self, error: BaseException, doing: str) -> None:
        if isinstance(error, RulesError):
            emit(self._log, RequestRefused(error=str(error)))
        else:
            emit(self._log, RequestFailed(doing=doing), error=error)

    def _list(self, after: Any = "") -> dict[str, Any]:
        """Return a page of reports, and the argument with which to request the next page."""
        after = _text("list", after)
        page: list[Mapping[str, Any]] = []
        length = 0
        rules = [self._plain(report) for report in self._reloader.reports()]
        for plain in sorted(rules, key=lambda rule: str(rule["rule"])):
            if plain["rule"] <= after:
                continue
            length += len(codec.pack(plain))
            if page and length > _PAGE:
                return {"rules": page, "next": page[-1]["rule"]}
            page.append(plain)
        return {
            "rules": page,
            "next": None,
            "broken": self._broken_modules(),
            "rolled_back": self._rolled_back(),
            "waiting": self._waiting(),
            "bridges": self._bridges(),
        }

    def _drives(self, after: Any = "") -> dict[str, Any]:
        """Return a page of reports on driven paths, and the argument that requests the next."""
        after = _text("drives", after)
        page: list[dict[str, Any]] = []
        length = 0
        for plain in self._drive_reports.after(after):
            length += len(codec.pack(plain))
            if page and length > _PAGE:
                return {"drives": page, "next": page[-1]["path"]}
            page.append(plain)
        return {"drives": page, "next": None}

    def _plain(self, report: RuleReport) -> dict[str, Any]:
        """Return a report as plain data without secrets."""
        plain = dict(report.plain())
        for name in ("last_error", "why"):
            if plain[name]:
                plain[name] = self._redaction.text(plain[name])
        return plain

    def _broken_modules(self) -> dict[str, str]:
        """Return the errors of broken modules, at most as many as fit into one message."""
        problems = itertools.islice(sorted(self._reloader.broken.items()), _MAX_BROKEN)
        return {
            encodable(shorten(module, 200)): encodable(shorten(self._redaction.text(problem), 500))
            for module, problem in problems
        }

    def _rolled_back(self) -> dict[str, dict[str, str]]:
        """Return the modules that are rolled back, as many as fit into one message."""
        rolled_back = sorted(self._control.rolled_back.items())
        return {
            encodable(shorten(module, 200)): {
                "version": each.version,
                "file_version": each.file_version,
                "since": each.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
                "by": encodable(each.by),
                "why": encodable(self._redaction.text(each.why)),
            }
            for module, each in itertools.islice(rolled_back, _MAX_BROKEN)
        }

    def _waiting(self) -> dict[str, dict[str, str | None]]:
        """Return the changes that wait to be committed, as many as fit into one message."""
        return {
            encodable(shorten(module, 200)): each._asdict()
            for module, each in itertools.islice(self._control.waiting.items(), _MAX_BROKEN)
        }

    # --- states -------------------------------------------------------------------------------

    async def _publish_changes(self) -> None:
        async with self._publishing:
            await self._publish()

    async def _publish(self) -> None:
        listed, broken = self._reloader.reports(), self._reloader.broken
        rolled_back, waiting = self._control.rolled_back, self._control.waiting
        are_known = (broken, rolled_back, waiting) == (
            self._broken,
            self._known_roll_backs,
            self._known_waiting,
        )
        if listed is self._listed and are_known:
            return
        reports = {report.rule: report for report in listed}
        changed = [
            report
            for report in listed
            if (published := self._published.get(report.rule)) is not report and published != report
        ]
        gone = self._published.keys() - reports.keys()
        if not changed and not gone and are_known:
            self._listed = listed
            return
        self._changes += 1
        self._broken, self._known_roll_backs = broken, rolled_back
        self._known_waiting = waiting
        self._on_changes(reports.values())
        for rule in gone:
            del self._published[rule]
            if (path := self._paths.pop(rule, None)) is not None:  # None if never registered
                await self._client.unregister(path)
        for report in changed:
            self._published[report.rule] = report
            path = await self._path(report.module, report.rule)
            await self._client.state_changed(path, self._plain(report))
        await self._client.state_changed(f"{self._base}/runner", self.summary())
        self._listed = listed  # not before: if this is interrupted, the rest is published next time

    async def _path(self, module: str, rule: str) -> str:
        """Return the path of the state of a rule, and register it if it is not yet."""
        if rule not in self._paths:
            name = rule.removeprefix(f"{module}.")
            path = f"{self._base}/rules/{word(module)}/{word(name)}"
            path = _another(path, self._paths.values())
            with self._scope.active():
                await self._client.state_register(path)
            self._paths[rule] = path
        return self._paths[rule]


def _checking(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls an action if it takes the arguments.

    The function raises `WrongArguments` otherwise.
    """
    signature = inspect.signature(do)

    def answer(*arguments: Any) -> Any:
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise WrongArguments(name, str(error)) from None
        return do(*arguments)

    return answer


def _text(action: str, value: Any) -> str:
    """Return the argument of an action, which must be a text."""
    if not isinstance(value, str):
        raise WrongArguments(action, f"{safe_repr(value, 100)} is not a text")
    return value


def _another(path: str, taken: Iterable[str]) -> str:
    """Return the path, or if it is taken, the path with a number appended."""
    others = set(taken)
    number, free = 1, path
    while free in others:
        number += 1
        free = f"{path}_{number}"
    return free
