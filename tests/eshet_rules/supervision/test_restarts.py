"""What a rule goes through from an attempt to the next: connections, paths, kept states, tasks."""

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from eshet import yarp
from eshet.cause import Cause, current_cause, use_cause
from eshet.exceptions import Disconnected, PathTaken
from eshet.scope import Reason, Scope, current_scope
from eshet.utils import RunInTask, RunSerially, TaskStrategy
from eshet.yarp.default_strategy import DEFAULT_STRATEGY, choose_strategy
from eshet_rules import keep
from eshet_rules.rule import Rule
from eshet_rules.supervision.limits import RuleLimits
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope
from eshet_rules.supervision.status import RuleState
from eshet_rules.supervision.supervised_rule import RunScope, SupervisedRule, rule_of
from tests.support.rules import Log

Advance = Callable[[float], Awaitable[None]]


class Connection:
    """A client that connects when it is told to."""

    def __init__(self) -> None:
        self.connected = True
        self.closed = False
        self._connects = asyncio.Event()
        self._connects.set()
        self.waits = 0

    def cut(self) -> None:
        self.connected = False
        self._connects.clear()

    def connect(self) -> None:
        self.connected = True
        self._connects.set()

    async def wait_for_connection(self) -> None:
        self.waits += 1
        await self._connects.wait()


class Bench:
    """A rule whose attempts are recorded; `work` is its function, called with the attempt."""

    def __init__(
        self,
        log: Log,
        work: Callable[[int], Awaitable[None]],
        strategy: TaskStrategy | None = None,
        *,
        client: Connection | None = None,
        **options: Any,
    ) -> None:
        self.attempts: list[float] = []
        self.reports: list[str] = []
        self.log = log
        self.scope = TaskScope("hall.light", on_error=lambda error, doing: self.note(error))
        self.work = work
        function = self.with_client if client is not None else self.alone
        self.rule = SupervisedRule(
            Rule("light", function, strategy),
            self.scope,
            {} if client is None else {"client": client},
            log=log.logger,
            **options,
        )

    def note(self, error: BaseException) -> None:
        self.reports.append(type(error).__name__)

    async def alone(self) -> None:
        self.attempts.append(asyncio.get_running_loop().time())
        await self.work(len(self.attempts))

    async def with_client(self, client: Connection) -> None:
        await self.alone()

    @property
    def state(self) -> RuleState:
        return self.rule.status().state


@pytest.fixture(autouse=True)
async def _tasks_of_scopes(advance: Advance) -> None:
    own_tasks_by_scope(asyncio.get_running_loop())


def failing(error: BaseException, times: int = 10_000) -> Callable[[int], Awaitable[None]]:
    async def work(attempt: int) -> None:
        if attempt <= times:
            raise error

    return work


async def succeed(attempt: int) -> None:
    pass


# --- where a rule is --------------------------------------------------------------------------


async def test_a_scope_belongs_to_the_rule_whose_run_contains_it(log: Log) -> None:
    found: list[Any] = []

    async def work(attempt: int) -> None:
        found.append(rule_of(current_scope()))
        found.append(rule_of(Scope("inner", parent=current_scope())))

    bench = Bench(log, work)
    bench.rule.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert found == [bench.rule, bench.rule]
    assert rule_of(None) is None
    assert rule_of(Scope("other")) is None
    assert rule_of(bench.scope) is None
    assert rule_of(RunScope(bench.rule)) is bench.rule


async def test_a_rule_is_where_its_function_is_also_if_that_is_wrapped(log: Log) -> None:
    @functools.wraps(succeed)
    async def wrapped(*args: Any) -> None:
        await succeed(*args)

    for function in (succeed, wrapped):
        rule = SupervisedRule(Rule("light", function), TaskScope("hall.light"))
        assert rule.file == __file__
        assert rule.line == succeed.__code__.co_firstlineno


