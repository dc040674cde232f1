"""The rules folder of the soak, the runner of it, and what that logs."""

import asyncio
import contextlib
import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.soak.driver import GOOD, good_module
from benchmarks.soak.kinds import Kind, Record
from tests.support.processes import COMMANDS, environment

__all__ = ["LIMIT", "House"]

BLOCKED_AFTER: Final = 0.3
INTERRUPT_AFTER: Final = 1.0
LIMIT: Final = INTERRUPT_AFTER + 0.3
"""Seconds; the watchdog interrupts up to 0.3 s late."""

CONFIGURATION: Final = f"""
[supervision]
blocked_after = {BLOCKED_AFTER}
interrupt_after = {INTERRUPT_AFTER}
end_after = 6.0
min_uptime = 5.0
"""
ADDRESS_SPACE: Final = 2 << 30
"""Bytes, as LimitAS= gives them in a unit."""


class Log:
    """What the runner wrote, read as it grows.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._part = b""
        self.records: list[Record] = []
        self.other_lines = 0

    def read(self) -> None:
        """Read what is new."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *lines, self._part = (self._part + data).split(b"\n")
        for line in lines:
            begin = max(0, line.find(b'{"time": '))  # what a rule prints may have no end of line
            try:
                self.records.append(json.loads(line[begin:]))
            except ValueError:
                self.other_lines += 1

    async def wait_for(
        self, is_it: Callable[[Record], bool], begin: int, seconds: float
    ) -> Record | None:
        """Return the first such record from index `begin` on; None if it does not come in time."""
        for _ in range(int(seconds / 0.05)):
            self.read()
            for record in self.records[begin:]:
                if is_it(record):
                    return record
            begin = len(self.records)
            await asyncio.sleep(0.05)
        return None


class House:
    """The rules folder, and the runner of it.

    Args:
        folder: for all files.
        server: the address.
    """

    def __init__(self, folder: Path, server: str) -> None:
        self.rules: Final = folder / "rules"
        self._state: Final = folder / "state"
        self._audit: Final = folder / "audit"
        self._server = server
        self._output = folder / "log.jsonl"
        self._output.touch()
        self._versions = 0
        self.log: Final = Log(self._output)
        self.process: subprocess.Popen[bytes]
        self.rules.mkdir()
        self.save("eshet-rules.toml", CONFIGURATION)
        for number in range(GOOD):
            self.save(f"good_{number:02}.py", good_module(number))

    def save(self, name: str, text: str) -> None:
        """Save a file as an editor does: whole, under another name first."""
        new = self.rules / f".{name}.new"
        new.write_text(text)
        new.rename(self.rules / name)

    def save_kind(self, kind: Kind) -> None:
        """Save the next version of a hostile module."""
        self._versions += 1
        self.save(f"{kind.name}.py", kind.text(self._versions))

    async def start(self) -> Record:
        """Start the runner, and return the record that says that it runs."""
        begin = len(self.log.records)
        self._start_process()
        record = await self.log.wait_for(
            lambda record: record["event"] == "runner.started", begin, 30
        )
        if record is None:
            raise RuntimeError(f"the runner does not run: {self.log.records[-3:]}")
        return record

    def _start_process(self) -> None:
        options = ["--log-format", "json", "--state-dir", str(self._state)]
        options += ["--audit", str(self._audit)]
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                [str(COMMANDS / "eshet-rules"), "run", str(self.rules), *options],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env={**environment(self._server), "SOAK_STATE": str(self._state)},
            )
        resource.prlimit(self.process.pid, resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    async def ended(self, seconds: float) -> int | None:
        """Return the exit code of the runner; None if it does not end in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return await asyncio.to_thread(self.process.wait, seconds)
        return None

    def resident(self) -> float:
        """Return the runner's memory in MiB; 0 if it has ended."""
        with contextlib.suppress(OSError):
            for text in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if text.startswith("VmRSS"):
                    return int(text.split()[1]) / 1024
        return 0.0

    def close(self) -> None:
        """Kill the runner if it is still there."""
        self.process.kill()
        self.process.wait()
