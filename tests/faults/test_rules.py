"""Rules that do harm: how each one ends, and that no other rule is disturbed.

One runner runs a healthy rule. The tests save one bad rule after the other beside it, and measure
how long the healthy rule takes to answer. Rules that end the process run in processes of their own.
"""

import functools
import json
import os
import signal
import statistics
import textwrap
import time

import pytest

from eshet.sync_client import SyncClient
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

BLOCKED_AFTER = 0.1
INTERRUPT_AFTER = 0.3
FLOOD = int(os.environ.get("ESHET_FLOOD", "20000"))
SLACK = 1.0  # seconds for the watchdog's own beats, and for a busy machine

LIMITS = f"""
[supervision]
blocked_after = {BLOCKED_AFTER}
interrupt_after = {INTERRUPT_AFTER}
end_after = 20.0
"""

HEALTHY = """
from eshet import yarp
from eshet_rules import rule

@rule
async def echo(client):
    await client.action_register("/healthy/echo", lambda value: value)

@rule
async def mark(client, log):
    await client.action_register("/healthy/mark", lambda number: log.info("mark", number=number))
"""

HEAD = """
import asyncio, logging, os, re, resource, signal, sys, threading, time
from eshet import yarp
from eshet_rules import rule

def stop(*ignored):
    asyncio.get_running_loop().stop()

async def poked():
    return await yarp.event_listen("/poke")

@rule
async def bad(client, scope):
"""

RAISING = {
    "in its set-up": "raise OSError('no line')",
    "in a callback": "(await poked()).on_value_changed(lambda _: 1 / 0)",
    "in a node": "yarp.fn(lambda _: 1 / 0)(await poked()).on_value_changed(print)",
    "in a task": """
        async def fail(_):
            raise OSError('no line')
        await client.event_listen_cb('/poke', fail)""",
    "in a task of a strategy": """
        await yarp.set_value('/nobody/there', await poked())""",
    "as it looks for attributes": "(await poked()).on_value_changed(lambda v: None.nothing)",
    "by recursion": """
        def again(value):
            return again(value)
        (await poked()).on_value_changed(again)""",
    "by sys.exit in its set-up": "sys.exit(3)",
    "by sys.exit in a callback": "(await poked()).on_value_changed(lambda _: sys.exit(3))",
    "by sys.exit in a node": "yarp.fn(lambda _: sys.exit(3))(await poked()).on_value_changed(id)",
    "by sys.exit in a task": """
        async def leave(_):
            sys.exit(3)
        await client.event_listen_cb('/poke', leave)""",
    "by SystemExit in a task of its own": """
        async def leave():
            raise SystemExit(3)
        start = asyncio.get_running_loop().create_task
        (await poked()).on_value_changed(lambda _: start(leave()))""",
    "by KeyboardInterrupt in a call of the loop": """
        def leave():
            raise KeyboardInterrupt
        (await poked()).on_value_changed(lambda _: asyncio.get_running_loop().call_soon(leave))""",
    "by an error whose class raises": """
        class Kind(type):
            def __getattribute__(cls, name):
                raise KeyboardInterrupt
        class Odd(Exception, metaclass=Kind):
            pass
        def fail(_):
            raise Odd
        (await poked()).on_value_changed(fail)""",
    "by an error of 100,000 others": """
        def fail(_):
            last = OSError(0)
            for number in range(100_000):
                error = OSError(number)
                error.__context__ = last
                last = error
            raise last
        (await poked()).on_value_changed(fail)""",
    "in a handler of a signal": """
        def handle(*_):
            raise RuntimeError('no line')
        signal.signal(signal.SIGUSR1, handle)
        (await poked()).on_value_changed(lambda _: signal.raise_signal(signal.SIGUSR1))""",
    "in a handler of a signal that comes from outside": """
        def handle(*_):
            raise RuntimeError('no line')
        def start(_):
            signal.signal(signal.SIGUSR1, handle)
            signal.signal(signal.SIGUSR2, sys.exit)
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
                threading.Timer(0.1, os.kill, [os.getpid(), number]).start()
        (await poked()).on_value_changed(start)""",
    "by a time that is no number": """
        async def wait(_):
            await asyncio.sleep(float('nan'))
        await client.event_listen_cb('/poke', wait)""",
    "by setting the task factory": """
        (await poked()).on_value_changed(
            lambda _: asyncio.get_running_loop().set_task_factory(lambda *_: 1 / 0))""",
    "by stopping the loop": "(await poked()).on_value_changed(stop)",
    "by stopping the loop later": """
        (await poked()).on_value_changed(lambda _: asyncio.get_running_loop().call_soon(stop))""",
    "by cancelling all tasks": """
        def cancel(_):
            for task in asyncio.all_tasks():
                task.cancel()
        (await poked()).on_value_changed(cancel)""",
    "by filling the memory": """
        def fill(_):
            used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
            before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), before[1]))
            try:
                bytearray(1 << 30)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
        (await poked()).on_value_changed(fill)""",
}
"""Rules that raise: the error is reported, and the rule, if its set-up is over, goes on."""

