"""Records of the log: runners that share modules."""

from typing import Annotated, Literal

from msgspec import Meta

from eshet_rules.audit.records.schema import Record, Time, event

__all__ = [
    "CheckpointNotShared",
    "ClusterJoined",
    "ClusterLeft",
    "LeasesLost",
    "ModuleGivenUp",
    "ModuleTaken",
    "ModulesWithoutRunner",
    "RulesChangedByHand",
    "RulesMovedAside",
    "RulesNotTakenOver",
    "RulesOfFolder",
    "RulesSuspended",
    "RulesTakenOver",
    "RunnerNameTaken",
    "RunnersChanged",
    "SharedCheckpointDamaged",
    "SharedTrailGap",
    "TrailNotShared",
    "VersionsDiffer",
]


class _Cluster(Record, kw_only=True):
    """The cluster of this runner."""

    cluster: Annotated[str, Meta(description="name of the cluster")]


@event("cluster.joined", "joined the cluster")
class ClusterJoined(_Cluster, kw_only=True):
    """This runner shares the modules with others. Recorded again after it was cut off from them."""

    runner: Annotated[str, Meta(description="name of this runner")]
    server: Annotated[str, Meta(description="address of the servers")]
    others: Annotated[list[str], Meta(description="names of the other runners")]


@event("cluster.left", "left the cluster")
class ClusterLeft(_Cluster, kw_only=True):
    """This runner has given up all modules, as it stops."""


@event("cluster.runners_changed", "other runners")
class RunnersChanged(_Cluster, kw_only=True):
    """Other runners have joined the cluster, or are gone."""

    joined: Annotated[list[str] | None, Meta(description="those that have joined")] = None
    gone: Annotated[list[str] | None, Meta(description="those that are gone")] = None
    runners: Annotated[list[str], Meta(description="all runners now")]


@event("cluster.name_taken", "another runner has this name", level="warning")
class RunnerNameTaken(Record, kw_only=True):
    """A runner can't join its cluster, as one with the same name is there. It tries until it can.

    Names are the same as well if they are in paths, where `_` replaces `.` and `-`. Logged once.
    """

    runner: Annotated[str, Meta(description="the name of the other runner")]
    host: Annotated[str, Meta(description="the machine of the other runner")]
    advice: Annotated[str, Meta(description="what to do")]


@event("cluster.leases_lost", "no longer runs modules", level="error")
class LeasesLost(_Cluster, kw_only=True):
    """This runner has dropped all modules, since others may run them from now on.

    It takes some again when it can.
    """

    modules: Annotated[list[str], Meta(description="the modules")]
    why: Annotated[str, Meta(description="the reason")]


@event("cluster.rules_suspended", "suspended its rules for a time", level="warning")
class RulesSuspended(Record, kw_only=True):
    """The rules of this runner did nothing for half a second or longer, and then went on.

    Others might have taken their modules without this runner knowing it. Less is not logged.
    """

    seconds: Annotated[float, Meta(description="for how long")]
    why: Annotated[str, Meta(description="the reason")]


@event("cluster.versions_differ", "runners have different rules", level="warning")
class VersionsDiffer(_Cluster, kw_only=True):
    """Two runners of a cluster have different versions of files. Logged once for these versions."""

    runners: Annotated[list[str], Meta(description="the two runners")]
    modules: Annotated[
        list[str], Meta(description="the first modules that differ, helpers included")
    ]
    more: Annotated[int | None, Meta(description="number of further modules")] = None
    advice: Annotated[str, Meta(description="what to do")]


@event("cluster.modules_without_runner", "no runner may run modules", level="warning")
class ModulesWithoutRunner(_Cluster, kw_only=True):
    """Conditions below `[cluster.where]` leave no runner for modules. Logged once."""

    modules: Annotated[list[str], Meta(description="the modules")]
    advice: Annotated[str, Meta(description="what to do")]


@event("cluster.trail_not_shared", "can't share the trail with the cluster", level="warning")
class TrailNotShared(_Cluster, kw_only=True):
    """The records of this runner can't be stored in NATS. They are when it is possible again.

    Logged once; not for a lost connection.
    """

    error: Annotated[str, Meta(description="the error")]


