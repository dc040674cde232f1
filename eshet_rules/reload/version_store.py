"""Keeps the sources of versions that were live, by module and hash, in a folder.

    FOLDER/hall/history.json    the module's name; its versions and when each became live, in order
    FOLDER/hall/3f2a91bc.txt    the source of a version

A helper that a module imports is a module of its own here, with versions of its own.

Each file is replaced as a whole, and only its owner can read it. A damaged history is replaced by
the times of the files; a damaged source counts as missing. Everything here blocks: call it in a
thread.
"""

import contextlib
import difflib
import hashlib
import operator
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from eshet.private_files import make_private_folder, write_privately
from eshet.text import encodable
from eshet_rules.exceptions import VersionNotFound
from eshet_rules.modules.discovery import MAX_SOURCE_BYTES, version_of
from eshet_rules.regular_files import read_regular

__all__ = ["KeptVersion", "VersionStore", "check_moment", "split_target"]

MAX_VERSIONS: Final = 20
"""Maximum number of versions of a module; those that were live longest ago are dropped."""

MAX_BYTES: Final = 64 << 20
"""Maximum size of all versions together. The last version of each module is never dropped."""

_BLOCK: Final = 4096
"""Size that each file counts at least, as on most disks. So the number of files is limited."""

_HEX_DIGITS: Final = frozenset("0123456789abcdef")
_HISTORY: Final = "history.json"
# Not `.py`: a state folder may be within the rules folder, and modules there are loaded.
_SUFFIX: Final = ".txt"
_LONGEST_NAME: Final = 200
"""Maximum length of the name of a folder, in bytes."""

_MAX_HISTORY: Final = 1 << 20
"""Maximum size of a history, in bytes."""

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9000

_MOST_ENTRIES: Final = 100
"""Maximum number of entries in a history: a module may change between two versions many times."""


class _Live(msgspec.Struct, frozen=True):
    """An entry of a history.

    Args:
        version: the hash of the source.
        since: when it became live.
        failed: whether a rule of it failed on probation.
    """

    version: str
    since: datetime
    failed: bool = False

    def __post_init__(self) -> None:
        check_moment(self.since)


class _History(msgspec.Struct):
    """The content of a history: the name of the module, and its live versions, the newest last."""

    module: str
    live: list[_Live]


@dataclass(frozen=True)
class KeptVersion:
    """A version that is kept.

    Args:
        module: the name of its module.
        version: its hash.
        since: when it became live, the last time.
        until: when another version followed; None for the last version that was live.
        size: the length of its source in bytes.
        failed: whether a rule of it failed on probation, the last time that it was live.
    """

    module: str
    version: str
    since: datetime
    until: datetime | None
    size: int
    failed: bool = False


