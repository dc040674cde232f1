"""What a view that was held back makes of paths, outputs and replies when it takes over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from eshet import Client, ErrorValue, Unknown
from eshet.client.observer import ClientObserver
from eshet.client.view import ClientView, has_published, resume
from eshet.exceptions import PathTaken
from eshet.messages import ActionCall, EventEmit, Get, Set
from eshet.scope import Scope
from tests.eshet.client.conftest import Tree
from tests.support.hearing import Errors

Advance = Callable[[float], Awaitable[None]]


class Kit:
    """A connection with views, each with a scope, and a client that looks on."""

    def __init__(self, connection: Client, viewer: Client, advance: Advance) -> None:
        self.connection = connection
        self.viewer = viewer
        self.advance = advance

    def view(
        self, *, held_back: bool = True, releasing: tuple[str, ...] = ()
    ) -> tuple[ClientView, Errors]:
        view = ClientView(
            self.connection, held_back=held_back, is_releasing=lambda path: path in releasing
        )
        return view, Errors("rule")

    async def replace(
        self, new: ClientView, old: ClientView, scope: Scope, when_free: Any = None
    ) -> None:
        """Let one view take over from another, whose scope then ends."""
        new.take_over(old, when_free)
        scope.dispose()
        await self.advance(0)

    async def exists(self, path: str) -> bool:
        try:
            await self.viewer.action_call("/meta/ls", path)
        except ErrorValue:
            return False
        return True


@pytest.fixture
async def kit(tree: Tree, advance: Advance) -> AsyncIterator[Kit]:
    async with (
        Client(server=tree.connector()) as connection,
        Client(server=tree.connector()) as viewer,
    ):
        yield Kit(connection, viewer, advance)


# --- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", [2, 3, 4])
async def test_a_path_that_went_from_version_to_version_is_given_up_with_the_last(
    kit: Kit, views: int
) -> None:
    old, errors = kit.view(held_back=False)
    with errors.scope.active():
        await (await old.state_register("/light")).changed(1)
    for _ in range(views - 1):
        new, new_errors = kit.view()
        with new_errors.scope.active():
            await (await new.state_register("/light")).changed(1)
        await kit.replace(new, old, errors.scope)
        assert await kit.viewer.get("/light") == 1
        old, errors = new, new_errors
    last, _ = kit.view()
    await kit.replace(last, old, errors.scope)
    assert not await kit.exists("/light")


async def test_a_version_that_is_given_up_leaves_the_path_with_the_old_one(kit: Kit) -> None:
    old, errors = kit.view(held_back=False)
    with errors.scope.active():
        await (await old.state_register("/light")).changed(1)
    given_up, its = kit.view()
    with its.scope.active():
        await given_up.state_register("/light")
    its.scope.dispose()
    await kit.advance(0)
    assert await kit.viewer.get("/light") == 1
    with its.scope.active(), pytest.raises(ErrorValue, match="not_owner"):
        await given_up.state_changed("/light", 2)
    new, _ = kit.view()
    await new.state_register("/light")
    await kit.replace(new, old, errors.scope)
    assert await kit.viewer.get("/light") == 1


async def test_a_path_that_only_a_held_back_version_has_goes_with_its_scope(kit: Kit) -> None:
    new, errors = kit.view()
    with errors.scope.active():
        await new.state_register("/new")
        with pytest.raises(PathTaken) as raised:
            await new.action_register("/new", print)
    assert raised.value.path == "/new"
    assert await kit.exists("/new")
    errors.scope.dispose()
    await kit.advance(0)
    assert not await kit.exists("/new")
    await new.state_register("/new")
    assert await kit.exists("/new")


@pytest.mark.parametrize("wait", [False, True])
async def test_a_path_may_become_another_kind_of_node(kit: Kit, wait: bool) -> None:
    old, errors = kit.view(held_back=False)
    with errors.scope.active():
        await old.action_register("/x", lambda: 1)
    new, its = kit.view()
    with its.scope.active():
        state = await new.state_register("/x")
        await state.changed(5)
    free: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    await kit.replace(new, old, errors.scope, free if wait else None)
    if wait:
        assert new.owns("/x") is False
        changing = asyncio.ensure_future(state.changed(6))
        await kit.advance(1)
        assert not changing.done()
        free.set_result(None)
        await changing
    await kit.advance(1)
    assert await kit.viewer.get("/x") == (6 if wait else 5)
    assert its.reported == []


async def test_a_path_that_is_waited_for_can_be_withdrawn(kit: Kit) -> None:
    owner = await kit.viewer.state_register("/x")
    new, errors = kit.view(releasing=("/x",))
    with errors.scope.active():
        await new.state_register("/x")
    free: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    new.take_over(None, free)
    await kit.advance(1)
    errors.scope.dispose()
    assert free.cancelled()
    await kit.advance(1)
    assert not new.owns("/x")
    assert errors.reported == []
    await owner.changed(3)
    assert await kit.viewer.get("/x") == 3


async def test_a_path_that_is_not_free_after_all_is_reported_and_tried_again(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    scope = Scope("other")
    with scope.active():
        await kit.viewer.state_register("/x")
    new, errors = kit.view(releasing=("/x",))
    with errors.scope.active():
        state = await new.state_register("/x")
        await state.changed(5)
    new.take_over(None)
    await kit.advance(0.5)
    error, doing = errors.reported[0]
    assert error.startswith("PathTaken")
    assert "/x" in error + doing
    assert not any(each.startswith("PathTaken") for each, _ in errors.reported[1:])
    scope.dispose()
    await kit.advance(10)
    assert new.owns("/x")
    await state.changed(6)
    assert await kit.viewer.get("/x") == 6


async def test_an_error_of_background_work_without_a_scope_is_logged(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    await kit.viewer.state_register("/x")
    new, _ = kit.view(releasing=("/x",))
    await new.state_register("/x")
    new.take_over(None)
    await kit.advance(0.5)
    assert "register state /x failed" in caplog.text


async def test_a_path_that_nobody_is_about_to_give_up_is_an_error_at_once(kit: Kit) -> None:
    await kit.viewer.state_register("/x")
    new, _ = kit.view(releasing=("/y",))
    with pytest.raises(PathTaken):
        await new.state_register("/x")
    with pytest.raises(ErrorValue, match="not_owner"):
        await new.state_changed("/x", 1)


async def test_after_it_took_over_a_view_is_like_any_other_client(kit: Kit) -> None:
    other, _ = kit.view(held_back=False)
    await other.state_register("/other")
    new, errors = kit.view()
    new.take_over(None)
    new.take_over(None)
    with pytest.raises(PathTaken):
        await new.state_register("/other")
    with errors.scope.active():
        state = await new.state_register("/s")
        await state.changed(1)
        assert await kit.viewer.get("/s") == 1
        await new.action_register("/a", lambda: 7)
        assert await kit.viewer.action_call("/a") == 7
    errors.scope.dispose()
    await kit.advance(0)
    assert not await kit.exists("/s")


# --- outputs ----------------------------------------------------------------------------------


class Observer(ClientObserver):
    """Records the outputs that were not sent."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped: list[tuple[Any, ...]] = []

    def on_skipped(self, *args: Any, **more: Any) -> None:
        self.skipped.append(args)


