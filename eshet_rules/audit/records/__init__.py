"""The schema of the log: a class for each event, with the types and meanings of its fields.

The runner logs with `emit(log, RuleDisabled(why="by command"))`: the name, level and fields of an
event are defined once, here. Messages of rules and libraries have a field `logger` and any other
fields. The reference of the log, docs/logs.md, is generated from this package.

A field may be added to an event at any time. If a field is removed, or its type or meaning changes,
`SCHEMA_VERSION` is incremented; each file of the trail begins with it. Records of earlier versions
are translated when they are read, see `eshet_rules.audit.earlier`.

schema          the fields of all records, and how events are defined and logged
inputs_outputs  inputs and outputs of rules, and their connections
runner          the runner's start and end, and its server
modules         modules that are loaded, reloaded, rolled back or wait
replays         replays, and the shadow
rules           failures and mistakes of rules
paths           paths with several writers, without a provider, or set by a person
supervision     rules that are restarted or disabled, and what protects the loop
state           checkpoints, and the files of the state folder
cluster         runners that share modules
control         the configuration, commands and requests
trail           the audit trail itself
"""

# All of them, so that `EVENTS` is complete.
from eshet_rules.audit.records import (
    cluster,
    control,
    inputs_outputs,
    modules,
    paths,
    replays,
    rules,
    runner,
    state,
    supervision,
    trail,
)

__all__ = [
    "cluster",
    "control",
    "inputs_outputs",
    "modules",
    "paths",
    "replays",
    "rules",
    "runner",
    "state",
    "supervision",
    "trail",
]
