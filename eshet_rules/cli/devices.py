"""`eshet-rules devices`."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eshet.server_address import ServerAddress
from eshet_rules.cli.completion import DeviceName
from eshet_rules.cli.options import Command, runner_options

if TYPE_CHECKING:
    from eshet.client import Client

__all__ = ["devices"]


@click.command(cls=Command)
@click.argument("names", nargs=-1, type=DeviceName())
@click.option("--json", "as_json", is_flag=True, help="Print the devices as one line of JSON.")
@click.option(
    "--stubs",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a Python module with the paths of all devices, for editors and type checkers.",
)
@runner_options
def devices(
    names: tuple[str, ...],
    as_json: bool,
    stubs: Path | None,
    server: ServerAddress | None,
    runner: str | None,
    config: Path | None,
) -> None:
    """List the devices of all bridges, or only those that match NAMES.

    NAMES are globs of names or paths of devices.

    For each device: its path, kind and model, whether it is online, when it last reported, its
    battery, and its nodes: states with their types (=: can be set), events (!) and actions (()).
    """
    from eshet.bridges.device_list import devices_of
    from eshet_rules.cli.device_table import device_table
    from eshet_rules.cli.runner_client import ask_server
    from eshet_rules.cli.stubs import stubs_of
    from eshet_rules.logs import shows_colours

    present: list[dict[str, Any]] = []

    async def request(client: "Client") -> None:
        present.extend([each async for each in devices_of(client)])

    ask_server(request, server, config)
    found = [each for each in present if _is_named(each, names)]
    if stubs is not None:
        try:
            stubs.write_text(stubs_of(found))
        except OSError as error:
            raise click.ClickException(f"can't write {stubs}: {error.strerror}") from None
        click.echo(f"wrote {stubs}")
    elif as_json:
        click.echo(json.dumps(found))
    elif found:
        click.echo(device_table(found), color=shows_colours(sys.stdout))
    elif present:
        one = min(each["name"] for each in present)
        click.echo(
            f"none of the {len(present)} devices matches {' or '.join(names)}; "
            f"write globs of names or paths, such as {one!r}",
            err=True,
        )
    else:
        click.echo("no devices; configure a bridge: see docs/howto/devices.md", err=True)


def _is_named(device: Mapping[str, Any], names: Iterable[str]) -> bool:
    from fnmatch import fnmatchcase

    patterns = list(names)
    return not patterns or any(
        fnmatchcase(text, pattern)
        for pattern in patterns
        for text in (device["name"], device["directory"])
    )
