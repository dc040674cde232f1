"""Feeds a recording into rules in virtual time, and collects their outputs."""

import asyncio
import contextlib
import functools
import io
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from eshet.messages import EventEmit
from eshet.unknown import Unknown
from eshet_rules.audit.records.inputs_outputs import (
    ActionCalled,
    EventEmitted,
    StatePublished,
    ValueSet,
)
from eshet_rules.audit.records.inputs_outputs import Output as OutputRecord
from eshet_rules.config import FILE_NAME, Configuration, ConfigurationFile, RuleSettings
from eshet_rules.modules.discovery import Source
from eshet_rules.replay.devices import RecordedAction, RecordedState
from eshet_rules.replay.recording import Input, Output, Recording
from eshet_rules.testing.deadline import REAL_TIME
from eshet_rules.testing.house import House

__all__ = ["Replayed", "Rules", "replay"]

_KINDS: Final[dict[type[OutputRecord], str]] = {
    ValueSet: "set",
    ActionCalled: "call",
    EventEmitted: "emit",
    StatePublished: "state",
}
_SET_UP: Final = ("set-up", "reload", "restart")


class Replayed:
    """The result of a replay.

    Args:
        outputs: in order.
        errors: of rules, as text, each with the module of the rule.
        broken: the modules that can't be set up.
        modules: all modules.
    """

    def __init__(
        self,
        outputs: list[Output],
        errors: list[tuple[str, str]],
        broken: list[str],
        modules: Iterable[str],
    ) -> None:
        self.modules: Final = frozenset(modules)
        self.outputs: Final = outputs
        self.broken: Final = broken
        self._errors = errors

    @property
    def errors(self) -> list[str]:
        """The errors of all rules, as text."""
        return [text for _, text in self._errors]

    def errors_of(self, modules: Container[str]) -> list[str]:
        """Return the errors of the rules of some modules, as text."""
        return [text for module, text in self._errors if module in modules]


@dataclass(frozen=True)
class Rules:
    """The rules to replay.

    Args:
        folder: the rules folder.
        sources: its content; None for the present one.
        configuration: the settings of the rules; None for those of the folder.
    """

    folder: Path
    sources: Mapping[str, Source] | None = None
    configuration: Configuration | None = None


class _Running:
    """Rules in a house, some of which are disabled for a time.

    Args:
        rules: the rules.
        house: the house.

    Raises:
        ConfigurationError: the configuration file has mistakes.
    """

    def __init__(self, rules: Rules, house: House) -> None:
        self._rules = rules
        self._house = house
        configuration = rules.configuration
        if configuration is None:
            configuration = ConfigurationFile(rules.folder / FILE_NAME).read()
        self._configuration = configuration
        self._disabled: set[str] = set()

    async def load(self, provided: Iterable[str] = (), disabled: Iterable[str] = ()) -> list[str]:
        """Load them, and return the modules that can't be set up; see `House.load_all`."""
        self._disabled.update(disabled)
        rules = self._rules
        return await self._house.load_all(
            rules.folder, provided, sources=rules.sources, settings=self._settings
        )

    def switch(self, rule: str, *, on: bool) -> asyncio.Future[None]:
        """Begin to enable or disable a rule."""
        if on:
            self._disabled.discard(rule)
        else:
            self._disabled.add(rule)
        return asyncio.ensure_future(self._house.follow_settings())

    def _settings(self, rule: str) -> RuleSettings:
        settings = self._configuration.for_rule(rule)
        return changed(settings, disabled="by command") if rule in self._disabled else settings


