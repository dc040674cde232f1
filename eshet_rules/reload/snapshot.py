"""What one version of a module leaves to the next."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from eshet.reactive.handover.handover import Lost, Snapshot
from eshet_rules.keep import KEEP

__all__ = ["ModuleSnapshot"]


@dataclass(frozen=True)
class ModuleSnapshot:
    """What a generation hands over, as plain data.

    Args:
        version: of the module.
        nodes: what its stateful nodes remember.
        outputs: what its sinks have sent.
        notified: the last value of each Value that observers were notified of.
        epoch: the loop's time that is 0 in it.
        was_down: whether nobody was there between that generation and the next.
    """

    version: str
    nodes: list[Snapshot] = field(default_factory=list)
    outputs: list[Snapshot] = field(default_factory=list)
    notified: list[Snapshot] = field(default_factory=list)
    epoch: float = 0.0
    was_down: bool = False

    def kept(self, rule: str = "", rules: Collection[str] = ()) -> dict[str, Any]:
        """Return what the Values of `keep` gave to which a rule may go on, by their names.

        Those are its own, and those of rules that are not there any more: it may be one of them,
        under another name.

        Args:
            rule: its name in the module.
            rules: the names of all rules of the new version.
        """
        own: dict[str, Any] = {}
        of_others: dict[str, list[Any]] = {}
        for description, given in self.nodes:
            name = description.name
            if name is None or description.label != KEEP or not _is_kept(given):
                continue
            if description.rule == rule:
                own[name] = given
            elif description.rule not in rules:
                of_others.setdefault(name, []).append(given)
        return {name: given[0] for name, given in of_others.items() if len(given) == 1} | own

    def changed(self, change: Callable[[Any], Any]) -> "ModuleSnapshot":
        """Return the same with something else in place of all that was given.

        Args:
            change: returns it, or `Lost`; never raises.
        """

        def each(memos: list[Snapshot]) -> list[Snapshot]:
            return [
                memo if type(memo.data) is Lost else memo._replace(data=change(memo.data))
                for memo in memos
            ]

        return replace(
            self, nodes=each(self.nodes), outputs=each(self.outputs), notified=each(self.notified)
        )


def _is_kept(given: Any) -> bool:
    """Whether this is what a Value of `keep` has given; a file may say anything."""
    match given:
        case [str(), _]:
            return True
    return False
