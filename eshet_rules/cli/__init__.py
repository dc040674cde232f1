"""The `eshet-rules` command, with a module for each group of subcommands.

run              runs the rules of a folder
check            checks the rules of a folder without running them
init             writes a first rule and its test
templates        the files that `init` writes
list             lists the rules of a running runner and their states
control          reload, commit, enable, disable, restart, release, rollback, drain
publish          publishes the rules of a folder for the runners of a cluster
devices          lists the devices of bridges, and writes their paths as a module
versions         lists the versions of modules that were live, and prints one
audit            queries the audit trail
stats            counts what rules did
shared_trail     the trail of all runners of a cluster, for audit and stats
graph            draws which paths the rules read and write
why              explains why a path has its value
why_not          tells what would have to change for another value
web              makes, lists and removes tokens of the page
replay           runs rules again on the inputs of the audit trail
shadow_diff      compares a shadow runner with the real one
completion       completes names of rules in the shell
runner_client    finds a running runner and calls its actions
cluster_client   finds the runners of a cluster and calls the actions of all of them
table            the table of rules
device_table     the table of devices
stubs            generates a module with the paths of devices
damages          damaged parts of the trail that a command has met
options          options that several commands share
time_option      points in time as option values
nats_option      the NATS servers of a cluster, which a command asks without a runner
trail_option     the audit trail and the state folder that a command reads

Nothing slow is imported here: each command imports the runner and its dependencies when it runs.
"""

import click

from eshet.program import Program
from eshet_rules.cli.audit import audit
from eshet_rules.cli.check import check
from eshet_rules.cli.control import (
    commit,
    disable,
    drain,
    enable,
    release,
    reload,
    restart,
    rollback,
)
from eshet_rules.cli.devices import devices
from eshet_rules.cli.graph import graph
from eshet_rules.cli.init import init
from eshet_rules.cli.list import list_
from eshet_rules.cli.publish import publish
from eshet_rules.cli.replay import replay
from eshet_rules.cli.run import run
from eshet_rules.cli.shadow_diff import shadow_diff
from eshet_rules.cli.stats import stats
from eshet_rules.cli.versions import show, versions
from eshet_rules.cli.web import web
from eshet_rules.cli.why import why
from eshet_rules.cli.why_not import why_not

__all__ = ["main"]


@click.group("eshet-rules", cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eshet-rules", prog_name="eshet-rules")
def main() -> None:
    """Run automation rules for a programmable house."""


for _command in (
    audit,
    check,
    commit,
    devices,
    disable,
    drain,
    enable,
    graph,
    init,
    list_,
    publish,
    release,
    reload,
    replay,
    restart,
    rollback,
    run,
    shadow_diff,
    show,
    stats,
    versions,
    web,
    why,
    why_not,
):
    main.add_command(_command)
