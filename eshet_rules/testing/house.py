"""A house for tests of rules: a server, devices and the rules themselves, in virtual time.

    async def test_the_light_goes_off_after_two_minutes(house):
        await house.load("hall.py")
        await house.emit("/hall/motion")
        await house.advance(minutes=2)
        assert house.history("/hall/light") == [(0, False), (0, True), (120, False)]

Nothing leaves the process, and the clock moves only in `advance`. The rules run as in the runner:
supervised, reloaded with their state, and observed; `timeline` shows all of it.
"""

import asyncio
import contextlib
import io
import os
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from datetime import time as daytime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar
from zoneinfo import ZoneInfo

from eshet.cause import Cause, use_cause
from eshet.client import Client
from eshet.client.observer import InputTarget
from eshet.client.server_tree import list_nodes
from eshet.exceptions import ErrorValue, PathTaken
from eshet.interpreter import running_loop
from eshet.paths import is_misspelt, nearest
from eshet.scope import Scope
from eshet.server import Server
from eshet.time_zones import zone_of
from eshet.unknown import Unknown
from eshet.yarp.acting import Pretence, current_pretence
from eshet.yarp.driving.drives import Drives
from eshet.yarp.outputs import HeldOutput
from eshet_rules.audit.actor import Actor, use_actor
from eshet_rules.audit.observer import RecordingObserver
from eshet_rules.audit.records.inputs_outputs import Connected
from eshet_rules.config import RuleSettings
from eshet_rules.exceptions import NotDriven
from eshet_rules.logs import make_logger
from eshet_rules.logs.advice import advice_on
from eshet_rules.logs.stdlib import receiving_errors_of_threads
from eshet_rules.modules.discovery import Source
from eshet_rules.reload.drive_records import recording
from eshet_rules.reload.module_instance import LONG_SET_UP_TIME, ModuleInstance
from eshet_rules.reload.owner_watch import OwnerWatch
from eshet_rules.rule import Rule
from eshet_rules.supervision.scope import own_tasks_by_scope
from eshet_rules.testing.answers import Answers
from eshet_rules.testing.awaited import Calls, checked
from eshet_rules.testing.deadline import CPU_TIME, Stopwatch, deadline
from eshet_rules.testing.devices import Device, SimulatedAction
from eshet_rules.testing.exceptions import NeverAtRest, NoSuchPath, NotSetUp, RuleExits
from eshet_rules.testing.happenings import Happenings
from eshet_rules.testing.rules_under_test import (
    FunctionsUnderTest,
    ModulesUnderTest,
    literal_texts,
)
from eshet_rules.testing.virtual_time import VirtualLoop

__all__ = ["House", "Notification"]

_T = TypeVar("_T")

_NOTIFY_FOLDER: Final = "/notify/"
_NOTIFY: Final = re.compile(rf"{_NOTIFY_FOLDER}\w+")

_LONGEST_STEP: Final = 10.0
"""Seconds for which rules may run while the clock stands still; by default, of the processor."""


class Notification(NamedTuple):
    """A notification that a rule has sent.

    Args:
        name: of the receiver: the last part of `/notify/NAME`.
        message: the text.
        title: its title; empty if there is none.
        level: `"info"`, `"success"`, `"warning"` or `"error"`.
    """

    name: str
    message: Any
    title: Any = ""
    level: Any = "info"


