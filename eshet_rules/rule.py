"""`@rule`: the decorator that declares rules, and the arguments that rules get by name.

    @rule
    async def hall_light(): ...

    @rule(strategy=RunSerially(retry=True), name="light")
    async def hall_light(client, log): ...

    @rule.each("bath", "hall")
    async def light(room): ...

A rule belongs to the module that creates it during its import. Outside of an import by the runner,
as in a test, it belongs to no module and can simply be awaited: `await hall_light()`. A module
without `@rule` may have one rule: its `async def main()`.
"""

import contextlib
import difflib
import enum
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar, overload

from eshet.text import safe_repr
from eshet.utils import TaskStrategy
from eshet_rules.exceptions import RuleMisuse

__all__ = ["ARGUMENTS", "OnReload", "Rule", "collect_rules", "main_rule", "rule"]

RuleFunction = Callable[..., Awaitable[object]]

_P = ParamSpec("_P")
_T = TypeVar("_T")

ARGUMENTS: Final = {
    "client": "the module's ESHET client",
    "config": "the parameters of the rule",
    "log": "a logger with the name of the rule",
    "scope": "the scope that owns everything that the rule creates",
}
"""The arguments that a rule gets if it has parameters of these names."""

_collected: Final[ContextVar["dict[str, Rule] | None"]] = ContextVar(
    "eshet_rules.rules", default=None
)


class OnReload(enum.StrEnum):
    """How a rule is reloaded."""

    HAND_OVER = "hand over"
    """The new version is set up beside the old one, and takes over its state."""
    RESTART = "restart"
    """The old version ends before the new one begins: for rules that can't run twice at a time."""


@dataclass(frozen=True)
class Rule:
    """An async function that sets up a part of the automation, and how it is run.

    Calling the rule calls the function. It may return when everything is set up, or keep running.

    Args:
        name: the name of the rule, unique in its module.
        function: the function.
        strategy: the strategy that runs the function; with retries, until it succeeds. None for
            the configured one.
        on_reload: how the rule is reloaded.
        args: positional arguments of the function, before the arguments by name.
    """

    name: str
    function: RuleFunction
    strategy: TaskStrategy | None = None
    on_reload: OnReload = OnReload.HAND_OVER
    args: tuple[Any, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[object]:
        """Call the function, as in a test; the scope of the caller owns everything it creates."""
        return self.function(*self.args, *args, **kwargs)

    @property
    def asks_for(self) -> list[str]:
        """The names of the arguments that the function gets by name."""
        free = list(inspect.signature(self.function).parameters)[len(self.args) :]
        return [name for name in free if name in ARGUMENTS]


def _checking_names(make: Callable[_P, _T]) -> Callable[_P, _T]:
    """Return a method of `_RuleMaker` that names its arguments if one with another name is given.

    The error of Python would name the method, which the user has not called.
    """
    parameters = inspect.signature(make).parameters.values()
    valid = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]

    @functools.wraps(make)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for name in kwargs:
            if name not in valid:
                near = difflib.get_close_matches(name, valid, n=1)
                hint = f"did you mean `{near[0]}`? " if near else ""
                raise RuleMisuse(
                    f"@rule has no argument `{name}`: {hint}Its arguments are {', '.join(valid)}"
                )
        return make(*args, **kwargs)

    return call


class _RuleMaker:
    """Makes rules; `rule` is the only instance."""

    @overload
    def __call__(self, function: RuleFunction, /) -> Rule: ...

    @overload
    def __call__(
        self,
        /,
        *,
        strategy: TaskStrategy | None = None,
        name: str | None = None,
        on_reload: str = OnReload.HAND_OVER,
    ) -> Callable[[RuleFunction], Rule]: ...

    @_checking_names
    def __call__(
        self,
        function: RuleFunction | None = None,
        /,
        *,
        strategy: TaskStrategy | None = None,
        name: str | None = None,
        on_reload: str = OnReload.HAND_OVER,
    ) -> Rule | Callable[[RuleFunction], Rule]:
        """Make a rule of an async function; used as the decorator `@rule` or `@rule(...)`.

        The function may have parameters named `client`, `config`, `log` and `scope`, and gets these
        arguments.

        Args:
            function: the function, if the decorator has no parentheses.
            strategy: the strategy that runs the function; by default the configured one, or else
                `RunInTask()`, which does not retry.
            name: the name of the rule, unique in its module; by default that of the function.
            on_reload: `"hand over"`, or `"restart"` for a rule that can't run twice at a time, such
                as one that opens a serial port: the old version ends before the new one begins,
                without a hand-over.

        Raises:
            RuleMisuse: this is not a valid rule; the message says what to write.
        """
        if isinstance(function, TaskStrategy):
            raise RuleMisuse(f"name the argument of a strategy: write @rule(strategy={function!r})")
        strategy = _checked_strategy(strategy)
        behaviour = _checked_on_reload(on_reload)
        if name is not None:
            _check_name(name)

        def make(function: RuleFunction) -> Rule:
            _check_function(function)
            return _collect(Rule(name or function.__name__, function, strategy, behaviour))

        return make if function is None else make(function)

    @_checking_names
    def each(
        self,
        *arguments: Any,
        strategy: TaskStrategy | None = None,
        on_reload: str = OnReload.HAND_OVER,
    ) -> Callable[[RuleFunction], dict[Any, Rule]]:
        """Make a rule of an async function for each argument; used as a decorator.

            @rule.each("bath", "hall")
            async def light(room): ...

        makes the rules `light[bath]` and `light[hall]`. Each has its own scope, and fails, is
        retried and is handed over on its own. The function's first parameter is the argument; if
        the arguments are tuples, its first parameters are the items of the tuple.

        Args:
            *arguments: one for each rule; they must be different.
            strategy: as for `rule`.
            on_reload: as for `rule`.

        Returns:
            A decorator, which returns the rules by their arguments.

        Raises:
            RuleMisuse: these are not valid rules; the message says what to write.
        """
        strategy = _checked_strategy(strategy)
        behaviour = _checked_on_reload(on_reload)
        if not arguments or inspect.isfunction(arguments[0]):
            raise RuleMisuse('rule.each makes a rule for each argument: write @rule.each("bath")')
        for argument in arguments:
            _check_argument(argument)

        def make(function: RuleFunction) -> dict[Any, Rule]:
            made = {}
            for argument in arguments:
                args = argument if isinstance(argument, tuple) else (argument,)
                _check_function(function, args)
                name = f"{function.__name__}[{', '.join(map(str, args))}]"
                made[argument] = _collect(Rule(name, function, strategy, behaviour, args))
            return made

        return make

    def __repr__(self) -> str:
        return "rule"


