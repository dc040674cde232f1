"""All errors that the runner raises: the message names the problem, its place and a remedy.

    RulesError
    ├── RuleMisuse           (also TypeError) `@rule` was used in an invalid way
    ├── ImportFailed         a version of a module can't be imported
    ├── ConfigurationError   the configuration file has mistakes; the error lists all of them
    ├── LimitError           (also ValueError) a limit of supervision is not valid
    ├── MissingParameter     (also KeyError, AttributeError) a rule reads a missing parameter
    ├── ForeignTask          a rule cancels a task that belongs to another module or to the runner
    ├── LoopNotStopped       a rule stops the event loop
    ├── TasksNotChanged      a rule replaces the task factory of the event loop
    ├── LoopOfRules          rules trigger each other in a cycle
    ├── RulesFolderError     the rules folder does not exist, or is not a folder
    │   └── NoRules          it contains no rule
    ├── StrategySettingsError  (also ValueError) a strategy in the configuration is not valid
    ├── WhereError           (also ValueError) a condition on runners is not valid
    ├── StateFolderError     the state folder can't be used
    │   └── StateInUse       another runner uses it
    ├── InsecurePath         other users can change the rules, their configuration or their state
    ├── UnknownName          no rule and no module has this name
    ├── NotDriven            no rule drives this path
    ├── WrongArguments       an action of the runner was called with arguments that it does not take
    ├── NotReloaded          the present versions of modules can't be used
    ├── AllDisabled          all rules to restart are disabled
    ├── ServerUnreachable    the server does not answer at its address
    ├── NoNatsServer         a runner of a cluster has no NATS servers
    ├── NoNatsLibrary        a runner of a cluster has no library for NATS
    ├── NoSharedTrail        no runner of a cluster has stored its trail in NATS
    ├── NotInCluster         a runner is in no cluster
    ├── NotPublishable       rules can't be published
    ├── MostRemoved          rules would replace most of the published ones, probably by mistake
    ├── PublishedMeanwhile   someone else has published rules at the same time
    ├── PublicationNotFound  no publication has this hash, or several have
    ├── PublicationDamaged   the published rules can't be read
    ├── RulesNotPublished    a rules folder has rules of its own, which are not replaced
    ├── NoPaths              a server can't list its paths
    ├── VersionNotFound      no kept version of a module has this hash, or several have
    ├── NotRolledBack        a module can't be rolled back
    ├── NoRunner             no running runner was found, or it does not answer
    ├── RefusedByRunner      a runner answered a request with an error
    ├── ClusterIncomplete    some runners of a cluster have not carried out a request to all
    ├── TrailInUse           another runner writes this trail
    ├── NoTrail              this place has no trail
    ├── PageNotServed        the page can't be served as configured
    ├── NotWritten           a file can't be written, or exists already
    └── NotAnEshetServer     the server at the address does not answer like an ESHET server

The facts of an error are attributes; its text is built from them.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from eshet.settings.problem import Problem
from eshet.text import first_names

__all__ = [
    "AllDisabled",
    "ClusterIncomplete",
    "ConfigurationError",
    "ForeignTask",
    "ImportFailed",
    "InsecurePath",
    "LimitError",
    "LoopNotStopped",
    "LoopOfRules",
    "MissingParameter",
    "MostRemoved",
    "NeverBoth",
    "NoNatsLibrary",
    "NoNatsServer",
    "NoPaths",
    "NoRules",
    "NoRunner",
    "NoSharedTrail",
    "NoTrail",
    "NotAnEshetServer",
    "NotDriven",
    "NotInCluster",
    "NotPublishable",
    "NotReloaded",
    "NotRolledBack",
    "NotWritten",
    "PageNotServed",
    "PublicationDamaged",
    "PublicationNotFound",
    "PublishedMeanwhile",
    "RefusedByRunner",
    "RuleMisuse",
    "RulesError",
    "RulesFolderError",
    "RulesNotPublished",
    "ServerUnreachable",
    "StateFolderError",
    "StateInUse",
    "StrategySettingsError",
    "TasksNotChanged",
    "TrailInUse",
    "UnknownName",
    "VersionNotFound",
    "WhereError",
    "WrongArguments",
]


class RulesError(Exception):
    """The base class of all errors of the runner.

    `exit_code` is the exit code of a command that fails with the error: 2 for wrong usage or
    configuration, 1 otherwise.
    """

    exit_code = 1


class RuleMisuse(RulesError, TypeError):
    """`@rule` was used in an invalid way; the message says what to write."""


class ImportFailed(RulesError):
    """A version of a module can't be imported.

    Args:
        module: the name of the module, such as `upstairs.bath`.
        file: the file with the error; it may be a helper that the module imports.
        line: the line number; 0 if the error has no line.
        source: the line itself.
        problem: the error, such as `"NameError: name 'lux' is not defined"`.
    """

    def __init__(self, module: str, file: Path, line: int, source: str, problem: str) -> None:
        self.module = module
        self.file = file
        self.line = line
        self.source = source
        self.problem = problem
        super().__init__(f"{file}:{line}: {problem}" if line else f"{file}: {problem}")


class ConfigurationError(RulesError):
    """A configuration file has mistakes.

    Args:
        problems: all mistakes, in the order of lines.
    """

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


class LimitError(RulesError, ValueError):
    """A limit of supervision is not valid.

    Args:
        name: the name of the limit.
        value: its value.
        problem: the problem with it, and what to write.
    """

    exit_code = 2

    def __init__(self, name: str, value: float, problem: str) -> None:
        self.name = name
        self.value = value
        self.problem = problem
        super().__init__(f"{name}={value} {problem}")


class MissingParameter(RulesError, KeyError, AttributeError):
    """A rule reads a parameter that is not configured.

    Args:
        parameter: the name of the parameter.
        rule: the name of the rule.
        file: the configuration file.
        table: the table of the file that the parameter belongs to.
        near: an existing parameter with a similar name.
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
        rule = f"rule {self.rule}" if self.rule else "this rule"
        advice = f" or did you mean {self.near!r}?" if self.near else ""
        return (
            f"{rule} has no parameter {self.parameter!r}: write `{self.parameter} = ...` "
            f"into {self.file}, below [{self.table}];{advice}".removesuffix(";")
        )


