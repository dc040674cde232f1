"""The audit trail and the state that a command reads: an option, and their locations."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from eshet_rules.cli.options import PathType, default_state, shadow_state

if TYPE_CHECKING:
    from eshet_rules.config import Configuration

__all__ = ["audit_option", "configuration_of", "place_of_state", "place_of_trail"]

audit_option: Final = click.option(
    "--audit",
    type=PathType(),
    metavar="FILE|FOLDER",
    help="Location of the trail.  [default: as configured, or in the state folder]",
)


def place_of_trail(
    folder: Path,
    state: Path | None,
    config: "Path | Configuration | None",
    *,
    is_shadow: bool = False,
) -> Path:
    """Return the location of the trail of a rules folder.

    Args:
        folder: the rules folder.
        state: the state folder of the command line.
        config: the configuration file of the command line, or its content.
        is_shadow: whether it is the trail of a shadow runner, which is always in its state folder.

    Raises:
        RulesError: the folder or its configuration can't be used.
    """
    from eshet_rules.modules.discovery import check_folder

    folder = check_folder(folder)
    configuration = configuration_of(folder, config)
    if configuration.audit.path is not None and not is_shadow:
        return configuration.audit.path
    return _place(folder, state, configuration, is_shadow=is_shadow) / "audit"


def place_of_state(folder: Path, state: Path | None, config: "Path | Configuration | None") -> Path:
    """Return the state folder of a rules folder; see `place_of_trail`."""
    from eshet_rules.modules.discovery import check_folder

    folder = check_folder(folder)
    return _place(folder, state, configuration_of(folder, config), is_shadow=False)


def configuration_of(folder: Path, config: "Path | Configuration | None") -> "Configuration":
    """Return the configuration of a rules folder; see `place_of_trail`."""
    from eshet_rules.config import FILE_NAME, Configuration, ConfigurationFile
    from eshet_rules.modules.discovery import check_folder

    if isinstance(config, Configuration):
        return config
    check_folder(folder)
    return ConfigurationFile(config or folder / FILE_NAME, must_exist=config is not None).read()


def _place(
    folder: Path, state: Path | None, configuration: "Configuration", *, is_shadow: bool
) -> Path:
    from eshet_rules.runner.state_folder import state_folder

    place = state or configuration.state.folder or default_state()
    return state_folder(shadow_state(place) if is_shadow else place, folder)
