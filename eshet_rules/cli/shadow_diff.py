"""`eshet-rules shadow-diff`."""

import sys
from datetime import datetime
from pathlib import Path

import click

from eshet_rules.cli.options import (
    Command,
    PathType,
    config_option,
    exit_on_errors,
    rules_folder,
    state_dir_option,
)
from eshet_rules.cli.replay import print_differences
from eshet_rules.cli.time_option import checked_range, range_options
from eshet_rules.cli.trail_option import place_of_trail

__all__ = ["shadow_diff"]


@click.command("shadow-diff", cls=Command)
@click.argument("rules", type=PathType(), required=False)
@click.option(
    "--shadow",
    type=PathType(),
    metavar="FOLDER",
    help="The rules of the shadow runner.  [default: RULES]",
)
@range_options("24h", "The beginning of the time to compare.", "Its end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@state_dir_option("State folder of both runners.  [default: as for run]")
@config_option
def shadow_diff(
    rules: Path | None,
    shadow: Path | None,
    since: datetime,
    until: datetime | None,
    as_json: bool,
    state_dir: Path | None,
    config: Path | None,
) -> None:
    """Compare the outputs of a shadow runner with those of the real one.

    The real runner runs the rules in the folder RULES, the other one was started with
    `eshet-rules run --shadow`. Each time in which both ran is compared.

    The exit code is 1 if there is a difference, and 2 if nothing could be compared.
    """
    from eshet_rules.audit.trail import file_to_read
    from eshet_rules.exceptions import NoTrail
    from eshet_rules.shadow.diff import compare_runners

    since, end = checked_range(since, until)
    with exit_on_errors(2):
        folder = rules_folder(rules)
        real = file_to_read(place_of_trail(folder, state_dir, config))
        place = place_of_trail(shadow or folder, state_dir, config, is_shadow=True)
        try:
            shadow_file = file_to_read(place)
        except NoTrail as error:
            advice = "" if shadow else "if the shadow ran another folder, name it: --shadow FOLDER"
            problem = f"(the trail of the shadow) {error.problem}"
            raise NoTrail(error.file, problem, option="--state-dir", advice=advice) from None
        differences, start, lacking = compare_runners(real, shadow_file, since, end)
        for problem in lacking:
            click.echo(f"eshet-rules: {problem}", err=True)
        print_differences(differences, start.astimezone(), as_json)
    sys.exit(1 if differences else 0)