RAISED = {
    "in its set-up": "OSError: no line",
    "in a callback": "ZeroDivisionError: division by zero",
    "in a node": "ZeroDivisionError: division by zero",
    "in a task": "OSError: no line",
    "in a task of a strategy": "ErrorValue: set /nobody/there: path_not_found",
    "as it looks for attributes": "AttributeError: 'NoneType' object has no attribute 'nothing'",
    "by recursion": "RecursionError: maximum recursion depth exceeded",
    "by sys.exit in its set-up": "RuntimeError: a rule can't end the runner",
    "by sys.exit in a callback": "SystemExit: 3",
    "by sys.exit in a node": "SystemExit: 3",
    "by sys.exit in a task": "SystemExit: 3",
    "by SystemExit in a task of its own": "RuntimeError: a rule can't end the runner",
    "by KeyboardInterrupt in a call of the loop": "RuntimeError: a rule can't end the runner",
    "by an error whose class raises": "UnusableError: Odd: ",
    "by an error of 100,000 others": "OSError: 99999",
    "in a handler of a signal": "RuntimeError: no line",
    "in a handler of a signal that comes from outside": "RuntimeError: no line",
    "by a time that is no number": "NaN",  # Python 3.13 refuses it before our loop does
    "by setting the task factory": "TasksNotChanged: a rule can't set the task factory",
    "by stopping the loop": "LoopNotStopped: a rule can't stop the event loop",
    "by stopping the loop later": "LoopNotStopped: a rule can't stop the event loop",
    "by cancelling all tasks": "ForeignTask: a rule can only cancel tasks of its own",
    "by filling the memory": "MemoryError",
}
"""A part of the description of each of these errors in the log."""

BLOCKING = {
    "in calls of the runner": """
        def block(_):
            event = yarp.Event()
            count = yarp.len(yarp.time_window(event, 3600))
            while True:
                event.emit(1)
        (await poked()).on_value_changed(block)""",
    "in a loop": "while True: pass",
    "in a loop that swallows every Exception": """
        while True:
            try:
                while True: pass
            except Exception:
                pass""",
    "in time.sleep": "time.sleep(3600)",
    "in a regular expression": "re.match(r'(a+)+$', 'a' * 64 + 'b')",
    "in a lock": """
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()""",
    "in a callback": """
        def block(_):
            while True: pass
        (await poked()).on_value_changed(block)""",
    "in a node": "yarp.fn(lambda _: time.sleep(3600))(await poked()).on_value_changed(print)",
    "in a timer": """
        def block():
            time.sleep(3600)
        asyncio.get_running_loop().call_later(0.1, block)""",
    "in a task": """
        async def block(_):
            time.sleep(3600)
        await client.event_listen_cb('/poke', block)""",
    "in __del__": """
        class Thing:
            def __del__(self):
                while True: pass
        (await poked()).on_value_changed(lambda _: Thing() and None)""",
}
"""Rules that are interrupted, and have failed then."""

BUSY = """
event = yarp.Event()
count = yarp.len(yarp.time_window(event, 3600))
await yarp.state_register('/bad/count', count)
ended = asyncio.Event()
async def flood():
    while not ended.is_set():
        for number in range(10):
            event.emit(number)
        await asyncio.sleep(0)
    logging.getLogger("bad").warning("the flood has ended")
(await poked()).on_value_changed(lambda _: ended.set())
asyncio.create_task(flood())"""

FLOOD_IN_ONE_STEP = """
event = yarp.Event()
count = yarp.len(yarp.time_window(event, 3600))
await yarp.state_register('/bad/count', count)
def flood(_):
    for number in range(100_000):
        event.emit(number)
(await poked()).on_value_changed(flood)"""

# The end of the fixture checks how the runner ends with this rule.
STUBBORN = """
async def stay():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
asyncio.create_task(stay())"""

