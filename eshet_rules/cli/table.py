"""How rules are shown: a line for each, and below it what more there is to say."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click

from eshet.clock import wall_now
from eshet_rules.logs import escape

__all__ = ["table"]

_HEAD: Final = ("RULE", "STATE", "SINCE", "VERSION", "RESTARTS", "TASKS", "STRATEGY")
_COLOURS: Final = {"running": "green", "failed": "red", "broken": "red", "disabled": "blue"}
_DETAILS: Final = ("reads", "writes")


def table(rules: Iterable[Mapping[str, Any]], broken: Mapping[str, str]) -> str:
    """Return rules as lines for people; colours are taken out again where they can't be shown.

    Args:
        rules: what a runner tells of them.
        broken: what is wrong with modules that could not be loaded.
    """
    rules = list(rules)
    rows = [_HEAD, *map(_row, rules)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [click.style(_line(_HEAD, widths), bold=True)]
    for rule, row in zip(rules, rows[1:], strict=True):
        lines += [_line(row, widths, _COLOURS.get(rule["state"], "yellow")), *_details(rule)]
    for module, problem in sorted(broken.items()):
        lines += [
            click.style(f"{_one_line(module)}: not loaded as it is now", fg="red"),
            _detail(problem),
        ]
    return "\n".join(lines)


def _row(rule: Mapping[str, Any]) -> tuple[str, ...]:
    tasks = str(rule["running"]) + (f"+{rule['queued']}" if rule["queued"] else "")
    return tuple(
        _one_line(str(each))
        for each in (
            rule["rule"],
            rule["state"],
            _since(rule["since"]),
            rule["version"],
            rule["restarts"],
            tasks,
            rule["strategy"],
        )
    )


def _line(row: Sequence[str], widths: Sequence[int], colour: str | None = None) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    if colour is not None:
        cells[1] = click.style(cells[1], fg=colour)
    return "  ".join(cells).rstrip()


def _details(rule: Mapping[str, Any]) -> list[str]:
    lines = [_detail(f"{name:<6} {' '.join(rule[name])}") for name in _DETAILS if rule[name]]
    if rule["why"]:
        lines.append(_detail(f"why    {rule['why']}"))
    if rule["last_error"] and rule["last_error"] not in rule["why"]:
        lines.append(_detail(f"error  {rule['last_error']}"))
    return lines


def _detail(text: str) -> str:
    return click.style(f"    {_one_line(text)}", dim=True)


def _since(text: str) -> str:
    """Return a time of today as that, and another one with its date; in local time."""
    then = datetime.fromisoformat(text).astimezone()
    today = then.date() == wall_now().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def _one_line(text: str) -> str:
    return escape(text).replace("\n", "\\n")
