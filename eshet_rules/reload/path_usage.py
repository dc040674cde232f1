"""Records which paths each rule reads and writes through its client."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from eshet.client import StateWrapper
from eshet.client.registrations import Subscription
from eshet.client.view import ClientView
from eshet.scope import Scope, current_scope
from eshet_rules.supervision.scope import RuleScope
from eshet_rules.supervision.supervised_rule import rule_of

__all__ = ["PathUsage", "RecordingClient", "path_usage_of", "watch_paths"]

watch_paths: Final[ContextVar[Callable[[str, str], object] | None]] = ContextVar(
    "eshet_rules.watch_paths", default=None
)
"""Called with the full name of the rule and the absolute path wherever code of a rule names a path;
it can find the line of the rule on the stack. None if nothing watches."""


class PathUsage:
    """The paths that one attempt of a rule has used.

    Args:
        scope: the scope of the attempt, which holds this object.
    """

    def __init__(self, scope: Scope) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()


def path_usage_of(scope: RuleScope) -> PathUsage:
    """Return the paths that an attempt of a rule has used so far."""
    return scope.get(PathUsage)


class RecordingClient(ClientView):
    """A client that records the paths it uses for each rule; see `ClientView`."""

    def resolve(self, path: str) -> str:
        """See `Client`."""
        resolved = super().resolve(path)
        watch = watch_paths.get()
        if watch is not None and (rule := rule_of(current_scope())) is not None:
            watch(rule.name, resolved)
        return resolved

    async def action_register(self, path: str, callback: Callable[..., Any]) -> None:
        """See `Client`."""
        self._note_write(path)
        await super().action_register(path, callback)

    async def action_call(self, path: str, *args: Any) -> Any:
        """See `Client`."""
        self._note_write(path)
        return await super().action_call(path, *args)

    async def prop_register(
        self,
        path: str,
        get_callback: Callable[[], Any],
        set_callback: Callable[[Any], Any] | None = None,
    ) -> None:
        """See `Client`."""
        self._note_write(path)
        await super().prop_register(path, get_callback, set_callback)

    async def get(self, path: str) -> Any:
        """See `Client`."""
        self._note_read(path)
        return await super().get(path)

    async def set(self, path: str, value: Any) -> None:
        """See `Client`."""
        self._note_write(path)
        await super().set(path, value)

    async def event_register(self, path: str) -> Callable[[Any], Awaitable[None]]:
        """See `Client`."""
        self._note_write(path)
        return await super().event_register(path)

    async def event_emit(self, path: str, payload: Any) -> None:
        """See `Client`."""
        self._note_write(path)
        await super().event_emit(path, payload)

    async def event_listen_cb(self, path: str, callback: Callable[[Any], Any]) -> Subscription:
        """See `Client`."""
        self._note_read(path)
        return await super().event_listen_cb(path, callback)

    def event_listen(self, path: str) -> AsyncGenerator[Any, None]:
        """See `Client`."""
        self._note_read(path)
        return super().event_listen(path)

    async def state_register(
        self, path: str, set_callback: Callable[[Any], Any] | None = None
    ) -> StateWrapper:
        """See `Client`."""
        self._note_write(path)
        return await super().state_register(path, set_callback)

    async def state_observe(self, path: str, callback: Callable[[Any], Any]) -> Any:
        """See `Client`."""
        self._note_read(path)
        return await super().state_observe(path, callback)

    def _note_read(self, path: str) -> None:
        if (scope := _rule_scope()) is not None:
            path_usage_of(scope).reads.add(self.resolve(path))

    def _note_write(self, path: str) -> None:
        if (scope := _rule_scope()) is not None:
            path_usage_of(scope).writes.add(self.resolve(path))


def _rule_scope() -> RuleScope | None:
    scope = current_scope()
    while scope is not None and not isinstance(scope, RuleScope):
        scope = scope.parent
    return scope
