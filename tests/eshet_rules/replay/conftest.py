"""Houses whose day is recorded as an audit trail."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eshet_rules.audit.lines import encode
from eshet_rules.replay.recording import Recording, read_recording
from eshet_rules.testing.house import House

START = datetime(2026, 3, 28, 18, tzinfo=UTC)

Day = Callable[[House], Awaitable[None]]


@dataclass
class Recorder:
    """Writes rules, lives a day with them, and reads its recording."""

    folder: Path
    trail: Path

    def write(self, name: str, text: str) -> None:
        """Save a module."""
        (self.folder / f"{name}.py").write_text(text)

    def live(self, day: Day) -> Recording:
        """Let a day pass, and return its recording."""
        with House([self.folder], START, zone=None) as house:
            house.run(day(house))
            end = house.now
            records = [each.record for each in house.happenings.all]
        ours = [r for r in records if isinstance(r, dict) or r.module is not None]
        self.trail.write_bytes(b"".join(map(encode, ours)))
        return read_recording(self.trail, START, end)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    (tmp_path / "rules").mkdir()
    return Recorder(tmp_path / "rules", tmp_path / "trail.jsonl")
