"""The table of rules: a line for each rule, and its details below."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import click

from eshet.clock import wall_now
from eshet_rules.logs import escape

__all__ = ["table"]

_HEAD: Final = ("RULE", "STATE", "SINCE", "VERSION", "RESTARTS", "TASKS", "STRATEGY")
_COLOURS: Final = {"running": "green", "failed": "red", "broken": "red", "disabled": "blue"}
_STRATEGY: Final = _HEAD.index("STRATEGY")
_DISPENSABLE: Final = (_STRATEGY, _HEAD.index("VERSION"), _HEAD.index("TASKS"))
"""The columns to leave out where the width does not suffice, in this order."""
_DETAILS: Final = ("reads", "writes")


def table(
    rules: Iterable[Mapping[str, Any]],
    broken: Mapping[str, str],
    bridges: Iterable[Mapping[str, Any]] = (),
    rolled_back: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    waiting: Mapping[str, Mapping[str, str | None]] = MappingProxyType({}),
    *,
    members: Iterable[Mapping[str, Any]] = (),
    without_runner: Mapping[str, str] = MappingProxyType({}),
    width: int = 80,
    wraps: bool = False,
) -> str:
    """Return the table of rules, with colours; `click.echo` removes them where necessary.

    Args:
        rules: the runner's reports on them.
        broken: by the name of each module that failed to load, the error.
        bridges: the runner's reports on its bridges.
        rolled_back: the modules that are rolled back.
        waiting: the changes that wait to be committed.
        members: the runners of a cluster; see `ClusterClient.members`. Its rules have a `runner`.
        without_runner: the modules that no runner of the cluster runs, with the condition on
            runners if no runner fulfils it, else an empty text.
        width: maximum width in characters. Columns that do not fit are left out; the strategy is
            then shown as a detail.
        wraps: whether the details are wrapped to the width as well.
    """
    rules = list(rules)
    rows = [_HEAD, *map(_row, rules)]
    if any("runner" in rule for rule in rules):
        runners = ["RUNNER", *(str(rule["runner"]) for rule in rules)]
        rows = [(*row, runner) for row, runner in zip(rows, runners, strict=True)]
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
            click.style(f"{_one_line(module)}: the present version is not loaded", fg="red"),
            _dim(_detail(problem)),
        ]
    for module, roll_back in sorted(rolled_back.items()):
        lines += _rolled_back(module, roll_back)
    for module, change in sorted(waiting.items()):
        lines.append(click.style(_waiting(module, change), fg="yellow"))
    lines += map(_bridge, bridges)
    lines += map(_member, members)
    for module, needs in without_runner.items():
        why = f", it needs a runner with {_one_line(needs)}" if needs else ""
        text = f"{_one_line(module)}: no runner of the cluster runs it{why}"
        lines.append(click.style(text, fg="red"))
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


def _rolled_back(module: str, roll_back: Mapping[str, str]) -> list[str]:
    text = (
        f"{_one_line(module)}: rolled back to {roll_back['version']} since "
        f"{_since(roll_back['since'])}, until its file ({roll_back['file_version']}) changes"
    )
    lines = [click.style(text, fg="yellow")]
    reasons = [f"by     {roll_back['by']}"] if roll_back["by"] else []
    reasons += [f"why    {roll_back['why']}"] if roll_back["why"] else []
    return lines + [_dim(_detail(each)) for each in reasons]


def _waiting(module: str, change: Mapping[str, str | None]) -> str:
    name, file_version = _one_line(module), change["file_version"]
    if file_version is None:
        what = "the removal of its file"
    elif change["version"] is None:
        what = f"its new file ({file_version})"
    else:
        what = f"the change of its file ({file_version})"
    return f"{name}: {what} waits for `eshet-rules commit`"


def _bridge(bridge: Mapping[str, Any]) -> str:
    state, colour = ("connected", "green") if bridge["connected"] else ("not connected", "red")
    where = f" of {bridge['runner']}" if "runner" in bridge else ""
    text = (
        f"bridge {bridge['bridge']}{where}: {click.style(state, fg=colour)} to {bridge['server']}"
    )
    if bridge["problem"]:
        return f"{text}: {_one_line(bridge['problem'])}"
    return f"{text}, {bridge['devices']} devices"


def _member(member: Mapping[str, Any]) -> str:
    name = f"runner {_one_line(member['name'])}"
    if not member["answers"]:
        modules = ", ".join(map(_one_line, member["modules"]))
        runs = f", runs {modules}" if modules else ""
        return f"{name}: {click.style('does not answer', fg='red')}{runs}"
    number = len(member["modules"])
    parts = [
        f"{number} module{'' if number == 1 else 's'}",
        f"weight {member['weight']:g}",
        *([f"labels {' '.join(map(_one_line, member['labels']))}"] if member["labels"] else []),
        *([click.style("draining", fg="yellow")] if member["draining"] else []),
        *([f"publication {member['publication'] or 'none'}"] if _takes_rules(member) else []),
    ]
    text = f"{name}: {', '.join(parts)}"
    problem = _one_line(member.get("publication_problem", ""))
    return f"{text}, {click.style(problem, fg='red')}" if problem else text


def _takes_rules(member: Mapping[str, Any]) -> bool:
    """Whether a runner of a cluster takes over published rules."""
    return member.get("publication") is not None


def _line(row: Sequence[str], widths: Sequence[int], colour: str | None = None) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    if colour is not None:
        cells[1] = click.style(cells[1], fg=colour)
    return "  ".join(cells).rstrip()


def _fitting(widths: Sequence[int], width: int) -> list[int]:
    """Return the columns that fit; name, state, time and restarts are always among them."""
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
    if rule.get("waiting"):
        text = f"inputs {rule['waiting']:,} wait, the oldest for {rule['waiting_s']:.1f} s"
        lines.append(_detail(text))
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
    """Return a time in local time, with its date unless that is today."""
    then = datetime.fromisoformat(text).astimezone()
    today = then.date() == wall_now().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def _one_line(text: str) -> str:
    return escape(text).replace("\n", "\\n")
