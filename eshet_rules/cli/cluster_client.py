"""Finds the runners of a cluster, and calls the actions of all of them."""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from eshet.client import Client
from eshet.exceptions import Disconnected
from eshet.paths import word
from eshet.server_address import ServerAddress
from eshet_rules.cli.options import exit_on_errors
from eshet_rules.cli.runner_client import (
    Reports,
    Runner,
    connect_and_run,
    only_runner,
    published_actions,
)
from eshet_rules.cluster.absence import absence, silence, unknown_writers
from eshet_rules.config import is_meant
from eshet_rules.exceptions import (
    ClusterIncomplete,
    NoRunner,
    RefusedByRunner,
    ServerUnreachable,
    UnknownName,
)

__all__ = ["ClusterClient", "answer_of_all", "ask_all", "find_cluster", "merged"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class ClusterClient:
    """The running runners of a cluster.

    Args:
        name: of the cluster.
        runners: those that answer, by the names under which they publish.
        summaries: what each of them knows of the cluster; see
            `eshet_rules.cluster.summary.summarize`.
        problems: why others do not answer, by name. Requests add those of runners that refuse one.
    """

    name: str
    runners: Mapping[str, Runner]
    summaries: Mapping[str, Mapping[str, Any]]
    problems: dict[str, str]

    @property
    def client(self) -> Client:
        """A client of the server."""
        return next(iter(self.runners.values())).client

    @property
    def address(self) -> str:
        """The address of the server."""
        return next(iter(self.runners.values())).address

    @property
    def answering(self) -> list[str]:
        """The names of the runners that have fulfilled all requests so far."""
        return [name for name in self.runners if name not in self.problems]

    async def each(
        self, request: Callable[[Runner], Awaitable[_T]], names: Iterable[str] | None = None
    ) -> dict[str, _T]:
        """Return the results of a request, by the names of the runners that have fulfilled it.

        Args:
            request: called with each runner.
            names: those of the runners; None for all.
        """
        asked = [self.runners[each] for each in (self.runners if names is None else names)]
        results = await asyncio.gather(*(self._result(request, each) for each in asked))
        return {name: result for each in results for name, result in each.items()}

    async def reports(self) -> dict[str, Reports]:
        """Return what each runner reports; each rule and bridge has its `runner`."""
        found = await self.each(lambda running: running.reports())
        for name, reports in found.items():
            for each in (*reports.rules, *reports.bridges):
                each["runner"] = name
        return found

    def members(self, reports: Mapping[str, Reports]) -> list[dict[str, Any]]:
        """Return what is known of each runner, as plain data, in the order of their names.

        Args:
            reports: see `reports`.
        """
        answering = [
            {
                "name": name,
                "answers": name in reports,
                "host": summary["host"],
                "labels": summary["labels"],
                "weight": summary["weight"],
                "draining": summary["draining"],
                "publication": summary.get("publication"),
                "publication_problem": summary.get("publication_problem", ""),
                "page": summary["page"],
                "modules": sorted({str(rule["module"]) for rule in reports[name].rules})
                if name in reports
                else [],
            }
            for name, summary in self.summaries.items()
        ]
        others = self.problems.keys() - self.summaries.keys()
        silent = [
            {"name": name, "answers": False, "modules": _modules_of(name, self.summaries)}
            for name in others
        ]
        return sorted([*answering, *silent], key=lambda each: str(each["name"]))

    @property
    def without_runner(self) -> list[str]:
        """The modules that no runner runs, as far as the runners that answer know."""
        return sorted({name for each in self.summaries.values() for name in each["without_runner"]})

    @property
    def needs(self) -> dict[str, str]:
        """Of the modules that no runner may run: the condition on runners, by module."""
        return {
            module: condition
            for known in self.summaries.values()
            for module, condition in known.get("needs", {}).items()
        }

    @property
    def unknown_writers(self) -> list[str]:
        """Notes about what is not known of a path that no rule writes."""
        return unknown_writers(self.without_runner, self.needs)

    def absence(self, module: str) -> str:
        """Return that no runner runs a module, and why not if that is known."""
        return absence(module, self.needs)

    def holders(self, reports: Mapping[str, Reports], names: Sequence[str]) -> dict[str, list[str]]:
        """Return those names that mean a rule or module of a runner, by the name of the runner.

        Args:
            reports: see `reports`.
            names: names of rules or modules, or globs of either.

        Raises:
            ClusterIncomplete: one of the names means nothing, and not all runners answer.
            NoRunner: one of the names is that of a module that no runner runs, or of its rule.
            UnknownName: one of the names means nothing at any runner.
        """
        known = {
            runner: [*(str(rule["rule"]) for rule in each.rules), *each.broken, *each.waiting]
            for runner, each in reports.items()
        }
        found: dict[str, list[str]] = {}
        for name in names:
            meant = [r for r, of_it in known.items() if any(is_meant(each, name) for each in of_it)]
            if not meant:
                self.check()
                for module in self.without_runner:
                    if name == module or name.startswith(f"{module}."):
                        raise NoRunner(self.absence(module))
                modules = [str(rule["module"]) for each in reports.values() for rule in each.rules]
                near = {*modules, *(each for of_it in known.values() for each in of_it)}
                raise UnknownName(name, difflib.get_close_matches(name, sorted(near), 3))
            for runner in meant:
                found.setdefault(runner, []).append(name)
        return found

    def check(self) -> None:
        """Check that no runner was missing.

        Raises:
            ClusterIncomplete: one does not answer, or has refused a request.
        """
        if self.problems:
            raise ClusterIncomplete(dict(sorted(self.problems.items())))

    async def _result(
        self, request: Callable[[Runner], Awaitable[_T]], running: Runner
    ) -> dict[str, _T]:
        try:
            return {running.name: await request(running)}
        except (NoRunner, RefusedByRunner) as error:
            self.problems[running.name] = str(error)
            return {}


def merged(reports: Iterable[Reports]) -> Reports:
    """Return the reports of several runners as one, the rules in the order of their names."""
    whole = Reports([], {}, [], {}, {})
    for each in reports:
        whole.rules.extend(each.rules)
        whole.broken.update(each.broken)
        whole.bridges.extend(each.bridges)
        whole.rolled_back.update(each.rolled_back)
        whole.waiting.update(each.waiting)
    whole.rules.sort(key=lambda rule: (rule["rule"], rule.get("runner", "")))
    return whole


def ask_all(
    of_one: Callable[[Runner], Awaitable[None]],
    of_cluster: Callable[[ClusterClient], Awaitable[None]],
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Connect to a runner or to a whole cluster and run a request; on an error, print it and exit.

    Args:
        of_one: called with the runner that is named, or the only one.
        of_cluster: called with the cluster, if no runner is named and those of the server are the
            runners of one cluster.
        server: see `eshet_rules.cli.runner_client.ask`.
        runner: see there.
        config: see there.
    """
    with exit_on_errors():
        connect_and_run(_working(of_one, of_cluster, runner), server, config)


def answer_of_all(
    of_one: Callable[[Runner], Awaitable[_T]],
    of_cluster: Callable[[ClusterClient], Awaitable[_T]],
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> _T | None:
    """Return the result of a request; None if no runner answers there.

    The arguments are those of `ask_all`.

    Raises:
        RulesError: a runner has refused the request.
    """
    try:
        return connect_and_run(_working(of_one, of_cluster, runner), server, config)
    except (Disconnected, ServerUnreachable, NoRunner):
        return None


def _working(
    of_one: Callable[[Runner], Awaitable[_T]],
    of_cluster: Callable[[ClusterClient], Awaitable[_T]],
    runner: str | None,
) -> Callable[[Client, str, str | None], Awaitable[_T]]:
    async def work(client: Client, address: str, configured: str | None) -> _T:
        if name := runner or configured:
            return await of_one(Runner(client, name, address))
        cluster = await find_cluster(client, address)
        if cluster is None:
            return await of_one(await only_runner(client, address))
        return await of_cluster(cluster)

    return work


async def find_cluster(client: Client, address: str) -> ClusterClient | None:
    """Return the cluster of the runners of a server; None if they are not those of one cluster.

    Args:
        client: of the server.
        address: of the server.

    Raises:
        NoRunner: they are in a cluster, but none of them answers.
    """
    actions = await published_actions(client)
    if not actions or not all("cluster" in each for each in actions.values()):
        return None
    runners = {name: Runner(client, name, address) for name in actions}
    found = ClusterClient("", runners, {}, {})
    summaries = await found.each(lambda running: running.call("cluster"))
    for name in [name for name, each in summaries.items() if not _is_summary(each)]:
        del summaries[name]
        found.problems[name] = "its answer is not that of a runner"
    if not summaries:
        raise NoRunner("\n".join(f"{name}: {text}" for name, text in found.problems.items()))
    clusters = {str(each["cluster"]) for each in summaries.values()}
    if len(clusters) > 1:
        return None
    answering = {word(each["runner"]) for each in summaries.values()}
    present = {word(name) for each in summaries.values() for name in each["runners"]}
    problems = {
        name: f"{silence(_modules_of(name, summaries))}; look at its log, or stop it and start it "
        "again"
        for name in (present | found.problems.keys()) - answering
    }
    return ClusterClient(
        clusters.pop(), {name: runners[name] for name in summaries}, summaries, problems
    )


def _modules_of(runner: str, summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the modules that a runner has, as far as others know; its name is that in paths."""
    return sorted(
        {
            module
            for each in summaries.values()
            for name, modules in each.get("held", {}).items()
            if word(name) == runner
            for module in modules
        }
    )


def _is_summary(answer: object) -> bool:
    """Whether an answer may be that of a runner: any client can register such a path."""
    match answer:
        case {"cluster": str(), "runner": str(), "runners": dict() | list()}:
            return True
    return False
