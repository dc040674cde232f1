"""The snapshots of modules in a bucket of a real nats-server."""

import asyncio
from dataclasses import dataclass

import msgspec
import pytest

from eshet.clock import wall_time
from eshet.nats.exceptions import NotConnected
from eshet.nats.jetstream import api
from eshet.reactive.handover.handover import Snapshot
from eshet.reactive.handover.matching import Description
from eshet_rules.cluster.checkpoints import SharedCheckpoints
from eshet_rules.reload.checkpoint import encode_module
from eshet_rules.reload.snapshot import ModuleSnapshot

HALL = Description("light", "keep", "keep", "", "count")


@dataclass
class Lease:
    token: int
    module: str = "hall"
    role: str = "house.hall"
    is_valid: bool = True


@pytest.fixture
def store(bucket, log):
    """Make the checkpoints of another runner."""
    return lambda: SharedCheckpoints(bucket, log.logger)


def packed(value):
    return encode_module(ModuleSnapshot("3f2a", nodes=[Snapshot(HALL, value)]))[0]


def value_in(snapshot):
    (node,) = snapshot.nodes
    return node.data


async def keys(bucket):
    """Return the keys of all entries."""
    found, is_ready = {}, asyncio.Event()
    watch = bucket.watch(lambda e: found.update({e.key: e}), is_ready.set, lambda: None)
    await is_ready.wait()
    await watch.close()
    return sorted(key for key, entry in found.items() if not entry.is_deleted)


async def test_the_next_holder_of_a_lease_reads_what_the_last_one_has_written(store):
    await store().write(Lease(7), packed(3))
    snapshot = await store().read(Lease(8))
    assert (snapshot.version, value_in(snapshot), snapshot.was_down) == ("3f2a", 3, True)


async def test_without_a_snapshot_there_is_nothing_to_read(store):
    assert await store().read(Lease(7)) is None


async def test_an_unchanged_snapshot_is_not_written_again(store, bucket):
    checkpoints = store()
    await checkpoints.write(Lease(7), packed(3))
    revision = await bucket.last_revision()
    await checkpoints.write(Lease(7), packed(3))
    assert await bucket.last_revision() == revision
    await checkpoints.write(Lease(7), packed(4))
    assert await bucket.last_revision() == revision + 1


async def test_a_stale_holder_cannot_overwrite_what_its_successor_has_written(store):
    stale, successor = store(), store()
    await stale.write(Lease(7), packed(1))
    await successor.read(Lease(8))
    await successor.write(Lease(8), packed(2))
    await stale.write(Lease(7), packed(3))
    assert value_in(await store().read(Lease(9))) == 2


async def test_a_successor_overwrites_what_a_stale_holder_has_written_meanwhile(store):
    stale, successor = store(), store()
    await stale.write(Lease(7), packed(1))
    await successor.read(Lease(8))
    await stale.write(Lease(7), packed(3))
    await successor.write(Lease(8), packed(2))
    assert value_in(await store().read(Lease(9))) == 2


async def test_without_a_valid_lease_nothing_is_written(store):
    await store().write(Lease(7, is_valid=False), packed(1))
    assert await store().read(Lease(8)) is None


async def test_nothing_is_written_after_the_last_snapshot(store):
    checkpoints, lease = store(), Lease(7)
    await checkpoints.write(lease, packed(1), is_last=True)
    await checkpoints.write(lease, packed(2))
    assert value_in(await store().read(Lease(8))) == 1
    checkpoints.forget(lease)
    again = Lease(9)
    await checkpoints.read(again)
    await checkpoints.write(again, packed(3))
    assert value_in(await store().read(Lease(10))) == 3


async def test_a_snapshot_that_is_too_large_for_a_message_is_stored_in_parts(store, bucket):
    first, second = store(), store()
    large = "x" * 3_000_000
    await first.write(Lease(7), packed(large))
    assert value_in(await second.read(Lease(8))) == large
    before = await keys(bucket)
    assert len(before) == 4
    await second.write(Lease(8), packed(large + "y"))
    assert value_in(await store().read(Lease(9))) == large + "y"
    after = await keys(bucket)
    assert len(after) == 4
    assert set(before) & set(after) == {"head.house.hall"}
    await second.write(Lease(8), packed(1))
    assert await keys(bucket) == ["head.house.hall"]


