"""Collects which modules were active: only their state and reports may have changed.

The publisher and the checkpoint look for changes every second. With this, the cost of a look
follows the number of active modules, not the number of all. See also `Scope.note_activity`.
"""

from collections.abc import Iterable
from typing import Final

from eshet.interpreter import running_loop
from eshet.scope import Scope

__all__ = ["ActivityLog", "ActivityReader"]


class ActivityLog:
    """The activity of running modules since each reader last looked at it."""

    def __init__(self) -> None:
        # The names of modules by their outermost scopes: several for that of a helper.
        self._modules: dict[Scope, tuple[str, ...]] = {}
        self._active: set[Scope] = set()
        self._readers: list[ActivityReader] = []

    def watch(self, module: str, roots: Iterable[Scope]) -> None:
        """Collect the activity of a module from now on; it counts as active now.

        Args:
            module: its name.
            roots: the outermost scopes of everything that may change the module's state or reports.
        """
        for root in roots:
            self._modules[root] = (*self._modules.get(root, ()), module)
            root.on_active = self._active.add
            root.is_active = True
            self._active.add(root)

    def forget(self, module: str, roots: Iterable[Scope]) -> None:
        """Ignore the activity of a module that was watched with these scopes."""
        for root in roots:
            others = tuple(each for each in self._modules[root] if each != module)
            if others:
                self._modules[root] = others
            else:
                del self._modules[root]
                root.on_active = None
                self._active.discard(root)

    def reader(self) -> "ActivityReader":
        """Return a new reader, to which all modules are new."""
        reader = ActivityReader(self, self._all())
        self._readers.append(reader)
        return reader

    def collect(self) -> None:
        """Let each reader have the modules that were active since the last call."""
        active = set[str]()
        while self._active:
            root = self._active.pop()
            root.is_active = False
            active.update(self._modules.get(root, ()))  # another thread may note a forgotten one
        if not getattr(running_loop(), "counts_activity", False):
            active = self._all()  # only the runner's loop notes the activity of callbacks
        for reader in self._readers:
            reader.active |= active

    def _all(self) -> set[str]:
        return set().union(*self._modules.values())


class ActivityReader:
    """Looks at the activity of modules at times of its own.

    Args:
        log: collects the activity.
        active: the modules that are new to the reader.
    """

    def __init__(self, log: ActivityLog, active: set[str]) -> None:
        self._log: Final = log
        self.active: set[str] = active
        """The modules that were active since the last look, as far as they were collected."""
        self._active_before: set[str] = set()  # between the last two looks

    def look(self) -> set[str]:
        """Return the names of modules that were active since the look before the last one.

        Activity is noted when a callback is scheduled, and the callback may change the module only
        after the next look. So the module is returned twice.
        """
        self._log.collect()
        before, self._active_before, self.active = self._active_before, self.active, set()
        return before | self._active_before