def replay(rules: Rules | Path, recording: Recording, *, without: int | None = None) -> Replayed:
    """Run all rules of a folder on a recording.

    Nothing leaves the process: devices, persons and services are those of the recording.

    Args:
        rules: the rules, or their folder.
        recording: of these rules, or of another version of them.
        without: the index of an input of the recording that is left out.

    Raises:
        NotSetUp: no rule could be set up.
        ConfigurationError: the configuration file has mistakes.
    """
    with _silence():
        return _replay(rules if isinstance(rules, Rules) else Rules(rules), recording, without)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop everything that rules print, or log by the standard library."""
    handler = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(handler)  # without one, Python writes warnings to standard error
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.removeHandler(handler)


def _replay(rules: Rules, recording: Recording, without: int | None) -> Replayed:
    owned = _paths_of_rules(rules, recording)
    with _house(rules, recording) as house:
        feeding = _Feeding(house, recording, owned, _Running(rules, house), without)
        broken = house.run(feeding.run())
        errors = list(_rule_errors(house, recording))
        return Replayed(_outputs_of(house), errors, broken, house.modules())


def _paths_of_rules(rules: Rules, recording: Recording) -> set[str]:
    """Return the paths that the rules register themselves."""
    with _house(rules, recording) as house:
        house.run(_Running(rules, house).load())
        return house.paths_of_rules()


def _house(rules: Rules, recording: Recording) -> House:
    # In real time: a module that sleeps at its import uses no processor.
    return House(
        [rules.folder], recording.start, zone=None, keeps_inputs=False, stopwatch=REAL_TIME
    )


class _Feeding:
    """One replay.

    Args:
        house: for it.
        recording: to be fed.
        owned: the paths that the rules register.
        rules: the rules in the house.
        without: the index of an input that is not fed.
    """

    def __init__(
        self,
        house: House,
        recording: Recording,
        owned: set[str],
        rules: _Running,
        without: int | None,
    ) -> None:
        self._without = without
        self._rules = rules
        self._house = house
        self._recording = recording
        self._owned = owned
        self._states: dict[str, RecordedState] = {}
        self._sending: set[asyncio.Future[Any]] = set()

    async def run(self) -> list[str]:
        """Set up the rules among the nodes of the recording, and feed the inputs.

        Returns:
            The modules that can't be set up.
        """
        with self._house.unreported.active():
            await self._provide()
        called = [path for kind, path in self._recording.answers if kind == "call"]
        disabled = self._recording.disabled
        broken = await self._rules.load(called, (each.rule for each in disabled if not each.begin))
        loop = self._house.loop
        for at, step in sorted(self._steps(), key=lambda each: each[0]):
            if at > loop.time():
                await loop.advance(at - loop.time())
            step()
        await loop.advance(max(0.0, self._recording.seconds - loop.time()))
        return broken

    def _steps(self) -> Iterator[tuple[float, Callable[[], object]]]:
        """Yield the inputs and commands from outside, each with its time."""
        for each in self._recording.disabled:
            if each.begin:
                yield each.begin, functools.partial(self._switch, each.rule, on=False)
            if each.end < self._recording.seconds:
                yield each.end, functools.partial(self._switch, each.rule, on=True)
        for index, given in enumerate(self._recording.inputs):
            if index != self._without:
                yield given.at, functools.partial(self._feed, given)

    def _switch(self, rule: str, *, on: bool) -> None:
        self._keep(self._rules.switch(rule, on=on))

    async def _provide(self) -> None:
        recording, client = self._recording, self._house.client
        states = {each.path for each in recording.inputs if each.kind == "state"}
        states |= {path for kind, path in recording.answers if kind == "set"}
        states |= recording.first.keys()
        for path in sorted(states - self._owned):
            answers = recording.answers.get(("set", path), [])
            state = RecordedState(path, answers, recording.first.get(path, Unknown))
            await state.register(client)
            self._states[path] = state
        for kind, path in sorted(recording.answers):
            if kind == "call" and path not in self._owned:
                await RecordedAction(path, recording.answers[kind, path]).register(client)
        for path in sorted({each.path for each in recording.inputs if each.kind == "event"}):
            if path not in self._owned:
                await client.event_register(path)

    def _feed(self, given: Input) -> None:
        client = self._house.client
        sending: Any = None
        if given.kind == "state":
            state = self._states.get(given.path)
            sending = state.show(given.value) if state is not None else None
        elif given.kind == "event":
            sent = client.send_now(EventEmit.code, given.path, given.value)
            sending = sent.reply if sent is not None else None
        elif given.path in self._owned:
            if given.kind == "call":
                sending = client.action_call(given.path, *given.value)
            else:
                sending = client.set(given.path, given.value)
        if sending is not None:
            self._keep(asyncio.ensure_future(sending))

    def _keep(self, task: asyncio.Future[Any]) -> None:
        self._sending.add(task)
        task.add_done_callback(self._on_sent)

    def _on_sent(self, task: asyncio.Future[Any]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # of the rule that has answered, where it is recorded


def _outputs_of(house: House) -> list[Output]:
    found = []
    for happening in house.happenings.all:
        record = happening.record
        kind = _KINDS.get(type(record))
        if kind is None or record.outcome == "skipped" or record.rule is None:
            continue
        value = Unknown if record.unknown else record.value
        found.append(
            Output(
                round(happening.at - (record.duration or 0.0), 6),
                record.rule,
                kind,
                record.path,
                value,
                record.error or "",
                (record.trigger or "").startswith(_SET_UP),
            )
        )
    return sorted(found, key=lambda each: each.at)


def _rule_errors(house: House, recording: Recording) -> Iterator[tuple[str, str]]:
    """Iterate over the errors of rules, except for refusals that the recording has as well.

    Each is the module of the rule, and a text.
    """
    refusals = tuple(
        f"{kind} {path}: {answer.error}"
        for (kind, path), answers in recording.answers.items()
        for answer in answers
        if answer.error
    )
    for each in house.happenings.all:
        if each.is_error and not each.error.endswith(refusals):
            moment = recording.start.astimezone() + timedelta(seconds=each.at)
            yield each.plain().get("module") or "", f"{moment:%Y-%m-%d} {each.line(None)}"
