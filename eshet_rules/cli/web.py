"""`eshet-rules web`: the tokens with which programs and people act on the page."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eshet.clock import wall_time
from eshet.program import printable
from eshet_rules.cli.options import (
    Command,
    PathType,
    config_option,
    exit_on_errors,
    rules_folder,
    state_dir_option,
)
from eshet_rules.cli.trail_option import place_of_state

if TYPE_CHECKING:
    from eshet.gateway.tokens import TokenFile

__all__ = ["web"]

_rules_option = click.option(
    "--rules", type=PathType(), metavar="FOLDER", help="The rules folder.  [default: as for run]"
)
_state_option = state_dir_option("State folder of the runner.  [default: as for run]")


@click.group()
def web() -> None:
    """Make, list and remove the tokens of the page of `run --web`."""


@web.command(cls=Command)
@click.option("--act", is_flag=True, help="Allow to act as well: to set, call, disable, roll back.")
@click.option(
    "--name",
    default="token",
    show_default=True,
    help="Who will have it; the audit trail names it with each action.",
)
@_rules_option
@_state_option
@config_option
def token(
    act: bool, name: str, rules: Path | None, state_dir: Path | None, config: Path | None
) -> None:
    """Make a token, and print it.

    It is printed once: the state folder keeps only its hash. A running page accepts it at once. On
    the page, choose "Sign in"; a program sends the header `Authorization: Bearer TOKEN`.

    On the machine of the runner, reading needs no token.
    """
    from eshet.gateway.tokens import Scope

    with exit_on_errors():
        file = _file(rules, state_dir, config)
        made = file.add(name, Scope.ACT if act else Scope.READ, wall_time())
        # A token of another folder is refused: without --rules, the current folder chooses it.
        click.echo(f"eshet-rules: for the rules in {_folder(rules)}", err=True)
        click.echo(made)


@web.command(cls=Command)
@_rules_option
@_state_option
@config_option
def tokens(rules: Path | None, state_dir: Path | None, config: Path | None) -> None:
    """List the tokens: the name of each, what it allows, and when it was made."""
    with exit_on_errors():
        found = _file(rules, state_dir, config).list()
        for each in found:
            click.echo(f"{printable(each.name):<24}  {each.scope:<4}  {each.created}")
        if not found:
            click.echo(
                f"eshet-rules: there is no token for the rules in {_folder(rules)}; "
                "`eshet-rules web token --act` makes one",
                err=True,
            )
    sys.exit(0)


@web.command(cls=Command)
@click.argument("name")
@_rules_option
@_state_option
@config_option
def revoke(name: str, rules: Path | None, state_dir: Path | None, config: Path | None) -> None:
    """Remove the token NAME: whoever has it can no longer use it."""
    with exit_on_errors():
        _file(rules, state_dir, config).remove(name)


def _folder(rules: Path | None) -> str:
    return printable(str(rules_folder(rules).resolve()))


def _file(rules: Path | None, state: Path | None, config: Path | None) -> "TokenFile":
    from eshet.gateway.tokens import TokenFile
    from eshet.private_files import make_private_folder
    from eshet_rules.runner.state_folder import WEB_TOKENS

    place = place_of_state(rules_folder(rules), state, config)
    make_private_folder(place)
    return TokenFile(place / WEB_TOKENS)
