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
from eshet_rules.cli.nats_option import connected_to_nats, nats_address
from eshet_rules.cli.options import (
    Command,
    PathType,
    address_option,
    config_option,
    exit_on_errors,
    rules_folder,
    state_dir_option,
)
from eshet_rules.cli.time_option import MOMENT
from eshet_rules.cli.trail_option import audit_option, configuration_of, place_of_trail

if TYPE_CHECKING:
    from eshet_rules.audit.query import Damage, Filter, Reader
    from eshet_rules.config import Configuration


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
@click.option(
    "--cluster",
    is_flag=True,
    help="The records of all runners of the cluster, from NATS, whether they run or not.",
)
@address_option(
    "--server", "With --cluster: NATS servers, such as nats://house.  [default: as configured]"
)
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
    _check_cluster(server, audit, is_cluster=cluster, chain=chain)
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
                found = _show_shared(
                    configuration, server, wanted, damages.report, show, follow=follow
                )
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


def _check_cluster(
    server: ServerAddress | None, audit: Path | None, *, is_cluster: bool, chain: bool
) -> None:
    """Check the options that go with `--cluster`, or do not.

    Raises:
        click.UsageError: they contradict each other.
    """
    if not is_cluster:
        if server is not None:
            raise click.UsageError("--server is for --cluster: other trails are read from files")
        return
    if audit is not None:
        raise click.UsageError("--audit names files, and --cluster reads from NATS: choose one")
    if chain:
        raise click.UsageError("--chain reads from files: ask one runner, or leave --chain out")


def _show(reader: "Reader", show: Callable[[dict[str, Any]], object], *, follow: bool) -> bool:
    """Print records, and return whether there were any."""
    if follow:
        return asyncio.run(_show_all(reader.follow(), show))
    found = False
    for record in reader.records():
        show(record)
        found = True
    return found


def _show_shared(
    configuration: "Configuration",
    server: ServerAddress | None,
    wanted: "Filter",
    report: "Callable[[Damage], object]",
    show: Callable[[dict[str, Any]], object],
    *,
    follow: bool,
) -> bool:
    """Print records of all runners of a cluster, and return whether there were any."""
    address = nats_address(configuration, server)

    async def read() -> bool:
        async with connected_to_nats(address, "eshet-rules audit") as connection:
            from eshet_rules.cluster.trail_reader import TrailReader

            reader = TrailReader(connection, configuration.cluster.name, wanted, report)
            return await _show_all(reader.records(follow=follow), show)

    return asyncio.run(read())


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
    from eshet_rules.audit.records import EVENTS

    advice = ""
    if path is not None and not path.startswith(("/", "*")):
        advice = f"; a path begins with a slash, did you mean '/{path}'?"
    elif event is not None and present_name(event) not in EVENTS:
        near = difflib.get_close_matches(event, {*EVENTS, *NAMES_OF_VERSION_1}, n=1, cutoff=0.7)
        meant = list(map(present_name, near))
        advice = f"; did you mean --event {meant[0]!r}?" if meant else ""
    return f"no record matches{advice}"
