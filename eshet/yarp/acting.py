"""`yarp.act`: calls a coroutine function when values change or events emit."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from typing import Any, Final

from eshet.callables import check_awaited, not_callable
from eshet.cause import Cause, current
from eshet.client.observer import ClientObserver
from eshet.reactive import Event, fn
from eshet.reactive.conversions import feed
from eshet.reactive.core.handle import node_of
from eshet.reactive.upstream import Inputs
from eshet.tasks import BuiltStrategy
from eshet.tasks.starting import name_of
from eshet.text import safe_repr
from eshet.utils import TaskStrategy
from eshet.yarp.default_client import known_client
from eshet.yarp.default_strategy import DEFAULT_STRATEGY, choose_strategy
from eshet.yarp.outputs import HeldOutput, current_inputs, own_output

__all__ = ["Pretence", "act", "current_pretence"]


class Pretence:
    """Whether `act` only records its calls, instead of making them.

    Args:
        is_on: whether it does.
    """

    def __init__(self, *, is_on: bool) -> None:
        self.is_on: bool = is_on


current_pretence: Final[ContextVar[Pretence | None]] = ContextVar("eshet.pretence", default=None)
"""The choice of this context: a check of rules, for example, must have no effect; None: no."""


async def act(
    function: Callable[..., Awaitable[object]],
    *args: object,
    strategy: TaskStrategy = DEFAULT_STRATEGY,
) -> None:
    """Call an `async def` function whenever args does not contain NoValue or Unknown.

    Each argument can be a Value, an Event, or a regular value; they are combined as in `fn`. If any
    is an Event, the function is called on every emission, otherwise with the initial and the
    subsequent values. The result is ignored.

    Args:
        function: the function. It must not block: call `asyncio.to_thread` in it for that.
        *args: its arguments.
        strategy: how calls are run. Their errors are reported, and not raised here.

    Raises:
        TypeError: it is not a function, or an `await` is missing.
    """
    if not callable(function):
        raise not_callable(function, "the first argument of `act`", TypeError)
    for each in args:
        check_awaited(each, TypeError)
    source = fn(_arguments)(*args)
    sink = _Acting(function, strategy, follows=not isinstance(source, Event), inputs=source)
    feed(source, own_output(sink))


class _Acting(HeldOutput):
    """The sink that calls a function, with each tuple of arguments that has nothing unknown.

    Args:
        function: the function.
        strategy: see `act`.
        follows: see `HeldOutput`.
        inputs: the Value or Event of the arguments.
    """

    __slots__ = ("_function", "_made_in", "_observer", "_pretence", "_run", "inputs")

    def __init__(
        self,
        function: Callable[..., Awaitable[object]],
        strategy: TaskStrategy,
        *,
        follows: bool,
        inputs: Any,
    ) -> None:
        super().__init__("act", name_of(function), self._submit, follows=follows, skip=self._skip)
        self.inputs: Final = Inputs(node_of(inputs))
        self._function = function
        client = known_client()
        self._observer: ClientObserver | None = None if client is None else client.observer
        self._pretence = current_pretence.get()
        self._made_in = copy_context()
        # A user's own strategy may return any callable.
        self._run: Any = choose_strategy(strategy).build()

    def _submit(self, arguments: Any) -> None:
        if self._pretence is not None and self._pretence.is_on:
            self.skip(arguments, "pretended")
        else:
            self._run(_ActTask(self, arguments))

    def unfinished(self) -> list[tuple[object, Cause | None]]:
        """See `HeldOutput`."""
        run = self._run
        tasks: list[Any] = run.unfinished() if isinstance(run, BuiltStrategy) else []
        return [(task.arguments, task.cause) for task in tasks]

    async def call(self, arguments: tuple[object, ...]) -> None:
        """Call the function, and notify the observer.

        Raises:
            TypeError: the function is no `async def` function.
            BaseException: whatever the function raises.
        """
        began = asyncio.get_running_loop().time()
        try:
            result: object = self._function(*arguments)
            if not inspect.isawaitable(result):
                raise TypeError(
                    f"act calls an `async def` function, and {self.path} has returned "
                    f"{safe_repr(result, 100)}: write `async def {self.path}`, and "
                    "`asyncio.to_thread` in it for code that blocks"
                )
            await result
        except BaseException as error:
            self._notify(arguments, began, error)
            raise
        self._notify(arguments, began, None)

    def _notify(
        self, arguments: tuple[object, ...], began: float, error: BaseException | None
    ) -> None:
        if self._observer is not None:
            duration = asyncio.get_running_loop().time() - began
            self._observer.on_acted(self.path, list(arguments), duration, error)

    def _skip(self, arguments: Any, why: str) -> None:
        if self._observer is not None:
            context = self._made_in.copy()
            context.run(current.set, current.get())
            context.run(self._observer.on_act_skipped, self.path, list(arguments), why)


class _ActTask:
    """The task of one call, for the current cause.

    Args:
        sink: calls the function.
        arguments: its arguments.
    """

    __slots__ = ("_inputs", "_sink", "arguments", "cause")

    def __init__(self, sink: _Acting, arguments: tuple[object, ...]) -> None:
        self.cause: Final = current.get()
        self.arguments: Final = arguments
        self._sink = sink
        # Without a cause they are not needed.
        self._inputs = None if self.cause is None else sink.inputs.now()

    def __repr__(self) -> str:
        """Return the name of the task for messages."""
        return self._sink.label

    def __call__(self) -> Awaitable[object]:
        """Call the function in an asyncio task."""
        current_inputs.set(self._inputs)  # this context belongs to the task
        return self._sink.call(self.arguments)

    def skipped(self, why: str) -> None:
        """See `eshet.tasks.BuiltStrategy`."""
        self._sink.skip(self.arguments, why)


def _arguments(*args: object) -> tuple[object, ...]:
    return args
