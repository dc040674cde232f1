"""`eshet-rules audit`."""

import asyncio
import contextlib
import difflib
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
from eshet_rules.cli.time_option import MOMENT
from eshet_rules.cli.trail_option import audit_option, place_of_trail

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
    with exit_on_errors():
        place = audit or place_of_trail(rules_folder(rules), state_dir, config)
        file = file_to_read(place, must_exist=not follow)
        wanted = Filter(
            rule=rule,
            path=path,
            event=event,
            cause=None if chain else cause,
            chain=chain_of(file, cause) if chain and cause is not None else None,
            since=stamp_of(since) if since else "",
            until=stamp_of(until) if until else ENDLESS,
        )
        damages = Damages()
        reader = Reader(file, wanted, damages.report)
        view = renderer(
            "json" if as_json else "console",
            shows_colours(sys.stdout),
            with_causes=True,
            with_date=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            found = _show(reader, lambda record: view(None, "", record), follow=follow)
            if not found and not damages:
                click.echo(f"eshet-rules: {_nothing(event, path)}", err=True)
    sys.exit(damages.exit_code)


def _show(reader: "Reader", view: Callable[[dict[str, Any]], str], *, follow: bool) -> bool:
    """Print records, and return whether there were any."""
    found = False

    async def show_new() -> None:
        async for record in reader.follow():
            click.echo(view(record))

    if follow:
        asyncio.run(show_new())
    else:
        for record in reader.records():
            click.echo(view(record))
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
