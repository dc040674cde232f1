"""`eshet-rules init`."""

from pathlib import Path

import click

from eshet_rules.cli.options import Command, PathType, exit_on_errors

__all__ = ["init"]


@click.command(cls=Command)
@click.argument("folder", type=PathType(), default="rules")
def init(folder: Path) -> None:
    """Write a first rule, its test and a configuration file into FOLDER (default: `rules`).

    Existing files are not overwritten: if one of these exists, nothing is written.
    """
    from eshet_rules.cli.templates import write_templates

    with exit_on_errors():
        for file in write_templates(folder):
            click.echo(f"wrote {file}")
    click.echo(f"try it: eshet-rules run {folder}")
    click.echo(f"test it: pytest {folder}")