class ForeignTask(RulesError):
    """A rule cancels a task that belongs to another module or to the runner.

    Args:
        task: the name of the task.
        owner: the module that the task belongs to; None if it is the runner's.
    """

    def __init__(self, task: str, owner: str | None) -> None:
        self.task = task
        self.owner = owner
        described = "the runner" if owner is None else f"module {owner}"
        super().__init__(
            f"a rule can only cancel tasks of its own module, but {task} belongs to {described}; "
            "keep references to the tasks that you start, and cancel those"
        )


class LoopNotStopped(RulesError):
    """A rule stops the event loop, which all rules share."""

    def __init__(self) -> None:
        super().__init__("a rule can't stop the event loop: return instead")


class TasksNotChanged(RulesError):
    """A rule replaces the task factory of the event loop, which all rules share."""

    def __init__(self) -> None:
        super().__init__("a rule can't set the task factory: all rules share it")


class LoopOfRules(RulesError):
    """Rules trigger each other in a cycle, which was cut at one of them.

    Args:
        rule: the full name of the rule at which the cycle was cut.
        cycle: the paths of the last round, in order.
        rounds: the number of rounds.
        seconds: the time that they took.
    """

    def __init__(self, rule: str, cycle: Sequence[str], rounds: int, seconds: float) -> None:
        self.rule = rule
        self.cycle: list[str] = list(cycle)
        self.rounds = rounds
        self.seconds = seconds
        super().__init__(
            f"it has triggered itself {rounds} times in {seconds:.1f} s: {' -> '.join(cycle)}; "
            "let it send only changed values, for example with no_repeat"
        )


