"""`eshet-rules why`."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from eshet.clock import wall_now
from eshet.text import safe_repr
from eshet.unknown import Unknown
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
from eshet_rules.cli.time_option import MOMENT
from eshet_rules.cli.trail_option import audit_option, place_of_trail

if TYPE_CHECKING:
    from eshet_rules.cli.runner_client import Runner
    from eshet_rules.why.explanation import Explanation
    from eshet_rules.why.sources import Record, Records

__all__ = ["why"]


class _Live(NamedTuple):
    """What a running runner and its server know of a path.

    Args:
        known: see `eshet_rules.runner.explaining.Explaining.why`.
        values: a list with the present value of the path; empty if it has none.
        owner: the id of the client that provides the path; None if none does.
        paths: all paths of the server.
    """

    known: dict[str, Any]
    values: list[object]
    owner: object
    paths: list[str]


@click.command(cls=Command)
@click.argument("path", type=NodePath())
@click.option("--at", metavar="TIME", type=MOMENT, help="The time of the value.  [default: now]")
@click.option(
    "--depth",
    metavar="N",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Maximum number of outputs, one leading to the other.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option(
    "--rules", type=PathType(), metavar="FOLDER", help="The rules folder.  [default: as for run]"
)
@audit_option
@state_dir_option("State folder of the runner.  [default: as for run]")
@runner_options
def why(
    path: str,
    at: datetime | None,
    depth: int,
    as_json: bool,
    rules: Path | None,
    audit: Path | None,
    state_dir: Path | None,
    server: str | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Explain why a path has its value: what led to it, back to what came from outside.

    The running runner is asked, and the audit trail is read where it has forgotten. Without a
    runner, and with --at, only the trail is read. Damaged parts of it that were met are reported on
    standard error; the exit code is then 3. It is 1 if nothing is known of the path.

    A TIME is a date, a time of today, or both (2026-11-25T18:30), or an age (90s, 15m, 2h, 3d).
    """
    from eshet_rules.audit.query import ENDLESS, stamp_of
    from eshet_rules.cli.runner_client import answer_of
    from eshet_rules.exceptions import RulesError
    from eshet_rules.why.drives import drive_lines
    from eshet_rules.why.explanation import explain
    from eshet_rules.why.memory import recent_records
    from eshet_rules.why.wording import Wording

    if at is not None and at > wall_now(UTC):
        raise click.UsageError(
            f"--at {at:%Y-%m-%d %H:%M} is in the future: write the date of an earlier day as well"
        )
    with exit_on_errors():
        live = None
        damages = Damages()
        if at is None:
            live = answer_of(lambda running: _ask(running, path), server, runner, config)
            if live is None:
                click.echo("eshet-rules: no runner answers; this is from its audit trail", err=True)
        try:
            records = _trail(rules, audit, state_dir, config, damages)
        except RulesError as error:
            if live is None:
                raise
            records = _nothing()
            if live.known["is_recording"]:
                click.echo(f"eshet-rules: only what the runner remembers: {error}", err=True)
        if live is not None:
            records = recent_records(live.known, records)
        before = ENDLESS if at is None else stamp_of(at)
        explanation = explain(path, records, before=before, depth=depth)
        if as_json:
            content = {**explanation.plain(), **({} if live is None else _facts(live))}
            click.echo(json.dumps(content))
            sys.exit(_exit_code(path, explanation, live, damages))
        places = {} if live is None else live.known["places"]
        wording = Wording(at or wall_now(UTC), place_of=lambda output: _place(places, output))
        for value in () if live is None else live.values:
            if _is_other(value, explanation):
                click.echo(
                    f"{path} is {_text(value)} now, which no rule of this runner has set. Before:"
                )
        if live is not None and explanation.record is None:
            for line in _unrecorded(path, live):
                click.echo(line)
        else:
            for line in wording.lines(explanation):
                click.echo(line)
        if live is not None:
            if drive := live.known["drive"]:
                for line in drive_lines(drive, wall_now(UTC), None):
                    click.echo(line)
            for line in _about(path, explanation, live):
                click.echo(line)
    sys.exit(_exit_code(path, explanation, live, damages))