async def test_before_its_start_a_rule_has_ended_and_nothing_is_wrong(log: Log) -> None:
    bench = Bench(log, succeed, RunSerially(), version="v7")
    status = bench.rule.status()
    assert (status.state, status.version, status.strategy) == (
        RuleState.ENDED,
        "v7",
        "RunSerially()",
    )
    assert (status.last_error, status.why, status.restarts) == (None, "", 0)
    assert (bench.rule.taken_path, bench.rule.attempt_scope) == ("", None)
    assert (bench.rule.kept_by_last, bench.rule.kept()) == ([], {})
    assert status.since.year == 2026


# --- a connection that is lost ----------------------------------------------------------------


async def test_a_rule_with_a_client_begins_when_that_is_connected(
    log: Log, advance: Advance
) -> None:
    client = Connection()
    client.cut()
    bench = Bench(log, succeed, client=client)
    bench.rule.start()
    await advance(50)
    assert (bench.attempts, bench.state) == ([], RuleState.RUNNING)
    client.connect()
    await advance(0)
    assert bench.attempts == [50]


async def test_a_rule_that_lost_its_connection_starts_again_with_it_and_counts_no_restart(
    log: Log, advance: Advance
) -> None:
    client = Connection()

    async def work(attempt: int) -> None:
        if attempt <= 9:
            client.cut()
            raise Disconnected("get /x", "gone")

    bench = Bench(log, work, client=client)
    bench.rule.start()
    for _ in range(9):
        await advance(100)
        assert bench.state is RuleState.RESTARTING
        assert bench.rule.status().why == "it waits for the connection"
        assert not bench.rule.first_attempt.done()
        client.connect()
        await advance(0)
    assert bench.attempts == [100 * n for n in range(10)]
    assert (bench.state, bench.rule.status().restarts) == (RuleState.RUNNING, 0)
    assert bench.rule.first_attempt.result() is True


@pytest.mark.parametrize("cause", ["connected", "closed", "other error", "no client"])
async def test_another_failure_of_a_rule_is_a_restart_like_any_other(
    log: Log, advance: Advance, cause: str
) -> None:
    client = Connection()

    async def work(attempt: int) -> None:
        if attempt > 1:
            client.connect()
            return
        if cause != "connected":
            client.cut()
        client.closed = cause == "closed"
        raise OSError if cause == "other error" else Disconnected("get /x", "gone")

    bench = Bench(log, work, client=None if cause == "no client" else client)
    bench.rule.start()
    await advance(0.5)
    assert bench.rule.first_attempt.result() is False
    assert bench.rule.status().why == ""
    client.connect()
    await advance(10)
    assert bench.attempts == [0, 1]
    assert bench.rule.status().restarts == 1


async def test_a_failure_after_a_lost_connection_is_judged_by_itself(
    log: Log, advance: Advance
) -> None:
    client = Connection()

    async def work(attempt: int) -> None:
        if attempt == 1:
            client.cut()
            raise Disconnected("get /x", "gone")
        if attempt == 2:
            raise OSError("no line")

    bench = Bench(log, work, client=client)
    bench.rule.start()
    await advance(5)
    client.connect()
    await advance(10)
    assert bench.attempts == [0, 5, 6]
    assert bench.rule.status().last_error == "OSError: no line"
    assert bench.reports == ["Disconnected", "OSError"]


async def test_a_rule_that_waits_for_the_connection_ends_with_its_scope(
    log: Log, advance: Advance
) -> None:
    client = Connection()

    async def work(attempt: int) -> None:
        client.cut()
        raise Disconnected("get /x", "gone")

    bench = Bench(log, work, client=client)
    bench.rule.start()
    await advance(1)
    await bench.scope.close(Reason.SHUTDOWN)
    client.connect()
    await advance(100)
    assert (bench.attempts, bench.state) == ([0], RuleState.ENDED)


# --- a path that is taken ---------------------------------------------------------------------


