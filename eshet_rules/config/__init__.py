"""The configuration file, `eshet-rules.toml`.

    tables        the settings: a dataclass for each table, with all defaults
    kinds         the kinds of values that keys may have, with their error messages
    reading       reads a file into these tables, or reports all mistakes in it at once
    lines         finds the line of a key in the file
    parameters    the parameters that a rule gets as `config`

The command line takes precedence over the file, and the file over the defaults.
"""

from eshet_rules.config.parameters import Parameters
from eshet_rules.config.reading import FILE_NAME, ConfigurationFile
from eshet_rules.config.tables import (
    AuditSettings,
    Configuration,
    LogSettings,
    RuleSettings,
    ServerSettings,
    StateSettings,
    WatchSettings,
    is_meant,
)

__all__ = [
    "FILE_NAME",
    "AuditSettings",
    "Configuration",
    "ConfigurationFile",
    "LogSettings",
    "Parameters",
    "RuleSettings",
    "ServerSettings",
    "StateSettings",
    "WatchSettings",
    "is_meant",
]
