"""Records of the log: checkpoints, and the files of the state folder."""

from typing import Annotated

from msgspec import Meta

from eshet_rules.audit.records.schema import Record, event

__all__ = [
    "CheckpointDamaged",
    "CheckpointNotSetAside",
    "CheckpointNotWritten",
    "CheckpointPartlyDamaged",
    "CheckpointSlow",
    "CheckpointUnreadable",
    "CommittedFromFiles",
    "CommittedNotWritten",
    "CommittedRestored",
    "CommittedUnreadable",
    "LockNotRestored",
    "LockRestored",
    "OrphanStateFound",
    "OverridesNotWritten",
    "OverridesUnreadable",
    "RollBacksNotWritten",
    "RollBacksUnreadable",
    "RulesFolderRenamed",
    "StateFileProblem",
    "StateFolderFull",
    "StateNotPlainData",
    "VersionsNotKept",
]


@event(
    "state.not_plain_data",
    "state will not survive a restart, since it is not plain data",
    level="warning",
)
class StateNotPlainData(Record, kw_only=True):
    """A part of the state of a rule can't be written to the checkpoint."""

    what: Annotated[str, Meta(description="the part of the rule")]
    why: Annotated[str, Meta(description="the problem")]
    place: Annotated[str | None, Meta(description="file and line where it was created")] = None


@event("checkpoint.slow", "writing the checkpoint takes long", level="warning")
class CheckpointSlow(Record, kw_only=True):
    """If the runner is killed, more than the last second of state may be lost. Logged once."""

    seconds: Annotated[float, Meta(description="time that it took")]
    bytes: Annotated[int, Meta(description="size of the checkpoint")]


class _Checkpoint(Record, kw_only=True):
    """A problem with the checkpoint."""

    error: Annotated[str, Meta(description="the error")]


@event("checkpoint.unreadable", "can't read the checkpoint, starting without it", level="error")
class CheckpointUnreadable(_Checkpoint, kw_only=True):
    """The checkpoint could not be read, so all rules start without their state."""


@event("checkpoint.not_written", "can't write the checkpoint", level="error")
class CheckpointNotWritten(_Checkpoint, kw_only=True):
    """The checkpoint could not be written. It is tried again."""


@event("checkpoint.not_set_aside", "can't set the damaged checkpoint aside", level="error")
class CheckpointNotSetAside(_Checkpoint, kw_only=True):
    """The damaged checkpoint could not be kept for inspection."""


class _DamagedCheckpoint(_Checkpoint, kw_only=True):
    """A damaged checkpoint."""

    set_aside: Annotated[str, Meta(description="new path of the file, or of a copy of it")]


@event("checkpoint.damaged", "the checkpoint is damaged, starting without it", level="error")
class CheckpointDamaged(_DamagedCheckpoint, kw_only=True):
    """The checkpoint is damaged, and set aside: all rules start without their state."""


@event(
    "checkpoint.partly_damaged", "a part of the checkpoint is damaged, and left out", level="error"
)
class CheckpointPartlyDamaged(_DamagedCheckpoint, kw_only=True):
    """The state of one module in the checkpoint is damaged: it starts without."""


class StateFileProblem(Record, kw_only=True):
    """A problem with a file of the state folder."""

    file: Annotated[str, Meta(description="the file")]
    error: Annotated[str, Meta(description="the error")]


@event("overrides.unreadable", "can't read which rules are disabled", level="error")
class OverridesUnreadable(StateFileProblem, kw_only=True):
    """The file of rules that commands have enabled or disabled could not be read."""


@event("overrides.not_written", "can't write which rules are disabled", level="error")
class OverridesNotWritten(StateFileProblem, kw_only=True):
    """The file of rules that commands have enabled or disabled could not be written."""


@event("roll_backs.unreadable", "can't read which modules are rolled back", level="error")
class RollBacksUnreadable(StateFileProblem, kw_only=True):
    """The file of modules that are rolled back could not be read."""


@event("roll_backs.not_written", "can't write which modules are rolled back", level="error")
class RollBacksNotWritten(StateFileProblem, kw_only=True):
    """The file of modules that are rolled back could not be written."""


@event("committed.unreadable", "can't read what was committed", level="error")
class CommittedUnreadable(StateFileProblem, kw_only=True):
    """The file of committed versions could not be read. The next record says what runs instead."""


class _CommittedReplaced(Record, kw_only=True):
    """Which versions count as committed, as the committed ones are not known."""

    modules: Annotated[list[str], Meta(description="the modules, as `hall@3f2a91bc`")]
    damaged: Annotated[str | None, Meta(description="where the damaged file is kept")] = None
    advice: Annotated[str, Meta(description="what to do")]


@event("committed.restored", "the last live versions count as committed", level="warning")
class CommittedRestored(_CommittedReplaced, kw_only=True):
    """The file of committed versions is missing or damaged: the last live versions count."""


@event("committed.from_files", "the files count as committed", level="warning")
class CommittedFromFiles(_CommittedReplaced, kw_only=True):
    """The file of committed versions is damaged, and no version was live: the files count."""


@event("committed.not_written", "can't write what was committed", level="error")
class CommittedNotWritten(StateFileProblem, kw_only=True):
    """The file of committed versions could not be written; a restart may run others."""


@event("versions.not_kept", "can't keep a version for a roll-back", level="error")
class VersionsNotKept(Record, kw_only=True):
    """A version that has become live could not be kept. Logged once, until one can be kept."""

    folder: Annotated[str, Meta(description="the folder of the versions")]
    error: Annotated[str, Meta(description="the error")]


class _StateFolder(Record, kw_only=True):
    """A problem with the state folder. The rules run on."""

    folder: Annotated[str, Meta(description="the folder")]
    error: Annotated[str | None, Meta(description="why it could not be locked again")] = None


@event("state_folder.full", "no space for the state folder, so no state is kept yet", level="error")
class StateFolderFull(_StateFolder, kw_only=True):
    """The state folder has no space left. The rules run; their state is lost at the end."""


@event("lock.not_restored", "can't take a lock again", level="error")
class LockNotRestored(_StateFolder, kw_only=True):
    """The lock or its folder was removed, and could not be taken again."""


@event("lock.restored", "took a lock again", level="warning")
class LockRestored(_StateFolder, kw_only=True):
    """The lock or its folder was removed, and was taken again."""


class _RulesFolder(Record, kw_only=True):
    """State of a rules folder with another path."""

    before: Annotated[str, Meta(description="the other path")]
    folder: Annotated[str, Meta(description="the present rules folder")]
    advice: Annotated[str | None, Meta(description="how to use that state")] = None


@event("state_folder.renamed", "the rules folder was renamed")
class RulesFolderRenamed(_RulesFolder, kw_only=True):
    """The rules folder has another path than before; its state was taken over."""


@event(
    "state_folder.orphan_found",
    "found the state of a rules folder that no longer exists",
    level="warning",
)
class OrphanStateFound(_RulesFolder, kw_only=True):
    """There is state of a rules folder that no longer exists."""
