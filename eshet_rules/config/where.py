"""Conditions on the runners that may run a module: `"gpu" in labels and runner != "attic"`.

They look like Python, but only these expressions are allowed, and none of them runs code:

    label == "floor2"               one of the labels is floor2
    label != "floor2"               none of them is
    "gpu" in labels                 the same as label == "gpu"; also `not in`
    label in ["floor1", "floor2"]   one of the labels is in the list; also `not in`
    runner == "attic"               the name of the runner; also `!=`, `in` and `not in`
    and, or, not, ( )
"""

import ast
from collections.abc import Callable, Collection
from typing import Final

from eshet.text import shorten
from eshet_rules.exceptions import WhereError

__all__ = ["Where"]

_Condition = Callable[[str, frozenset[str]], bool]

_ALLOWED: Final = (
    "write label == 'floor2', 'gpu' in labels, label in ['floor1', 'floor2'] or runner == 'attic', "
    "joined with and, or, not and parentheses"
)

_MAX_LENGTH: Final = 1000
"""Maximum length of a condition, in characters: deeply nested ones would exceed Python's limits."""


class Where:
    """A condition on the name and the labels of a runner.

    Args:
        text: the condition.

    Raises:
        WhereError: it is not valid.
    """

    def __init__(self, text: str) -> None:
        self.text: Final = text
        if len(text) > _MAX_LENGTH:
            raise WhereError(shorten(text, 60), f"is longer than {_MAX_LENGTH} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise WhereError(text, f"is not a condition: {_ALLOWED}") from None
        self._condition: Final = self._read(tree.body)

    def matches(self, runner: str, labels: Collection[str] = ()) -> bool:
        """Whether the condition holds for a runner with this name and these labels."""
        return self._condition(runner, frozenset(labels))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Where) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Where({self.text!r})"

    def _read(self, node: ast.expr) -> _Condition:
        match node:
            case ast.BoolOp(ast.And(), parts):
                all_of = [self._read(part) for part in parts]
                return lambda runner, labels: all(each(runner, labels) for each in all_of)
            case ast.BoolOp(ast.Or(), parts):
                any_of = [self._read(part) for part in parts]
                return lambda runner, labels: any(each(runner, labels) for each in any_of)
            case ast.UnaryOp(ast.Not(), part):
                negated = self._read(part)
                return lambda runner, labels: not negated(runner, labels)
            case ast.Compare(left, [ast.Eq() | ast.In()], [right]):
                return self._comparison(node, left, right)
            case ast.Compare(left, [ast.NotEq() | ast.NotIn()], [right]):
                equal = self._comparison(node, left, right)
                return lambda runner, labels: not equal(runner, labels)
        raise self._refused(node)

    def _comparison(self, node: ast.Compare, left: ast.expr, right: ast.expr) -> _Condition:
        """Return the condition that two sides are equal, or that the left is in the right one."""
        is_equality = isinstance(node.ops[0], ast.Eq | ast.NotEq)
        if is_equality and isinstance(left, ast.Constant):
            left, right = right, left
        match left, right:
            case (ast.Name("label"), ast.Constant(str() as text)) if is_equality:
                return lambda runner, labels: text in labels
            case (ast.Name("runner"), ast.Constant(str() as text)) if is_equality:
                return lambda runner, labels: text == runner
            case (ast.Constant(str() as text), ast.Name("labels")) if not is_equality:
                return lambda runner, labels: text in labels
            case (ast.Name("label"), ast.List() | ast.Tuple()) if not is_equality:
                texts = self._texts(right)
                return lambda runner, labels: not texts.isdisjoint(labels)
            case (ast.Name("runner"), ast.List() | ast.Tuple()) if not is_equality:
                names = self._texts(right)
                return lambda runner, labels: runner in names
        raise self._refused(node)

    def _texts(self, node: ast.List | ast.Tuple) -> frozenset[str]:
        texts = set()
        for each in node.elts:
            match each:
                case ast.Constant(str() as text):
                    texts.add(text)
                case _:
                    raise self._refused(each)
        return frozenset(texts)

    def _refused(self, node: ast.expr) -> WhereError:
        part = ast.get_source_segment(self.text.strip(), node) or self.text
        return WhereError(self.text, f"can't contain {shorten(part, 60)}: {_ALLOWED}")
