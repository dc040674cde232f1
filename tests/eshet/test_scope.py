"""Scopes: what is made in one ends with it."""

import asyncio

import pytest

from eshet.scope import Reason, Scope, current_scope, report_error


def test_things_are_undone_once_in_the_reverse_order_of_making() -> None:
    undone: list[str] = []
    scope = Scope("s")
    for name in "abc":
        scope.own(lambda name=name: undone.append(name))  # type: ignore[misc]
    scope.dispose(Reason.REPLACED)
    scope.dispose(Reason.SHUTDOWN)
    assert undone == ["c", "b", "a"]
    assert scope.reason is Reason.REPLACED


def test_what_is_given_to_a_disposed_scope_is_undone_at_once() -> None:
    undone: list[str] = []
    scope = Scope("s")
    scope.dispose()
    scope.own(lambda: undone.append("x"))
    assert undone == ["x"]


def test_a_thing_that_ended_by_itself_is_forgotten() -> None:
    undone: list[str] = []
    scope = Scope("s")
    scope.own(lambda: undone.append("forgotten")).forget()
    early = scope.own(lambda: undone.append("early"))
    early.undo()
    early.undo()
    scope.dispose()
    assert undone == ["early"]


def test_a_child_ends_with_its_parent_for_the_same_reason() -> None:
    parent = Scope("parent")
    child = Scope("child", parent=parent)
    other = Scope("other", parent=parent)
    other.dispose(Reason.FAILED)
    parent.dispose(Reason.SHUTDOWN)
    assert (child.reason, other.reason) == (Reason.SHUTDOWN, Reason.FAILED)


def test_an_error_in_one_thing_is_reported_and_the_others_are_undone() -> None:
    errors: list[tuple[BaseException, str]] = []
    undone: list[str] = []
    scope = Scope("s", on_error=lambda error, doing: errors.append((error, doing)))
    scope.own(lambda: undone.append("first"))
    scope.own(lambda: 1 / 0)
    scope.own(lambda: undone.append("last"))
    scope.dispose()
    assert undone == ["last", "first"]
    assert [(type(error), doing) for error, doing in errors] == [
        (ZeroDivisionError, "disposing scope s")
    ]


def test_what_is_made_while_a_scope_is_disposed_does_not_stay() -> None:
    undone: list[str] = []
    scope = Scope("s")
    scope.own(lambda: scope.own(lambda: undone.append("late")))
    scope.dispose()
    assert undone == ["late"]


def test_the_current_scope_is_that_of_the_context() -> None:
    outer, inner = Scope("outer"), Scope("inner")
    assert current_scope() is None
    with outer.active():
        with inner.active():
            assert current_scope() is inner
        assert current_scope() is outer
    assert current_scope() is None


async def test_a_task_keeps_the_scope_in_which_it_was_started() -> None:
    scope = Scope("s")

    async def which() -> Scope | None:
        await asyncio.sleep(0)
        return current_scope()

    with scope.active():
        task = asyncio.create_task(which())
    assert await task is scope


def test_an_error_goes_to_the_nearest_handler_above(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    parent = Scope("parent", on_error=lambda error, doing: told.append(f"{doing}: {error}"))
    with Scope("child", parent=parent).active():
        report_error(ValueError("bad"), "callback of /x")
    assert told == ["callback of /x: bad"]
    assert caplog.text == ""


def test_an_error_that_nobody_handles_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with Scope("s").active():
        report_error(ValueError("one"), "callback of /x")
    report_error(ValueError("two"), "callback of /y")
    assert "s: callback of /x failed" in caplog.text
    assert "callback of /y failed" in caplog.text
    assert "ValueError: two" in caplog.text


def test_a_handler_that_fails_does_not_lose_the_error(caplog: pytest.LogCaptureFixture) -> None:
    scope = Scope("s", on_error=lambda error, doing: 1 / 0)  # type: ignore[arg-type,return-value]
    scope.report(ValueError("the real one"), "callback")
    assert "the error handler of scope s failed" in caplog.text
    assert "the real one" in caplog.text


def test_a_room_is_made_once_for_each_scope_and_not_kept_after_it() -> None:
    scope, other = Scope("s"), Scope("other")
    room = scope.get(_Room)
    assert scope.get(_Room) is room
    assert other.get(_Room) is not room
    scope.dispose()
    assert scope.get(_Room) is not room


class _Room:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
