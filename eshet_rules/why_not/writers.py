"""The rules that write a path, and the Values and Events that they follow."""

from collections import deque
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any, Final, NamedTuple

from eshet.reactive.core.graph import Node, ScopeNodes
from eshet.scope import Scope
from eshet.yarp.outputs import HeldOutput, sinks_of
from eshet_rules.reload.module_instance import ModuleInstance
from eshet_rules.supervision.supervised_rule import SupervisedRule

__all__ = ["Writer", "Writers", "rules_that_name"]

_DEEPEST: Final = 20
"""Maximum number of functions within another, in which a path is searched for."""


class Writer(NamedTuple):
    """A sink of a rule that writes a path.

    Args:
        rule: the full name of the rule.
        supervised: the rule.
        instance: the instance of its module.
        sink: the sink.
        node: the node that the sink follows.
    """

    rule: str
    supervised: SupervisedRule
    instance: ModuleInstance
    sink: HeldOutput
    node: Node


class Writers:
    """The sinks of all rules, by their paths.

    Args:
        instances: the running instances.
    """

    def __init__(self, instances: Iterable[ModuleInstance]) -> None:
        self._sinks: dict[str, list[tuple[SupervisedRule, ModuleInstance, HeldOutput]]] = {}
        self._nodes: dict[SupervisedRule, dict[HeldOutput, Node]] = {}
        for instance in instances:
            supervised = {each.name: each for each in instance.supervised}
            for rule, sinks in instance.sinks().items():
                for sink in sinks if rule in supervised else ():
                    self._sinks.setdefault(sink.path, []).append((supervised[rule], instance, sink))

    def of(self, path: str) -> Iterator[Writer]:
        """Iterate over the sinks that write a path."""
        for rule, instance, sink in self._sinks.get(path, ()):
            if rule not in self._nodes:
                self._nodes[rule] = _nodes_of_sinks(instance, rule.attempt_scope)
            node = self._nodes[rule].get(sink)
            if node is not None:
                yield Writer(rule.name, rule, instance, sink, node)


def _nodes_of_sinks(instance: ModuleInstance, scope: Scope | None) -> dict[HeldOutput, Node]:
    """Return the nodes that sinks follow: of a rule, or of the modules that it uses."""
    nodes: dict[Node, None] = {}
    for each in (scope, *(version.scope for version in instance.version.with_imports())):
        nodes |= dict.fromkeys(() if each is None else each.get(ScopeNodes))
    following = deque(nodes)
    while following:
        node = following.popleft()
        for source in (*node.inputs, *node.sources()):
            if source not in nodes:
                nodes[source] = None
                following.append(source)
    return {sink: node for node in nodes for sink in sinks_of(node)}


def rules_that_name(instances: Iterable[ModuleInstance], path: str) -> set[str]:
    """Return the full names of the rules in whose code a path stands, whether they run or not."""
    return {
        f"{instance.version.name}.{rule.name}"
        for instance in instances
        for rule in instance.version.rules.values()
        if _names_path(rule.function, path)
    }


def _names_path(function: Any, path: str) -> bool:
    """Whether the code of a function contains a path as a text."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return isinstance(code, CodeType) and _contains(code, path, _DEEPEST)


def _contains(code: CodeType, path: str, depth: int) -> bool:
    for constant in code.co_consts:
        if constant == path:
            return True
        if depth and isinstance(constant, CodeType) and _contains(constant, path, depth - 1):
            return True
    return False