class RulesFolderError(RulesError):
    """The rules folder can't be used.

    Args:
        folder: the given path.
        problem: the problem, and what to do.
    """

    exit_code = 2

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        self.problem = problem
        super().__init__(f"{folder}: {problem}")


class NoRules(RulesFolderError):
    """The folder contains no rule."""

    exit_code = 1

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "there is no rule in this folder; write one into a file in it, "
            "such as hall.py: an `async def` function with the decorator `@rule`",
        )


class StateFolderError(RulesError):
    """The state folder can't be used.

    Args:
        folder: the path of the folder.
        problem: the problem.
    """

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        self.problem = problem
        super().__init__(
            f"the state folder {folder} can't be used: {problem}; name one that you may write to "
            "with --state-dir, ESHET_RULES_STATE_DIR or `folder` below [state], or keep no state "
            "with --no-state"
        )


class StateInUse(StateFolderError):
    """Another runner uses the state folder.

    Args:
        folder: the path of the folder.
        pid: the process id of the other runner; empty if unknown.
    """

    def __init__(self, folder: Path, pid: str) -> None:
        self.pid = pid
        RulesError.__init__(
            self,
            f"another runner runs these rules already, process {pid or 'unknown'}, and uses "
            f"{folder}; stop it (kill {pid or 'PID'}), or choose another folder with "
            "--state-dir",
        )
        self.folder = folder
        self.problem = "in use"


class InsecurePath(RulesError):
    """Other users can change the rules, their configuration or their state.

    Args:
        path: the file or folder that they can change.
        problem: which users can change it.
        remedy: the command that prevents it.
    """

    exit_code = 2

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        self.path = path
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{path} {problem}; run `{remedy}`, or use --insecure")


class GraphTooLarge(RulesError):
    """The graph of a rule is too large for a message.

    Args:
        rule: the full name of the rule.
        nodes: the number of its Values, Events and outputs.
    """

    def __init__(self, rule: str, nodes: int) -> None:
        super().__init__(
            f"the graph of {rule} has {nodes:,} Values, Events and outputs, which is too many: ask "
            "`eshet-rules why-not PATH` for a part of it"
        )


class UnknownName(RulesError):
    """No rule and no module has this name.

    Args:
        name: the given name.
        near: existing names that are similar.
        is_folder: whether it is that of a folder where the command was typed.
    """

    exit_code = 2

    def __init__(self, name: str, near: Sequence[str] = (), *, is_folder: bool = False) -> None:
        self.name = name
        self.near: tuple[str, ...] = tuple(dict.fromkeys(near))
        self.is_folder = is_folder
        advice = f"did you mean {' or '.join(self.near)}?" if near else "see `eshet-rules list`"
        if is_folder and not near:
            advice = "it is a folder: `eshet-rules list`, without it, lists all"
        super().__init__(f"there is no rule and no module {name!r}; {advice}")


class NotInGraph(RulesError):
    """No rule, no module and no path of a rule has this name.

    Args:
        name: the given name.
        near: existing names that are similar.
    """

    exit_code = 2

    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        self.name = name
        self.near: tuple[str, ...] = tuple(near)
        advice = f"did you mean {' or '.join(near)}?" if near else "`eshet-rules graph` draws all"
        super().__init__(f"there is no rule, module or path {name!r}; {advice}")


class NotDriven(RulesError):
    """No rule drives this path with `yarp.drive`.

    Args:
        path: the given path.
        near: driven paths that are similar.
    """

    exit_code = 2

    def __init__(self, path: str, near: Sequence[str] = ()) -> None:
        self.path = path
        self.near: tuple[str, ...] = tuple(near)
        advice = f"did you mean {' or '.join(near)}?" if near else "only such a path is released"
        super().__init__(f"no rule drives {path} with yarp.drive; {advice}")


