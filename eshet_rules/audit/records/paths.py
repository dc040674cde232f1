"""Records of the log: paths with several writers, without a provider, or set by a person."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from eshet_rules.audit.records.schema import Path, Record, event

__all__ = [
    "DeciderChanged",
    "PathContested",
    "PathNotProvided",
    "PathOverridden",
    "PathReleased",
    "PathSetBySeveralRules",
    "PathsTaken",
]


@event("path.set_by_several_rules", "several rules set one path", level="warning")
class PathSetBySeveralRules(Record, kw_only=True):
    """Several rules set the same path to their Values, so the last one wins. Logged once."""

    path: Annotated[Path, Meta(description="the path")]
    rules: Annotated[list[str], Meta(description="the rules, each with its line")]
    advice: Annotated[str, Meta(description="what to do")]


@event("path.not_provided", "nothing provides a path", level="warning")
class PathNotProvided(Record, kw_only=True):
    """Rules have observed a path for a minute, and nothing has provided it. Logged once."""

    path: Annotated[Path, Meta(description="the path")]
    rules: Annotated[list[str], Meta(description="names of the rules")]
    advice: Annotated[str, Meta(description="what to do, with the nearest paths that exist")]


@event("path.decided", "who decides has changed", level="debug")
class DeciderChanged(Record, kw_only=True):
    """Another rule, or a person, decides over a path with `yarp.drive`, or nobody does.

    If a rule decides, it is the rule of this record.
    """

    path: Annotated[Path, Meta(description="the path")]
    by: Annotated[Literal["rule", "person", "nobody"], Meta(description="who decides")]
    value: Annotated[Any, Meta(description="what should be so; null if nobody decides")] = None
    priority: Annotated[float | None, Meta(description="the priority of the driver")] = None


@event("path.overridden", "changed by hand: rules stand by")
class PathOverridden(Record, kw_only=True):
    """A change that no rule has made: drivers of the path stand by.

    Logged again when the runner has restarted meanwhile, with `since`.
    """

    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[Any, Meta(description="the value to which it was changed")]
    rules: Annotated[list[str], Meta(description="the rules that stand by")]
    until: Annotated[
        str | None,
        Meta(description="when the last of them decides again, in UTC; absent if not known"),
    ] = None
    since: Annotated[
        str | None,
        Meta(description="when it was changed, in UTC, if that was before the runner started"),
    ] = None


@event("path.released", "rules decide again")
class PathReleased(Record, kw_only=True):
    """No driver of a path stands by any more."""

    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[Any, Meta(description="the value that the person had chosen")]
    why: Annotated[
        Literal["time", "condition", "released", "command", "given back", "no driver"],
        Meta(
            description="`time`: it was over; `condition`: the Value of `override` is not true any "
            "more; `released`: the Event of `release`; `command`: `eshet-rules release`; `given "
            "back`: the person has set what should be so; `no driver`: the last rule that stood by "
            "has ended"
        ),
    ]


@event("path.contested", "others change a driven path again and again", level="warning")
class PathContested(Record, kw_only=True):
    """Within ten minutes, people or other programs have changed a path more than three times.

    Each time, the driver that decides has sent its value again. From now on it does so at most once
    a minute, until the path has kept the value for ten minutes. Logged once.
    """

    path: Annotated[Path, Meta(description="the path")]
    value: Annotated[Any, Meta(description="the value of the driver")]
    shown: Annotated[Any, Meta(description="the value that the path shows")]
    advice: Annotated[str, Meta(description="what to do")]


@event("path.taken", "paths are provided by another client", level="warning")
class PathsTaken(Record, kw_only=True):
    """Rules wait for paths that another client of the server provides. Logged once."""

    owner: Annotated[str, Meta(description="the client, or the runner that it belongs to")]
    conflicts: Annotated[list[str], Meta(description="path, rule and place of each")]
    advice: Annotated[str, Meta(description="what to do")]
