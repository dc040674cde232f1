"""The `eshet-rules` command; a module for each of its commands.

Nothing slow is imported here: the runner and what it needs are imported by the command that runs.
"""

import click

from eshet_rules.cli.run import run

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eshet-rules", prog_name="eshet-rules")
def main() -> None:
    """Run automation rules for a programmable house."""


main.add_command(run)
