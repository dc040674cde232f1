"""The audit trail that a command reads: an option, and the default location."""

from pathlib import Path
from typing import Final

import click

from eshet_rules.cli.options import PathType, default_state, shadow_state

__all__ = ["audit_option", "place_of_trail"]

audit_option: Final = click.option(
    "--audit",
    type=PathType(),
    metavar="FILE|FOLDER",
    help="Location of the trail.  [default: as configured, or in the state folder]",
)


def place_of_trail(
    folder: Path, state: Path | None, config: Path | None, *, is_shadow: bool = False
) -> Path:
    """Return the location of the trail of a rules folder.

    Args:
        folder: the rules folder.
        state: the state folder of the command line.
        config: the configuration file of the command line.
        is_shadow: whether it is the trail of a shadow runner, which is always in its state folder.

    Raises:
        RulesError: the folder or its configuration can't be used.
    """
    from eshet_rules.config import FILE_NAME, ConfigurationFile
    from eshet_rules.modules.discovery import check_folder
    from eshet_rules.runner.state_folder import state_folder

    folder = check_folder(folder)
    configuration = ConfigurationFile(
        config or folder / FILE_NAME, must_exist=config is not None
    ).read()
    if configuration.audit.path is not None and not is_shadow:
        return configuration.audit.path
    place = state or configuration.state.folder or default_state()
    return state_folder(shadow_state(place) if is_shadow else place, folder) / "audit"
