"""Damaged parts of the trail that a command has met."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from eshet.program import printable

if TYPE_CHECKING:
    from eshet_rules.audit.query import Damage

__all__ = ["Damages"]

_DAMAGED: Final = 3


class Damages:
    """Prints each damaged part once, on standard error.

    Attributes:
        exit_code: of the command: 3 if there were any, and else 0.
    """

    def __init__(self) -> None:
        self._known: set[Damage] = set()
        self.exit_code: int = 0

    def __bool__(self) -> bool:
        return bool(self._known)

    def report(self, damage: "Damage") -> None:
        """Print a damaged part."""
        uncounted = replace(damage, lines=0)  # a reader that stops early does not count them
        if damage in self._known or uncounted in self._known:
            return
        self._known.add(damage)
        self.exit_code = _DAMAGED
        lines = f" ({damage.lines} line{'s' * (damage.lines > 1)})" if damage.lines else ""
        click.echo(f"eshet-rules: {printable(f'{damage.file}: {damage.problem}{lines}')}", err=True)
