"""Three servers, of which some are killed: JetStream elects leaders meanwhile."""

import asyncio
from collections.abc import Iterator

import pytest

from eshet.nats import jetstream
from eshet.nats.bucket import Bucket
from eshet.nats.exceptions import NoAnswer, NotConnected, RevisionConflict
from eshet.nats.jetstream import api
from tests.eshet.nats.conftest import Connect
from tests.eshet.nats.watching import watching
from tests.support.nats import NatsCluster, NatsServer, at_real_pace, nats_cluster


@pytest.fixture(scope="module")
def cluster(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with nats_cluster(tmp_path_factory.mktemp("cluster"), program) as cluster:
        yield cluster


async def info(bucket: Bucket) -> dict:
    call = f"STREAM.INFO.{bucket.stream}"
    return await jetstream.repeated(
        bucket.connection, lambda: api(bucket.connection, call, {}, "look at")
    )


async def open_with_three_replicas(bucket: Bucket) -> None:
    """Open a bucket, as soon as all servers have joined again after the previous test."""
    await bucket.open()
    while (await info(bucket))["config"]["num_replicas"] < 3:
        await asyncio.sleep(0.2)
        await bucket.open()


async def leader(bucket: Bucket, cluster: NatsCluster) -> NatsServer:
    return cluster.server((await info(bucket))["cluster"]["leader"])


@pytest.mark.parametrize(
    ("name", "options", "replicas"), [("auto", "", 3), ("one", "?replicas=1", 1)]
)
async def test_the_number_of_replicas(cluster, connect: Connect, advance, name, options, replicas):
    bucket = Bucket((await connect(cluster.url + options)).connection, name)
    opening = open_with_three_replicas(bucket) if replicas == 3 else bucket.open()
    await at_real_pace(opening, advance)
    assert (await info(bucket))["config"]["num_replicas"] == replicas


async def test_of_writers_at_once_one_wins(cluster, connect: Connect, advance):
    connections = [(await connect(cluster.url)).connection for _ in range(3)]
    if connections[0].server_version < (2, 9, 21):
        pytest.skip("this nats-server accepts more than one (nats-server issue 4320)")
    buckets = [Bucket(connection, "race") for connection in connections]
    await at_real_pace(open_with_three_replicas(buckets[0]), advance)
    for round_number in range(100):
        writes = (bucket.put(f"light{round_number}", b"on", 0) for bucket in buckets)
        writing = asyncio.gather(*writes, return_exceptions=True)
        outcomes = await at_real_pace(writing, advance)
        assert sorted(map(type, outcomes), key=str) == [RevisionConflict, RevisionConflict, int]


async def test_an_old_server_is_reported(cluster, connect: Connect, advance, caplog):
    peer = await connect(cluster.url)
    for name in ("reported1", "reported2"):
        await at_real_pace(open_with_three_replicas(Bucket(peer.connection, name)), advance)
    is_old = peer.connection.server_version < (2, 9, 21)
    assert caplog.text.count("accepts two writes at the same time") == is_old


async def test_a_bucket_gets_three_replicas_when_there_are_enough_servers(
    cluster, connect: Connect, advance
):
    bucket = Bucket((await connect(cluster.url)).connection, "grown", replicas=1)
    await at_real_pace(bucket.open(), advance)
    await at_real_pace(bucket.put("light", b"on", 0), advance)
    await at_real_pace(Bucket(bucket.connection, "grown").open(), advance)
    assert (await info(bucket))["config"]["num_replicas"] == 3
    entry = await at_real_pace(bucket.get("light"), advance)
    assert entry.value == b"on"


async def test_nothing_is_lost_when_the_leader_is_killed(
    program, tmp_path, connect: Connect, advance, monkeypatch
):
    with nats_cluster(tmp_path, program) as cluster:
        bucket = Bucket((await connect(cluster.url)).connection, "elections")
        await at_real_pace(open_with_three_replicas(bucket), advance)
        revision = await at_real_pace(bucket.put("light", b"0", 0), advance)
        async with watching(bucket) as seen:
            (await leader(bucket, cluster)).kill()
            writing = [asyncio.create_task(bucket.put(f"lamp{i}", b"1", 0)) for i in range(10)]
            writing.append(asyncio.create_task(bucket.put("light", b"1", revision)))
            revisions = await at_real_pace(asyncio.gather(*writing), advance)
            await at_real_pace(seen.until(lambda: len(seen.entries) == 12), advance)
            assert seen.values == {"light": b"1"} | {f"lamp{i}": b"1" for i in range(10)}
            assert set(seen.revisions) == {revision, *revisions}
            assert seen.calls == ["ready"]

        # The last server alone stores nothing.
        (await leader(bucket, cluster)).kill()
        monkeypatch.setattr(jetstream, "PATIENCE", 1.0)
        with pytest.raises((NoAnswer, NotConnected)):
            await at_real_pace(bucket.put("light", b"2", None), advance)
