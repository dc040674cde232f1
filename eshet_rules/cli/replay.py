"""`eshet-rules replay`."""

import contextlib
import json
import shlex
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eshet.text import safe_repr
from eshet.unknown import Unknown
from eshet_rules.cli.completion import VersionName
from eshet_rules.cli.options import (
    Command,
    PathType,
    config_option,
    exit_on_errors,
    rules_folder,
    state_dir_option,
)
from eshet_rules.cli.time_option import checked_range, range_options
from eshet_rules.cli.trail_option import audit_option, place_of_state, place_of_trail

__all__ = ["print_differences", "replay"]

if TYPE_CHECKING:
    from eshet_rules.config import Configuration
    from eshet_rules.exceptions import NoTrail
    from eshet_rules.replay.comparison import Difference
    from eshet_rules.replay.extent import Extent
    from eshet_rules.replay.recording import Output, Recording
    from eshet_rules.replay.replaying import Rules


@click.command(cls=Command)
@click.argument("rules", type=PathType(), required=False)
@range_options("24h", "The beginning of the inputs.", "The end of the inputs.")
@click.option(
    "--rules",
    "other",
    metavar="FOLDER|REVISION",
    help="Run this version of the rules: a folder, or a revision of git.",
)
@click.option(
    "--diff",
    is_flag=True,
    help="Print differences from the recorded outputs; with --rules, from those of RULES.",
)
@click.option(
    "--versus",
    metavar="MODULE@VERSION",
    type=VersionName(),
    multiple=True,
    help="Print differences from the outputs with this earlier version of a module; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@audit_option
@state_dir_option("State folder of the runner.  [default: as for run]")
@config_option
def replay(
    rules: Path | None,
    since: datetime,
    until: datetime | None,
    other: str | None,
    diff: bool,
    versus: tuple[str, ...],
    as_json: bool,
    audit: Path | None,
    state_dir: Path | None,
    config: Path | None,
) -> None:
    """Run rules again on the inputs that the audit trail has recorded.

    Prints the outputs of the rules in the folder RULES. Time is virtual, and nothing is sent to any
    device: their owners answer as they did.

    A TIME is a date, a time of today, or both (2026-11-25T18:30), or an age (90s, 15m, 2h, 3d).

    With --versus, the present rules are compared with an earlier version of a module, such as
    hall@3f2a; `eshet-rules versions` lists them.

    With --diff or --versus, a line on standard error says how many inputs were compared, and from
    when to when. The exit code is 1 if there is a difference. It is 2 if a module could
    not be set up, or if nothing could be replayed.
    """
    from eshet_rules.config import FILE_NAME, ConfigurationFile
    from eshet_rules.exceptions import NoTrail
    from eshet_rules.modules.discovery import check_folder
    from eshet_rules.modules.process_end import reporting_exits
    from eshet_rules.replay.comparison import compare
    from eshet_rules.replay.extent import extent_of
    from eshet_rules.replay.recording import recording_of
    from eshet_rules.replay.replaying import Rules
    from eshet_rules.replay.replaying import replay as run
    from eshet_rules.replay.revisions import rules_at

    since, end = checked_range(since, until)
    if other == "":
        raise click.UsageError("--rules needs a folder or a revision, such as HEAD~1, not ''")
    if other and versus:
        raise click.UsageError("use either --rules or --versus")
    with exit_on_errors(2), contextlib.ExitStack() as stack:
        stack.enter_context(reporting_exits(2))
        folder = check_folder(rules_folder(rules))
        named = None if config is None else ConfigurationFile(config, must_exist=True).read()
        configuration = named or ConfigurationFile(folder / FILE_NAME).read()
        earlier = _with_earlier(folder, versus, state_dir, configuration) if versus else None
        place = audit or place_of_trail(folder, state_dir, configuration)
        try:
            recording = recording_of(place, since, end)
        except NoTrail as error:
            raise error if audit else _other_trail(error, folder) from None
        ours = theirs = Rules(folder, configuration=configuration)
        if other:
            present = stack.enter_context(rules_at(folder, other))
            own = present / FILE_NAME
            is_own = named is None and own.exists()
            theirs = Rules(
                present,
                configuration=ConfigurationFile(own).read() if is_own else configuration,
            )
        replayed = run(theirs, recording)
        for problem in (*recording.lacking, *replayed.errors):
            click.echo(f"eshet-rules: {problem}", err=True)
        before, left_out = recording.outputs, set(replayed.broken)
        if other or earlier:
            first = run(earlier or ours, recording)
            before = first.outputs
            left_out.update(first.broken)
        differences = []
        if diff or versus:
            differences = compare(
                before, replayed.outputs, since=recording.compared_from, without=left_out
            )
            is_compared = not left_out or not replayed.modules <= left_out
            if differences or is_compared:
                wanted = recording.end - since
                extent = extent_of(recording, wanted, before, replayed.outputs)
                _print_extent(extent, bool(differences))
                print_differences(differences, recording.start.astimezone(), as_json)
        else:
            outputs = [each for each in replayed.outputs if each.module not in left_out]
            _print_outputs(outputs, recording, as_json)
        if left_out:
            names = ", ".join(sorted(left_out))
            click.echo(f"eshet-rules: could not be set up, and is left out: {names}", err=True)
    sys.exit(2 if left_out else 1 if differences else 0)


def _print_extent(extent: "Extent", differs: bool) -> None:
    """Print on standard error how much was compared."""
    text = f"compared on {extent}"
    if extent.too_little and not differs:
        text = f"nothing to compare yet: {extent.too_little} ({extent})"
    click.echo(f"eshet-rules: {text}", err=True)


def _other_trail(error: "NoTrail", folder: Path) -> "NoTrail":
    """Return the error for a folder that has no trail, maybe as its rules have never run."""
    from eshet_rules.exceptions import NoTrail

    return NoTrail(
        error.file,
        error.problem,
        advice="if the runner runs another folder, name that, and this one with --rules: "
        f"`eshet-rules replay FOLDER --rules {shlex.quote(str(folder))}`",
    )


def _with_earlier(
    folder: Path,
    versus: tuple[str, ...],
    state: Path | None,
    configuration: "Configuration",
) -> "Rules":
    """Return the rules of a folder with earlier versions of some modules.

    Raises:
        VersionNotFound: there is no such version, or there are several.
    """
    from eshet_rules.modules.discovery import discover
    from eshet_rules.reload.version_store import VersionStore, split_target
    from eshet_rules.replay.replaying import Rules
    from eshet_rules.replay.versions import kept_source

    store = VersionStore(place_of_state(folder, state, configuration) / "versions")
    sources = discover(folder)
    for target in versus:
        kept = store.find(*split_target(target))
        sources[kept.module] = kept_source(kept, store, folder, sources)
    return Rules(folder, sources, configuration)


def _print_outputs(outputs: "list[Output]", recording: "Recording", as_json: bool) -> None:
    for each in outputs:
        if each.at < recording.compared_from:
            continue
        moment = recording.start + timedelta(seconds=each.at)
        if as_json:
            click.echo(json.dumps(_as_json(each, moment), default=repr))
        else:
            value = "unknown" if each.value is Unknown else safe_repr(each.value, 100)
            failed = f"  failed: {each.failed}" if each.failed else ""
            stamp = f"{moment.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3]
            click.echo(f"{stamp}  {each.rule:20}  {each.kind:5}  {each.path}  {value}{failed}")


def _as_json(output: "Output", moment: datetime) -> dict[str, Any]:
    return {
        "time": moment.isoformat(),
        "rule": output.rule,
        "kind": output.kind,
        "path": output.path,
        "value": None if output.value is Unknown else output.value,
        "unknown": output.value is Unknown,
        "failed": output.failed or None,
    }


def print_differences(differences: "list[Difference]", start: datetime, as_json: bool) -> None:
    """Print differences between outputs.

    Args:
        differences: to print.
        start: the time at which the times of outputs begin.
        as_json: whether to print JSON lines.
    """
    from eshet_rules.replay.comparison import describe

    if as_json:
        for each in differences:
            click.echo(json.dumps(each.as_json(start), default=repr))
        return
    for line in describe(differences, start):
        click.echo(line)
    if not differences:
        click.echo("no difference")
