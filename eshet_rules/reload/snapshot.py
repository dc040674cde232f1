"""The state that one version of a module hands over to the next."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from eshet.reactive.handover.handover import Lost, Snapshot
from eshet_rules.keep import KEEP

__all__ = ["ModuleSnapshot"]


@dataclass(frozen=True)
class ModuleSnapshot:
    """The state of a module instance, as plain data.

    Args:
        version: the version of the module.
        nodes: the states of its stateful nodes.
        outputs: the last outputs of its sinks.
        notified: the last value of each Value that observers were notified of.
        epoch: the loop's time that counts as 0 in the snapshot.
        was_down: whether the runner was down between that instance and the next.
    """

    version: str
    nodes: list[Snapshot] = field(default_factory=list)
    outputs: list[Snapshot] = field(default_factory=list)
    notified: list[Snapshot] = field(default_factory=list)
    epoch: float = 0.0
    was_down: bool = False

    def kept(self, rule: str = "", rules: Collection[str] = ()) -> dict[str, Any]:
        """Return the states of `keep` Values that a rule may restore, by their names.

        These are its own, and those of rules that no longer exist: the rule may have been renamed.

        Args:
            rule: the name of the rule in the module.
            rules: the names of all rules of the new version.
        """
        own: dict[str, Any] = {}
        of_others: dict[str, list[Any]] = {}
        for description, state, _ in self.nodes:
            name = description.name
            if name is None or description.label != KEEP or not _is_kept(state):
                continue
            if description.rule == rule:
                own[name] = state
            elif description.rule not in rules:
                of_others.setdefault(name, []).append(state)
        return {name: states[0] for name, states in of_others.items() if len(states) == 1} | own

    def after(self, outputs: Collection[Snapshot]) -> "ModuleSnapshot":
        """Return this snapshot for a time after another version has taken over from it.

        That version has sent outputs since. So outputs continue from the last ones of that version
        or, where it has none, are compared with the present values of their paths; unfinished
        outputs are not repeated. Emissions that were due since then count as missed.

        Args:
            outputs: the last outputs of that version.
        """
        known = {_sink(each) for each in outputs}
        own = [
            each._replace(data={**each.data, "unfinished": []})
            for each in self.outputs
            if _sink(each) not in known and type(each.data) is dict
        ]
        return replace(self, outputs=[*outputs, *own], was_down=True)

    def changed(self, change: Callable[[Any], Any]) -> "ModuleSnapshot":
        """Return the snapshot with the state of each node changed.

        Args:
            change: returns the new state, or `Lost`; never raises.
        """

        def each(nodes: list[Snapshot]) -> list[Snapshot]:
            return [
                node if type(node.data) is Lost else node._replace(data=change(node.data))
                for node in nodes
            ]

        return replace(
            self, nodes=each(self.nodes), outputs=each(self.outputs), notified=each(self.notified)
        )


def _sink(output: Snapshot) -> tuple[str, str]:
    return output.description.rule, output.description.label


def _is_kept(state: Any) -> bool:
    """Whether this is a state of a `keep` Value; a file may contain anything."""
    match state:
        case [str(), _]:
            return True
    return False
