"""The closed files of a trail, beside the open one.

They are numbered, since a clock may be set back, and compressed in a thread of their own. Apart
from that, a closed file never changes. A file that exists both as `.jsonl` and as `.zst` is
complete in both forms.
"""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from eshet.clock import wall_stamp
from eshet_rules.audit.frames import compress
from eshet_rules.audit.records.schema import Record
from eshet_rules.audit.records.trail import TrailNotCompressed, TrailNotDropped

__all__ = ["Archive", "Report", "closed_files", "number_of"]

_SECOND: Final = len("2026-11-25T03:22:41")
_NAME: Final = re.compile(r"-(\d{6,})-\d{8}T\d{6}\.jsonl(?:\.zst)?")
"""The part after the stem: `house-garden.jsonl` is not a closed file of `house.jsonl`."""
_NUMBER: Final = re.compile(r"-(\d{6,})-\d{8}T\d{6}\.jsonl")

Report = Callable[[Record], object]
"""Reports a problem."""


def closed_files(file: Path) -> list[Path]:
    """Return the closed files beside an open one, oldest first, each once."""
    # List twice: a listing while a file is replaced by its `.zst` may contain neither of them.
    paths = {path for _ in range(2) for path in _listed(file)}
    found: dict[str, Path] = {}
    for path in sorted(paths):
        found[path.name.removesuffix(".zst")] = path  # if both exist, the compressed one
    return list(found.values())


def _listed(file: Path) -> list[Path]:
    """Return the closed files beside an open one, in no order, and maybe in both forms."""
    try:
        names = [path.name for path in file.parent.iterdir()]
    except OSError:
        return []
    stem = file.stem
    return [
        file.with_name(name)
        for name in names
        if name.startswith(stem) and _NAME.fullmatch(name, len(stem))
    ]


def number_of(name: str) -> int | None:
    """Return the number of a closed file from its name; None if the name has none."""
    match = _NUMBER.search(name)
    return int(match[1]) if match else None


class Archive:
    """Closes files, compresses them, and deletes the oldest; reports failures.

    Args:
        file: the open file.
        total: maximum size of all closed files together, in bytes.
        report: called for each problem, in the archive's thread or in that of the caller.
    """

    def __init__(self, file: Path, total: float, report: Report) -> None:
        self._file = file
        self._total = total
        self._report = report
        self._number = 0  # of the file that was closed last
        self._lock = threading.RLock()
        self._compressing: threading.Thread | None = None
        self._closed_more = False  # whether files were closed since the thread listed them

    def open(self) -> None:
        """Find the number of the file that was closed last."""
        self._number = max((number_of(p.name) or 0 for p in closed_files(self._file)), default=0)

    def take(self, begun: str) -> Path:
        """Close the open file by renaming it.

        Args:
            begun: the time of its first record.

        Returns:
            The closed file, not compressed yet.

        Raises:
            OSError: it could not be renamed, and is still the open file.
        """
        name = self._name(begun)
        if not _NAME.fullmatch(name, len(self._file.stem)):  # the first line is damaged
            name = self._name(wall_stamp())
        closed = self._file.rename(self._file.with_name(name))
        self._number += 1
        return closed

    def compress(self) -> None:
        """Compress all uncompressed closed files, and delete the oldest, in the background."""
        with self._lock:
            self._closed_more = True
            if self._compressing is None:
                self._compressing = threading.Thread(target=self._keep_compressing, name="trail")
                self._compressing.start()

    def join(self) -> None:
        """Wait until the work of `compress` is done."""
        compressing = self._compressing
        if compressing is not None:
            compressing.join()

    def _name(self, begun: str) -> str:
        time = begun[:_SECOND].replace("-", "").replace(":", "")
        return f"{self._file.stem}-{self._number + 1:06}-{time}.jsonl"

    def _keep_compressing(self) -> None:
        while True:
            with self._lock:
                if not self._closed_more:
                    self._compressing = None
                    return
                self._closed_more = False
            self._compress()
            self._drop_oldest()

    def _compress(self) -> None:
        for source in sorted(path for path in _listed(self._file) if path.suffix == ".jsonl"):
            target = source.with_name(f"{source.name}.zst")
            try:
                # An existing target means that the process was killed before `unlink`. But a link
                # is not ours, and may have been planted, so it is replaced.
                if target.is_symlink() or not target.exists():
                    compress(source, target)
                source.unlink()
            except OSError as error:
                self._report(TrailNotCompressed(error=str(error), file=str(source)))

    def _drop_oldest(self) -> None:
        total = 0
        for path in reversed(closed_files(self._file)):
            try:
                total += path.stat().st_size
                if total > self._total:
                    path.unlink()
            except OSError as error:
                self._report(TrailNotDropped(error=str(error), file=str(path)))
