import asyncio
import signal
import subprocess
import sys

import pytest

from eshet_rules.exceptions import NoRules
from eshet_rules.runner.signals import on_signal, until_signalled


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_work_and_gives_zero(number):
    cleaned_up = []

    async def work():
        try:
            signal.raise_signal(number)
            await asyncio.get_running_loop().create_future()
        finally:
            signal.raise_signal(number)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            cleaned_up.append(True)

    assert await until_signalled(work()) == 0
    assert cleaned_up == [True]


async def test_without_a_signal_the_work_gives_its_result_or_its_error():
    async def work():
        return 3

    async def fail():
        raise NoRules(None)

    assert await until_signalled(work()) == 3
    with pytest.raises(NoRules):
        await until_signalled(fail())


async def test_the_first_signal_is_told_at_once_also_while_the_loop_is_blocked():
    told = []

    async def work():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        told.append("still blocked")
        await asyncio.get_running_loop().create_future()

    assert await until_signalled(work(), at_signal=lambda: told.append("signal")) == 0
    assert told == ["signal", "still blocked"]


async def test_the_handlers_of_before_are_back_in_the_end():
    before = signal.getsignal(signal.SIGTERM)
    await until_signalled(asyncio.sleep(0, 0))
    assert signal.getsignal(signal.SIGTERM) is before


async def test_the_signal_that_ended_it_is_reported():
    reported = []

    async def work():
        signal.raise_signal(signal.SIGINT)
        await asyncio.get_running_loop().create_future()

    assert await until_signalled(work(), report=reported.append) == 0
    assert reported == [signal.SIGINT]


async def test_a_callback_is_called_at_each_signal_of_its_kind(advance):
    called = []
    with on_signal(signal.SIGHUP, lambda: called.append(True)):
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
            while len(called) == 0:
                await advance(0)
    assert called


ASKED = {
    "once": ("end.request(7, within=0.01)", 7),
    "again with more time": ("end.request(0, within=0.01); end.request(7, within=60)", 7),
    "again with less time": ("end.request(0, within=60); end.request(7, within=0.01)", 7),
    "by a signal handler without memory": (
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))\n"
        "signal.signal(signal.SIGTERM, lambda *_: end.request(7, within=0.01))\n"
        "signal.raise_signal(signal.SIGTERM)",
        7,
    ),
    "without a stream for errors": ("os.close(2); end.request(7, within=0.01)", 7),
}


@pytest.mark.parametrize(("asked", "exit_code"), ASKED.values(), ids=ASKED)
def test_a_process_ends_for_sure_with_the_code_that_was_said(asked, exit_code):
    code = (
        "import os, resource, signal, threading, time\n"
        "from eshet_rules.runner.signals import ForcedExit\n"
        "end = ForcedExit()\n"
        "threading.Thread(target=time.sleep, args=(3600,)).start()\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code + asked],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == exit_code
    assert "forced to exit" in done.stderr or "close" in asked
