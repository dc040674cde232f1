"""`eshet-rules stats`."""

import sys
from datetime import datetime
from pathlib import Path

import click

from eshet_rules.cli.damages import Damages
from eshet_rules.cli.options import (
    Command,
    PathType,
    config_option,
    exit_on_errors,
    rules_folder,
    state_dir_option,
)
from eshet_rules.cli.time_option import checked_range, range_options
from eshet_rules.cli.trail_option import audit_option, place_of_trail

__all__ = ["stats"]


@click.command(cls=Command)
@click.argument("rules", type=PathType(), required=False)
@range_options("7d", "The beginning of the time that is counted.", "Its end.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "prometheus", "spans"]),
    default="table",
    show_default=True,
    help="A table, JSON, metrics for Prometheus, or OpenTelemetry spans as OTLP in JSON.",
)
@audit_option
@state_dir_option("State folder of the runner.  [default: as for run]")
@config_option
def stats(
    rules: Path | None,
    since: datetime,
    until: datetime | None,
    form: str,
    audit: Path | None,
    state_dir: Path | None,
    config: Path | None,
) -> None:
    """Count what each rule did, from the audit trail.

    For each rule: inputs, outputs, failed outputs, retries, errors, the time from an input to the
    end of its output (of half of them, and of 99 %), and skipped outputs by the reason. Below, the
    reloads, and the paths and rules that were regular and have stopped. Damaged lines are reported
    on standard error and left out; the exit code is then 3.

    A TIME is a date, a time of today, or both (2026-11-25T18:30), or an age (90s, 15m, 2h, 3d).
    """
    from eshet_rules.audit.query import Filter, Reader, stamp_of
    from eshet_rules.audit.trail import file_to_read
    from eshet_rules.stats.counting import count_records
    from eshet_rules.stats.spans import spans
    from eshet_rules.stats.text import json_lines, prometheus_lines, table_lines

    since, end = checked_range(since, until)
    with exit_on_errors():
        file = file_to_read(audit or place_of_trail(rules_folder(rules), state_dir, config))
        wanted = Filter(since=stamp_of(since), until=stamp_of(end))
        damages = Damages()
        records = Reader(file, wanted, damages.report).records()
        if form == "spans":
            lines = spans(records)
        else:
            write = {"table": table_lines, "json": json_lines, "prometheus": prometheus_lines}[form]
            lines = write(count_records(records, since, end))
        for line in lines:
            click.echo(line)
    sys.exit(damages.exit_code)
