"""Messages that wait for a slow reader."""

from eshet.gateway.outbox import MAX_WAITING, Outbox


def taken(outbox: Outbox) -> list[str]:
    texts = []
    while (text := outbox.take()) is not None:
        texts.append(text)
    return texts


def test_all_messages_come_in_order() -> None:
    outbox = Outbox()
    for number in range(1000):
        assert outbox.put(str(number), "/a")
    assert taken(outbox) == [str(number) for number in range(1000)]
    assert outbox.size == 0


def test_if_much_waits_only_the_last_change_of_a_state_stays() -> None:
    outbox = Outbox()
    outbox.put("first reply")
    for number in range(10_000):
        assert outbox.put(f"{number:0100}", f"/{number % 3}")
        if number == 5000:
            outbox.put("event")
    texts = taken(outbox)
    assert len(texts) < 6000
    assert texts[0] == "first reply"
    assert "event" in texts
    assert [int(text) for text in texts[-3:]] == [9997, 9998, 9999]


def test_too_many_replies_are_too_much() -> None:
    outbox = Outbox()
    text = "x" * 1_000_000
    fit = MAX_WAITING // len(text)
    assert all(outbox.put(text) for _ in range(fit))
    assert not outbox.put(text)
    outbox.clear()
    assert outbox.put(text)
