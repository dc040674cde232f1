"""What one version of a module leaves to the next."""

from dataclasses import dataclass, field
from typing import Any

from eshet.reactive.handover import Memo
from eshet_rules.keep import KEEP

__all__ = ["Legacy"]


@dataclass(frozen=True)
class Legacy:
    """What a generation hands over, as plain data.

    Args:
        version: of the module.
        nodes: what its stateful nodes remember.
        outputs: what its sinks have sent.
        zero: the loop's time that is 0 in it.
        was_down: whether nobody was there between that generation and the next.
    """

    version: str
    nodes: list[Memo] = field(default_factory=list)
    outputs: list[Memo] = field(default_factory=list)
    zero: float = 0.0
    was_down: bool = False

    def kept(self) -> dict[str, Any]:
        """Return what the Values of `keep` gave, by their names."""
        return {
            description.name: given
            for description, given in self.nodes
            if description.name is not None and description.label == KEEP
        }
