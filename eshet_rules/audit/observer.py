"""Records each input and output of a rule."""

from collections.abc import Iterable
from types import NoneType
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET

from eshet import codec, messages
from eshet.cause import Cause, current
from eshet.client.observer import ClientObserver, OutputSpan
from eshet.clock import wall_clock, wall_stamp
from eshet.reactive.core.markers import NoValue
from eshet.reactive.upstream import InputValues
from eshet.tasks import current_attempt
from eshet.text import safe_repr, safe_str, type_name
from eshet.unknown import Unknown
from eshet.user_errors import is_error
from eshet.yarp.outputs import current_inputs
from eshet_rules.audit.actor import current_actor
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.inputs_outputs import (
    ActionCalled,
    Connected,
    ConnectionLost,
    EventEmitted,
    FunctionCalled,
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

_SIMPLE: Final = frozenset({bool, int, float, NoneType})

_LONGEST_INPUT: Final = 200
"""Maximum length of the text of an input of an output, in characters."""

Outcome = Literal["done", "failed", "interrupted", "kept", "skipped"]


class RecordingObserver(ClientObserver):
    """Records inputs, outputs and connections of the clients of one event loop.

    Args:
        recorder: keeps the records.
        shared: see `ClientObserver`.
    """

    def __init__(self, recorder: Recorder, shared: ClientObserver | None = None) -> None:
        super().__init__(shared)
        self._recorder = recorder
        self._redaction = recorder.redaction
        self._redacts = bool(recorder.redaction)
        self._clock = wall_clock()

    @property
    def wants_inputs(self) -> bool:
        """See `ClientObserver`."""
        return self._recorder.wants_debug

    def on_input(self, kind: Any, path: str, value: Any) -> None:
        """See `ClientObserver`."""
        if not self._recorder.wants_debug:
            if self._redacts and self._redaction.hides(path):
                self._redaction.hide(value)  # an error may contain it
            return
        cause = current.get()
        # One by one: with `*`, Python makes a tuple and a dict for each call.
        rule, module, version = current_actor.get()
        cause_id, parent_id, trigger = _described(cause)
        record = Input(
            wall_stamp(self._clock),
            "debug",
            Input.EVENT,
            rule,
            module,
            version,
            cause_id,
            parent_id,
            kind=kind,
            path=path,
            value=self._redacted(path, value),
        )
        if value is Unknown:
            record.unknown = True
        if trigger is not None:
            record.trigger = trigger
        self._recorder.last.note_input(record)
        # At once, so that it is in the trail even if the rule ends the process.
        self._recorder.record(record, at_once=True)

    def sent(self, output: OutputSpan, error: BaseException | None) -> None:
        """See `ClientObserver`."""
        if output.code not in _EVENTS or not self._recorder.wants_debug:
            return
        path = output.path.decode()
        outcome: Outcome = "done"
        text = None
        result: Any = UNSET
        if error is not None:
            outcome = "failed" if is_error(error, Exception) else "interrupted"
            if outcome == "failed":
                text = (
                    REDACTED if self._redaction.hides(path) else self._redaction.text(_text(error))
                )
        elif output.result is False and output.code in _STATES:
            outcome = "kept"
        elif output.code == messages.ActionCall.code:
            result = self._redacted(path, output.result)
        self._record_output(
            output.code,
            path,
            _unpack(output.value) if output.value else Unknown,
            outcome,
            result=result,
            error=text,
            inputs=output.inputs,
            duration=int((self.loop_time() - output.began) * 1e6) / 1e6,  # faster than `round`
        )

    def on_skipped(self, code: int, path: str, value: Any, why: Any) -> None:
        """See `ClientObserver`."""
        if self._recorder.wants_debug:
            self._record_output(code, path, value, "skipped", why=why)

    def on_acted(
        self, function: str, arguments: list[Any], seconds: float, error: BaseException | None
    ) -> None:
        """See `ClientObserver`."""
        if not self._recorder.wants_debug:
            return
        outcome: Outcome = "done"
        text = None
        if error is not None:
            outcome = "failed" if is_error(error, Exception) else "interrupted"
            text = self._redaction.text(_text(error)) if outcome == "failed" else None
        self._record_act(function, arguments, outcome, error=text, duration=round(seconds, 6))

    def on_act_skipped(self, function: str, arguments: list[Any], why: Any) -> None:
        """See `ClientObserver`."""
        if self._recorder.wants_debug:
            self._record_act(function, arguments, "skipped", why=why)

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
        inputs: InputValues | None = None,
        duration: float | None = None,
    ) -> None:
        cause, event = current.get(), _EVENTS[code]
        rule, module, version = current_actor.get()  # one by one, as in `on_input`
        cause_id, parent_id, trigger = _described(cause)
        after_input, after_s = self._after(cause)
        known, unknown = self._inputs(current_inputs.get() if inputs is None else inputs)
        record = event(
            wall_stamp(self._clock),
            "debug",
            event.EVENT,
            rule,
            module,
            version,
            cause_id,
            parent_id,
            path=path,
            value=self._redacted(path, value),
            outcome=outcome,
            result=result,
            duration=duration,
            attempt=current_attempt.get(),
            after_input=after_input,
            inputs=known,
        )
        # Fields that most records do not have: to pass all of them takes four times as long.
        if value is Unknown:
            record.unknown = True
        if error is not None:
            record.error = error
        if why is not None:
            record.why = why
        if trigger is not None:
            record.trigger = trigger
        if after_s is not None:
            record.after_s = after_s
        if unknown is not None:
            record.unknown_inputs = unknown
        self._recorder.last.note_output(record)
        self._recorder.record(record)

    def _record_act(
        self,
        function: str,
        arguments: list[Any],
        outcome: Any,
        *,
        error: str | None = None,
        why: Any = None,
        duration: float | None = None,
    ) -> None:
        cause = current.get()
        rule, module, version = current_actor.get()
        cause_id, parent_id, trigger = _described(cause)
        after_input, after_s = self._after(cause)
        inputs, unknown = self._inputs(current_inputs.get())
        self._recorder.record(
            FunctionCalled(
                wall_stamp(self._clock),
                "debug",
                FunctionCalled.EVENT,
                rule,
                module,
                version,
                cause_id,
                parent_id,
                function=function,
                value=self._arguments(arguments),
                outcome=outcome,
                error=error,
                why=why,
                duration=duration,
                attempt=current_attempt.get(),
                trigger=trigger,
                after_input=after_input,
                after_s=after_s,
                inputs=inputs,
                unknown_inputs=unknown,
            )
        )

    def _arguments(self, arguments: Iterable[Any]) -> Any:
        """Return the arguments of a function; redacted if one of their inputs is."""
        inputs = current_inputs.get()
        if self._redacts and inputs is not None and any(map(self._redaction.hides, inputs)):
            return self._redaction.hide(list(arguments))
        return [_shortened(self._redaction.value(each)) for each in arguments]

    def _after(self, cause: Cause | None) -> tuple[str | None, float | None]:
        """Return the input that led to an output with this cause.

        If that is a timer, or several of them, return the input that armed the first one, and its
        age.
        """
        if cause is None:
            return None, None
        if cause.kind in _WITH_RECORD:
            return f"{cause.kind} {cause.path}", None
        armed_by: Cause | None = cause if cause.kind == "timer" else None
        while armed_by is not None and armed_by.kind == "timer":
            armed_by = armed_by.parent
        if armed_by is None:
            return None, None
        since = None if armed_by.at is None else round(self.loop_time() - armed_by.at, 3)
        return f"{armed_by.kind} {armed_by.path}".rstrip(), since

    def _inputs(self, inputs: InputValues | None) -> tuple[InputValues | None, list[str] | None]:
        """Return the known values of inputs, and the names of the unknown ones."""
        if inputs is None:
            return None, None
        if not self._redacts:
            for value in inputs.values():
                if type(value) not in _SIMPLE:
                    break
            else:
                return inputs or None, None
        known: dict[str, Any] = {}
        unknown: list[str] = []
        for name, value in inputs.items():
            if value is Unknown:
                unknown.append(name)
            elif value is NoValue:
                known[name] = None
            else:
                known[name] = _shortened(self._redacted(name, value))
        return known or None, unknown or None

    def _redacted(self, path: str, value: Any) -> Any:
        """Return a value at a path without secrets; None for an unknown one."""
        if value is Unknown:
            return None
        if not self._redacts:
            return value
        if self._redaction.hides(path):
            return self._redaction.hide(value)
        return self._redaction.value(value)


def _shortened(value: Any) -> Any:
    """Return a value of an input, or its text if it is not a simple one."""
    kind = type(value)
    if kind in _SIMPLE or (kind is str and len(value) <= _LONGEST_INPUT):
        return value
    return safe_repr(value, _LONGEST_INPUT)


def _unpack(packed: bytes) -> Any:
    """Unpack a value that was packed in this process, faster than `codec.unpack`."""
    try:
        return _decoder.decode(packed)
    except msgspec.DecodeError:
        return codec.unpack(packed)


def _text(error: BaseException | None) -> str:
    return safe_str(error) or type_name(error)


def _described(cause: Cause | None) -> tuple[str | None, str | None, str | None]:
    """Return the ids of a cause and of its parent, and its text.

    The text is None if a recorded input started it, unlike a timer for example.
    """
    if cause is None:
        return None, None, None
    kind = cause.kind
    trigger = None if kind in _WITH_RECORD else f"{kind} {cause.path}".rstrip()
    return cause.id, cause.parent_id, trigger
