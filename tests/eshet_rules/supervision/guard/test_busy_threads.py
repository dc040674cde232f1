"""Threads of rules that compute."""

import os
import threading

import pytest

from eshet_rules.supervision.guard.busy_threads import BusyThreads


class Clocks:
    """Clocks that a test sets: the time, and the processor time of the process and this thread."""

    def __init__(self):
        self.now = [0.0, 0.0, 0.0]

    def __call__(self):
        return tuple(self.now)

    def advance(self, *seconds):
        self.now = [now + more for now, more in zip(self.now, seconds, strict=True)]


class Times:
    """Processor times of threads, by their names; unknown for other threads."""

    def __init__(self):
        self.of = {}

    def __call__(self, native_id):
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        return self.of.get(names[native_id])


@pytest.fixture
def waiting(tmp_path):
    """Threads in a function of a file of the rules folder, and that folder."""
    file = tmp_path / "hall.py"
    file.write_text("def spin(begun, end):\n    begun.wait()\n    end.wait()\n")
    namespace = {}
    exec(compile(file.read_text(), str(file), "exec"), namespace)  # noqa: S102
    begun, end = threading.Barrier(4), threading.Event()
    threads = [
        threading.Thread(target=namespace["spin"], args=(begun, end), name=name)
        for name in ("pump", "fan", "idle")
    ]
    for thread in threads:
        thread.start()
    begun.wait()
    yield tmp_path
    end.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("elapsed", "used", "used_here", "expected"),
    [
        (0.6, 0.6, 0.1, ["pump"]),
        (0.3, 0.3, 0.0, []),  # the beat is hardly late
        (0.6, 0.6, 0.5, []),  # this thread itself was at work
        (0.6, 0.1, 0.0, []),  # nobody was at work
    ],
)
def test_threads_of_rules_are_found_when_a_beat_is_late_for_them(
    waiting, elapsed, used, used_here, expected
):
    clocks, times = Clocks(), Times()
    threads = BusyThreads(f"{waiting}{os.sep}", clocks, times)
    times.of = {"pump": 0.0, "fan": 0.0, "idle": 0.0}
    clocks.advance(1.0, 1.0, 0.0)
    assert threads.look(0.25) == []  # none of the three has computed
    clocks.advance(elapsed, used, used_here)
    times.of = {"pump": used - used_here, "fan": 0.0, "idle": 0.0}
    found = threads.look(0.25)
    assert [each.name for each in found] == expected
    assert all(each.file == str(waiting / "hall.py") and each.line >= 2 for each in found)
    clocks.advance(0.25, 0.25, 0.0)
    assert threads.look(0.25) == []


def test_threads_of_others_are_not_named(waiting, tmp_path_factory):
    clocks = Clocks()
    threads = BusyThreads(f"{tmp_path_factory.mktemp('other')}{os.sep}", clocks)
    clocks.advance(1.0, 1.0, 0.0)
    assert threads.look(0.25) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"pump": 5.0, "fan": 1.0, "idle": 9.0}, {"pump": 5.3, "fan": 1.2, "idle": 9.01}, 2),
        ({"idle": 9.0}, {"pump": 0.3, "fan": 0.2, "idle": 9.0}, 2),  # two have just begun
        ({"pump": 5.0, "idle": 9.0}, {"pump": 5.3, "fan": 0.2, "idle": 9.0}, 2),  # one has
        ({"pump": 5.0, "fan": 1.0, "idle": 9.0}, {"pump": 5.01, "fan": 1.0, "idle": 9.0}, 0),
        ({}, {"idle": 0.0}, 0),  # either of the two with unknown times may be busy
        ({}, {"idle": 0.0, "fan": 0.0}, 1),
    ],
)
def test_only_threads_that_compute_are_named(waiting, before, after, expected):
    clocks, times = Clocks(), Times()
    times.of = before
    threads = BusyThreads(f"{waiting}{os.sep}", clocks, times)
    clocks.advance(0.6, 0.6, 0.05)
    threads.look(0.25)
    clocks.advance(0.6, 0.6, 0.05)
    times.of = after
    assert {each.name for each in threads.look(0.25)} == set(["pump", "fan"][:expected])


def test_threads_that_have_ended_before_the_late_beat_are_named(tmp_path):
    file = tmp_path / "hall.py"
    file.write_text("def spin(begun, end):\n    begun.wait()\n    end.wait()\n")
    namespace = {}
    exec(compile(file.read_text(), str(file), "exec"), namespace)  # noqa: S102
    begun, end = threading.Barrier(3), threading.Event()
    clocks, times = Clocks(), Times()
    threads = BusyThreads(f"{tmp_path}{os.sep}", clocks, times)
    spinning = [
        threading.Thread(target=namespace["spin"], args=(begun, end), name=name)
        for name in ("pump", "fan")
    ]
    for thread in spinning:
        thread.start()
    begun.wait()
    times.of = {"pump": 0.3, "fan": 0.3}
    threads.sample()
    end.set()
    for thread in spinning:
        thread.join()
    clocks.advance(0.7, 0.7, 0.05)
    assert {each.name for each in threads.look(0.25)} == {"pump", "fan"}
    clocks.advance(0.7, 0.7, 0.05)
    assert threads.look(0.25) == []
