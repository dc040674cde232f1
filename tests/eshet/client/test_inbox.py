"""Messages that wait: their order, what replaces what, their size, and what is dropped."""

import random

import pytest

from eshet.client.inbox import Inbox
from eshet.messages import (
    ActionCall,
    EventNotify,
    Message,
    NotifyKnown,
    NotifyUnknown,
    PropGet,
    StateSet,
    pack,
)


def event(number: int, path: str = "/bell") -> bytes:
    return pack(EventNotify(path, b"\xcd" + number.to_bytes(2, "big")))


def state(number: int, path: str = "/lux") -> bytes:
    return pack(NotifyKnown(path, b"\xcd" + number.to_bytes(2, "big")))


def inbox_with(*payloads: bytes) -> Inbox:
    inbox = Inbox()
    for time, payload in enumerate(payloads):
        inbox.put(payload, time)
    return inbox


def take_all(inbox: Inbox) -> list[bytes]:
    taken = []
    while inbox:
        taken.append(inbox.pop())
    assert inbox.size == 0
    assert len(inbox) == 0
    assert inbox.since is None
    return taken


@pytest.mark.parametrize(
    "message",
    [
        EventNotify("/bell", b"\x01"),
        NotifyKnown("/lux", b"\x01"),
        NotifyUnknown("/lux"),
        ActionCall(3, "/act", b"\x90"),
        StateSet(4, "/lux", b"\x01"),
        PropGet(5, "/prop"),
    ],
)
def test_a_message_leaves_as_it_came(message: Message) -> None:
    inbox = inbox_with(pack(message))
    assert inbox.size == len(pack(message))
    assert len(inbox) == 1
    assert take_all(inbox) == [pack(message)]


def test_events_and_requests_stay_in_order() -> None:
    payloads = [event(number) for number in range(3000)]
    payloads[1500:1500] = [pack(ActionCall(1, "/act", b"\x90")), pack(PropGet(2, "/prop"))]
    inbox = inbox_with(*payloads)
    assert len(inbox) == 3002
    assert inbox.size == sum(map(len, payloads))
    assert take_all(inbox) == payloads


def test_events_may_be_added_while_others_are_taken() -> None:
    inbox = inbox_with(*map(event, range(10)))
    taken = [inbox.pop() for _ in range(4)]
    inbox.put(event(10), 10)
    assert len(inbox) == 7
    assert [*taken, *take_all(inbox)] == [event(number) for number in range(11)]


def test_of_each_state_only_the_last_value_waits() -> None:
    unknown = pack(NotifyUnknown("/lux"))
    inbox = inbox_with(state(1), state(2, "/temperature"), state(3), unknown)
    assert len(inbox) == 2
    assert inbox.size == len(unknown) + len(state(2, "/temperature"))
    assert take_all(inbox) == [unknown, state(2, "/temperature")]


def test_a_value_is_not_replaced_by_one_that_came_after_an_event() -> None:
    payloads = [state(1), event(1), state(2), pack(ActionCall(1, "/act", b"\x90")), state(3)]
    assert take_all(inbox_with(*payloads)) == payloads


def test_a_state_can_be_taken_before_everything_else() -> None:
    inbox = inbox_with(state(1), event(1), state(2), state(7, "/temperature"), event(2), state(3))
    assert inbox.pop_state(b"/lux") == state(3)
    assert inbox.pop_state(b"/lux") is None
    assert take_all(inbox) == [event(1), state(7, "/temperature"), event(2)]


def test_only_events_survive_their_connection() -> None:
    inbox = inbox_with(state(1), event(1), pack(PropGet(2, "/prop")), event(2), state(2))
    inbox.keep_events()
    assert inbox.size == len(event(1)) + len(event(2))
    assert take_all(inbox) == [event(1), event(2)]


def test_the_oldest_events_are_dropped_and_nothing_else() -> None:
    call = pack(ActionCall(1, "/act", b"\x90"))
    inbox = inbox_with(state(1), *map(event, range(5000)), call, *map(event, range(5000, 9000)))
    before = inbox.size
    dropped = inbox.drop_events(before // 2)
    assert before // 3 < inbox.size <= before // 2
    assert len(inbox) == 9002 - dropped
    rest = take_all(inbox)
    assert rest[0] == state(1)
    events = [payload for payload in rest if payload not in (state(1), call)]
    assert events == [event(number) for number in range(dropped, 9000)]
    assert call in rest


def test_the_time_of_the_oldest_message_is_known() -> None:
    inbox = inbox_with(state(1), event(1), event(2))
    assert inbox.since == 0
    inbox.pop()
    assert inbox.since == 1


@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_is_that_of_a_plain_list_with_the_same_rules(seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - to be repeated
    inbox, model = Inbox(), []
    for number in range(2000):
        match choose.randrange(5):
            case 0 | 1:
                payload = event(number)
                model.append((None, payload))
            case 2:
                path = choose.choice(["/a", "/b"])
                payload = state(number, path)
                for index in range(len(model) - 1, -1, -1):
                    if model[index][0] is None:
                        model.append((path, payload))
                        break
                    if model[index][0] == path:
                        model[index] = (path, payload)
                        break
                else:
                    model.append((path, payload))
            case _:
                if model:
                    assert inbox.pop() == model.pop(0)[1]
                continue
        inbox.put(payload, number)
    assert inbox.size == sum(len(payload) for _, payload in model)
    assert take_all(inbox) == [payload for _, payload in model]
