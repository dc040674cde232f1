"""The registrations of a client without a connection: subscriptions, and what to restore."""

from typing import Any

import pytest

from eshet import codec, messages
from eshet.cause import Cause, current_cause
from eshet.client.observer import ClientObserver
from eshet.client.registrations import (
    Registration,
    RegistrationTable,
    Restore,
    Subscription,
    Topic,
)
from eshet.scope import Scope
from eshet.unknown import Unknown

LISTEN, OBSERVE = messages.EventListen.code, messages.StateObserve.code
ACTION, STATE = messages.ActionRegister.code, messages.StateRegister.code


class Board:
    """A topic, and what becomes of its subscriptions."""

    def __init__(self, code: int = OBSERVE) -> None:
        self.topic = Topic(b"/s", code)
        self.dropped: list[Topic] = []
        self.checks = 0
        self.told: list[Any] = []

    def check_loop(self) -> None:
        self.checks += 1

    def subscribe(self, callback: Any = None) -> Subscription:
        callback = callback or self.told.append
        return Subscription(self.topic, callback, self.dropped.append, self.check_loop)


def test_a_subscription_is_notified_from_its_begin_to_its_end() -> None:
    board = Board()
    subscription = board.subscribe()
    board.topic.notify(1)
    assert (board.told, board.topic.value) == ([], 1)
    subscription.begin()
    board.topic.notify(2)
    assert not subscription.disposed
    subscription.dispose()
    board.topic.notify(3)
    assert (board.told, board.topic.subscriptions) == ([2], [])
    assert board.dropped == [board.topic]
    assert subscription.disposed


def test_disposing_a_second_time_does_nothing() -> None:
    board = Board()
    subscription = board.subscribe()
    subscription.begin()
    for _ in range(3):
        subscription.dispose()
    assert (board.dropped, board.checks) == ([board.topic], 1)


def test_one_that_is_disposed_before_its_begin_never_begins() -> None:
    board = Board()
    subscription = board.subscribe()
    subscription.dispose()
    subscription.begin()
    board.topic.notify(1)
    assert (board.told, board.dropped) == ([], [board.topic])


def test_in_the_wrong_loop_a_subscription_is_not_disposed() -> None:
    board = Board()
    subscription = board.subscribe()
    subscription.begin()

    def refuse() -> None:
        raise RuntimeError

    subscription._check_loop = refuse
    with pytest.raises(RuntimeError):
        subscription.dispose()
    assert not subscription.disposed
    board.topic.notify(1)
    assert board.told == [1]


def test_a_subscription_ends_with_its_scope_and_leaves_it_when_disposed() -> None:
    board = Board()
    scope = Scope("rule")
    with scope.active():
        first, second = board.subscribe(), board.subscribe()
    first.begin()
    second.begin()
    first.dispose()
    assert len(board.dropped) == 1
    scope.dispose()
    assert len(board.dropped) == 2
    assert second.disposed
    assert board.checks == 2


def test_all_callbacks_are_called_though_one_disposes_others() -> None:
    board = Board()
    calls: list[str] = []

    def first(_: Any) -> None:
        calls.append("first")
        subscriptions[0].dispose()

    subscriptions = [board.subscribe(first), board.subscribe(lambda _: calls.append("second"))]
    for each in subscriptions:
        each.begin()
    board.topic.notify(1)
    board.topic.notify(2)
    assert calls == ["first", "second", "second"]


@pytest.mark.parametrize(
    ("code", "kind", "value", "told"),
    [
        (OBSERVE, "state", 5, [5]),
        (OBSERVE, "state", Unknown, []),
        (LISTEN, "event", None, []),
        (LISTEN, "event", 5, []),
    ],
)
def test_only_a_restored_state_that_is_known_is_a_notification(
    code: int, kind: str, value: Any, told: list[Any]
) -> None:
    board = Board(code)
    board.subscribe().begin()
    assert board.topic.kind == kind
    board.topic.restored(value)
    assert board.told == told


def test_a_new_topic_is_unknown_and_not_on_the_server_yet() -> None:
    topic = Topic(b"/s", OBSERVE)
    assert (topic.value, topic.on_server, topic.pending_requests, topic.seen) == (
        Unknown,
        False,
        0,
        0,
    )
    owned = Registration(b"/a", ACTION)
    assert (owned.on_server, owned.taken, owned.value, owned.withdrawn) == (
        True,
        False,
        None,
        False,
    )