rule: Final = _RuleMaker()
"""Makes a rule of an async function: `@rule`, `@rule(...)`, or `@rule.each(...)` for several."""


def main_rule(namespace: Mapping[str, Any], module: str) -> Rule | None:
    """Return the rule of a module without `@rule`: its own `async def main()`; None without one.

    Args:
        namespace: the namespace of the module.
        module: the name of the module in `sys.modules`; an imported `main` is not its rule.

    Raises:
        RuleMisuse: `main` is not a valid rule; the message says what to write.
    """
    main = namespace.get("main")
    if not inspect.iscoroutinefunction(main) or main.__module__ != module:
        return None
    _check_function(main)
    return Rule("main", main)


@contextlib.contextmanager
def collect_rules() -> Iterator[dict[str, Rule]]:
    """Collect the rules that are created within a `with` statement, by name."""
    rules: dict[str, Rule] = {}
    token = _collected.set(rules)
    try:
        yield rules
    finally:
        _collected.reset(token)


def _collect(made: Rule) -> Rule:
    rules = _collected.get()
    if rules is not None:
        if made.name in rules:
            raise RuleMisuse(
                f"two rules of this module are named {made.name!r}: "
                "rename one, or give it another name with @rule(name=...)"
            )
        rules[made.name] = made
    return made


def _checked_strategy(strategy: Any) -> TaskStrategy | None:
    if strategy is None:
        return None
    if isinstance(strategy, type) and issubclass(strategy, TaskStrategy):
        raise RuleMisuse(f"a strategy needs parentheses: write strategy={strategy.__name__}()")
    if not isinstance(strategy, TaskStrategy):
        raise RuleMisuse(f"{strategy!r} is not a strategy: write strategy=RunSerially(retry=True)")
    return strategy


def _checked_on_reload(on_reload: Any) -> OnReload:
    try:
        return OnReload(on_reload)
    except ValueError:
        known = " or ".join(f'"{each}"' for each in OnReload)
        raise RuleMisuse(f"on_reload={on_reload!r} is not valid: write {known}") from None


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise RuleMisuse(
            f"{name!r} is not a valid name of a rule: write a text, such as name='hall light'"
        )


def _check_argument(argument: Any) -> None:
    try:
        hash(argument)
    except TypeError:
        given = safe_repr(argument, 100)
        remedy = (
            f"write a star to make a rule for each item, @rule.each(*{given}), or a tuple"
            if isinstance(argument, list)
            else "write texts, numbers or tuples of these"
        )
        raise RuleMisuse(
            f"rule.each can't name a rule after {given}, which is mutable: {remedy}"
        ) from None


def _check_function(function: Any, args: tuple[Any, ...] = ()) -> None:
    if isinstance(function, Rule):
        raise RuleMisuse(f"{function.name} is a rule already: write @rule once")
    if not inspect.isfunction(function):
        raise RuleMisuse(f"{function!r} is not a function: write @rule above `async def ...():`")
    name = function.__name__
    if inspect.isasyncgenfunction(function):
        raise RuleMisuse(f"rule {name} has a `yield`, which has no effect: write `await`")
    if not inspect.iscoroutinefunction(function):
        raise RuleMisuse(f"rule {name} is a plain function: write `async def {name}():`")
    _check_parameters(name, inspect.signature(function), args)


def _check_parameters(rule: str, signature: inspect.Signature, args: tuple[Any, ...]) -> None:
    try:
        bound = signature.bind_partial(*args)
    except TypeError:
        raise RuleMisuse(
            f"rule {rule} can't be called with {args!r}: "
            "give it a parameter for each argument, before `client`, `config`, `log` and `scope`"
        ) from None
    free = [p for p in signature.parameters.values() if p.name not in bound.arguments]
    unknown = [p.name for p in free if _is_needed(p) and not _can_be_given(p)]
    if unknown:
        known = "; ".join(f"`{name}`, {meaning}" for name, meaning in ARGUMENTS.items())
        raise RuleMisuse(
            f"rule {rule} has unknown parameters: {', '.join(unknown)}. "
            f"The parameters of rules are: {known}"
        )


def _can_be_given(parameter: inspect.Parameter) -> bool:
    return parameter.name in ARGUMENTS and parameter.kind is not parameter.POSITIONAL_ONLY


def _is_needed(parameter: inspect.Parameter) -> bool:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in optional
