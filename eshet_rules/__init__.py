"""The runner of house rules: it imports rule modules, runs them, and reloads them as you save.

What lives where; imports go downwards only:

    cli             one module for each command
    virtual_time    an event loop whose clock moves only when told to
    runner          puts the rooms together
    house           a running house of rules, to its end
    status          what a running runner publishes, and how it is told what to do
    control         what it does then, and when its configuration changes
    remember        writes what rules remember to the checkpoint
    checkpoint      what rules remember, in a file
    house_server    the server that the rules talk to, which may be an embedded one
    connections     tells of connections that are lost, in one line
    reload          keeps what is alive the same as what is in the files
    plan, groups    what has changed, and which modules have to change together
    generation      one version of one module brought to life
    config          eshet-rules.toml to typed settings; an error names file, line, key
    uses, report    what a rule reads and writes; how it is, as plain data
    supervision     rules under their strategies, apart from each other
    logs            lines for people, JSON for machines
    audit           what happened, in records that can be filtered and trusted
    watcher         what is in the rules folder, again after each change
    importer        versions of modules beside each other; who imports whom
    discovery       which files are modules
    legacy          what one version of a module leaves to the next
    rule            @rule: what a rule is
    keep            keep: a Value that survives an edit of its rule
    lock, switches  one runner for each state folder; which rules are switched off, in a file
    signals         how signals end the runner, for sure
    systemd         what systemd is told
    exceptions
"""

from eshet_rules.keep import keep
from eshet_rules.rule import rule
from eshet_rules.supervision.strategies import RunConcurrently, RunLatest, RunSingle

__all__ = ["RunConcurrently", "RunLatest", "RunSingle", "keep", "rule"]
