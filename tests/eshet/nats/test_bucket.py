"""Buckets of a real JetStream."""

import asyncio
import contextlib
import itertools

import pytest

from eshet.exceptions import MessageTooLong
from eshet.nats import jetstream
from eshet.nats.bucket import Bucket, Entry
from eshet.nats.exceptions import JetStreamRefused, NoAnswer, NotConnected, RevisionConflict
from eshet.nats.jetstream import api
from tests.eshet.nats.conftest import Connect, Peer
from tests.support.nats import NatsServer, at_real_pace, nats_server
from tests.support.proxy import Proxy
from tests.support.waiting import until

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


async def config(bucket: Bucket) -> dict[str, object]:
    info = await api(bucket.connection, f"STREAM.INFO.{bucket.stream}", {}, "look at")
    return info["config"]


async def test_an_entry_is_written_and_read(bucket):
    assert await bucket.get("hall.light") is None
    revision = await bucket.put("hall.light", b"\x00\xff on", 0)
    entry = await bucket.get("hall.light")
    assert entry == Entry("hall.light", b"\x00\xff on", revision, False, entry.written)
    assert entry.written > 1_600_000_000


async def test_an_entry_is_written_only_if_it_has_the_expected_revision(bucket):
    first = await bucket.put("light", b"1", 0)
    second = await bucket.put("light", b"2", first)
    assert second > first
    for old in (0, first, second + 1):
        with pytest.raises(RevisionConflict) as caught:
            await bucket.put("light", b"3", old)
        assert (caught.value.key, caught.value.revision) == ("light", old)
        with pytest.raises(RevisionConflict):
            await bucket.delete("light", old)
    assert (await bucket.get("light")).value == b"2"


async def test_the_text_of_a_conflict(bucket):
    await bucket.put("light", b"1", 0)
    with pytest.raises(RevisionConflict, match=rf"^light in {bucket.name} exists already$"):
        await bucket.put("light", b"1", 0)
    with pytest.raises(RevisionConflict, match=rf"light in {bucket.name} has no longer revision 7"):
        await bucket.put("light", b"1", 7)


async def test_revisions_of_other_keys_do_not_matter(bucket):
    first = await bucket.put("light", b"1", 0)
    await bucket.put("light2", b"1", 0)
    await bucket.put("light.a", b"1", 0)
    await bucket.put("light", b"2", first)


async def test_a_deleted_entry_can_be_created_again(bucket):
    first = await bucket.put("light", b"1", 0)
    deletion = await bucket.delete("light", first)
    entry = await bucket.get("light")
    assert (entry.value, entry.revision, entry.is_deleted) == (b"", deletion, True)
    with pytest.raises(RevisionConflict):
        await bucket.put("light", b"2", 0)
    again = await bucket.put("light", b"2", deletion)
    assert again > deletion > first
    assert not (await bucket.get("light")).is_deleted


async def test_a_write_in_any_case(bucket):
    revisions = [
        await bucket.put("light", b"1", None),
        await bucket.put("light", b"2", None),
        await bucket.delete("light", None),
        await bucket.put("light", b"3", None),
    ]
    assert revisions == sorted(set(revisions))
    assert (await bucket.get("light")).value == b"3"


async def test_writes_that_are_under_way_at_once_keep_their_order(bucket):
    writes = [bucket.put(f"light{number % 7}", b"%d" % number, None) for number in range(500)]
    revisions = await asyncio.gather(*writes)
    assert revisions == list(range(revisions[0], revisions[0] + 500))


async def test_of_writers_at_once_one_wins(bucket, shared_server, connect):
    others = [Bucket((await connect(shared_server.url)).connection, bucket.name) for _ in range(3)]
    for round_number in range(20):
        outcomes = await asyncio.gather(
            *(other.put(f"light{round_number}", b"%d" % i, 0) for i, other in enumerate(others)),
            return_exceptions=True,
        )
        winners = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, int)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, RevisionConflict)]
        assert (len(winners), len(losers)) == (1, 2)
        entry = await bucket.get(f"light{round_number}")
        assert entry.value == b"%d" % winners[0]


async def test_an_entry_expires(peer):
    bucket = Bucket(peer.connection, f"test_{next(NUMBERS)}", max_age=0.3)
    await bucket.open()
    await bucket.put("server", b"1", 0)
    while await bucket.get("server") is not None:
        pass  # the server has its own clock
    await bucket.put("server", b"2", 0)


