"""Reports at each save which outputs of the past hours the change would have made different."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.scope import use_scope
from eshet.settings.kinds import read_span
from eshet.text import encodable, safe_str
from eshet_rules.audit.records.replays import (
    ReplayDiffers,
    ReplayFailed,
    ReplayNothingYet,
    ReplaySame,
)
from eshet_rules.audit.records.schema import emit
from eshet_rules.config import Configuration
from eshet_rules.modules.discovery import Source
from eshet_rules.runner.replay_process import Request, Result, SourceFile, replay_change

__all__ = ["Replays"]

_MOST: Final = 5
"""Maximum number of differences in a record."""

_LONGEST: Final = 600.0
"""Seconds after which a replay is given up."""

_LONGEST_END: Final = 1.0
"""Seconds for which the end of the runner waits for the end of the process."""

_NO_TRAIL: Final = (
    "run with a state folder and without --no-audit, and set `enabled = true` below [audit]; or "
    "remove `replay` below [watch]"
)


class Replays:
    """Replays saved changes, one at a time: a newer save ends a replay that runs.

    Args:
        folder: the rules folder.
        configuration: the configuration at the start.
        trail: the file or folder of the trail; None if none is written.
        log: receives the results.
        importing: returns the modules that import one of some modules, and these themselves.
        run: replays a change.
    """

    def __init__(
        self,
        folder: Path,
        configuration: Configuration,
        trail: Path | None,
        log: FilteringBoundLogger,
        importing: Callable[[Collection[str]], Collection[str]],
        run: Callable[[Request], Awaitable[Result]] = replay_change,
    ) -> None:
        self._folder = folder
        self._configuration = configuration
        self._span: Final = configuration.watch.replay
        self._trail = trail
        self._log = log
        self._importing = importing
        self._run = run
        self._running: asyncio.Task[None] | None = None
        self._unfinished: dict[str, Source | None] = {}  # the changes that it compares, as before

    def start(
        self, before: Mapping[str, Source], after: Mapping[str, Source], *, adds: bool = False
    ) -> None:
        """Compare two versions of the rules soon, if that is configured and they differ.

        Args:
            before: the sources of all modules before the change.
            after: those after it.
            adds: whether the changes of a replay that this ends are compared as well.
        """
        if not self._span:
            return
        known: dict[str, Source | None] = {**before, **(self._unfinished if adds else {})}
        changes = {
            name: known.get(name)
            for name in sorted({*known, *after})
            if _version(known.get(name)) != _version(after.get(name))
        }
        if self._running is not None:
            self._running.cancel()
        self._unfinished = changes
        if changes:
            with use_scope(None):
                self._running = asyncio.create_task(self._replay(changes, after))

    async def close(self) -> None:
        """End the replay that runs, if there is one."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running], timeout=_LONGEST_END)

    async def _replay(
        self, changes: Mapping[str, Source | None], after: Mapping[str, Source]
    ) -> None:
        try:
            async with asyncio.timeout(_LONGEST):
                result = await self._result(changes, after)
        except TimeoutError:
            result = Result(
                error=f"it has taken longer than {_LONGEST:g} s",
                advice="choose a shorter time: `replay` below [watch]",
            )
        except Exception as error:  # for example, no process can be started: the rules run on
            result = Result(error=f"the replay can't be run: {safe_str(error)}")
        self._unfinished = {}
        self._report(changes, result)

    async def _result(
        self, changes: Mapping[str, Source | None], after: Mapping[str, Source]
    ) -> Result:
        if self._trail is None:
            return Result(error="no audit trail is written", advice=_NO_TRAIL)
        return await self._run(
            Request(
                str(self._folder),
                str(self._configuration.file),
                str(self._trail),
                read_span(self._span).total_seconds(),
                list(self._configuration.log.redact),
                [_file(each) for each in after.values()],
                {n: None if each is None else _file(each) for n, each in changes.items()},
                sorted(self._importing(changes.keys())),
                _MOST,
            )
        )

    def _report(self, changes: Mapping[str, Source | None], result: Result) -> None:
        modules = list(changes)
        command = f"`{self._command(changes)}`"
        if result.error:
            advice = result.advice or f"{command} shows all errors"
            emit(self._log, ReplayFailed(modules=modules, error=result.error, advice=advice))
        elif result.too_little:
            emit(
                self._log,
                ReplayNothingYet(
                    modules=modules,
                    since=result.since,
                    until=result.until,
                    inputs=result.inputs,
                    error=result.too_little,
                    advice=f"{command} compares again, when more is recorded",
                ),
            )
        elif not result.differences:
            emit(
                self._log,
                ReplaySame(
                    modules=modules,
                    since=result.since,
                    until=result.until,
                    inputs=result.inputs,
                ),
            )
        else:
            emit(
                self._log,
                ReplayDiffers(
                    modules=modules,
                    since=result.since,
                    until=result.until,
                    inputs=result.inputs,
                    differences=result.differences,
                    more=result.more or None,
                    advice=f"{command} shows all differences",
                ),
            )

    def _command(self, changes: Mapping[str, Source | None]) -> str:
        """Return the command with which a user repeats the comparison."""
        earlier = [f"--versus={n}@{each.version}" for n, each in changes.items() if each]
        options = ["--from", self._span, *(earlier or ["--diff"])]
        return encodable(shlex.join(["eshet-rules", "replay", str(self._folder), *options]))


def _version(source: Source | None) -> str | None:
    return None if source is None else source.version


def _file(source: Source) -> SourceFile:
    return SourceFile(source.name, encodable(str(source.path)), source.data)
