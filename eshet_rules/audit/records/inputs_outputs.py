"""Records of the log: inputs and outputs of rules, and their connections."""

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from eshet_rules.audit.records.schema import Path, Record, event

__all__ = [
    "WHYS",
    "ActionCalled",
    "Connected",
    "ConnectionLost",
    "ConnectionRestored",
    "EventEmitted",
    "FunctionCalled",
    "Input",
    "NoConnection",
    "Output",
    "StatePublished",
    "ValueSet",
    "Why",
]

WHYS: Final = {
    "unknown": "the value is unknown, or contains an unknown value",
    "unchanged": "after a reload or restart: the same value had been sent before",
    "shown": "the path shows the value already; of `yarp.drive`",
    "pretended": "rules are being checked, replayed, run in the shadow or tested; of `yarp.act`",
    "superseded": "a newer value arrived before this one was sent, or sent again",
    "busy": "another value was being sent, and the strategy is `RunSingle`",
    "queue full": "`max_queue` other values were waiting",
    "disabled": "it was waiting when its rule was disabled",
    "failed": "it was waiting when its rule failed",
    "restarted": "it was waiting when its rule was restarted",
    "unloaded": "it was waiting when its file was removed",
    "replaced": "it was waiting when its rule was reloaded, and the new version has no such output",
    "moved": "it was waiting when another runner took its module over; it is sent there, if the "
    "rule still has that output",
    "shutdown": "it was waiting when the runner stopped; it is sent after the next start, if the "
    "rule still has that output",
}
"""Why an output was skipped. A waiting output is in a queue, or between two attempts."""

Why = Literal[
    "unknown",
    "unchanged",
    "shown",
    "pretended",
    "superseded",
    "busy",
    "queue full",
    "disabled",
    "failed",
    "restarted",
    "unloaded",
    "replaced",
    "moved",
    "shutdown",
]


@event("input.received", "input received", level="debug")
class Input(Record, kw_only=True):
    """A rule received an input. Its effects have the same cause."""

    kind: Annotated[
        Literal["state", "event", "call", "set", "get"],
        Meta(
            description="a change of a state, an event, or a call, set or get of a path of the rule"
        ),
    ]
    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[
        Any, Meta(description="the value; for a call, its arguments; null for an unknown state")
    ]
    unknown: Annotated[bool, Meta(description="whether the state is unknown")] = False
    trigger: Annotated[
        str | None, Meta(description="a description of the cause, if no other input has it")
    ] = None


class Output(Record, kw_only=True):
    """The output of a rule."""

    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[Any, Meta(description="the value; for a call, its arguments")]
    outcome: Annotated[
        Literal["done", "failed", "interrupted", "kept", "skipped"],
        Meta(description="the outcome; `kept`: the state is published when the connection is back"),
    ]
    unknown: Annotated[bool, Meta(description="whether the value is unknown")] = False
    result: Annotated[Any | UnsetType, Meta(description="result of a call")] = UNSET
    error: Annotated[str | None, Meta(description="why it failed")] = None
    why: Annotated[Why | None, Meta(description="why it was skipped, see below")] = None
    duration: Annotated[float | None, Meta(description="seconds until it was answered")] = None
    attempt: Annotated[int, Meta(ge=1, description="number of the attempt, if not the first")] = 1
    trigger: Annotated[
        str | None,
        Meta(description="a description of the cause, if no input has it: `timer delay at ...`"),
    ] = None
    after_input: Annotated[
        str | None,
        Meta(
            description="the input that led to it, such as `event /hall/motion`; if that was a "
            "timer, the input that has started it"
        ),
    ] = None
    after_s: Annotated[float | None, Meta(description="of a timer: seconds since that input")] = (
        None
    )
    inputs: Annotated[
        dict[str, Any] | None,
        Meta(
            description="the values from which the value came, by path; of an event, its last "
            "payload, and null if it had none since the rule was set up. A Value without a path is "
            "named by its place. A long value is shortened"
        ),
    ] = None
    unknown_inputs: Annotated[
        list[str] | None, Meta(description="those of them that were unknown")
    ] = None


@event("output.set", "value set", level="debug")
class ValueSet(Output, kw_only=True):
    """A rule set a state or property, or skipped it. Recorded when the output is complete."""


@event("output.called", "action called", level="debug")
class ActionCalled(Output, kw_only=True):
    """A rule called an action, or skipped it. Recorded when the output is complete."""


@event("output.emitted", "event emitted", level="debug")
class EventEmitted(Output, kw_only=True):
    """A rule emitted an event, or skipped it. Recorded when the output is complete."""


@event("output.published", "state published", level="debug")
class StatePublished(Output, kw_only=True):
    """A rule published the value of its state, or skipped it. Recorded when it is complete."""


@event("output.acted", "function called", level="debug")
class FunctionCalled(Record, kw_only=True):
    """A rule called a function with `yarp.act`, or skipped it. Recorded when the call has ended."""

    function: Annotated[str, Meta(description="the name of the function")]
    value: Annotated[list[Any], Meta(description="its arguments")]
    outcome: Annotated[
        Literal["done", "failed", "interrupted", "skipped"], Meta(description="the outcome")
    ]
    error: Annotated[str | None, Meta(description="why it failed")] = None
    why: Annotated[Why | None, Meta(description="why it was skipped, see below")] = None
    duration: Annotated[float | None, Meta(description="seconds until it ended")] = None
    attempt: Annotated[int, Meta(ge=1, description="number of the attempt, if not the first")] = 1
    trigger: Annotated[
        str | None, Meta(description="a description of the cause, if no input has it")
    ] = None
    after_input: Annotated[
        str | None, Meta(description="the input that led to it, as for other outputs")
    ] = None
    after_s: Annotated[float | None, Meta(description="of a timer: seconds since that input")] = (
        None
    )
    inputs: Annotated[
        dict[str, Any] | None,
        Meta(description="the values from which the arguments came, as for other outputs"),
    ] = None
    unknown_inputs: Annotated[
        list[str] | None, Meta(description="those of them that were unknown")
    ] = None


@event("client.connected", "connected", level="debug")
class Connected(Record, kw_only=True):
    """The client of a module is connected to the server."""

    server: Annotated[str, Meta(description="address of the server")]


@event("client.disconnected", "disconnected", level="debug")
class ConnectionLost(Record, kw_only=True):
    """The connection of a module was lost, or could not be made. The client tries again.

    Recorded once for each outage.
    """

    server: Annotated[str, Meta(description="address of the server")]
    reason: Annotated[str, Meta(description="the reason")]


@event("connection.lost", "no connection", level="warning")
class NoConnection(Record, kw_only=True):
    """Modules have no connection; one record for all that lost it together.

    Without a module, the runner itself has no connection, so none of the modules has one.
    """

    server: Annotated[str, Meta(description="address of the server")]
    reason: Annotated[str, Meta(description="the reason")]
    modules: Annotated[
        list[str] | None, Meta(description="the modules, if neither all nor only one")
    ] = None


@event("connection.restored", "connection is back")
class ConnectionRestored(Record, kw_only=True):
    """All lost connections are back. Not recorded for the first connection."""

    server: Annotated[str, Meta(description="address of the server")]
    away_s: Annotated[float, Meta(description="seconds since the first was lost")]
    modules: Annotated[
        list[str] | None, Meta(description="the modules, if neither all nor only one")
    ] = None
