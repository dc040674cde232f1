"""Mistakes in functions of Values, which `yarp.fn` calls again when one of these changes."""

import ast
from collections.abc import Iterator

from eshet_rules.mistakes.mistake import Code, Mistake
from eshet_rules.mistakes.names import Function, Kind
from eshet_rules.mistakes.walking import Part

__all__ = ["hidden_inputs"]


def hidden_inputs(part: Part) -> Iterator[Mistake]:
    """Find functions of Values that read another Value, which they do not follow.

    A function of an Event may read Values: it does so at each emission.
    """
    functions = {
        node.name: node
        for node in part.nodes
        if isinstance(node, ast.FunctionDef) and part.names.look_up(node.name) is Kind.LIFTED
    }
    for node in part.nodes:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in functions:
                function: Function = functions[name]
            case ast.Call(func=ast.Call(func=lift, args=[ast.Lambda() as function])) if (
                part.names.imports.yarp(lift) == "fn"
            ):
                name = "the lambda"
            case _:
                continue
        arguments = [*node.args, *(each.value for each in node.keywords)]
        if not all(_is_value_or_constant(each, part) for each in arguments):
            continue
        followed = {each.id for each in arguments if isinstance(each, ast.Name)}
        for line, read in _reads(function, part):
            if read not in followed:
                yield Mistake(
                    line,
                    Code.HIDDEN_INPUT,
                    f"{name} reads {read}.value, but is not called again when {read} changes",
                    f"make it a parameter, and pass {read} as well",
                )


def _is_value_or_constant(node: ast.expr, part: Part) -> bool:
    """Whether an expression is surely no Event."""
    match node:
        case ast.Constant():
            return True
        case ast.Compare() | ast.BinOp() | ast.UnaryOp():
            names = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
            return all(_is_value_or_constant(each, part) for each in names)
    return part.names.kind_of(node) in (Kind.OBSERVED, Kind.SOURCE)


def _reads(function: Function, part: Part) -> Iterator[tuple[int, str]]:
    """Iterate over the lines and names of Values around a function that it reads."""
    inside = list(ast.walk(function))
    own = {each.arg for each in inside if isinstance(each, ast.arg)}
    own |= {
        each.id
        for each in inside
        if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)
    }
    for node in inside:
        match node:
            case ast.Attribute(value=ast.Name(id=name) as value, attr="value", ctx=ast.Load()):
                kind = part.names.kind_of(value)
                if name not in own and kind in (Kind.OBSERVED, Kind.DERIVED):
                    yield node.lineno, name
