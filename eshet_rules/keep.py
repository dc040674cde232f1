"""`keep`: a Value whose content survives an edit of its rule."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from eshet.reactive import Value
from eshet.reactive.core.graph import RestoreContext, ValueNode
from eshet.reactive.core.markers import is_same
from eshet.reactive.core.origin import of_caller
from eshet.reactive.core.value import value_of
from eshet.reactive.handover.handover import Lost, Snapshot, give, named, stateful_nodes
from eshet.scope import Scope, current_scope

__all__ = ["KEEP", "Keeping", "KeptNode", "going_on", "keep", "keeping", "left_in"]

KEEP: Final = "keep"
"""The label of `keep` Values in logs."""

T = TypeVar("T")
Migrate = Callable[[Any, str], Any]


class Keeping(NamedTuple):
    """The context of `keep` while a version is set up.

    Args:
        version: the version of the module.
        old: the states of the old version's `keep` Values, by their names.
    """

    version: str
    old: Mapping[str, Any]


_ALONE: Final = Keeping("", MappingProxyType({}))
_keeping: Final[ContextVar[Keeping]] = ContextVar("eshet_rules.keep", default=_ALONE)


def keep(name: str, initial: T, migrate: Migrate | None = None) -> Value[T]:
    """Return a Value that is restored from the old version of its module.

    It is restored when this returns. It exists until the rule ends, even if nothing else refers to
    it. To survive a restart as well, its content must be plain data: None, booleans, numbers, text,
    bytes, lists and dicts of these.

    Args:
        name: identifies the Value in the next version; unique in the rule.
        initial: the initial content, if the old version has no `keep` Value of that name.
        migrate: converts the content of an old version, called as `migrate(old, old_version)`;
            `old_version` is the version that the log shows. It is called whenever a version takes
            over from a different one, so it must leave valid content unchanged. If it raises
            during the set-up, the old version keeps running.
    """
    version, old = _keeping.get()
    node = KeptNode(initial, version, migrate)
    node.origin = of_caller()
    if name in old:
        node.receive(old[name])
    value = named(value_of(node), name)
    if (scope := current_scope()) is not None:
        scope.room(_KeptValues).newest[name] = value
    return value


class _KeptValues:
    """References to the `keep` Values of a scope, which would be freed otherwise.

    For each name, only the newest Value is referenced, so that repeated calls of `keep` in a
    callback do not accumulate Values.
    """

    def __init__(self, scope: Scope) -> None:
        self.newest: dict[str, Value[Any]] = {}


class KeptNode(ValueNode):
    """The node of a `keep` Value."""

    __slots__ = ("_migrate", "_received", "_version", "migrated")

    def __init__(self, initial: Any, version: str, migrate: Migrate | None) -> None:
        super().__init__(initial)
        self._version = version
        self._migrate = migrate
        self._received: Any = None
        self.migrated = False
        """Whether `migrate` has changed the content."""

    def give(self, zero: float) -> Any:
        """Return the version that the content belongs to, and the content."""
        return [self._version, self.value]

    def receive(self, given: Any, resumption: RestoreContext | None = None) -> Sequence[Any]:
        """Restore the content; an unchanged one is restored only once."""
        if is_same(given, self._received):
            return ()  # restored in the set-up, which may have set another content since
        version, value = given
        if self._migrate is not None and version != self._version:
            migrated = self._migrate(value, version)
            self.migrated = not is_same(migrated, value)
            value = migrated
        self._received = given
        self.change_to(value)
        return ()

    def label(self) -> str:
        """Return the label of this node in logs."""
        return KEEP


def left_in(rule: str, scope: Scope) -> list[Snapshot]:
    """Return the states of the `keep` Values in the scope of a rule, before it is disposed.

    Args:
        rule: the name of the rule in the module.
        scope: the scope of the attempt to run it.
    """
    nodes = stateful_nodes({rule: scope})
    return give((about, node) for about, node in nodes if isinstance(node, KeptNode))


@contextlib.contextmanager
def going_on(left: Sequence[Snapshot]) -> Iterator[None]:
    """Make `keep` restore the states of an earlier attempt, within a `with` statement."""
    version, old = _keeping.get()
    newer = {
        about.name: given
        for about, given in left
        if about.name is not None and type(given) is not Lost
    }
    with keeping(Keeping(version, {**old, **newer})):
        yield


@contextlib.contextmanager
def keeping(keeping: Keeping) -> Iterator[None]:
    """Set the context of `keep` within a `with` statement and the tasks started there."""
    token = _keeping.set(keeping)
    try:
        yield
    finally:
        _keeping.reset(token)
