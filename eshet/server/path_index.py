"""The paths of all nodes in order, so that a page of them costs what is on it."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Final

__all__ = ["PathIndex"]

_FEW: Final = 32
"""Up to so many changes are made one by one; more are merged in one pass."""


class PathIndex:
    """An ordered set of paths.

    Changes are only noted; the order is restored when it is asked for. That costs nothing as long
    as nobody asks, and after that a time in proportion to what has changed, or one pass over the
    paths when that is a lot.

    Args:
        load: returns all paths, when the order is asked for the first time.
    """

    def __init__(self, load: Callable[[], Iterable[bytes]]) -> None:
        self._load = load
        self._paths: list[bytes] | None = None
        self._added: set[bytes] = set()
        self._removed: set[bytes] = set()

    def add(self, path: bytes) -> None:
        """Add a path that is not there."""
        if self._paths is not None:
            _note(path, self._added, self._removed)

    def remove(self, path: bytes) -> None:
        """Remove a path that is there."""
        if self._paths is not None:
            _note(path, self._removed, self._added)
            if len(self._removed) > len(self._paths) // 2:
                self._paths = None  # to load what is left costs less than to keep what has gone
                self._added.clear()
                self._removed.clear()

    def after(self, path: bytes) -> Iterator[bytes]:
        """Yield the paths behind one, which does not have to be there; nothing may change then."""
        paths = self._ordered()
        for at in range(bisect_right(paths, path), len(paths)):
            yield paths[at]

    def names(self, directory: bytes, after: bytes) -> Iterator[bytes]:
        """Yield the names in a directory, in order; nothing may change meanwhile.

        Args:
            directory: its path, with a slash at the end.
            after: the name behind which to begin; empty for the first.
        """
        paths = self._ordered()
        at = bisect_left(paths, directory + after)
        while at < len(paths) and paths[at].startswith(directory):
            name = paths[at][len(directory) :].partition(b"/")[0]
            if name > after:
                yield name
            # "0" is the next character after "/": this skips all that is below the name.
            at = bisect_left(paths, directory + name + b"0", at + 1)

    def _ordered(self) -> list[bytes]:
        if self._paths is None:
            self._paths = sorted(self._load())
        elif self._added or self._removed:
            self._merge(self._paths)
            self._added.clear()
            self._removed.clear()
        return self._paths

    def _merge(self, paths: list[bytes]) -> None:
        if len(self._added) + len(self._removed) <= _FEW:
            for path in self._removed:
                del paths[bisect_left(paths, path)]
            for path in self._added:
                insort(paths, path)
            return
        if self._removed:
            paths[:] = [path for path in paths if path not in self._removed]
        paths.extend(sorted(self._added))
        paths.sort()  # two runs that are sorted already, which it merges in one pass


def _note(path: bytes, noted: set[bytes], opposite: set[bytes]) -> None:
    if path in opposite:
        opposite.remove(path)
    else:
        noted.add(path)
