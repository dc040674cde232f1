"""The other runners of a cluster, and their rules, which they publish."""

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from eshet.client import Client
from eshet.exceptions import ErrorValue, EshetError
from eshet.paths import word
from eshet.text import safe_str
from eshet_rules.exceptions import ClusterIncomplete, UnknownName
from eshet_rules.runner.publisher import ROOT
from eshet_rules.runner.view import RunnerView
from eshet_rules.web.questions import Questions
from eshet_rules.web.rules import MOST, is_meant

__all__ = ["OtherRunners"]

_FRESH: Final = 2.0
"""Seconds for which the other runners are not asked again."""

_SWITCH_WITHIN: Final = 30.0
"""How long a runner may take for a command, in seconds."""

_SHOWN: Final = ("rule", "module", "state", "since", "version", "strategy", "restarts", "errors")


class OtherRunners:
    """Knows the other runners and their rules.

    Args:
        view: the runner.
        questions: to the others.
    """

    def __init__(self, view: RunnerView, questions: Questions) -> None:
        self._view = view
        self._questions = questions
        self._answers: dict[str, tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = {}
        self._until = -1.0
        self._asking = asyncio.Lock()

    async def now(self, search: str = "", state: str = "") -> dict[str, Any]:
        """Return all runners of the cluster, and the rules of the others.

        Args:
            search: a part of a name or path, or a glob of a name.
            state: of the rules; empty for any.
        """
        own = self._questions.summary
        if own is None:
            return {"cluster": None, "runners": [], "without_runner": [], "rules": [], "more": 0}
        rules = [
            {key: rule[key] for key in (*_SHOWN, "runner")}
            for rule in await self.rules()
            if (not state or rule["state"] == state)
            and is_meant(rule["rule"], (*rule["reads"], *rule["writes"]), search)
        ]
        runners = [self._runner(own, own, self._view.name)]
        for name in self._questions.names:
            summary, _ = self._answers.get(name, (None, []))
            runners.append(self._runner(own, summary, name))
        return {
            "cluster": own["cluster"],
            "runners": sorted(runners, key=lambda each: str(each["name"])),
            "without_runner": own["without_runner"],
            "rules": rules[:MOST],
            "more": max(0, len(rules) - MOST),
        }

    async def rules(self) -> list[dict[str, Any]]:
        """Return the reports on the rules of the others, each with its `runner`, by their names."""
        await self._ask()
        rules = [
            {**rule, "runner": name} for name, (_, of_it) in self._answers.items() for rule in of_it
        ]
        return sorted(rules, key=lambda rule: str(rule["rule"]))

    async def rule(self, name: str) -> dict[str, Any]:
        """Return the report on a rule of another runner, and what is known of that runner.

        Raises:
            ClusterIncomplete: none has such a rule, and not all of them answer.
            UnknownName: none has such a rule.
        """
        rules = await self.rules()
        own = self._questions.summary or {"runners": {}}
        for rule in rules:
            if rule["rule"] == name:
                runner = rule.pop("runner")
                summary, _ = self._answers[runner]
                about = self._runner(own, summary, runner)
                return {"rule": {**rule, "last_run": None}, "runner": about}
        silent = [each for each in self._questions.names if each not in self._answers]
        if silent:
            raise ClusterIncomplete({each: self._questions.silence(each) for each in silent})
        known = [str(rule["rule"]) for rule in rules]
        raise UnknownName(name, difflib.get_close_matches(name, known, 3))

    async def release(self, path: str) -> list[str] | None:
        """End the override of a path that a rule of another runner drives; None if none does.

        Raises:
            EshetError: that runner has refused it.
            TimeoutError: it does not answer.
        """
        answers = await self._questions.begin().ask("why", path)
        driving = [name for name, known in answers.items() if known["drive"]]
        if not driving:
            return None
        async with asyncio.timeout(_SWITCH_WITHIN):
            done: list[str] = await self._client.action_call(f"{ROOT}/{driving[0]}/release", path)
        return done

    async def switch(self, action: str, rules: Sequence[str]) -> None:
        """Enable or disable rules at the other runners as well, as each of them may run them.

        Args:
            action: `"enable"` or `"disable"`.
            rules: their full names.

        Raises:
            ClusterIncomplete: some runners have not done it.
        """
        if not rules:
            return
        problems: dict[str, str] = {}

        async def ask(name: str) -> None:
            try:
                async with asyncio.timeout(_SWITCH_WITHIN):
                    await self._client.action_call(f"{ROOT}/{name}/{action}", *rules)
            except TimeoutError:
                problems[name] = f"it has not answered {action} for {_SWITCH_WITHIN:g} s"
            except EshetError as error:
                problems[name] = safe_str(error.value if isinstance(error, ErrorValue) else error)

        await asyncio.gather(*map(ask, self._questions.names))
        if problems:
            raise ClusterIncomplete(problems)

    @property
    def _client(self) -> Client:
        return self._view.client

    def _runner(
        self, own: Mapping[str, Any], summary: Mapping[str, Any] | None, name: str
    ) -> dict[str, Any]:
        """Return what is shown of a runner; without a summary, it does not answer."""
        counts = {word(each): count for each, count in own["runners"].items()}
        known = summary or {}
        return {
            "name": name,
            "answers": summary is not None,
            "is_this": summary is own,
            "host": known.get("host"),
            "labels": known.get("labels", []),
            "weight": known.get("weight"),
            "draining": known.get("draining", False),
            "modules": counts.get(word(known.get("runner", name)), 0),
            "page": known.get("page") or _local_page(own, known),
        }

    async def _ask(self) -> None:
        async with self._asking:
            loop = asyncio.get_running_loop()
            if loop.time() < self._until:
                return
            names = self._questions.names
            answers = await asyncio.gather(*map(self._answer, names))
            self._answers = {
                name: answer
                for name, answer in zip(names, answers, strict=True)
                if answer is not None
            }
            self._until = loop.time() + _FRESH

    async def _answer(self, name: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]] | None:
        rules: list[Mapping[str, Any]] = []
        after: str | None = ""
        try:
            summary = await self._questions.request(name, "cluster")
            while after is not None:
                page = await self._questions.request(name, "list", after)
                rules += page["rules"]
                after = page["next"]
        except (EshetError, TimeoutError):
            return None
        return summary, rules


def _local_page(own: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    """Return the page of a runner on this machine, for a browser that must be there as well."""
    is_here = known.get("host") == own.get("host") is not None
    return known.get("local_page") if is_here and own.get("local_page") else None
