"""A folder of rules to edit, and a log to read back."""

import io
import json
import textwrap
from pathlib import Path
from typing import Any

from eshet_rules.audit.records.schema import check
from eshet_rules.logs import make_logger
from eshet_rules.modules.discovery import Source, discover

__all__ = ["Folder", "Log"]


class Folder:
    """A rules folder, edited as a user does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        """Save a file; its name is relative to the folder."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def sources(self) -> dict[str, Source]:
        return discover(self.path)

    async def look(self) -> dict[str, Source]:
        return self.sources()


class Log:
    """A logger, and what it wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.logger = make_logger(self.stream, "json")

    def clear(self) -> None:
        """Forget what was written."""
        self.stream.seek(0)
        self.stream.truncate()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def check(self) -> None:
        """Check that each record has the schema of its event."""
        for record in self.records:
            check(record)

    def events(self, module: str | None = None) -> list[str]:
        return [r["event"] for r in self.records if module in (None, r.get("module"))]

    def find(self, event: str) -> dict[str, Any]:
        """Return the only record of an event."""
        [record] = [record for record in self.records if record["event"] == event]
        return record
