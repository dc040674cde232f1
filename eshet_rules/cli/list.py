"""`eshet-rules list`."""

import contextlib
import difflib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eshet.server_address import ServerAddress
from eshet_rules.cli.completion import RuleName
from eshet_rules.cli.options import Command, runner_options

if TYPE_CHECKING:
    from eshet_rules.cli.cluster_client import ClusterClient
    from eshet_rules.cli.runner_client import Runner

__all__ = ["list_"]

_T = TypeVar("_T")

_NEW_RUNNERS = 5.0
"""Seconds after which `--watch` looks for runners that have joined the cluster."""

_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


@click.command("list", cls=Command)
@click.argument("names", nargs=-1, type=RuleName())
@click.option("--watch", is_flag=True, help="Print the list again at every change, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as one line of JSON.")
@runner_options
def list_(
    names: tuple[str, ...],
    watch: bool,
    as_json: bool,
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """List the rules of a running runner and their states: all rules, or NAMES.

    NAMES are rules (hall.hall_light), modules (hall), or globs of either.

    For each rule: its state and since when, version, restarts, numbers of running and waiting
    tasks, strategy, the paths that it reads and writes, those of them that nothing provides, and
    its last error. Below, modules whose files are not loaded or that are rolled back, changes that
    wait to be committed, and the bridges to devices, if there are any.

    Without --runner, the rules of all runners of a cluster are listed, then its runners, and the
    modules that none of them runs.
    """
    from eshet.exceptions import Disconnected
    from eshet.unknown import Unknown
    from eshet_rules.cli.cluster_client import ClusterClient, ask_all, merged
    from eshet_rules.cli.runner_client import Reports, Runner
    from eshet_rules.cli.table import table
    from eshet_rules.exceptions import NoRunner
    from eshet_rules.logs import shows_colours

    colours = shows_colours(sys.stdout)

    async def shown(running: Runner) -> str:
        return text_of(await running.reports(), await running.provided(), {})

    async def shown_all(cluster: ClusterClient) -> str:
        reports = await cluster.reports()
        running = next(iter(cluster.runners.values()))
        about = {
            "cluster": cluster.name,
            "runners": cluster.members(reports),
            "without_runner": cluster.without_runner,
            "needs": cluster.needs,
        }
        return text_of(merged(reports.values()), await running.provided(), about)

    def text_of(reports: Reports, provided: frozenset[str] | None, about: Mapping[str, Any]) -> str:
        rules, broken, bridges, rolled_back, waiting = reports
        needs = about.get("needs", {})
        without_runner = {each: needs.get(each, "") for each in about.get("without_runner", [])}
        if names:
            rules, broken = _named(rules, broken, names, [*waiting, *without_runner])
            without_runner = _of_modules(without_runner, names)
            waiting = _of_modules(waiting, names)
            bridges = []
            modules = {rule["module"] for rule in rules}
            rolled_back = {m: each for m, each in rolled_back.items() if m in {*modules, *names}}
        if provided is not None:  # None if the server does not support the query
            for rule in rules:
                used = {*rule["reads"], *rule["writes"]}
                absent = {path for path in used - provided if path.startswith("/")}
                rule["not_provided"] = sorted(absent)
        if as_json:
            return json.dumps(
                {
                    **about,
                    "rules": rules,
                    "broken": broken,
                    "rolled_back": rolled_back,
                    "waiting": waiting,
                    "bridges": bridges,
                }
            )
        width = shutil.get_terminal_size((80, 24)).columns
        wraps = sys.stdout.isatty()
        return table(
            rules,
            broken,
            bridges,
            rolled_back,
            waiting,
            members=[] if names else about.get("runners", []),
            without_runner=without_runner,
            width=width,
            wraps=wraps,
        )

    async def request(running: Runner) -> None:
        if not watch:
            click.echo(await shown(running), color=colours)
            return
        last = ""
        async for summary in _changes_of(running):
            text, problem = "", ""
            try:
                text = "" if summary is Unknown else await shown(running)
            except NoRunner as error:  # it has exited since, or hangs
                problem = str(error)
            except Disconnected:
                pass
            if not text:
                click.echo(f"eshet-rules: {problem or _absence(running)}", err=True)
            elif text != last:
                click.echo(_between(last, text, as_json=as_json), color=colours)
            last = text

    async def cluster_request(cluster: ClusterClient) -> None:
        if not watch:
            click.echo(await shown_all(cluster), color=colours)
            cluster.check()
            return
        last = ""
        async for present in _changes_of_all(cluster):
            text, problem = "", f"no runner of the cluster {cluster.name!r} answers"
            try:
                text = "" if present is None else await shown_all(present)
            except (NoRunner, Disconnected) as error:
                problem = str(error)
            if text and text != last:
                click.echo(_between(last, text, as_json=as_json), color=colours)
            elif not text and last:
                click.echo(f"eshet-rules: {problem}", err=True)
            last = text

    ask_all(request, cluster_request, server, runner, config)


def _named(
    rules: list[dict[str, Any]],
    broken: dict[str, str],
    names: Sequence[str],
    waiting: Collection[str] = (),
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the rules and broken modules that one of the names matches.

    Args:
        rules: all rules.
        broken: the errors of all broken modules.
        names: the names.
        waiting: further names that exist, of modules with changes that wait or without a runner.

    Raises:
        UnknownName: one of the names matches nothing.
    """
    from eshet_rules.config import is_meant
    from eshet_rules.exceptions import UnknownName

    known = [*broken, *waiting, *(str(rule["rule"]) for rule in rules)]
    for name in names:
        if not any(is_meant(each, name) for each in known):
            near = {*known, *(str(rule["module"]) for rule in rules)}
            similar = difflib.get_close_matches(name, sorted(near), 3)
            raise UnknownName(name, similar, is_folder=Path(name).is_dir())
    return (
        [rule for rule in rules if any(is_meant(str(rule["rule"]), name) for name in names)],
        _of_modules(broken, names),
    )


def _of_modules(modules: dict[str, _T], names: Sequence[str]) -> dict[str, _T]:
    """Return the entries of the modules that one of the names matches."""
    from eshet_rules.config import is_meant

    return {m: each for m, each in modules.items() if any(is_meant(m, n) for n in names)}


async def _changes_of(running: "Runner") -> AsyncIterator[Any]:
    """Iterate over summaries of the runner: the present one, then the newest at each change."""
    import asyncio

    summaries: asyncio.Queue[Any] = asyncio.Queue()
    path = f"{running.base}/runner"
    summaries.put_nowait(await running.client.state_observe(path, summaries.put_nowait))
    while True:
        summary = await summaries.get()
        while not summaries.empty():  # only the newest matters
            summary = summaries.get_nowait()
        yield summary


async def _changes_of_all(cluster: "ClusterClient") -> "AsyncIterator[ClusterClient | None]":
    """Iterate over the runners of a cluster: the present ones, then again whenever one changes.

    None means that no runner answers.
    """
    import asyncio

    from eshet.exceptions import EshetError
    from eshet_rules.cli.cluster_client import find_cluster
    from eshet_rules.exceptions import NoRunner

    changed = asyncio.Event()
    observed: set[str] = set()
    client, address = cluster.client, cluster.address
    present: ClusterClient | None = cluster
    while True:
        for running in () if present is None else present.runners.values():
            if running.base not in observed:
                observed.add(running.base)
                await client.state_observe(f"{running.base}/runner", lambda _: changed.set())
        changed.clear()
        yield present
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NEW_RUNNERS):
                await changed.wait()
        try:
            present = await find_cluster(client, address)
        except (NoRunner, EshetError):
            present = None


def _absence(running: "Runner") -> str:
    if not running.client.connected:
        return f"no connection to {running.address}; trying again"
    return f"the runner {running.name!r} is not running"


def _between(last: str, text: str, *, as_json: bool) -> str:
    """Return the text, preceded by whatever separates it from the text printed before."""
    if as_json or not last:
        return text
    can_clear = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return f"{_CLEAR if can_clear else chr(10)}{text}"
