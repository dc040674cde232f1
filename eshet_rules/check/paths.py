"""Findings from the paths that the loaded rules use."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Final

from eshet.paths import is_misspelt, nearest
from eshet_rules.check.finding import Finding, Severity
from eshet_rules.check.loading import Loaded, Place

__all__ = ["find_in_paths"]

_OF_SERVERS: Final = ("/meta/", "/eshet_rules/")
"""Paths below these are provided by servers and runners."""


def find_in_paths(loaded: Loaded, house: Collection[str] | None = None) -> Iterator[Finding]:
    """Find paths with several writers, paths that nothing provides, and feedback.

    Args:
        loaded: the loaded rules.
        house: the paths that the real house provides; None if it was not asked. Then only those
            paths are reported that differ by one letter from one that a rule provides.
    """
    yield from _two_writers(loaded)
    yield from _no_provider(loaded, house)
    for rule, path in dict.fromkeys(loaded.feedbacks):
        place = _places(loaded, rule, path)[-1]
        yield Finding(
            Severity.WARNING,
            "writes-what-it-reads",
            *place,
            f"{rule} sets {path} to a Value that follows {path} itself, so it may trigger itself "
            "for ever",
            "compute it from other inputs, or from an Event that samples it",
            rule,
        )


def _two_writers(loaded: Loaded) -> Iterator[Finding]:
    writers: defaultdict[str, list[str]] = defaultdict(list)
    held: set[str] = set()
    for sink in loaded.sinks:
        if sink.holds or sink.drives:
            writers[sink.path].append(sink.rule)
        if sink.holds:
            held.add(sink.path)
    for path, rules in sorted(writers.items()):
        if len(rules) < 2 or path not in held:  # drivers alone are not rivals
            continue
        names = list(dict.fromkeys(rules))
        *others, last = dict.fromkeys(
            place for rule in names for place in _places(loaded, rule, path)
        )
        also = ", ".join(f"{each.file.name}:{each.line}" for each in others)
        who = " and ".join(names) if len(names) > 1 else f"{names[0]} twice"
        yield Finding(
            Severity.WARNING,
            "two-writers",
            *last,
            f"{path} is set by {who}{f' (also {also})' if also else ''}: the last one wins each "
            "time",
            "let all of them use yarp.drive, with priorities, or let one rule decide, from all its "
            "inputs",
            names[-1],
        )


def _no_provider(loaded: Loaded, house: Collection[str] | None) -> Iterator[Finding]:
    known = {*loaded.provided, *(house or ())}
    provided = sorted(path for path in known if not path.startswith(_OF_SERVERS))
    # A rule that has failed might provide each path that it names, and has not come to that.
    unsure = {path for rule, path in loaded.places if rule in loaded.failed}
    for (rule, path), places in sorted(loaded.places.items()):
        if path in known or path.startswith(_OF_SERVERS):
            continue
        if house is None:
            near = [each for each in provided if is_misspelt(path, each)]
            problem = f"no rule provides {path}"
        else:
            near = nearest(path, provided)
            problem = f"nothing provides {path}"
        remedy = "check its name, and that its device is connected"
        if near:
            remedy = f"did you mean {' or '.join(near)}?"
        elif house is None or path in unsure:
            continue
        yield Finding(Severity.WARNING, "no-provider", *places[0], problem, remedy, rule)


def _places(loaded: Loaded, rule: str, path: str) -> list[Place]:
    return loaded.places.get((rule, path)) or [loaded.rules[rule]]
