"""`@rule`: what a rule is.

    @rule
    async def hall_light(): ...

    @rule(strategy=RunSerially(retry=True), name="light")
    async def hall_light(): ...

A rule belongs to the module during whose import it was made; where that is no import of the
runner's, as in a test, it belongs to none and can simply be awaited: `await hall_light()`.
"""

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, overload

from eshet.utils import RunInTask, TaskStrategy
from eshet_rules.exceptions import RuleMisuse

__all__ = ["Rule", "collect_rules", "rule"]

RuleFunction = Callable[[], Awaitable[object]]

_collected: Final[ContextVar["dict[str, Rule] | None"]] = ContextVar(
    "eshet_rules.rules", default=None
)


@dataclass(frozen=True)
class Rule:
    """An async function that sets up a part of the house, and how it is run.

    Calling it calls the function. It may return when all is set up, or run for ever.

    Args:
        name: unique in its module.
        function: what sets it up.
        strategy: how the function is run; with retries, until it succeeds.
    """

    name: str
    function: RuleFunction
    strategy: TaskStrategy

    def __call__(self) -> Awaitable[object]:
        """Call the function, as a test does: what it makes belongs to the scope of the caller."""
        return self.function()


@overload
def rule(function: RuleFunction, /) -> Rule: ...


@overload
def rule(
    *, strategy: TaskStrategy | None = None, name: str | None = None
) -> Callable[[RuleFunction], Rule]: ...


def rule(
    function: RuleFunction | None = None,
    /,
    *,
    strategy: TaskStrategy | None = None,
    name: str | None = None,
) -> Rule | Callable[[RuleFunction], Rule]:
    """Make a rule of an async function; written as `@rule` or `@rule(...)` above it.

    Args:
        function: the function, where it is used without brackets.
        strategy: how the function is run: `RunInTask()` unless given, which does not retry.
        name: the rule's name, unique in its module: the function's unless given.

    Raises:
        RuleMisuse: this is no rule; the message says what to write.
    """
    if isinstance(function, TaskStrategy):
        raise RuleMisuse(f"a strategy is given by name: write @rule(strategy={function!r})")
    if strategy is not None:
        _check_strategy(strategy)
    if name is not None:
        _check_name(name)

    def make(function: RuleFunction) -> Rule:
        _check_function(function)
        made = Rule(name or function.__name__, function, strategy or RunInTask())
        _collect(made)
        return made

    return make if function is None else make(function)


@contextlib.contextmanager
def collect_rules() -> Iterator[dict[str, Rule]]:
    """Collect, by name, the rules that are made within a `with` statement."""
    rules: dict[str, Rule] = {}
    token = _collected.set(rules)
    try:
        yield rules
    finally:
        _collected.reset(token)


def _collect(made: Rule) -> None:
    rules = _collected.get()
    if rules is None:
        return
    if made.name in rules:
        raise RuleMisuse(
            f"two rules of this module are named {made.name!r}: "
            "rename one, or give it another name with @rule(name=...)"
        )
    rules[made.name] = made


def _check_strategy(strategy: Any) -> None:
    if isinstance(strategy, type) and issubclass(strategy, TaskStrategy):
        raise RuleMisuse(f"a strategy has brackets: write strategy={strategy.__name__}()")
    if not isinstance(strategy, TaskStrategy):
        raise RuleMisuse(f"{strategy!r} is no strategy: write strategy=RunSerially(retry=True)")


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise RuleMisuse(f"{name!r} is no name of a rule: write a text, as name='hall light'")


def _check_function(function: Any) -> None:
    if isinstance(function, Rule):
        raise RuleMisuse(f"{function.name} is a rule already: write @rule once")
    if not inspect.isfunction(function):
        raise RuleMisuse(f"{function!r} is no function: write @rule above `async def ...():`")
    name = function.__name__
    if inspect.isasyncgenfunction(function):
        raise RuleMisuse(f"rule {name} has a yield, which nobody would read: write `await`")
    if not inspect.iscoroutinefunction(function):
        raise RuleMisuse(f"rule {name} is a plain function: write `async def {name}():`")
    needed = [p.name for p in inspect.signature(function).parameters.values() if _is_needed(p)]
    if needed:
        raise RuleMisuse(
            f"rule {name} is called without arguments, but asks for {', '.join(needed)}: "
            f"write `async def {name}():`"
        )


def _is_needed(parameter: inspect.Parameter) -> bool:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in optional
