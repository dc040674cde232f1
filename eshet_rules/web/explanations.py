"""Why a path has its value, and why it has not another one."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from eshet.clock import wall_now
from eshet_rules.audit.query import ENDLESS, stamp_of
from eshet_rules.audit.redaction import REDACTED
from eshet_rules.runner.view import RunnerView
from eshet_rules.why.answer import WhyAnswer, facts_of
from eshet_rules.why.explanation import Explanation, explain
from eshet_rules.why.memory import recent_records
from eshet_rules.why.sources import ListedRecords, Records, TrailRecords
from eshet_rules.why_not.answer import ask_why_not
from eshet_rules.why_not.earlier import Earlier, helps, last_time

__all__ = ["Explanations"]

_DEPTH: Final = 10
_DEPTH_OF_WHY_NOT: Final = 5
_INDENT: Final = 2

# Not the rest of another name, such as that of a client: eshet-rules/house/hall.
_PATH: Final = re.compile(r"(?<!\S)/\w+(?:/\w+)*", re.ASCII)

_NAME: Final = re.compile(r"\w[\w.]*(?:\[[^\]]*\])?")


class Explanations:
    """Answers questions about paths, in the words of the commands.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view

    async def why(self, path: str, at: datetime | None = None) -> dict[str, Any]:
        """Return why a path has, or had, its value.

        Args:
            path: the path.
            at: the time of the value; None for now.

        Returns:
            `lines`, each with its `level` in the tree and its `text`; and `answer`, which
            `eshet-rules why --json` prints.
        """
        facts = None
        if at is None:
            facts = await facts_of(self._view.client, path, self._view.explaining.why(path))
            facts = replace(facts, values=self._shown(path, facts.values))
        earlier = self._records()
        records = earlier if facts is None else recent_records(facts.known, earlier)
        before = ENDLESS if at is None else stamp_of(at)
        explanation = await self._view.threads.run(_explain, path, records, before)
        answer = WhyAnswer(path, explanation, facts)
        return {
            "lines": self._lines(answer.lines(at or wall_now(UTC))),
            "answer": self._view.redaction.value(answer.plain()),
        }

    async def why_not(self, path: str, wanted: list[Any]) -> dict[str, Any]:
        """Return what would have to change for a path to have another value.

        Args:
            path: the path.
            wanted: a list with the wanted value; empty for another one.

        Returns:
            See `why`.
        """
        view = self._view

        async def answer(wanted: list[Any]) -> dict[str, Any]:
            return view.answering.why_not(path, wanted, _DEPTH_OF_WHY_NOT)

        async def used() -> frozenset[str]:
            reports = view.reloader.reports()
            return frozenset(p for each in reports for p in (*each.reads, *each.writes))

        found = await ask_why_not(view.client, path, wanted, answer, used)
        found = replace(found, values=self._shown(path, found.values))
        earlier = None
        if helps(found.answer) and view.trail is not None:
            value = found.answer["wanted"][0]
            earlier = await view.threads.run(_last_time, view.trail, path, value)
        return {
            "lines": self._lines(found.lines(earlier, wall_now(UTC))),
            "answer": view.redaction.value(found.plain(earlier)),
        }

    def _shown(self, path: str, values: list[object]) -> list[object]:
        """Return present values without secrets; that of a state may be Unknown."""
        redaction = self._view.redaction
        return [REDACTED if redaction.hides(path) else redaction.value(each) for each in values]

    def _records(self) -> Records:
        trail = self._view.trail
        return ListedRecords([]) if trail is None else TrailRecords(trail)

    def _lines(self, lines: Iterable[str]) -> list[dict[str, Any]]:
        rules = {report.rule for report in self._view.reloader.last_reports}
        return [_line(each, rules) for each in lines]


def _line(line: str, rules: set[str]) -> dict[str, Any]:
    text = line.lstrip(" ")
    path = _PATH.search(text)
    named = [word for word in _NAME.findall(text) if word in rules]
    return {
        "level": (len(line) - len(text)) // _INDENT,
        "text": text,
        "path": None if path is None else path[0],
        "rule": named[0] if named else None,
        "rules": named,
    }


def _explain(path: str, records: Records, before: str) -> Explanation:
    return explain(path, records, before=before, depth=_DEPTH)


def _last_time(trail: Path, path: str, wanted: object) -> Earlier | None:
    return last_time(TrailRecords(trail), path, wanted)
