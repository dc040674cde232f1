"""The shapes of the answers of `/api/1`, for its description and for tests.

An optional field may be null. Times are texts in ISO 8601, in UTC. Values are those of
`eshet.gateway.json_values`.
"""

from typing import Any

import msgspec

__all__ = ["Answer"]


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """An answer, or a part of one."""


class Error(Answer):
    """What was wrong: for programs, and for a person."""

    error: Any
    message: str


class RunnerFacts(Answer):
    """The runner."""

    name: str
    folder: str
    since: str
    pid: int
    connected: bool
    server: str


class Problem(Answer):
    """Something that a person should know."""

    kind: str
    subject: str
    text: str
    since: str | None
    href: str


class OverviewAnswer(Answer):
    """The state of the house."""

    runner: RunnerFacts
    counts: dict[str, int]
    recording: bool
    problems: list[Problem]
    more: int


class RuleRow(Answer):
    """A rule."""

    rule: str
    module: str
    state: str
    since: str
    version: str
    strategy: str
    restarts: int
    last_error: str | None
    errors: int
    why: str
    running: int
    queued: int
    waiting: int
    waiting_s: float
    reads: list[str]
    writes: list[str]
    last_run: str | None


class RulesAnswer(Answer):
    """A page of rules; `next` is `after` for the next page."""

    rules: list[RuleRow]
    total: int
    next: str | None


class RuleSource(Answer):
    """The source that runs; `line` is where the last error occurred."""

    version: str
    text: str
    line: int | None
    rule_line: int | None


class RuleInput(Answer):
    """A path that a rule reads."""

    path: str
    kind: str | None
    value: Any
    known: bool
    since: str | None
    owner: str | None
    shared_by: list[str]


class RuleOutput(Answer):
    """An output of a rule, and what became of its last value."""

    path: str
    function: str
    place: str
    value: Any
    known: bool
    outcome: str | None
    time: str | None
    attempts: int | None
    error: str | None
    next_attempt: str | None
    skipped: dict[str, int]


class RuleTimer(Answer):
    """A timer that is set; `in_s` is what is left, in seconds."""

    name: str
    at: str
    in_s: float


class RuleAnswer(Answer):
    """All about one rule; `runs` are its last records."""

    rule: RuleRow
    file: str
    source: RuleSource
    inputs: list[RuleInput]
    outputs: list[RuleOutput]
    timers: list[RuleTimer]
    runs: list[dict[str, Any]]


class GraphItem(Answer):
    """An item of a graph: a path, rule, value, event or output."""

    name: str
    kind: str


class GraphAnswer(Answer):
    """A graph; an arrow is the numbers of two items, and whether there is a timer between them."""

    items: list[GraphItem]
    arrows: list[tuple[int, int, bool]]
    truncated: bool


class PathEntry(Answer):
    """A directory, or a node with its value."""

    path: str
    name: str
    kind: str
    owner: str | None
    value: Any
    known: bool
    since: str | None
    children: int


class PathsAnswer(Answer):
    """A page of paths; `next` is `after` for the next page."""

    under: str
    entries: list[PathEntry]
    total: int
    next: str | None


class PathAnswer(Answer):
    """All about one path; `decides` is the report of `yarp.drive`.

    A reader or writer has its name, state, reason for the state, and runner. They are those of the
    `cluster`, or of this runner if it is in none; `gaps` says which runners have not answered.
    """

    path: str
    kind: str | None
    owner: str | None
    value: Any
    known: bool
    since: str | None
    readers: list[tuple[str, str, str, str]]
    writers: list[tuple[str, str, str, str]]
    decides: dict[str, Any] | None
    is_secret: bool
    nearest: list[str]
    cluster: str | None
    gaps: list[str]


class HistoryAnswer(Answer):
    """Past values: time, value, whether it is known."""

    path: str
    points: list[tuple[str, Any, bool]]
    kind: str
    truncated: bool


class ExplanationLine(Answer):
    """A line of an explanation, with the first path, the first rule and all rules in it."""

    level: int
    text: str
    path: str | None
    rule: str | None
    rules: list[str]


class ExplanationAnswer(Answer):
    """An explanation as lines, and as `--json` prints it; `gaps` says what is missing in it."""

    lines: list[ExplanationLine]
    answer: dict[str, Any]
    gaps: list[str]


class TrailAnswer(Answer):
    """The newest records; `next` is `before` for earlier ones."""

    records: list[dict[str, Any]]
    next: str | None
    damaged: int


class BridgeRow(Answer):
    """A bridge."""

    bridge: str
    server: str
    connected: bool
    devices: int
    problem: str


class DeviceRow(Answer):
    """A device of a bridge; `path` is the directory of its nodes."""

    path: str
    name: str
    kind: str | None
    model: str | None
    online: bool | None
    seen: str | None
    battery: Any
    nodes: int


class BridgesAnswer(Answer):
    """The bridges of the runner, and the devices of all bridges of its server, at most 500."""

    bridges: list[BridgeRow]
    devices: list[DeviceRow]
    more: int


class VersionRow(Answer):
    """A kept version of a module."""

    version: str
    since: str
    until: str | None
    size: int
    failed: bool
    live: bool


class ModuleVersions(Answer):
    """The kept versions of a module."""

    module: str
    rolled_back: bool
    versions: list[VersionRow]


class VersionsAnswer(Answer):
    """The kept versions of modules."""

    modules: list[ModuleVersions]


class VersionAnswer(Answer):
    """The source of a version."""

    module: str
    version: str
    text: str


class DiffAnswer(Answer):
    """Lines with their signs: `+`, `-`, a space, or `@` for a gap."""

    lines: list[tuple[str, str]]
    truncated: bool


class ClusterRunner(Answer):
    """A runner of the cluster; `is_this`: the one that answers; `page`: the URL of its page."""

    name: str
    answers: bool
    is_this: bool
    host: str | None
    labels: list[str]
    weight: float | None
    draining: bool
    modules: int
    page: str | None


class RemoteRule(Answer):
    """A rule of another runner."""

    rule: str
    module: str
    state: str
    since: str
    version: str
    strategy: str
    restarts: int
    errors: int
    runner: str


class ClusterAnswer(Answer):
    """The cluster; `cluster` is its name, null for a runner that is in none."""

    cluster: str | None
    runners: list[ClusterRunner]
    without_runner: list[str]
    rules: list[RemoteRule]
    more: int


class RemoteRuleAnswer(Answer):
    """A rule of another runner of the cluster, and that runner."""

    rule: RuleRow
    runner: ClusterRunner


class DoneAnswer(Answer):
    """What a command was carried out on."""

    done: Any


class ResultAnswer(Answer):
    """The result of a call."""

    result: Any
