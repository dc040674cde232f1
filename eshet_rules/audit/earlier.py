"""Records of earlier versions of the schema, translated as they are read."""

from collections.abc import MutableMapping
from typing import Any, Final

__all__ = ["NAMES_OF_VERSION_1", "names_of", "present_name", "translate"]

NAMES_OF_VERSION_1: Final = {
    "input received": "input.received",
    "value set": "output.set",
    "action called": "output.called",
    "event emitted": "output.emitted",
    "state published": "output.published",
    "connected": "client.connected",
    "disconnected": "client.disconnected",
    "no connection": "connection.lost",
    "connection is back": "connection.restored",
    "rules are still being set up": "runner.start_slow",
    "running": "runner.started",
    "the terminal was closed": "runner.terminal_closed",
    "stopped": "runner.stopped",
    "told to end": "runner.stop_requested",
    "using the named server": "server.named",
    "using a running server": "server.found",
    "started the embedded server": "server.started",
    "loaded": "module.loaded",
    "reloaded": "module.reloaded",
    "unloaded": "module.unloaded",
    "kept old version": "module.reload_aborted",
    "import failed": "module.import_failed",
    "import failed, kept old version": "module.import_failed_again",
    "file excluded": "file.excluded",
    "mended": "module.repaired",
    "handed over": "module.state_handed_over",
    "superseded by a newer change": "module.reload_superseded",
    "rule failed": "rule.failed",
    "attempt failed": "rule.attempt_failed",
    "works again": "rule.recovered",
    "a coroutine was never awaited": "rule.coroutine_never_awaited",
    "a thread has failed": "thread.failed",
    "this looks like a rule, but nothing runs it": "rule.unmarked",
    "threads of a rule slow the loop down": "loop.slowed_by_threads",
    "what a Value holds is changed in place, which nothing notices": "rule.value_changed_in_place",
    "several rules set one path": "path.set_by_several_rules",
    "paths are provided by others": "path.taken",
    "tasks do not end when cancelled": "rule.tasks_not_ending",
    "will not survive a restart: it is no plain data": "state.not_plain_data",
    "writing the checkpoint takes long": "checkpoint.slow",
    "can't read the checkpoint, starting afresh": "checkpoint.unreadable",
    "can't write the checkpoint": "checkpoint.not_written",
    "can't set the damaged checkpoint aside": "checkpoint.not_set_aside",
    "the checkpoint is damaged, starting afresh": "checkpoint.damaged",
    "a part of the checkpoint is damaged, starting that afresh": "checkpoint.partly_damaged",
    "rule will be restarted": "rule.restart_scheduled",
    "rule restarted": "rule.restarted",
    "rule stays failed": "rule.stays_failed",
    "rule disabled": "rule.disabled",
    "rule blocks the loop": "rule.blocks_loop",
    "rule interrupted": "rule.interrupted",
    "loop is free again": "loop.unblocked",
    "took back a signal that a rule had taken": "signal.handler_restored",
    "rule stays off": "rule.quarantined",
    "safe mode: all rules stay off": "runner.safe_mode",
    "the runner was ended from within": "runner.killed_by_rule",
    "can't write which rules stay off": "quarantine.not_written",
    "something wanted to end the runner": "runner.stop_prevented",
    "the event loop is broken": "loop.broken",
    "rules trigger each other": "rule.loop_cut",
    "the process was stopped": "process.was_stopped",
    "lines of the log were dropped": "log.lines_dropped",
    "component failed": "component.failed",
    "can't watch a folder, looking at it again and again": "watcher.unavailable",
    "configuration is wrong, kept the old one": "config.invalid",
    "configuration reloaded": "config.reloaded",
    "a part of the configuration waits for a restart": "config.needs_restart",
    "no rule has this name, which is configured": "config.unknown_rule",
    "no rule asks for these parameters, which are configured": "config.unused_parameters",
    "told to reload": "control.reload_requested",
    "told to restart": "control.restart_requested",
    "told to enable": "control.enable_requested",
    "told to disable": "control.disable_requested",
    "refused what it was told": "control.request_refused",
    "could not do what it was told": "control.request_failed",
    "can't publish what the rules do": "publisher.unavailable",
    "publishing what the rules do": "publisher.available",
    "can't read which rules are switched off": "overrides.unreadable",
    "can't write which rules are switched off": "overrides.not_written",
    "can't show the log": "log.not_shown",
    "trail begins": "trail.started",
    "trail repaired": "trail.repaired",
    "records lost": "trail.records_lost",
    "can't write the trail": "trail.not_written",
    "the trail was moved or deleted": "trail.moved",
    "can't close a file of the trail": "trail.not_closed",
    "can't compress the trail": "trail.not_compressed",
    "can't drop the oldest file of the trail": "trail.not_dropped",
    "no space for the state folder, so nothing is kept yet": "state_folder.full",
    "can't take a lock again": "lock.not_restored",
    "took a lock again": "lock.restored",
    "rules folder was renamed": "state_folder.renamed",
    "found the state of a rules folder that is gone": "state_folder.orphan_found",
}
"""The name of each event in version 1 of the schema, and its present name."""


def translate(record: MutableMapping[str, Any]) -> None:
    """Replace the event name of a record of an earlier version by the present name.

    Records of rules and libraries, which have a field `logger`, are not changed.
    """
    if "logger" not in record:
        event = record.get("event")
        if isinstance(event, str):
            record["event"] = present_name(event)


def present_name(event: str) -> str:
    """Return the present name of an event that may have an earlier name."""
    return NAMES_OF_VERSION_1.get(event, event)


def names_of(event: str) -> list[str]:
    """Return the present name and all earlier names of an event, of which one is given."""
    present = present_name(event)
    return [present, *(name for name, now in NAMES_OF_VERSION_1.items() if now == present)]