@pytest.mark.parametrize(
    ("before", "held", "sent"),
    [
        ([1], [1], []),
        ([1], [2], [2]),
        ([1], [2, 3], [2, 3]),
        ([1], [2, 1], []),
        ([1, 2], [1], [1]),
        ([], [1], [1]),
        ([], [], []),
    ],
)
async def test_outputs_that_end_with_the_last_one_that_was_sent_are_not_sent(
    kit: Kit, before: list[int], held: list[int], sent: list[int]
) -> None:
    observer = Observer()
    kit.connection._registrations.observer = observer
    sets: list[Any] = []
    await kit.viewer.state_register("/heater", sets.append)
    old, errors = kit.view(held_back=False)
    for value in before:
        await old.set("/heater", value)
    new, _ = kit.view()
    for value in held:
        await new.set("/heater", value)
    await kit.advance(0)
    assert sets == before
    await kit.replace(new, old, errors.scope)
    assert sets == before + sent
    assert len(observer.skipped) == (1 if held and not sent else 0)
    await new.set("/heater", 9)
    assert sets[-1] == 9


async def test_each_path_and_kind_of_output_has_its_own_last_value(kit: Kit) -> None:
    sets: list[Any] = []
    calls: list[Any] = []
    await kit.viewer.state_register("/a", lambda x: sets.append(("a", x)))
    await kit.viewer.state_register("/b", lambda x: sets.append(("b", x)))
    await kit.viewer.event_listen_cb("/bell", calls.append)
    old, errors = kit.view(held_back=False)
    await old.set("/a", 1)
    new, _ = kit.view()
    await new.set("/b", 1)
    await new.event_emit("/bell", 1)
    await kit.replace(new, old, errors.scope)
    assert (sets, calls) == ([("a", 1), ("b", 1)], [1])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [(1, 1, []), (1, 2, [2]), (1, Unknown, [Unknown]), (Unknown, 1, [1]), (Unknown, Unknown, [])],
)
async def test_a_state_is_published_again_only_if_it_differs(
    kit: Kit, before: Any, after: Any, told: list[Any]
) -> None:
    observer = Observer()
    kit.connection._registrations.observer = observer
    old, errors = kit.view(held_back=False)

    async def publish(view: ClientView, value: Any) -> None:
        state = await view.state_register("/light")
        await (state.unknown() if value is Unknown else state.changed(value))

    with errors.scope.active():
        await publish(old, before)
    seen: list[Any] = []
    await kit.viewer.state_observe("/light", seen.append)
    new, _ = kit.view()
    await publish(new, after)
    await kit.replace(new, old, errors.scope)
    assert seen == told
    assert len(observer.skipped) == (0 if told else 1)
    assert has_published(new, "/light", after)
    assert kit.connection.reconnected_at is None