async def test_a_rule_whose_path_is_taken_tries_again_without_a_limit(
    log: Log, advance: Advance
) -> None:
    bench = Bench(log, failing(PathTaken("register state /lamp", "/lamp")))
    bench.rule.start()
    await advance(0)
    assert (bench.rule.taken_path, bench.state) == ("/lamp", RuleState.RESTARTING)
    assert bench.rule.status().why == "/lamp is provided by another rule or client"
    await advance(400)
    pauses = [b - a for a, b in itertools.pairwise(bench.attempts)]
    assert pauses == [1, 2, 4, 8, 16, 32, *[60] * (len(pauses) - 6)]
    assert len(pauses) > 8
    assert bench.rule.status().restarts == 0
    assert "rule.restart_scheduled" not in log.events()


async def test_the_pauses_begin_again_after_the_path_was_free_for_long(
    log: Log, advance: Advance
) -> None:
    async def work(attempt: int) -> None:
        if attempt == 4:
            await asyncio.sleep(61)
        elif attempt == 8:
            await asyncio.sleep(59)
        raise PathTaken("register state /lamp", "/lamp")

    bench = Bench(log, work)
    bench.rule.start()
    await advance(180)
    pauses = [b - a for a, b in itertools.pairwise(bench.attempts)]
    assert pauses[:9] == [1, 2, 4, 61 + 1, 2, 4, 8, 59 + 16, 32][: len(pauses)]
    assert len(pauses) >= 8


async def test_a_restart_for_a_path_follows_from_the_failure(log: Log, advance: Advance) -> None:
    causes: list[Cause | None] = []

    async def work(attempt: int) -> None:
        causes.append(current_cause())
        if attempt == 1:
            raise PathTaken("register state /lamp", "/lamp")

    bench = Bench(log, work)
    with use_cause(Cause("set-up", "hall")):
        bench.rule.start()
    await advance(5)
    first, second = causes
    assert second is not None
    assert (second.kind, second.path, second.parent) == ("restart", "hall.light", first)


# --- restarts ---------------------------------------------------------------------------------


async def test_a_restart_is_logged_before_and_when_it_happens(log: Log, advance: Advance) -> None:
    causes: list[Cause | None] = []

    async def work(attempt: int) -> None:
        causes.append(current_cause())
        if attempt <= 2:
            raise OSError("no line")

    bench = Bench(log, work)
    with use_cause(Cause("set-up", "hall")):
        bench.rule.start()
    await advance(10)
    assert log.events() == ["rule.restart_scheduled", "rule.restarted"] * 2
    assert [r.get("restart") for r in log.records] == [1, 1, 2, 2]
    assert [r.get("pause_s") for r in log.records][::2] == [1.0, 2.0]
    paths = [cause and (cause.kind, cause.path) for cause in causes]
    assert paths == [("set-up", "hall"), *[("restart", "hall.light")] * 2]
    assert causes[2] is not None
    assert causes[2].parent is causes[1]


async def test_a_rule_that_stays_failed_is_logged_with_its_last_error(
    log: Log, advance: Advance
) -> None:
    bench = Bench(log, failing(OSError("no line")), limits=RuleLimits(max_restarts=1))
    bench.rule.start()
    await advance(600)
    record = log.find("rule.stays_failed")
    assert record["error"] == "OSError: no line"
    assert record["why"].startswith("it failed again after 1 restarts in 600 s; save its file")
    assert len(bench.attempts) == 2


@pytest.mark.parametrize("fails", [False, True])
async def test_a_version_that_is_committed_restarts_only_a_rule_that_failed(
    log: Log, advance: Advance, fails: bool
) -> None:
    bench = Bench(log, failing(OSError(), 1) if fails else succeed, live=False)
    bench.rule.start()
    await advance(10)
    assert bench.state is (RuleState.RETRYING if fails else RuleState.RUNNING)
    for _ in range(2):
        bench.rule.go_live()
        await advance(10)
    assert bench.attempts == ([0, 11] if fails else [0])
    assert bench.rule.status().restarts == fails


