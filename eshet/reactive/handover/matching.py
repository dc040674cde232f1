"""Which node of an old version is which of a new one: a pure function of two lists.

Nodes are told apart by what they are called, if they were given a name, which belongs to the rule
that gave it; else by the rule that made them, by what they do, and by what they are made of. What
is alike in all that is told apart by the numbers that it was given, such as the length of a window,
and in the end by order. Where two could be meant equally well none is: a node that starts afresh is
noticed once, one that goes on with the state of another is wrong for good.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from eshet.reactive.core.origin import Origin, place_of, unnamed

__all__ = ["Description", "Matching", "match"]


@dataclass(frozen=True, slots=True)
class Description:
    """What can be said of a stateful thing in words that outlive an edit of other lines.

    Args:
        rule: which made it; empty for what a module makes outside of its rules.
        label: what people call it, as `"time_window of /hall/motion"`.
        shape: the same for all that do the same with the same inputs.
        detail: tells those of one shape from each other, where it can.
        name: what it was called by the author of the rule, unique in the rule.
        origin: where it was made, which is not compared: any edit changes it.
    """

    rule: str
    label: str
    shape: str
    detail: str = ""
    name: str | None = None
    origin: Origin = field(default=None, compare=False)

    @property
    def place(self) -> str | None:
        """The file and line in which it was made, as `"hall.py:12"`; None if it is not known."""
        return place_of(unnamed(self.origin)).removeprefix(" at ") or None

    def __str__(self) -> str:
        return self.label if self.name is None else f"{self.name!r}"


@dataclass(slots=True)
class Matching:
    """Which of the new are which of the old.

    Args:
        pairs: the position among the old, by that among the new.
        afresh: why the others match none, by their position among the new.
    """

    pairs: dict[int, int] = field(default_factory=dict)
    afresh: dict[int, str] = field(default_factory=dict)


def match(old: Sequence[Description], new: Sequence[Description]) -> Matching:
    """Match what a new version has with what an old one had, both in the order of making."""
    matching = Matching()
    _match_named(old, new, matching)
    groups_of_old = _grouped((_key(each), i) for i, each in enumerate(old) if each.name is None)
    groups_of_new = _grouped((_key(each), i) for i, each in enumerate(new) if each.name is None)
    for key, ours in groups_of_new.items():
        theirs = groups_of_old.get(key, [])
        if len(ours) == len(theirs) == 1:
            matching.pairs[ours[0]] = theirs[0]
        elif theirs:
            _match_alike(old, new, theirs, ours, matching)
        else:
            matching.afresh |= dict.fromkeys(ours, "new, or made of something else than before")
    return matching


def _match_named(
    old: Sequence[Description], new: Sequence[Description], matching: Matching
) -> None:
    """Match what has the same name in the same rule, and then what has moved to another rule."""
    left_of_old = [(each, i) for i, each in enumerate(old) if each.name is not None]
    left_of_new = [(each, i) for i, each in enumerate(new) if each.name is not None]
    for key in (_rule_and_name, _name):
        theirs = _grouped((key(each), i) for each, i in left_of_old)
        ours = _grouped((key(each), i) for each, i in left_of_new)
        for name, positions in ours.items():
            if len(positions) == len(theirs.get(name, [])) == 1:
                matching.pairs[positions[0]] = theirs[name][0]
        taken = set(matching.pairs.values())
        left_of_old = [(each, i) for each, i in left_of_old if i not in taken]
        left_of_new = [(each, i) for each, i in left_of_new if i not in matching.pairs]
    names = {each.name for each, _ in left_of_old}
    for each, i in left_of_new:
        matching.afresh[i] = "two have this name" if each.name in names else "new"


def _match_alike(
    old: Sequence[Description],
    new: Sequence[Description],
    theirs: list[int],
    ours: list[int],
    matching: Matching,
) -> None:
    """Match those of one shape: by detail, and by order where as many have the same."""
    details_of_old = _grouped((old[i].detail, i) for i in theirs)
    details_of_new = _grouped((new[i].detail, i) for i in ours)
    left_of_old = set(theirs)
    left_of_new = set(ours)
    for detail, same in details_of_new.items():
        candidates = details_of_old.get(detail, [])
        if len(candidates) == len(same):
            matching.pairs |= dict(zip(same, candidates, strict=True))
            left_of_new.difference_update(same)
        if candidates:
            left_of_old.difference_update(candidates)
    if len(left_of_new) == len(left_of_old) == 1 and len(ours) == len(theirs):
        matching.pairs[left_of_new.pop()] = left_of_old.pop()
    matching.afresh |= dict.fromkeys(left_of_new, "there are several that it could be")


def _rule_and_name(description: Description) -> Hashable:
    return description.rule, description.name


def _name(description: Description) -> Hashable:
    return description.name


def _key(description: Description) -> tuple[str, str]:
    return description.rule, description.shape


def _grouped(pairs: Iterable[tuple[Hashable, int]]) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for key, position in pairs:
        groups[key].append(position)
    return dict(groups)
