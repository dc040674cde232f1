"""`eshet-rules check`."""

import json
import os
import sys
import threading
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from eshet.server_address import ServerAddress
from eshet_rules.cli.options import (
    Command,
    PathType,
    address_option,
    config_option,
    exit_on_errors,
    rules_folder,
)

if TYPE_CHECKING:
    from eshet_rules.check.finding import Finding
    from eshet_rules.supervision.report import RuleReport

__all__ = ["check"]

_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "blue"}


@click.command(cls=Command)
@click.argument("rules", type=PathType(), required=False)
@config_option
@address_option(
    "--against",
    "Server of the house: also report paths that neither it nor a rule provides.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 on warnings as well.")
@click.option("--paths", is_flag=True, help="List the paths that each rule reads and writes.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
def check(
    rules: Path | None,
    config: Path | None,
    against: ServerAddress | None,
    strict: bool,
    paths: bool,
    as_json: bool,
) -> None:
    """Check the rules in the folder RULES, without running them in the house.

    All files are imported and all rules are set up, in virtual time and on a server of their own.
    Nothing is sent to the house; --against only asks it for the names of its paths. Code of the
    rules that reads files or connects to other systems at its import or set-up does so here, too.

    RULES defaults to the folder `rules` if that exists, else to the current folder.

    The exit code is 1 if there are errors. A comment `# check: ignore` at a line hides what is
    found there, `# check: ignore[CODE]` only findings of that code.
    """
    from eshet_rules.check.checker import check_folder_of_rules
    from eshet_rules.check.finding import Severity
    from eshet_rules.config import FILE_NAME, ConfigurationFile
    from eshet_rules.exceptions import NoRules
    from eshet_rules.logs import shows_colours
    from eshet_rules.modules.discovery import check_folder
    from eshet_rules.modules.process_end import reporting_exits

    folder = rules_folder(rules)
    threads = threading.enumerate()
    with exit_on_errors():
        absolute = check_folder(folder)
        file = ConfigurationFile(config or folder / FILE_NAME, must_exist=config is not None)
        configuration = file.read()
        house = None if against is None else _provided(against)
        with reporting_exits(1):
            result = check_folder_of_rules(absolute, configuration, house=house)
        if not result.files:
            raise NoRules(folder)
    failed = result.number_of(Severity.ERROR) > 0
    if strict:
        failed = failed or result.number_of(Severity.WARNING) > 0
    if as_json:
        click.echo(json.dumps({**result.plain(), "passed": not failed}))
    else:
        lines = [*map(_line, result.findings)]
        if paths:
            lines += _table(result.rules)
        lines.append(_summary(result.findings, result.files, len(result.rules)))
        click.echo("\n".join(lines), color=shows_colours(sys.stdout))
    _exit(int(failed), threads)


def _provided(server: ServerAddress) -> dict[str, str]:
    """Return the kinds of the paths that a server provides, by path.

    Raises:
        ServerUnreachable: the server does not answer.
        NoPaths: it can't list them.
    """
    from eshet_rules.cli.runner_client import provided_by
    from eshet_rules.exceptions import NoPaths

    paths = provided_by(server)
    if paths is None:
        raise NoPaths(str(server))
    return paths


def _line(finding: "Finding") -> str:
    """Return a finding as a line that editors and terminals can open."""
    from eshet_rules.logs import escape

    place = f"{_shown(finding.file)}:{finding.line}" if finding.line else _shown(finding.file)
    severity = click.style(str(finding.severity), fg=_COLOURS[finding.severity])
    return f"{place}: {severity}: {_one_line(escape(finding.text))} [{finding.code}]"


def _shown(file: Path) -> str:
    """Return a path relative to the current folder, if it is in there."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _table(rules: "Iterable[RuleReport]") -> Iterator[str]:
    """Iterate over the lines of the table of paths."""
    for report in rules:
        yield click.style(report.rule, bold=True)
        for name, paths in (("reads", report.reads), ("writes", report.writes)):
            if paths:
                yield f"    {name:<6} {' '.join(paths)}"


def _summary(findings: "list[Finding]", files: int, rules: int) -> str:
    def count(number: int, noun: str) -> str:
        return f"{number} {noun}{'' if number == 1 else 's'}"

    numbers = [
        count(number, severity)
        for severity in _COLOURS
        if (number := sum(str(each.severity) == severity for each in findings))
    ]
    return (
        f"checked {count(files, 'file')} with {count(rules, 'rule')}: "
        f"{', '.join(numbers) or 'nothing found'}"
    )


def _exit(code: int, known: Collection[threading.Thread]) -> NoReturn:
    """Exit, without waiting for threads that rules have left.

    Args:
        code: the exit code.
        known: the threads from before the check.
    """
    if any(not each.daemon and each not in known for each in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