@event("cluster.trail_gap", "records missing in the trail of the cluster", level="warning")
class SharedTrailGap(_Cluster, kw_only=True):
    """Records of this runner are not in the trail of the cluster."""

    why: Annotated[
        Literal["deleted", "too long"],
        Meta(
            description="`deleted`: their file was deleted or moved before NATS had them; "
            "`too long`: NATS accepts no message of this length"
        ),
    ]
    since: Annotated[
        Time | None, Meta(description="time of the last record before them, or of the first one")
    ] = None
    until: Annotated[Time | None, Meta(description="time of the first record after them")] = None
    records: Annotated[int | None, Meta(description="their number, if it is known")] = None


class _PublishedRules(_Cluster, kw_only=True):
    """Rules that are published for the cluster."""

    publication: Annotated[str, Meta(description="the first digits of its hash")]


@event("rules.taken_over", "took over the published rules")
class RulesTakenOver(_PublishedRules, kw_only=True):
    """The files in the rules folder are those of a publication now."""

    revision: Annotated[str | None, Meta(description="its git commit")] = None
    by: Annotated[str, Meta(description="who has published it")]
    added: Annotated[list[str] | None, Meta(description="the first new files")] = None
    changed: Annotated[list[str] | None, Meta(description="the first changed files")] = None
    removed: Annotated[list[str] | None, Meta(description="the first removed files")] = None


@event("rules.moved_aside", "files that were not published were moved aside", level="warning")
class RulesMovedAside(_PublishedRules, kw_only=True):
    """Files of the rules folder were changed or added by hand, and replaced by published ones."""

    files: Annotated[list[str], Meta(description="the first of these files, folders and links")]
    folder: Annotated[str, Meta(description="where they are now")]
    advice: Annotated[str, Meta(description="what to do")]


@event("rules.changed_by_hand", "the rules are not those that are published", level="warning")
class RulesChangedByHand(_PublishedRules, kw_only=True):
    """When the runner started, the rules folder differed from the publication that it had.

    The change stays until something else is published.
    """

    files: Annotated[list[str], Meta(description="the first files that differ")]
    advice: Annotated[str, Meta(description="what to do")]


@event("rules.not_taken_over", "can't take over the published rules", level="error")
class RulesNotTakenOver(_Cluster, kw_only=True):
    """The rules folder stays as it is; it is tried again. Logged once for each reason."""

    publication: Annotated[
        str | None, Meta(description="the first digits of its hash, if it is known")
    ] = None
    error: Annotated[str, Meta(description="the reason, and what to do")]


@event("rules.of_folder", "starts with the rules in its folder", level="warning")
class RulesOfFolder(_Cluster, kw_only=True):
    """The runner was to take over published rules at the start, and there are none to be had."""

    why: Annotated[str, Meta(description="the reason")]


@event("module.taken", "taken from the cluster")
class ModuleTaken(Record, kw_only=True):
    """This runner runs a module from now on, and no other one does."""

    why: Annotated[
        Literal["new", "released", "moved", "gone"],
        Meta(
            description="`new`: no runner had it; `released`: its runner has given it up; `moved`: "
            "its runner has given it up for this one; `gone`: its runner has ended without a word"
        ),
    ]
    from_runner: Annotated[str | None, Meta(description="the runner that had it")] = None
    without_s: Annotated[
        float | None,
        Meta(
            description="seconds since it was given up, or since the last sign of life of its "
            "runner, by the clock of the NATS server"
        ),
    ] = None


@event("module.given_up", "given up to the cluster")
class ModuleGivenUp(Record, kw_only=True):
    """This runner does not run a module any more, and has left its state for another one."""

    why: Annotated[
        Literal["moved", "draining", "stopping", "removed", "unfit"],
        Meta(
            description="`moved`: another runner is to run it; `draining`, `stopping`: this runner "
            "is to run no modules, or stops; `removed`: its file was removed; `unfit`: it can't be "
            "loaded here, or this runner is in safe mode, and another runner may run it"
        ),
    ]
    to: Annotated[str | None, Meta(description="the runner that is to run it")] = None


@event("checkpoint.not_shared", "can't store state for other runners", level="error")
class CheckpointNotShared(Record, kw_only=True):
    """The state of a module could not be stored in the cluster; it is tried again. Logged once.

    If another runner takes the module over, it continues from an earlier state.
    """

    error: Annotated[str, Meta(description="the error")]


@event("checkpoint.shared_damaged", "can't read the state of another runner", level="error")
class SharedCheckpointDamaged(Record, kw_only=True):
    """The state of a module in the cluster, or a part of it, is damaged: it starts without that."""

    error: Annotated[str, Meta(description="the error")]