async def test_the_longest_value(bucket):
    length = bucket.connection.max_payload - 1000
    await bucket.put("light", bytes(length), 0)
    assert (await bucket.get("light")).value == bytes(length)
    with pytest.raises(MessageTooLong):
        await bucket.put("light", bytes(length + 1000), 0)


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b", "a b", "*", "a.>", "ä", "a\r\n"])
async def test_keys_that_are_not_valid(bucket, key):
    for call in (bucket.put(key, b"", 0), bucket.delete(key, 1), bucket.get(key)):
        with pytest.raises(ValueError, match="can't be a key: write names, separated by dots"):
            await call


# --- the stream -------------------------------------------------------------------------------


async def test_an_existing_bucket_is_used(bucket, shared_server, connect):
    await bucket.put("light", b"on", 0)
    await bucket.open()
    other = Bucket((await connect(shared_server.url)).connection, bucket.name)
    await other.open()
    assert (await other.get("light")).value == b"on"


async def test_a_bucket_of_many_clients_that_open_it_at_once(shared_server, connect):
    name = f"test_{next(NUMBERS)}"
    buckets = [Bucket((await connect(shared_server.url)).connection, name) for _ in range(5)]
    await asyncio.gather(*(bucket.open() for bucket in buckets))
    await buckets[0].put("light", b"on", 0)
    assert (await buckets[4].get("light")).value == b"on"


async def test_a_server_without_a_cluster_stores_one_replica(bucket):
    assert (await config(bucket))["num_replicas"] == 1


async def test_an_existing_bucket_of_a_server_survives_its_restart(
    program, tmp_path, connect, advance
):
    with nats_server(tmp_path, program) as server:
        connection = (await connect(server.url)).connection
        bucket = Bucket(connection, "test")
        await bucket.open()
        revision = await bucket.put("light", b"on", 0)
        await bucket.open()
        await Bucket(connection, "test", replicas=3).open()
        assert (await config(bucket))["num_replicas"] == 1
        server.stop()
        await advance(0.1)
        server.start()

        async def read():
            while True:
                with contextlib.suppress(NotConnected):
                    return await bucket.get("light")
                await asyncio.sleep(0.05)

        entry = await at_real_pace(read(), advance)
        assert (entry.value, entry.revision) == (b"on", revision)


async def test_the_age_of_an_existing_bucket_is_changed(bucket):
    await Bucket(bucket.connection, bucket.name, max_age=30).open()
    assert (await config(bucket))["max_age"] == 30_000_000_000
    await bucket.open()
    assert (await config(bucket))["max_age"] == 0


async def test_other_settings_of_an_existing_bucket_are_kept(bucket):
    settings = {**await config(bucket), "max_bytes": 1 << 20, "description": "ours"}
    await api(bucket.connection, f"STREAM.UPDATE.{bucket.stream}", settings, "change")
    changed = Bucket(bucket.connection, bucket.name, max_age=30)
    await changed.open()
    kept = await config(bucket)
    assert (kept["max_bytes"], kept["description"]) == (1 << 20, "ours")


async def test_a_stream_of_another_kind_is_not_used(peer):
    bucket = Bucket(peer.connection, f"test_{next(NUMBERS)}")
    await api(
        peer.connection,
        f"STREAM.CREATE.{bucket.stream}",
        {"name": bucket.stream, "subjects": [f"other_{bucket.name}.>"]},
        "create",
    )
    with pytest.raises(JetStreamRefused, match="exists, but is not such a bucket; choose another"):
        await bucket.open()


async def test_a_full_bucket(bucket):
    settings = {**await config(bucket), "max_bytes": 2000}
    await api(bucket.connection, f"STREAM.UPDATE.{bucket.stream}", settings, "change")
    await bucket.put("light", bytes(1000), 0)
    with pytest.raises(JetStreamRefused, match=f"write lamp in {bucket.name}: maximum bytes exc"):
        await bucket.put("lamp", bytes(1000), 0)


async def test_a_bucket_that_does_not_exist(peer, advance, monkeypatch):
    monkeypatch.setattr(jetstream, "PATIENCE", 0.3)
    bucket = Bucket(peer.connection, "nowhere")
    putting = asyncio.create_task(bucket.put("light", b"", 0))
    with pytest.raises(NoAnswer, match="write light in nowhere: its stream has no leader"):
        await at_real_pace(putting, advance)
    with pytest.raises(JetStreamRefused, match="read light in nowhere: stream not found"):
        await bucket.get("light")


# --- outages ----------------------------------------------------------------------------------


