"""Matching the nodes of an old version with those of a new one: a pure function of two lists.

Named nodes are matched by rule and name; other nodes by rule, operator and inputs. If several nodes
have these in common, they are matched by parameters such as the length of a window, and then by
order. If two matches are equally good, neither is used: a node that starts without its old state
is noticed once, but one that continues with the state of another stays wrong.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from eshet.reactive.core.origin import Origin, place_of, unnamed

__all__ = ["Description", "Matching", "match"]


@dataclass(frozen=True, slots=True)
class Description:
    """Identifies a stateful thing in terms that survive an edit of other lines.

    Args:
        rule: its rule; empty for things that the module makes outside of its rules.
        label: its name in messages, such as `"time_window of /hall/motion"`.
        shape: a digest, equal for all with the same operator and inputs.
        detail: parameters that distinguish those of one shape, where there are any.
        name: the name that the rule's author gave it, unique in the rule.
        origin: where it was made; not compared, since any edit changes it.
    """

    rule: str
    label: str
    shape: str
    detail: str = ""
    name: str | None = None
    origin: Origin = field(default=None, compare=False)

    @property
    def place(self) -> str | None:
        """Its file and line, such as `"hall.py:12"`; None if unknown."""
        return place_of(unnamed(self.origin)).removeprefix(" at ") or None

    def __str__(self) -> str:
        return self.label if self.name is None else f"{self.name!r}"


@dataclass(slots=True)
class Matching:
    """Which new things correspond to which old ones.

    Args:
        pairs: positions in the old list, by position in the new one.
        afresh: why the others match none, by position in the new list.
    """

    pairs: dict[int, int] = field(default_factory=dict)
    afresh: dict[int, str] = field(default_factory=dict)


def match(old: Sequence[Description], new: Sequence[Description]) -> Matching:
    """Match the things of a new version with those of an old one, both in order of creation."""
    matching = Matching()
    _match_named(old, new, matching)
    groups_of_old = _grouped((_key(each), i) for i, each in enumerate(old) if each.name is None)
    groups_of_new = _grouped((_key(each), i) for i, each in enumerate(new) if each.name is None)
    for key, ours in groups_of_new.items():
        theirs = groups_of_old.get(key, [])
        if theirs:
            _match_alike(old, new, theirs, ours, matching)
        else:
            matching.afresh |= dict.fromkeys(ours, "new, or its inputs have changed")
    return matching


def _match_named(
    old: Sequence[Description], new: Sequence[Description], matching: Matching
) -> None:
    """Match by name within the same rule, and then by name across rules."""
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
        matching.afresh[i] = "the name is not unique" if each.name in names else "new"


def _match_alike(
    old: Sequence[Description],
    new: Sequence[Description],
    theirs: list[int],
    ours: list[int],
    matching: Matching,
) -> None:
    """Match things of one shape: by detail, and by order where both lists have equally many."""
    details_of_old = _grouped((old[i].detail, i) for i in theirs)
    details_of_new = _grouped((new[i].detail, i) for i in ours)
    left_of_old = set(theirs)
    left_of_new = set(ours)
    for detail, same in details_of_new.items():
        candidates = details_of_old.get(detail, [])
        if len(candidates) == len(same):
            matching.pairs |= dict(zip(same, candidates, strict=True))
            left_of_new.difference_update(same)
        left_of_old.difference_update(candidates)
    if len(left_of_new) == len(left_of_old) == 1 and len(ours) == len(theirs):
        matching.pairs[left_of_new.pop()] = left_of_old.pop()
    matching.afresh |= dict.fromkeys(left_of_new, "several old ones match")


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
