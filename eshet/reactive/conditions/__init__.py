"""Finds the conditions under which a value would be another one, without changing anything.

The modules, from top to bottom; each imports only from those below it:

    timers        operators that depend on time, and other nodes with a state
    choices       logic, and the operators that choose between values
    arithmetic    sums, products, the least and the greatest of numbers
    comparisons   comparisons, and parts of values
    reader        reads the conditions of a node, back to the inputs from outside
    condition     conditions as a tree
    needs         requirements on a value

`arithmetic`, `choices`, `comparisons` and `timers` have a table each, in which the name of an
operator leads to the function that reads it.

Nothing is computed here before `conditions_for` is called.
"""

from eshet.reactive.conditions.arithmetic import ARITHMETIC
from eshet.reactive.conditions.choices import CHOICES
from eshet.reactive.conditions.comparisons import COMPARISONS
from eshet.reactive.conditions.condition import Condition, Kind
from eshet.reactive.conditions.needs import KNOWN, Need, Relation, Simple, equal
from eshet.reactive.conditions.reader import Reader
from eshet.reactive.conditions.timers import NODES, read_length
from eshet.reactive.core.graph import EventNode, Node, ValueNode
from eshet.reactive.core.markers import NoValue, is_absent

__all__ = ["Condition", "Kind", "Need", "conditions_for", "equal", "need_for_another"]

_FUNCTIONS = {**COMPARISONS, **ARITHMETIC, **CHOICES, "len": read_length}


def conditions_for(node: Node, need: Need, now: float) -> Condition:
    """Return the conditions under which a node has a wanted value, or emits one.

    Nothing changes by that: no transaction, no emission, no timer.

    Args:
        node: the node of a Value or of an Event.
        need: the requirement on its value, or its emission; `equal(value)` for one value.
        now: the present time of the loop.
    """
    assert isinstance(node, ValueNode | EventNode)  # noqa: S101 - each node is one of these
    return Reader(now, _FUNCTIONS, NODES).of(node, need)


def need_for_another(node: Node, present: object = NoValue) -> Need:
    """Return the need for another value than the present one: of a bool, for the opposite.

    Of an absent value it is any known one, and of an Event any emission.

    Args:
        node: the node.
        present: the present value, where that is not the one of the node.
    """
    value = node.value if is_absent(present) else present
    if isinstance(node, EventNode) or is_absent(value):
        return KNOWN
    return equal(not value) if isinstance(value, bool) else Simple(Relation.NE, value)
