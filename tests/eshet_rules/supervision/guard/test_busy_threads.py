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


@pytest.fixture
def spinning(tmp_path):
    """A thread in a function of a file of the rules folder, and that folder."""
    file = tmp_path / "hall.py"
    file.write_text("def spin(begun, end):\n    begun.set()\n    end.wait()\n")
    namespace = {}
    exec(compile(file.read_text(), str(file), "exec"), namespace)  # noqa: S102
    begun, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=namespace["spin"], args=(begun, end), name="pump")
    thread.start()
    begun.wait()
    yield tmp_path
    end.set()
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
    spinning, elapsed, used, used_here, expected
):
    clocks = Clocks()
    threads = BusyThreads(f"{spinning}{os.sep}", clocks)
    clocks.advance(elapsed, used, used_here)
    found = threads.look(0.25)
    assert [each.name for each in found] == expected
    assert all(each.file == str(spinning / "hall.py") and each.line >= 2 for each in found)
    clocks.advance(0.25, 0.25, 0.0)
    assert threads.look(0.25) == []


def test_threads_of_others_are_not_named(spinning, tmp_path_factory):
    clocks = Clocks()
    threads = BusyThreads(f"{tmp_path_factory.mktemp('other')}{os.sep}", clocks)
    clocks.advance(1.0, 1.0, 0.0)
    assert threads.look(0.25) == []
