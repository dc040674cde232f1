"""What was regular in the last week and has stopped, as `eshet-rules stats` finds it.

That reads the whole week of the trail, so it runs in a process of its own with low priority, and
only while somebody looks at the page.
"""

import asyncio
import json
from typing import Any, Final

from eshet_rules.runner.side_process import run_beside
from eshet_rules.runner.view import RunnerView

__all__ = ["Silences"]

_FIRST: Final = 5.0
"""Seconds from the first visit to the search: the first view is more urgent."""

_EVERY: Final = 3600.0
"""Seconds from one search to the next."""

_CODE: Final = (
    "import os; os.nice(15); from eshet_rules.cli import main; "
    "main(['stats', '--format', 'json', '--audit', {trail!r}])"
)


class Silences:
    """Searches for silences.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view
        self.latest: dict[str, str] = {}
        """Since when, by the path or rule that is silent."""

    async def run(self, visited: asyncio.Event) -> None:
        """Search once an hour, until this is cancelled.

        Args:
            visited: set while somebody looks at the page.
        """
        while True:
            await visited.wait()
            await asyncio.sleep(_FIRST)
            await self.search()
            await asyncio.sleep(_EVERY)

    async def search(self) -> None:
        """Search now; without a trail, or if that fails, nothing changes."""
        trail = self._view.trail
        if trail is None:
            return
        try:
            answer, _ = await run_beside(_CODE.format(trail=str(trail)))
            found: list[Any] = json.loads(answer)["silences"]
        except (OSError, ValueError, LookupError, TypeError):
            return
        self.latest = {str(each["what"]): str(each["since"]) for each in found}
