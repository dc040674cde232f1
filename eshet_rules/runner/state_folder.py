"""Locates the state folder of a rules folder, even after a rename, and keeps it locked.

The name of a state folder is derived from the path of its rules folder. Both have an id: the rules
folder in an extended attribute, which is kept when it is renamed, and which version control and
synchronisation ignore; the state folder in a file, together with the path. If the file system has
no extended attributes, or the rules folder is not writable, a rename is only reported.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from structlog.typing import FilteringBoundLogger

from eshet.private_files import write_privately
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.records.state import (
    LockNotRestored,
    LockRestored,
    OrphanStateFound,
    RulesFolderRenamed,
)
from eshet_rules.config import AuditSettings
from eshet_rules.exceptions import StateInUse, TrailInUse
from eshet_rules.regular_files import read_regular
from eshet_rules.runner.components import keep_running
from eshet_rules.runner.lock import Lock, locked

__all__ = ["WEB_TOKENS", "adopt_state", "keeping_lock", "mark_state", "state_folder", "trail_place"]

WEB_TOKENS: Final = "web-tokens.json"
"""The name of the file with the tokens of the page, in the state folder of the rules."""

_INTERVAL: Final = 0.5
"""Seconds between two checks of the locks."""

_FILE: Final = "rules-folder.json"
_MAX_BYTES: Final = 1 << 20
_ATTRIBUTE: Final = "user.eshet-rules.id"


def state_folder(base: Path, folder: Path) -> Path:
    """Return the path of the state folder of a rules folder; it depends on the full path.

    A link to a rules folder has a state folder of its own, whatever its target is: deployments
    change the target.
    """
    digest = hashlib.sha256(str(folder).encode(errors="surrogateescape")).hexdigest()[:8]
    return base / f"{folder.name}-{digest}"


def trail_place(settings: AuditSettings, place: Path | None) -> Path | None:
    """Return the file or folder of the trail; None if none is written.

    Args:
        settings: whether and where it is written.
        place: the state folder of the rules folder; None if there is none.
    """
    return (settings.path or (place and place / "audit")) if settings.enabled else None


def adopt_state(base: Path, folder: Path, log: FilteringBoundLogger) -> None:
    """Move the state folder of a rules folder to its new path, if the rules folder was renamed.

    If the rules folder was copied, the state stays with the original. Unused state that may belong
    to these rules is reported.

    Args:
        base: the parent of all state folders.
        folder: the rules folder.
        log: receives the reports.

    Raises:
        StateInUse: another runner uses that state.
    """
    place = state_folder(base, folder)
    if place.exists():
        return
    by_target = state_folder(base, folder.resolve())
    if by_target != place and by_target.exists():  # earlier versions resolved links
        _move(by_target, place)
        return
    left = [each for each in _marks(base) if not each.is_used]
    own = _id_of(folder)
    for mark in left:
        if own is not None and mark.id == own:
            _move(mark.place, place)
            emit(log, RulesFolderRenamed(before=mark.folder, folder=str(folder)))
            return
    for mark in left:
        emit(
            log,
            OrphanStateFound(
                before=mark.folder,
                folder=str(folder),
                advice=f"if that was this one, stop the runner, and run `mv {mark.place} {place}`",
            ),
        )


def mark_state(place: Path, folder: Path) -> None:
    """Give a rules folder and its state folder the same id, as far as they are writable."""
    before = _mark_at(place)
    own = _id_of(folder) or (before.id if before is not None else "")
    others = {each.id for each in _marks(place.parent) if each.place != place and each.is_used}
    if not own or own in others:  # the rules folder is new, or a copy
        own = secrets.token_hex(8)
    if before is None or (before.id, before.folder) != (own, str(folder)):
        with contextlib.suppress(OSError, UnicodeError):
            content = json.dumps({"id": own, "folder": str(folder)})
            write_privately(place / _FILE, f"{content}\n".encode())
    if own != _id_of(folder):
        with contextlib.suppress(OSError):
            os.setxattr(folder, _ATTRIBUTE, own.encode())


@contextlib.asynccontextmanager
async def keeping_lock(
    state: Lock | None,
    trail: Lock | None,
    again: Callable[[], object],
    log: FilteringBoundLogger,
) -> AsyncIterator[None]:
    """Take locks again when their files are removed, within an `async with` statement.

    Args:
        state: the lock of the state folder.
        trail: the lock of the trail.
        again: called when the state folder was created again.
        log: receives a message for each lock that is taken again.

    Raises:
        StateInUse: another runner has locked the state folder meanwhile. The code within the
            statement is cancelled.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is a coroutine
    keeper = _LockKeeper(state, trail, again, log)

    async def keep() -> None:
        lost = await keeper.run()
        keeper.lost = lost
        task.cancel()

    keeping = asyncio.create_task(keep_running("lock", keep, log))
    try:
        yield
    except asyncio.CancelledError:
        if keeper.lost is None or task.uncancel():
            raise
        raise keeper.lost from None
    finally:
        keeping.cancel()


class _LockKeeper:
    """Checks the locks, and takes them again if their files were removed; see `keeping_lock`."""

    def __init__(
        self,
        state: Lock | None,
        trail: Lock | None,
        again: Callable[[], object],
        log: FilteringBoundLogger,
    ) -> None:
        self.lost: StateInUse | None = None
        """The error, if another runner holds the lock of the state folder."""
        self._state = state
        self._trail = trail
        self._again = again
        self._log = log
        self._failed: set[Lock] = set()

    async def run(self) -> StateInUse:
        """Keep the locks until another runner has locked the state folder; return the error."""
        while True:
            for lock in (self._state, self._trail):
                try:
                    if lock is not None and not lock.is_held:
                        self._renew(lock)
                except StateInUse as error:
                    return error
            await asyncio.sleep(_INTERVAL)

    def _renew(self, lock: Lock) -> None:
        folder = str(lock.file.parent)
        try:
            lock.acquire()
        except (OSError, TrailInUse) as error:
            if lock not in self._failed:
                emit(self._log, LockNotRestored(folder=folder, error=str(error)))
            self._failed.add(lock)
            return
        self._failed.discard(lock)
        emit(self._log, LockRestored(folder=folder))
        if lock is self._state:
            self._again()


class _Mark(NamedTuple):
    """The file in a state folder that identifies its rules folder.

    Args:
        place: the state folder.
        id: the id of both folders.
        folder: the path of the rules folder.
    """

    place: Path
    id: str
    folder: str

    @property
    def is_used(self) -> bool:
        """Whether the rules folder still exists."""
        return Path(self.folder).is_dir()


def _marks(base: Path) -> Iterator[_Mark]:
    try:
        places = sorted(base.iterdir())
    except OSError:
        return
    for place in places:
        if (mark := _mark_at(place)) is not None:
            yield mark


def _mark_at(place: Path) -> _Mark | None:
    try:
        content = json.loads(read_regular(place / _FILE, _MAX_BYTES)[0])
        return _Mark(place, str(content["id"]), str(content["folder"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _id_of(folder: Path) -> str | None:
    try:
        return os.getxattr(folder, _ATTRIBUTE).decode("ascii")
    except (OSError, UnicodeError, AttributeError):  # AttributeError: not on this system
        return None


def _move(earlier: Path, place: Path) -> None:
    with locked(earlier):
        earlier.rename(place)