class VersionStore:
    """The versions in a folder, which need not exist.

    Args:
        folder: the folder.
        most: maximum number of versions of a module.
        total: maximum size of all versions, in bytes.
    """

    def __init__(self, folder: Path, most: int = MAX_VERSIONS, total: int = MAX_BYTES) -> None:
        self.folder: Final = folder
        self._most = most
        self._total = total
        # Both threads of the runner may change a history at once.
        self._changing = threading.Lock()
        self._sizes: dict[Path, int] | None = None  # of all sources; None before the first `add`

    def add(self, module: str, version: str, data: bytes, now: datetime) -> None:
        """Keep a version that has become live, and drop the oldest ones beyond the limits.

        A version that was the last one before is not added again, as after a restart.

        Args:
            module: the name of the module.
            version: the hash of its source.
            data: its source.
            now: the present time.

        Raises:
            OSError: a file can't be written. Nothing that was kept before is lost.
        """
        with self._changing:
            self._add(module, version, data, now)

    def _add(self, module: str, version: str, data: bytes, now: datetime) -> None:
        if self._sizes is None:
            self._sizes = dict(self._all_sources())
        place = self._place(module)
        source = _source(place, version)
        live = self._history(place)
        is_last = bool(live) and live[-1].version == version
        if is_last and _read(source) == data:
            return
        make_private_folder(place)
        write_privately(source, data)
        self._sizes[source] = max(len(data), _BLOCK)
        if not is_last:
            live.append(_Live(version, now))
        kept = list(dict.fromkeys(each.version for each in reversed(live)))[: self._most]
        live = [each for each in live if each.version in kept][-_MOST_ENTRIES:]
        _write_history(place, _History(module, live))
        for old in _sources_in(place):
            if old.stem not in kept:
                self._drop(old)
        self._drop_oldest()

    def mark_failed(self, module: str, version: str) -> None:
        """Note that a rule of a version failed on probation; no effect if it is not kept.

        Raises:
            OSError: it can't be written.
        """
        place = self._place(module)
        with self._changing:
            live = self._history(place)
            last = max((n for n, each in enumerate(live) if each.version == version), default=None)
            if last is not None:
                live[last] = msgspec.structs.replace(live[last], failed=True)
                _write_history(place, _History(module, live))

    def modules(self) -> list[str]:
        """Return the names of all modules with a kept version, in order."""
        return sorted(self._name(place) for place in self._places() if any(_sources_in(place)))

    def versions(self, module: str) -> list[KeptVersion]:
        """Return the kept versions of a module; the one that became live last is the first."""
        place = self._place(module)
        live = self._history(place)
        found: dict[str, KeptVersion] = {}
        until: datetime | None = None
        for each in reversed(live):
            if each.version not in found:
                with contextlib.suppress(OSError):
                    size = _source(place, each.version).stat().st_size
                    found[each.version] = KeptVersion(
                        module, each.version, each.since, until, size, each.failed
                    )
            until = each.since
        return list(found.values())

    def live_at(self, module: str, moment: datetime) -> KeptVersion | None:
        """Return the version of a module that was live at a time; None if it is not kept."""
        live = self._history(self._place(module))
        version = next((each.version for each in reversed(live) if each.since <= moment), None)
        return next((each for each in self.versions(module) if each.version == version), None)

    def find(self, module: str, prefix: str) -> KeptVersion:
        """Return the version with a hash that begins with this; with "", the last live one.

        Raises:
            VersionNotFound: there is none, or several; the error names those that there are.
        """
        versions = self._known(module)
        found = [each for each in versions if each.version.startswith(prefix)]
        if not found or (prefix and len(found) > 1):
            raise VersionNotFound(module, prefix, [e.version for e in found or versions])
        return found[0]

    def find_earlier(self, module: str, others: Iterable[str]) -> KeptVersion:
        """Return the version that was live last and did not fail on probation.

        Args:
            module: the name of the module.
            others: the hashes of versions to leave out.

        Raises:
            VersionNotFound: there is none.
        """
        versions = self._known(module)
        others = set(others)
        found = [each for each in versions if each.version not in others and not each.failed]
        if not found:
            raise VersionNotFound(
                module, "", [each.version for each in versions], "there is no earlier version"
            )
        return found[0]

    def read(self, kept: KeptVersion) -> bytes:
        """Return the source of a version.

        Raises:
            VersionNotFound: its file is missing or damaged.
        """
        data = _read(_source(self._place(kept.module), kept.version))
        if data is None or version_of(data) != kept.version:
            others = [e.version for e in self.versions(kept.module) if e.version != kept.version]
            raise VersionNotFound(kept.module, kept.version, others, "its kept source is damaged")
        return data

    def _known(self, module: str) -> list[KeptVersion]:
        """Return the versions of a module that has some.

        Raises:
            VersionNotFound: it has none.
        """
        versions = self.versions(module)
        if not versions:
            near = difflib.get_close_matches(module, self.modules(), 3)
            advice = f"did you mean {' or '.join(near)}?" if near else "see `eshet-rules versions`"
            raise VersionNotFound(module, "", [], f"no version of it is kept; {advice}")
        return versions

    # --- files --------------------------------------------------------------------------------

    def _place(self, module: str) -> Path:
        """Return the folder of a module."""
        module = encodable(module)
        name = urllib.parse.quote(module, safe=" ()[]+,@")
        if name.startswith("."):
            name = f"%2E{name[1:]}"
        if len(name) > _LONGEST_NAME:
            name = f"{name[:100]}-{hashlib.sha256(module.encode()).hexdigest()[:16]}"
        return self.folder / name

    def _places(self) -> list[Path]:
        try:
            return sorted(each for each in self.folder.iterdir() if each.is_dir())
        except OSError:
            return []

    def _name(self, place: Path) -> str:
        content = self._read_history(place)
        if content is not None and self._place(content.module) == place:
            return content.module
        return urllib.parse.unquote(place.name)

    def _history(self, place: Path) -> list[_Live]:
        """Return the versions of a module that were live, the newest last."""
        content = self._read_history(place)
        if content is not None:
            return content.live
        return sorted(_by_times(_sources_in(place)), key=operator.attrgetter("since"))

    def _read_history(self, place: Path) -> _History | None:
        try:
            data, _ = read_regular(place / _HISTORY, _MAX_HISTORY)
            content = msgspec.json.decode(data, type=_History)
        except (OSError, ValueError, RecursionError):
            return None
        content.live = [
            msgspec.structs.replace(each, since=each.since.astimezone(UTC))
            for each in content.live
            if _is_version(each.version)
        ]
        return content

    def _all_sources(self) -> Iterator[tuple[Path, int]]:
        for place in self._places():
            for source in _sources_in(place):
                with contextlib.suppress(OSError):
                    yield source, max(source.stat().st_size, _BLOCK)

    def _drop_oldest(self) -> None:
        """Drop versions beyond the total size, except for the last one of each module."""
        sizes = self._sizes or {}
        excess = sum(sizes.values()) - self._total
        if excess <= 0:
            return
        modules = [self.versions(self._name(place)) for place in self._places()]
        droppable = [each for versions in modules for each in versions[1:]]
        for each in sorted(droppable, key=operator.attrgetter("since")):
            if excess <= 0:
                return
            source = _source(self._place(each.module), each.version)
            excess -= sizes.get(source, 0)
            self._drop(source)

    def _drop(self, source: Path) -> None:
        with contextlib.suppress(OSError):
            source.unlink(missing_ok=True)
        if self._sizes is not None:
            self._sizes.pop(source, None)


