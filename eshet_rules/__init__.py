"""The runner of house rules: it imports rule modules, runs them, and reloads them as you save.

What lives where; imports go downwards only:

    cli             one module for each command
    virtual_time    an event loop whose clock moves only when told to
    runner          puts the rooms together; signals, shutdown
    remember        writes what rules remember to the checkpoint
    checkpoint      what rules remember, in a file
    house_server    the server that the rules talk to, which may be an embedded one
    reload          keeps what is alive the same as what is in the files
    groups          which modules have to change together
    generation      one version of one module brought to life
    supervision     rules under their strategies, apart from each other
    logs            lines for people, JSON for machines
    audit           what happened, in records that can be filtered and trusted
    watcher         what is in the rules folder, again after each change
    importer        versions of modules beside each other; who imports whom
    discovery       which files are modules
    legacy          what one version of a module leaves to the next
    rule            @rule: what a rule is
    keep            keep: a Value that survives an edit of its rule
    exceptions
"""

from eshet_rules.keep import keep
from eshet_rules.rule import rule
from eshet_rules.supervision.strategies import RunConcurrently, RunLatest, RunSingle

__all__ = ["RunConcurrently", "RunLatest", "RunSingle", "keep", "rule"]
