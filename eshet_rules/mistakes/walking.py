"""Finds the functions of a file, each with the names that are valid in it."""

import ast
from collections.abc import Iterator, Set
from functools import cached_property
from typing import Final

from eshet_rules.mistakes.names import Function, Imports, Names, nested

__all__ = ["Part", "parts_of"]

_THREADS: Final = ("run_in_executor", "submit", "Thread", "Timer", "to_thread")
"""Functions and methods that call a function in a thread."""


class Part:
    """The code of a module, or of a function without the functions in it.

    Args:
        names: the names that are valid in it.
        body: its statements.
        function: the function; None for the module.
        passed_to_threads: the names of functions, and the lambdas, that threads of the file call.
    """

    def __init__(
        self,
        names: Names,
        body: list[ast.stmt],
        function: Function | None,
        passed_to_threads: Set[str | ast.expr],
    ) -> None:
        self.names: Final = names
        self.body: Final = body
        self.function: Final = function
        self.passed_to_threads: Final = passed_to_threads

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
    threads = set(_passed_to_threads(tree))
    todo = [Part(Names(tree.body, imports), tree.body, None, threads)]
    while todo:
        part = todo.pop(0)
        yield part
        todo += [
            Part(Names(body, imports, part.names, function), body, function, threads)
            for function in _functions_in(part.body)
            for body in [_body_of(function)]
        ]


def _passed_to_threads(tree: ast.Module) -> Iterator[str | ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called)) if (
                called in _THREADS
            ):
                for argument in (*node.args, *(each.value for each in node.keywords)):
                    match argument:
                        case ast.Name(id=name) | ast.Attribute(attr=name):
                            yield name
                        case ast.Lambda():
                            yield argument


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
