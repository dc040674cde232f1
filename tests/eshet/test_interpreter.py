"""Each internal of Python and msgpack that the project relies on, on this version."""

import asyncio
import contextvars
import gc
import os
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from pathlib import Path

import msgpack
import msgpack.fallback
import pytest

from eshet import interpreter


async def test_the_task_of_a_step_is_known_and_other_callbacks_have_none():
    loop = asyncio.get_running_loop()
    handles = []
    call_soon = loop.call_soon

    def recording(*args, **kwargs):
        handles.append(call_soon(*args, **kwargs))
        return handles[-1]

    async def steps():
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future
        await asyncio.sleep(0)

    loop.call_soon = recording
    try:
        task = loop.create_task(steps())
        await task
    finally:
        del loop.call_soon
    tasks = [interpreter.task_of(handle) for handle in handles]
    assert tasks.count(task) == 3
    assert None in tasks


def test_there_is_no_running_loop_outside_of_one():
    assert interpreter.running_loop() is None


async def test_the_running_loop_is_that_of_the_task():
    assert interpreter.running_loop() is asyncio.get_running_loop()


def test_a_frame_is_that_of_the_caller():
    def callee():
        return interpreter.get_frame(1).f_code.co_name

    assert callee() == "test_a_frame_is_that_of_the_caller"


def test_the_frames_of_all_threads_are_found_by_ident():
    begun, end = threading.Event(), threading.Event()

    def waits():
        begun.set()
        end.wait()

    thread = threading.Thread(target=waits)
    thread.start()
    begun.wait()
    frame = interpreter.thread_frames()[thread.ident]
    names = [each.name for each in traceback.extract_stack(frame)]
    end.set()
    thread.join()
    assert "waits" in names


def test_threads_are_found_by_ident_until_they_end():
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    assert interpreter.threads_by_ident()[thread.ident] is thread
    end.set()
    thread.join()
    assert thread not in interpreter.threads_by_ident().values()


def test_finding_frames_leaves_the_garbage_collection_as_it_was():
    assert gc.isenabled()
    interpreter.thread_frames()
    assert gc.isenabled()
    gc.disable()
    try:
        interpreter.thread_frames()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_frame_of_this_thread_is_left_out_since_it_would_refer_to_itself():
    class Big:
        pass

    def find():
        big = Big()
        frames = interpreter.thread_frames()
        assert threading.get_ident() not in frames
        return weakref.ref(big)

    gc.disable()
    try:
        assert find()() is None
    finally:
        gc.enable()


def test_nothing_is_collected_while_long_lived_objects_are_created_nor_are_they_later(monkeypatch):
    frozen = []
    # The real one would exempt all objects of the tests as well.
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(gc.isenabled()))
    with interpreter.without_collections():
        assert not gc.isenabled()
        assert not frozen
    assert frozen == [False]
    assert gc.isenabled()


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these clocks")


@on_linux
def test_the_processor_time_of_a_thread_is_what_it_has_computed():
    def compute():
        while time.thread_time() < 0.1:
            sum(range(1000))
        times.append(interpreter.processor_time(threading.get_native_id()))
        times.append(time.thread_time())
        computed.set()
        end.wait()

    times = []
    computed, end = threading.Event(), threading.Event()
    busy, idle = threading.Thread(target=compute), threading.Thread(target=end.wait)
    busy.start()
    idle.start()
    try:
        assert computed.wait(10)
        assert 0.1 <= times[0] <= times[1]
        assert times[0] <= interpreter.processor_time(busy.native_id)
        assert interpreter.processor_time(idle.native_id) < 0.1
    finally:
        end.set()
        busy.join()
        idle.join()


@on_linux
def test_a_thread_of_no_process_or_of_another_one_has_no_processor_time():
    largest = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert interpreter.processor_time(largest + 1) is None
    assert interpreter.processor_time(os.getppid()) is None


async def test_the_context_of_a_callback_is_known_before_it_runs():
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(1)
    handle = asyncio.get_running_loop().call_soon(lambda: None)
    assert interpreter.context_of(handle)[variable] == 1


def test_the_callback_that_ends_a_loop_is_found_in_the_traceback():
    loop = asyncio.new_event_loop()

    def stop():
        raise KeyboardInterrupt

    handle = loop.call_soon(stop)
    with pytest.raises(KeyboardInterrupt) as raised:
        loop.run_forever()
    loop.close()
    frames = [frame for frame, _ in traceback.walk_tb(raised.tb)]
    [run] = [frame for frame in frames if frame.f_code is interpreter.HANDLE_RUN]
    assert run.f_locals["self"] is handle


async def test_each_step_is_run_by_one_iteration_of_the_loop():
    codes = [frame.f_code for frame, _ in traceback.walk_stack(interpreter.get_frame(0))]
    assert interpreter.LOOP_RUN_ONCE in codes


def test_a_loop_runs_the_callbacks_of_its_ready_queue():
    class Seen(deque):
        def popleft(self):
            handle = super().popleft()
            seen.append(handle)
            return handle

    seen = []
    loop = asyncio.new_event_loop()
    interpreter.set_ready_queue(loop, Seen())
    handle = loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert handle in seen


def test_a_timer_is_called_early_by_the_clock_resolution():
    called = []
    loop = asyncio.new_event_loop()
    loop.time = lambda: 0.0
    interpreter.set_clock_resolution(loop, 1.0)
    loop.call_at(0.5, called.append, "early")
    loop.call_at(1.5, called.append, "late")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert called == ["early"]


@pytest.mark.parametrize("packer", [msgpack.Packer, msgpack.fallback.Packer])
def test_msgpack_packs_and_unpacks_to_its_nesting_limit(packer):
    deepest = []
    for _ in range(interpreter.MSGPACK_MAX_NESTING - 1):
        deepest = [deepest]
    packed = packer().pack(deepest)
    assert packed == b"\x91" * (interpreter.MSGPACK_MAX_NESTING - 1) + b"\x90"
    assert msgpack.packb(msgpack.unpackb(packed)) == packed