async def test_a_snapshot_with_a_missing_part_is_not_used_and_that_is_logged(store, bucket, log):
    await store().write(Lease(7), packed("x" * 3_000_000))
    await bucket.delete("part.7.0.1", None)
    assert await store().read(Lease(8)) is None
    assert log.find("checkpoint.shared_damaged")["error"] == "its checksum is wrong"


async def test_a_snapshot_of_another_program_is_not_used(store, bucket, log):
    await bucket.put("head.house.hall", b"?", 0)
    checkpoints = store()
    assert await checkpoints.read(Lease(8)) is None
    await checkpoints.write(Lease(8), packed(1))
    assert value_in(await store().read(Lease(9))) == 1


async def test_several_are_written_at_once_and_only_of_held_modules(store):
    checkpoints = store()
    leases = {f"room{n}": Lease(7, f"room{n}", f"house.room{n}") for n in range(50)}
    await checkpoints.write_all({**{name: packed(name) for name in leases}, "x": b""}, leases)
    for name, lease in leases.items():
        assert value_in(await store().read(lease)) == name


async def test_a_deleted_snapshot_is_not_read_any_more(store, bucket):
    checkpoints = store()
    await checkpoints.write(Lease(7), packed("x" * 3_000_000))
    await checkpoints.delete(Lease(7))
    assert await keys(bucket) == []
    assert await store().read(Lease(8)) is None


async def test_an_error_is_logged_once_until_a_snapshot_is_written_again(
    store, bucket, log, monkeypatch
):
    checkpoints, put = store(), bucket.put

    async def fail(*args):
        raise NotConnected

    for value in range(3):
        monkeypatch.setattr(bucket, "put", fail)
        await checkpoints.write(Lease(7), packed(value))
    assert log.find("checkpoint.not_shared")["module"] == "hall"
    monkeypatch.setattr(bucket, "put", put)
    await checkpoints.write(Lease(7), packed(3))
    monkeypatch.setattr(bucket, "put", fail)
    await checkpoints.write(Lease(7), packed(4))
    assert log.events() == ["checkpoint.not_shared"] * 2


async def test_while_a_clock_is_behind_no_time_counts_as_passed(store):
    loop = asyncio.get_running_loop()
    await store().write(Lease(7), packed(1))
    ahead = wall_time()
    loop._wall_start -= 100  # this runner's clock is behind that of the other one
    snapshot = await store().read(Lease(8))
    assert snapshot.epoch + ahead == pytest.approx(loop.time())


@pytest.mark.parametrize("parts", [-1, 65, 100_000])
async def test_a_snapshot_of_too_many_parts_is_not_read(store, bucket, parts):
    await store().write(Lease(7), packed(3))
    entry = await bucket.get("head.house.hall")
    head = {**msgspec.msgpack.decode(entry.value), "parts": parts, "data": b""}
    await bucket.put("head.house.hall", msgspec.msgpack.encode(head), None)
    assert await store().read(Lease(8)) is None


@pytest.mark.parametrize(
    ("written", "is_used"), [(1e300, True), (float("inf"), False), (float("nan"), False)]
)
async def test_a_snapshot_that_says_it_is_of_the_future_was_made_now(
    store, bucket, log, written, is_used
):
    await store().write(Lease(7), packed(3))
    entry = await bucket.get("head.house.hall")
    head = {**msgspec.msgpack.decode(entry.value), "written": written}
    await bucket.put("head.house.hall", msgspec.msgpack.encode(head), None)
    snapshot = await store().read(Lease(8))
    assert (snapshot is not None) is is_used
    assert ("checkpoint.shared_damaged" in log.events()) is not is_used


async def test_a_snapshot_that_is_too_large_is_not_written(store, bucket, log, monkeypatch):
    monkeypatch.setattr(type(bucket.connection), "max_payload", 5000)
    await store().write(Lease(7), packed("x" * 100_000))
    assert "longer than" in log.find("checkpoint.not_shared")["error"]
    assert await keys(bucket) == []


async def test_a_deleted_bucket_is_created_again(store, bucket, log):
    first, second = store(), store()
    await first.write(Lease(7), packed(3))
    await api(bucket.connection, f"STREAM.DELETE.{bucket.stream}", {}, "delete")
    assert await second.read(Lease(8)) is None
    assert "deleted" in log.find("checkpoint.shared_damaged")["error"]
    await second.write(Lease(8), packed(4))
    assert value_in(await store().read(Lease(9))) == 4
