"""The `eshet-rules` command; a module for each of its commands.

    run        run the rules of a folder
    init       write a first one
    audit      what happened
    listing    how the rules of a running runner are
    telling    what it is to do with them
    moment     moments as people write them
    options    what several commands take
    asking     how they find a running runner, and ask it
    table      how they show rules

Nothing slow is imported here: the runner and what it needs are imported by the command that runs.
"""

import click

from eshet.program import Program
from eshet_rules.cli.audit import audit
from eshet_rules.cli.init import init
from eshet_rules.cli.listing import list_
from eshet_rules.cli.run import run
from eshet_rules.cli.telling import disable, enable, reload, restart

__all__ = ["main"]


@click.group("eshet-rules", cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eshet-rules", prog_name="eshet-rules")
def main() -> None:
    """Run automation rules for a programmable house."""


for _command in (audit, disable, enable, init, list_, reload, restart, run):
    main.add_command(_command)
