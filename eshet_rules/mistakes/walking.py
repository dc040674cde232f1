"""Finds the functions of a file, each with the names that are valid in it."""

import ast
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from eshet_rules.mistakes.names import Function, Imports, Names, nested

__all__ = ["Part", "parts_of"]


class Part:
    """The code of a module, or of a function without the functions in it.

    Args:
        names: the names that are valid in it.
        body: its statements.
        function: the function; None for the module.
    """

    def __init__(self, names: Names, body: list[ast.stmt], function: Function | None) -> None:
        self.names: Final = names
        self.body: Final = body
        self.function: Final = function

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Its nodes in order, without those of the functions in it."""
        return [node for node in nested(*self.body) if not isinstance(node, ast.ClassDef)]

    @cached_property
    def all_nodes(self) -> list[ast.AST]:
        """All of its nodes, with those of the functions in it."""
        return [node for statement in self.body for node in ast.walk(statement)]

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of each node, except for the statements of the body."""
        return {child: node for node in self.all_nodes for child in ast.iter_child_nodes(node)}


def parts_of(tree: ast.Module) -> Iterator[Part]:
    """Iterate over the module, and over all functions, those outside before those inside."""
    imports = Imports(tree)
    todo = [Part(Names(tree.body, imports), tree.body, None)]
    while todo:
        part = todo.pop(0)
        yield part
        todo += [
            Part(Names(body, imports, part.names, function), body, function)
            for function in _functions_in(part.body)
            for body in [_body_of(function)]
        ]


def _functions_in(body: list[ast.stmt]) -> Iterator[Function]:
    """Iterate over the functions directly in a body, and over the methods of its classes."""
    for node in nested(*body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from _functions_in(node.body)


def _body_of(function: Function) -> list[ast.stmt]:
    if isinstance(function, ast.Lambda):
        return [ast.copy_location(ast.Expr(function.body), function.body)]
    return function.body
