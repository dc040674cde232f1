"""The `eshet` command: inspect and change the nodes of a server from a shell.

    house       the commands of a client
    serve       the command that runs a server
    gateway     its options for a gateway
    token       the command that makes tokens of a gateway
    bridge      the commands that run a bridge to devices
    completion  completion of paths in a shell
    running     running a command: connection and errors
    values      argument types and output formats

Values are JSON. Everything except the requested output goes to standard error. The exit code is 0;
1 if the request failed; 2 for wrong usage.
"""

from typing import Any

import click

from eshet.cli.bridge import bridge
from eshet.cli.house import call, emit, get, listen, ls, observe, publish, set_
from eshet.cli.serve import serve
from eshet.cli.token import token
from eshet.cli.values import ServerType
from eshet.program import Program
from eshet.server_address import ServerAddress

__all__ = ["main"]


class _Eshet(Program):
    """Says where to write the one option that belongs before the command."""

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Command`."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if error.option_name != "--server":
                raise
            advice = "Write it before the command: eshet --server ADDRESS ..."
            raise click.NoSuchOption(
                error.option_name, f"{error.message} {advice}", ctx=error.ctx
            ) from None


@click.group("eshet", cls=_Eshet, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--server",
    type=ServerType(),
    envvar="ESHET_SERVER",
    default="localhost",
    show_default=True,
    show_envvar=True,
    help="The server to talk to: HOST:PORT, or the URL of NATS servers.",
)
@click.version_option(package_name="eshet-rules")
@click.pass_context
def main(ctx: click.Context, server: ServerAddress) -> None:
    """Inspect and control the nodes of a server.

    Values are JSON: 23, true, '"text"', '{"a": [1, 2]}'.
    """
    ctx.obj = server


for _command in (bridge, call, emit, get, listen, ls, observe, publish, serve, set_, token):
    main.add_command(_command)
