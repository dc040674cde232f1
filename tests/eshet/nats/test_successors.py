"""What the next holder of a lease receives of what came while one holder followed another."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from eshet import Client, ErrorValue, PathTaken, yarp
from eshet.nats.address import NatsAddress
from eshet.nats.joined import JoinedServer
from tests.conftest import Advance
from tests.support.nats import NatsServer, at_real_pace
from tests.support.waiting import eventually, until

Three = tuple[JoinedServer, JoinedServer, JoinedServer]


@dataclass
class Lease:
    token: int
    predecessor: str | None = None
    role: str = "hall"
    is_valid: bool = True


@pytest.fixture
async def three(shared_server: NatsServer, advance: Advance) -> AsyncIterator[Three]:
    address = NatsAddress.parse(f"{shared_server.url}/{secrets.token_hex(6)}")
    async with (
        JoinedServer(address) as one,
        JoinedServer(address) as other,
        JoinedServer(address) as third,
    ):
        yield one, other, third
        closing = asyncio.gather(one.close(), other.close(), third.close())
        await at_real_pace(closing, advance)


class Listener:
    """A client with a lease that listens to an event."""

    def __init__(self, server: JoinedServer, lease: Lease) -> None:
        self.server, self.lease = server, lease
        self.client = Client(server=server.leased(lease))
        self.received: list[object] = []

    async def listen(self, *, is_ready: bool = True) -> None:
        await self.client.wait_for_connection()
        await self.client.event_listen_cb("/button", self.received.append)
        if is_ready:
            self.server.end_holding(self.lease)


@pytest.mark.parametrize("stays", [False, True], ids=["moves", "stays at its server"])
async def test_events_wait_for_the_next_holder(three: Three, advance: Advance, stays: bool) -> None:
    old, new, third = three[0], three[0] if stays else three[1], three[2]
    before = Listener(old, Lease(1))
    async with (
        Client(server=old) as near,
        Client(server=new) as nearer,
        Client(server=third) as far,
    ):
        await near.event_register("/button")
        emitters = (near, nearer, far)

        async def press(first: int) -> None:
            """Emit ten events at each server; they are numbered."""
            for number in range(first, first + 30):
                await emitters[number % 3].event_emit("/button", number)

        async with before.client:
            await before.listen()
            await press(0)
            await until(lambda: len(before.received) == 30, advance)
            await old.set_aside("hall")
            await press(30)
        assert sorted(before.received) == list(range(30))
        await press(60)
        after = Listener(new, Lease(2, predecessor=old.id))
        async with after.client:
            await asyncio.gather(after.listen(), press(90))
            await press(120)
            await until(lambda: len(after.received) >= 120, advance)
            assert sorted(after.received) == list(range(30, 150))
            for emitter in range(3):
                received = [each for each in after.received if each % 3 == emitter]
                assert received == sorted(received)


async def test_an_event_that_only_the_one_that_is_gone_knew_is_still_known(
    three: Three, advance: Advance
) -> None:
    old, new, third = three
    before, after = Listener(old, Lease(1)), Listener(new, Lease(2, predecessor=old.id))
    async with Client(server=third) as far, Client(server=old) as near:
        async with before.client:
            await before.listen()
            await old.set_aside("hall")
        await far.event_emit("/button", 1)
        await near.event_emit("/button", 2)
        async with after.client:
            await after.listen()
            await far.event_emit("/button", 3)
            await until(lambda: len(after.received) == 3, advance)
            assert sorted(after.received) == [1, 2, 3]


async def test_nothing_is_received_twice_or_by_others(three: Three, advance: Advance) -> None:
    old, new, third = three
    before, after = Listener(old, Lease(1)), Listener(new, Lease(2, predecessor=old.id))
    other = Listener(new, Lease(9, predecessor=old.id, role="cellar"))
    at_new: list[object] = []
    async with Client(server=third) as far, Client(server=new) as near:
        await far.event_register("/button")
        await near.event_listen_cb("/button", at_new.append)
        async with before.client:
            await before.listen()
            await old.set_aside("hall")
        await far.event_emit("/button", 1)
        await until(lambda: at_new == [1], advance)
        async with other.client, after.client:
            await other.listen()
            await after.listen()
            again = Listener(new, Lease(2, predecessor=old.id))
            async with again.client:
                await again.listen()
                await far.event_emit("/button", 2)
                await until(lambda: bool(again.received and other.received), advance)
            assert after.received == [1, 2]
            assert other.received == again.received == [2]


@pytest.mark.parametrize("stays", [False, True], ids=["moves", "stays at its server"])
async def test_who_listens_only_after_it_is_ready_receives_the_same(
    three: Three, advance: Advance, stays: bool
) -> None:
    old, new, third = three[0], three[0] if stays else three[1], three[2]
    before, after = Listener(old, Lease(1)), Listener(new, Lease(2, predecessor=old.id))
    async with Client(server=third) as far:
        async with before.client:
            await before.listen()
            await old.set_aside("hall")
        for number in range(100):
            await far.event_emit("/button", number)
        async with after.client:
            await after.client.wait_for_connection()
            new.end_holding(after.lease)
            button = await yarp.event_listen("/button", after.client)
            bell = await yarp.event_listen("/bell", after.client)
            for event in (button, bell):
                event.on_event(after.received.append)
            await far.event_emit("/button", 100)
            await at_real_pace(eventually(lambda: 100 in after.received), advance)
            assert after.received == list(range(101))


@pytest.mark.parametrize("unregisters", [False, True], ids=["ends", "unregisters and ends"])
async def test_what_waits_for_a_client_that_ends_before_it_is_ready_waits_for_the_next_one(
    three: Three, advance: Advance, unregisters: bool
) -> None:
    old, new, third = three
    before = Listener(old, Lease(1))
    lease = Lease(2, predecessor=old.id)
    aborted, again = Listener(new, lease), Listener(new, lease)
    async with Client(server=third) as far:
        async with before.client:
            await before.listen()
            await old.set_aside("hall")
        await far.event_emit("/button", 1)
        async with aborted.client:
            await aborted.listen(is_ready=False)
            await far.event_emit("/button", 2)
            if unregisters:
                await aborted.client.unregister("/button")
                await far.event_emit("/button", 3)
        if not unregisters:
            await far.event_emit("/button", 3)
        async with again.client:
            lease.predecessor = None  # that is some time ago by now
            await again.listen()
            await far.event_emit("/button", 4)
            await until(lambda: len(again.received) == 4, advance)
            assert (aborted.received, again.received) == ([], [1, 2, 3, 4])


async def test_who_gives_up_before_it_is_ready_leaves_all_to_the_next_one(
    three: Three, advance: Advance
) -> None:
    first, second, third = three
    before = Listener(first, Lease(1))
    between = Listener(second, Lease(2, predecessor=first.id))
    after = Listener(third, Lease(3, predecessor=second.id))
    async with Client(server=third) as far:
        async with before.client:
            await before.listen()
            await first.set_aside("hall")
        await far.event_emit("/button", 1)
        async with between.client:
            await between.listen(is_ready=False)
            await far.event_emit("/button", 2)
            await second.set_aside("hall")
            await far.event_emit("/button", 3)
        async with after.client:
            await after.listen()
            await far.event_emit("/button", 4)
            await until(lambda: len(after.received) == 4, advance)
            assert (between.received, after.received) == ([], [1, 2, 3, 4])


async def test_without_an_answer_of_the_last_server_events_come_after_a_moment(
    three: Three, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    old, new, third = three
    after = Listener(new, Lease(2, predecessor=old.id))
    async with Client(server=third) as far, after.client:
        await far.event_register("/button")
        monkeypatch.setattr(old._shared_router.succession, "take_missed", fail)
        await after.listen()
        await far.event_emit("/button", 1)
        await at_real_pace(asyncio.sleep(1), advance)
        assert after.received == [1]


async def test_what_nobody_takes_is_forgotten(three: Three, advance: Advance) -> None:
    old, new, third = three
    before, late = Listener(old, Lease(1)), Listener(new, Lease(2, predecessor=old.id))
    async with Client(server=third) as far:
        async with before.client:
            await before.listen()
            await old.set_aside("hall")
        await far.event_emit("/button", 1)
        await at_real_pace(asyncio.sleep(3.5), advance)
        with pytest.raises(ErrorValue, match="path_not_found"):
            await at_real_pace(far.event_emit("/button", 2), advance)
        async with late.client:
            await late.listen()
            await far.event_emit("/button", 3)
            await until(lambda: bool(late.received), advance)
            assert late.received == [3]


async def test_calls_wait_for_the_next_holder(three: Three, advance: Advance) -> None:
    old, new, third = three
    async with (
        Client(server=old) as near,
        Client(server=new) as nearer,
        Client(server=third) as far,
    ):
        async with Client(server=old.leased(Lease(1))) as before:
            await before.action_register("/add", lambda x, y: ["old", x + y])
            assert await far.action_call("/add", 1, 2) == ["old", 3]
        calls = [
            asyncio.ensure_future(client.action_call("/add", number, 1))
            for number, client in enumerate((near, nearer, far, near, nearer, far))
        ]
        await at_real_pace(asyncio.sleep(0.3), advance)
        assert not any(call.done() for call in calls)
        async with Client(server=new.leased(Lease(2))) as after:
            await after.action_register("/add", lambda x, y: ["new", x + y])
            answers = await at_real_pace(asyncio.gather(*calls), advance)
            assert answers == [["new", number + 1] for number in range(6)]


async def test_a_call_that_nobody_takes_fails(three: Three, advance: Advance) -> None:
    old, _, third = three
    async with Client(server=third) as far, Client(server=old) as near:
        async with Client(server=old.leased(Lease(1))) as before:
            await before.action_register("/never", int)
        calls = [far.action_call("/never"), near.action_call("/never")]
        outcomes = await at_real_pace(asyncio.gather(*calls, return_exceptions=True), advance)
        assert [getattr(each, "value", each) for each in outcomes] == ["no_owner", "no_owner"]


@pytest.mark.parametrize("stays", [False, True], ids=["moves", "stays at its server"])
async def test_of_two_clients_that_want_a_state_of_one_that_is_gone_only_one_gets_it(
    three: Three, advance: Advance, stays: bool
) -> None:
    old, new = three[0], three[0] if stays else three[1]
    async with Client(server=old.leased(Lease(1))) as before:
        await before.state_register("/lamp")
        await before.state_changed("/lamp", 1)
    async with (
        Client(server=new.leased(Lease(2, predecessor=old.id))) as after,
        Client(server=new.leased(Lease(9, role="cellar"))) as other,
    ):
        await asyncio.gather(after.wait_for_connection(), other.wait_for_connection())
        await after.get("/lamp")
        lamp, refused = await at_real_pace(
            asyncio.gather(
                after.state_register("/lamp"), other.state_register("/lamp"), return_exceptions=True
            ),
            advance,
        )
        assert isinstance(refused, PathTaken)
        assert not isinstance(lamp, BaseException)
        await lamp.changed(2)
        assert await at_real_pace(other.get("/lamp"), advance) == 2
