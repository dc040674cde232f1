"""`eshet token`: makes, lists and removes tokens of a gateway."""

from pathlib import Path

import click

from eshet.clock import wall_time
from eshet.gateway.tokens import Scope, TokenFile, TokenFileError

__all__ = ["token"]


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", help="Make a token with this name: who will have it, such as phone.")
@click.option("--act", is_flag=True, help="It may also set, call, emit and provide nodes.")
@click.option("--remove", metavar="NAME", help="Remove a token; it is refused at once.")
def token(file: Path, name: str | None, act: bool, remove: str | None) -> None:
    """Make, list or remove tokens of a gateway, in FILE.

    A new token is printed once: FILE, which only you can read, has its hash. Without --name and
    --remove, list the tokens.
    """
    if name is not None and remove is not None:
        raise click.UsageError("make a token, or remove one: --name or --remove")
    if act and name is None:
        raise click.UsageError("--act goes with --name, the name of the token to make")
    tokens = TokenFile(file)
    try:
        if name is not None:
            click.echo(tokens.add(name, Scope.ACT if act else Scope.READ, wall_time()))
        elif remove is not None:
            tokens.remove(remove)
        else:
            for each in tokens.list():
                click.echo(f"{each.scope:<4}  {each.created}  {each.name}")
    except TokenFileError as error:
        raise click.ClickException(str(error)) from None
