"""Mistakes with Values: set, formatted, decided upon, changed in place, kept twice, unused."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from eshet_rules.mistakes.mistake import Code, Mistake
from eshet_rules.mistakes.names import Kind, nested
from eshet_rules.mistakes.walking import Part

__all__ = [
    "MAY_CHANGE",
    "changes_in_place",
    "dead_nodes",
    "decisions_once",
    "events_and_values",
    "kept_twice",
    "sets_of_unsettable",
    "texts_of_values",
]

_CHANGE: Final = (
    *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
    *("reverse", "setdefault", "sort", "update"),
)
"""Methods that change the list, dict or set that they belong to."""

MAY_CHANGE: Final = re.compile(rb"\.value\s*(\[|\.\s*(%s)\s*\()" % "|".join(_CHANGE).encode())
"""Matches each file that may change the content of a Value in place."""

_LOGGING: Final = frozenset(
    {"critical", "debug", "error", "exception", "info", "log", "print", "warn", "warning"}
)
"""Names of functions that only report something."""


# --- `.value` ---------------------------------------------------------------------------------


def sets_of_unsettable(part: Part) -> Iterator[Mistake]:
    """Find assignments to `.value` of a Value that observes a path or follows others."""
    for node in part.nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=name) as value, attr="value", ctx=ast.Store()):
                kind = part.names.kind_of(value)
            case _:
                continue
        if kind is Kind.OBSERVED:
            yield Mistake(
                node.lineno,
                Code.VALUE_NOT_SETTABLE,
                f"{name} only observes a path, setting it would not reach the device",
                'write `await yarp.set_value("/path", value)` to follow a Value, or '
                '`await client.set("/path", 100)` to set it once',
            )
        elif kind is Kind.DERIVED:
            yield Mistake(
                node.lineno,
                Code.VALUE_NOT_SETTABLE,
                f"{name} follows other Values and can't be set",
                "set those, or, to send a value to a device, write "
                '`await yarp.set_value("/path", value)`',
            )


def decisions_once(part: Part) -> Iterator[Mistake]:
    """Find decisions upon the current value of a Value in a set-up, which is made only once.

    A function that waits, and then decides, is a sequence of steps: there it is right.
    """
    if not isinstance(part.function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    for node in part.nodes:
        if isinstance(node, ast.Await) and _waits(node, part):
            return
        if isinstance(node, (ast.AsyncFor, ast.AsyncWith)):
            return
        match node:
            case ast.If(test=test, body=body, orelse=other):
                if all(map(_only_reports, [*body, *other])):
                    continue
                if any(map(_sets_a_value, body)):
                    continue  # it corrects the kept value
            case ast.IfExp(test=test):
                if _is_reported(node, part.parents):
                    continue
            case ast.Match(subject=test):
                pass
            case _:
                continue
        name = _decided_by(test, part)
        if name is not None and not _is_repeated(node, part.parents):
            yield Mistake(
                node.lineno,
                Code.DECIDED_ONCE,
                f"this decides only once, when the rule is set up, by the value that {name} has "
                "then",
                "write a function of it under `yarp.fn`, or `yarp.switch`; or decide in a "
                "callback, as in `yarp.on_value`",
            )


def _decided_by(test: ast.expr, part: Part) -> str | None:
    """Return the name of the Value, if a condition reads its current value."""
    for node in nested(test):
        match node:
            case ast.Attribute(value=ast.Name(id=name) as value, attr="value", ctx=ast.Load()):
                kind = part.names.kind_of(value)
                if kind is not None and kind.is_value and part.names.is_own(name):
                    return name
    return None


def _waits(node: ast.Await, part: Part) -> bool:
    """Whether an `await` may wait for something to happen: it is none of a function of `yarp`."""
    match node.value:
        case ast.Call(func=function) if part.names.imports.yarp(function) is not None:
            return False
        case ast.Call(func=ast.Attribute(value=client)):
            return part.names.kind_of(client) is not Kind.CLIENT
    return True


def _is_repeated(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether code is in a `while` loop, which repeats it."""
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.While):
            return True
    return False


def _only_reports(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=function)):
            name = function.attr if isinstance(function, ast.Attribute) else ""
            return (function.id if isinstance(function, ast.Name) else name) in _LOGGING
        case ast.Raise() | ast.Pass() | ast.Assert():
            return True
    return False


def _sets_a_value(statement: ast.stmt) -> bool:
    return any(
        isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_value(node)
        for node in ast.walk(statement)
    )


def _is_reported(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.stmt):
            break
    return isinstance(node, ast.stmt) and _only_reports(node)


def changes_in_place(part: Part) -> Iterator[Mistake]:
    """Find changes in place of the list, dict or set in a Value, in a whole module.

    Values that the module also assigns to, as in `seen.value = seen.value`, are left out.
    """
    if part.function is not None:
        return
    everything = part.all_nodes
    assigned = {
        ast.unparse(node)
        for node in everything
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_value(node)
    }
    for line, value in sorted(set(_changed(everything))):
        if value not in assigned:
            yield Mistake(
                line,
                Code.CHANGED_IN_PLACE,
                f"{value} is changed in place, which nothing notices",
                f"assign a new one, as in `{value} = [*{value}, item]` or "
                f"`{value} = {{**{value}, key: item}}`",
            )


def _changed(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=held, attr=method)) if method in _CHANGE:
                pass
            case ast.Subscript(value=held, ctx=ast.Store() | ast.Del()):
                pass
            case _:
                continue
        if _is_value(held):
            yield node.lineno, ast.unparse(held)


def _is_value(node: object) -> bool:
    """Whether an expression is `name.value`, except for `self.value` and `cls.value`."""
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr="value") if name not in ("self", "cls"):
            return True
        case _:
            return False


