"""All driven paths of a runner, or of a program."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

from eshet.scope import current_scope
from eshet.text import safe_repr
from eshet.yarp.driving.driven_path import DrivenPath
from eshet.yarp.driving.driver import Contested, Effect

__all__ = ["Drives", "RuleName", "find_drives"]

_log: Final = logging.getLogger("eshet")


class RuleName:
    """The full name of the rule that owns a scope, for the drivers made in it.

    Args:
        name: such as `hall.hall_light`.
    """

    def __init__(self, name: str) -> None:
        self.name: Final = name


class Drives:
    """The driven paths that all rules of a runner share.

    Args:
        on_effect: called with the path and each effect but `Send`; must not raise.
    """

    def __init__(self, on_effect: Callable[[str, Effect], object] | None = None) -> None:
        self._on_effect = on_effect or _warn
        self._paths: dict[tuple[object, str], DrivenPath] = {}
        self._numbers = itertools.count()
        self._holds = 0

    def path(self, server: object, path: str) -> DrivenPath:
        """Return a driven path, which is made at its first use.

        Args:
            server: identifies the server; None for that of all rules.
            path: the absolute path.
        """
        key = server, path
        if key not in self._paths:
            self._paths[key] = DrivenPath(path, lambda: self._holds > 0, self._on_effect)
        return self._paths[key]

    def restore(self, state: Any, epoch: float) -> None:
        """Keep the override of a driver of an earlier process until its rule joins.

        Args:
            state: of the sink of `yarp.drive`; that of any other output is ignored.
            epoch: the loop's time that counts as 0 in the state.
        """
        match state:
            case {"path": str() as path, "drive": dict() as drive, "is_own_server": True}:
                self.path(None, path).restore(drive, epoch)

    def next_number(self) -> int:
        """Return the number of a new driver."""
        return next(self._numbers)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Decide nothing within the `with` statement, and everything at its end.

        Changes of drivers within it, such as the exchange of two versions of a rule, are one step.
        """
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if not self._holds:
                for each in list(self._paths.values()):
                    each.decide_if_due()

    def note_owner(self, path: str) -> None:
        """Send the wanted value of a path that its owner has registered again."""
        for each in self._driven():
            if each.path == path:
                each.note_owner()

    def release(self, path: str) -> bool | None:
        """End the override of a path; return whether there was one, None for an unknown path."""
        found = [each for each in self._driven() if each.path == path]
        had_override = [each.release() for each in found]
        return any(had_override) if found else None

    def paths(self) -> list[str]:
        """Return the paths that have a driver."""
        return sorted({each.path for each in self._driven()})

    def report(self) -> list[dict[str, Any]]:
        """Return a report on each driven path, in the order of the paths."""
        return [each.report() for each in sorted(self._driven(), key=lambda each: each.path)]

    def report_of(self, path: str) -> dict[str, Any] | None:
        """Return the report on one path; None if nothing drives it."""
        return next((each.report() for each in self._driven() if each.path == path), None)

    def _driven(self) -> list[DrivenPath]:
        return [each for each in self._paths.values() if each.has_drivers]


_of_loops: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Drives]] = WeakKeyDictionary()


def find_drives() -> Drives:
    """Return the driven paths of the current scope, or else those of the running event loop."""
    scope = current_scope()
    found = None if scope is None else scope.find(Drives)
    return found or _of_loops.setdefault(asyncio.get_running_loop(), Drives())


def _warn(path: str, effect: Effect) -> None:
    """Log the effect that a program without a runner should know."""
    if isinstance(effect, Contested):
        _log.warning(
            "%s is set to %s at most once a minute: others change it again and again",
            path,
            safe_repr(effect.value, 100),
        )
