"""Replacing running versions of modules: prepare, commit, abort, and across a restart.

reloader            prepares new module instances, commits or aborts them
planner             which modules need a new version
groups              which of them change together
module_instance     one running version of a module: its client, its scopes, its rules
set_up              waits until the rules of an instance are set up
path_usage          which paths each rule reads and writes
path_conflicts      rules that want a path which another client provides
snapshot            what one version of a module leaves to the next
class_mapping       maps objects of the old version's classes to the new ones
checkpoint          snapshots in a file
checkpoint_writer   writes them regularly
packing             values of rules to bytes and back
"""
