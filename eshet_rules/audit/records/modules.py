"""Records of the log: modules that are loaded, reloaded, rolled back or wait."""

from typing import Annotated

from msgspec import Meta

from eshet_rules.audit.records.schema import Record, event

__all__ = [
    "ChangesWait",
    "FileExcluded",
    "FileWritten",
    "ModuleImportFailed",
    "ModuleImportFailedAgain",
    "ModuleLoaded",
    "ModuleReloaded",
    "ModuleRepaired",
    "ModuleRolledBack",
    "ModuleUnloaded",
    "NoChangeWaits",
    "NotTakenBack",
    "ReloadAborted",
    "ReloadSuperseded",
    "RollBackEnded",
    "SlowSetUp",
    "StateHandedOver",
]


class _Module(Record, kw_only=True):
    """A change of the running version of a module."""

    rules: Annotated[list[str], Meta(description="names of its rules, without the module's name")]


@event("module.loaded", "loaded")
class ModuleLoaded(_Module, kw_only=True):
    """A module is running for the first time."""


@event("module.reloaded", "reloaded")
class ModuleReloaded(_Module, kw_only=True):
    """A new version of a module has replaced the running one."""


@event("module.rolled_back", "rolled back")
class ModuleRolledBack(Record, kw_only=True):
    """A module runs an earlier version until its file changes; `version` is that version."""

    replaced: Annotated[
        str | None, Meta(description="the version that ran before; null if none ran")
    ] = None
    by: Annotated[
        str | None, Meta(description="who has rolled it back: a user, or `probation`")
    ] = None
    why: Annotated[str | None, Meta(description="the reason")] = None


@event("module.not_taken_back", "can't take the new version back", level="error")
class NotTakenBack(Record, kw_only=True):
    """A rule of a version on probation has failed, but the earlier version can't be used."""

    why: Annotated[str, Meta(description="why the version was to be taken back")]
    error: Annotated[str, Meta(description="why the earlier version can't be used")]


@event("module.file_written", "the version of a roll-back was written to the file")
class FileWritten(Record, kw_only=True):
    """A roll-back has written its `version` to the file of the module, which ends the roll-back."""

    file: Annotated[str, Meta(description="the path of the file")]


@event("module.roll_back_ended", "roll-back ended, as the file has changed")
class RollBackEnded(Record, kw_only=True):
    """The file of a module that was rolled back has changed; `version` is that of the file."""


@event("module.changes_wait", "changes wait")
class ChangesWait(Record, kw_only=True):
    """Files were saved, and `[watch] commit = "ask"`: the changes wait to be committed."""

    modules: Annotated[list[str], Meta(description="all modules with a change that waits")]
    advice: Annotated[str, Meta(description="the command that applies the changes")]


@event("module.no_change_waits", "no change waits any more")
class NoChangeWaits(Record, kw_only=True):
    """Files have their committed content again, before the changes were committed."""

    modules: Annotated[list[str], Meta(description="the modules of these files")]


@event("module.unloaded", "unloaded")
class ModuleUnloaded(_Module, kw_only=True):
    """A module is not running here any more.

    Its file was removed, or has no rules; or another runner of the cluster runs it.
    """


@event("module.reload_aborted", "kept the old version", level="error")
class ReloadAborted(Record, kw_only=True):
    """A new version was aborted. The running version was not touched."""

    refused: Annotated[str, Meta(description="the new version")]
    because: Annotated[
        list[str] | None, Meta(description="failed modules that must change together with it")
    ] = None
    taken_paths: Annotated[
        list[str] | None,
        Meta(description="paths of others that it needs; it is tried again at the next change"),
    ] = None


@event("module.set_up_slow", "waits for the set-up of rules")
class SlowSetUp(Record, kw_only=True):
    """A new version is not live yet, since a rule is being set up that returned before.

    Until then the running version stays, and other changed files wait as well.
    """

    rules: Annotated[list[str], Meta(description="names of the rules")]
    within_s: Annotated[
        float, Meta(description="seconds after which the version is live in any case")
    ]


class _ImportFailed(Record, kw_only=True):
    """An import that failed."""

    error: Annotated[str, Meta(description="the error")]
    file: Annotated[str, Meta(description="the file with the error")]
    line: Annotated[int, Meta(description="line number; 0 if the error has no line")]
    source: Annotated[str, Meta(description="the line itself")]


@event("module.import_failed", "import failed", level="error")
class ModuleImportFailed(_ImportFailed, kw_only=True):
    """A version of a module can't be imported."""


@event("module.import_failed_again", "import failed, kept the old version", level="error")
class ModuleImportFailedAgain(_ImportFailed, kw_only=True):
    """A version of a module can't be imported; the running version was not touched."""


@event("file.excluded", "file excluded")
class FileExcluded(Record, kw_only=True):
    """A file or folder of the rules folder is not loaded."""

    file: Annotated[str, Meta(description="path of the file or folder")]
    why: Annotated[str, Meta(description="why it is not loaded")]


@event("module.repaired", "repaired")
class ModuleRepaired(Record, kw_only=True):
    """A file with an unusable version was changed back to the running version."""


@event("module.state_handed_over", "state handed over")
class StateHandedOver(Record, kw_only=True):
    """The result of the hand-over of a rule's state when its module was reloaded."""

    kept: Annotated[list[str] | None, Meta(description="nodes that kept their state")] = None
    migrated: Annotated[list[str] | None, Meta(description="nodes with migrated state")] = None
    afresh: Annotated[list[str] | None, Meta(description="nodes without state, and why")] = None
    missed: Annotated[
        list[str] | None, Meta(description="firings due while the runner was down")
    ] = None
    refused: Annotated[str | None, Meta(description="why the rule refused the hand-over")] = None


@event("module.reload_superseded", "superseded by a newer change")
class ReloadSuperseded(Record, kw_only=True):
    """A reload that was being prepared was aborted, as the files have changed again."""

    modules: Annotated[list[str], Meta(description="the modules that were being prepared")]
