"""Callbacks that answer later: coroutines, and futures, which need no task."""

import asyncio

import pytest

from eshet import Client, ErrorValue
from eshet.exceptions import ErrorAnswer
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope


class Answers:
    """The owner of an action, which answers with futures that the test completes."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[object]] = []

    def __call__(self) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future


async def outcomes(calls: "list[asyncio.Future[object]]") -> list[object]:
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [each.value if isinstance(each, ErrorValue) else each for each in results]


async def test_futures_are_answered_with_their_outcomes(tree, advance, caplog) -> None:
    async with Client(server=tree.connector()) as owner, Client(server=tree.connector()) as caller:
        answers = Answers()
        await owner.action_register("/a", answers)
        calls = [asyncio.ensure_future(caller.action_call("/a")) for _ in range(4)]
        await advance(0)
        assert not any(each.done() for each in calls)
        one, two, three, four = answers.futures
        four.set_result(4)
        three.cancel()
        two.set_exception(ValueError("too hot"))
        one.set_result(object())
        await advance(0)
        found = await outcomes(calls)
    assert found[1:] == ["too hot", "cancelled", 4]
    assert "object" in str(found[0])
    errors = [each.exc_info[1] for each in caplog.records if each.message == "action of /a failed"]
    assert "too hot" in [str(each) for each in errors]


async def test_an_error_that_is_the_answer_is_passed_on_as_it_is_and_not_reported(
    tree, advance, caplog
) -> None:
    async def later(value: object) -> None:
        raise ErrorAnswer(value)

    def at_once(value: object) -> None:
        raise ErrorAnswer(value)

    async with Client(server=tree.connector()) as owner, Client(server=tree.connector()) as caller:
        answers = Answers()
        await owner.action_register("/future", answers)
        await owner.action_register("/later", later)
        await owner.action_register("/once", at_once)
        await owner.prop_register("/prop", lambda: at_once(None), at_once)
        calls = [
            asyncio.ensure_future(each)
            for each in (
                caller.action_call("/future"),
                caller.action_call("/later", {"code": [5]}),
                caller.action_call("/once", "no"),
                caller.get("/prop"),
                caller.set("/prop", 3),
            )
        ]
        await advance(0)
        answers.futures[0].set_exception(ErrorAnswer(2.5))
        await advance(0)
        assert await outcomes(calls) == [2.5, {"code": [5]}, "no", None, 3]
    assert caplog.records == []


@pytest.mark.parametrize("value", [object(), "x" * 70_000])
async def test_an_answer_that_can_not_be_sent_is_replaced_by_a_text(tree, value: object) -> None:
    def refuse() -> None:
        raise ErrorAnswer(value)

    async with Client(server=tree.connector()) as owner, Client(server=tree.connector()) as caller:
        await owner.action_register("/a", refuse)
        with pytest.raises(ErrorValue) as raised:
            await caller.action_call("/a")
        assert str(raised.value.value)[:5] == str(value)[:5]


async def test_futures_are_cancelled_when_their_client_ends(tree, advance) -> None:
    async with Client(server=tree.connector()) as caller:
        answers = Answers()
        async with Client(server=tree.connector()) as owner:
            await owner.action_register("/a", answers)
            call = asyncio.ensure_future(caller.action_call("/a"))
            await advance(0)
        assert answers.futures[0].cancelled()
        with pytest.raises(ErrorValue):
            await call


async def test_a_call_of_a_disposed_scope_is_answered(tree, advance) -> None:
    async with Client(server=tree.connector()) as owner, Client(server=tree.connector()) as caller:
        answers = Answers()
        scope = TaskScope("rule")
        own_tasks_by_scope(asyncio.get_running_loop())
        with scope.active():
            await owner.action_register("/a", answers)
        call = asyncio.ensure_future(caller.action_call("/a"))
        await advance(0)
        scope.dispose()
        with pytest.raises(ErrorValue):
            await call
        assert answers.futures[0].cancelled()
