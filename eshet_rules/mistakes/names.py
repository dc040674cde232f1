"""The meanings of the names of a file, as far as its source shows them.

This is not a type checker: a name that is bound in different ways, or by anything but the
expressions that rules are made of, has no known kind, and nothing is reported of it.
"""

import ast
import enum
import inspect
from collections.abc import Iterator
from typing import Final, TypeAlias

from eshet import yarp
from eshet.client import Client

__all__ = ["ASYNC_OF_CLIENT", "ASYNC_OF_YARP", "Function", "Imports", "Kind", "Names", "nested"]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

ASYNC_OF_YARP: Final = frozenset(
    name for name in yarp.__all__ if inspect.iscoroutinefunction(getattr(yarp, name))
)
"""The functions of `yarp` that must be awaited."""

ASYNC_OF_CLIENT: Final = frozenset(
    name for name, member in vars(Client).items() if inspect.iscoroutinefunction(member)
)
"""The methods of a client that must be awaited."""

_NOT_REACTIVE: Final = frozenset(
    {
        *ASYNC_OF_YARP,
        *("compat", "debug", "emit_fn", "ensure_reactive", "ensure_value", "fn", "graph"),
        *("instantaneous_fn", "on_transaction", "on_value", "set_default_eshet_client", "store"),
        *("transaction", "using_client", "Reactive", "Unknown", "NoChange", "NoValue"),
    }
)
"""Names of `yarp` with a result that is neither a Value nor an Event, or may be either."""

_TIMES: Final = frozenset({"now", "schedule", "sun"})
"""Functions of `yarp` with a result that follows the clock."""

_AWAITED: Final[dict[str, "Kind"]] = {}


class Kind(enum.Enum):
    """The known kinds of expressions."""

    OBSERVED = "observed"
    """A Value that follows a path."""
    DERIVED = "derived"
    """A Value or an Event that follows others."""
    SOURCE = "source"
    """A Value that can be set."""
    EVENT = "event"
    """An Event of a path, or one that can be emitted."""
    CLIENT = "client"
    """A client."""
    COROUTINE_FUNCTION = "coroutine function"
    """An `async def` of this file."""
    LIFTED = "lifted function"
    """A function under `yarp.fn`."""

    @property
    def is_reactive(self) -> bool:
        """Whether it is a Value or an Event."""
        return self in (Kind.OBSERVED, Kind.DERIVED, Kind.SOURCE, Kind.EVENT)

    @property
    def is_value(self) -> bool:
        """Whether it is probably a Value: a derived node may be an Event."""
        return self in (Kind.OBSERVED, Kind.DERIVED, Kind.SOURCE)


_AWAITED.update(
    state_observe=Kind.OBSERVED,
    event_listen=Kind.EVENT,
    state_register_set_event=Kind.EVENT,
    get_default_eshet_client=Kind.CLIENT,
)
_CALLED: Final = {
    "Value": Kind.SOURCE,
    "Event": Kind.EVENT,
    "file_backed_value": Kind.SOURCE,
    "make_same_type": Kind.SOURCE,
}


