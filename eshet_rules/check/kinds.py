"""Findings of paths that are used as a node of another kind than they are."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from eshet_rules.check.finding import Finding, Severity
from eshet_rules.check.loading import Loaded, Place

__all__ = ["WRONG_KIND", "find_wrong_kinds"]

WRONG_KIND: Final = re.compile(
    r"(?P<request>observe|listen|get|call) (?P<path>/\w[\w/]*): "
    r"(path_already_exists|path_is_wrong_type)"
)
"""Matches the error of a request at a node of another kind."""

_WANTED: Final = {"observe": "state", "listen": "event", "get": "state", "call": "action"}
_NAMES: Final = {
    "action": "an action",
    "event": "an event",
    "prop": "a property",
    "state": "a state",
}
_FUNCTIONS: Final = {
    "state": "`yarp.state_observe`",
    "event": "`yarp.event_listen`",
    "action": "`client.action_call`",
    "prop": "`client.get`",
}


def find_wrong_kinds(loaded: Loaded, house: Mapping[str, str]) -> Iterator[Finding]:
    """Find rules that use a path as another kind than other rules, or than the house.

    Args:
        loaded: the loaded rules.
        house: the kinds of the paths that the real house provides; empty if it was not asked.
    """
    uses = dict(_uses(loaded))
    for path in sorted({path for _, path in uses}):
        kinds = {uses[rule, used] for rule, used in uses if used == path}
        right = house.get(path)
        if right not in _NAMES:
            right = None
        for (rule, used), kind in uses.items():
            if used != path or kind == right or (right is None and len(kinds) == 1):
                continue
            place = loaded.places[rule, path][0]
            if right is not None:
                problem = f"{path} is {_NAMES[right]} in the house, and used as {_NAMES[kind]}"
                remedy = f"write {_FUNCTIONS[right]}"
            else:
                others = ", ".join(_others(loaded, uses, path, kind))
                problem = f"{path} is used as {_NAMES[kind]} here, and otherwise at {others}"
                remedy = "a path is of one kind: use the same function at all of them"
            yield Finding(Severity.ERROR, "wrong-kind", *place, problem, remedy, rule)


def _uses(loaded: Loaded) -> Iterator[tuple[tuple[str, str], str]]:
    """Iterate over rules and paths, each with the kind as which the rule uses the path."""
    wanted = {}
    for record in loaded.records:
        found = WRONG_KIND.search(str(record.get("error") or ""))
        if found is not None and record.get("rule"):
            wanted[str(record["rule"]), found["path"]] = _WANTED[found["request"]]
    for rule, path in loaded.places:
        if path in loaded.kinds and loaded.kinds[path] in _FUNCTIONS:
            yield (rule, path), wanted.get((rule, path), loaded.kinds[path])


def _others(
    loaded: Loaded, uses: Mapping[tuple[str, str], str], path: str, kind: str
) -> Iterator[str]:
    for (rule, used), other in uses.items():
        if used == path and other != kind:
            place: Place = loaded.places[rule, path][0]
            yield f"{place.file.name}:{place.line} (as {_NAMES[other]})"
