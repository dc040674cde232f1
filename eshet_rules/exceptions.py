"""Everything that the runner raises on purpose: what is wrong, where, and what to do.

    RulesError
    ├── RuleMisuse           (also TypeError) `@rule` was used in a way that has no meaning
    ├── ImportFailed         a version of a module can't be imported
    ├── ConfigurationError   something is wrong in a file of configuration; all of it at once
    ├── MissingParameter     (also KeyError, AttributeError) a rule asks for what is not configured
    ├── ForeignTask          a rule cancels a task that belongs to another module or to the runner
    ├── LoopNotStopped       a rule stops the event loop
    ├── TasksNotChanged      a rule replaces what makes tasks
    ├── LoopOfRules          rules trigger each other, in a circle
    ├── RulesFolderError     the rules folder is not there, or is none
    │   └── NoRules          there is no rule in it
    ├── StrategySettingsError  (also ValueError) the configuration describes no strategy
    ├── StateFolderError     the state folder can't be used
    │   └── StateInUse       another runner uses it
    ├── InsecurePath         others can change the rules, their configuration or their state
    ├── UnknownName          there is no rule and no module of this name
    ├── NotReloaded          modules can't be used as they are now
    ├── AllDisabled          rules are to be restarted, none of which is enabled
    ├── ServerUnreachable    nobody answers at the address of the server
    ├── NoRunner             no runner can be asked
    ├── RefusedByRunner      a runner was asked, and says why it does not do it
    ├── TrailInUse           another runner writes this trail
    ├── NoTrail              there is no trail where it was looked for
    ├── NotWritten           a file can't be written, or is there already
    └── NotAnEshetServer     something else listens at the address of the server

Facts are attributes; the text is built from them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "AllDisabled",
    "ConfigurationError",
    "ForeignTask",
    "ImportFailed",
    "InsecurePath",
    "LoopNotStopped",
    "LoopOfRules",
    "MissingParameter",
    "NoRules",
    "NoRunner",
    "NoTrail",
    "NotAnEshetServer",
    "NotReloaded",
    "NotWritten",
    "Problem",
    "RefusedByRunner",
    "RuleMisuse",
    "RulesError",
    "RulesFolderError",
    "ServerUnreachable",
    "StateFolderError",
    "StateInUse",
    "StrategySettingsError",
    "TasksNotChanged",
    "TrailInUse",
    "UnknownName",
]


class RulesError(Exception):
    """The base of every error of the runner.

    `exit_code` is that of the command which ends with the error: 2 if it was told something that
    can't be, 1 otherwise.
    """

    exit_code = 1


class RuleMisuse(RulesError, TypeError):
    """`@rule` was used in a way that has no meaning; the message says what to write."""


class ImportFailed(RulesError):
    """A version of a module can't be imported.

    Args:
        module: its name, as `upstairs.bath`.
        file: where the error is, which may be a helper that the module imports.
        line: its number; 0 if it is in no line.
        source: the line itself.
        problem: the error, as `"NameError: name 'lux' is not defined"`.
    """

    def __init__(self, module: str, file: Path, line: int, source: str, problem: str) -> None:
        self.module = module
        self.file = file
        self.line = line
        self.source = source
        self.problem = problem
        super().__init__(f"{file}:{line}: {problem}" if line else f"{file}: {problem}")


class Problem(NamedTuple):
    """One thing that is wrong in a file of configuration.

    Args:
        file: its path.
        line: its number; 0 if it is about the file as a whole.
        key: with its tables, as `log.format`; empty if it is about no key.
        text: what was found, and what to write.
    """

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class ConfigurationError(RulesError):
    """Something is wrong in a file of configuration.

    Args:
        problems: all that is, in the order of lines.
    """

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


class MissingParameter(RulesError, KeyError, AttributeError):
    """A rule asks for a parameter that nobody has configured.

    Args:
        parameter: its name.
        rule: who asks.
        file: where it is to be written.
        table: below which table of the file.
        near: a parameter that there is, and that may be meant.
    """

    def __init__(
        self, parameter: str, rule: str, file: str, table: str, near: str | None = None
    ) -> None:
        self.parameter = parameter
        self.rule = rule
        self.file = file
        self.table = table
        self.near = near
        super().__init__(str(self))

    def __str__(self) -> str:
        whose = f"rule {self.rule}" if self.rule else "this rule"
        advice = f" or did you mean {self.near!r}?" if self.near else ""
        return (
            f"{whose} has no parameter {self.parameter!r}: write `{self.parameter} = ...` "
            f"into {self.file}, below [{self.table}];{advice}".removesuffix(";")
        )


class ForeignTask(RulesError):
    """A rule cancels a task that belongs to another module or to the runner.

    Args:
        task: its name.
        owner: the name of that module; None if the task is the runner's.
    """

    def __init__(self, task: str, owner: str | None) -> None:
        self.task = task
        self.owner = owner
        whose = "the runner" if owner is None else f"module {owner}"
        super().__init__(
            f"a rule can cancel the tasks of its own module only, but {task} belongs to {whose}; "
            "keep the tasks that you start, and cancel those"
        )


class LoopNotStopped(RulesError):
    """A rule stops the event loop, in which all other rules run, too."""

    def __init__(self) -> None:
        super().__init__("a rule can't stop the event loop: return instead")


class TasksNotChanged(RulesError):
    """A rule replaces the task factory of the event loop, in which all other rules run, too."""

    def __init__(self) -> None:
        super().__init__("a rule can't set the task factory: it would be that of all rules")


class LoopOfRules(RulesError):
    """Rules trigger each other, in a circle; it was cut at one of them.

    Args:
        rule: the full name of that one.
        cycle: the last round, path by path.
        rounds: how often it came round.
        seconds: in what time.
    """

    def __init__(self, rule: str, cycle: Sequence[str], rounds: int, seconds: float) -> None:
        self.rule = rule
        self.cycle = list(cycle)
        self.rounds = rounds
        self.seconds = seconds
        super().__init__(
            f"it has triggered itself {rounds} times in {seconds:.1f} s: {' -> '.join(cycle)}; "
            "let it send only what has changed, as with no_repeat"
        )


class RulesFolderError(RulesError):
    """The rules folder can't be used.

    Args:
        folder: what was given.
        problem: what is wrong with it, and what to do.
    """

    exit_code = 2

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        self.problem = problem
        super().__init__(f"{folder}: {problem}")


class NoRules(RulesFolderError):
    """There is no rule in the folder."""

    exit_code = 1

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "there is no rule in this folder; write one into a file of it, "
            "such as hall.py: an `async def` function under `@rule`",
        )


class StateFolderError(RulesError):
    """The state folder can't be used.

    Args:
        folder: its path.
        problem: what is wrong with it.
    """

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        self.problem = problem
        super().__init__(
            f"the state folder {folder} can't be used: {problem}; give one that you may write to "
            "with --state, ESHET_RULES_STATE or `folder` below [state], or run without memory "
            "with --no-state"
        )


class StateInUse(StateFolderError):
    """Another runner uses the state folder.

    Args:
        folder: its path.
        pid: of the other one's process, as far as it is known.
    """

    def __init__(self, folder: Path, pid: str) -> None:
        self.pid = pid
        RulesError.__init__(
            self,
            f"a runner of these rules is at work already, process {pid or 'unknown'}, and holds "
            f"{folder}; stop it (kill {pid or 'PID'}), or give this one another folder with "
            "--state",
        )
        self.folder = folder
        self.problem = "in use"


class InsecurePath(RulesError):
    """Others can change the rules, their configuration or their state.

    Args:
        path: of the file or folder that they can change.
        problem: who can change it.
        remedy: the command that prevents it.
    """

    exit_code = 2

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        self.path = path
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{path} {problem}; run `{remedy}`, or insist with --insecure")


class UnknownName(RulesError):
    """There is no rule and no module of this name.

    Args:
        name: what was given.
        near: names that there are, and that may be meant.
    """

    exit_code = 2

    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        self.name = name
        self.near = tuple(near)
        advice = f"did you mean {' or '.join(near)}?" if near else "see `eshet-rules list`"
        super().__init__(f"there is no rule and no module {name!r}; {advice}")


class NotReloaded(RulesError):
    """Modules can't be used as they are now, and what was alive of them goes on.

    Args:
        problems: what is wrong with each.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(
            "; ".join(f"not reloaded: {module}: {text}" for module, text in problems.items())
        )