HARMLESS = {
    "it forks, and the child goes on": """
        (await poked()).on_value_changed(lambda _: os.fork() and None)""",
    "it stops the loop from a thread": """
        loop = asyncio.get_running_loop()
        def start(_):
            threading.Thread(target=loop.call_soon_threadsafe, args=[loop.stop]).start()
        (await poked()).on_value_changed(start)""",
    "it fills the default executor": """
        def fill(_):
            for _ in range(40):
                asyncio.get_running_loop().run_in_executor(None, time.sleep, 3)
        (await poked()).on_value_changed(fill)""",
    "it raises when it is cancelled": """
        async def stay():
            try:
                await asyncio.sleep(3600)
            finally:
                raise OSError('no line')
        asyncio.create_task(stay())""",
    "it raises in __del__": """
        class Thing:
            def __del__(self):
                raise OSError('no line')
        (await poked()).on_value_changed(lambda _: Thing() and None)""",
    "it prints half a line": "print('no newline', end='')",
    "it takes the signals": """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)""",
    "it does not let itself be cancelled in time": """
        async def stay():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    await asyncio.sleep(0.3)
                    return
        asyncio.create_task(stay())""",
    "it leaks threads": """
        for _ in range(50):
            threading.Thread(target=time.sleep, args=(3600,)).start()""",
    "it floods the house with events": f"""
        await client.event_register('/flood')
        async def flood():
            for number in range({FLOOD}):
                asyncio.create_task(client.event_emit('/flood', number))
                if number % 1000 == 999:
                    await asyncio.sleep(0)
        asyncio.create_task(flood())""",
}
"""Rules that do not fail, and must not disturb others."""


@pytest.fixture(scope="module")
def server():
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as process:
        yield line(process).split()[-1]


class House:
    """A runner with a healthy rule, and a client that calls it."""

    def __init__(self, folder, process, client):
        self.folder = folder
        self.process = process
        self.client = client
        self._marks = 0
        self.normal = statistics.median(self.latencies(20))

    def save(self, body):
        """Save the bad rule."""
        save_bad(self.folder, body)

    def remove_bad(self):
        """Remove it, and wait for its end."""
        if (self.folder.path / "bad.py").exists():
            self.folder.remove("bad.py")
            self.process.wait_for("module.unloaded", module="bad")

    def events_since(self, known):
        """Return the events of all records that are written up to now, except the first ones.

        Args:
            known: the number of those first records.
        """
        self._marks += 1
        self.client.action_call("/healthy/mark", self._marks)
        self.process.wait_for("mark", number=self._marks)
        return {record["event"] for record in self.process.records[known:]}

    def poke(self):
        self.client.event_emit("/poke", 1)

    def latency(self):
        began = time.perf_counter()
        assert self.client.action_call("/healthy/echo", 1) == 1
        return time.perf_counter() - began

    def latencies(self, count):
        return [self.latency() for _ in range(count)]

    def assert_others_are_as_fast(self, limit=0.02):
        """The healthy rule is as fast as it was, within twice the time.

        Or it is within a limit in seconds: a machine that does much else is not to fail this.
        """
        now = statistics.median(self.latencies(20))
        assert now <= max(2 * self.normal, limit), f"{now:.4f} s, not {self.normal:.4f}"


@pytest.fixture
def house(whole_house):
    yield whole_house
    whole_house.remove_bad()


@pytest.fixture(scope="module")
def whole_house(server, tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("rules"))
    folder.write("eshet-rules.toml", LIMITS)
    folder.write("healthy.py", HEALTHY)
    state = tmp_path_factory.mktemp("state")
    with (
        runner(folder, server, "--state-dir", str(state)) as process,
        SyncClient(server=server) as client,
    ):
        client.event_register("/poke")
        process.wait_for("runner.started")
        yield House(folder, process, client)
        folder.write("stubborn.py", HEAD.replace("bad", "stubborn") + indented(STUBBORN))
        process.wait_for("module.loaded", module="stubborn")
        began = time.perf_counter()
        assert process.stop() == 0
        assert time.perf_counter() - began < 5.5
        [starts] = state.glob("*/guard/starts.json")
        assert (
            json.loads(starts.read_text()) == []
        )  # the end was requested, so the start has not failed


@pytest.mark.parametrize("name", RAISING)
def test_a_rule_that_raises_is_reported_and_no_other_rule_is_slower(house, name):
    house.save(RAISING[name])
    if "poke" in RAISING[name]:
        house.process.wait_for("module.loaded", module="bad")
        house.poke()
        failed = house.process.wait_for("rule.failed", rule="bad.bad")
    else:
        failed = house.process.wait_for("rule.failed", rule="bad.bad")
        house.process.wait_for("module.loaded", module="bad")
    assert RAISED[name] in failed["error"]
    house.assert_others_are_as_fast()