@pytest.mark.parametrize("error", [KeyError("no"), SystemExit(3), KeyboardInterrupt()])
async def test_a_strategy_that_can_not_be_built_fails_and_is_tried_again(
    log: Log, advance: Advance, error: BaseException
) -> None:
    class Broken(TaskStrategy):
        def build(self) -> Any:
            raise error

    bench = Bench(log, succeed, Broken())
    bench.rule.start()
    assert bench.state is RuleState.RESTARTING
    assert bench.rule.first_attempt.result() is False
    assert type(error).__name__ in str(bench.rule.status().last_error)
    await advance(600)
    assert (bench.state, bench.attempts) == (RuleState.FAILED, [])
    assert bench.reports == [type(error).__name__] * 6


async def test_a_strategy_may_return_any_callable(log: Log, advance: Advance) -> None:
    class Own(TaskStrategy):
        def build(self) -> Any:
            return self.run  # a method has no attributes of its own

        def run(self, work: Callable[[], Awaitable[None]]) -> None:
            self.task = asyncio.ensure_future(work())

    bench = Bench(log, succeed, Own())
    bench.rule.start()
    await advance(10)
    assert (bench.attempts, bench.reports, bench.state) == ([0], [], RuleState.RUNNING)


async def test_a_task_of_a_rule_that_another_one_cancels_is_a_failure(
    log: Log, advance: Advance
) -> None:
    tasks: list[Any] = []

    async def work(attempt: int) -> None:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(20)

    bench = Bench(log, work)
    bench.rule.start()
    await advance(5)
    tasks[0].cancel()
    await advance(0.5)
    assert bench.rule.first_attempt.result() is False
    assert bench.state is RuleState.RESTARTING
    assert "cancelled, but not by the runner" in str(bench.rule.status().last_error)
    assert bench.reports == ["RuntimeError"]
    await advance(100)
    assert bench.attempts == [0, 6]
    assert (bench.state, bench.reports) == (RuleState.RUNNING, ["RuntimeError"])


async def test_a_rule_whose_scope_ends_is_no_failure(log: Log, advance: Advance) -> None:
    async def work(attempt: int) -> None:
        await asyncio.sleep(1000)

    bench = Bench(log, work)
    bench.rule.start()
    await advance(5)
    await bench.scope.close(Reason.REPLACED)
    await advance(100)
    assert (bench.state, bench.reports, bench.attempts) == (RuleState.ENDED, [], [0])
    bench.rule.fail(OSError("late"))
    assert (bench.state, bench.rule.status().last_error) == (RuleState.ENDED, None)


async def test_failing_a_rule_cancels_its_restart(log: Log, advance: Advance) -> None:
    bench = Bench(log, failing(OSError("no line")))
    bench.rule.start()
    await advance(0.5)
    bench.rule.fail(RuntimeError("no more"))
    await advance(100)
    assert (bench.attempts, bench.state) == ([0], RuleState.FAILED)
    assert bench.rule.status().last_error == "no more"
    assert "error" not in log.find("rule.stays_failed")


async def test_the_state_is_since_when_it_began(log: Log, advance: Advance) -> None:
    bench = Bench(log, failing(OSError(), 1))
    start = bench.rule.status().since
    await advance(5)
    bench.rule.start()
    times = []
    for seconds in (0, 0.5, 2, 10):
        await advance(seconds)
        times.append((bench.rule.status().since - start).total_seconds())
    assert times == [5, 5, 6, 6]
    bench.rule.fail(OSError("no more"))
    failed = bench.rule.status().since
    assert (failed - start).total_seconds() == 17.5
    await advance(10)
    assert bench.rule.status().since == failed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("raise ValueError('first\\nsecond')", "ValueError: first\nsecond"),
        ("compile('a = = 1', 'x.py', 'exec')", "SyntaxError: invalid syntax"),
    ],
)
async def test_the_last_error_is_its_text_without_the_place_of_a_syntax_error(
    log: Log, advance: Advance, text: str, shown: str
) -> None:
    async def work(attempt: int) -> None:
        exec(text)  # noqa: S102

    bench = Bench(log, work)
    bench.rule.start()
    await advance(0)
    assert bench.rule.status().last_error == shown


