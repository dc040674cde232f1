"""A scope owns everything that is created in it, and disposes all of it at once.

Whatever has to be undone when a rule ends (a subscription, a timer, a listener) registers one undo
call with the current scope. A scope does not know the kinds of things that it owns. The errors of
these things are reported to their scope too, so that each error reaches the rule that owns its
source.

    scope = Scope("hall.hall_light")
    with scope.active():
        ...                      # anything created here belongs to the scope
    scope.dispose(Reason.REPLACED)

Invariants: a disposed scope owns nothing and never owns anything again (whatever is added later is
undone at once); each owned thing is undone at most once, in reverse order of creation; a child is
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
"""The variable behind `current_scope()`, for callers that read it very often."""

ErrorHandler = Callable[[BaseException, str], None]
T = TypeVar("T")


class Reason(enum.StrEnum):
    """Why a scope was disposed."""

    REPLACED = "replaced"
    """Another version takes its place and restores its state."""
    RESTARTED = "restarted"
    DISABLED = "disabled"
    UNLOADED = "unloaded"
    MOVED = "moved"
    """Another process takes its place, and restores its state."""
    FAILED = "failed"
    SHUTDOWN = "shutdown"


class Ownership:
    """The registration of one thing in its scope."""

    __slots__ = ("_scope", "_undo")

    def __init__(self, scope: "Scope", undo: Callable[[], object]) -> None:
        self._scope: Scope | None = scope
        self._undo = undo

    def forget(self) -> None:
        """Leave the scope without the undo call: the thing has ended by itself."""
        if self._scope is not None:
            self._scope._things.pop(self, None)
            self._scope = None

    def undo(self) -> None:
        """Undo the thing now, if that has not happened yet."""
        if self._scope is not None:
            self.forget()
            self._undo()


class Scope:
    """Owns whatever is created in it, and ends it when it is disposed.

    Args:
        name: shown to users: the rule, or whatever else created this scope.
        parent: the scope with which this one is disposed; None for a top-level scope.
        on_error: called with an error of an owned thing and a description of the code that raised
            it. Without a handler, errors go to the parent, and from a top-level scope to the log.
        on_success: called with such a description when something works again that had been
            reported as failing.
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
        self.root: Final[Scope] = self if parent is None else parent.root
        """The outermost scope: in a runner, that of the module."""
        self.owns_tasks: bool = False
        """At the root: whether the tasks that are started in its scopes end with them."""
        self.is_active: bool = False
        """Set at the root when code of its scopes may have run; see `note_activity`."""
        self.on_active: Callable[[Scope], object] | None = None
        """At the root: called with it when `is_active` is set, in any thread."""
        self.reason: Reason | None = None
        self._on_error = on_error
        self._on_success = on_success
        self._things: dict[Ownership, None] = {}
        self._components: dict[Callable[[Scope], object], Any] = {}
        self._provided: dict[Callable[..., object], Any] = {}
        self._in_parent = parent.own(self._dispose_with_parent) if parent is not None else None

    def __repr__(self) -> str:
        state = f"disposed: {self.reason}" if self.disposed else f"{len(self._things)} things"
        return f"<Scope {self.name!r}, {state}>"

    @property
    def disposed(self) -> bool:
        """Whether the scope has ended."""
        return self.reason is not None

    def note_activity(self) -> None:
        """Note that code of this scope may have run, and may have changed anything that it owns.

        Code that looks at the scope regularly clears `root.is_active`, and need not look again
        before that is set.
        """
        root = self.root
        if not root.is_active:
            root.is_active = True
            if root.on_active is not None:
                root.on_active(root)

    def active(self) -> "use_scope":
        """Make this the current scope of the context, in a `with` statement."""
        return use_scope(self)

    def own(self, undo: Callable[[], object]) -> Ownership:
        """Own a thing, given the call that undoes it.

        In a disposed scope the thing is undone before this returns.
        """
        owned = Ownership(self, undo)
        if self.disposed:
            self._undo(owned)
        else:
            self._things[owned] = None
        return owned

    def get(self, kind: Callable[["Scope"], T]) -> T:
        """Return this scope's instance of `kind`, creating it on first use.

        Other layers keep their own data per scope this way. A disposed scope keeps nothing: each
        call then creates a new instance.
        """
        component: T | None = self._components.get(kind)
        if component is None:
            component = kind(self)
            if not self.disposed:
                self._components[kind] = component
        return component

    def provide(self, kind: type[T], component: T) -> None:
        """Give a component to this scope and its descendants, which `find` it by its kind.

        Rules are given their client, outputs, default strategy and kept state this way. It stays
        when the scope is disposed, for the clean-up of owned things.
        """
        self._provided[kind] = component

    def find(self, kind: Callable[..., T]) -> T | None:
        """Return the `kind` of this scope or its nearest ancestor that has one; else None."""
        scope: Scope | None = self
        while scope is not None:
            component: T | None = scope._components.get(kind)
            if component is None:
                component = scope._provided.get(kind)
            if component is not None:
                return component
            scope = scope.parent
        return None

    def dispose(self, reason: Reason = Reason.UNLOADED) -> None:
        """Undo everything that the scope owns. A second call does nothing.

        An error of one undo call is reported; the others still run.
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
            error: the exception.
            doing: the code that raised it, such as `"callback of /hall/motion"`.
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
        """Report that something of this scope works again that was reported as failing.

        Args:
            doing: the description that was passed to `report`.
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

    This is a class for speed, since each callback of a rule runs in one: a generator takes six
    times as long.
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
    """Return the scope of this context, or of the context passed in; None if it has none."""
    return current.get() if context is None else context.get(current)


def report_error(error: BaseException, doing: str) -> None:
    """Report an error to the scope of this context, or to the log where there is none."""
    scope = current.get()
    if scope is not None:
        scope.report(error, doing)
    else:
        _log.error("%s failed", doing, exc_info=error)


def is_contained(error: BaseException, owner: object) -> bool:
    """Whether an error of a callback is only reported, and not raised any further.

    Without a scope, this holds for each `Exception` and for `Interrupted`: `KeyboardInterrupt` and
    `sys.exit()` end the program, as its author expects. A scope contains every `BaseException`:
    the owner of the scope decides when the program ends, and user code also raises other kinds,
    such as `pytest.skip`, `GeneratorExit`, or a `CancelledError` from a callback that can't be
    cancelled.

    Args:
        error: raised by a callback that ran without awaiting anything.
        owner: the scope of the callback; None if it has none.
    """
    return owner is not None or is_error(error, (Exception, Interrupted))
