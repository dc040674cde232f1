"""Makes a record of each thing that a rule hears of or does."""

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET

from eshet import codec, messages
from eshet.cause import Cause, current
from eshet.client.correlation import Echo
from eshet.client.observer import ClientObserver, OutputSpan
from eshet.clock import wall_clock, wall_stamp
from eshet.tasks import current_attempt
from eshet.text import safe_str, type_name
from eshet.unknown import Unknown
from eshet.user_errors import is_error
from eshet_rules.audit.actor import current_actor
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records import (
    ActionCalled,
    Connected,
    ConnectionLost,
    EventEmitted,
    Input,
    Output,
    StatePublished,
    ValueSet,
)
from eshet_rules.audit.redaction import REDACTED

__all__ = ["RecordingObserver"]

_EVENTS: Final[dict[int, type[Output]]] = {
    messages.Set.code: ValueSet,
    messages.ActionCall.code: ActionCalled,
    messages.EventEmit.code: EventEmitted,
    messages.StateChanged.code: StatePublished,
    messages.StateUnknown.code: StatePublished,
}
_WITH_RECORD: Final = frozenset({"state", "event", "call", "set", "get"})

_decoder: Final = msgspec.msgpack.Decoder()

_STATES: Final = frozenset({messages.StateChanged.code, messages.StateUnknown.code})

Outcome = Literal["done", "failed", "interrupted", "kept", "skipped"]


class _Timed(OutputSpan):
    """An output that knows how long it takes."""

    __slots__ = ("_began",)

    def __init__(
        self, observer: ClientObserver, code: int, path: bytes, value: bytes, echo: Echo | None
    ) -> None:
        super().__init__(observer, code, path, value, echo)
        self._began = observer.loop_time()

    @property
    def duration(self) -> float:
        """How many seconds have passed since it was sent."""
        return round(self.observer.loop_time() - self._began, 6)


class RecordingObserver(ClientObserver):
    """A witness that gives a recorder what it sees, within one event loop.

    Args:
        recorder: takes the records.
    """

    span_type = _Timed

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self._redaction = recorder.redaction
        self._redacts = bool(recorder.redaction)
        self._clock = wall_clock()

    def on_input(self, kind: Any, path: str, value: Any) -> None:
        """See `ClientObserver`."""
        if not self._recorder.wants_debug:
            if self._redaction.hides(path):
                self._redaction.hide(value)  # which an error may tell
            return
        cause, who = current.get(), current_actor.get()
        self._recorder.record(
            Input(
                wall_stamp(self._clock),
                "debug",
                Input.EVENT,
                *who,
                *_ids(cause),
                kind=kind,
                path=path,
                value=self._told(path, value),
                unknown=value is Unknown,
                trigger=_trigger(cause),
            ),
            at_once=True,  # so that it is there whatever the rule does then
        )

    def sent(self, said: OutputSpan, error: BaseException | None) -> None:
        """See `ClientObserver`."""
        if said.code not in _EVENTS or not self._recorder.wants_debug:
            return
        path = said.path.decode()
        outcome: Outcome = "done"
        text = None
        result: Any = UNSET
        if error is not None:
            outcome = "failed" if is_error(error, Exception) else "interrupted"
            if outcome == "failed":
                text = (
                    REDACTED if self._redaction.hides(path) else self._redaction.text(_text(error))
                )
        elif said.result is False and said.code in _STATES:
            outcome = "kept"
        elif said.code == messages.ActionCall.code:
            result = self._told(path, said.result)
        self._record_output(
            said.code,
            path,
            _unpack(said.value) if said.value else Unknown,
            outcome,
            result=result,
            error=text,
            duration=said.duration if isinstance(said, _Timed) else None,
        )

    def on_skipped(self, code: int, path: str, value: Any, why: Any) -> None:
        """See `ClientObserver`."""
        if self._recorder.wants_debug:
            self._record_output(code, path, value, "skipped", why=why)

    def connected(self, server: str, again: bool) -> None:
        """See `ClientObserver`."""
        self._recorder.record(
            Connected(
                time=wall_stamp(),
                level="debug",
                event=Connected.EVENT,
                module=current_actor.get().module,
                server=server,
            )
        )

    def disconnected(self, server: str, reason: str) -> None:
        """See `ClientObserver`."""
        self._recorder.record(
            ConnectionLost(
                time=wall_stamp(),
                level="debug",
                event=ConnectionLost.EVENT,
                module=current_actor.get().module,
                server=server,
                reason=reason,
            )
        )

    def _record_output(
        self,
        code: int,
        path: str,
        value: Any,
        outcome: Outcome,
        *,
        result: Any = UNSET,
        error: str | None = None,
        why: Any = None,
        duration: float | None = None,
    ) -> None:
        cause, who, event = current.get(), current_actor.get(), _EVENTS[code]
        self._recorder.record(
            event(
                wall_stamp(self._clock),
                "debug",
                event.EVENT,
                *who,
                *_ids(cause),
                path=path,
                value=self._told(path, value),
                outcome=outcome,
                unknown=value is Unknown,
                result=result,
                error=error,
                why=why,
                duration=duration,
                attempt=current_attempt.get(),
                trigger=_trigger(cause),
            )
        )

    def _told(self, path: str, value: Any) -> Any:
        """Return what is told of a value at a path."""
        if value is Unknown:
            return None
        if not self._redacts:
            return value
        if self._redaction.hides(path):
            return self._redaction.hide(value)
        return self._redaction.value(value)


def _unpack(packed: bytes) -> Any:
    """Return a value that was packed here, faster than one of others is."""
    try:
        return _decoder.decode(packed)
    except msgspec.DecodeError:
        return codec.unpack(packed)


def _ids(cause: Cause | None) -> tuple[str | None, str | None]:
    return (None, None) if cause is None else (cause.id, cause.parent_id)


def _text(error: BaseException | None) -> str:
    return safe_str(error) or type_name(error)


def _trigger(cause: Cause | None) -> str | None:
    """Return what a cause is, if there is no record of the input that started it."""
    if cause is None or cause.kind in _WITH_RECORD:
        return None
    return f"{cause.kind} {cause.path}".rstrip()
