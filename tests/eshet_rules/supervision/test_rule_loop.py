import asyncio

import pytest

from eshet_rules.supervision.rule_loop import RuleLoop


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_the_loop_goes_on_when_a_callback_wants_to_end_it(error):
    told = []

    def leave():
        raise error

    async def main():
        loop = asyncio.get_running_loop()
        loop.on_exit_call = told.append
        loop.call_soon(leave)
        ready_behind_it = asyncio.Event()
        loop.call_soon(ready_behind_it.set)
        await ready_behind_it.wait()
        return "done"

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        assert runner.run(main()) == "done"
    assert told == [error]


def test_the_loop_goes_on_when_a_task_wants_to_end_it():
    told = []

    async def leave():
        raise SystemExit(3)

    async def main():
        asyncio.get_running_loop().on_exit_call = told.append
        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        return task.exception()

    with asyncio.Runner(loop_factory=RuleLoop) as runner:
        assert runner.run(main()) is told[0]


def test_as_long_as_nobody_takes_the_call_it_ends_the_program():
    async def main():
        asyncio.get_running_loop().call_soon(leave)
        await asyncio.get_running_loop().create_future()

    def leave():
        raise SystemExit(3)

    with asyncio.Runner(loop_factory=RuleLoop) as runner, pytest.raises(SystemExit):
        runner.run(main())
