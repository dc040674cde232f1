"""How rules are shown: a line for each, and below it what more there is to say."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click

from eshet.clock import wall_now
from eshet_rules.logs import escape

__all__ = ["table"]

_HEAD: Final = ("RULE", "STATE", "SINCE", "VERSION", "RESTARTS", "TASKS", "STRATEGY")
_COLOURS: Final = {"running": "green", "failed": "red", "broken": "red", "disabled": "blue"}
_STRATEGY: Final = _HEAD.index("STRATEGY")
_DISPENSABLE: Final = (_STRATEGY, _HEAD.index("VERSION"), _HEAD.index("TASKS"))
"""The columns that are left out where there is no room for all, the first ones first."""
_DETAILS: Final = ("reads", "writes")


def table(
    rules: Iterable[Mapping[str, Any]],
    broken: Mapping[str, str],
    *,
    width: int = 80,
    wraps: bool = False,
) -> str:
    """Return rules as lines for people; colours are taken out again where they can't be shown.

    Args:
        rules: what a runner tells of them.
        broken: what is wrong with modules that could not be loaded.
        width: in which the columns have to fit, in characters: those that do not are left out, and
            the strategy stands below.
        wraps: whether what stands below the columns is wrapped to that width, too.
    """
    rules = list(rules)
    rows = [_HEAD, *map(_row, rules)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    columns = _fitting(widths, width)
    widths = [widths[column] for column in columns]
    rows = [tuple(row[column] for column in columns) for row in rows]
    lines = [click.style(_line(rows[0], widths), bold=True)]
    for rule, row in zip(rules, rows[1:], strict=True):
        details = _details(rule, with_strategy=_STRATEGY not in columns)
        if wraps:
            details = [line for each in details for line in _wrapped(each, width)]
        lines += [_line(row, widths, _COLOURS.get(rule["state"], "yellow"))]
        lines += map(_dim, details)
    for module, problem in sorted(broken.items()):
        lines += [
            click.style(f"{_one_line(module)}: not loaded as it is now", fg="red"),
            _dim(_detail(problem)),
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


def _fitting(widths: Sequence[int], width: int) -> list[int]:
    """Return the columns that fit; the last ones to go are the name, the state and the time."""
    columns = list(range(len(widths)))
    for dispensable in _DISPENSABLE:
        if sum(widths[column] + 2 for column in columns) - 2 <= width:
            break
        columns.remove(dispensable)
    return columns


def _details(rule: Mapping[str, Any], *, with_strategy: bool) -> list[str]:
    lines = [_detail(f"{name:<6} {' '.join(rule[name])}") for name in _DETAILS if rule[name]]
    if rule.get("not_provided"):
        lines.append(_detail(f"absent {' '.join(rule['not_provided'])} (nothing provides this)"))
    if with_strategy and rule["strategy"]:
        lines.insert(0, _detail(f"runs   {rule['strategy']}"))
    if rule["why"]:
        lines.append(_detail(f"why    {rule['why']}"))
    if rule["last_error"] and rule["last_error"] not in rule["why"]:
        lines.append(_detail(f"error  {rule['last_error']}"))
    return lines


def _detail(text: str) -> str:
    return f"    {_one_line(text)}"


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(
        line, width, subsequent_indent=" " * 11, break_on_hyphens=False, break_long_words=False
    )


def _dim(line: str) -> str:
    return click.style(line, dim=True)


def _since(text: str) -> str:
    """Return a time of today as that, and another one with its date; in local time."""
    then = datetime.fromisoformat(text).astimezone()
    today = then.date() == wall_now().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def _one_line(text: str) -> str:
    return escape(text).replace("\n", "\\n")
