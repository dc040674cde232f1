"""`keep`: a Value that survives an edit of its rule."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from eshet.reactive import Value
from eshet.reactive.core.graph import RestoreContext, ValueNode
from eshet.reactive.core.markers import is_same
from eshet.reactive.core.origin import of_caller
from eshet.reactive.core.value import value_of
from eshet.reactive.handover.handover import Lost, Snapshot, named, stateful_nodes, take_snapshots
from eshet.reactive.handover.matching import Description
from eshet.scope import Scope, current_scope

__all__ = ["KEEP", "Keeping", "KeptNode", "keep", "kept_in", "kept_states", "provide_kept"]

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


def keep(name: str, initial: T, migrate: Migrate | None = None) -> Value[T]:
    """Return a Value that is restored from the old version of its module.

    It is restored when this returns. It exists until the rule ends, even if nothing else refers to
    it. To survive a restart as well, its content must be plain data: None, booleans, numbers, text,
    bytes, lists and dicts of these.

    A second call with the same name in the same rule returns the same Value.

    Args:
        name: identifies the Value in the rule, and in the next version.
        initial: the initial content, if the old version has no `keep` Value of that name.
        migrate: converts the content of an old version, called as `migrate(old, old_version)`;
            `old_version` is the version that the log shows. It is called whenever a version takes
            over from a different one, so it must leave valid content unchanged. If it raises
            during the set-up, the old version keeps running.
    """
    scope = current_scope()
    kept = None if scope is None else scope.find(_KeptValues)
    if kept is not None and name in kept.values:
        return kept.values[name]
    version, old = (scope and scope.find(Keeping)) or _ALONE
    node = KeptNode(initial, version, migrate)
    node.origin = of_caller()
    if name in old:
        node.restore(old[name])
    value = named(value_of(node), name)
    if scope is not None:
        scope.get(_KeptValues).values[name] = value
    return value


class _KeptValues:
    """The `keep` Values of a scope by name; without a reference they would be freed."""

    def __init__(self, scope: Scope) -> None:
        self.values: dict[str, Value[Any]] = {}


class KeptNode(ValueNode):
    """The node of a `keep` Value."""

    __slots__ = ("_migrate", "_restored", "_version", "migrated")

    def __init__(self, initial: Any, version: str, migrate: Migrate | None) -> None:
        super().__init__(initial)
        self._version = version
        self._migrate = migrate
        self._restored: Any = None
        self.migrated: bool = False
        """Whether `migrate` has changed the content."""

    def snapshot(self, epoch: float) -> Any:
        """Return the version that the content belongs to, and the content."""
        return [self._version, self.value]

    def restore(self, data: Any, context: RestoreContext | None = None) -> Sequence[Any]:
        """Restore the content; an unchanged one is restored only once."""
        if is_same(data, self._restored):
            return ()  # restored in the set-up, which may have set another content since
        version, value = data
        if self._migrate is not None and version != self._version:
            migrated = self._migrate(value, version)
            self.migrated = not is_same(migrated, value)
            value = migrated
        self._restored = data
        self.change_to(value)
        return ()

    def label(self) -> str:
        """Return the label of this node in logs."""
        return KEEP


def kept_in(rule: str, scope: Scope) -> list[Snapshot]:
    """Return the states of the `keep` Values in the scope of a rule, before it is disposed.

    Args:
        rule: the name of the rule in the module.
        scope: the scope of the attempt to run it.
    """
    nodes = stateful_nodes({rule: scope})
    return take_snapshots((about, node) for about, node in nodes if isinstance(node, KeptNode))


def kept_states(rule: str, kept: Mapping[str, Any]) -> list[Snapshot]:
    """Return the states of a rule's `keep` Values for a snapshot of its module.

    Args:
        rule: the name of the rule in the module.
        kept: the states, by the names of the Values.
    """
    return [Snapshot(Description(rule, KEEP, "", name=name), state) for name, state in kept.items()]


def provide_kept(scope: Scope, snapshots: Sequence[Snapshot]) -> None:
    """Make `keep` in a scope restore the states of an earlier attempt of the rule.

    Args:
        scope: the scope of the new attempt.
        snapshots: the snapshots of the earlier attempt; see `kept_in`.
    """
    version, old = scope.find(Keeping) or _ALONE
    newer = {
        about.name: data
        for about, data, _ in snapshots
        if about.name is not None and type(data) is not Lost
    }
    scope.provide(Keeping, Keeping(version, {**old, **newer}))
