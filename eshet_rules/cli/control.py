"""`eshet-rules reload`, `enable`, `disable`, `restart`."""

from pathlib import Path

import click

from eshet.program import printable
from eshet_rules.cli.completion import RuleName
from eshet_rules.cli.options import Command, runner_options

__all__ = ["disable", "enable", "reload", "restart"]

_names = click.argument("names", nargs=-1, required=True, type=RuleName())


@click.command(cls=Command)
@click.argument("names", nargs=-1, type=RuleName())
@runner_options
def reload(
    names: tuple[str, ...], server: str | None, runner: str | None, config: Path | None
) -> None:
    """Reload modules, or all; also a rule that has failed runs again then.

    NAMES are modules, as hall, or rules, as hall.hall_light, or globs of either.
    """
    _tell("reload", "reloaded", names, server, runner, config)


@click.command(cls=Command)
@_names
@runner_options
def enable(
    names: tuple[str, ...], server: str | None, runner: str | None, config: Path | None
) -> None:
    """Let rules run that were disabled.

    NAMES are rules, as hall.hall_light, or modules, as hall, or globs of either. It holds over a
    restart of the runner, and beats the configuration.
    """
    _tell("enable", "enabled", names, server, runner, config)


@click.command(cls=Command)
@_names
@runner_options
def disable(
    names: tuple[str, ...], server: str | None, runner: str | None, config: Path | None
) -> None:
    """End rules, and do not run them until they are enabled.

    NAMES are rules, as hall.hall_light, or modules, as hall, or globs of either. It holds over a
    restart of the runner, and beats the configuration.
    """
    _tell("disable", "disabled", names, server, runner, config)


@click.command(cls=Command)
@_names
@runner_options
def restart(
    names: tuple[str, ...], server: str | None, runner: str | None, config: Path | None
) -> None:
    """Start rules afresh, as if they had never run: nothing of their state is kept.

    NAMES are rules, as hall.hall_light, or modules, as hall, or globs of either.
    """
    _tell("restart", "restarted", names, server, runner, config)


def _tell(
    action: str,
    done: str,
    names: tuple[str, ...],
    server: str | None,
    runner: str | None,
    config: Path | None,
) -> None:
    from eshet_rules.cli.runner_client import Runner, ask

    async def request(running: Runner) -> None:
        for name in await running.call(action, *names):
            click.echo(f"{done} {printable(str(name))}")

    ask(request, server, runner, config)