class Imports:
    """The names under which a file has imported the names that rules use.

    Args:
        tree: the file.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._modules: dict[str, str] = {}  # such as {"yarp": "eshet.yarp"}
        self._members: dict[str, tuple[str, str]] = {}  # such as {"keep": ("eshet_rules", "keep")}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    if each.asname is not None or "." not in each.name:
                        self._modules[each.asname or each.name] = each.name
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for each in node.names:
                    full = f"{node.module}.{each.name}"
                    if full == "eshet.yarp":
                        self._modules[each.asname or each.name] = full
                    else:
                        self._members[each.asname or each.name] = node.module, each.name

    def member_of(self, module: str, node: ast.expr) -> str | None:
        """Return the name in a module that an expression means; None if it means another thing."""
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                return attribute if self._modules.get(name) == module else None
            case ast.Name(id=name):
                found = self._members.get(name)
                return found[1] if found is not None and found[0] == module else None
        return None

    def yarp(self, node: ast.expr) -> str | None:
        """Return the name in `yarp` that an expression means, such as "state_observe"."""
        return self.member_of("eshet.yarp", node)

    def is_rule(self, decorator: ast.expr) -> bool:
        """Whether a decorator is `@rule`, in any of its forms."""
        node = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(node, ast.Attribute) and node.attr == "each":
            node = node.value
        return any(
            self.member_of(module, node) == "rule" for module in ("eshet_rules", "eshet_rules.rule")
        )

    def is_keep(self, node: ast.expr) -> bool:
        """Whether an expression is `keep`."""
        return any(
            self.member_of(module, node) == "keep" for module in ("eshet_rules", "eshet_rules.keep")
        )


class Names:
    """The names of a function or of a module, with their kinds.

    Args:
        body: the statements, or the expression of a lambda.
        imports: of the file.
        parent: the names around it; None for those of a module.
        function: the function; None for a module.
    """

    def __init__(
        self,
        body: list[ast.stmt],
        imports: Imports,
        parent: "Names | None" = None,
        function: Function | None = None,
    ) -> None:
        self.imports: Final = imports
        self.parent: Final = parent
        self.function: Final = function
        self._kinds: dict[str, Kind | None] = {}
        if function is not None:
            is_rule = self._is_rule(function)
            for name in _parameters(function):
                self._kinds[name] = Kind.CLIENT if is_rule and name == "client" else None
        for statement in body:
            for node in nested(statement):
                self._bind_all(node)

    def _is_rule(self, function: Function) -> bool:
        """Whether a function is a rule: elsewhere, a client may be one of another system."""
        return isinstance(function, ast.AsyncFunctionDef) and (
            function.name == "main" or any(map(self.imports.is_rule, function.decorator_list))
        )

    def _bind_all(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind_target(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._bind_target(target, value)
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                self._bind(name, self.kind_of(value))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self._bind(name, self._kind_of_function(node))
            case ast.ClassDef(name=name):
                self._bind(name, None)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                for name in names:
                    self._kinds[name] = None
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                self._kinds.setdefault(name, None)

    def _bind_target(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Name(id=name), _:
                self._bind(name, self.kind_of(value))
            case (ast.Tuple(elts=targets), ast.Tuple(elts=values)) if len(targets) == len(values):
                for each, its_value in zip(targets, values, strict=True):
                    self._bind_target(each, its_value)

    def _bind(self, name: str, kind: Kind | None) -> None:
        if name in self._kinds and self._kinds[name] is not kind:
            kind = None
        self._kinds[name] = kind

    def _kind_of_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Kind | None:
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if self.imports.yarp(call) in ("fn", "instantaneous_fn"):
                return Kind.LIFTED
        if isinstance(node, ast.AsyncFunctionDef) and not node.decorator_list:
            is_generator = any(isinstance(each, ast.Yield) for each in nested(*node.body))
            return None if is_generator else Kind.COROUTINE_FUNCTION
        return None

    def is_own(self, name: str) -> bool:
        """Whether a name is bound here, and not around it."""
        return name in self._kinds

    def look_up(self, name: str) -> Kind | None:
        """Return the kind of a name."""
        names: Names | None = self
        while names is not None:
            if name in names._kinds:
                return names._kinds[name]
            names = names.parent
        return None

    def kind_of(self, node: ast.expr) -> Kind | None:
        """Return the kind of an expression; None if it is not known."""
        match node:
            case ast.Name(id=name):
                return self.look_up(name)
            case ast.NamedExpr(value=value):
                return self.kind_of(value)
            case ast.Await(value=ast.Call(func=function)):
                return _AWAITED.get(self.imports.yarp(function) or "")
            case ast.Call():
                return self._kind_of_call(node)
            case ast.BinOp(left=left, right=right):
                return self._derived(left, right)
            case ast.UnaryOp(op=op, operand=operand) if not isinstance(op, ast.Not):
                return self._derived(operand)
            case ast.Compare(ops=ops) if not any(map(_is_plain_comparison, ops)):
                return self._derived(node.left, *node.comparators)
            case ast.Subscript(value=value):
                return self._derived(value)
        return None

    def _kind_of_call(self, node: ast.Call) -> Kind | None:
        name = self.imports.yarp(node.func)
        arguments = [*node.args, *(each.value for each in node.keywords)]
        if name is not None:
            if name in _CALLED:
                return _CALLED[name]
            if name in _TIMES:
                return Kind.DERIVED
            if name in _NOT_REACTIVE or name not in yarp.__all__:
                return None
            return self._derived(*arguments)
        if self.imports.is_keep(node.func):
            return Kind.SOURCE
        match node.func:
            case ast.Name(id=lifted) if self.look_up(lifted) is Kind.LIFTED:
                return self._derived(*arguments)
            case ast.Call(func=function) if self.imports.yarp(function) in (
                "fn",
                "instantaneous_fn",
            ):
                return self._derived(*arguments)
        return None

    def _derived(self, *operands: ast.expr) -> Kind | None:
        return Kind.DERIVED if any(map(self._holds_reactive, operands)) else None

    def _holds_reactive(self, node: ast.expr) -> bool:
        match node:
            case ast.List(elts=members) | ast.Tuple(elts=members):
                return any(map(self._holds_reactive, members))
            case ast.Dict(values=members):
                return any(map(self._holds_reactive, members))
            case ast.Starred(value=value):
                return self._holds_reactive(value)
        kind = self.kind_of(node)
        return kind is not None and kind.is_reactive


def nested(*nodes: ast.AST) -> Iterator[ast.AST]:
    """Iterate over nodes and their parts, in order, without those of other functions.

    A function in them is included, without its parameters and its body; so is a class.
    """
    todo = [*nodes[::-1]]
    while todo:
        node = todo.pop()
        yield node
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                todo += node.decorator_list[::-1]
            case ast.Lambda():
                pass
            case _:
                todo += [*ast.iter_child_nodes(node)][::-1]


def _parameters(function: Function) -> Iterator[str]:
    arguments = function.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield each.arg
    for extra in (arguments.vararg, arguments.kwarg):
        if extra is not None:
            yield extra.arg


def _is_plain_comparison(operator: ast.cmpop) -> bool:
    """Whether a comparison has a plain result, also with Values."""
    return isinstance(operator, (ast.Is, ast.IsNot, ast.In, ast.NotIn))