class House:
    """A house in virtual time; the fixture `house` of the pytest plugin is one.

    Its `async` methods must be awaited in its own event loop: a test that is an `async def` and has
    the fixture `house` runs there; elsewhere, pass a coroutine to `run`.

    Args:
        folders: where `load` looks for files: in each folder, and in those above it.
        start: the wall clock at the start.
        zone: the local time zone until `at` sets another one; None for that of the machine.
        keeps_inputs: whether `timeline` has the inputs of rules as well as their outputs.
        stopwatch: the kind of time for which rules may run or wait while the clock stands still.
    """

    def __init__(
        self,
        folders: Sequence[Path] = (),
        start: datetime = datetime(2026, 1, 1, tzinfo=UTC),
        *,
        zone: str | None = "UTC",
        keeps_inputs: bool = True,
        stopwatch: Stopwatch = CPU_TIME,
    ) -> None:
        self._stopwatch = stopwatch
        self._keeps_inputs = keeps_inputs
        self._folders = [Path.cwd(), *folders][::-1]
        self._runner = asyncio.Runner(loop_factory=lambda: VirtualLoop(start))
        self.pretence: Final = Pretence(is_on=True)
        """Whether `yarp.act` only records its calls; set `is_on` to False to make them."""
        self.errors: Final[list[str]] = []
        """The errors of rules so far. A test fails at its end unless it has cleared this list."""
        self._local_zone = zone
        self._zone: tzinfo | None = None if zone is None else ZoneInfo(zone)
        self._exits = contextlib.ExitStack()
        self._modules: dict[Path, ModulesUnderTest] = {}
        self.calls_made: Final = Calls()
        self._to_register: list[Device | SimulatedAction] = []
        self.unreported: Final = Scope("devices", on_error=_ignore)
        """For devices: a refusal is an error of the rule that asked."""
        self._provided: set[str] = set()  # paths of devices and actions
        self._files_of_functions: set[str] = set()
        self._emitted: set[str] = set()
        self._checked = 0  # happenings that were searched for errors

    def __repr__(self) -> str:
        return "<House>"

    def __enter__(self) -> Self:
        if running_loop() is not None:
            raise RuntimeError(
                "a House has an event loop of its own, and another one is running: use it in a "
                "plain function, and pass coroutines to `house.run`"
            )
        if self._local_zone is not None:
            self._exits.enter_context(_local_zone(self._local_zone))
        self._exits.enter_context(self._runner)
        self.loop: VirtualLoop = self._runner.get_loop()  # type: ignore[assignment]
        self.happenings: Happenings = Happenings(self.loop.time, self.loop.wall_time)
        self.run(self._begin())
        self._exits.enter_context(receiving_errors_of_threads(self._log))
        self._exits.callback(lambda: self.run(self._end()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exits.close()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the event loop of the house, from a test that is a plain function."""
        seen = -1
        seen_at, used = 0.0, 0.0  # the clock, and the time of the processor

        def give_up() -> None:  # unless the loop only waits, as for a thread
            nonlocal seen, seen_at, used
            if self.loop.turns == seen:
                return
            is_first = seen < 0 or seen_at != self.time
            # In real time, other processes may be the reason.
            if not is_first and (
                self._stopwatch is CPU_TIME or time.process_time() - used >= _LONGEST_STEP
            ):
                self.loop.fail_advance(NeverAtRest(self.time))
            seen = self.loop.turns
            if is_first:
                seen_at, used = self.time, time.process_time()

        with deadline(
            _LONGEST_STEP, self.loop, self._is_rule, give_up, _do_nothing, self._stopwatch
        ):
            try:
                return self._runner.run(coroutine)
            except SystemExit as error:
                self.loop.forget_advance()
                raise RuleExits(error.code, self.happenings.last_rule) from error

    def _is_rule(self, file: str) -> bool:
        """Whether a file is one of the rules."""
        return any(Path(file).is_relative_to(folder) for folder in self._modules) or (
            file in self._files_of_functions
        )

    async def _begin(self) -> None:
        current_pretence.set(self.pretence)  # the context of the house's event loop
        own_tasks_by_scope(self.loop)
        self._log = make_logger(io.StringIO(), recorder=self.happenings)
        observer = RecordingObserver if self._keeps_inputs else _OutputObserver
        self._observer = observer(self.happenings)
        self.server: Server = Server()
        self.client: Client = Client(server=self.server, client_id="test/")
        self.client.attach(_DeviceObserver(self.happenings, self._observer))
        await self.client.wait_for_connection()
        self._asking = Client(server=self.server, client_id="test/questions")  # not observed
        self.drives: Drives = Drives(recording(self._log))
        self._functions = FunctionsUnderTest(self._make_client, self._log, self.drives)
        await OwnerWatch(self._asking, lambda: self.drives, self._outputs).begin()

    async def _end(self) -> None:
        for each in self._modules.values():
            await self._finish(each.close())
        await self._finish(self._functions.close())
        self._find_errors()
        await self.client.close()
        await self._asking.close()
        await self.server.close()

    def _outputs(self) -> Iterator[HeldOutput]:
        for each in self._modules.values():
            yield from each.outputs()
        yield from self._functions.outputs()

    def _make_client(self, module: str) -> Client:
        with use_actor(Actor(module=module)):
            client = Client(server=self.server, client_id=f"test/{module}")
        client.attach(self._observer)
        return client

    # --- time ---------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds since the start of the test, as in `history`."""
        return self.loop.time()

    @property
    def now(self) -> datetime:
        """The virtual wall clock, in the time zone of `at`."""
        return datetime.fromtimestamp(self.loop.wall_time(), UTC).astimezone(self._zone)

    def at(self, when: str | datetime, tz: str = "") -> None:
        """Set the wall clock, and the local time zone; timers that are running do not move.

        Args:
            when: such as `"2026-03-29 01:30"`, or `"01:30"` of the present day; without a zone,
                it is local time.
            tz: the local time zone for the rest of the test, such as `"Europe/Berlin"`.

        Raises:
            ValueError: `when` is neither a time of day nor a date and time.
            ReactiveTypeError: the time zone does not exist.
        """
        if tz:
            self._zone = zone_of(tz)
            self._exits.enter_context(_local_zone(tz))
        moment = self._moment(when) if isinstance(when, str) else when
        if moment.tzinfo is None and self._zone is not None:
            moment = moment.replace(tzinfo=self._zone)
        self.loop.set_wall_time(moment)

    def _moment(self, text: str) -> datetime:
        with contextlib.suppress(ValueError):
            return datetime.combine(self.now.date(), daytime.fromisoformat(text))
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(
                f"{text!r} is neither a time of day nor a date and time ({error}): write '01:30' "
                "or '2026-03-29 01:30'"
            ) from None

    @checked
    async def advance(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Let time pass; return when everything that was due has happened and has settled."""
        for each in (seconds, minutes, hours, days):
            if not isinstance(each, int | float):
                raise TypeError(f"house.advance takes numbers, not {each!r}: write `minutes=3`")
        await self._register()
        await self.loop.advance(seconds + 60 * minutes + 3600 * hours + 86400 * days)
        self._find_errors()

    @checked
    async def settle(self) -> None:
        """Let everything happen that takes no time."""
        await self.advance(0)

    async def _settle_again(self) -> None:
        """Settle, unless the loop does so already: in the answer of an action, for example."""
        if not self.loop.is_advancing:
            await self.settle()

    # --- rules --------------------------------------------------------------------------------

    @checked
    async def load(self, /, *files: str | Path, **parameters: Any) -> None:
        """Load modules of a rules folder, and set up their rules.

        If the function of a rule does not return, the rule counts as set up after a second.

        Args:
            files: such as `"hall.py"` or `"upstairs/bath.py"`, relative to the folder of the test
                or to one above it.
            parameters: which the rules get as `config`, in addition to those of `eshet-rules.toml`.

        Raises:
            FileNotFoundError: a file does not exist.
            NotSetUp: a module can't be imported, or a rule can't be set up.
            ValueError: there are parameters, but no rule has an argument `config`.
        """
        __tracebackhide__ = True
        for file in files:
            modules, name = self._find(file)
            modules.choose(name, parameters, None)
        for modules in self._modules.values():
            await self._provide_notifiers(modules.texts())
        what = ", ".join(map(str, files))
        await self._set_up(what, self._update)
        if parameters and not any(each.asking_for_config() for each in self._modules.values()):
            raise _unread(what, parameters)

    async def load_all(
        self,
        folder: Path,
        provided: Iterable[str] = (),
        *,
        sources: Mapping[str, Source] | None = None,
        settings: Callable[[str], RuleSettings] | None = None,
    ) -> list[str]:
        """Load all modules of a rules folder, and return those that can't be set up.

        Args:
            folder: the rules folder.
            provided: paths of actions that the caller has registered itself.
            sources: the content of the folder; None for its present one.
            settings: returns the settings of a rule, in place of those of the folder's
                configuration.

        Raises:
            ConfigurationError: the configuration file has mistakes.
        """
        modules = self._modules_of(folder, sources=sources, settings=settings)
        modules.choose_all()
        self._provided.update(provided)
        await self._provide_notifiers(modules.texts())
        await self._register()
        await self._finish(modules.update())
        await self.settle()
        return modules.broken()

    @checked
    async def reload(self, file: str | Path, source: str | Path | None = None) -> None:
        """Reload a module as the runner does when its file is saved: its rules keep their state.

        Args:
            file: see `load`.
            source: the new text of the file, or a file with it; the file is not written. By default
                its present content.

        Raises:
            NotSetUp: the new version can't be used; the old one is still running.
        """
        __tracebackhide__ = True
        modules, name = self._find(file)
        modules.choose(name, {}, _text_of(source))
        modules.renew(name)
        await self._provide_notifiers(modules.texts())
        await self._set_up(str(file), self._update)

    @checked
    async def rule(
        self, function: Rule | Mapping[Any, Rule] | Callable[..., Any], /, **parameters: Any
    ) -> None:
        """Set up a rule that is defined in the test, or all rules of a `rule.each`.

        Args:
            function: a rule, rules by their arguments, or an `async def` function.
            parameters: which the rule gets as `config`.

        Raises:
            NotSetUp: it can't be set up.
            ValueError: there are parameters, but it has no argument `config`.
        """
        __tracebackhide__ = True
        if isinstance(function, Mapping):
            for each in function.values():
                await self.rule(each, **parameters)
            return
        rule = function if isinstance(function, Rule) else Rule(function.__name__, function)
        if parameters and "config" not in rule.asks_for:
            raise _unread(rule.name, parameters)
        code = getattr(rule.function, "__code__", None)
        self._files_of_functions.add(getattr(code, "co_filename", ""))
        await self._provide_notifiers(literal_texts(code) if code is not None else ())
        await self._set_up(rule.name, lambda: self._functions.start(rule, parameters))

    @checked
    async def restart(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """End all rules and start them again, with the state that a new runner would find.

        The arguments are the time that passes while no rule is running.

        Raises:
            NotSetUp: a rule can't be set up again.
        """
        __tracebackhide__ = True
        groups: list[ModulesUnderTest | FunctionsUnderTest] = [
            *self._modules.values(),
            self._functions,
        ]
        for each in groups:
            await self._finish(each.stop())
        await self.advance(seconds, minutes=minutes, hours=hours, days=days)

        self.drives = drives = Drives(recording(self._log))

        async def start() -> bool:
            with drives.held():
                return all([await each.start_again(drives) for each in groups])

        await self._set_up("a rule", start)

    async def _update(self) -> bool:
        return all([await each.update() for each in self._modules.values()])

    async def _set_up(self, what: str, start: Callable[[], Awaitable[bool]]) -> None:
        __tracebackhide__ = True  # in reports of pytest
        await self._register()
        known = len(self.errors)
        if not await self._finish(start()):
            self._find_errors()
            errors, self.errors[known:] = self.errors[known:], []
            raise NotSetUp(what, errors)
        await self.settle()

    async def _finish(self, doing: Awaitable[_T]) -> _T:
        """Await something that may need time to pass, such as a rule that does not return."""
        task = asyncio.ensure_future(doing)
        await self.loop.advance(0)
        waited = 0
        while not task.done() and waited < 2 * LONG_SET_UP_TIME:
            await self.loop.advance(1)
            waited += 1
        return await task

    def _find(self, file: str | Path) -> tuple[ModulesUnderTest, str]:
        """Return the modules of the folder of a file, and the name of its module."""
        relative = Path(file)
        for start in self._folders:
            for folder in (start, *start.parents):
                if (folder / relative).is_file():
                    root = folder if not relative.is_absolute() else relative.parent
                    name = ".".join((folder / relative).relative_to(root).with_suffix("").parts)
                    return self._modules_of(root), name.removesuffix(".__init__")
        where = ", ".join(str(each) for each in self._folders)
        raise FileNotFoundError(f"there is no {relative} in {where}, or in a folder above")

    def _modules_of(
        self,
        folder: Path,
        *,
        sources: Mapping[str, Source] | None = None,
        settings: Callable[[str], RuleSettings] | None = None,
    ) -> ModulesUnderTest:
        if folder not in self._modules:
            self._modules[folder] = ModulesUnderTest(
                folder,
                self._make_client,
                self._log,
                self.drives,
                sources=sources,
                settings=settings,
            )
        return self._modules[folder]

    async def follow_settings(self) -> None:
        """Start and stop rules of modules according to the present settings of `load_all`."""
        for modules in self._modules.values():
            await modules.follow_settings()

    def modules(self) -> set[str]:
        """Return the names of the modules that were loaded, or could not be."""
        return {name for each in self._modules.values() for name in each.modules()}

    def paths_of_rules(self) -> set[str]:
        """Return the paths that rules of modules have registered."""
        return {path for each in self._modules.values() for path in each.paths()}

    async def _provide_notifiers(self, texts: Iterable[str]) -> None:
        """Register the actions of notifications that the source of rules names."""
        for path in {match[0] for text in texts for match in _NOTIFY.finditer(text)}:
            if path not in self._provided:
                self.action(path)

    # --- devices and persons ------------------------------------------------------------------

    def device(
        self,
        path: str,
        initial: object = Unknown,
        *,
        settable: bool = True,
        fails: int = 0,
        delay: float = 0,
        ignores: int = 0,
    ) -> Device:
        """Provide a state that shows the value to which it was set, such as a lamp.

        Args:
            path: of the state.
            initial: its value; it may be unknown at first.
            settable: whether it can be set; a sensor can't.
            fails: how many of the first sets fail.
            delay: seconds until a set is answered, and shown.
            ignores: how many of the first sets are answered, but have no effect.
        """
        self._check_new(path)
        device = Device(
            path,
            initial,
            self._settle_again,
            self.calls_made,
            settable=settable,
            fails=fails,
            delay=delay,
            ignores=ignores,
        )
        self._to_register.append(device)
        self._provided.add(path)
        return device

    def action(
        self, path: str, answer: Any = None, *, fails: int = 0, delay: float = 0
    ) -> SimulatedAction:
        """Provide an action that records its calls.

        Args:
            path: of the action.
            answer: the result of each call, or a function of the arguments.
            fails: how many of the first calls fail.
            delay: seconds until a call is answered.
        """
        self._check_new(path)
        action = SimulatedAction(path, answer, fails=fails, delay=delay)
        self._to_register.append(action)
        self._provided.add(path)
        return action

    def _check_new(self, path: str) -> None:
        if path in self._provided:
            raise ValueError(f"{path} is provided already: use the device or action of that call")

    @checked
    async def emit(self, path: str, payload: object = None) -> None:
        """Emit an event, as a button or a motion sensor does; it is registered if necessary.

        Raises:
            NoSuchPath: no rule listens to `path`, but to one that differs by a letter.
        """
        await self._register()
        if path not in self._emitted:
            await self._check_spelling(path)
            self._emitted.add(path)
        with contextlib.suppress(PathTaken):
            await self.client.event_register(path)
        await self.client.event_emit(path, payload)
        await self.settle()

    @checked
    async def set(self, path: str, value: object) -> None:
        """Set a state or a property, as a person does.

        Raises:
            ErrorValue: there is none at `path`, or its owner refuses the value.
        """
        await self._register()
        with _advised():
            await self._finish(self.client.set(path, value))
        await self.settle()

    @checked
    async def release(self, path: str) -> bool:
        """End the override of a path that rules drive, as `eshet-rules release` does.

        Returns:
            Whether there was one.

        Raises:
            NotDriven: no rule drives the path.
        """
        with use_cause(Cause("command", "release")):
            had_override = self.drives.release(path)
        if had_override is None:
            raise NotDriven(path, nearest(path, self.drives.paths()))
        await self.settle()
        return had_override

    @checked
    async def call(self, path: str, *arguments: object) -> Any:
        """Call an action, and return its result.

        Raises:
            ErrorValue: there is none at `path`, or it fails.
        """
        await self._register()
        with _advised():
            result = await self._finish(self.client.action_call(path, *arguments))
        await self.settle()
        return result

    @checked
    async def get(self, path: str) -> Any:
        """Return the value of a state or property; `Unknown` if it has none or does not exist.

        Raises:
            NoSuchPath: it does not exist, but a path that differs by a letter does.
        """
        await self._register()
        try:
            return await self.client.get(path)
        except ErrorValue:
            await self._check_spelling(path)
            return Unknown

    async def _check_spelling(self, path: str) -> None:
        known = [each async for each, _, _ in list_nodes(self._asking)]
        near = [each for each in known if is_misspelt(path, each)]
        if near and path not in known:
            raise NoSuchPath(path, near)

    async def _register(self) -> None:
        """Register the devices and actions that were made since the last call."""
        while self._to_register:
            with self.unreported.active():
                await self._to_register.pop(0).register(self.client)

    # --- the past -------------------------------------------------------------------------------

    def history(self, path: str) -> list[tuple[float, Any]]:
        """Return the values that a state of a rule or device has had, with their times.

        Times are seconds since the start of the test. A change to the same value is not a change.

        Raises:
            NoSuchPath: nothing has this path, but something has one that differs by a letter. The
                same holds for `sets`, `calls` and `emitted`.
        """
        self._check_known(path)
        changes: list[tuple[float, Any]] = []
        for at, value in self.happenings.published(path):
            if not changes or not _is_same(changes[-1][1], value):
                changes.append((round(at, 6), value))
        return changes

    def sets(self, path: str) -> list[Any]:
        """Return the values to which a state or property was set, also by sets that failed."""
        self._check_known(path)
        return self.happenings.sets(path)

    def calls(self, path: str) -> list[list[Any]]:
        """Return the arguments of all calls of an action, also of those that failed."""
        self._check_known(path)
        return self.happenings.calls(path)

    def acts(self, function: str) -> list[list[Any]]:
        """Return the arguments of all calls of a function by `yarp.act`, also of failed ones.

        Args:
            function: its name, such as `"send"`.
        """
        return self.happenings.acted(function)

    def emitted(self, path: str) -> list[Any]:
        """Return the payloads of all emissions of an event, by rules and by the test."""
        self._check_known(path)
        return self.happenings.emitted(path)

    def _check_known(self, path: str) -> None:
        known = self.happenings.paths | self._provided
        for instance in self._instances():
            for report in instance.reports():
                known |= {*report.reads, *report.writes}
        near = sorted(each for each in known if is_misspelt(path, each))
        if near and path not in known:
            raise NoSuchPath(path, near)

    @property
    def notifications(self) -> list[Notification]:
        """The notifications that rules have sent by `/notify/NAME`, without failed ones."""
        return [
            Notification(path.removeprefix(_NOTIFY_FOLDER), *arguments)
            for path, arguments in self.happenings.called(_NOTIFY_FOLDER)
            if 1 <= len(arguments) <= 3
        ]

    @property
    def messages(self) -> list[Any]:
        """The texts of all notifications, in order."""
        return [each.message for each in self.notifications]

    def why(self, path: str) -> str:
        """Return why a path has its value, as `eshet-rules why` prints it."""
        return self._answers.why(path, self.now, self._zone)

    def why_not(self, path: str, *wanted: object, depth: int = 5) -> str:
        """Return the changes that a path needs to have another value.

        It is the text that `eshet-rules why-not` prints. Nothing changes by that.

        Args:
            path: the path.
            wanted: the wanted value; without one, another one than the present: of a bool, the
                opposite.
            depth: the maximum number of rules one after another.
        """
        self._check_known(path)

        async def ask() -> str:
            return answer()

        def answer() -> str:
            return self._answers.why_not(path, wanted, depth, self.now, self._zone)

        return self.run(ask()) if running_loop() is None else answer()

    @property
    def _answers(self) -> Answers:
        return Answers(self.happenings, self._instances, self._drive_of)

    def _drive_of(self, path: str) -> Mapping[str, Any] | None:
        return None if running_loop() is None else self.drives.report_of(path)

    def _instances(self) -> Iterator[ModuleInstance]:
        for modules in self._modules.values():
            yield from modules.instances()
        yield from self._functions.instances()

    def timeline(self) -> str:
        """Return everything that has happened as text, a line for each."""
        return "\n".join(
            f"{each.at:>9.3f}  {each.line(self._zone)}"
            for each in self.happenings.all
            if not isinstance(each.record, Connected)
        )

    def _find_errors(self) -> None:
        new, self._checked = self.happenings.all[self._checked :], len(self.happenings.all)
        self.errors.extend(
            "\n".join(filter(None, [each.line(self._zone), each.traceback]))
            for each in new
            if each.is_error
        )


class _OutputObserver(RecordingObserver):
    """Records outputs only."""

    def on_input(self, kind: Any, path: str, value: Any) -> None:
        """See `ClientObserver`."""


class _DeviceObserver(RecordingObserver):
    """Records outputs of devices and persons; an effect of a rule keeps the cause of the rule."""

    def cause_of_input(
        self, kind: str, path: bytes, value: bytes, target: InputTarget
    ) -> Cause | None:
        """See `ClientObserver`."""
        return self.cause_of_output(kind, path, value, target)


def _text_of(source: str | Path | None) -> str | None:
    return source.read_text() if isinstance(source, Path) else source


@contextlib.contextmanager
def _advised() -> Iterator[None]:
    """Add advice to the errors of requests."""
    try:
        yield
    except ErrorValue as error:
        advice = advice_on(error)
        if advice is not None:
            error.add_note(advice)
        raise


def _unread(what: str, parameters: Iterable[str]) -> ValueError:
    return ValueError(
        f"no rule of {what} has an argument `config`, so nothing reads {', '.join(parameters)}: "
        "write `async def rule_name(config):` there"
    )


def _do_nothing(*arguments: object) -> None:
    pass


def _ignore(error: BaseException, doing: str) -> None:
    """Handle an error that is reported elsewhere."""


def _is_same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


@contextlib.contextmanager
def _local_zone(name: str) -> Iterator[None]:
    """Make a zone the local one, for everything that asks for the local time."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()
