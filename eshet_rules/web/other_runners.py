"""The other runners of a cluster, and their rules, which they publish."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from eshet.client import Client
from eshet.exceptions import ErrorValue, EshetError
from eshet.paths import word
from eshet.text import safe_str
from eshet_rules.exceptions import ClusterIncomplete
from eshet_rules.runner.publisher import ROOT
from eshet_rules.runner.view import RunnerView
from eshet_rules.web.rules import MOST, is_meant

__all__ = ["OtherRunners"]

_FRESH: Final = 2.0
"""Seconds for which the other runners are not asked again."""

_ANSWER_WITHIN: Final = 2.0
"""How long a runner may take to answer a question, in seconds."""

_SWITCH_WITHIN: Final = 30.0
"""How long a runner may take to enable or disable rules, in seconds."""

_SHOWN: Final = ("rule", "module", "state", "since", "version", "strategy", "restarts", "errors")


class OtherRunners:
    """Asks the other runners of the cluster.

    Args:
        view: the runner.
    """

    def __init__(self, view: RunnerView) -> None:
        self._view = view
        self._answers: dict[str, tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = {}
        self._until = -1.0
        self._asking = asyncio.Lock()

    async def now(self, search: str = "", state: str = "") -> dict[str, Any]:
        """Return all runners of the cluster, and the rules of the others.

        Args:
            search: a part of a name or path, or a glob of a name.
            state: of the rules; empty for any.
        """
        own = self._summary
        if own is None:
            return {"cluster": None, "runners": [], "without_runner": [], "rules": [], "more": 0}
        await self._ask(own)
        runners = [self._runner(own, own, self._view.name)]
        rules = []
        for name in self._others(own):
            summary, of_it = self._answers.get(name, (None, []))
            runners.append(self._runner(own, summary, name))
            rules += [
                {**{key: rule[key] for key in _SHOWN}, "runner": name}
                for rule in of_it
                if (not state or rule["state"] == state)
                and is_meant(rule["rule"], (*rule["reads"], *rule["writes"]), search)
            ]
        rules.sort(key=lambda rule: str(rule["rule"]))
        return {
            "cluster": own["cluster"],
            "runners": sorted(runners, key=lambda each: str(each["name"])),
            "without_runner": own["without_runner"],
            "rules": rules[:MOST],
            "more": max(0, len(rules) - MOST),
        }

    async def switch(self, action: str, rules: Sequence[str]) -> None:
        """Enable or disable rules at the other runners as well, as each of them may run them.

        Args:
            action: `"enable"` or `"disable"`.
            rules: their full names.

        Raises:
            ClusterIncomplete: some runners have not done it.
        """
        own = self._summary
        if own is None or not rules:
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

        await asyncio.gather(*map(ask, self._others(own)))
        if problems:
            raise ClusterIncomplete(problems)

    @property
    def _client(self) -> Client:
        return self._view.client

    @property
    def _summary(self) -> Mapping[str, Any] | None:
        return None if self._view.cluster is None else self._view.cluster()

    def _others(self, own: Mapping[str, Any]) -> list[str]:
        return [word(name) for name in own["runners"] if name != own["runner"]]

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
            "page": known.get("page"),
        }

    async def _ask(self, own: Mapping[str, Any]) -> None:
        async with self._asking:
            loop = asyncio.get_running_loop()
            if loop.time() < self._until:
                return
            names = self._others(own)
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
            async with asyncio.timeout(_ANSWER_WITHIN):
                summary = await self._client.action_call(f"{ROOT}/{name}/cluster")
                while after is not None:
                    page = await self._client.action_call(f"{ROOT}/{name}/list", after)
                    rules += page["rules"]
                    after = page["next"]
        except (EshetError, TimeoutError):
            return None
        return summary, rules
