"""Findings from the graph of Values and Events of the loaded rules."""

from collections.abc import Iterator

from eshet.reactive.core.graph import ScopeNodes
from eshet.reactive.core.value import ObservedNode
from eshet.reactive.upstream import upstream
from eshet.scope import Scope
from eshet.yarp.outputs import sinks_of

__all__ = ["feedbacks_in"]


def feedbacks_in(scope: Scope) -> Iterator[str]:
    """Iterate over the paths that a rule sets, or drives, to a Value that follows the same path.

    A sink of an Event is none of them: it sends when the Event emits, not when the path changes.

    Args:
        scope: of the attempt to run the rule.
    """
    for node in list(scope.get(ScopeNodes)):
        for sink in sinks_of(node):
            if sink.follows and sink.function in ("set_value", "drive"):
                paths = {each.origin for each in upstream(node) if isinstance(each, ObservedNode)}
                if sink.path in paths:
                    yield sink.path
