"""Servers that share a tree through a real NATS server, and what their clients see."""

import asyncio
import contextlib
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgpack
import pytest

from eshet import Client, Disconnected, ErrorValue, PathTaken, Unknown
from eshet.nats.address import NatsAddress
from eshet.nats.bucket import Bucket
from eshet.nats.joined import JoinedServer
from eshet.scope import Reason
from eshet_rules.supervision.scope import TaskScope, own_tasks_by_scope
from tests.conftest import Advance
from tests.support.nats import NatsCluster, NatsServer, at_real_pace, nats_cluster, nats_server
from tests.support.waiting import until

OWNER = """
import asyncio, sys
from eshet import Client

async def main():
    async with Client(server=sys.argv[1], client_id="owner") as client:
        await client.state_register("/lamp")
        await client.state_changed("/lamp", True)
        calls = asyncio.get_running_loop().create_future()
        await client.action_register("/never", lambda: calls)
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        try:
            await client.state_changed("/lamp", "late")
            print("changed", flush=True)
        except Exception as error:
            print(type(error).__name__, flush=True)

asyncio.run(main())
"""


@dataclass
class Lease:
    role: str
    token: int
    is_valid: bool = True
    predecessor: str | None = None


@contextlib.contextmanager
def owner(url: str):
    """Run an owner of a state, and of an action that never answers, in a process of its own."""
    command = [sys.executable, "-c", OWNER, url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.fixture
def url(shared_server: NatsServer) -> str:
    """The address of a tree of its own."""
    return f"{shared_server.url}/{secrets.token_hex(6)}"


@pytest.fixture
async def pair(url: str, advance: Advance) -> AsyncIterator[tuple[JoinedServer, JoinedServer]]:
    address = NatsAddress.parse(url)
    async with JoinedServer(address) as one, JoinedServer(address) as other:
        yield one, other
        # States of clients with a lease are kept for a while.
        await at_real_pace(asyncio.gather(one.close(), other.close()), advance)


async def test_who_joins_late_sees_everything(url):
    address = NatsAddress.parse(url)
    async with JoinedServer(address) as one, Client(server=one) as owner_client:
        await owner_client.state_register("/hall/lux")
        await owner_client.state_changed("/hall/lux", 7)
        await owner_client.action_register("/hall/add", lambda x, y: x + y)
        async with JoinedServer(address) as other, Client(server=other) as client:
            assert await client.get("/hall/lux") == 7
            assert await client.action_call("/hall/add", 1, 2) == 3
            assert await client.action_call("/meta/ls", "/hall") == [
                "dir",
                [["lux", "state"], ["add", "action"]],
            ]


async def test_of_many_claims_of_one_path_one_succeeds(pair):
    one, other = pair
    async with Client(server=one) as first, Client(server=other) as second:
        paths = [f"/race/n{number}" for number in range(40)]
        outcomes = await asyncio.gather(
            *(client.state_register(path) for path in paths for client in (first, second)),
            return_exceptions=True,
        )
    for path, mine, theirs in zip(paths, outcomes[::2], outcomes[1::2], strict=True):
        refused = [each for each in (mine, theirs) if isinstance(each, PathTaken)]
        assert len(refused) == 1, path


async def test_the_last_of_many_changes_arrives(pair, advance):
    one, other = pair
    async with Client(server=one) as first, Client(server=other) as second:
        await first.state_register("/level")
        seen: list[object] = []
        await second.state_observe("/level", seen.append)
        await asyncio.gather(*(first.state_changed("/level", number) for number in range(500)))
        await until(lambda: bool(seen) and seen[-1] == 499, advance)
        assert seen == sorted(seen)


async def test_values_beyond_a_frame_pass_and_are_unknown_over_tcp(pair, advance):
    one, other = pair
    await other.listen(port=0)
    host, port = other.addresses[0]
    long = "x" * 300_000
    async with (
        Client(server=one) as first,
        Client(server=other) as second,
        Client(server=f"{host}:{port}") as remote,
    ):
        await first.state_register("/text")
        await first.action_register("/double", lambda text: text * 2)
        seen: list[object] = []
        await remote.state_observe("/text", seen.append)
        await first.state_changed("/text", "short")
        await first.state_changed("/text", long)
        assert await second.get("/text") == long
        assert await second.action_call("/double", long) == long * 2
        await until(lambda: len(seen) == 2, advance)
        assert seen == ["short", Unknown]
        with pytest.raises(ErrorValue, match="reply_too_long"):
            await remote.get("/text")
        with pytest.raises(ErrorValue, match="reply_too_long"):
            await remote.action_call("/double", "x" * 40_000)


async def test_a_killed_owner_is_noticed_soon(url, advance):
    async with JoinedServer(NatsAddress.parse(url)) as server, Client(server=server) as client:
        with owner(url) as process:
            seen: list[object] = []
            assert await client.state_observe("/lamp", seen.append) is True
            call = asyncio.ensure_future(client.action_call("/never"))
            await advance(0)
            began = asyncio.get_running_loop().time()
            process.kill()
            await at_real_pace(until(lambda: seen == [Unknown], no_advance), advance)
            assert asyncio.get_running_loop().time() - began < 6  # no renewal is missed yet
            with pytest.raises(ErrorValue, match="client_exited"):
                await at_real_pace(call, advance)
            await client.state_register("/lamp")


async def test_an_owner_that_hung_can_change_nothing_any_more(url, advance):
    address = NatsAddress.parse(url)
    async with JoinedServer(address, ttl=12) as server, Client(server=server) as client:
        with owner(url) as process:
            seen: list[object] = []
            assert await client.state_observe("/lamp", seen.append) is True
            process.send_signal(signal.SIGSTOP)
            # Its entry is deleted as if it had not been renewed for long.
            bucket = Bucket(server.connection, f"{address.prefix}_servers")
            await bucket.delete(next(iter(server.members.keys() - {server.id})), None)
            await until(lambda: seen == [Unknown], advance)
            await client.state_register("/lamp")
            await client.state_changed("/lamp", "new")
            process.send_signal(signal.SIGCONT)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            said = await at_real_pace(
                asyncio.get_running_loop().run_in_executor(None, process.stdout.readline), advance
            )
            assert said.strip() in ("ErrorValue", "Disconnected", "changed")
            assert await client.get("/lamp") == "new"
            assert "late" not in seen


async def test_a_newer_lease_ends_the_older_one(pair, advance):
    one, other = pair
    bucket = Bucket(one.connection, f"{one.address.prefix}_leases")
    older, newer = Lease("hall", 0), Lease("hall", 0)
    older.token = await bucket.put("hall", b"\x81\xa5token\x00", 0)
    async with Client(server=one) as device:
        calls: list[object] = []
        await device.action_register("/lamp", calls.append)
        old = Client(server=one.leased(older), client_id="old")
        async with old:
            await old.state_register("/hall/light")
            await old.state_changed("/hall/light", True)
            await old.action_call("/lamp", "old")
            newer.token = await bucket.put("hall", b"\x81\xa5token\x00", older.token)
            async with Client(server=other.leased(newer), client_id="new") as new:
                seen: list[object] = []
                assert await device.state_observe("/hall/light", seen.append) is True
                await new.state_register("/hall/light")
                await new.state_changed("/hall/light", False)
                await until(lambda: seen == [False], advance)  # it was never unknown
                await new.action_call("/lamp", "new")
                with pytest.raises((Disconnected, ErrorValue)):
                    await old.action_call("/lamp", "too late")
    assert calls == ["old", "new"]


async def test_a_client_with_an_older_lease_can_not_come_back(pair, advance):
    one, _ = pair
    bucket = Bucket(one.connection, f"{one.address.prefix}_leases")
    older = Lease("hall", await bucket.put("hall", b"\x81\xa5token\x00", 0))
    async with Client(server=one) as device, Client(server=one.leased(older)) as old:
        await old.state_register("/hall/light")
        await old.state_changed("/hall/light", True)
        seen: list[object] = []
        assert await device.state_observe("/hall/light", seen.append) is True
        await bucket.put("hall", b"\x81\xa5token\x00", older.token)
        await until(lambda: not old.connected, advance)
        await at_real_pace(asyncio.sleep(0.5), advance)  # it connects again, several times
        assert seen == []
        await at_real_pace(until(lambda: seen == [Unknown], no_advance), advance)


async def test_a_client_whose_lease_has_ended_is_cut_off(pair, advance):
    one, _ = pair
    lease = Lease("hall", 7)
    async with Client(server=one) as device:
        calls: list[object] = []
        await device.action_register("/lamp", calls.append)
        async with Client(server=one.leased(lease)) as client:
            await client.action_call("/lamp", 1)
            lease.is_valid = False
            with pytest.raises(Disconnected):
                await client.action_call("/lamp", 2)
    assert calls == [1]


async def test_a_request_with_an_older_token_is_refused(pair, advance, caplog):
    one, other = pair
    async with Client(server=one) as device, Client(server=other.leased(Lease("x", 5))) as stale:
        calls: list[object] = []
        await device.action_register("/lamp", calls.append)
        await stale.action_call("/lamp", 1)
        # Only the server of the owner knows yet that there is a newer one.
        one._uplink.fence._tokens["x"] = 6
        with pytest.raises(ErrorValue, match="stale_runner"):
            await stale.action_call("/lamp", 2)
    assert calls == [1]
    assert "an earlier holder of the lease of x" in caplog.text


async def test_what_is_no_value_reaches_no_client(pair, url, advance, caplog):
    one, other = pair
    connection, prefix = one.connection, one.address.prefix
    async with Client(server=other) as client:
        heard, seen = [], []
        await client.event_listen_cb("/bell", heard.append)
        await client.state_observe("/lamp", seen.append)
        nodes = Bucket(connection, f"{prefix}_nodes")
        bad = msgpack.packb(["state", one.id, b"\xa1x", None, 0, b"\xc1"])
        await nodes.put("lamp", bad, 0)
        for event in (["x"], [None, 0, 1, b"\xc1"], [None, 0, 1, b""], [None, 0, 1, b"\x01\x02"]):
            connection.publish(f"{prefix}.event.bell", msgpack.packb(event))
        connection.publish(f"{prefix}.event.bell", b"\xc1")
        connection.publish(f"{prefix}.event.bell", msgpack.packb([None, 0, 2, b"\x07"]))
        await until(lambda: heard == [7], advance)
        assert seen == []
        assert client.connected
    assert "lamp" in caplog.text


async def test_what_no_server_sends_is_dropped_and_logged_once(pair, advance, caplog):
    one, other = pair
    connection, prefix = one.connection, one.address.prefix
    requests = [[0, code, None, 0, False, b"/lamp\0\x01"] for code in (-1, 0, 3, 255, 256, 1 << 40)]
    unlike = [*requests, [1, "x", [[]]], [1, "x", {}], [2, "x", 0, 7], [3], 5, {}, [[]], None]
    garbage = [b"\xc1", b"\x91", b"\xff" * 9, b"\x91" * 5000, *map(msgpack.packb, unlike)]
    subjects = (
        f"ask.{other.id}",
        f"reply.{other.id}.0",
        f"reply.{other.id}.1",
        f"reply.{other.id}.x",
        "event.bell",
        "known",
        "joined",
    )
    for _ in range(3):
        for rest in subjects:
            for payload in (b"", *garbage):
                connection.publish(f"{prefix}.{rest}", payload)
                connection.publish(f"{prefix}.{rest}", payload, reply=f"{prefix}.nobody")
    async with Client(server=one) as client, Client(server=other) as owner:
        await owner.action_register("/double", lambda number: 2 * number)
        assert await client.action_call("/double", 4) == 8
    dropped = sorted(record.args[0] for record in caplog.records if "dropped" in record.msg)
    assert dropped == [f"{prefix}.{kind}" for kind in ("ask", "event", "joined", "known", "reply")]
    assert "Traceback" not in caplog.text
    assert not list(other._uplink._relay._served)


async def test_what_a_client_asks_for_goes_on_for_others_when_it_ends(pair, advance):
    one, other = pair
    own_tasks_by_scope(asyncio.get_running_loop())
    scope = TaskScope("hall.light")
    async with Client(server=one) as others, Client(server=other) as owner:
        await owner.state_register("/lamp")
        await owner.state_changed("/lamp", True)
        with scope.active():
            client = Client(server=one)
        await client.wait_for_connection()
        for _ in range(20):
            with scope.active():
                asking = asyncio.create_task(client.get("/lamp"))
            await asyncio.sleep(0)
            asking.cancel()
        scope.dispose(Reason.UNLOADED)
        assert await at_real_pace(others.get("/lamp"), advance) is True
        await client.close()


async def test_an_event_that_others_listen_to_is_known_while_servers_join(pair, url, advance):
    one, other = pair
    heard: list[object] = []
    async with Client(server=one) as listener, Client(server=other) as emitter:
        await listener.event_listen_cb("/bell", heard.append)
        is_joining = True

        async def emit() -> int:
            number = 0
            while is_joining:
                await emitter.event_emit("/bell", number)
                number += 1
                await asyncio.sleep(0)
            return number

        emitting = asyncio.ensure_future(emit())
        for _ in range(12):
            async with JoinedServer(NatsAddress.parse(url)):
                pass
        is_joining = False
        number = await at_real_pace(emitting, advance)
        await until(lambda: len(heard) == number, advance)
        assert heard == list(range(number))
        assert number > 50


async def test_a_short_outage_of_nats_is_not_seen_by_clients(tmp_path, advance):
    with nats_server(tmp_path) as nats:
        address = NatsAddress.parse(nats.url)
        async with (
            JoinedServer(address) as one,
            JoinedServer(address) as other,
            Client(server=one) as first,
            Client(server=other) as second,
        ):
            seen: list[object] = []
            await first.state_register("/lamp")
            await first.state_changed("/lamp", 1)
            heard: list[object] = []
            await second.event_listen_cb("/ring", heard.append)
            assert await second.state_observe("/lamp", seen.append) == 1
            nats.stop()
            change = asyncio.ensure_future(first.state_changed("/lamp", 2))
            await advance(0)
            nats.start()
            await at_real_pace(change, advance)
            await at_real_pace(first.event_emit("/ring", "x"), advance)
            await at_real_pace(until(lambda: seen == [2] and heard == ["x"], no_advance), advance)
            assert first.connected
            assert second.connected


async def test_after_an_outage_a_server_is_surely_counted_when_it_has_renewed_its_entry(
    tmp_path, advance
):
    with nats_server(tmp_path) as nats:
        async with JoinedServer(NatsAddress.parse(nats.url)) as server:
            first, found = server.sure_since, []
            assert first is not None
            server.connection.notify_restored(lambda: found.append(server.sure_since))
            server.on_renewed = lambda: found.append(server.sure_since)
            nats.stop()
            await at_real_pace(until(lambda: server.sure_since is None, no_advance), advance)
            nats.start()
            await at_real_pace(until(lambda: len(found) > 1, no_advance), advance)
            assert found[0] is None
            assert found[1] > first


async def test_without_nats_clients_are_disconnected_until_it_is_back(tmp_path, advance, caplog):
    with nats_server(tmp_path) as nats:
        address = NatsAddress.parse(nats.url)
        async with JoinedServer(address) as server, Client(server=server) as client:
            await client.state_register("/lamp")
            await client.state_changed("/lamp", True)
            nats.stop()
            await at_real_pace(until(lambda: not client.connected, no_advance), advance)
            with pytest.raises(Disconnected):
                await client.get("/lamp")
            nats.start()
            await at_real_pace(client.wait_for_connection(), advance)
            assert await at_real_pace(client.get("/lamp"), advance) is True
            assert "has taken /lamp" not in caplog.text


async def test_the_end_of_one_of_three_nats_servers_is_not_seen_by_clients(tmp_path, advance):
    with nats_cluster(tmp_path) as nats:
        await at_real_pace(lose_a_nats_server(nats), advance)


async def lose_a_nats_server(nats: NatsCluster) -> None:
    address = NatsAddress.parse(nats.url)
    async with (
        JoinedServer(address) as one,
        JoinedServer(address) as other,
        Client(server=one) as first,
        Client(server=other) as second,
    ):
        await first.state_register("/lamp")
        await first.state_changed("/lamp", 0)
        seen: list[object] = []
        await second.state_observe("/lamp", seen.append)
        nats.servers[0].kill()
        await first.state_changed("/lamp", 1)
        await until(lambda: seen[-1:] == [1], no_advance)
        assert Unknown not in seen
        assert first.connected


async def test_entries_of_a_server_that_is_gone_are_deleted(url, advance):
    address = NatsAddress.parse(url)
    async with JoinedServer(address) as server:
        bucket = Bucket(server.connection, f"{address.prefix}_nodes")
        with owner(url) as process:
            await until(lambda: len(server.members) == 2, advance)
            process.kill()
            process.wait()
        await at_real_pace(until(lambda: len(server.members) == 1, no_advance), advance)
        assert not (await bucket.get("lamp")).is_deleted
        nodes = server._uplink._nodes
        nodes._gone_since.update(dict.fromkeys(nodes._gone_since, -1000.0))
        await nodes.sweep()
        assert (await bucket.get("lamp")).is_deleted


async def no_advance(_: float) -> None:
    """Replaces `advance` where another task lets time pass."""
    await asyncio.sleep(0.01)


def test_nothing_of_nats_is_imported_without_an_address(tmp_path: Path) -> None:
    code = (
        "import sys, eshet, eshet_rules, eshet.cli, eshet_rules.cli; print('nats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)  # noqa: S603
    assert done.stdout == "False\n", done.stderr
