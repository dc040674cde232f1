"""`eshet-rules stats`."""

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eshet.server_address import ServerAddress
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
from eshet_rules.cli.time_option import checked_range, range_options
from eshet_rules.cli.trail_option import audit_option, configuration_of, place_of_trail

if TYPE_CHECKING:
    from eshet_rules.audit.query import Filter

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
@cluster_option
@nats_option
@audit_option
@state_dir_option("State folder of the runner.  [default: as for run]")
@config_option
def stats(
    rules: Path | None,
    since: datetime,
    until: datetime | None,
    form: str,
    cluster: bool,
    server: ServerAddress | None,
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
    from eshet_rules.audit.query import Filter, stamp_of
    from eshet_rules.stats.counting import count_records
    from eshet_rules.stats.spans import spans
    from eshet_rules.stats.text import json_lines, prometheus_lines, table_lines

    since, end = checked_range(since, until)
    check_cluster(server, audit, is_cluster=cluster)
    with exit_on_errors():
        folder = rules_folder(rules)
        wanted = Filter(since=stamp_of(since), until=stamp_of(end))
        damages = Damages()
        if cluster:
            configuration = configuration_of(folder, config)
            trail = SharedTrail(configuration, server, damages.report, "eshet-rules stats")
            records = trail.records(wanted)
        else:
            place = audit or place_of_trail(folder, state_dir, config)
            records = _records_of_one(place, wanted, damages)
        if form == "spans":
            lines = spans(records)
        else:
            write = {"table": table_lines, "json": json_lines, "prometheus": prometheus_lines}[form]
            lines = write(count_records(records, since, end))
        for line in lines:
            click.echo(line)
    sys.exit(damages.exit_code)


def _records_of_one(place: Path, wanted: "Filter", damages: Damages) -> Iterator[dict[str, Any]]:
    from eshet_rules.audit.query import Reader
    from eshet_rules.audit.trail import file_to_read

    return Reader(file_to_read(place), wanted, damages.report).records()
