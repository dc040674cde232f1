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
    """Reload the modules NAMES, or all modules. Failed rules run again.

    NAMES are modules (hall), rules (hall.hall_light), or globs of either.
    """
    _call("reload", "reloaded", names, server, runner, config)


@click.command(cls=Command)
@_names
@runner_options
def enable(
    names: tuple[str, ...], server: str | None, runner: str | None, config: Path | None
) -> None:
    """Enable rules that were disabled.

    NAMES are rules (hall.hall_light), modules (hall), or globs of either. The setting survives
    restarts of the runner and takes precedence over the configuration.
    """
    _call("enable", "enabled", names, server, runner, config)


@click.command(cls=Command)
@_names
@runner_options
def disable(
    names: tuple[str, ...], server: str | None, runner: str | None, config: Path | None
) -> None:
    """Stop rules, and do not run them until they are enabled again.

    NAMES are rules (hall.hall_light), modules (hall), or globs of either. The setting survives
    restarts of the runner and takes precedence over the configuration.
    """
    _call("disable", "disabled", names, server, runner, config)


@click.command(cls=Command)
@_names
@runner_options
def restart(
    names: tuple[str, ...], server: str | None, runner: str | None, config: Path | None
) -> None:
    """Restart rules from scratch: they lose their state.

    NAMES are rules (hall.hall_light), modules (hall), or globs of either.
    """
    _call("restart", "restarted", names, server, runner, config)


def _call(
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
