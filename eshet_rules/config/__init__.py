"""The configuration file, `eshet-rules.toml`.

    tables        the settings: a dataclass for each table, with all defaults
    reading       reads a file into these tables, or reports all mistakes in it at once
    parameters    the parameters that a rule gets as `config`
    where         conditions on the runners of a cluster that may run a module

The parts for any configuration file are in `eshet.settings`. The command line takes precedence over
the file, and the file over the defaults.
"""

from eshet_rules.config.parameters import Parameters
from eshet_rules.config.reading import FILE_NAME, ConfigurationFile
from eshet_rules.config.tables import (
    PAGE_PORT,
    AuditSettings,
    ClusterSettings,
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
from eshet_rules.config.where import Where

__all__ = [
    "FILE_NAME",
    "PAGE_PORT",
    "AuditSettings",
    "ClusterSettings",
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
    "Where",
    "is_meant",
]