async def test_an_error_of_a_held_output_is_reported_to_the_scope_that_made_it(kit: Kit) -> None:
    new, errors = kit.view()
    with errors.scope.active():
        await new.set("/nowhere", 1)
    new.take_over(None)
    await kit.advance(0)
    [(error, doing)] = errors.reported
    assert "path_not_found" in error
    assert doing.startswith("set /nowhere")


# --- replies that are still to come -----------------------------------------------------------


@pytest.fixture
async def slow(kit: Kit) -> list[Any]:
    """Return the calls of an action that takes a while to answer."""
    calls: list[Any] = []

    async def work(*args: Any) -> Any:
        calls.append(list(args))
        number = len(calls)
        await asyncio.sleep(0.5)
        return f"answer {number}"

    await kit.viewer.action_register("/slow", work)
    return calls


@pytest.mark.parametrize(
    ("code", "value", "after", "made"),
    [
        (ActionCall.code, [1], 0.0, 1),
        (ActionCall.code, [1], 0.4, 1),
        (ActionCall.code, [2], 0.0, 2),
        (Set.code, [1], 0.0, 2),
        (EventEmit.code, [1], 0.0, 2),
    ],
)
async def test_a_call_whose_answer_is_still_to_come_is_not_made_again(
    kit: Kit, slow: list[Any], code: int, value: Any, after: float, made: int
) -> None:
    old, errors = kit.view(held_back=False)
    first = asyncio.ensure_future(old.action_call("/slow", 1))
    await kit.advance(0.01)
    new, _ = kit.view()
    await kit.replace(new, old, errors.scope)
    await kit.advance(after)
    resume(new, code, "/slow", value)
    second = asyncio.ensure_future(new.action_call("/slow", 1))
    await kit.advance(2)
    assert (await first, await second) == ("answer 1", f"answer {made}")
    assert len(slow) == made
    assert await asyncio.gather(new.action_call("/slow", 1), kit.advance(1))
    assert len(slow) == made + 1


async def test_each_pending_reply_is_used_once(kit: Kit, slow: list[Any]) -> None:
    old, errors = kit.view(held_back=False)
    first = asyncio.ensure_future(old.action_call("/slow"))
    await kit.advance(0.01)
    new, _ = kit.view()
    await kit.replace(new, old, errors.scope)
    for _ in range(2):
        resume(new, ActionCall.code, "/slow", [])
    both = [asyncio.ensure_future(new.action_call("/slow")) for _ in range(2)]
    await kit.advance(1)
    assert len(slow) == 2
    assert {await each for each in (first, *both)} == {"answer 1", "answer 2"}


async def test_a_reply_outlives_the_caller_of_the_old_version(kit: Kit, slow: list[Any]) -> None:
    old, errors = kit.view(held_back=False)
    first = asyncio.ensure_future(old.action_call("/slow"))
    await kit.advance(0.01)
    new, _ = kit.view()
    await kit.replace(new, old, errors.scope)
    first.cancel()
    resume(new, ActionCall.code, "/slow", [])
    second = asyncio.ensure_future(new.action_call("/slow"))
    await kit.advance(1)
    assert (await second, len(slow)) == ("answer 1", 1)


async def test_a_reply_that_comes_late_is_not_used_for_a_later_call(kit: Kit) -> None:
    calls: list[Any] = []

    async def forever() -> None:
        calls.append(1)
        await asyncio.sleep(100)

    await kit.viewer.action_register("/slow", forever)
    old, errors = kit.view(held_back=False)
    first = asyncio.ensure_future(old.action_call("/slow"))
    await kit.advance(0.01)
    new, _ = kit.view()
    await kit.replace(new, old, errors.scope)
    await kit.advance(1.01)
    resume(new, ActionCall.code, "/slow", [])
    second = asyncio.ensure_future(new.action_call("/slow"))
    await kit.advance(0.1)
    assert len(calls) == 2
    for each in (first, second):
        each.cancel()


