"""Makes a record of each thing that a rule hears of or does."""

import asyncio
from typing import Any, Final, Literal

from msgspec import UNSET

from eshet import codec, messages
from eshet.cause import Cause, current_cause
from eshet.client.witness import Said, Witness
from eshet.clock import wall_stamp
from eshet.tasks import current_attempt
from eshet.unknown import Unknown
from eshet_rules.audit.acting import acting
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records import Connected, Disconnected, Input, Output
from eshet_rules.audit.redaction import REDACTED

__all__ = ["RecordingWitness"]

_EVENTS: Final = {
    messages.Set.code: "value set",
    messages.ActionCall.code: "action called",
    messages.EventEmit.code: "event emitted",
    messages.StateChanged.code: "state published",
    messages.StateUnknown.code: "state published",
}
_WITH_RECORD: Final = frozenset({"state", "event", "call", "set", "get"})

Outcome = Literal["done", "failed", "interrupted", "skipped"]


class RecordingWitness(Witness):
    """A witness that gives a recorder what it sees.

    Args:
        recorder: takes the records.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def hears(self, kind: Any, path: str, value: Any) -> None:
        """See `Witness`."""
        if not self._recorder.wants_debug:
            return
        cause = current_cause()
        rule, module, version = acting.get()
        self._recorder.record(
            Input(
                time=wall_stamp(),
                level="debug",
                event="input received",
                rule=rule,
                module=module,
                version=version,
                cause=cause.id if cause else None,
                parent=cause.parent_id if cause else None,
                kind=kind,
                path=path,
                value=self._told(path, value),
                unknown=value is Unknown,
                trigger=_trigger(cause),
            )
        )

    def says(self, code: int, path: bytes, value: bytes = b"") -> Said:
        """See `Witness`."""
        return _Timed(self, code, path, value)

    def sent(self, said: Said, error: BaseException | None) -> None:
        """See `Witness`."""
        if said.code not in _EVENTS or not self._recorder.wants_debug:
            return
        path = said.path.decode()
        hidden = self._recorder.redaction.hides(path)
        outcome: Outcome = "done"
        if error is not None:
            outcome = "interrupted" if isinstance(error, asyncio.CancelledError) else "failed"
        self._record_output(
            said.code,
            path,
            codec.unpack(said.value) if said.value else Unknown,
            outcome,
            result=self._told(path, said.result)
            if said.code == messages.ActionCall.code and error is None
            else UNSET,
            error=(REDACTED if hidden else _text(error)) if outcome == "failed" else None,
            duration=round(_now() - said.began, 6) if isinstance(said, _Timed) else None,
        )

    def skips(self, code: int, path: str, value: Any, why: Any) -> None:
        """See `Witness`."""
        if self._recorder.wants_debug:
            self._record_output(code, path, value, "skipped", why=why)

    def connected(self, server: str, again: bool) -> None:
        """See `Witness`."""
        self._recorder.record(
            Connected(
                time=wall_stamp(),
                level="info" if again else "debug",
                event="connected",
                module=acting.get().module,
                server=server,
            )
        )

    def disconnected(self, server: str, reason: str) -> None:
        """See `Witness`."""
        self._recorder.record(
            Disconnected(
                time=wall_stamp(),
                level="warning",
                event="disconnected",
                module=acting.get().module,
                server=server,
                reason=reason,
            )
        )

    def _record_output(
        self, code: int, path: str, value: Any, outcome: Outcome, **more: Any
    ) -> None:
        cause = current_cause()
        rule, module, version = acting.get()
        self._recorder.record(
            Output(
                time=wall_stamp(),
                level="debug",
                event=_EVENTS[code],
                rule=rule,
                module=module,
                version=version,
                cause=cause.id if cause else None,
                parent=cause.parent_id if cause else None,
                path=path,
                value=self._told(path, value),
                unknown=value is Unknown,
                outcome=outcome,
                attempt=current_attempt.get(),
                trigger=_trigger(cause),
                **more,
            )
        )

    def _told(self, path: str, value: Any) -> Any:
        """Return what is told of a value at a path."""
        if value is Unknown:
            return None
        redaction = self._recorder.redaction
        if not redaction:
            return value
        return REDACTED if redaction.hides(path) else redaction.value(value)


class _Timed(Said):
    """An output that knows when it was sent."""

    __slots__ = ("began",)

    def __init__(self, witness: Witness, code: int, path: bytes, value: bytes) -> None:
        super().__init__(witness, code, path, value)
        self.began = _now()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _text(error: BaseException | None) -> str:
    return str(error) or type(error).__name__


def _trigger(cause: Cause | None) -> str | None:
    """Return what a cause is, if there is no record of the input that started it."""
    if cause is None or cause.kind in _WITH_RECORD:
        return None
    return f"{cause.kind} {cause.path}".rstrip()