# --- texts ------------------------------------------------------------------------------------


def texts_of_values(part: Part) -> Iterator[Mistake]:
    """Find texts that are made of a Value, where the Value itself is made: in a set-up."""
    for node in part.nodes:
        for formatted in _formatted(node, part):
            name = formatted.id if isinstance(formatted, ast.Name) else None
            if name is not None and not part.names.is_own(name):
                continue  # a callback formats the current value
            kind = part.names.kind_of(formatted)
            if kind is not None and kind.is_reactive:
                shown = ast.unparse(formatted)
                yield Mistake(
                    formatted.lineno,
                    Code.TEXT_OF_VALUE,
                    f"the text made of {shown} does not follow it",
                    f'write `yarp.str_format("{{}} lux", {shown})` for one that does, or '
                    f"`{{{shown}.value}}` for the current value",
                )


def _formatted(node: ast.AST, part: Part) -> Iterator[ast.expr]:
    """Iterate over the expressions that an expression formats as text."""
    match node:
        case ast.FormattedValue(value=value, conversion=-1):
            yield value
        case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod(), right=right):
            yield from right.elts if isinstance(right, ast.Tuple) else [right]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="format")):
            yield from (*node.args, *(each.value for each in node.keywords))
        case ast.Call(func=ast.Name(id="str"), args=[value]) if part.names.look_up("str") is None:
            yield value


# --- Events and Values ------------------------------------------------------------------------


def events_and_values(part: Part) -> Iterator[Mistake]:
    """Find `&` between an Event and a Value, which is meant as a condition for the Event."""
    for node in part.nodes:
        match node:
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                pass
            case _:
                continue
        for event, value in ((left, right), (right, left)):
            kind = part.names.kind_of(value)
            if part.names.kind_of(event) is Kind.EVENT and kind is not None and kind.is_value:
                event_text, value_text = ast.unparse(event), ast.unparse(value)
                yield Mistake(
                    node.lineno,
                    Code.EVENT_AND_VALUE,
                    f"`&` joins the payload of {event_text} with {value_text} at each emission, "
                    "whether that is true or not",
                    f"write `yarp.when({event_text}, {value_text})` for the emissions while it is "
                    "true",
                )


# --- nodes that nothing uses ------------------------------------------------------------------


def dead_nodes(part: Part) -> Iterator[Mistake]:
    """Find Values and Events that follow others, while nothing uses them."""
    if part.function is None or isinstance(part.function, ast.Lambda):
        return  # other modules may use the nodes of a module
    everything = part.all_nodes
    used = {
        node.id
        for node in everything
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)
    }
    used.update(
        name
        for node in everything
        if isinstance(node, (ast.Global, ast.Nonlocal))
        for name in node.names
    )
    if used & {"locals", "vars", "eval", "exec"}:
        return
    for node in part.nodes:
        match node:
            case ast.Expr(value=value) if part.names.kind_of(value) is Kind.DERIVED:
                yield _dead(node, "the result of this", "give it to a sink, such as")
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if (
                    name not in used
                    and not name.startswith("_")
                    and part.names.kind_of(value) is Kind.DERIVED
                ):
                    yield _dead(node, name, "delete it, or give it to a sink, such as")


def _dead(node: ast.stmt, what: str, advice: str) -> Mistake:
    return Mistake(
        node.lineno,
        Code.DEAD_NODE,
        f"nothing uses {what}, so it has no effect",
        f'{advice} `await yarp.set_value("/path", value)`; for a callback write '
        "`yarp.on_value(value, function)`",
    )


# --- keep -------------------------------------------------------------------------------------


def kept_twice(part: Part) -> Iterator[Mistake]:
    """Find `keep` Values of one rule with the same name: they are one Value."""
    if not isinstance(part.function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    first: dict[str, list[ast.Call]] = {}
    for node in part.nodes:
        if not isinstance(node, ast.Call) or not part.names.imports.is_keep(node.func):
            continue
        match [*node.args[:1], *(each.value for each in node.keywords if each.arg == "name")]:
            case [ast.Constant(value=str(name))]:
                pass
            case _:
                continue
        others = [each for each in first.get(name, ()) if not _exclude(each, node, part.parents)]
        if others:
            problem = f"line {others[0].lineno} keeps {name!r} as well: both are one Value"
        elif _is_in_for(node, part.parents):
            problem = f"each round of this loop keeps {name!r}: all of them are one Value"
        else:
            problem = ""
        if problem:
            yield Mistake(
                node.lineno,
                Code.KEPT_TWICE,
                problem,
                "give each its own name, which may contain a variable, as in "
                f'`keep(f"{name} {{room}}", ...)`',
            )
        first.setdefault(name, []).append(node)


def _is_in_for(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether a node is repeated by a `for`: in its body, or the element of a comprehension."""
    child = node
    while child in parents:
        parent = parents[child]
        if isinstance(parent, (ast.For, ast.AsyncFor)) and child in parent.body:
            return True
        if isinstance(parent, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            return child is parent.elt
        if isinstance(parent, ast.DictComp):
            return child is parent.value
        child = parent
    return False


def _exclude(one: ast.AST, other: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether two nodes are in different branches, of which only one is executed."""
    branches = dict(_branches(one, parents))
    return any(
        parent in branches and branches[parent] != branch
        for parent, branch in _branches(other, parents)
    )


def _branches(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[tuple[ast.AST, int]]:
    """Iterate over the conditions around a node, with the number of the branch that it is in."""
    child = node
    while child in parents:
        parent = parents[child]
        match parent:
            case ast.If(body=body):
                yield parent, int(child in body)
            case ast.IfExp(body=chosen):
                yield parent, int(child is chosen)
            case ast.Match(cases=cases) if child in cases:
                yield parent, cases.index(child)
        child = parent
