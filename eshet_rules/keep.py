"""`keep`: a Value whose content survives an edit of its rule."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from eshet.reactive import Value
from eshet.reactive.core.graph import RestoreContext, ValueNode
from eshet.reactive.core.markers import is_same
from eshet.reactive.core.origin import of_caller
from eshet.reactive.core.value import value_of
from eshet.reactive.handover.handover import Lost, Snapshot, named, stateful_nodes, take_snapshots
from eshet.scope import Scope, current_scope

__all__ = ["KEEP", "Keeping", "KeptNode", "keep", "left_in", "provide_kept"]

KEEP: Final = "keep"
"""What people are told that a Value of `keep` is."""

T = TypeVar("T")
Migrate = Callable[[Any, str], Any]


class Keeping(NamedTuple):
    """What `keep` has to know of a version that is set up.

    Args:
        version: of the module.
        old: what the Values that the old version kept have given, by their names.
    """

    version: str
    old: Mapping[str, Any]


_ALONE: Final = Keeping("", MappingProxyType({}))


def keep(name: str, initial: T, migrate: Migrate | None = None) -> Value[T]:
    """Return a Value that goes on with what it held in the old version of its module.

    It holds that by the time this returns. It is kept until the rule ends, whether or not something
    else refers to it. What it holds must be plain data, to survive a restart too: None, booleans,
    numbers, text, bytes, lists and dicts of these.

    Args:
        name: by which the next version knows it, unique in the rule.
        initial: what it holds where no old version kept something of that name.
        migrate: turns what an old version held into what this one wants, called as
            `migrate(old, old_version)`, the latter being the version that the log shows. It is
            called each time another version takes over from, so it leaves alone what is right
            already. If it raises in the set-up, the old version stays.
    """
    scope = current_scope()
    version, old = (scope and scope.find(Keeping)) or _ALONE
    node = KeptNode(initial, version, migrate)
    node.origin = of_caller()
    if name in old:
        node.restore(old[name])
    value = named(value_of(node), name)
    if scope is not None:
        scope.get(_KeptValues).newest[name] = value
    return value


class _KeptValues:
    """The Values kept in one scope: a Value that nothing refers to ends, and would be forgotten.

    Of each name it is the newest that stays, so that `keep` in a callback leaves no more of them
    with each call.
    """

    def __init__(self, scope: Scope) -> None:
        self.newest: dict[str, Value[Any]] = {}


class KeptNode(ValueNode):
    """The node of a Value that is kept."""

    __slots__ = ("_migrate", "_received", "_version", "migrated")

    def __init__(self, initial: Any, version: str, migrate: Migrate | None) -> None:
        super().__init__(initial)
        self._version = version
        self._migrate = migrate
        self._received: Any = None
        self.migrated = False
        """Whether what it was given had to be turned into something else."""

    def snapshot(self, epoch: float) -> Any:
        """Return the content, and which version left it."""
        return [self._version, self.value]

    def restore(self, data: Any, context: RestoreContext | None = None) -> Sequence[Any]:
        """Hold what was given; what is given a second time unchanged is passed over."""
        if is_same(data, self._received):
            return ()  # the set-up, which has seen it, may have set something else since
        version, value = data
        if self._migrate is not None and version != self._version:
            migrated = self._migrate(value, version)
            self.migrated = not is_same(migrated, value)
            value = migrated
        self._received = data
        self.change_to(value)
        return ()

    def label(self) -> str:
        """Return what people are told that this node is."""
        return KEEP


def left_in(rule: str, scope: Scope) -> list[Snapshot]:
    """Return what the Values kept in the scope of a rule give, before that is disposed.

    Args:
        rule: its name in the module.
        scope: of the attempt to run it.
    """
    nodes = stateful_nodes({rule: scope})
    return take_snapshots((about, node) for about, node in nodes if isinstance(node, KeptNode))


def provide_kept(scope: Scope, snapshots: Sequence[Snapshot]) -> None:
    """Let `keep` in a scope continue with the Values that an earlier attempt of the rule kept.

    Args:
        scope: of the new attempt.
        snapshots: of the earlier one; see `left_in`.
    """
    version, old = scope.find(Keeping) or _ALONE
    newer = {
        about.name: data
        for about, data in snapshots
        if about.name is not None and type(data) is not Lost
    }
    scope.provide(Keeping, Keeping(version, {**old, **newer}))
