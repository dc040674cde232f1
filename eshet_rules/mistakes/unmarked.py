"""Functions that look like rules, without `@rule`."""

import ast
from collections.abc import Collection, Iterator
from typing import Final

from eshet_rules.mistakes.mistake import Code, Mistake
from eshet_rules.mistakes.names import Imports, Names, nested
from eshet_rules.rule import ARGUMENTS

__all__ = ["names_used_by", "unmarked_rules"]

_USED_BY_RULES: Final = frozenset(("yarp", "client"))


def unmarked_rules(tree: ast.Module, used_elsewhere: Collection[str]) -> Iterator[Mistake]:
    """Find functions at the top of a module that look like rules, and that nothing calls.

    Args:
        tree: the module.
        used_elsewhere: names that other modules use; see `names_used_by`.
    """
    names = Names(tree.body, Imports(tree))
    functions = [each for each in tree.body if isinstance(each, ast.AsyncFunctionDef)]
    has_rules = any(names.imports.is_rule(d) for each in functions for d in each.decorator_list)
    used = {*names_used_by(tree), *_exported(tree), *used_elsewhere}
    for each in functions:
        is_main = each.name == "main" and not has_rules
        if each.decorator_list or each.name.startswith("_") or each.name in used or is_main:
            continue
        if _looks_like_a_rule(each, names.imports):
            yield Mistake(
                each.lineno,
                Code.NO_RULE,
                f"{each.name} looks like a rule, but has no `@rule`, so it never runs",
                "write `@rule` above it; or, if it is a helper, begin its name with _",
            )


def names_used_by(tree: ast.Module) -> set[str]:
    """Return the names that a module reads or imports, and the attributes that it reads."""
    used: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Attribute(attr=name):
                used.add(name)
            case ast.ImportFrom(names=imported):
                used.update(each.name for each in imported)
    return used


def _exported(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id="__all__")],
                value=ast.List(elts=members) | ast.Tuple(elts=members),
            ):
                for each in members:
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        yield each.value


def _looks_like_a_rule(function: ast.AsyncFunctionDef, imports: Imports) -> bool:
    """Whether a function uses `yarp` or `client`, and needs only the arguments that rules get."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = [
        *positional[: len(positional) - len(arguments.defaults)],
        *(
            each
            for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if default is None
        ),
    ]
    if any(each.arg not in ARGUMENTS for each in needed):
        return False
    if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nested(*function.body)):
        return False
    return any(
        (isinstance(node, ast.Name) and node.id in _USED_BY_RULES)
        or (isinstance(node, ast.expr) and imports.yarp(node) is not None)
        for node in ast.walk(function)
    )
