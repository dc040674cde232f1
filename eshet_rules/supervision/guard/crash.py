"""Ends the process as a last resort, and records which rule was running.

A call of C code can't be interrupted, nor can a rule that suppresses every exception. Then only a
restart of the process by the service manager helps the other rules. If Python code can still run,
`end` ends the process. During a call of C code that never returns it can't run: so the system sends
SIGPROF when the process has used a certain processor time, and Python's `faulthandler` handles the
signal in C. It writes the stacks of all threads to a file that is already open, and lets the signal
end the process. The same file is written when Python itself crashes.

The limit is processor time, not elapsed time, so that a suspended process (SIGSTOP, a debugger, a
frozen container) is not ended when it continues.

The first line of the file names the main thread; further lines of ours are notes of the watchdog.
"""

import contextlib
import faulthandler
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from eshet.private_files import open_private

__all__ = ["Crash", "CrashFile", "Spot", "read_crash"]

_SECTION: Final = re.compile(r"(?:Current thread|Thread) (0x[0-9a-f]+)")
_FRAME: Final = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)')


class Spot(NamedTuple):
    """A frame of a stack.

    Args:
        file: the path of the file.
        line: the line number.
        function: the name of the function; `<module>` for code that runs at import.
    """

    file: str
    line: int
    function: str


class Crash(NamedTuple):
    """The content of a crash file.

    Args:
        rule: the full name of the rule that was interrupted before the crash; None if unknown.
        stack: the stack of the main thread, the innermost frame first.
    """

    rule: str | None
    stack: list[Spot]


class CrashFile:
    """The file that records a crash of this process.

    Args:
        path: the path of the file, in an existing folder.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._begin()

    def renew(self) -> None:
        """Create the file again if it was deleted."""
        if not self.path.exists():
            before = self._file
            self._begin()
            os.close(before)

    def _begin(self) -> None:
        self._file = _created(self.path)
        self._write({"main": f"0x{threading.main_thread().ident or 0:016x}"})
        faulthandler.enable(self._file)
        # chain: afterwards, the default action of the signal ends the process.
        faulthandler.register(signal.SIGPROF, self._file, all_threads=True, chain=True)

    def arm(self, seconds: float) -> None:
        """End the process when it has used so many seconds of processor time.

        Each call starts from 0; `disarm` cancels it.
        """
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def disarm(self) -> None:
        """Cancel `arm`."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def end(self) -> NoReturn:
        """End the process now, with the exit code 1."""
        if not self._is_open():  # a rule has closed all files
            self._begin()
        faulthandler.dump_traceback(self._file, all_threads=True)
        os._exit(1)

    def _is_open(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except OSError:
            return False

    def note(self, rule: str | None, file: str, line: int) -> None:
        """Record the rule and the place that is about to be interrupted."""
        self._write({"rule": rule, "file": file, "line": line})

    def close(self) -> None:
        """Delete the file, as the process exits normally."""
        self.disarm()
        faulthandler.unregister(signal.SIGPROF)
        faulthandler.disable()
        os.close(self._file)
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _write(self, note: dict[str, object]) -> None:
        with contextlib.suppress(OSError):  # a full disk: the file has less information
            os.write(self._file, f"{json.dumps(note)}\n".encode())


def _created(path: Path) -> int:
    """Create a new file in place of an existing one, and return its descriptor."""
    try:
        path.unlink(missing_ok=True)  # never write to a file or link that was planted
        return open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except OSError:  # a full disk: the information is lost, but the process can be ended
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def read_crash(path: Path) -> Crash | None:
    """Return the content of a crash file; None if it can't be read, or has no stack."""
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
            except ValueError:  # a truncated line
                continue


def _sections(lines: list[str]) -> dict[str, list[Spot]]:
    """Return the stack of each thread, the innermost frame first."""
    sections: dict[str, list[Spot]] = {}
    stack: list[Spot] = []
    for line in lines:
        if section := _SECTION.match(line):
            stack = sections.setdefault(section[1], [])
        elif frame := _FRAME.match(line):
            stack.append(Spot(frame["file"], int(frame["line"]), frame["function"]))
    return sections
