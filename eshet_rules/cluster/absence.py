"""Modules of which nobody can be asked, as text. No I/O; imported without the library for NATS."""

from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["absence", "silence", "unknown_writers"]

_MOST_NAMED: Final = 5
_MOST_NOTES: Final = 3


def absence(module: str, needs: Mapping[str, str]) -> str:
    """Return that no runner runs a module, and why not if that is known.

    Args:
        module: its name.
        needs: the conditions on runners that no runner fulfils, by module.
    """
    why = f", which needs a runner with {needs[module]}" if module in needs else ""
    return f"no runner of the cluster runs {module}{why}"


def unknown_writers(modules: Sequence[str], needs: Mapping[str, str]) -> list[str]:
    """Return notes about modules that no runner runs, for a path that none of the others writes.

    Args:
        modules: their names.
        needs: see `absence`.
    """
    shown = modules[:_MOST_NOTES]
    notes = [f"{absence(module, needs)}: what it writes is not known" for module in shown]
    if rest := len(modules) - len(shown):
        notes.append(f"no runner of the cluster runs {rest:,} more: what they write is not known")
    return notes


def silence(modules: Sequence[str]) -> str:
    """Return that a runner does not answer, with the modules that it runs as far as is known."""
    if not modules:
        return "it does not answer"
    names = ", ".join(modules[:_MOST_NAMED])
    rest = len(modules) - _MOST_NAMED
    return f"it does not answer, and runs {names}{f' and {rest:,} more' if rest > 0 else ''}"
