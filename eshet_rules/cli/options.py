"""Options and error handling that several commands share."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from eshet.program import printable
from eshet.server_address import ServerAddress, parse_server_address

__all__ = [
    "Command",
    "PathType",
    "address_option",
    "check_name",
    "config_option",
    "default_state",
    "exit_on_errors",
    "rules_folder",
    "runner_options",
    "server_option",
    "shadow_state",
    "state_dir_option",
]

F = TypeVar("F", bound=Callable[..., Any])

_DEFAULT_FOLDER: Final = Path("rules")

_RENAMED: Final = {"--state": "--state-dir", "ESHET_RULES_STATE": "ESHET_RULES_STATE_DIR"}
"""The present names of options and environment variables of earlier versions."""


class Command(click.Command):
    """A command with usage errors that always point to its `--help`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            present = _RENAMED.get(error.option_name)
            if present is None or not any(present in option.opts for option in self.params):
                raise
            raise _renamed_error("option", error.option_name, ctx) from None
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


def _renamed_error(kind: str, name: str, context: click.Context) -> click.UsageError:
    return click.UsageError(
        f"the {kind} {name} is now called {_RENAMED[name]}: write that instead", context
    )


def rules_folder(given: Path | None = None) -> Path:
    """Return the given rules folder, else `rules` if that exists, else the current folder."""
    return given or (_DEFAULT_FOLDER if _DEFAULT_FOLDER.is_dir() else Path())


def default_state() -> Path:
    """Return the default folder for state that survives restarts."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "eshet-rules"


def shadow_state(state: Path) -> Path:
    """Return the state folder of a shadow runner beside that of the real one."""
    return state / "shadow"


def _check_address(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> ServerAddress | None:
    try:
        return None if value is None else parse_server_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


class PathType(click.Path):
    """The type of a path; an empty one is refused, as it would mean the current folder.

    Args:
        **options: see `click.Path`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """See `click.Path.convert`."""
        if value == "":
            self.fail(
                "'' is not a path: leave the option out, or write \".\" for the current folder",
                param,
                ctx,
            )
        path: Path = super().convert(value, param, ctx)  # type: ignore[assignment]
        return path


def _check_state_dir(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    # A variable that is silently ignored would have the rules start without their state.
    if value is None and "ESHET_RULES_STATE" in os.environ:
        raise _renamed_error("environment variable", "ESHET_RULES_STATE", context)
    return value


def check_name(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the name of a runner or a cluster if it is valid.

    Raises:
        click.BadParameter: it is not.
    """
    if value is not None and re.fullmatch(r"\w+", value, re.ASCII) is None:
        raise click.BadParameter(
            f"{value!r} is not a valid name: use letters A-Z, digits and _, for example house"
        )
    return value


def server_option(help_text: str) -> Callable[[F], F]:
    """Make the option that names the server."""
    return click.option(
        "--server",
        metavar="ADDRESS",
        envvar="ESHET_SERVER",
        show_envvar=True,
        callback=_check_address,
        help=help_text,
    )


def address_option(name: str, help_text: str) -> Callable[[F], F]:
    """Make an option with another name whose value is the address of a server."""
    return click.option(name, metavar="ADDRESS", callback=_check_address, help=help_text)


def state_dir_option(help_text: str) -> Callable[[F], F]:
    """Make the option that names the folder for state; its value is `state_dir`."""
    return click.option(
        "--state-dir",
        type=PathType(file_okay=False),
        metavar="FOLDER",
        envvar="ESHET_RULES_STATE_DIR",
        show_envvar=True,
        callback=_check_state_dir,
        help=help_text,
    )


config_option: Callable[[F], F] = click.option(
    "--config",
    type=PathType(dir_okay=False),
    envvar="ESHET_RULES_CONFIG",
    show_envvar=True,
    metavar="FILE",
    help="Configuration file.  [default: eshet-rules.toml in the rules folder]",
)


def runner_options(command: F) -> F:
    """Add the options that select a running runner to a command."""
    server = server_option("Server of the runner.  [default: as configured, or localhost]")
    runner = click.option(
        "--runner",
        metavar="NAME",
        callback=check_name,
        help="Name of the runner.  [default: the only one on the server]",
    )
    return server(runner(config_option(command)))


@contextlib.contextmanager
def exit_on_errors(code: int | None = None) -> Iterator[None]:
    """Print a user-facing error and exit with its code, instead of a traceback.

    Use this as a `with` statement around the whole work of a command.

    Args:
        code: the exit code for all errors; by default each has its own.
    """
    from eshet.exceptions import EshetError
    from eshet_rules.exceptions import RulesError

    try:
        yield
    except (RulesError, EshetError) as error:
        for line in str(error).split("\n"):
            click.echo(f"eshet-rules: {printable(line)}", err=True)
        sys.exit(getattr(error, "exit_code", 1) if code is None else code)
