"""What no client can do to the server, or to another client."""

import asyncio
import itertools
import random

from eshet import Client
from eshet.address import Address
from eshet.exceptions import ProtocolError
from eshet.messages import (
    FROM_CLIENT,
    HelloId,
    NotifyKnown,
    ReplyUnknown,
    StateObserve,
    pack,
    unpack,
)
from eshet.protocol import ServerProtocol
from eshet.protocol.framing import FrameReader, frame
from eshet.server import Server
from tests.conformance.script import v
from tests.conftest import Advance
from tests.support.mutations import mutated_frames, valid_frames
from tests.support.raw import connect_raw

HELLO = frame(pack(HelloId(1, 0, v("fuzzer"))))


def is_valid(payload: bytes) -> bool:
    """Whether the payload is a message of a client, by the module that defines them."""
    try:
        unpack(payload, FROM_CLIENT)
    except ProtocolError:
        return False
    return True


async def test_mutated_frames_are_taken_or_end_the_connection_and_never_anything_else(
    advance: Advance,
) -> None:
    async with Server() as server, Client(server=server, client_id="worker") as worker:
        numbers = await worker.state_register("/work")
        frames = mutated_frames(seed=1)
        ended = 0
        for burst in range(2_000):
            peer = await connect_raw(server)
            peer.send(HELLO, *itertools.islice(frames, 10))
            await advance(0)
            ended += peer.transport.is_closing()
            peer.transport.close()
            if burst % 100 == 0:
                await numbers.changed(burst)
                assert await worker.get("/work") == burst
        assert 1_000 < ended < 2_000, "most were noticed, and some were none or wait for more"
        assert worker.connected
        await advance(0)
        assert len((await worker.action_call("/meta/clients"))["clients"]) == 1


async def test_the_router_takes_just_what_is_a_message(advance: Advance) -> None:
    async with Server() as server:
        peer = await connect_raw(server)
        for sent in itertools.islice(mutated_frames(seed=2), 3_000):
            reader = FrameReader()
            payloads = reader.feed(sent)
            if reader.broken is not None or len(payloads) != 1 or reader.feed(b"\x47\0\0") != [b""]:
                continue  # not one frame
            payload = payloads[0]
            if payload[:1] in (b"\x01", b"\x02", b"\x05", b"\x06") or not payload:
                continue  # hellos and replies have rules beyond their form
            peer = await connect_raw(server)
            peer.send(HELLO, sent)
            await advance(0)
            assert peer.transport.is_closing() is not is_valid(payload), payload
            peer.transport.close()
            await advance(0)


def test_every_prefix_of_every_valid_message_waits_for_its_rest() -> None:
    for sent in valid_frames():
        for end in range(len(sent)):
            server = ServerProtocol(0.0)
            list(server.receive(HELLO, 0.0))
            assert list(server.receive(sent[:end], 0.0)) == []
            assert server.closing is None


async def test_garbage_before_a_hello_costs_only_its_connection(advance: Advance) -> None:
    choose = random.Random(3)  # noqa: S311
    async with Server() as server, Client(server=server) as worker:
        for _ in range(2_000):
            peer = await connect_raw(server)
            peer.send(choose.randbytes(choose.randrange(1, 40)))
            peer.transport.close()
        await advance(0)
        assert len((await worker.action_call("/meta/clients"))["clients"]) == 1


async def test_two_thousand_clients_are_each_told_one_state(advance: Advance) -> None:
    async with Server() as server, Client(server=server) as owner:
        await server.listen(port=0)
        address = Address(*server.addresses[0])
        state = await owner.state_register("/s")
        peers = await asyncio.gather(*[connect_raw(address) for _ in range(2_000)])
        for number, peer in enumerate(peers):
            peer.send(HelloId(1, 0, v(number)), StateObserve(1, "/s"))
        for peer in peers:
            await peer.receive()
            assert await peer.receive() == ReplyUnknown(1)
        await state.changed("all")
        for peer in peers:
            assert await peer.receive() == NotifyKnown("/s", v("all"))
        for peer in peers:
            peer.transport.close()
