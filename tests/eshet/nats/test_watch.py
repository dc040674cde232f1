"""Watching buckets of a real JetStream."""

import asyncio
import itertools

import pytest

from eshet.nats import watch
from eshet.nats.bucket import Bucket
from eshet.nats.connection import NatsConnection, NatsMessage, OnMessage, Subscription
from eshet.nats.jetstream import api
from tests.eshet.nats.conftest import Connect, Peer
from tests.eshet.nats.watching import Seen, watching
from tests.support.nats import NatsServer, at_real_pace, nats_server
from tests.support.proxy import Proxy

NUMBERS = itertools.count()


@pytest.fixture
async def peer(shared_server: NatsServer, connect: Connect) -> Peer:
    return await connect(shared_server.url)


@pytest.fixture
async def bucket(peer: Peer) -> Bucket:
    """An empty bucket."""
    bucket = Bucket(peer.connection, f"test_{next(NUMBERS)}")
    await bucket.open()
    return bucket


async def consumers(bucket: Bucket) -> list[str]:
    call = f"CONSUMER.NAMES.{bucket.stream}"
    return (await api(bucket.connection, call, {}, "list"))["consumers"] or []


async def test_an_empty_bucket_is_ready_at_once(bucket):
    async with watching(bucket) as seen:
        assert (seen.entries, seen.calls) == ([], ["ready"])


async def test_present_entries_are_received_and_then_changes(bucket):
    first = await bucket.put("light", b"1", 0)
    await bucket.put("lux", b"2", 0)
    second = await bucket.put("light", b"3", first)
    async with watching(bucket) as seen:
        assert seen.calls == ["ready"]
        assert seen.values == {"lux": b"2", "light": b"3"}
        assert seen.revisions == [2, second]
        assert seen.entries[0] == await bucket.get("lux")
        deletion = await bucket.delete("light", second)
        await seen.until_revision(deletion)
        await bucket.put("light", b"4", deletion)
        await seen.until_revision(5)
        assert seen.revisions == [2, 3, 4, 5]
        assert [entry.is_deleted for entry in seen.entries] == [False, False, True, False]
        assert seen.entries[-1] == await bucket.get("light")
        assert seen.calls == ["ready"]


async def test_deletions_are_received_at_the_beginning(bucket):
    await bucket.delete("light", await bucket.put("light", b"1", 0))
    async with watching(bucket) as seen:
        assert [(entry.key, entry.is_deleted) for entry in seen.entries] == [("light", True)]


async def test_it_is_ready_after_all_present_entries(bucket):
    await asyncio.gather(*(bucket.put(f"light{i}", bytes(1000), 0) for i in range(3000)))
    async with watching(bucket) as seen:
        assert seen.revisions == list(range(1, 3001))


async def test_changes_are_received_in_order(bucket):
    async with watching(bucket) as seen:
        writes = [bucket.put(f"light{i}", b"%d" % i, None) for i in range(2000)]
        await asyncio.gather(*writes)
        await seen.until_revision(2000)
        assert seen.revisions == list(range(1, 2001))


async def test_changes_of_one_key_may_be_received_as_one(bucket):
    async with watching(bucket) as seen:
        writes = [bucket.put(f"light{i % 10}", b"%d" % i, None) for i in range(2000)]
        await asyncio.gather(*writes)
        await seen.until_revision(2000)
        assert seen.revisions == sorted(set(seen.revisions))
        assert seen.values == {f"light{i % 10}": b"%d" % i for i in range(1990, 2000)}


async def test_nothing_is_received_after_close(bucket):
    async with watching(bucket) as seen:
        pass
    await bucket.put("light", b"1", 0)
    await bucket.connection.flush()
    assert seen.entries == []


