"""The process that replays a saved change for the runner: old and new rules on the same inputs.

Both versions run on the recorded inputs, and are compared with each other. So differences from the
recorded outputs that the rules had before the save do not count.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace as changed
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final

import msgspec

from eshet.clock import wall_now
from eshet.user_errors import error_text
from eshet_rules.audit.redaction import Redaction
from eshet_rules.config import ConfigurationFile
from eshet_rules.exceptions import NothingRecorded, NoTrail, RulesError
from eshet_rules.modules.discovery import Source, version_of
from eshet_rules.replay.comparison import compare, describe
from eshet_rules.replay.extent import extent_of
from eshet_rules.replay.recording import Output, recording_of
from eshet_rules.replay.replaying import Rules, replay
from eshet_rules.runner.replay_process import Request, Result, SourceFile

__all__ = ["main", "replay_change"]

_LOWEST_PRIORITY: Final = 19

_NOTHING: Final = "the audit trail has no input or output of a rule in this time"
_RECORDED_FROM_NOW: Final = "save again later: inputs are recorded while the runner runs"


def main() -> None:
    """Read a request from standard input, and write its result to standard output."""
    with contextlib.suppress(OSError):
        os.nice(_LOWEST_PRIORITY)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # rules may write there
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    threading.Thread(target=_end_with_runner, daemon=True).start()
    try:
        result = replay_change(request)
    except BaseException as error:
        result = Result(error=str(error) if isinstance(error, RulesError) else error_text(error))
    with output:
        output.write(msgspec.json.encode(result))
    os._exit(0)  # threads of rules do not delay the end


def _end_with_runner() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def replay_change(request: Request) -> Result:
    """Replay the rules before and after a change, and return the differences.

    Raises:
        NotSetUp: no rule could be set up.
        ConfigurationError: the configuration file has mistakes.
    """
    now = wall_now(UTC)
    since = now - timedelta(seconds=request.seconds)
    try:
        recording = recording_of(Path(request.trail), since, now)
    except NoTrail as error:
        problem = f"there is no audit trail yet: {error.file} {error.problem}"
        return Result(error=problem, advice=_RECORDED_FROM_NOW)
    except NothingRecorded:
        return Result(error=_NOTHING, advice=_RECORDED_FROM_NOW)
    times = [each.at for each in recording.inputs] + [each.at for each in recording.outputs]
    if not any(at >= recording.compared_from for at in times):
        return Result(error=_NOTHING, advice=_RECORDED_FROM_NOW)
    after = {each.name: _source(each) for each in request.after}
    before = {name: source for name, source in after.items() if name not in request.before}
    before |= {name: _source(each) for name, each in request.before.items() if each is not None}
    folder, config = Path(request.folder), ConfigurationFile(Path(request.config)).read()
    first, second = (replay(Rules(folder, each, config), recording) for each in (before, after))
    left_out = {*first.broken, *second.broken}
    if broken := sorted(left_out.intersection(request.first)):
        why = next(iter([*second.errors, *first.errors]), "see the command")
        return Result(error=f"{', '.join(broken)} can't be set up in the replay: {why}")
    redaction = Redaction(request.redact)
    differences = compare(
        _redacted(first.outputs, redaction),
        _redacted(second.outputs, redaction),
        since=recording.compared_from,
        without=left_out,
    )
    differences.sort(key=lambda each: each.output.module not in request.first)
    lines = list(describe(differences, recording.start.astimezone()))
    wanted = timedelta(seconds=request.seconds)
    extent = extent_of(recording, wanted, first.outputs, second.outputs)
    return Result(
        lines[: request.most],
        len(lines[request.most :]),
        extent.since.isoformat(timespec="seconds"),
        extent.until.isoformat(timespec="seconds"),
        extent.inputs,
        "" if lines else extent.too_little,
    )


def _source(file: SourceFile) -> Source:
    return Source(file.name, Path(file.path), file.data, version_of(file.data), ())


def _redacted(outputs: Sequence[Output], redaction: Redaction) -> list[Output]:
    """Return outputs without secret values."""
    return [
        changed(
            each,
            value=redaction.hide(each.value)
            if redaction.hides(each.path)
            else redaction.value(each.value),
        )
        for each in outputs
    ]