@pytest.mark.parametrize("body", BLOCKING.values(), ids=BLOCKING)
def test_a_rule_that_blocks_is_interrupted_and_failed_and_all_others_go_on(house, body):
    house.save(body)
    if "poke" in body:
        house.process.wait_for("module.loaded", module="bad")
        house.poke()
    blocked = house.process.wait_for("rule.blocks_loop", rule="bad.bad")
    assert blocked["file"].endswith("bad.py")
    assert blocked["line"] > HEAD.count("\n")
    assert "bad.py" in blocked["stack"]
    assert house.latency() < INTERRUPT_AFTER + SLACK
    house.process.wait_for("rule.interrupted", rule="bad.bad")
    house.process.wait_for("rule.stays_failed", rule="bad.bad")
    house.assert_others_are_as_fast()


def test_a_rule_is_not_blamed_for_a_thread_that_holds_the_interpreter(house):
    known = len(house.process.records)
    house.save("""
        def hold(_):
            threading.Thread(target=sum, args=[range(5 * 10**7)]).start()
        (await poked()).on_value_changed(hold)""")
    house.process.wait_for("module.loaded", module="bad")
    house.poke()
    house.latency()
    house.save("raise OSError('no line')")
    house.process.wait_for("module.reload_aborted", module="bad")
    assert "rule.blocks_loop" not in house.events_since(known)


def test_a_call_of_c_that_ends_in_time_is_reported_and_its_rule_goes_on(house):
    house.save("""
        def compute(_):
            sum(range(10**8))
            logging.getLogger("bad").warning("goes on")
        (await poked()).on_value_changed(compute)""")
    house.process.wait_for("module.loaded", module="bad")
    house.poke()
    blocked = house.process.wait_for("rule.blocks_loop", rule="bad.bad")
    assert "sum(range(10**8))" in blocked["stack"]
    house.process.wait_for("goes on", rule="bad.bad")


def test_a_new_version_that_blocks_in_its_set_up_does_not_replace_the_old(house):
    house.save("await yarp.state_register('/bad/version', yarp.Value(1))")
    house.process.wait_for("module.loaded", module="bad")
    house.save("while True: pass")
    house.process.wait_for("rule.interrupted", rule="bad.bad")
    house.process.wait_for("module.reload_aborted", module="bad")
    assert house.client.get("/bad/version") == 1


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
def test_no_rule_fails_or_is_slower_when(house, body):
    known = len(house.process.records)
    house.save(body)
    house.process.wait_for("module.loaded", module="bad")
    if "poke" in body:
        house.poke()
    house.assert_others_are_as_fast(limit=BLOCKED_AFTER if "flood" in body else 0.02)
    events = house.events_since(known)
    assert "module.loaded" in events
    assert not events & {"rule.failed", "rule.interrupted", "module.reload_aborted"}


def test_a_rule_that_is_busy_in_short_steps_is_not_blamed_and_others_get_their_turns(house):
    known = len(house.process.records)
    house.save(BUSY)
    house.process.wait_for("module.loaded", module="bad")
    began = time.perf_counter()
    while time.perf_counter() < began + 3 * INTERRUPT_AFTER:  # longer than it may block the loop
        house.assert_others_are_as_fast(limit=BLOCKED_AFTER)
    house.poke()
    house.process.wait_for("the flood has ended", rule="bad.bad")
    assert house.client.get("/bad/count") > 100
    assert not house.events_since(known) & {"rule.blocks_loop", "rule.interrupted", "rule.failed"}


def test_changes_that_a_rule_triggers_in_one_step_are_interrupted_if_they_block_the_loop(house):
    house.save(FLOOD_IN_ONE_STEP)
    house.process.wait_for("module.loaded", module="bad")
    house.poke()
    house.process.wait_for("rule.interrupted", rule="bad.bad")
    house.process.wait_for("rule.stays_failed", rule="bad.bad")
    house.assert_others_are_as_fast()


# --- what ends the process ----------------------------------------------------------------------

END_SOON = """
[supervision]
blocked_after = 0.1
interrupt_after = 0.3
end_after = 0.6
"""

ENDING = {
    "in a call of C": ("sum(range(10**11))", -signal.SIGPROF),
    "in a loop that swallows everything": (
        """
        while True:
            try:
                time.sleep(1)
            except BaseException:
                pass""",
        1,
    ),
}


BREAKING = {
    "it closes all files": "os.closerange(3, 256)",
    "it closes the selector": "asyncio.get_running_loop()._selector.close()",
}