class AllDisabled(RulesError):
    """Rules are to be restarted, none of which is enabled.

    Args:
        rules: their full names.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self.rules = tuple(rules)
        names = " ".join(rules)
        super().__init__(
            f"{', '.join(rules)}: disabled, so there is nothing to restart; first run "
            f"`eshet-rules enable {names}`"
        )


class ServerUnreachable(RulesError):
    """Nobody answers at the address of the server.

    Args:
        address: as `"house:11236"`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"there is no server at {address}; start one with `eshet serve`, or name yours with "
            "--server HOST:PORT or ESHET_SERVER"
        )


class NoRunner(RulesError):
    """No runner can be asked.

    Args:
        problem: what was looked for, and what to do.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class RefusedByRunner(RulesError):
    """A runner was asked for something, and says why it does not do it."""


class TrailInUse(RulesError):
    """Another runner writes this trail: two would lose each other's records.

    Args:
        file: the open file of the trail.
        pid: of the other one's process, as far as it is known.
    """

    def __init__(self, file: Path, pid: str) -> None:
        self.file = file
        self.pid = pid
        super().__init__(
            f"the runner with the process {pid or 'unknown'} writes the trail {file}; stop it "
            f"(kill {pid or 'PID'}), or give this one another file with --audit"
        )


class NoTrail(RulesError):
    """There is no trail where it was looked for.

    Args:
        file: which would be the open one.
        problem: what is wrong with it.
    """

    def __init__(self, file: Path, problem: str = "is not there") -> None:
        self.file = file
        self.problem = problem
        super().__init__(
            f"{file} {problem}: give the folder of the rules, or the place of the trail with "
            "--audit; `eshet-rules run` begins one, unless it is told not to"
        )


class NotWritten(RulesError):
    """A file can't be written, or is there already.

    Args:
        path: of the file.
        problem: what is wrong with it, and what to do.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path} {problem}")


class NotAnEshetServer(RulesError):
    """Something listens at the address of the server, but does not answer as one.

    Args:
        address: as `"127.0.0.1:11236"`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"{address} is in use by something that is no ESHET server; "
            "stop it, or name your server with --server HOST:PORT or ESHET_SERVER"
        )


class StrategySettingsError(RulesError, ValueError):
    """The configuration describes no strategy.

    Args:
        key: of the setting that is wrong.
        problem: what is wrong with it, and what to write.
    """

    exit_code = 2

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(f"{key}: {problem}")
