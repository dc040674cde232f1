"""Feeds a recording into rules in virtual time, and collects their outputs."""

import asyncio
import contextlib
import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from eshet.messages import EventEmit
from eshet.unknown import Unknown
from eshet_rules.audit.records import ActionCalled, EventEmitted, StatePublished, ValueSet
from eshet_rules.audit.records import Output as OutputRecord
from eshet_rules.modules.discovery import Source
from eshet_rules.replay.devices import RecordedAction, RecordedState
from eshet_rules.replay.recording import Input, Output, Recording
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
        errors: of rules, as text.
        broken: the modules that can't be set up.
    """

    def __init__(self, outputs: list[Output], errors: list[str], broken: list[str]) -> None:
        self.outputs: Final = outputs
        self.errors: Final = errors
        self.broken: Final = broken


@dataclass(frozen=True)
class Rules:
    """The rules to replay.

    Args:
        folder: the rules folder.
        sources: its content; None for the present one.
        config: the configuration file; None for that of the folder.
    """

    folder: Path
    sources: Mapping[str, Source] | None = None
    config: Path | None = None

    async def load(self, house: House, provided: Iterable[str] = ()) -> list[str]:
        """Load them, and return the modules that can't be set up; see `House.load_all`."""
        return await house.load_all(self.folder, provided, sources=self.sources, config=self.config)


def replay(rules: Rules | Path, recording: Recording) -> Replayed:
    """Run all rules of a folder on a recording.

    Nothing leaves the process: devices, persons and services are those of the recording.

    Args:
        rules: the rules, or their folder.
        recording: of these rules, or of another version of them.

    Raises:
        NotSetUp: no rule could be set up.
        ConfigurationError: the configuration file has mistakes.
    """
    with _silence():
        return _replay(rules if isinstance(rules, Rules) else Rules(rules), recording)


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


def _replay(rules: Rules, recording: Recording) -> Replayed:
    owned = _paths_of_rules(rules, recording)
    with House([rules.folder], recording.start, zone=None, keeps_inputs=False) as house:
        broken = house.run(_Feeding(house, recording, owned).run(rules))
        return Replayed(_outputs_of(house), list(_rule_errors(house, recording)), broken)


def _paths_of_rules(rules: Rules, recording: Recording) -> set[str]:
    """Return the paths that the rules register themselves."""
    with House([rules.folder], recording.start, zone=None, keeps_inputs=False) as house:
        house.run(rules.load(house))
        return house.paths_of_rules()


class _Feeding:
    """One replay.

    Args:
        house: for it.
        recording: to be fed.
        owned: the paths that the rules register.
    """

    def __init__(self, house: House, recording: Recording, owned: set[str]) -> None:
        self._house = house
        self._recording = recording
        self._owned = owned
        self._states: dict[str, RecordedState] = {}
        self._sending: set[asyncio.Future[Any]] = set()

    async def run(self, rules: Rules) -> list[str]:
        """Set up the rules among the nodes of the recording, and feed the inputs.

        Returns:
            The modules that can't be set up.
        """
        with self._house.unreported.active():
            await self._provide()
        called = [path for kind, path in self._recording.answers if kind == "call"]
        broken = await rules.load(self._house, called)
        loop = self._house.loop
        for given in self._recording.inputs:
            if given.at > loop.time():
                await loop.advance(given.at - loop.time())
            self._feed(given)
        await loop.advance(max(0.0, self._recording.seconds - loop.time()))
        return broken

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
            task = asyncio.ensure_future(sending)
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


def _rule_errors(house: House, recording: Recording) -> Iterator[str]:
    """Iterate over the errors of rules, except for refusals that the recording has as well."""
    refusals = tuple(
        f"{kind} {path}: {answer.error}"
        for (kind, path), answers in recording.answers.items()
        for answer in answers
        if answer.error
    )
    for each in house.happenings.all:
        if each.is_error and not each.error.endswith(refusals):
            moment = recording.start.astimezone() + timedelta(seconds=each.at)
            yield f"{moment:%Y-%m-%d} {each.line(None)}"