async def test_sinks_of_a_rule_use_its_strategy(log: Log, advance: Advance) -> None:
    chosen: list[TaskStrategy] = []

    async def work(attempt: int) -> None:
        chosen.append(choose_strategy(DEFAULT_STRATEGY))

    strategy = RunSerially(retry=True, timeout=5)
    Bench(log, work, strategy).rule.start()
    await advance(1)
    assert chosen == [strategy]


# --- tasks and kept states --------------------------------------------------------------------


async def slow_to_end(may_end: asyncio.Event) -> None:
    while not may_end.is_set():
        try:
            await may_end.wait()
        except asyncio.CancelledError:
            continue


@pytest.mark.parametrize("ending", [False, True])
@pytest.mark.parametrize("by", ["attempt", "fail"])
async def test_tasks_that_do_not_end_with_an_attempt_are_logged(
    log: Log, advance: Advance, ending: bool, by: str
) -> None:
    made: list[Any] = []
    may_end = asyncio.Event()

    async def work(attempt: int) -> None:
        if attempt == 1:
            task = asyncio.sleep(10_000) if ending else slow_to_end(may_end)
            made.append(asyncio.create_task(task))
            await asyncio.sleep(0)
            if by == "attempt":
                raise OSError

    bench = Bench(log, work)
    bench.rule.start()
    await advance(1)
    if by == "fail":
        bench.rule.fail(OSError("no more"))
    await advance(30)
    may_end.set()
    await advance(1)
    told = [str(r["tasks"]) for r in log.records if r["event"] == "rule.tasks_not_ending"]
    assert bool(told) is not ending
    assert all("slow_to_end" in each for each in told)


async def test_kept_values_go_on_in_the_next_attempt(log: Log, advance: Advance) -> None:
    values: list[Any] = []

    async def work(attempt: int) -> None:
        count, other = keep("count", 0), keep("other", "x")
        values.append((count.value, other.value))
        count.value += 1
        if attempt == 2:
            yarp.Value(1)
        if attempt < 3:
            raise OSError

    bench = Bench(log, work)
    bench.rule.start()
    await advance(0.5)
    assert [(each.description.name, each.data) for each in bench.rule.kept_by_last] == [
        ("count", ["", 1]),
        ("other", ["", "x"]),
    ]
    await advance(60)
    assert values == [(0, "x"), (1, "x"), (2, "x")]
    assert bench.rule.kept() == {"count": ["", 3], "other": ["", "x"]}
    assert bench.rule.kept_by_last == []  # an attempt is running
    await bench.scope.close(Reason.SHUTDOWN)
    assert bench.rule.kept()["count"] == ["", 3]


async def test_an_attempt_that_fails_before_it_keeps_anything_loses_nothing(
    log: Log, advance: Advance
) -> None:
    values: list[Any] = []

    async def work(attempt: int) -> None:
        if attempt == 2:
            raise OSError
        count = keep("count", 0)
        values.append(count.value)
        count.value = 7
        if attempt == 1:
            raise OSError

    bench = Bench(log, work)
    bench.rule.start()
    await advance(60)
    assert values == [0, 7]


async def test_kept_values_are_saved_when_a_rule_is_failed(log: Log, advance: Advance) -> None:
    async def work(attempt: int) -> None:
        keep("count", 0).value = 7
        await asyncio.sleep(1000)

    bench = Bench(log, work, RunInTask())
    bench.rule.start()
    await advance(1)
    bench.rule.fail(OSError("no more"))
    await advance(1)
    assert bench.rule.kept() == {"count": ["", 7]}
    assert [each.data for each in bench.rule.kept_by_last] == [["", 7]]
