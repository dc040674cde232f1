"""Records of the log: the runner's start and end, and its server."""

from typing import Annotated

from msgspec import Meta

from eshet_rules.audit.records.schema import Record, event

__all__ = [
    "EmbeddedServerStarted",
    "NamedServerUsed",
    "NatsUnreachable",
    "NotListening",
    "RunnerStarted",
    "RunnerStopped",
    "RunningServerUsed",
    "SlowStart",
    "StopRequested",
    "TerminalClosed",
]


@event("runner.start_slow", "rules are still being set up", level="warning")
class SlowStart(Record, kw_only=True):
    """The start takes long, maybe because the server is unreachable."""

    after_s: Annotated[float, Meta(description="seconds since the start")]


@event("runner.started", "running")
class RunnerStarted(Record, kw_only=True):
    """The runner has started, and has set up all rules that could be set up."""

    modules: Annotated[int, Meta(description="number of running modules")]
    folder: Annotated[str, Meta(description="the rules folder")]
    kept: Annotated[
        int | None, Meta(description="number of nodes restored from the checkpoint")
    ] = None
    afresh: Annotated[
        int | None, Meta(description="number of nodes that could not be restored")
    ] = None


@event("runner.terminal_closed", "the terminal was closed")
class TerminalClosed(Record, kw_only=True):
    """The runner stops because the terminal in which it was started was closed."""


@event("runner.stopped", "stopped")
class RunnerStopped(Record, kw_only=True):
    """The runner has stopped."""


@event("runner.stop_requested", "stopping")
class StopRequested(Record, kw_only=True):
    """The runner received a signal to stop, from outside or from a rule."""

    signal: Annotated[str, Meta(description="name of the signal")]


class _Server(Record, kw_only=True):
    """The server that the rules use."""

    address: Annotated[str, Meta(description="address of the server")]


@event("server.named", "using the named server")
class NamedServerUsed(_Server, kw_only=True):
    """The rules use the server that was named."""


@event("server.found", "using a running server")
class RunningServerUsed(_Server, kw_only=True):
    """The rules use a server that already ran on this machine."""


@event("server.started", "started the embedded server")
class EmbeddedServerStarted(_Server, kw_only=True):
    """The rules use a server that this runner has started."""


@event("server.nats_unreachable", "waits for NATS", level="warning")
class NatsUnreachable(_Server, kw_only=True):
    """At its start, the runner can't use the named NATS servers. It tries until it can.

    Logged again when the reason changes.
    """

    error: Annotated[str, Meta(description="the reason")]


@event(
    "server.not_listening",
    "clients of this machine can't connect to the embedded server",
    level="warning",
)
class NotListening(_Server, kw_only=True):
    """The server that joins this runner with others does not listen, as its port is in use."""

    error: Annotated[str, Meta(description="the reason")]
    advice: Annotated[str, Meta(description="what to do")]
