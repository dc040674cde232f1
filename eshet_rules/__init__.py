"""The rules runner: imports rule modules, runs them, and reloads them when you save.

The packages and modules; imports go downwards only:

    cli              the `eshet-rules` command
    check            checks a rules folder without running it in the house
    shadow           runs rules on the inputs of a house, without effect there
    web              the page of a running runner, and its API
    replay           runs rules again on recorded inputs
    testing          a house for tests of rules, in virtual time
    runner           composes and runs everything else
    cluster          shares the modules of a rules folder among several runners
    graph            draws the inputs and outputs of rules, and the inside of a rule
    why_not          lists the changes needed for another value
    reload           replaces running versions of modules
    config           eshet-rules.toml as typed settings
    supervision      runs rules under strategies, restarts them, protects the others
    modules          files of the rules folder as Python modules
    mistakes         finds likely mistakes in the source of rules
    logs             the log, for a terminal or as JSON
    stats            counts actions of rules, from the audit trail
    why              explains why a path has its value
    audit            audit records and the audit trail
    keep             `keep`: a Value that survives an edit of its rule
    rule             `@rule`
    permissions      checks who may write rules, configuration and state
    regular_files    reads files that users name
    threads          the runner's own threads
    exceptions       every error of this package
"""

from eshet_rules.keep import keep
from eshet_rules.rule import rule
from eshet_rules.supervision.strategies import RunConcurrently, RunLatest, RunSingle

__all__ = ["RunConcurrently", "RunLatest", "RunSingle", "keep", "rule"]