def _unrecorded(path: str, live: _Live) -> Iterator[str]:
    """Iterate over lines about a path of which nothing is recorded."""
    for value in live.values:
        yield f"{path} is {_text(value)} now"
    writers = live.known["writers"]
    if writers:
        yield f"no rule has sent anything to {path} yet; `eshet-rules why-not {path}` says why"
    elif not live.known["readers"]:
        yield f"{path}: no rule of this runner has read or written it"


async def _ask(running: "Runner", path: str) -> _Live:
    from eshet.client.server_tree import list_nodes
    from eshet.exceptions import EshetError

    known = await running.call("why", path)
    owners: dict[str, Any] = {}
    with contextlib.suppress(EshetError):  # a server of another kind
        owners = {each: owner async for each, _, owner in list_nodes(running.client)}
    values: list[object] = []
    with contextlib.suppress(EshetError):  # it is no state and no property
        if not known["is_secret"]:
            values.append(await running.client.get(path))
    return _Live(known, values, owners.get(path), list(owners))


def _trail(
    rules: Path | None,
    audit: Path | None,
    state_dir: Path | None,
    config: Path | None,
    damages: Damages,
) -> "Records":
    from eshet_rules.audit.trail import file_to_read
    from eshet_rules.why.sources import TrailRecords

    place = audit or place_of_trail(rules_folder(rules), state_dir, config)
    return TrailRecords(file_to_read(place), damages.report)


def _nothing() -> "Records":
    from eshet_rules.why.sources import ListedRecords

    return ListedRecords([])


def _place(places: Mapping[str, Mapping[str, str]], output: "Record") -> str:
    return places.get(output["path"], {}).get(output.get("rule") or "", "")


def _is_other(value: object, explanation: "Explanation") -> bool:
    """Whether the present value is another one than that which is explained."""
    record = explanation.record
    if record is None or explanation.is_from_outside:
        return False
    if record["event"] not in ("output.set", "output.published"):
        return False
    explained = Unknown if record.get("unknown") else record.get("value")
    return bool(value != explained)


def _text(value: object) -> str:
    return "unknown" if value is Unknown else safe_repr(value, 100)


def _facts(live: _Live) -> dict[str, Any]:
    return {
        "owner": live.owner,
        "drive": live.known["drive"],
        "readers": [name for name, *_ in live.known["readers"]],
        "writers": [name for name, *_ in live.known["writers"]],
    }


def _about(path: str, explanation: "Explanation", live: _Live) -> Iterator[str]:
    """Iterate over lines about the path itself."""
    from eshet.paths import nearest

    known = live.known
    for verb, rules in (("written", known["writers"]), ("read", known["readers"])):
        if rules:
            yield f"{verb} by {', '.join(map(_rule, rules))}"
    for name, state, reason in known["stopped"]:
        yield f"{name} is {state} now{f': {reason}' if reason else ''}"
    if live.owner is not None:
        owner = "the server" if live.owner == ["meta"] else live.owner
        yield f"provided by {owner}"
    elif path not in live.paths and explanation.record is None:
        near = nearest(path, live.paths)
        hint = f"did you mean {' or '.join(near)}?" if near else "`eshet ls -r` lists all paths"
        yield f"nothing provides this path; {hint}"
    elif live.paths:
        yield "nothing provides this path now"
    if not known["is_recording"]:
        yield "the runner keeps no audit trail, so it does not know what happened"


def _exit_code(path: str, explanation: "Explanation", live: _Live | None, damages: Damages) -> int:
    """Return 3 if the trail is damaged, and else 1 if nothing is known of the path."""
    is_known = explanation.record is not None or (live is not None and _is_known(path, live))
    return damages.exit_code or int(not is_known)


def _is_known(path: str, live: _Live) -> bool:
    return path in live.paths or bool(live.known["writers"] or live.known["readers"])


def _rule(rule: list[str]) -> str:
    name, state, reason = rule
    if state == "running":
        return name
    return f"{name} ({state}: {reason})" if reason else f"{name} ({state})"
