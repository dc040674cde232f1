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
from eshet_rules.web.other_runners import OtherRunners
from eshet_rules.web.questions import Question, Questions
from eshet_rules.why import asking as why_asking
from eshet_rules.why.answer import Facts, WhyAnswer, facts_of
from eshet_rules.why.explanation import Explanation, explain
from eshet_rules.why.memory import recent_records
from eshet_rules.why.merging import is_written
from eshet_rules.why.sources import ListedRecords, Records, TrailRecords
from eshet_rules.why_not import asking as why_not_asking
from eshet_rules.why_not.answer import WhyNotAnswer, ask_why_not
from eshet_rules.why_not.earlier import Earlier, helps, last_time

__all__ = ["Explanations"]

_DEPTH: Final = 10
_DEPTH_OF_WHY_NOT: Final = 5
_INDENT: Final = 2

# Not the rest of another name, such as that of a client: eshet-rules/house/hall.
_PATH: Final = re.compile(r"(?<!\S)/\w+(?:/\w+)*", re.ASCII)

_NAME: Final = re.compile(r"\w[\w.]*(?:\[[^\]]*\])?")


class Explanations:
    """Answers questions about paths, in the words of the commands; for all runners of a cluster.

    Args:
        view: the runner.
        questions: to the other runners of its cluster.
        others: knows their rules.
    """

    def __init__(self, view: RunnerView, questions: Questions, others: OtherRunners) -> None:
        self._view = view
        self._questions = questions
        self._others = others

    async def why(self, path: str, at: datetime | None = None) -> dict[str, Any]:
        """Return why a path has, or had, its value.

        Args:
            path: the path.
            at: the time of the value; None for now.

        Returns:
            `lines`, each with its `level` in the tree and its `text`; `answer`, which
            `eshet-rules why --json` prints; and `gaps`: texts about what is missing in it.
        """
        question = self._questions.begin()
        facts = None if at is not None else await self._facts(path, question)
        is_known = facts is None or is_written(facts.known, path)
        gaps = [*question.gaps, *([] if is_known else self._questions.unknown_writers)]
        earlier = self._records()
        records = earlier if facts is None else recent_records(facts.known, earlier)
        before = ENDLESS if at is None else stamp_of(at)
        explanation = await self._view.threads.run(_explain, path, records, before)
        answer = WhyAnswer(path, explanation, facts)
        return {
            "lines": await self._lines(answer.lines(at or wall_now(UTC))),
            "answer": self._view.redaction.value(answer.plain()),
            "gaps": gaps,
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
        gaps: list[str] = []
        if self._questions.cluster is None:
            found = await self._why_not_here(path, wanted)
        else:
            found, gaps = await self._why_not_of_all(path, wanted)
        found = replace(found, values=self._shown(path, found.values))
        earlier = None
        if helps(found.answer) and view.trail is not None:
            value = found.answer["wanted"][0]
            earlier = await view.threads.run(_last_time, view.trail, path, value)
        return {
            "lines": await self._lines(found.lines(earlier, wall_now(UTC))),
            "answer": view.redaction.value(found.plain(earlier)),
            "gaps": gaps,
        }

    async def _facts(self, path: str, question: Question) -> Facts:
        view, cluster = self._view, self._questions.cluster

        async def ask(path: str) -> dict[str, Any]:
            others = await question.ask("why", path)
            return {view.name: view.explaining.why(path), **others}

        if cluster is None:
            facts = await facts_of(view.client, path, view.explaining.why(path))
        else:
            known = await why_asking.ask_for_path(path, ask)
            facts = await facts_of(view.client, path, known, f"the cluster {cluster}")
        return replace(facts, values=self._shown(path, facts.values))

    async def _why_not_here(self, path: str, wanted: list[Any]) -> WhyNotAnswer:
        view = self._view

        async def answer(wanted: list[Any]) -> dict[str, Any]:
            return view.answering.why_not(path, wanted, _DEPTH_OF_WHY_NOT)

        async def used() -> frozenset[str]:
            reports = view.reloader.reports()
            return frozenset(p for each in reports for p in (*each.reads, *each.writes))

        return await ask_why_not(view.client, path, wanted, answer, used)

    async def _why_not_of_all(self, path: str, wanted: list[Any]) -> tuple[WhyNotAnswer, list[str]]:
        """Return the answer of all runners of the cluster, and what is missing in it."""
        view = self._view
        own = [{**each.plain(), "runner": view.name} for each in view.reloader.reports()]
        rules = [*own, *await self._others.rules()]
        question = self._questions.begin()

        async def ask(wanted: list[Any]) -> dict[str, Any]:
            others = await question.ask("why_not", path, wanted, _DEPTH_OF_WHY_NOT)
            return {view.name: view.answering.why_not(path, wanted, _DEPTH_OF_WHY_NOT), **others}

        whose = f"the cluster {self._questions.cluster}"
        found = await why_not_asking.ask_for_path(view.client, path, wanted, ask, rules, whose)
        notes = [] if path in found.writers else self._questions.unknown_writers
        return found, [*question.gaps, *notes]

    def _shown(self, path: str, values: list[object]) -> list[object]:
        """Return present values without secrets; that of a state may be Unknown."""
        redaction = self._view.redaction
        return [REDACTED if redaction.hides(path) else redaction.value(each) for each in values]

    def _records(self) -> Records:
        trail = self._view.trail
        return ListedRecords([]) if trail is None else TrailRecords(trail)

    async def _lines(self, lines: Iterable[str]) -> list[dict[str, Any]]:
        rules = {report.rule for report in self._view.reloader.last_reports}
        rules |= {str(rule["rule"]) for rule in await self._others.rules()}
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