class WrongArguments(RulesError):
    """An action of the runner was called with arguments that it does not take.

    Args:
        action: its name, such as `"why"`.
        problem: the problem with the arguments.
    """

    exit_code = 2

    def __init__(self, action: str, problem: str) -> None:
        self.action = action
        self.problem = problem
        super().__init__(f"wrong arguments for {action}: {problem}")


class NotReloaded(RulesError):
    """The present versions of modules can't be used; their running versions keep running.

    Args:
        problems: the problem of each module, by its name.
        committed: the modules with changes that were committed nevertheless.
    """

    def __init__(self, problems: Mapping[str, str], committed: Sequence[str] = ()) -> None:
        self.problems: dict[str, str] = dict(problems)
        self.committed: list[str] = list(committed)
        done = [f"committed {', '.join(committed)}"] if committed else []
        refused = [f"not reloaded: {module}: {text}" for module, text in problems.items()]
        super().__init__("; ".join([*done, *refused]))

    @staticmethod
    def split(text: str) -> tuple[list[str], str]:
        """Return the committed modules in the text of such an error, and the rest of the text.

        A command receives errors of a runner as texts only.
        """
        match = re.match("committed ([^;]*); (?=not reloaded: )", text)
        return ([], text) if match is None else (match[1].split(", "), text[match.end() :])


class VersionNotFound(RulesError):
    """No kept version of a module has this hash, or several have.

    Args:
        module: the name of the module.
        version: the first digits of the hash, as given; "" if none were.
        candidates: the hashes among which to choose.
        problem: the problem, if it is another one.
    """

    exit_code = 2

    def __init__(
        self, module: str, version: str, candidates: Sequence[str], problem: str = ""
    ) -> None:
        self.module = module
        self.version = version
        self.candidates: tuple[str, ...] = tuple(candidates)
        self.problem = problem
        matching = [each for each in candidates if each.startswith(version)]
        if not problem and matching:
            problem = "several versions begin like this: write more digits"
        elif not problem:
            problem = "no kept version begins like this"
        kept = f"; kept: {', '.join(candidates)}" if candidates else ""
        super().__init__(f"{module}{f'@{version}' if version else ''}: {problem}{kept}")


class NotRolledBack(RulesError):
    """A module can't be rolled back.

    Args:
        module: the name of the module.
        problem: the problem, and what to do.
    """

    def __init__(self, module: str, problem: str) -> None:
        self.module = module
        self.problem = problem
        super().__init__(f"{module}: {problem}")


class AllDisabled(RulesError):
    """All rules to restart are disabled.

    Args:
        rules: their full names.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self.rules: tuple[str, ...] = tuple(rules)
        names = " ".join(rules)
        super().__init__(
            f"{', '.join(rules)}: disabled, so there is nothing to restart; first run "
            f"`eshet-rules enable {names}`"
        )


class ServerUnreachable(RulesError):
    """The server does not answer at its address.

    Args:
        address: the address, such as `"house:11236"`.
        reason: why it can't be reached, where nothing could be started there.
    """

    def __init__(self, address: str, reason: str = "") -> None:
        self.address = address
        self.reason = reason
        what = (
            f"can't connect to {address}: {reason};"
            if reason
            else f"there is no server at {address}; start one with `eshet serve`, or"
        )
        super().__init__(f"{what} name your server with --server ADDRESS or ESHET_SERVER")


class NoNatsServer(RulesError):
    """A runner is to join a cluster, but no NATS servers are named.

    Args:
        cluster: the name of the cluster.
    """

    exit_code = 2

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        super().__init__(
            f"the runners of the cluster {cluster} are joined by NATS: name its servers with "
            '`server = "nats://HOST"` below [cluster], or --server nats://HOST'
        )


class NoNatsLibrary(RulesError):
    """A runner is to join a cluster, but the library for NATS is not installed."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__("a cluster needs the library nats-py: pip install 'eshet-rules[nats]'")


