"""The paths of all nodes in order, so that a page of them costs only its own size."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Final

__all__ = ["PathIndex"]

_FEW: Final = 32
"""Up to this number, changes are made one by one; more are merged in one pass."""


class PathIndex:
    """An ordered set of paths.

    Changes are only recorded; the order is restored on request. Without requests this costs
    nothing; then it costs time in proportion to the changes, or one pass over the paths when there
    are many.

    Args:
        load: returns all paths, for the first request.
    """

    def __init__(self, load: Callable[[], Iterable[bytes]]) -> None:
        self._load = load
        self._paths: list[bytes] | None = None
        self._added: set[bytes] = set()
        self._removed: set[bytes] = set()

    def add(self, path: bytes) -> None:
        """Add a path that is not there."""
        if self._paths is not None:
            _record(path, self._added, self._removed)

    def remove(self, path: bytes) -> None:
        """Remove a path that is there."""
        if self._paths is not None:
            _record(path, self._removed, self._added)
            if len(self._removed) > len(self._paths) // 2:
                self._paths = None  # loading the rest costs less than keeping the removed paths
                self._added.clear()
                self._removed.clear()

    def after(self, path: bytes) -> Iterator[bytes]:
        """Yield the paths after one, which need not exist; nothing may change meanwhile."""
        paths = self._ordered()
        for at in range(bisect_right(paths, path), len(paths)):
            yield paths[at]

    def names(self, directory: bytes, after: bytes) -> Iterator[bytes]:
        """Yield the names in a directory, in order; nothing may change meanwhile.

        Args:
            directory: its path, with a slash at the end.
            after: the name after which to start; empty for the first.
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
        paths.sort()  # merges the two sorted runs in one pass


def _record(path: bytes, recorded: set[bytes], opposite: set[bytes]) -> None:
    if path in opposite:
        opposite.remove(path)
    else:
        recorded.add(path)