class Observer(ClientObserver):
    """Observes nothing; with it, causes are tracked."""


def table(observer: ClientObserver | None = None) -> tuple[RegistrationTable, Board, Board]:
    registrations = RegistrationTable()
    registrations.observer = observer
    event, state = Board(LISTEN), Board(OBSERVE)
    for board in (event, state):
        board.subscribe().begin()
        board.topic.on_server = True
        registrations.topic(board.topic.code)[b"/s"] = board.topic
    return registrations, event, state


def test_topics_are_listed_by_the_kind_of_their_request() -> None:
    registrations, event, state = table()
    assert registrations.listened == {b"/s": event.topic}
    assert registrations.observed == {b"/s": state.topic}


@pytest.mark.parametrize("tracked", [False, True])
async def test_a_lost_connection_makes_known_states_unknown_once(tracked: bool) -> None:
    registrations, event, state = table(Observer() if tracked else None)
    causes: list[Cause | None] = []
    state.subscribe(lambda _: causes.append(current_cause())).begin()
    state.topic.value = 5
    registrations.disconnected()
    assert (event.told, state.told, state.topic.value) == ([], [Unknown], Unknown)
    assert not event.topic.on_server
    assert not state.topic.on_server
    registrations.disconnected()
    assert state.told == [Unknown]
    assert [cause and (cause.kind, cause.path) for cause in causes] == [
        ("disconnected", "") if tracked else None
    ]


def test_a_lost_connection_forgets_withdrawn_nodes_and_who_took_a_path() -> None:
    registrations, _, _ = table()
    kept, leaving = Registration(b"/a", ACTION, taken=True), Registration(b"/b", ACTION)
    leaving.leaving = object()  # type: ignore[assignment]
    registrations.owned.update({b"/a": kept, b"/b": leaving})
    registrations.disconnected()
    assert registrations.owned == {b"/a": kept}
    assert (kept.on_server, kept.taken, leaving.on_server) == (False, False, False)


def restored(registrations: RegistrationTable) -> list[tuple[Any, ...]]:
    return [each[:3] for each in registrations.to_restore()]


def test_what_is_missing_is_restored_with_its_value_owners_first() -> None:
    registrations, _, _ = table()
    registrations.owned[b"/a"] = Registration(b"/a", ACTION)
    registrations.owned[b"/l"] = Registration(b"/l", STATE, value=codec.pack(5))
    registrations.owned[b"/t"] = Registration(b"/t", STATE)
    assert restored(registrations) == []
    registrations.disconnected()
    registrations.owned[b"/t"].taken = True
    expected = [
        (ACTION, b"/a", b""),
        (STATE, b"/l", b""),
        (messages.StateChanged.code, b"/l", codec.pack(5)),
        (LISTEN, b"/s", b""),
        (OBSERVE, b"/s", b""),
    ]
    assert restored(registrations) == expected
    assert restored(registrations) == []
    assert registrations.owned[b"/a"].on_server
    assert not registrations.owned[b"/t"].on_server


def test_a_topic_without_subscriptions_is_not_restored() -> None:
    registrations, event, _ = table()
    registrations.disconnected()
    event.topic.subscriptions.clear()
    assert restored(registrations) == [(OBSERVE, b"/s", b"")]
    assert not event.topic.on_server


def test_what_is_registered_in_the_meantime_is_restored_last() -> None:
    registrations, _, _ = table()
    registrations.disconnected()
    order: list[bytes] = []
    for each in registrations.to_restore():
        order.append(each.path)
        if len(order) == 1:
            registrations.owned[b"/late"] = Registration(b"/late", ACTION, on_server=False)
    assert order == [b"/s", b"/s", b"/late"]


@pytest.mark.parametrize("tracked", [False, True])
async def test_the_answer_to_a_restored_observation_is_an_input_with_a_cause(tracked: bool) -> None:
    registrations, event, state = table(Observer() if tracked else None)
    causes: list[Cause | None] = []
    state.subscribe(lambda _: causes.append(current_cause())).begin()
    registrations.disconnected()
    accepts = [each.accept for each in registrations.to_restore()]
    for accept, value in zip(accepts, (None, 5), strict=True):
        assert accept is not None
        accept(value)
    assert (event.told, state.told, state.topic.value) == ([], [5], 5)
    assert [cause and (cause.kind, cause.path) for cause in causes] == [
        ("state", "/s") if tracked else None
    ]
    assert Restore(1, b"/x").accept is None
