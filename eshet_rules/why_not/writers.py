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

__all__ = ["Writer", "names_path", "writers_of"]

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


def writers_of(path: str, instances: Iterable[ModuleInstance]) -> Iterator[Writer]:
    """Iterate over the sinks that write a path."""
    for instance in instances:
        supervised = {each.name: each for each in instance.supervised}
        for rule, sinks in instance.sinks().items():
            wanted = [each for each in sinks if each.path == path]
            if wanted and rule in supervised:
                nodes = _nodes_of_sinks(instance, supervised[rule].attempt_scope)
                for sink in wanted:
                    node = nodes.get(sink)
                    if node is not None:
                        yield Writer(rule, supervised[rule], instance, sink, node)


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


def names_path(function: Any, path: str) -> bool:
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