def check_moment(moment: datetime) -> None:
    """Check a time that was read from a file, which may be damaged.

    Raises:
        ValueError: it has no time zone, or can't be shown in each time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time has no time zone")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"the year {moment.year} is impossible")


def split_target(target: str) -> tuple[str, str]:
    """Return the module and the first digits of the version of `hall@3f2a`; "" without digits."""
    module, separator, version = target.rpartition("@")
    return (module, version) if separator else (version, "")


def _write_history(place: Path, history: _History) -> None:
    write_privately(place / _HISTORY, msgspec.json.format(msgspec.json.encode(history)))


def _source(place: Path, version: str) -> Path:
    return place / f"{version}{_SUFFIX}"


def _sources_in(place: Path) -> list[Path]:
    try:
        found = list(place.iterdir())
    except OSError:
        return []
    return [each for each in found if each.suffix == _SUFFIX and _is_version(each.stem)]


def _by_times(sources: Sequence[Path]) -> Iterator[_Live]:
    for source in sources:
        with contextlib.suppress(OSError, OverflowError, ValueError):
            since = datetime.fromtimestamp(source.stat().st_mtime, UTC)
            yield _Live(source.stem, since)


def _read(source: Path) -> bytes | None:
    try:
        return read_regular(source, MAX_SOURCE_BYTES)[0]
    except OSError:
        return None


def _is_version(text: str) -> bool:
    """Whether this is a hash, and not a path; a file may contain anything."""
    return bool(text) and _HEX_DIGITS.issuperset(text)
