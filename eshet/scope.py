"""A scope owns what is made in it, and ends all of it at once.

Whatever has to be undone when a rule goes (a subscription, a timer, a listener) asks for the
current scope and leaves with it the one call that undoes it. A scope knows no kind of thing that
it owns. It is also where the errors of its things are reported, so that each is told to the rule
that made it.

    scope = Scope("hall.hall_light")
    with scope.active():
        ...                      # what is made here belongs to the scope
    scope.dispose(Reason.REPLACED)

Invariants: a disposed scope owns nothing and never owns anything again (what is given to it then is
undone at once); each owned thing is undone at most once, in the reverse order of making; a child is
disposed with its parent.
"""

import enum
import logging
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar

from eshet.exceptions import Interrupted
from eshet.user_errors import is_error, plain_error

__all__ = [
    "Ownership",
    "Reason",
    "Scope",
    "current",
    "current_scope",
    "is_contained",
    "report_error",
    "use_scope",
]

_log: Final = logging.getLogger("eshet")
current: Final[ContextVar["Scope | None"]] = ContextVar("eshet.scope", default=None)
"""What `current_scope()` tells, for who asks very often."""

ErrorHandler = Callable[[BaseException, str], None]
T = TypeVar("T")


class Reason(enum.StrEnum):
    """Why a scope was disposed."""

    REPLACED = "replaced"
    """Another version takes its place, and goes on with what it leaves."""
    RESTARTED = "restarted"
    DISABLED = "disabled"
    UNLOADED = "unloaded"
    FAILED = "failed"
    SHUTDOWN = "shutdown"


class Ownership:
    """The place of one thing in its scope."""

    __slots__ = ("_scope", "_undo")

    def __init__(self, scope: "Scope", undo: Callable[[], object]) -> None:
        self._scope: Scope | None = scope
        self._undo = undo

    def forget(self) -> None:
        """Leave the scope without being undone: the thing has ended by itself."""
        if self._scope is not None:
            self._scope._things.pop(self, None)
            self._scope = None

    def undo(self) -> None:
        """Undo the thing now, if that has not happened yet."""
        if self._scope is not None:
            self.forget()
            self._undo()


class Scope:
    """What is made in it ends with it.

    Args:
        name: for people: the rule, or whatever else made this scope.
        parent: the scope that this one ends with; none if not given.
        on_error: called with an error of one of its things and what that thing was doing. Without
            one, errors go to the parent, and from a scope without a parent to the log.
        on_success: called with what one of its things was doing, when that has succeeded after it
            had been reported to fail.
    """

    def __init__(
        self,
        name: str,
        *,
        parent: "Scope | None" = None,
        on_error: ErrorHandler | None = None,
        on_success: Callable[[str], object] | None = None,
    ) -> None:
        self.name = name
        self.parent = parent
        self.reason: Reason | None = None
        self._on_error = on_error
        self._on_success = on_success
        self._things: dict[Ownership, None] = {}
        self._components: dict[Callable[[Scope], Any], Any] = {}
        self._in_parent = parent.own(self._dispose_with_parent) if parent is not None else None

    def __repr__(self) -> str:
        state = f"disposed: {self.reason}" if self.disposed else f"{len(self._things)} things"
        return f"<Scope {self.name!r}, {state}>"

    @property
    def disposed(self) -> bool:
        """Whether the scope has ended."""
        return self.reason is not None

    def active(self) -> "use_scope":
        """Make this the current scope of the context, in a `with` statement."""
        return use_scope(self)

    def own(self, undo: Callable[[], object]) -> Ownership:
        """Own a thing, given the call that undoes it.

        In a disposed scope it is undone before this returns.
        """
        owned = Ownership(self, undo)
        if self.disposed:
            self._undo(owned)
        else:
            self._things[owned] = None
        return owned

    def get(self, kind: Callable[["Scope"], T]) -> T:
        """Return what `kind` made for this scope, which it is asked for once.

        It is for a layer above, which keeps something of its own for each scope. A disposed scope
        keeps nothing: `kind` is asked each time then.
        """
        component: T | None = self._components.get(kind)
        if component is None:
            component = kind(self)
            if not self.disposed:
                self._components[kind] = component
        return component

    def find(self, kind: Callable[["Scope"], T]) -> T | None:
        """Return what `kind` made for this scope or the nearest one around it; None if for none."""
        scope: Scope | None = self
        while scope is not None:
            component: T | None = scope._components.get(kind)
            if component is not None:
                return component
            scope = scope.parent
        return None

    def dispose(self, reason: Reason = Reason.UNLOADED) -> None:
        """Undo all that the scope owns. A second call does nothing.

        An error of one thing is reported, and the others are undone all the same.
        """
        if self.disposed:
            return
        self.reason = reason
        if self._in_parent is not None:
            self._in_parent.forget()
        while self._things:
            owned, _ = self._things.popitem()
            self._undo(owned)
        self._components.clear()

    def report(self, error: BaseException, doing: str) -> None:
        """Report an error of one of this scope's things; never raises.

        Args:
            error: what was raised.
            doing: what raised it, as `"callback of /hall/motion"`.
        """
        error = plain_error(error)
        scope: Scope | None = self
        while scope is not None:
            if scope._on_error is not None:
                try:
                    scope._on_error(error, doing)
                except BaseException:
                    _log.exception("the error handler of scope %s failed", scope.name)
                else:
                    return
            scope = scope.parent
        _log.error("%s: %s failed", self.name, doing, exc_info=error)

    def report_success(self, doing: str) -> None:
        """Report that something of this scope works which was reported to fail.

        Args:
            doing: as it was given to `report`.
        """
        scope: Scope | None = self
        while scope is not None:
            if scope._on_success is not None:
                scope._on_success(doing)
                return
            scope = scope.parent

    def _undo(self, owned: Ownership) -> None:
        try:
            owned.undo()
        except BaseException as error:
            self.report(error, f"disposing scope {self.name}")

    def _dispose_with_parent(self) -> None:
        reason = self.parent.reason if self.parent is not None else None
        self.dispose(reason or Reason.UNLOADED)


class use_scope:  # noqa: N801 - it is used as a function
    """Make a scope, or no scope, the current one of the context, in a `with` statement.

    It is a class, as each callback of a rule runs in one: a generator takes six times as long.
    """

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope

    def __enter__(self) -> Scope | None:
        self._token = current.set(self._scope)
        return self._scope

    def __exit__(self, *exception: object) -> None:
        current.reset(self._token)


def current_scope(context: Context | None = None) -> Scope | None:
    """Return the scope of this context, or of the given one, if there is one."""
    return current.get() if context is None else context.get(current)


def report_error(error: BaseException, doing: str) -> None:
    """Report an error to the scope of this context, or to the log where there is none."""
    scope = current.get()
    if scope is not None:
        scope.report(error, doing)
    else:
        _log.error("%s failed", doing, exc_info=error)


def is_contained(error: BaseException, owner: object) -> bool:
    """Whether what a callback raised goes no further than its report.

    Without a scope, that holds for each `Exception` and for `Interrupted`: `KeyboardInterrupt` and
    `sys.exit()` end the program, as its author expects. A scope contains every `BaseException`,
    as the owner of the scope decides when the program ends, and user code raises other kinds too:
    `pytest.skip`, `GeneratorExit`, a `CancelledError` out of a callback that nobody can cancel.

    Args:
        error: what was raised by a callback, which ran without awaiting anything.
        owner: the scope of the callback; None if it has none.
    """
    return owner is not None or is_error(error, (Exception, Interrupted))
