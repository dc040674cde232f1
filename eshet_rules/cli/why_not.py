"""`eshet-rules why-not`."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eshet.clock import wall_now
from eshet.program import printable
from eshet.server_address import ServerAddress
from eshet_rules.cli.completion import NodePath
from eshet_rules.cli.damages import Damages
from eshet_rules.cli.options import (
    Command,
    PathType,
    exit_on_errors,
    rules_folder,
    runner_options,
    state_dir_option,
)
from eshet_rules.cli.trail_option import audit_option, place_of_trail

if TYPE_CHECKING:
    from eshet_rules.cli.cluster_client import ClusterClient
    from eshet_rules.cli.runner_client import Runner
    from eshet_rules.why_not.answer import WhyNotAnswer
    from eshet_rules.why_not.earlier import Earlier

__all__ = ["why_not"]


class _JsonType(click.ParamType[Any]):
    """A value as JSON, or any other text."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        try:
            return json.loads(str(value))
        except (ValueError, RecursionError):
            python = {"True": True, "False": False, "None": None}
            return python.get(str(value), str(value))


@click.command("why-not", cls=Command)
@click.argument("path", type=NodePath())
@click.option(
    "--is",
    "wanted",
    metavar="VALUE",
    type=_JsonType(),
    multiple=True,
    help="The wanted value, as JSON or as text.  [default: another one; of a bool, the opposite]",
)
@click.option(
    "--depth",
    metavar="N",
    type=click.IntRange(1, 20),
    default=5,
    show_default=True,
    help="Maximum number of rules, one leading to the other.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option(
    "--rules", type=PathType(), metavar="FOLDER", help="The rules folder.  [default: as for run]"
)
@audit_option
@state_dir_option("State folder of the runner.  [default: as for run]")
@runner_options
def why_not(
    path: str,
    wanted: tuple[Any, ...],
    depth: int,
    as_json: bool,
    rules: Path | None,
    audit: Path | None,
    state_dir: Path | None,
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Tell what would have to change for a path to have another value.

    The running rules are asked what holds the value where it is: which inputs, which times, and
    what else is in the way. Asking changes nothing. Without --runner, the rules of all runners of a
    cluster are asked.

    The exit code is 1 if nothing is known of the path, and 3 if a part of the audit trail that was
    read is damaged.
    """
    from eshet_rules.cli.cluster_client import ClusterClient, ask_all

    if len(wanted) > 1:
        raise click.UsageError("pass --is once: a path has one value")
    found: list[WhyNotAnswer] = []

    async def request(running: "Runner") -> None:
        found.append(await _ask(running, path, list(wanted), depth))

    async def cluster_request(cluster: ClusterClient) -> None:
        found.append(await _ask_cluster(cluster, path, list(wanted), depth))

    ask_all(request, cluster_request, server, runner, config)
    [answer] = found
    with exit_on_errors():
        damages = Damages()
        earlier = _earlier(answer.answer, rules, audit, state_dir, config, damages)
        if as_json:
            click.echo(json.dumps(answer.plain(earlier), default=str))
        else:
            for line in answer.lines(earlier, wall_now(UTC)):
                click.echo(line)
    sys.exit(damages.exit_code or int(not answer.is_known))


async def _ask(running: "Runner", path: str, wanted: list[Any], depth: int) -> "WhyNotAnswer":
    from eshet_rules.why_not.answer import ask_why_not

    async def answer(wanted: list[Any]) -> dict[str, Any]:
        plain: dict[str, Any] = await running.call("why_not", path, wanted, depth)
        return plain

    async def used() -> frozenset[str]:
        rules = (await running.reports()).rules
        return frozenset(path for each in rules for path in (*each["reads"], *each["writes"]))

    return await ask_why_not(running.client, path, wanted, answer, used)


async def _ask_cluster(
    cluster: "ClusterClient", path: str, wanted: list[Any], depth: int
) -> "WhyNotAnswer":
    from eshet_rules.why_not.asking import ask_for_path

    rules = [rule for each in (await cluster.reports()).values() for rule in each.rules]

    async def ask(wanted: list[Any]) -> dict[str, Any]:
        found = await cluster.each(
            lambda running: running.call("why_not", path, wanted, depth), cluster.answering
        )
        if not found:
            cluster.check()
        return found

    whose = f"the cluster {cluster.name}"
    answered = await ask_for_path(cluster.client, path, wanted, ask, rules, whose)
    for name, problem in sorted(cluster.problems.items()):
        click.echo(f"eshet-rules: {printable(f'{name}: {problem}')}", err=True)
    if path not in answered.writers:
        for note in cluster.unknown_writers:
            click.echo(f"eshet-rules: {printable(note)}", err=True)
    return answered


def _earlier(
    answer: Mapping[str, Any],
    rules: Path | None,
    audit: Path | None,
    state_dir: Path | None,
    config: Path | None,
    damages: Damages,
) -> "Earlier | None":
    """Return when the path had the wanted value the last time, where that helps; else None."""
    from eshet_rules.audit.trail import open_file
    from eshet_rules.exceptions import RulesError
    from eshet_rules.why.sources import TrailRecords
    from eshet_rules.why_not.earlier import helps, last_time

    if not helps(answer):
        return None
    try:
        file = open_file(audit or place_of_trail(rules_folder(rules), state_dir, config))
    except RulesError:
        return None
    return last_time(TrailRecords(file, damages.report), answer["path"], answer["wanted"][0])
