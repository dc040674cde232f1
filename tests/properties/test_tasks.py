"""Random sequences of tasks, replies, failures and cancellations under each kind of strategy."""

import asyncio
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from eshet.cause import Cause, current, use_cause
from eshet.scope import Scope
from eshet.tasks import BuiltStrategy, SendingTask
from eshet.tasks.built import Arrival, End, current_attempt
from eshet.tasks.options import backoff_of
from eshet.utils import RunInTask, RunSerially
from eshet_rules.testing.virtual_time import VirtualLoop

AT_ONCE = {"in task": 1000, "serial": 1, "only latest": 1, "latest": 1, "single": 1, "two": 2}


class Output(SendingTask):
    """A task that is sent without an asyncio task, or needs one, or can't be sent."""

    def __init__(self, number, how, bench):
        self.number = number
        self.bench = bench
        self.how = how
        self.cause = Cause("event", f"/{number}")
        self.attempts = 0
        self.replies = []
        self.skipped_because = []

    def expect(self, condition):
        if not condition:
            self.bench.violations.append((self.number, self.attempts))

    def _begin(self):
        self.attempts += 1
        if self.attempts == 1:
            self.bench.begun.append(self.number)
        self.expect(current.get() is self.cause)
        self.expect(current_attempt.get() == self.attempts)
        self.replies.append(asyncio.get_running_loop().create_future())
        return self.replies[-1]

    @property
    def pending(self):
        return [reply for reply in self.replies if not reply.done()]

    def send(self):
        if self.how == "needs a task":
            return None
        reply = self._begin()
        if self.how == "can't be sent":
            reply.cancel()
            raise ValueError(self.number)
        return reply

    def receive(self, reply):
        self.expect(current.get() is self.cause)
        return reply.result()

    async def __call__(self):
        return await self._begin()

    def skipped(self, why):
        self.expect(current.get() is self.cause)
        self.skipped_because.append(why)


def build(kind, retries, max_queue):
    options = {"retry": True, "max_attempts": 3} if retries else {}
    if kind == "only latest":
        return RunSerially(only_latest=True, **options).build()
    if kind in ("in task", "serial", "two"):
        options["max_queue"] = max_queue
    if kind == "in task":
        return RunInTask(**options).build()
    arrivals = {"latest": Arrival.CANCELS_RUNNING, "single": Arrival.GIVES_WAY}
    serially = RunSerially(**options)
    return BuiltStrategy(
        serially,
        at_once=AT_ONCE[kind],
        arrival=arrivals.get(kind, Arrival.WAITS),
        backoff=backoff_of(serially),
    )


class Bench:
    """A strategy, its tasks, and how they ended."""

    def __init__(self, kind, retries, max_queue):
        self.kind = kind
        self.scope = Scope("rule", on_error=lambda error, doing: None)
        with self.scope.active():
            self.run = build(kind, retries, max_queue)
        self.outputs = []
        self.begun = []
        self.violations = []  # an error that a task raises is only reported to the scope
        self.endings = defaultdict(list)
        self.run.on_end = lambda ending: self.endings[ending.task].append(ending)

    def add(self, how):
        output = Output(len(self.outputs), how, self)
        self.outputs.append(output)
        with use_cause(output.cause):
            self.run(output)

    @property
    def pending(self):
        return [reply for output in self.outputs for reply in output.pending]

    async def step(self, what, how, number):
        if what == "add":
            self.add(how)
        elif what == "turns":
            for _ in range(number):
                await asyncio.sleep(0)
        elif what == "pause":
            await asyncio.get_running_loop().advance(40)
        elif self.pending:
            reply = self.pending[number % len(self.pending)]
            if what == "succeed":
                reply.set_result(None)
            elif what == "fail":
                reply.set_exception(ValueError())
            else:
                reply.cancel()
        self.check()

    def check(self):
        assert sum(bool(output.pending) for output in self.outputs) <= AT_ONCE[self.kind]
        assert self.run.running + self.run.queued + len(self.endings) == len(self.outputs)
        assert all(len(endings) == 1 for endings in self.endings.values())

    async def close(self):
        self.scope.dispose()
        await self.run.close()
        self.check()

    async def finish(self):
        while self.run.running or self.run.queued:
            for reply in self.pending:
                reply.set_result(None)
            await asyncio.get_running_loop().advance(100)
        self.check()


_STEPS = ["add"] * 4 + ["succeed"] * 2 + ["fail"] * 2 + ["turns"] * 2 + ["cancel", "pause"]
_HOW = ["sent", "sent", "needs a task", "can't be sent"]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(list(AT_ONCE)),
    st.booleans(),
    st.sampled_from([None, 1, 3]),
    st.lists(
        st.tuples(st.sampled_from(_STEPS), st.sampled_from(_HOW), st.integers(0, 5)),
        min_size=8,
        max_size=40,
    ),
    st.booleans(),
)
def test_each_task_ends_once_with_its_cause_in_order(kind, retries, max_queue, steps, closes):
    async def main():
        bench = Bench(kind, retries, max_queue)
        for step in steps:
            await bench.step(*step)
        await (bench.close() if closes else bench.finish())
        assert bench.violations == []
        assert len(bench.endings) == len(bench.outputs)
        if kind != "in task":  # an output that can be sent at once overtakes one that can't
            assert bench.begun == sorted(bench.begun)
        for output, [ending] in bench.endings.items():
            assert ending.attempts == output.attempts
            assert (ending.end is End.SKIPPED) == bool(output.skipped_because)
            assert len(output.skipped_because) <= 1

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
