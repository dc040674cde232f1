"""What a client does with the messages that it did not ask for: calls, sets and notifications."""

from typing import Any, Final

from eshet import codec
from eshet.client.registrations import Registrations
from eshet.client.session import Session
from eshet.messages import (
    ActionCall,
    EventNotify,
    Message,
    NotifyKnown,
    NotifyUnknown,
    PropGet,
    PropSet,
    Reply,
    ReplyError,
    StateSet,
)
from eshet.unknown import Unknown

__all__ = ["Dispatcher"]

_LONGEST_ERROR: Final = 10_000
"""How many characters of an exception's text are sent to whoever asked."""


class Dispatcher:
    """Hands messages to the callbacks that are registered for their paths.

    What nobody is registered for is ignored if it tells something, and answered with
    `not_implemented` if it asks.

    Args:
        registrations: of the client.
    """

    def __init__(self, registrations: Registrations) -> None:
        self._registrations = registrations

    def __call__(self, session: Session, message: Message) -> None:
        """Act on a message; answers go to the session that it came by."""
        match message:
            case EventNotify(path, value):
                payload = codec.unpack(value)
                for callback in self._registrations.listened.get(path, []).copy():
                    callback(payload)
            case NotifyKnown(path, value):
                self._changed(path, codec.unpack(value))
            case NotifyUnknown(path):
                self._changed(path, Unknown)
            case ActionCall(request_id, path, value):
                arguments = codec.unpack(value)
                if isinstance(arguments, list):
                    self._answer(session, request_id, path, arguments)
                else:
                    _fail(session, request_id, f"the arguments are no list: {arguments!r}")
            case StateSet(request_id, path, value) | PropSet(request_id, path, value):
                self._answer(session, request_id, path, [codec.unpack(value)])
            case PropGet(request_id):
                _fail(session, request_id, "not_implemented")

    def _changed(self, path: str, value: Any) -> None:
        observed = self._registrations.observed.get(path)
        if observed is not None:
            observed.change(value)

    def _answer(self, session: Session, request_id: int, path: str, arguments: list[Any]) -> None:
        owned = self._registrations.owned.get(path)
        if owned is None or owned.callback is None:
            _fail(session, request_id, "not_implemented")
            return

        def reply(result: Any) -> None:
            session.send(Reply(request_id, codec.pack(result)))

        def fail(error: Exception) -> None:
            _fail(session, request_id, str(error) or type(error).__name__)

        owned.callback.answer(arguments, reply, fail)


def _fail(session: Session, request_id: int, text: str) -> None:
    shown = text[:_LONGEST_ERROR].encode(errors="replace").decode()
    session.send(ReplyError(request_id, codec.pack(shown)))