async def test_callbacks_that_fail_are_logged(bucket, caplog):
    await bucket.put("light", b"1", 0)
    is_ready = asyncio.Event()
    failing = bucket.watch(lambda entry: 1 // 0, is_ready.set, lambda: None)
    await is_ready.wait()
    await failing.close()
    assert f"watch KV_{bucket.name}: a callback failed" in caplog.text


async def test_an_idle_watch_goes_on(bucket, advance, monkeypatch):
    monkeypatch.setattr(watch, "HEARTBEAT", 0.2)
    monkeypatch.setattr(watch, "MAX_SILENCE", 1.5)
    async with watching(bucket) as seen:
        before = await consumers(bucket)
        await at_real_pace(asyncio.sleep(2), advance)
        assert await consumers(bucket) == before
        await bucket.put("light", b"1", 0)
        await seen.until_revision(1)


# --- recovery ---------------------------------------------------------------------------------


async def test_no_change_is_lost_while_the_connection_is_cut(
    bucket, shared_server, connect, advance, monkeypatch
):
    monkeypatch.setattr(watch, "MAX_SILENCE", 1000)  # it does not wait for heartbeats
    async with Proxy(("127.0.0.1", shared_server.port)) as proxy:
        cut = await connect(f"nats://{proxy.address}")
        async with watching(Bucket(cut.connection, bucket.name)) as seen:
            for count in (1, 50, 100, 150, 200, 300):
                proxy.cut_after(count)
                writes = [bucket.put(f"light{count}_{i}", b"1", 0) for i in range(20)]
                revisions = await asyncio.gather(*writes)
                await at_real_pace(seen.until_revision(revisions[-1]), advance)
                assert cut.losses.get_nowait()
            assert seen.revisions == list(range(1, 121))
            assert seen.calls == ["ready"]


async def test_a_cut_during_the_first_entries(bucket, shared_server, connect, advance):
    await asyncio.gather(*(bucket.put(f"light{i}", bytes(1000), 0) for i in range(200)))
    async with Proxy(("127.0.0.1", shared_server.port)) as proxy:
        cut = await connect(f"nats://{proxy.address}")
        proxy.cut_after(100_000)
        seen = Seen()
        interrupted = Bucket(cut.connection, bucket.name).watch(
            seen.on_entry, seen.on_ready, seen.on_reset
        )
        await at_real_pace(seen.until(lambda: bool(seen.calls)), advance)
        await interrupted.close()
        assert cut.losses.get_nowait()
        assert seen.revisions == list(range(1, 201))
        assert seen.calls == ["ready"]


async def test_a_watch_goes_on_after_a_restart_of_the_server(program, tmp_path, connect, advance):
    with nats_server(tmp_path, program) as server:
        bucket = Bucket((await connect(server.url)).connection, "test")
        await bucket.open()
        revision = await bucket.put("light", b"1", 0)
        async with watching(bucket) as seen:
            await seen.until(lambda: bool(seen.calls))
            server.kill()
            server.start()
            await at_real_pace(bucket.put("light", b"2", revision), advance)
            await at_real_pace(seen.until_revision(revision + 1), advance)
            assert seen.calls == ["ready"]
            assert seen.revisions == [revision, revision + 1]


async def test_a_server_that_has_lost_its_files(program, tmp_path, connect, advance):
    with nats_server(tmp_path, program) as server:
        bucket = Bucket((await connect(server.url)).connection, "test")
        await bucket.open()
        await bucket.put("light", b"1", 0)
        async with watching(bucket) as seen:
            server.kill()
            server.lose_files()
            server.start()
            await at_real_pace(seen.until(lambda: len(seen.calls) == 3), advance)
            assert seen.calls == ["ready", "reset", "ready"]
            assert len(seen.entries) == 1
            await bucket.put("light", b"2", 0)
            await seen.until(lambda: len(seen.entries) == 2)


@pytest.fixture
def fast_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "HEARTBEAT", 0.1)
    monkeypatch.setattr(watch, "MAX_SILENCE", 0.3)