class NotPublishable(RulesError):
    """The rules of a folder can't be published; nothing of them was.

    Args:
        problems: for each file its path, the problem, and what to do.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join([*problems, "nothing was published"]))


class MostAreStrangers(RulesError):
    """The modules of a folder were not published, as most of them have nothing to do with rules.

    Args:
        strangers: their paths, relative to the folder.
        modules: the number of all modules of the folder.
    """

    def __init__(self, strangers: Sequence[str], modules: int) -> None:
        self.strangers: tuple[str, ...] = tuple(strangers)
        self.modules = modules
        names = ", ".join(self.strangers[:3])
        more = f" and {len(strangers) - 3:,} more" if len(strangers) > 3 else ""
        super().__init__(
            f"{len(strangers):,} of {modules:,} modules have no rules, and no module with rules "
            f"imports them ({names}{more}), so nothing was published: name the right folder, or "
            "give --yes if this is wanted"
        )


class MostRemoved(RulesError):
    """Rules were not published, as most published files would be removed by that.

    Args:
        removed: the number of files that would be removed.
        present: the number of files that are published.
    """

    def __init__(self, removed: int, present: int) -> None:
        self.removed = removed
        self.present = present
        super().__init__(
            f"{removed:,} of {present:,} published files would be removed from all runners, so "
            "nothing was published: name the right folder, or give --yes if this is wanted"
        )


class PublishedMeanwhile(RulesError):
    """Someone else has published rules for a cluster at the same time; these were not published.

    Args:
        cluster: the name of the cluster.
    """

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        super().__init__(
            f"someone else has just published rules for the cluster {cluster}, and these were not "
            "published; look at `eshet-rules publish --list`, and publish them again if they are "
            "still wanted"
        )


class PublicationNotFound(RulesError):
    """No listed publication has this hash, or several have.

    Args:
        digits: the first digits of the hash, as the user has given them.
        candidates: the hashes that begin so, or all if none does.
    """

    def __init__(self, digits: str, candidates: Sequence[str]) -> None:
        self.digits = digits
        self.candidates: tuple[str, ...] = tuple(candidates)
        several = bool(candidates) and all(each.startswith(digits) for each in candidates)
        problem = "several publications begin with" if several else "there is no publication"
        there_are = f"; there are: {', '.join(candidates)}" if candidates else ""
        super().__init__(f"{problem} {digits}{there_are}")


class PublicationDamaged(RulesError):
    """The rules published for a cluster can't be used.

    Args:
        problem: the problem.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"{problem}; publish the rules again")


class RulesNotPublished(RulesError):
    """A rules folder that never had published rules has other ones, which are not replaced.

    Args:
        folder: the rules folder.
        files: those that are not published, or differ, relative to the folder.
    """

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self.folder = folder
        self.files: tuple[str, ...] = tuple(files)
        names = ", ".join(first_names(list(files)))
        super().__init__(
            f"{folder} has rules of its own, which published ones do not replace: {names}; "
            "move them away, or publish them"
        )


class NoSharedTrail(RulesError):
    """No runner of a cluster has stored its trail in NATS.

    Args:
        address: of the tree.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"there is no trail in {address}: runners with --cluster store it there, except with "
            "--no-audit or `trail_days = 0`"
        )


class NotInCluster(RulesError):
    """A command is only possible for a runner of a cluster."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__("this runner is in no cluster; start it with --cluster NAME")


class NoPaths(RulesError):
    """A server can't list the paths that it provides.

    Args:
        address: its address.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"the server at {address} can't list its paths: it has no action /meta/tree; leave out "
            "--against"
        )


class NoRunner(RulesError):
    """No running runner was found, or it does not answer.

    Args:
        problem: the problem, and what to do.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class RefusedByRunner(RulesError):
    """A runner answered a request with an error; the text is the runner's reason."""


