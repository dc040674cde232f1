"""What a client does with the messages that it did not ask for: calls, sets and notifications.

It works on payloads as they came; see `eshet.messages` for the fields of each. A message that lacks
the zero byte after its path has no value either, and is refused for that.
"""

from collections.abc import Mapping
from typing import Any, Final

from eshet import codec
from eshet.cause import current, use_cause
from eshet.client.callbacks import Callback
from eshet.client.registrations import Registration, RegistrationTable, Topic
from eshet.client.session import ClientSession, Handler
from eshet.exceptions import ProtocolError
from eshet.messages import (
    ActionCall,
    EventNotify,
    NotifyKnown,
    NotifyUnknown,
    PropGet,
    PropSet,
    Reply,
    ReplyError,
    StateSet,
)
from eshet.text import safe_repr, safe_str, type_name
from eshet.unknown import Unknown

__all__ = ["Dispatcher"]

_LONGEST_ERROR: Final = 10_000
"""How many characters of an exception's text are sent to whoever asked."""

_CODE: Final = 1  # where the fields after the code begin
_ID: Final = 3  # and those after the code and the id


class Dispatcher:
    """Hands messages to the callbacks that are registered for their paths.

    What nobody is registered for is ignored if it tells something, and answered with
    `not_implemented` if it asks.

    Args:
        registrations: of the client.
    """

    def __init__(self, registrations: RegistrationTable) -> None:
        self._registrations = registrations
        self._owned = registrations.owned
        self._listened = registrations.listened
        self._observed = registrations.observed
        self.handlers: Final[Mapping[int, Handler]] = {
            EventNotify.code: self.on_event,
            NotifyKnown.code: self._changed,
            NotifyUnknown.code: self.on_state_unknown,
            ActionCall.code: self._call,
            StateSet.code: self._set,
            PropSet.code: self._set,
            PropGet.code: self._get,
        }

    # --- notifications ------------------------------------------------------------------------

    def on_event(self, _: ClientSession, payload: bytes) -> None:
        """Notify the listeners of an event."""
        head, _zero, value = payload.partition(b"\0")
        happened = codec.unpack(value)
        listened = self._listened.get(head[_CODE:])
        if listened is not None:
            self._tell(listened, happened, value)

    def _changed(self, _: ClientSession, payload: bytes) -> None:
        head, _zero, packed = payload.partition(b"\0")
        value = codec.unpack(packed)
        observed = self._observed.get(head[_CODE:])
        if observed is not None:
            self._tell(observed, value, packed)

    def on_state_unknown(self, _: ClientSession, payload: bytes) -> None:
        """Notify the observers of a state that is unknown now."""
        observed = self._observed.get(_only_path(payload[_CODE:]))
        if observed is not None:
            self._tell(observed, Unknown, b"")

    def _tell(self, heard: Topic, value: Any, packed: bytes) -> None:
        observer = self._registrations.observer
        if observer is None:
            heard.tell(value)
        else:
            token = current.set(observer.cause_of_input(heard.kind, heard.path, packed, heard))
            try:
                heard.tell(value)
            finally:
                current.reset(token)

    # --- requests -----------------------------------------------------------------------------

    def _call(self, session: ClientSession, payload: bytes) -> None:
        path, _zero, value = payload[_ID:].partition(b"\0")
        arguments = codec.unpack(value)
        answer = _Answer(session, payload)
        if isinstance(arguments, list):
            owned = self._owned.get(path)
            callback = None if owned is None else owned.callback
            self._let_answer("call", owned, callback, answer, arguments, value)
        else:
            answer.say_error(f"the arguments are no list: {safe_repr(arguments)}")

    def _set(self, session: ClientSession, payload: bytes) -> None:
        path, _zero, value = payload[_ID:].partition(b"\0")
        arguments = [codec.unpack(value)]
        owned = self._owned.get(path)
        callback = None if owned is None else owned.callback
        self._let_answer("set", owned, callback, _Answer(session, payload), arguments, value)

    def _get(self, session: ClientSession, payload: bytes) -> None:
        owned = self._owned.get(_only_path(payload[_ID:]))
        getter = None if owned is None else owned.getter
        self._let_answer("get", owned, getter, _Answer(session, payload), [], b"")

    def _let_answer(
        self,
        kind: str,
        owned: Registration | None,
        callback: Callback | None,
        answer: "_Answer",
        arguments: list[Any],
        packed: bytes,
    ) -> None:
        """Let a callback answer, if there is one."""
        observer = self._registrations.observer
        if owned is None or callback is None:
            answer.say_error("not_implemented")
        elif observer is None:
            callback.answer(arguments, answer)
        else:
            with use_cause(observer.cause_of_input(kind, owned.path, packed, callback)):
                callback.answer(arguments, answer)


class _Answer:
    """The one answer to a request, which goes to the session that it came by.

    Args:
        session: by which it came.
        payload: of the request, which is whole.
    """

    __slots__ = ("_id", "_session")

    def __init__(self, session: ClientSession, payload: bytes) -> None:
        self._session = session
        self._id = payload[1] << 8 | payload[2]

    def reply(self, result: Any) -> None:
        """See `eshet.client.callbacks.Answer`."""
        self._session.answer(Reply.code, self._id, codec.pack(result))

    def fail(self, error: BaseException) -> None:
        """See `eshet.client.callbacks.Answer`."""
        self.say_error(safe_str(error, _LONGEST_ERROR) or type_name(error))

    def say_error(self, text: str) -> None:
        """Answer with an error of this text, which is short and can be encoded."""
        self._session.answer(ReplyError.code, self._id, codec.pack(text))


def _only_path(rest: bytes) -> bytes:
    """Return the path of a message that has nothing after it."""
    path, zero, more = rest.partition(b"\0")
    if not zero or more:
        raise ProtocolError("a message whose path does not end with its only zero byte")
    return path