@pytest.mark.usefixtures("fast_heartbeats")
async def test_a_bucket_that_is_deleted_is_created_again(bucket, advance):
    await bucket.put("light", b"1", 0)
    async with watching(bucket) as seen:
        await api(bucket.connection, f"STREAM.DELETE.{bucket.stream}", {}, "delete")
        await at_real_pace(seen.until(lambda: len(seen.calls) == 3), advance)
        assert seen.calls == ["ready", "reset", "ready"]
        await bucket.put("light", b"2", 0)
        await seen.until(lambda: len(seen.entries) == 2)


@pytest.mark.usefixtures("fast_heartbeats")
async def test_a_consumer_that_is_lost_is_replaced(bucket, advance):
    async with watching(bucket) as seen:
        [name] = await consumers(bucket)
        await api(bucket.connection, f"CONSUMER.DELETE.{bucket.stream}.{name}", {}, "delete")
        await bucket.put("light", b"1", 0)
        await at_real_pace(seen.until_revision(1), advance)
        assert seen.calls == ["ready"]


class Lossy(NatsConnection):
    """A connection that loses each of some revisions of entries once."""

    lost_revisions: set[int]

    def subscribe(self, subject: str, on_message: OnMessage) -> Subscription:
        def receive(message: NatsMessage) -> None:
            revision = (
                int(message.reply.split(".")[5]) if message.reply.startswith("$JS.ACK") else 0
            )
            if revision in self.lost_revisions:
                self.lost_revisions.remove(revision)
            else:
                on_message(message)

        return super().subscribe(subject, receive)


@pytest.mark.usefixtures("fast_heartbeats")
@pytest.mark.parametrize("lost", [{1}, {5}, {20}, {19, 20}, {7, 8, 15}])
async def test_a_gap_is_noticed(bucket, shared_server, advance, lost):
    lossy = Lossy(Peer(shared_server.url).connection.address, name="lossy")
    lossy.lost_revisions = set(lost)
    await lossy.open()
    async with watching(Bucket(lossy, bucket.name)) as seen:
        await asyncio.gather(*(bucket.put(f"light{i}", b"1", 0) for i in range(20)))
        await at_real_pace(seen.until_revision(20), advance)
        assert seen.revisions == list(range(1, 21))
        assert seen.calls == ["ready"]
        assert lossy.lost_revisions == set()
    await lossy.close()


async def test_a_problem_is_logged_once(bucket, advance, caplog):
    settings = (await api(bucket.connection, f"STREAM.INFO.{bucket.stream}", {}, "look"))["config"]
    settings["max_consumers"] = 1
    await api(bucket.connection, f"STREAM.DELETE.{bucket.stream}", {}, "delete")
    await api(bucket.connection, f"STREAM.CREATE.{bucket.stream}", settings, "create")
    async with watching(bucket):
        refused = bucket.watch(print, print, print)
        await at_real_pace(asyncio.sleep(1), advance)
        await refused.close()
    assert caplog.text.count("maximum consumers limit reached") == 1


async def test_a_purge_is_noticed_and_what_follows_is_received(bucket, advance, monkeypatch):
    monkeypatch.setattr(watch, "HEARTBEAT", 0.2)
    await bucket.put("light", b"1", 0)
    async with watching(bucket) as seen:
        await api(bucket.connection, f"STREAM.PURGE.{bucket.stream}", {}, "purge")
        reset = seen.until(lambda: seen.calls[-1] == "reset" or seen.calls[-2:-1] == ["reset"])
        await at_real_pace(reset, advance, speed=5)
        revision = await bucket.put("light", b"2", 0)
        await at_real_pace(seen.until_revision(revision), advance, speed=5)
        assert seen.calls == ["ready", "reset", "ready"]


async def test_an_entry_may_have_the_headers_of_a_heartbeat(bucket):
    async with watching(bucket) as seen:
        session = bucket.connection._session
        subject = f"$KV.{bucket.name}.odd"
        await session._client.publish(subject, b"", headers={"Status": "100"})
        revision = await bucket.put("light", b"1", 0)
        await seen.until_revision(revision)
        assert [entry.key for entry in seen.entries] == ["odd", "light"]
