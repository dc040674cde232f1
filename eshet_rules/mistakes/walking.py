"""Finds the functions of a file, each with the names that are valid in it."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from eshet_rules.mistakes.names import Function, Imports, Names, nested

__all__ = ["Part", "parents_of", "parts_of"]


class Part(NamedTuple):
    """The code of a module, or of a function without the functions in it.

    Args:
        names: the names that are valid in it.
        body: its statements.
        function: the function; None for the module.
    """

    names: Names
    body: list[ast.stmt]
    function: Function | None

    def nodes(self) -> Iterator[ast.AST]:
        """Iterate over its nodes, in order."""
        for node in nested(*self.body):
            if not isinstance(node, ast.ClassDef):
                yield node


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


def parents_of(body: list[ast.stmt]) -> dict[ast.AST, ast.AST]:
    """Return the parent of each node in a body, except for its own statements."""
    return {
        child: node
        for statement in body
        for node in ast.walk(statement)
        for child in ast.iter_child_nodes(node)
    }


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
