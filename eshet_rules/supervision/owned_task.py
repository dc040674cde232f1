"""Tasks that know their scope, and that rules of other modules can't cancel.

A rule that cancels `asyncio.all_tasks()` would stop the runner and all other rules. So `cancel`
checks its caller: code of the rules folder may only cancel tasks of its own module. Libraries and
the runner itself are not restricted.
"""

import asyncio
import builtins
from types import FrameType
from typing import Any, Final

from eshet.interpreter import context_of, get_frame
from eshet.scope import Scope, current_scope
from eshet_rules.exceptions import ForeignTask

__all__ = ["OwnedTask", "report_unhandled"]

_ASYNCIO: Final = asyncio.__name__
_PLAIN_BUILTINS: Final = vars(builtins)


class OwnedTask(asyncio.Task[Any]):
    """A task of the event loop in which rules run.

    Invariant: `scope` is the scope of the context in which it was created; None for the runner's
    own tasks.
    """

    scope: Scope | None = None

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task, as `asyncio.Task.cancel` does.

        Raises:
            ForeignTask: code of a rule module calls this, and the task is not of that module.
        """
        module = _calling_module(get_frame(1))
        if module is not None:
            owner = _module_of(self.scope)
            if owner not in {module, _module_of(current_scope()) or module}:
                raise ForeignTask(self.get_name(), owner)
        return super().cancel(msg)


def report_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an unhandled error to the scope that it comes from; an asyncio exception handler."""
    error = context.get("exception")
    task, handle = context.get("future") or context.get("task"), context.get("handle")
    scope = task.scope if isinstance(task, OwnedTask) else None
    if scope is None and handle is not None:
        scope = current_scope(context_of(handle))
    if error is None or scope is None:
        loop.default_exception_handler(context)
    else:
        doing = f"task {task.get_name()}" if isinstance(task, OwnedTask) else "callback of the loop"
        scope.report(error, doing)


def _calling_module(frame: FrameType | None) -> str | None:
    """Return the name of the rule module that made a call; None if other code did.

    Modules of the rules folder have builtins of their own; see `eshet_rules.modules.importer`.
    """
    while frame is not None and _module_name(frame).startswith(_ASYNCIO):
        frame = frame.f_back
    if frame is None or frame.f_builtins is _PLAIN_BUILTINS:
        return None
    return _module_name(frame).partition("@")[0]


def _module_name(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")  # a module can set it to anything
    return name if type(name) is str else ""


def _module_of(scope: Scope | None) -> str | None:
    """Return the name of the outermost scope, which is the name of the module."""
    while scope is not None and scope.parent is not None:
        scope = scope.parent
    return None if scope is None else scope.name
