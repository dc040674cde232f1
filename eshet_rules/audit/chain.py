"""Finds the chain of a cause in a trail: its ancestors and its descendants.

The ancestors are a line of causes, and the search for them goes backwards, as a parent is older
than its child; the descendants are a tree, and the search goes forwards. But an output is recorded
only when it is answered, so the only record of a parent may follow those of its child: each search
is repeated until it finds nothing new.
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
"""Matches a cause and its parent; it may also match within a value."""

_TEXT: Final = rb'"(?:[^"\\]|\\.)*"'
_RECORD: Final = re.compile(
    rb'\{"time":%b,"level":%b,"event":%b(?:,"rule":%b)?(?:,"module":%b)?(?:,"version":%b)?'
    rb',"cause":"([^"]+)"(?:,"parent":"([^"]+)")?' % ((_TEXT,) * 6)
)
"""Matches the beginning of a record with a cause, and maybe a parent."""


class Chain:
    """The ids of a cause, its ancestors and its descendants.

    Args:
        cause: the id of the cause.
    """

    def __init__(self, cause: str) -> None:
        self._oldest = cause.encode()  # the oldest known ancestor
        self._ancestors = {self._oldest}
        self._is_whole = False  # whether the oldest is known to have no parent
        self._descendants = {self._oldest}

    def has(self, cause: str | None, parent: str | None) -> bool:
        """Whether a cause is in the chain; a child of a descendant is added to the descendants.

        Args:
            cause: the id of the cause in a record.
            parent: the id of its parent.
        """
        return cause is not None and self._has(
            cause.encode(), None if parent is None else parent.encode()
        )

    def lines(self, block: bytes) -> Iterator[bytes]:
        """Yield the lines of a block that may be about causes in the chain."""
        at = 0
        for match in _PAIR.finditer(block):
            descends = match[2] in self._descendants or match[1] in self._descendants
            if match.start() >= at and (descends or match[1] in self._ancestors):
                at = block.index(b"\n", match.end())
                yield block[block.rfind(b"\n", 0, match.start()) + 1 : at]

    def climb(self, blocks: Iterable[bytes]) -> bool:
        """Search blocks, the last first, for ancestors; return whether to search again."""
        before = len(self._ancestors)
        for block in blocks:
            while not self._is_whole and self._find_parent(block):
                pass
            if self._is_whole:
                return False
        return len(self._ancestors) > before

    def descend(self, blocks: Iterable[bytes]) -> bool:
        """Search blocks for descendants; return whether to search again."""
        before = len(self._descendants)
        for block in blocks:
            for match in _CHILD.finditer(block):
                if match[2] in self._descendants and match[1] not in self._descendants:
                    self._has(*_cause_and_parent(block, match.start()))
        return len(self._descendants) > before

    def _has(self, cause: bytes | None, parent: bytes | None) -> bool:
        if cause is not None and parent in self._descendants:
            self._descendants.add(cause)
        return cause in self._descendants or cause in self._ancestors

    def _find_parent(self, block: bytes) -> bool:
        """Find the parent of the oldest ancestor; return whether a block has a record of it."""
        named = b'"cause":"%b"' % self._oldest
        at = block.find(named)
        while at >= 0:
            cause, parent = _cause_and_parent(block, at)
            if cause == self._oldest:
                if parent is None or parent in self._ancestors:
                    self._is_whole = True
                else:
                    self._oldest = parent
                    self._ancestors.add(parent)
                return True
            at = block.find(named, at + 1)
        return False


def _cause_and_parent(block: bytes, at: int) -> tuple[bytes | None, bytes | None]:
    """Return the cause and parent of the record at a position of a block."""
    record = _RECORD.match(block, block.rfind(b"\n", 0, at) + 1)
    return (None, None) if record is None else (record[1], record[2])


def chain_of(file: Path, cause: str) -> Chain:
    """Return the chain of a cause in the present content of a trail.

    Damaged parts are skipped; `Reader` reports them.

    Args:
        file: the open file of the trail.
        cause: the id of the cause.
    """
    chain = Chain(cause)
    parts = list(_parts(file))
    while chain.climb(read() for read in reversed(parts)):
        pass
    while chain.descend(read() for read in parts):
        pass
    return chain


def _parts(file: Path) -> Iterator[Callable[[], bytes]]:
    """Yield a function that reads it for each part of a trail, the oldest first."""
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
    except FileNotFoundError:  # it was the oldest, and was deleted meanwhile
        return []


def _read_frame(path: Path, frame: Frame) -> bytes:
    try:
        with path.open("rb") as file:
            return read_frame(file, frame)
    except (FileNotFoundError, DamagedFrame):
        return b""


def _read(path: Path) -> bytes:
    """Return the complete lines of a file, even if it was compressed meanwhile."""
    try:
        lines = path.read_bytes()
    except FileNotFoundError:
        compressed = path.with_name(f"{path.name}.zst")
        return b"".join(_read_frame(compressed, frame) for frame in _frames(compressed))
    return lines[: lines.rfind(b"\n") + 1]
