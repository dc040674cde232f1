"""Mistakes with waiting: coroutines that nothing awaits, and sleeps that block the loop."""

import ast
from collections.abc import Iterator
from typing import Final

from eshet_rules.mistakes.mistake import Code, Mistake
from eshet_rules.mistakes.names import ASYNC_OF_CLIENT, ASYNC_OF_YARP, Kind, Names
from eshet_rules.mistakes.walking import Part

__all__ = ["async_callbacks", "blocking_sleeps", "never_awaited"]

_COMPUTING: Final = frozenset(
    {
        *("Event", "Value", "filter", "fn", "fold_state", "instantaneous_fn", "instantaneous_map"),
        *("instantaneous_sorted", "map", "scan", "sorted", "switch", "transaction"),
    }
)
"""Functions of `yarp` that use the result of a function at once."""

_CALLING: Final = {
    "add_done_callback": "this calls it",
    "add_signal_handler": "the loop calls it",
    "call_at": "the timer calls it",
    "call_later": "the timer calls it",
    "call_soon": "the loop calls it",
    "call_soon_threadsafe": "the loop calls it",
    "run_in_executor": "the thread calls it",
    "to_thread": "the thread calls it",
    "Thread": "the thread calls it",
    "Timer": "the thread calls it",
}
"""Functions and methods that call a function, and drop its result."""

_USING: Final = ("filter", "max", "min", "sorted")
"""Functions of Python that use the result of a function at once; `map` passes coroutines on."""


def never_awaited(part: Part) -> Iterator[Mistake]:
    """Find calls of coroutine functions with a result that is neither awaited nor kept."""
    for node in part.nodes:
        match node:
            case ast.Expr(value=ast.Call() as call) if not isinstance(part.function, ast.Lambda):
                name = _coroutine(call, part)
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Call() as call):
                name = _coroutine(call, part) if part.names.imports.yarp(call.func) else None
                if name is None or target in _uses(part):
                    continue
            case _:
                continue
        if name is not None:
            remedy = "write `await` before it"
            if isinstance(part.function, ast.FunctionDef):
                remedy += f", and `async def {part.function.name}` for the function that it is in"
            yield Mistake(
                node.lineno,
                Code.NEVER_AWAITED,
                f"the call of {name} does nothing, as it is never awaited",
                remedy,
            )


def _uses(part: Part) -> set[str]:
    """Return the names that are awaited somewhere, or passed on to something that may do so."""
    used: set[str] = set()
    for node in part.all_nodes:
        match node:
            case ast.Await(value=ast.Name() as value):
                passed: list[ast.expr] = [value]
            case ast.Call() if _passes_on(node, part):
                passed = [*node.args, *(each.value for each in node.keywords)]
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                passed = [value]
            case ast.List(elts=passed) | ast.Tuple(elts=passed) | ast.Set(elts=passed):
                pass
            case ast.Dict(values=passed):
                pass
            case ast.Assign(value=ast.Name() as value):
                passed = [value]
            case _:
                continue
        used |= {each.id for one in passed for each in ast.walk(one) if isinstance(each, ast.Name)}
    return used


def _passes_on(call: ast.Call, part: Part) -> bool:
    """Whether a call may await an argument: no function of `yarp` does."""
    return part.names.imports.yarp(call.func) is None


def _coroutine(call: ast.Call, part: Part) -> str | None:
    """Return the name of the coroutine function that a call calls; None if it calls another."""
    name = part.names.imports.yarp(call.func)
    if name is not None:
        return f"yarp.{name}" if name in ASYNC_OF_YARP else None
    if part.names.imports.member_of("asyncio", call.func) == "sleep":
        return "asyncio.sleep"
    match call.func:
        case ast.Attribute(value=client, attr=method) if method in ASYNC_OF_CLIENT:
            return f"client.{method}" if part.names.kind_of(client) is Kind.CLIENT else None
        case ast.Name(id=function) if part.names.look_up(function) is Kind.COROUTINE_FUNCTION:
            return function
    return None


def async_callbacks(part: Part) -> Iterator[Mistake]:
    """Find `async def` functions that something calls, but does not await."""
    for node in part.nodes:
        match node:
            case ast.AsyncFunctionDef(name=name, decorator_list=decorators):
                for decorator in decorators:
                    call = decorator.func if isinstance(decorator, ast.Call) else decorator
                    if part.names.imports.yarp(call) in ("fn", "instantaneous_fn"):
                        yield _not_awaited(node.lineno, name, "`yarp.fn` uses its result at once")
            case ast.Call():
                who = _caller(node, part)
                if who is None:
                    continue
                for argument in (*node.args, *(each.value for each in node.keywords)):
                    if (
                        isinstance(argument, ast.Name)
                        and part.names.look_up(argument.id) is Kind.COROUTINE_FUNCTION
                    ):
                        yield _not_awaited(argument.lineno, argument.id, who)


def _caller(call: ast.Call, part: Part) -> str | None:
    """Return a text about the code that calls the arguments of a call without awaiting them."""
    name = part.names.imports.yarp(call.func)
    if name is not None:
        return f"`yarp.{name}` uses its result at once" if name in _COMPUTING else None
    if part.names.imports.is_keep(call.func):
        return "`keep` uses its result at once"
    match call.func:
        case ast.Attribute(attr=method):
            return _CALLING.get(method)
        case ast.Name(id=function):
            if function in _USING and part.names.look_up(function) is None:
                return f"`{function}` uses its result at once"
            return _CALLING.get(function)
    return None


def blocking_sleeps(part: Part) -> Iterator[Mistake]:
    """Find `time.sleep` in coroutine functions, and in functions in them that no thread calls."""
    if not _runs_in_loop(part):
        return
    for node in part.nodes:
        match node:
            case ast.Call(func=function) if (
                part.names.imports.member_of("time", function) == "sleep"
            ):
                yield Mistake(
                    node.lineno,
                    Code.BLOCKING_SLEEP,
                    f"{ast.unparse(function)} stops all rules for that time",
                    "write `await asyncio.sleep(seconds)` in an `async def`, or use an operator "
                    "such as `yarp.delay` or `yarp.hold`",
                )


def _runs_in_loop(part: Part) -> bool:
    """Whether code runs in the event loop, and not in a thread."""
    names: Names | None = part.names
    while names is not None:
        match names.function:
            case ast.AsyncFunctionDef():
                return True
            case ast.FunctionDef(name=name) if name in part.passed_to_threads:
                return False
            case ast.Lambda() if names.function in part.passed_to_threads:
                return False
        names = names.parent
    return False


def _not_awaited(line: int, name: str, who: str) -> Mistake:
    return Mistake(
        line,
        Code.ASYNC_CALLBACK,
        f"{name} is an `async def`, but {who}, and never awaits it: it does nothing",
        f"write `def {name}`, or call it in a callback of an Event or a Value, where it runs as a "
        "task",
    )
