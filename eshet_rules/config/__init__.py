"""The configuration file, `eshet-rules.toml`.

    tables        the settings: a dataclass for each table, with all defaults
    reading       reads a file into these tables, or reports all mistakes in it at once
    parameters    the parameters that a rule gets as `config`

What any configuration file needs is in `eshet.settings`. The command line takes precedence over the
file, and the file over the defaults.
"""

from eshet_rules.config.parameters import Parameters
from eshet_rules.config.reading import FILE_NAME, ConfigurationFile
from eshet_rules.config.tables import (
    PAGE_PORT,
    AuditSettings,
    Configuration,
    LogSettings,
    ReloadSettings,
    RuleSettings,
    ServerSettings,
    StateSettings,
    WarningSettings,
    WatchSettings,
    WebSettings,
    is_meant,
)

__all__ = [
    "FILE_NAME",
    "PAGE_PORT",
    "AuditSettings",
    "Configuration",
    "ConfigurationFile",
    "LogSettings",
    "Parameters",
    "ReloadSettings",
    "RuleSettings",
    "ServerSettings",
    "StateSettings",
    "WarningSettings",
    "WatchSettings",
    "WebSettings",
    "is_meant",
]
