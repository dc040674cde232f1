"""What the trails of the runners say: which inputs rules have received, and what became of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Seen", "Trail"]

Key = tuple[str, int]


class Seen(NamedTuple):
    """What is new in some trails.

    Args:
        received: the inputs that a rule has received, by module and number.
        done: those that it has answered.
        failed: those whose answer was recorded as failed.
    """

    received: set[Key]
    done: set[Key]
    failed: set[Key]


class Trail:
    """The trail of a runner, read piece by piece while it is written and rotated.

    Args:
        folder: the folder of the trail.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inode = 0
        self._offset = 0
        self._part = b""

    def read(self, seen: Seen) -> None:
        """Add what is new since the last call."""
        for record in self._records():
            match record:
                case {"event": "input.received", "path": str(path), "value": int(number), **rest}:
                    if path.startswith("/in/") and str(rest.get("rule")).endswith(".answer"):
                        seen.received.add((path[4:], number))
                case {
                    "event": str(event),
                    "path": str(path),
                    "value": [str(), int(number)],
                    **rest,
                }:
                    if event.startswith("output.") and path.startswith("/out/"):
                        is_done = rest.get("outcome") == "done"
                        (seen.done if is_done else seen.failed).add((path[5:], number))

    def _records(self) -> Iterator[Any]:
        current = self._folder / "trail.jsonl"
        if not current.exists():
            return
        if self._inode not in (0, current.stat().st_ino):
            for file in self._folder.iterdir():  # the rest of the file that was rotated
                if file.stat().st_ino == self._inode:
                    yield from self._lines(file)
            self._offset, self._part = 0, b""
        self._inode = current.stat().st_ino
        yield from self._lines(current)

    def _lines(self, file: Path) -> Iterator[Any]:
        with file.open("rb") as opened:
            opened.seek(self._offset)
            data = self._part + opened.read()
            self._offset = opened.tell()
        *lines, self._part = data.split(b"\n")
        for line in lines:
            if b'"/in/' in line or b'"/out/' in line:
                try:
                    yield json.loads(line)
                except ValueError:  # cut by a kill
                    continue
