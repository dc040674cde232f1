"""The page never uses all threads of the runner."""

import asyncio
import threading

import pytest

from eshet_rules.threads import OneThread, RunnerThreads


@pytest.fixture
def threads():
    threads = RunnerThreads()
    yield threads
    threads.close()


async def test_slow_work_of_the_page_leaves_a_thread_free(threads):
    one = OneThread(threads)
    end = threading.Event()
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        end.wait()
        return number

    with asyncio.get_running_loop().real_work():
        working = [asyncio.create_task(one.run(work, number)) for number in range(4)]
        assert await threads.run(lambda: "free") == "free"
        # A page that is closed: its work runs to its end, and no other work starts before.
        working[0].cancel()
        working[1].cancel()
        await asyncio.wait(working[:2])
        assert await threads.run(lambda: "free") == "free"
        assert begun == [0]
        end.set()
        assert await asyncio.gather(*working[2:]) == [2, 3]
    assert begun == [0, 2, 3]


async def test_an_error_reaches_the_caller_and_the_next_work_runs(threads):
    one = OneThread(threads)
    with asyncio.get_running_loop().real_work():
        with pytest.raises(ValueError, match="'x'"):
            await one.run(int, "x")
        assert await one.run(int, "7") == 7


async def test_nothing_waits_for_threads_that_have_ended(threads):
    one = OneThread(threads)
    threads.close()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await one.run(int, "7")