@pytest.mark.parametrize("body", BREAKING.values(), ids=BREAKING)
def test_a_runner_whose_loop_is_broken_ends_at_once_so_that_another_is_started(
    folder, run, body, tmp_path
):
    save_bad(folder, body)
    with run() as house:
        assert house.wait() == 1
    [crash] = tmp_path.glob("state/*/guard/crash*")
    assert "Current thread" in crash.read_text()


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "rules")
    folder.write("healthy.py", HEALTHY.replace("/healthy", "/other"))
    return folder


@pytest.fixture
def run(folder, server, tmp_path):
    """Start a runner on the folder; each keeps its state where the last one did."""
    return functools.partial(runner, folder, server, "--state-dir", str(tmp_path / "state"))


def save_bad(folder, body):
    folder.write("bad.py", HEAD + indented(body))


def indented(body):
    return textwrap.indent(textwrap.dedent(body), "    ")


LEAVING = {
    "a task of its own": """
        async def leave():
            raise KeyboardInterrupt
        asyncio.get_running_loop().create_task(leave())""",
    "a call of the loop": """
        def leave():
            raise SystemExit(3)
        asyncio.get_running_loop().call_soon(leave)""",
}


@pytest.mark.parametrize("body", LEAVING.values(), ids=LEAVING)
def test_an_error_that_would_end_the_loop_during_a_set_up_is_reported_for_its_rule(house, body):
    house.save(f"{body}\n        await asyncio.sleep(0.1)")
    failed = house.process.wait_for("rule.failed", rule="bad.bad")
    assert failed["error"].startswith("RuntimeError: a rule can't end the runner")
    house.process.wait_for("module.loaded", module="bad")
    house.assert_others_are_as_fast()


@pytest.mark.parametrize(("body", "exit_code"), ENDING.values(), ids=ENDING)
def test_a_rule_that_cannot_be_interrupted_ends_the_process_and_stays_off(
    folder, run, body, exit_code, server
):
    folder.write("eshet-rules.toml", END_SOON)
    save_bad(folder, body)
    with run() as house:
        assert house.wait() == exit_code
    with run() as house:
        off = house.wait_for("rule.quarantined", rule="bad.bad")
        assert off["file"].endswith("bad.py")
        assert off["line"] > HEAD.count("\n")
        assert "save its file" in off["why"]
        assert "eshet-rules enable bad.bad" in off["why"]
        house.wait_for("runner.started")
        save_bad(folder, "await yarp.state_register('/mended', yarp.Value(1))")
        house.wait_for("module.reloaded", module="bad")
        assert command("eshet", "get", "/mended", server=server).stdout.strip() == "1"
        assert house.stop() == 0


def test_a_suspended_process_continues_and_no_rule_is_blamed(folder, run):
    folder.write("eshet-rules.toml", END_SOON)
    save_bad(folder, "await yarp.state_register('/bad', yarp.Value(1))")
    with run() as house:
        house.wait_for("runner.started")
        os.kill(house.process.pid, signal.SIGSTOP)
        time.sleep(2)  # longer than the process may be blocked; no clock of a test moves its own
        os.kill(house.process.pid, signal.SIGCONT)
        assert house.wait_for("process.was_stopped")["seconds"] > 1.5
        assert house.stop() == 0
        assert "rule.blocks_loop" not in [record["event"] for record in house.records]


def test_a_module_that_ends_the_process_when_it_is_imported_is_not_imported(folder, run):
    folder.write("eshet-rules.toml", END_SOON)
    folder.write("bad.py", "sum(range(10**11))\n")
    with run() as house:
        assert house.wait() == -signal.SIGPROF
    with run() as house:
        assert house.wait_for("rule.quarantined")["rule"] == "bad"
        house.wait_for("runner.started")
        folder.write("bad.py", "import eshet_rules\n@eshet_rules.rule\nasync def mended(): ...\n")
        house.wait_for("module.loaded", module="bad")
        assert house.stop() == 0


def test_after_three_failed_starts_all_rules_stay_off_until_their_files_change(folder, run):
    save_bad(folder, "os._exit(7)")
    for _ in range(3):
        with run() as house:
            assert house.wait() == 7
    with run() as house:
        assert house.wait_for("runner.safe_mode")["starts"] == 3
        house.wait_for("runner.started")
        folder.write("healthy.py", HEALTHY.replace("/healthy", "/other") + "\n")
        house.wait_for("module.reloaded", module="healthy")
        assert house.stop() == 0
