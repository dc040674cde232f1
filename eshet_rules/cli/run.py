"""`eshet-rules run`."""

import asyncio
import os
import sys
from pathlib import Path

import click


def _check_address(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    from eshet.client.address import Address

    try:
        return value and str(Address.parse(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "eshet-rules"


@click.command()
@click.argument("rules", type=click.Path(path_type=Path))
@click.option(
    "--server",
    metavar="HOST:PORT",
    envvar="ESHET_SERVER",
    show_envvar=True,
    callback=_check_address,
    help="ESHET server to use. Without one, use a server that listens on 127.0.0.1:11236, or else "
    "start one there.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="ESHET_RULES_STATE",
    show_envvar=True,
    default=_state_folder,
    help="Folder for what rules remember over a restart.  [default: eshet-rules in XDG_STATE_HOME, "
    "or in ~/.local/state]",
)
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default="console",
    show_default=True,
    help="Lines for people, or JSON lines for machines.",
)
@click.option("--no-reload", is_flag=True, help="Do not follow changes of the files.")
@click.option(
    "--once", is_flag=True, help="Stop when all rules are set up; exit with 1 if one could not be."
)
def run(
    rules: Path, server: str | None, state: Path, log_format: str, no_reload: bool, once: bool
) -> None:
    """Run all rules in the folder RULES, and reload each module when you save it.

    Ctrl-C stops: the states that the rules published are unknown then.
    """
    from eshet.exceptions import EshetError
    from eshet_rules.exceptions import RulesError
    from eshet_rules.logs import make_logger, receiving_stdlib_logs
    from eshet_rules.runner import run as run_rules
    from eshet_rules.runner import until_signalled

    log = make_logger(sys.stdout, log_format)
    house = run_rules(rules, log, server=server, state=state, reload=not no_reload, once=once)
    try:
        with receiving_stdlib_logs(log):
            exit_code = asyncio.run(until_signalled(house))
    except (RulesError, EshetError) as error:
        click.echo(f"eshet-rules: {error}", err=True)
        exit_code = getattr(error, "exit_code", 1)
    sys.exit(exit_code)
