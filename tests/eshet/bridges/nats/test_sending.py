"""Values on their way: in order, and not too many at a time."""

import asyncio

from eshet.bridges.nats import sending
from eshet.bridges.nats.sending import Sending


async def test_values_are_sent_in_order_without_waiting_for_each_other(advance):
    sent = []
    answered = asyncio.Event()

    async def send(value):
        sent.append(value)
        await answered.wait()

    passing = Sending(send, print)
    for value in range(5):
        passing.put(value)
    await advance(0)
    assert sent == [0, 1, 2, 3, 4]
    answered.set()
    await advance(0)


async def test_beyond_the_limit_only_the_last_value_waits(advance, monkeypatch):
    monkeypatch.setattr(sending, "_MOST", 3)
    sent, skipped = [], []
    answers = []

    async def send(value):
        sent.append(value)
        answers.append(answer := asyncio.get_running_loop().create_future())
        await answer

    passing = Sending(send, skipped.append)
    for value in range(7):
        passing.put(value)
    await advance(0)
    assert (sent, skipped) == ([0, 1, 2], [3, 4, 5])
    answers[1].set_result(None)
    await advance(0)
    assert sent == [0, 1, 2, 6]
    passing.put(7)
    passing.put(8)
    await advance(0)
    assert (sent, skipped) == ([0, 1, 2, 6], [3, 4, 5, 7])
    passing.cancel()
    await advance(0)
    assert sent == [0, 1, 2, 6]
