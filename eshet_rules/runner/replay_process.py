"""Starts the process that replays a saved change, and the messages between both.

The process is `eshet_rules.replay.changes`. It reads a request from its standard input, writes the
result to its standard output, and ends as soon as its standard input is closed: so it never
outlives the runner.
"""

from typing import Final

import msgspec

from eshet_rules.runner.side_process import run_beside

__all__ = ["Request", "Result", "SourceFile", "replay_change"]

_START: Final = "from eshet_rules.replay.changes import main; main()"


class SourceFile(msgspec.Struct, frozen=True):
    """The source of a module.

    Args:
        name: the name of the module.
        path: the path of its file.
        data: its content.
    """

    name: str
    path: str
    data: bytes


class Request(msgspec.Struct, frozen=True):
    """A change of rules to replay.

    Args:
        folder: the rules folder.
        config: the configuration file.
        trail: the file or folder of the trail.
        seconds: the length of the past time of the inputs to replay.
        redact: globs of paths and fields; their values are left out.
        after: the sources of all modules after the change.
        before: the sources of the changed modules before it, by name; None for a new module.
        first: the differences of these modules come first.
        most: maximum number of differences in the result.
    """

    folder: str
    config: str
    trail: str
    seconds: float
    redact: list[str]
    after: list[SourceFile]
    before: dict[str, SourceFile | None]
    first: list[str]
    most: int


class Result(msgspec.Struct, frozen=True):
    """The result of a replay.

    Args:
        differences: the first ones, as text.
        more: the number of further ones.
        since: the beginning of the replayed inputs, as ISO 8601.
        until: the end of the replayed inputs, as ISO 8601.
        inputs: the number of these inputs.
        too_little: why it means little that nothing differs; empty if it means something.
        error: why the change can't be replayed; empty if it was.
        advice: what to do; empty if that is not known.
    """

    differences: list[str] = []
    more: int = 0
    since: str = ""
    until: str = ""
    inputs: int = 0
    too_little: str = ""
    error: str = ""
    advice: str = ""


async def replay_change(request: Request) -> Result:
    """Replay a change in a process of its own; if this is cancelled, the process is killed.

    Raises:
        OSError: the process can't be started.
    """
    answer, code = await run_beside(_START, msgspec.json.encode(request) + b"\n")
    try:
        return msgspec.json.decode(answer, type=Result)
    except msgspec.MsgspecError:
        return Result(error=f"its process has ended with exit code {code}")
