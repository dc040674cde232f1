"""Ends the process when nothing else has helped, and leaves behind who was to blame.

A call of C can't be interrupted, nor can a rule that swallows every exception. Then nothing but the
end of the process frees the house, and the service manager starts it again. Where Python code can
still run, `end` does that. In a call of C that never returns it can't: so the system sends SIGPROF
when the process has used a time of the processor, and Python's `faulthandler` handles that in C. It
writes where each thread was to a file that was opened beforehand, and lets the signal end the
process. The same file is written to when Python itself crashes.

Time of the processor, rather than time, as a process that is stopped (SIGSTOP, a debugger, a frozen
container) must not be ended for that when it goes on.

The first line of the file says which thread is the main one; further lines of ours say what the
watchdog knew before the end.
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
        self._begin()

    def renew(self) -> None:
        """Begin another file if somebody has deleted this one."""
        if not self.path.exists():
            before = self._file
            self._begin()
            os.close(before)

    def _begin(self) -> None:
        self._file = _created(self.path)
        self._write({"main": f"0x{threading.main_thread().ident or 0:016x}"})
        faulthandler.enable(self._file)
        # chain: after that, the signal does what it does by default, which is to end the process.
        faulthandler.register(signal.SIGPROF, self._file, all_threads=True, chain=True)

    def arm(self, seconds: float) -> None:
        """End the process when it has used so many seconds of the processor.

        Each call begins from 0; `disarm` ends it.
        """
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def disarm(self) -> None:
        """Do not end the process."""
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
        """Write down who is about to be interrupted."""
        self._write({"rule": rule, "file": file, "line": line})

    def close(self) -> None:
        """Take the file away: the process ends well."""
        self.disarm()
        faulthandler.unregister(signal.SIGPROF)
        faulthandler.disable()
        os.close(self._file)
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _write(self, what: dict[str, object]) -> None:
        with contextlib.suppress(OSError):  # no space: it tells less
            os.write(self._file, f"{json.dumps(what)}\n".encode())


def _created(path: Path) -> int:
    """Make a file that is not there before, and return its descriptor."""
    try:
        path.unlink(missing_ok=True)  # so that nothing that was planted is written to
        return open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except OSError:  # no space: it tells nothing, but the process can be ended all the same
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


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
