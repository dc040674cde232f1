"""`eshet-rules why-not`."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from eshet.clock import wall_now
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
    from eshet_rules.cli.runner_client import Runner
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


class _Live(NamedTuple):
    """What a running runner and its server know of a path.

    Args:
        answer: see `eshet_rules.why_not.answering.Answering.why_not`.
        values: a list with the present value of the path; empty if it has none.
        owners: the ids of the clients that provide paths, by path; empty if the server can't list
            them.
        used: the paths that rules use, where no rule uses this one.
    """

    answer: dict[str, Any]
    values: list[object]
    owners: Mapping[str, object]
    used: frozenset[str]

    def absence(self, path: str) -> str:
        """Return that nothing provides a path; empty if something does, or it is not known."""
        from eshet.paths import is_misspelt

        if not self.owners or self.owners.get(path) is not None:
            return ""
        provided = (each for each, owner in self.owners.items() if owner is not None)
        near = [each for each in provided if is_misspelt(path, each)]
        advice = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"nothing provides this path{advice}"

    def is_known(self, path: str) -> bool:
        """Whether a rule uses the path, or it exists at the server."""
        uses = ("rules", "others", "stopped", "readers", "broken")
        return path in self.owners or any(self.answer[each] for each in uses)


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
    server: str | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Tell what would have to change for a path to have another value.

    The running rules are asked what holds the value where it is: which inputs, which times, and
    what else is in the way. Asking changes nothing.

    The exit code is 1 if nothing is known of the path, and 3 if a part of the audit trail that was
    read is damaged.
    """
    from eshet_rules.cli.runner_client import ask
    from eshet_rules.why_not.wording import Wording

    if len(wanted) > 1:
        raise click.UsageError("pass --is once: a path has one value")
    found: list[_Live] = []

    async def request(running: "Runner") -> None:
        found.append(await _ask(running, path, list(wanted), depth))

    ask(request, server, runner, config)
    [live] = found
    with exit_on_errors():
        damages = Damages()
        earlier = _earlier(live, rules, audit, state_dir, config, damages)
        exit_code = damages.exit_code or int(not live.is_known(path))
        if as_json:
            value = {"value": live.values[0] if live.values else None, "owner": _owner(path, live)}
            last = {"last_time": None if earlier is None else earlier.plain()}
            click.echo(json.dumps({**live.answer, **value, **last}, default=str))
            sys.exit(exit_code)
        wording = Wording(wall_now(UTC), absence=live.absence)
        for line in wording.lines(live.answer, live.values):
            click.echo(line)
        for line in [] if earlier is None else earlier.lines(wall_now(UTC)):
            click.echo(line)
        for line in _about(path, live):
            click.echo(line)
    sys.exit(exit_code)


async def _ask(running: "Runner", path: str, wanted: list[Any], depth: int) -> _Live:
    from eshet.client.server_tree import list_nodes
    from eshet.exceptions import EshetError

    values: list[Any] = []
    with contextlib.suppress(EshetError):  # it is no state and no property
        values.append(await running.client.get(path))
    if not wanted and values and isinstance(values[0], bool):
        wanted = [not values[0]]
    answer = await running.call("why_not", path, wanted, depth)
    if answer["is_secret"]:
        values.clear()
    owners: dict[str, object] = {}
    with contextlib.suppress(EshetError):  # a server of another kind
        owners = {each: owner async for each, _, owner in list_nodes(running.client)}
    used: set[str] = set()
    if not (answer["rules"] or answer["others"] or answer["readers"] or path in owners):
        for each in (await running.reports()).rules:
            used.update(each["reads"], each["writes"])
    return _Live(answer, values, owners, frozenset(used))


def _earlier(
    live: _Live,
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
    from eshet_rules.why_not.earlier import last_time

    answer = live.answer
    if not answer["wanted"] or all(each["certain"] for each in answer["rules"]):
        return None
    try:
        file = open_file(audit or place_of_trail(rules_folder(rules), state_dir, config))
    except RulesError:
        return None
    return last_time(TrailRecords(file, damages.report), answer["path"], answer["wanted"][0])


def _owner(path: str, live: _Live) -> object:
    return live.owners.get(path)


def _about(path: str, live: _Live) -> Iterator[str]:
    """Iterate over lines about the path itself."""
    from eshet.paths import nearest

    owner = _owner(path, live)
    if owner is not None:
        yield f"provided by {'the server' if owner == ['meta'] else owner}"
    elif live.is_known(path) and live.owners:
        yield "nothing provides this path now"
    elif live.owners:
        near = nearest(path, {*live.owners, *live.used})
        advice = f"did you mean {' or '.join(near)}?" if near else "`eshet ls -r` lists all paths"
        yield f"nothing provides this path; {advice}"