class ClusterIncomplete(RulesError):
    """Some runners of a cluster have not carried out a request to all, or do not answer.

    Args:
        problems: the problem of each of them, by its name.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems: dict[str, str] = dict(problems)
        super().__init__("\n".join(f"{name}: {text}" for name, text in problems.items()))


class TrailInUse(RulesError):
    """Another runner writes this trail: two would lose each other's records.

    Args:
        file: the open file of the trail.
        pid: the process id of the other runner; empty if unknown.
    """

    def __init__(self, file: Path, pid: str) -> None:
        self.file = file
        self.pid = pid
        super().__init__(
            f"another runner, process {pid or 'unknown'}, writes the trail {file}; stop it "
            f"(kill {pid or 'PID'}), or choose another file with --audit"
        )


class NothingRecorded(RulesError):
    """The trail has no input and no output of a rule within a time.

    Args:
        since: its beginning.
        until: its end.
    """

    def __init__(self, since: datetime, until: datetime) -> None:
        begin, end = (f"{each.astimezone():%Y-%m-%d %H:%M:%S}" for each in (since, until))
        super().__init__(
            f"the trail has no input and no output of a rule from {begin} to {end}: choose a time "
            "in which the runner has run, with --from and --to"
        )


class NeverBoth(RulesError):
    """Two runners have not run at the same time.

    Args:
        runner: the times in which the real runner ran.
        shadow: the times in which the shadow runner ran.
    """

    def __init__(
        self,
        runner: Sequence[tuple[datetime, datetime]],
        shadow: Sequence[tuple[datetime, datetime]],
    ) -> None:
        texts = [
            ", ".join(
                " to ".join(f"{each.astimezone():%Y-%m-%d %H:%M:%S}" for each in time)
                for time in times
            )
            for times in (runner, shadow)
        ]
        super().__init__(
            "the runner and the shadow did not run at the same time: "
            f"the runner {texts[0] or 'not at all'}, the shadow {texts[1] or 'not at all'}; "
            "choose another time with --from and --to"
        )


class NoTrail(RulesError):
    """This place has no trail.

    Args:
        file: the path of the trail's open file.
        problem: the problem with it.
        option: the option of the command that leads to another place.
        advice: another remedy.
    """

    def __init__(
        self,
        file: Path,
        problem: str = "does not exist",
        *,
        option: str = "--audit",
        advice: str = "",
    ) -> None:
        self.file = file
        self.problem = problem
        super().__init__(
            f"{file} {problem}: name the rules folder, or another place with {option}; "
            "`eshet-rules run` writes a trail, except with --no-audit"
            + (f"; {advice}" if advice else "")
        )


class NotWritten(RulesError):
    """A file can't be written, or exists already.

    Args:
        path: the path of the file.
        problem: the problem, and what to do.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path} {problem}")


class PageNotServed(RulesError):
    """The page can't be served as configured.

    Args:
        problem: the problem, and what to do.
    """

    exit_code = 2

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class NotAnEshetServer(RulesError):
    """The server at the address does not answer like an ESHET server.

    Args:
        address: the address, such as `"127.0.0.1:11236"`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"{address} is in use by another program, which is not an ESHET server, or by the "
            "server of a runner that waits as it is cut off from NATS: look at the log of the "
            "runner, stop the other program, or name your server with --server ADDRESS or "
            "ESHET_SERVER"
        )


class StrategySettingsError(RulesError, ValueError):
    """A strategy in the configuration is not valid.

    Args:
        key: the invalid setting.
        problem: the problem with it, and what to write.
    """

    exit_code = 2

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(f"{key}: {problem}")


class WhereError(RulesError, ValueError):
    """A condition on the runners that may run a module is not valid.

    Args:
        text: the condition.
        problem: the problem with it, and what to write.
    """

    exit_code = 2

    def __init__(self, text: str, problem: str) -> None:
        self.text = text
        self.problem = problem
        super().__init__(f"{text!r} {problem}")
