"""`eshet-rules why`."""

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
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
from eshet_rules.cli.shared_trail import SharedTrail, cluster_option
from eshet_rules.cli.time_option import MOMENT
from eshet_rules.cli.trail_option import (
    audit_option,
    configuration_of,
    place_of_state,
    place_of_trail,
)

if TYPE_CHECKING:
    from eshet_rules.cli.cluster_client import ClusterClient
    from eshet_rules.cli.runner_client import Runner
    from eshet_rules.why.answer import Facts
    from eshet_rules.why.explanation import Explanation
    from eshet_rules.why.sources import Records

__all__ = ["why"]


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
@click.option(
    "--needed",
    is_flag=True,
    help="Mark which inputs from outside were needed: replay the output without each of them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option(
    "--rules",
    type=PathType(),
    metavar="FOLDER",
    help="The rules folder.  [default: that of the runner, else as for run]",
)
@cluster_option
@audit_option
@state_dir_option("State folder of the runner.  [default: as for run]")
@runner_options
def why(
    path: str,
    at: datetime | None,
    depth: int,
    needed: bool,
    as_json: bool,
    rules: Path | None,
    cluster: bool,
    audit: Path | None,
    state_dir: Path | None,
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """Explain why a path has its value: what led to it, back to what came from outside.

    The running runner is asked, and the audit trail is read where it has forgotten. Without a
    runner, and with --at, only the trail is read. Damaged parts of it that were met are reported on
    standard error; the exit code is then 3. It is 1 if nothing is known of the path.

    Without --runner, all runners of a cluster are asked; of their trails, only the one here is
    read. With --cluster, no runner is asked, and the trail that all of them share is read.

    With --needed, the recorded inputs are replayed without each input from outside that is named,
    in virtual time: it was needed if the output is then missing, at another time or another one.
    Rules that act past the server act in each replay as well. The exit code is 1 if the replay does
    not make the output.

    A TIME is a date, a time of today, or both (2026-11-25T18:30), or an age (90s, 15m, 2h, 3d).
    """
    from eshet_rules.audit.query import ENDLESS, stamp_of
    from eshet_rules.cli.cluster_client import answer_of_all
    from eshet_rules.exceptions import RulesError
    from eshet_rules.modules.process_end import reporting_exits
    from eshet_rules.why.answer import WhyAnswer
    from eshet_rules.why.explanation import explain
    from eshet_rules.why.memory import recent_records

    if at is not None and at > wall_now(UTC):
        raise click.UsageError(
            f"--at {at:%Y-%m-%d %H:%M} is in the future; a time of an earlier day needs its date"
        )
    if cluster and (audit or runner or needed):
        raise click.UsageError(
            "--cluster reads what all runners share: leave --audit, --runner and --needed out"
        )
    with exit_on_errors(), contextlib.ExitStack() as stack:
        facts = None
        damages = Damages()
        if at is None and not cluster:
            facts = answer_of_all(
                lambda running: _ask(running, path),
                lambda cluster: _ask_cluster(cluster, path),
                server,
                runner,
                config,
            )
            if facts is None:
                click.echo("eshet-rules: no runner answers; this is from its audit trail", err=True)
            else:
                rules = rules or _folder_of(facts)
        try:
            if cluster:
                records = stack.enter_context(_shared(rules, server, config, damages))
            else:
                records = _trail(rules, audit, state_dir, config, damages)
        except RulesError as error:
            if facts is None:
                raise
            records = _nothing()
            if facts.known["is_recording"]:
                click.echo(f"eshet-rules: only what {facts.whose} remembers: {error}", err=True)
        if facts is not None:
            records = recent_records(facts.known, records)
        before = ENDLESS if at is None else stamp_of(at)
        explanation = explain(path, records, before=before, depth=depth)
        is_replayed = True
        if needed:
            with reporting_exits(1):
                found = _with_needed(explanation, rules, audit, state_dir, config, damages)
            is_replayed = found is not None
            explanation = found or explanation
        whose = "the cluster" if cluster else "this runner"
        answer = WhyAnswer(path, explanation, facts, whose)
        if as_json:
            click.echo(json.dumps(answer.plain()))
        else:
            for line in answer.lines(at or wall_now(UTC)):
                click.echo(line)
    sys.exit(damages.exit_code or int(not answer.is_known or not is_replayed))


def _folder_of(facts: "Facts") -> Path | None:
    """Return the rules folder of the runner; None if it is none of this machine."""
    folder = facts.known.get("folder")  # several runners of a cluster have several
    return Path(folder) if folder is not None and Path(folder).is_dir() else None


async def _ask(running: "Runner", path: str) -> "Facts":
    from eshet_rules.why.answer import facts_of

    return await facts_of(running.client, path, await running.call("why", path))


async def _ask_cluster(cluster: "ClusterClient", path: str) -> "Facts":
    """Ask all runners for the path, and for those that have led to it."""
    from eshet_rules.why.answer import facts_of
    from eshet_rules.why.asking import ask_for_path
    from eshet_rules.why.merging import is_written

    async def ask(path: str) -> dict[str, Any]:
        found = await cluster.each(lambda running: running.call("why", path), cluster.answering)
        if not found:
            cluster.check()
        return found

    known = await ask_for_path(path, ask)
    for name, problem in sorted(cluster.problems.items()):
        click.echo(f"eshet-rules: {printable(f'{name}: {problem}')}", err=True)
    for note in () if is_written(known, path) else cluster.unknown_writers:
        click.echo(f"eshet-rules: {printable(note)}", err=True)
    whose = f"the cluster {cluster.name}"
    return await facts_of(cluster.client, path, known, whose)


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


def _with_needed(
    explanation: "Explanation",
    rules: Path | None,
    audit: Path | None,
    state_dir: Path | None,
    config: Path | None,
    damages: Damages,
) -> "Explanation | None":
    """Return an explanation that says which inputs were needed.

    If that is not known, this prints the reason, and returns None.
    """
    from eshet_rules.audit.redaction import Redaction
    from eshet_rules.audit.trail import file_to_read
    from eshet_rules.exceptions import RulesError
    from eshet_rules.modules.discovery import check_folder
    from eshet_rules.reload.version_store import VersionStore
    from eshet_rules.replay.needed import find_needed
    from eshet_rules.replay.versions import PastRules

    if explanation.record is None:
        return explanation
    if explanation.is_from_outside:
        _report(f"{explanation.path} has its value from outside: no input of a rule was needed")
        return explanation
    try:
        folder = check_folder(rules_folder(rules))
        configuration = configuration_of(folder, config)
        trail = file_to_read(audit or place_of_trail(folder, state_dir, configuration))
        store = VersionStore(place_of_state(folder, state_dir, configuration) / "versions")
        past = PastRules(folder, store, configuration)
        redaction = Redaction(configuration.log.redact)
        for each in configuration.rules:
            redaction.value(each.parameters)  # so that it learns the secrets in them
        found = find_needed(explanation, trail, past, redaction, damages.report)
    except RulesError as error:
        for line in str(error).split("\n"):
            _report(line)
        return None
    if not found.replayed:
        _report("no named input from outside changed in the replayed time, so none was left out")
    if found.others:
        _report(f"{found.replayed} inputs were left out, and {found.others} more were not")
    return found.explanation


def _report(text: str) -> None:
    click.echo(f"eshet-rules: {printable(text)}", err=True)


@contextlib.contextmanager
def _shared(
    rules: Path | None, server: ServerAddress | None, config: Path | None, damages: Damages
) -> "Iterator[Records]":
    """Yield the records of all runners of a cluster; a server that is not NATS has none."""
    from eshet.nats.address import NatsAddress
    from eshet_rules.why.windows import WindowedRecords

    configuration = configuration_of(rules_folder(rules), config)
    nats = server if isinstance(server, NatsAddress) else None
    trail = SharedTrail(configuration, nats, damages.report, "eshet-rules why")
    with trail.opened() as read:
        yield WindowedRecords(read)


def _nothing() -> "Records":
    from eshet_rules.why.sources import ListedRecords

    return ListedRecords([])
