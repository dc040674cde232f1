"""Asks the runners of a cluster what would have to change for a path to have another value."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from eshet.client import Client
from eshet_rules.why_not.answer import WhyNotAnswer, ask_why_not
from eshet_rules.why_not.merging import merge_answers

__all__ = ["ask_for_path"]


async def ask_for_path(
    client: Client,
    path: str,
    wanted: list[Any],
    ask: Callable[[list[Any]], Awaitable[Mapping[str, Mapping[str, Any]]]],
    rules: Sequence[Mapping[str, Any]],
    whose: str,
) -> WhyNotAnswer:
    """Return the answer for a path from all runners.

    Args:
        client: of the server.
        path: the path.
        wanted: see `ask_why_not`.
        ask: returns the answer of each runner, by its name, given the wanted value; see
            `Answering.why_not`.
        rules: the reports on the rules of all runners, each with its `runner`.
        whose: whose rules are known, such as `the cluster house`.
    """

    async def answer(wanted: list[Any]) -> dict[str, Any]:
        return merge_answers(await ask(wanted))

    async def used() -> frozenset[str]:
        return frozenset(path for each in rules for path in (*each["reads"], *each["writes"]))

    found = await ask_why_not(client, path, wanted, answer, used)
    writers: dict[str, list[str]] = {}
    for rule in rules:
        for each in rule["writes"]:
            writers.setdefault(each, []).append(f"{rule['rule']} at {rule['runner']}")
    return replace(found, writers=writers, whose=whose)
