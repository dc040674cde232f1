"""A cause, all that led to it, and all that followed from it, as a trail tells.

What led to it is one cause after another, and is looked for backwards, as a parent is older than
its child; what followed are ever more, and is looked for forwards. Yet the only records of a parent
may come after those of its child, as what was sent is told when it is answered: so it is looked
again until nothing is found any more.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.frames import DamagedFrame, Frame, frames_of, read_frame

__all__ = ["Chain", "chain_of"]

_PAIR: Final = re.compile(rb'"cause":"([^"]+)"(?:,"parent":"([^"]+)")?')
_CHILD: Final = re.compile(rb'"cause":"([^"]+)","parent":"([^"]+)"')
"""What looks like a cause and its parent: it may also be within a value."""

_TEXT: Final = rb'"(?:[^"\\]|\\.)*"'
_RECORD: Final = re.compile(
    rb'\{"time":%b,"level":%b,"event":%b(?:,"rule":%b)?(?:,"module":%b)?(?:,"version":%b)?'
    rb',"cause":"([^"]+)"(?:,"parent":"([^"]+)")?' % ((_TEXT,) * 6)
)
"""What a record begins with that has a cause, and maybe a parent."""


class Chain:
    """The ids of a cause, of what led to it, and of what followed from it.

    Args:
        cause: its id.
    """

    def __init__(self, cause: str) -> None:
        self._furthest = cause.encode()  # of what led to it
        self._led = {self._furthest}
        self._is_whole = False  # whether the furthest is known to have no parent
        self._followed = {self._furthest}

    def has(self, cause: str | None, parent: str | None) -> bool:
        """Whether a cause is in it; if its parent followed, so does it.

        Args:
            cause: its id, as a record has it.
            parent: that of its parent.
        """
        return cause is not None and self._has(
            cause.encode(), None if parent is None else parent.encode()
        )

    def lines(self, block: bytes) -> Iterator[bytes]:
        """Yield those of a block's lines that may be about causes in it."""
        at = 0
        for match in _PAIR.finditer(block):
            concerned = match[2] in self._followed or match[1] in self._followed
            if match.start() >= at and (concerned or match[1] in self._led):
                at = block.index(b"\n", match.end())
                yield block[block.rfind(b"\n", 0, match.start()) + 1 : at]

    def climb(self, blocks: Iterable[bytes]) -> bool:
        """Look in blocks, the last first, for what led to it; return whether to look again."""
        before = len(self._led)
        for block in blocks:
            while not self._is_whole and self._find_parent(block):
                pass
            if self._is_whole:
                return False
        return len(self._led) > before

    def descend(self, blocks: Iterable[bytes]) -> bool:
        """Look in blocks for what followed from it; return whether to look again."""
        before = len(self._followed)
        for block in blocks:
            for match in _CHILD.finditer(block):
                if match[2] in self._followed and match[1] not in self._followed:
                    self._has(*_cause_and_parent(block, match.start()))
        return len(self._followed) > before

    def _has(self, cause: bytes | None, parent: bytes | None) -> bool:
        if cause is not None and parent in self._followed:
            self._followed.add(cause)
        return cause in self._followed or cause in self._led

    def _find_parent(self, block: bytes) -> bool:
        """Find the parent of what led furthest, if a record in a block has that."""
        named = b'"cause":"%b"' % self._furthest
        at = block.find(named)
        while at >= 0:
            cause, parent = _cause_and_parent(block, at)
            if cause == self._furthest:
                if parent is None or parent in self._led:
                    self._is_whole = True
                else:
                    self._furthest = parent
                    self._led.add(parent)
                return True
            at = block.find(named, at + 1)
        return False


def _cause_and_parent(block: bytes, at: int) -> tuple[bytes | None, bytes | None]:
    """Return the cause and the parent of the record in whose line a place in a block is."""
    record = _RECORD.match(block, block.rfind(b"\n", 0, at) + 1)
    return (None, None) if record is None else (record[1], record[2])


def chain_of(file: Path, cause: str) -> Chain:
    """Return the chain of a cause, as it is in a trail up to now.

    What is damaged is passed over: whoever reads the records is told of that.

    Args:
        file: the open file of the trail.
        cause: the id.
    """
    chain = Chain(cause)
    parts = list(_parts(file))
    while chain.climb(read() for read in reversed(parts)):
        pass
    while chain.descend(read() for read in parts):
        pass
    return chain


def _parts(file: Path) -> Iterator[Callable[[], bytes]]:
    """Yield what reads each part of a trail, the oldest first."""
    for path in closed_files(file):
        if path.suffix == ".zst":
            yield from (partial(_read_frame, path, frame) for frame in _frames(path))
        else:
            yield partial(_read, path)
    yield partial(_read, file)


def _frames(path: Path) -> list[Frame]:
    try:
        with path.open("rb") as file:
            return frames_of(file)[0]
    except FileNotFoundError:  # it was the oldest, and has just gone
        return []


def _read_frame(path: Path, frame: Frame) -> bytes:
    try:
        with path.open("rb") as file:
            return read_frame(file, frame)
    except (FileNotFoundError, DamagedFrame):
        return b""


def _read(path: Path) -> bytes:
    """Return the whole lines of a file; of one that was compressed meanwhile, too."""
    try:
        lines = path.read_bytes()
    except FileNotFoundError:
        compressed = path.with_name(f"{path.name}.zst")
        return b"".join(_read_frame(compressed, frame) for frame in _frames(compressed))
    return lines[: lines.rfind(b"\n") + 1]
