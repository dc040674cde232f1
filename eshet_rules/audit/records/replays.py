"""Records of the log: replays, and the shadow."""

from typing import Annotated

from msgspec import Meta

from eshet_rules.audit.records.schema import Record, event

__all__ = [
    "ReplayDiffers",
    "ReplayFailed",
    "ReplayNothingYet",
    "ReplaySame",
    "ShadowIncomplete",
    "ShadowStarted",
]


class _Replay(Record, kw_only=True):
    """The replay of a saved change."""

    modules: Annotated[list[str], Meta(description="the changed modules")]


class _Replayed(_Replay, kw_only=True):
    """A replay that has ended."""

    since: Annotated[str, Meta(description="beginning of the inputs, local time, ISO 8601")]
    until: Annotated[str, Meta(description="end of the inputs, local time, ISO 8601")]
    inputs: Annotated[int, Meta(description="number of the inputs")]


@event("replay.same", "no difference on the recorded inputs")
class ReplaySame(_Replayed, kw_only=True):
    """The new versions have the same outputs on the recorded inputs as the ones before."""


@event("replay.nothing_yet", "nothing to compare yet")
class ReplayNothingYet(_Replayed, kw_only=True):
    """Nothing differs, which means little, as there are no inputs or less than a minute of them."""

    error: Annotated[str, Meta(description="what is recorded")]
    advice: Annotated[str, Meta(description="the command that compares again")]


@event("replay.differs", "differs on the recorded inputs")
class ReplayDiffers(_Replayed, kw_only=True):
    """The new versions have other outputs on the recorded inputs than the ones before."""

    differences: Annotated[
        list[str], Meta(description="the first differences, those of the changed modules first")
    ]
    more: Annotated[int | None, Meta(description="number of further differences")] = None
    advice: Annotated[str, Meta(description="the command that shows all differences")]


@event("replay.failed", "can't compare on the recorded inputs", level="warning")
class ReplayFailed(_Replay, kw_only=True):
    """A saved change could not be replayed. The rules are not affected."""

    error: Annotated[str, Meta(description="the reason")]
    advice: Annotated[str, Meta(description="what to do")]


@event("shadow.started", "shadow: nothing is sent to this server")
class ShadowStarted(Record, kw_only=True):
    """The rules run on a copy of the nodes of a server; their outputs do not reach it."""

    address: Annotated[str, Meta(description="address of the server")]


@event("shadow.incomplete", "not copied into the shadow", level="warning")
class ShadowIncomplete(Record, kw_only=True):
    """A node of the server is missing in the shadow, so rules there do not receive its inputs."""

    path: Annotated[str, Meta(description="the path; `/` if the nodes can't be listed")]
    error: Annotated[str, Meta(description="why not")]
