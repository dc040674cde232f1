"""`eshet-rules audit`."""

import asyncio
import contextlib
import difflib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eshet.server_address import ServerAddress
from eshet_rules.audit.earlier import NAMES_OF_VERSION_1, present_name
from eshet_rules.cli.completion import RuleName
from eshet_rules.cli.damages import Damages
from eshet_rules.cli.options import (
    Command,
    PathType,
    config_option,
    exit_on_errors,
    rules_folder,
    state_dir_option,
)
from eshet_rules.cli.shared_trail import SharedTrail, check_cluster, cluster_option, nats_option
from eshet_rules.cli.time_option import MOMENT
from eshet_rules.cli.trail_option import audit_option, configuration_of, place_of_trail

if TYPE_CHECKING:
    from eshet_rules.audit.query import Reader


@click.command(cls=Command)
@click.argument("rules", type=PathType(), required=False)
@click.option(
    "--rule",
    type=RuleName(),
    metavar="GLOB",
    help="Records of this rule, such as hall.light or 'hall.*'.",
)
@click.option(
    "--path", metavar="GLOB", help="Records about this path, such as /hall/light or '/hall/*'."
)
@click.option(
    "--event",
    metavar="NAME",
    help="Records of this kind, such as 'output.set', or messages with this text.",
)
@click.option("--cause", metavar="ID", help="Records of this cause and of its direct effects.")
@click.option(
    "--chain",
    is_flag=True,
    help="With --cause: everything that led to it, and all its effects.",
)
@click.option("--from", "since", metavar="TIME", type=MOMENT, help="Records from this time on.")
@click.option("--to", "until", metavar="TIME", type=MOMENT, help="Records before this time.")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new records.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, as in the trail.")
@cluster_option
@nats_option
@audit_option
@state_dir_option("State folder of the runner.  [default: as for run]")
@config_option
def audit(
    rules: Path | None,
    rule: str | None,
    path: str | None,
    event: str | None,
    cause: str | None,
    chain: bool,
    since: datetime | None,
    until: datetime | None,
    follow: bool,
    as_json: bool,
    cluster: bool,
    server: ServerAddress | None,
    audit: Path | None,
    state_dir: Path | None,
    config: Path | None,
) -> None:
    """Print the audit trail of the rules in the folder RULES.

    A TIME is a date, a time of today, or both (2026-11-25T18:30), or an age (90s, 15m, 2h, 3d).

    Damaged lines are reported on standard error and skipped; the exit code is then 3.
    """
    from eshet_rules.audit.chain import chain_of
    from eshet_rules.audit.query import ENDLESS, Filter, Reader, stamp_of
    from eshet_rules.audit.trail import file_to_read
    from eshet_rules.logs import renderer, shows_colours

    if chain and cause is None:
        raise click.UsageError("--chain needs a cause: name it with --cause ID.")
    if since and until and since >= until:
        raise click.UsageError("--from must be before --to")
    check_cluster(server, audit, is_cluster=cluster)
    if chain and cluster:
        raise click.UsageError("--chain reads from files: ask one runner, or leave --chain out")
    with exit_on_errors():
        folder = rules_folder(rules)
        wanted = Filter(
            rule=rule,
            path=path,
            event=event,
            cause=None if chain else cause,
            since=stamp_of(since) if since else "",
            until=stamp_of(until) if until else ENDLESS,
        )
        damages = Damages()
        view = renderer(
            "json" if as_json else "console",
            shows_colours(sys.stdout),
            with_causes=True,
            with_date=True,
        )

        def show(record: dict[str, Any]) -> None:
            click.echo(view(None, "", record))

        with contextlib.suppress(KeyboardInterrupt):
            if cluster:
                configuration = configuration_of(folder, config)
                trail = SharedTrail(configuration, server, damages.report, "eshet-rules audit")
                found = asyncio.run(_show_all(trail.read(wanted, follow=follow), show))
            else:
                file = file_to_read(
                    audit or place_of_trail(folder, state_dir, config), must_exist=not follow
                )
                if chain and cause is not None:
                    wanted = replace(wanted, chain=chain_of(file, cause))
                found = _show(Reader(file, wanted, damages.report), show, follow=follow)
            if not found and not damages:
                click.echo(f"eshet-rules: {_nothing(event, path)}", err=True)
    sys.exit(damages.exit_code)


def _show(reader: "Reader", show: Callable[[dict[str, Any]], object], *, follow: bool) -> bool:
    """Print records, and return whether there were any."""
    if follow:
        return asyncio.run(_show_all(reader.follow(), show))
    found = False
    for record in reader.records():
        show(record)
        found = True
    return found


async def _show_all(
    records: AsyncIterator[dict[str, Any]], show: Callable[[dict[str, Any]], object]
) -> bool:
    found = False
    async for record in records:
        show(record)
        found = True
    return found


def _nothing(event: str | None, path: str | None) -> str:
    """Return a message that no record matches, with advice if the filter looks mistyped."""
    from eshet_rules.audit.records.schema import EVENTS

    advice = ""
    if path is not None and not path.startswith(("/", "*")):
        advice = f"; a path begins with a slash, did you mean '/{path}'?"
    elif event is not None and present_name(event) not in EVENTS:
        near = difflib.get_close_matches(event, {*EVENTS, *NAMES_OF_VERSION_1}, n=1, cutoff=0.7)
        meant = list(map(present_name, near))
        advice = f"; did you mean --event {meant[0]!r}?" if meant else ""
    return f"no record matches{advice}"
