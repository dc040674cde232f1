"""A running `eshet-rules run` in a process of its own, and what it says."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.processes import line, running
from tests.support.rules import Folder

__all__ = ["Runner", "runner"]

Record = dict[str, Any]

PATIENCE = 15.0
"""Seconds."""


class Runner:
    """The process, whose records are read as they are waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.records: list[Record] = []
        """All that were read."""

    def wait_for(self, event: str, **fields: object) -> Record:
        """Read on to a record of this event, and return it."""
        with self._patience():
            while text := line(self.process):
                record: Record = json.loads(text)
                self.records.append(record)
                if record["event"] == event and fields.items() <= record.items():
                    return record
        said = [(record["event"], record.get("error")) for record in self.records[-5:]]
        raise AssertionError(f"it ended before it said {event!r} {fields}, but said {said}")

    def wait(self) -> int:
        """Read on to the end of the process, and return its exit code."""
        with self._patience():
            while text := line(self.process):
                self.records.append(json.loads(text))
        return self.process.wait(timeout=20)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """End the process when it says nothing of what is waited for, so that the test fails.

        It then prints where it was, in each of its threads.
        """
        timer = threading.Timer(PATIENCE, self.process.send_signal, [signal.SIGABRT])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end, and return the exit code."""
        self.process.send_signal(number)
        return self.wait()


@contextmanager
def runner(folder: Folder, server: str, *options: str) -> Iterator[Runner]:
    """Run the rules of a folder, until the end of the `with` statement at the latest."""
    arguments = ["run", str(folder.path), "--log-format", "json", *options]
    with running("eshet-rules", *arguments, server=server) as process:
        yield Runner(process)