async def test_questions_are_always_asked_again(kit: Kit) -> None:
    asked: list[Any] = []

    async def get() -> int:
        asked.append(1)
        await asyncio.sleep(0.5)
        return len(asked)

    await kit.viewer.prop_register("/p", get)
    old, errors = kit.view(held_back=False)
    first = asyncio.ensure_future(old.get("/p"))
    await kit.advance(0.01)
    new, _ = kit.view()
    await kit.replace(new, old, errors.scope)
    resume(new, Get.code, "/p", None)
    second = asyncio.ensure_future(new.get("/p"))
    await kit.advance(1)
    assert len(asked) == 2
    assert (first.done(), second.done()) == (True, True)
    resume(kit.viewer, ActionCall.code, "/p", [])  # not a view: nothing to do


# --- callbacks --------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [(2, 1), (1, 2), (2, 2), (0, 1), (1, 0)])
async def test_events_of_several_renamed_rules_go_to_none_of_them(
    kit: Kit, left: tuple[int, int]
) -> None:
    got: list[Any] = []
    tasks: list[asyncio.Task[None]] = []

    async def listen(view: ClientView) -> None:
        async for event in view.event_listen("/bell"):
            if view is new:
                got.append(event)
            await asyncio.sleep(10)

    def start(view: ClientView, count: int) -> list[Scope]:
        scopes = [Scope("rule") for _ in range(count)]
        for scope in scopes:
            with scope.active():
                tasks.append(asyncio.create_task(listen(view)))
        return scopes

    old, _ = kit.view(held_back=False)
    new, _ = kit.view()
    scopes = [start(old, left[0]), start(new, left[1])]
    await kit.advance(0)
    for number in range(2):
        await kit.viewer.event_emit("/bell", number)
    await kit.advance(1)
    names = {scope: f"{n} {m}" for n, of in enumerate(scopes) for m, scope in enumerate(of)}
    new.take_over(old, rules=names)
    await kit.advance(30)
    assert got == []
    for task in tasks:
        task.cancel()
    await kit.advance(0)


async def test_an_observer_misses_nothing_and_a_listener_what_was_before(kit: Kit) -> None:
    lux = await kit.viewer.state_register("/lux")
    new, _ = kit.view()
    told: list[Any] = []
    heard: list[Any] = []
    other: list[Any] = []
    await new.state_observe("/lux", told.append)
    await new.state_observe("/lux", other.append)
    await new.event_listen_cb("/bell", heard.append)
    await kit.viewer.event_emit("/bell", 1)
    await lux.changed(1)
    await lux.changed(2)
    await kit.advance(0)
    assert (told, heard) == ([], [])
    new.take_over(None)
    assert (told, other, heard) == ([2], [2], [])
    await lux.changed(3)
    await kit.viewer.event_emit("/bell", 2)
    await kit.advance(0)
    assert (told, other, heard) == ([2, 3], [2, 3], [2])


@pytest.mark.parametrize("renamed", [False, True])
async def test_events_that_wait_for_an_iteration_move_to_that_of_the_same_rule(
    kit: Kit, renamed: bool
) -> None:
    got: dict[str, list[Any]] = {}
    scopes: dict[str, Scope] = {}

    async def listen(view: ClientView, name: str) -> None:
        async for event in view.event_listen("/bell"):
            got.setdefault(name, []).append(event)
            await asyncio.sleep(10)

    def start(view: ClientView, name: str) -> asyncio.Task[None]:
        scopes[name] = Scope(name)
        with scopes[name].active():
            return asyncio.create_task(listen(view, name))

    old, _ = kit.view(held_back=False)
    tasks = [start(old, "old a"), start(old, "old b")]
    await kit.advance(0)
    for number in range(3):
        await kit.viewer.event_emit("/bell", number)
    await kit.advance(1)
    assert got == {"old a": [0], "old b": [0]}
    new, _ = kit.view()
    tasks += [start(new, "new a"), start(new, "new b")]
    await kit.advance(0)
    rules = {scopes[f"{version} {rule}"]: rule for version in ("old", "new") for rule in "ab"}
    if renamed:
        rules[scopes["new b"]] = "c"
    new.take_over(old, rules=rules)
    for name in ("old a", "old b"):
        scopes[name].dispose()
    for task in tasks[:2]:
        task.cancel()
    await kit.advance(30)
    assert (got["new a"], got["new b"]) == ([1, 2], [1, 2])
    assert got["old a"] == [0]
    for task in tasks:
        task.cancel()
    await kit.advance(0)
