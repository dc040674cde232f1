"""Replaces running versions of modules: prepare, commit, abort; also across a restart.

reloader            prepares new module instances, commits or aborts them
planner             decides which modules need a new version
groups              finds modules that must change together
activity            finds the modules whose state or reports may have changed
module_instance     one running version of a module: its client, its scopes, its rules
set_up              waits until the rules of an instance are set up
path_usage          records which paths each rule reads, and writes by direct calls
owner_watch         sends settings again to devices that were registered again
drive_records       records who decides over driven paths
path_conflicts      logs rules that wait for a path which another client provides
snapshot            the state that one version of a module hands over to the next
class_mapping       maps objects of the old version's classes to the new ones
version_store       the sources of versions that were live, by module and hash
checkpoint          the file of all snapshots: reads, packs and replaces it
checkpoint_writer   writes the checkpoint regularly, after changes
packing             serializes values of rules
"""
