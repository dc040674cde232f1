"""`eshet-rules graph`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eshet.server_address import ServerAddress
from eshet_rules.cli.completion import RuleName
from eshet_rules.cli.options import Command, PathType, exit_on_errors, runner_options

if TYPE_CHECKING:
    from eshet_rules.graph.drawing import Drawing

__all__ = ["graph"]


@click.command(cls=Command)
@click.argument("names", nargs=-1, type=RuleName(or_node=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot", "json"]),
    default="mermaid",
    show_default=True,
    help="Mermaid for Markdown pages, dot for Graphviz, or JSON.",
)
@click.option(
    "--rule", metavar="NAME", type=RuleName(), help="Draw the inside of this running rule."
)
@click.option(
    "--rules",
    type=PathType(),
    metavar="FOLDER",
    help="Draw the rules of this folder, without a runner.",
)
@runner_options
def graph(
    names: tuple[str, ...],
    form: str,
    rule: str | None,
    rules: Path | None,
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Draw which paths the rules of a running runner read and write.

    NAMES are rules, modules or paths, or globs of them: only what is next to one of them is drawn.

    With --rule, the inside of a rule is drawn: its Values and Events with their present values, and
    its outputs. Without --runner, the rules of all runners of a cluster are drawn.
    """
    from eshet_rules.cli.cluster_client import ClusterClient, ask_all, merged
    from eshet_rules.cli.runner_client import Runner

    if rule is not None and (names or rules is not None):
        raise click.UsageError("--rule draws one running rule: leave out NAMES and --rules")
    if rules is not None:
        with exit_on_errors():
            _print_paths(_of_folder(rules, config), names, form)
        return

    async def request(running: Runner) -> None:
        from eshet_rules.graph.drawing import Drawing

        if rule is not None:
            _print(Drawing.restored(await running.call("inside", rule)), form)
        else:
            _print_paths((await running.reports()).rules, names, form)

    async def cluster_request(cluster: ClusterClient) -> None:
        reports = await cluster.reports()
        if rule is None:
            _print_paths(merged(reports.values()).rules, names, form)
        else:
            [holder, *_] = cluster.holders(reports, [rule])
            await request(cluster.runners[holder])
        cluster.check()

    ask_all(request, cluster_request, server, runner, config)


def _print_paths(rules: Iterable[Mapping[str, Any]], names: tuple[str, ...], form: str) -> None:
    from eshet_rules.graph.paths import draw_paths

    _print(draw_paths(rules, names), form)


def _print(drawing: "Drawing", form: str) -> None:
    from eshet_rules.graph.drawing import FORMATS

    for line in FORMATS[form](drawing):
        click.echo(line)


def _of_folder(folder: Path, config: Path | None) -> list[Mapping[str, Any]]:
    """Return reports on the rules of a folder, which are set up beside the house."""
    from eshet_rules.check.loading import load_rules
    from eshet_rules.config import FILE_NAME, ConfigurationFile
    from eshet_rules.modules.discovery import Discovery, check_folder

    absolute = check_folder(folder)
    file = ConfigurationFile(config or folder / FILE_NAME, must_exist=config is not None)
    configuration = file.read()
    sources = Discovery(absolute, configuration.watch.exclude)()
    loaded = load_rules(absolute, sources, configuration)
    for name in sorted(loaded.failed):
        click.echo(f"eshet-rules: {name} can't be set up: see `eshet-rules check`", err=True)
    return [each.plain() for each in loaded.reports]
