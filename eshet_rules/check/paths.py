"""Findings from the paths that the loaded rules use."""

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Final

from eshet_rules.check.finding import Finding, Severity
from eshet_rules.check.loading import Loaded, Place

__all__ = ["find_in_paths"]

_OF_SERVERS: Final = ("/meta/", "/eshet_rules/")
"""Paths below these are provided by servers and runners."""

_LEAST: Final = 4
"""Minimum length of a name in a path that may be misspelt."""

_DIGITS: Final = re.compile(r"\d+")


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
        place = _place(loaded, rule, path, last=True)
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
    for sink in loaded.sinks:
        if sink.holds:
            writers[sink.path].append(sink.rule)
    for path, rules in sorted(writers.items()):
        if len(rules) < 2:
            continue
        places = list(
            dict.fromkeys(
                place for rule in dict.fromkeys(rules) for place in _places(loaded, rule, path)
            )
        )
        names = list(dict.fromkeys(rules))
        for number, place in enumerate(places):
            others = [f"{each.file.name}:{each.line}" for each in places if each is not place]
            where = f" (also {', '.join(others)})" if others else ""
            who = " and ".join(names) if len(names) > 1 else f"{names[0]} twice"
            if number == len(places) - 1:  # one finding for each path
                yield Finding(
                    Severity.WARNING,
                    "two-writers",
                    *place,
                    f"{path} is set by {who}{where}: the last one wins each time",
                    "let one rule decide, from all its inputs",
                    names[-1],
                )


def _no_provider(loaded: Loaded, house: Collection[str] | None) -> Iterator[Finding]:
    provided = {
        path for path in {*loaded.provided, *(house or ())} if not path.startswith(_OF_SERVERS)
    }
    seen: set[tuple[str, str]] = set()
    for (rule, path), places in sorted(loaded.places.items()):
        if path in provided or path.startswith(_OF_SERVERS) or (rule, path) in seen:
            continue
        seen.add((rule, path))
        if house is None:
            near = [each for each in sorted(provided) if _is_misspelt(path, each)]
            who = "no rule"
        else:
            near = difflib.get_close_matches(path, sorted(provided), n=3, cutoff=0.75)
            who = "nothing"
        if near or house is not None:
            yield Finding(
                Severity.WARNING,
                "no-provider",
                *places[0],
                f"{who} provides {path}",
                f"did you mean {' or '.join(near)}?"
                if near
                else "check its name, and that its device is connected",
                rule,
            )


def _is_misspelt(path: str, other: str) -> bool:
    """Whether one name in a path differs by one letter from that in another path.

    Names that differ by a digit are names of different things, and so are a word and its plural.
    """
    ours, theirs = path.split("/"), other.split("/")
    if len(ours) != len(theirs):
        return False
    different = [(one, two) for one, two in zip(ours, theirs, strict=True) if one != two]
    if len(different) != 1:
        return False
    [(one, two)] = different
    if _DIGITS.findall(one) != _DIGITS.findall(two) or min(len(one), len(two)) < _LEAST:
        return False
    return f"{one}s" != two and f"{two}s" != one and _differ_by_one(one, two)


def _differ_by_one(one: str, two: str) -> bool:
    """Whether a letter is missing, added or changed, or two neighbours are exchanged."""
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    rest, other = one[start:], two[start:]
    return (
        rest[1:] == other[1:]
        or rest[1:] == other
        or rest == other[1:]
        or (rest[:2] == other[1::-1] and len(rest) > 1 and rest[2:] == other[2:])
    )


def _places(loaded: Loaded, rule: str, path: str) -> list[Place]:
    return loaded.places.get((rule, path)) or [loaded.rules[rule]]


def _place(loaded: Loaded, rule: str, path: str, *, last: bool) -> Place:
    return _places(loaded, rule, path)[-1 if last else 0]
