"""`eshet-rules.toml`: what is configured, checked, and where in the file it stands.

    tables        what can be configured, a dataclass for each table, with all defaults
    kinds         which values a key may have, and how that is said
    reading       a file to these tables, or to all that is wrong in it at once
    lines         on which line of the file a key stands
    parameters    what a rule is given as `config`

The command line beats the file, and the file beats the defaults.
"""

from eshet_rules.config.parameters import Parameters
from eshet_rules.config.reading import FILE_NAME, ConfigurationFile
from eshet_rules.config.tables import (
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