async def test_nothing_is_written_without_a_connection(program, tmp_path, connect):
    with nats_server(tmp_path, program) as server:
        peer = await connect(server.url)
        bucket = Bucket(peer.connection, "test")
        await bucket.open()
        server.kill()
        await peer.losses.get()
        for call in (bucket.put("light", b"", 0), bucket.get("light"), bucket.open()):
            with pytest.raises(NotConnected):
                await call


async def test_a_write_is_given_up_when_the_connection_is_closed(
    program, tmp_path, connect, advance
):
    with nats_server(tmp_path, program) as server:
        peer = await connect(server.url)
        bucket = Bucket(peer.connection, "test")
        await bucket.open()
        server.freeze()
        writing = asyncio.create_task(bucket.put("light", b"on", 0))
        closing = asyncio.create_task(peer.connection.close())
        await advance(1.1)
        await closing
        with pytest.raises(NotConnected, match="the connection to NATS was closed"):
            await writing


async def test_writes_during_a_restart_of_the_server(program, tmp_path, connect, advance):
    with nats_server(tmp_path, program) as server:
        bucket = Bucket((await connect(server.url)).connection, "test")
        await bucket.open()
        server.freeze()
        writes = [asyncio.create_task(bucket.put(f"light{i}", b"", 0)) for i in range(10)]
        await advance(0.1)
        server.kill()
        await advance(0.1)
        server.start()
        revisions = await at_real_pace(asyncio.gather(*writes), advance)
        assert sorted(revisions) == list(range(1, 11))


async def test_a_write_succeeds_once_wherever_the_connection_is_cut(
    bucket, shared_server, connect, advance
):
    async with Proxy(("127.0.0.1", shared_server.port)) as proxy:
        peer = await connect(f"nats://{proxy.address}")
        cut = Bucket(peer.connection, bucket.name)
        for count in range(1, 400, 40):
            key = f"light{count}"
            proxy.cut_after(count)
            revision = await at_real_pace(cut.put(key, b"on", 0), advance)
            entry = await bucket.get(key)
            assert (entry.value, entry.revision) == (b"on", revision)
            with contextlib.suppress(NotConnected):
                while not proxy.was_cut:
                    await peer.connection.request("nobody", b"")
            await at_real_pace(peer.restorations.get(), advance)


async def test_a_write_that_was_overtaken_is_a_conflict(bucket, shared_server, connect, advance):
    async with Proxy(("127.0.0.1", shared_server.port)) as proxy:
        peer = await connect(f"nats://{proxy.address}")
        late = Bucket(peer.connection, bucket.name)
        await peer.connection.flush()
        proxy.stall()
        writing = asyncio.create_task(late.put("light", b"late", 0))
        await advance(0)
        await bucket.put("light", b"first", 0)
        proxy.cut()
        await peer.losses.get()
        proxy.flow()
        with pytest.raises(RevisionConflict):
            await at_real_pace(writing, advance)
        assert (await bucket.get("light")).value == b"first"


async def test_the_keys_below_a_name(bucket):
    for key in ("blob.a.0", "blob.a.1", "blob.b.0", "blob", "blobs.a", "head.a"):
        await bucket.put(key, b"x", None)
    await bucket.delete("blob.b.0", None)
    assert sorted(await bucket.keys("blob")) == ["blob.a.0", "blob.a.1", "blob.b.0"]
    assert await bucket.keys("blob.a.0") == []


async def test_entries_before_a_revision_are_removed_without_a_trace(bucket):
    for key in ("blob.a.0", "blob.a.1", "blob.b.0", "head"):
        await bucket.put(key, b"x", None)
    await bucket.delete("blob.a.1", None)
    revision = await bucket.put("blob.a.0", b"y", None)
    await bucket.purge("blob.a", revision)
    assert sorted(await bucket.keys("blob")) == ["blob.a.0", "blob.b.0"]
    assert (await bucket.get("blob.a.0")).value == b"y"
    await bucket.purge("blob.a", revision + 1)
    assert await bucket.get("blob.a.0") is None
    assert (await bucket.get("head")).value == b"x"
    await bucket.put("blob.a.0", b"z", 0)


async def test_only_the_entries_below_a_name_are_watched(bucket, advance):
    received, is_ready = [], asyncio.Event()
    await bucket.put("head.a", b"1", None)
    await bucket.put("blob.a", b"2", None)
    watch = bucket.watch(received.append, is_ready.set, lambda: None, below="head")
    await is_ready.wait()
    await bucket.put("blob.a", b"3", None)
    await bucket.put("headless.a", b"4", None)
    await bucket.put("head.b", b"5", None)
    await until(lambda: len(received) == 2, advance)
    await watch.close()
    assert [(each.key, each.value) for each in received] == [("a", b"1"), ("b", b"5")]
