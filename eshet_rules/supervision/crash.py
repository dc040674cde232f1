"""Ends the process when nothing else has helped, and leaves behind who was to blame.

A call of C can't be interrupted, nor can a rule that swallows every exception. Then nothing but the
end of the process frees the house, and whoever supervises it, as systemd, starts it again. Python's
own `faulthandler` does that from a thread which needs no Python to run; it writes where each thread
was to a file that was opened beforehand. The same file is written to when Python itself crashes.

The first line of the file says which thread is the main one; further lines of ours say what the
watchdog knew before the end.
"""

import faulthandler
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Crash", "CrashFile", "Spot", "read_crash"]

_SECTION: Final = re.compile(r"(?:Current thread|Thread) (0x[0-9a-f]+)")
_FRAME: Final = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)')


class Spot(NamedTuple):
    """A line of a stack.

    Args:
        file: its path.
        line: its number.
        function: its name; `<module>` for what runs when a module is imported.
    """

    file: str
    line: int
    function: str


class Crash(NamedTuple):
    """What a crash file tells.

    Args:
        rule: the full name of the rule that was interrupted before the end, but went on.
        stack: of the main thread, the innermost first.
    """

    rule: str | None
    stack: list[Spot]


class CrashFile:
    """The file that tells of the end of this process, if that should be a bad one.

    Args:
        path: of the file, whose folder is there.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._file = path.open("w")
        self._write({"main": f"0x{threading.main_thread().ident or 0:016x}"})
        faulthandler.enable(self._file)

    def arm(self, seconds: float) -> None:
        """End the process after so many seconds, unless this is called again, or `disarm`."""
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._file)

    def disarm(self) -> None:
        """Do not end the process."""
        faulthandler.cancel_dump_traceback_later()

    def note(self, rule: str | None, file: str, line: int) -> None:
        """Write down who is about to be interrupted."""
        self._write({"rule": rule, "file": file, "line": line})

    def close(self) -> None:
        """Take the file away: the process ends well."""
        self.disarm()
        faulthandler.disable()
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write(self, what: dict[str, object]) -> None:
        self._file.write(json.dumps(what) + "\n")
        self._file.flush()


def read_crash(path: Path) -> Crash | None:
    """Return what a crash file tells; None if it can't be read, or tells of no crash."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    notes = list(_notes(lines))
    main = next((note["main"] for note in notes if "main" in note), None)
    sections = _sections(lines)
    stack = sections.get(str(main)) or next(iter(sections.values()), [])
    if not stack:
        return None
    rules = [note["rule"] for note in notes if isinstance(note.get("rule"), str)]
    return Crash(str(rules[-1]) if rules else None, stack)


def _notes(lines: list[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:  # cut off by the end
                continue


def _sections(lines: list[str]) -> dict[str, list[Spot]]:
    """Return the stack of each thread, the innermost first."""
    sections: dict[str, list[Spot]] = {}
    stack: list[Spot] = []
    for line in lines:
        if section := _SECTION.match(line):
            stack = sections.setdefault(section[1], [])
        elif frame := _FRAME.match(line):
            stack.append(Spot(frame["file"], int(frame["line"]), frame["function"]))
    return sections
