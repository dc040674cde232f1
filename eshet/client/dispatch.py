"""Handling of messages that are not replies: calls, sets and notifications.

It works on raw payloads; see `eshet.messages` for their fields. A message without the zero byte
after its path has no value either, and is rejected for that.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from eshet import codec
from eshet.cause import current, use_cause
from eshet.client.callbacks import Callback
from eshet.client.registrations import Registration, RegistrationTable, Topic
from eshet.client.session import ClientSession, Handler
from eshet.exceptions import ErrorAnswer, MessageTooLong, UnsupportedValue
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
from eshet.protocol.payload import only_path
from eshet.text import safe_repr, safe_str, type_name
from eshet.unknown import Unknown

__all__ = ["Dispatcher"]

_MAX_ERROR_LENGTH: Final = 10_000
"""The maximum length, in characters, of an exception's text in an answer."""

_AFTER_CODE: Final = 1
_ID: Final = 3  # the length of code and id


class Dispatcher:
    """Passes messages to the callbacks that are registered for their paths.

    Without such a callback, notifications are ignored, and requests answered with
    `not_implemented`.

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
        event_payload = codec.unpack(value)
        listened = self._listened.get(head[_AFTER_CODE:])
        if listened is not None:
            self._notify(listened, event_payload, value)

    def _changed(self, _: ClientSession, payload: bytes) -> None:
        head, _zero, packed = payload.partition(b"\0")
        value = codec.unpack(packed)
        observed = self._observed.get(head[_AFTER_CODE:])
        if observed is not None:
            self._notify(observed, value, packed)

    def on_state_unknown(self, _: ClientSession, payload: bytes) -> None:
        """Notify the observers of a state that has become unknown."""
        observed = self._observed.get(only_path(payload[_AFTER_CODE:]))
        if observed is not None:
            self._notify(observed, Unknown, b"")

    def _notify(self, topic: Topic, value: object, packed: bytes) -> None:
        observer = self._registrations.observer
        if observer is None:
            topic.notify(value)
        else:
            token = current.set(observer.cause_of_input(topic.kind, topic.path, packed, topic))
            try:
                topic.notify(value)
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
            answer.reply_error(f"the arguments are not a list: {safe_repr(arguments)}")

    def _set(self, session: ClientSession, payload: bytes) -> None:
        path, _zero, value = payload[_ID:].partition(b"\0")
        arguments = [codec.unpack(value)]
        owned = self._owned.get(path)
        callback = None if owned is None else owned.callback
        self._let_answer("set", owned, callback, _Answer(session, payload), arguments, value)

    def _get(self, session: ClientSession, payload: bytes) -> None:
        owned = self._owned.get(only_path(payload[_ID:]))
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
        """Answer with the callback, if there is one."""
        observer = self._registrations.observer
        if owned is None or callback is None:
            answer.reply_error("not_implemented")
        elif observer is None:
            callback.answer(arguments, answer)
        else:
            with use_cause(observer.cause_of_input(kind, owned.path, packed, callback)):
                callback.answer(arguments, answer)


class _Answer:
    """The one answer to a request, sent over the session of that request.

    Args:
        session: the session that received the request.
        payload: of the request; complete.
    """

    __slots__ = ("_id", "_session")

    def __init__(self, session: ClientSession, payload: bytes) -> None:
        self._session = session
        self._id = payload[1] << 8 | payload[2]

    def reply(self, result: object) -> None:
        """See `eshet.client.callbacks.Answer`."""
        self._session.answer(Reply.code, self._id, codec.pack(result))

    def fail(self, error: BaseException) -> None:
        """See `eshet.client.callbacks.Answer`."""
        if type(error) is ErrorAnswer:
            with contextlib.suppress(MessageTooLong, UnsupportedValue):
                self._session.answer(ReplyError.code, self._id, codec.pack(error.value))
                return
        self.reply_error(safe_str(error, _MAX_ERROR_LENGTH) or type_name(error))

    def reply_error(self, text: str) -> None:
        """Answer with an error text, which is short and can be encoded."""
        self._session.answer(ReplyError.code, self._id, codec.pack(text))
