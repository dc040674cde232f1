"""The `eshet` command: look at a house, and touch it, from a shell.

    house      the commands that talk to a server
    serve      the one that is a server
    running    how they do their work
    values     what they take and show

Values are JSON. What is not asked for goes to standard error; the exit code is 0, or 1 if what was
asked could not be done, or 2 if it was asked in a wrong way.
"""

import click

from eshet.address import Address
from eshet.cli.house import call, emit, get, listen, ls, observe, publish, set_
from eshet.cli.serve import serve
from eshet.cli.values import AddressType
from eshet.program import Program

__all__ = ["main"]


@click.group("eshet", cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--server",
    type=AddressType(),
    envvar="ESHET_SERVER",
    default="localhost",
    show_default=True,
    show_envvar=True,
    help="The server to talk to.",
)
@click.version_option(package_name="eshet-rules")
@click.pass_context
def main(ctx: click.Context, server: Address) -> None:
    """Look at a house, and touch it. Values are JSON: 23, true, '"text"', '{"a": [1, 2]}'."""
    ctx.obj = server


for _command in (call, emit, get, listen, ls, observe, publish, serve, set_):
    main.add_command(_command)
