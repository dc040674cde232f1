"""The trails of several runners in a real nats-server: stored once, and read in order."""

import asyncio
import itertools
import json
import secrets

import pytest

from eshet.nats.address import NatsAddress
from eshet.nats.connection import NatsConnection
from eshet.nats.exceptions import NoAnswer
from eshet.nats.jetstream import store
from eshet.nats.stream import Stream
from eshet_rules.audit.query import Filter
from eshet_rules.audit.trail import Trail
from eshet_rules.cluster import trail_publisher
from eshet_rules.cluster.entries import trail_subject
from eshet_rules.cluster.shared_trail import trail_stream
from eshet_rules.cluster.trail_publisher import TrailPublisher
from eshet_rules.cluster.trail_reader import TrailReader
from eshet_rules.exceptions import NoSharedTrail
from eshet_rules.threads import RunnerThreads
from tests.support.nats import PROGRAMS, at_real_pace, nats_cluster, nats_program, nats_server
from tests.support.proxy import Proxy

NUMBERS = itertools.count()


def stamp(second):
    return f"2026-11-25T03:{second // 60:02}:{second % 60:02}.000000Z"


class House:
    """The trails of runners, and what publishes them; without the runners.

    Time passes fast, unless servers have to elect a leader.
    """

    def __init__(self, nats, folder, log, advance, speed=5):
        self.nats = nats
        self.folder = folder
        self.log = log
        self.tree = f"test{next(NUMBERS)}"
        self.threads = RunnerThreads()
        self.damages = []
        self._advance = advance
        self._speed = speed
        self._opened = []

    async def connect(self, proxy=None):
        url = self.nats.url if proxy is None else f"nats://{proxy.address}"
        connection = NatsConnection(NatsAddress.parse(f"{url}/{self.tree}"), name="test")
        await connection.open()
        self._opened.append(connection)
        return connection

    def trail(self, runner, **options):
        trail = Trail(self.folder / runner / "trail.jsonl", **options)
        trail.open()
        return trail

    async def publisher(self, runner, connection=None, cluster="house", trail=None):
        connection = connection or await self.connect()
        publisher = TrailPublisher(
            connection,
            trail_stream(connection, self.tree, days=7, size=1 << 24),
            trail_subject(self.tree, cluster, runner),
            cluster,
            self.folder / (trail or runner) / "trail.jsonl",
            self.threads,
            self.log.logger,
        )
        publisher.begin()
        return publisher

    async def publish(self, *runners):
        """Publish what is in the files of runners, as after their restart."""
        for runner in runners:
            await (await self.publisher(runner)).finish()

    async def shared(self, cluster="house", **wanted):
        """Return the runner and the number of each note, as read from NATS."""
        reader = await self.reader(cluster, **wanted)
        return [noted(record) async for record in reader.records() if "number" in record]

    async def reader(self, cluster="house", **wanted):
        connection = await self.connect()
        return TrailReader(connection, cluster, Filter(**wanted), self.damages.append)

    async def paced(self, awaitable):
        return await at_real_pace(awaitable, self._advance, self._speed)

    async def close(self):
        for connection in self._opened:
            await connection.close()
        self.threads.close()


@pytest.fixture
async def house(nats, tmp_path, log, advance):
    house = House(nats, tmp_path, log, advance)
    yield house
    await house.close()
    assert not house.damages


def note(trail, second, number, **fields):
    record = {"time": stamp(second), "level": "info", "event": "note", "logger": "n"}
    trail.append({**record, "number": number, **fields}, stamp(second))


def noted(record):
    return record["runner"], record["number"]


async def test_the_records_of_several_runners_are_merged_by_time(house):
    attic, cellar = house.trail("attic"), house.trail("cellar.2")
    for second in range(0, 40, 2):
        note(attic, second, second)
        note(cellar, second + 1, second + 1)
        if second % 10 == 0:
            await house.publish("attic")
    await house.publish("cellar.2", "attic")
    runners = itertools.cycle(["attic", "cellar.2"])
    assert await house.shared() == list(zip(runners, range(40), strict=False))


@pytest.mark.parametrize("program", PROGRAMS)
async def test_each_version_of_nats_stores_the_records(tmp_path, log, advance, program):
    with nats_server(tmp_path / "nats", nats_program(program)) as nats:
        house = House(nats, tmp_path, log, advance)
        trail = house.trail("attic")
        for second in range(300):
            note(trail, second, second)
            if second % 3 == 0:
                await house.publish("attic")
        assert await house.shared() == [("attic", second) for second in range(298)]
        await house.close()
        log.check()


async def test_filters_apply_to_all_runners(house):
    for runner in ("attic", "cellar"):
        trail = house.trail(runner)
        for second in range(10):
            note(trail, second, second, path=f"/{runner}/{second % 2}", rule="hall.light")
        await house.publish(runner)
    assert await house.shared(path="/cellar/*", since=stamp(3), until=stamp(6)) == [
        ("cellar", 3),
        ("cellar", 4),
        ("cellar", 5),
    ]
    assert await house.shared(path="/attic/0", rule="hall.*", until=stamp(3)) == [
        ("attic", 0),
        ("attic", 2),
    ]
    assert await house.shared(rule="kitchen") == []


async def test_clusters_of_one_tree_are_read_apart_or_together(house):
    note(house.trail("attic"), 0, 1)
    await (await house.publisher("attic", cluster="house")).finish()
    await (await house.publisher("attic", cluster="barn")).finish()
    assert await house.shared("barn") == [("attic", 1)]
    assert await house.shared(None) == [("attic", 1)] * 2


async def test_without_a_stream_there_is_no_trail(house):
    with pytest.raises(NoSharedTrail, match=rf"no trail in nats://127.0.0.1:\d+/{house.tree}: "):
        await house.shared()


async def test_a_restarted_runner_continues_where_it_was(house):
    trail = house.trail("attic", size=4096)
    for number in range(100):  # over many files
        note(trail, number, number)
        if number % 30 == 29:
            await house.publish("attic")
    await house.publish("attic", "attic")
    assert await house.shared() == [("attic", number) for number in range(100)]
    house.log.check()


async def test_records_that_are_sent_twice_are_stored_once(house):
    trail = house.trail("attic")
    note(trail, 0, 0)
    publishers = [asyncio.create_task((await house.publisher("attic")).run()) for _ in range(3)]
    for number in range(1, 30):
        await house.paced(asyncio.sleep(0.1))
        note(trail, number, number)
    await house.paced(asyncio.sleep(3))
    for publisher in publishers:
        publisher.cancel()
    await asyncio.wait(publishers)
    await house.publish("attic")
    assert await house.shared() == [("attic", number) for number in range(30)]


async def test_an_outage_loses_nothing(house):
    trail = house.trail("attic")
    async with Proxy(("127.0.0.1", house.nats.port)) as proxy:
        connection = await house.connect(proxy)
        publisher = asyncio.create_task((await house.publisher("attic", connection)).run())
        number = itertools.count()
        for outage in (proxy.stall, proxy.cut, lambda: None):
            for _ in range(5):
                note(trail, 0, next(number))
                await house.paced(asyncio.sleep(0.2))
            outage()
            note(trail, 0, next(number))
            await house.paced(asyncio.sleep(0.7))
            proxy.cut()
            proxy.flow()
        sent = [("attic", each) for each in range(next(number))]
        while await house.shared() != sent:
            await house.paced(asyncio.sleep(0.2))
        publisher.cancel()
        await asyncio.wait([publisher])
        house.log.check()


async def test_nothing_is_lost_or_doubled_when_servers_are_killed(tmp_path, log, advance):
    with nats_cluster(tmp_path / "nats") as nats:
        house = House(nats, tmp_path, log, advance, speed=1)
        trail = house.trail("attic")
        publisher = asyncio.create_task((await house.paced(house.publisher("attic"))).run())
        numbers = itertools.count()
        while not await house.paced(has_stream(house)):
            await house.paced(asyncio.sleep(0.2))
        for _ in range(2):
            while "leader" not in (cluster := (await house.paced(info(house)))["cluster"]):
                await house.paced(asyncio.sleep(0.2))
            leader = nats.server(cluster["leader"])
            for number in itertools.islice(numbers, 40):
                note(trail, 0, number)
                await house.paced(asyncio.sleep(0.1))
                if number % 40 == 10:
                    leader.kill()
            leader.start()
        sent = [("attic", number) for number in range(80)]
        async with asyncio.timeout(60):
            while (shared := await house.paced(house.shared())) != sent:
                assert len(shared) < len(sent)
                await house.paced(asyncio.sleep(0.5))
        assert (await house.paced(info(house)))["config"]["num_replicas"] == 3
        publisher.cancel()
        await asyncio.wait([publisher])
        await house.paced(house.close())


async def info(house):
    connection = await house.connect()
    return await Stream(
        connection, {"name": f"{house.tree}_trail"}, title="trail", kind="trail", adapted=[]
    ).info("read")


async def test_a_stream_of_another_kind_is_left_alone_which_is_logged_once(house):
    note(house.trail("attic"), 0, 0)
    connection = await house.connect()
    name = f"{house.tree}_trail"
    other = json.dumps({"name": name, "subjects": ["other"]}).encode()
    await connection.request(f"$JS.API.STREAM.CREATE.{name}", other)
    publisher = asyncio.create_task((await house.publisher("attic")).run())
    await house.paced(asyncio.sleep(6))
    [record] = house.log.records
    assert record["event"] == "cluster.trail_not_shared"
    assert "exists, but is not such a trail" in record["error"]
    await connection.request(f"$JS.API.STREAM.DELETE.{name}", b"")
    while not await has_stream(house) or await house.shared() != [("attic", 0)]:
        await house.paced(asyncio.sleep(0.2))
    publisher.cancel()
    await asyncio.wait([publisher])


async def test_a_stream_that_was_deleted_is_made_again_without_what_it_had(house):
    trail = house.trail("attic")
    note(trail, 0, 0)
    publisher = asyncio.create_task((await house.publisher("attic")).run())
    while not await has_stream(house) or await house.shared() != [("attic", 0)]:
        await house.paced(asyncio.sleep(0.2))
    connection = await house.connect()
    await connection.request(f"$JS.API.STREAM.DELETE.{house.tree}_trail", b"")
    note(trail, 1, 1)
    while not await has_stream(house) or await house.shared() != [("attic", 1)]:
        await house.paced(asyncio.sleep(0.2))
    publisher.cancel()
    await asyncio.wait([publisher])


async def has_stream(house):
    try:
        await house.shared()
    except NoSharedTrail:
        return False
    return True


async def test_a_runner_that_has_lost_its_name_sends_each_record_once_after_it_has_it_again(house):
    attic, other = house.trail("attic"), house.trail("other")
    first = await house.publisher("attic")
    second = await house.publisher("attic", trail="other")
    sending = [asyncio.create_task(each.run()) for each in (first, second)]
    numbers = itertools.count()
    for begins, ends, trail in ((first, second, attic), (second, first, other)) * 3:
        begins.begin()
        ends.end()
        for number in itertools.islice(numbers, 5):
            note(trail, number, number)
            await house.paced(asyncio.sleep(0.3))
        note(attic if trail is other else other, 1000, 1000 + number)
        await house.paced(asyncio.sleep(1))
    first.begin()  # the second one has the name as well, by its clock
    for number in itertools.islice(numbers, 5):
        note(attic, number, number)
        note(other, number, 100 + number)
        await house.paced(asyncio.sleep(0.5))
    await house.paced(asyncio.sleep(3))
    for each in sending:
        each.cancel()
    await asyncio.wait(sending)
    expected = [*range(35), *range(130, 135), *(1004 + 5 * each for each in range(6))]
    assert sorted(number for _, number in await house.shared()) == expected
    house.log.check()
    assert house.log.records == []


async def test_what_was_stored_without_an_answer_is_stored_once_though_another_had_the_name(
    house, monkeypatch
):
    attic = house.trail("attic")
    publisher = await house.publisher("attic")
    running = asyncio.create_task(publisher.run())
    note(attic, 0, 0)
    while not await has_stream(house) or await house.shared() != [("attic", 0)]:
        await house.paced(asyncio.sleep(0.2))

    async def store_without_an_answer(*args):
        await store(*args)
        monkeypatch.undo()
        note(house.trail("other"), 2, 2)
        await (await house.publisher("attic", trail="other")).finish()
        note(attic, 3, 3)
        raise NoAnswer("write", "no answer")

    monkeypatch.setattr(trail_publisher, "store", store_without_an_answer)
    note(attic, 1, 1)
    while 3 not in (numbers := [number for _, number in await house.shared()]):
        await house.paced(asyncio.sleep(0.2))
    assert numbers == [0, 1, 2, 3]
    running.cancel()
    await asyncio.wait([running])


async def test_a_restarted_runner_sends_its_open_file_after_another_had_its_name(house):
    note(house.trail("attic"), 0, 0)
    note(house.trail("other"), 1, 1)
    await house.publish("attic")
    await (await house.publisher("attic", trail="other")).finish()
    house.log.records.clear()  # the second runner misses what is before its trail
    await house.publish("attic")
    assert house.log.records == []


async def test_what_was_deleted_before_it_was_sent_is_a_gap(house):
    trail = house.trail("attic", size=4096, total=4096)
    note(trail, 0, 0)
    await house.publish("attic")
    for number in range(1, 200):
        note(trail, number, number, text=secrets.token_hex(1000))
    trail.close()
    await house.publish("attic", "attic")
    [gap] = house.log.records
    assert (gap["event"], gap["why"], gap["since"]) == ("cluster.trail_gap", "deleted", stamp(0))
    numbers = [number for _, number in await house.shared()]
    assert gap["until"] == stamp(numbers[1])
    assert numbers == [0, *range(numbers[1], 200)]


async def test_a_record_that_is_too_long_for_nats_is_left_out(house):
    trail = house.trail("attic")
    note(trail, 0, 0)
    note(trail, 1, 1, text=secrets.token_hex(2 << 20))
    note(trail, 2, 2)
    await house.publish("attic")
    [gap] = house.log.records
    assert (gap["why"], gap["since"], gap["records"]) == ("too long", stamp(1), 1)
    assert await house.shared() == [("attic", 0), ("attic", 2)]


async def test_new_records_of_several_runners_are_followed_in_order(house):
    attic, cellar = house.trail("attic"), house.trail("cellar")
    note(attic, 0, 0)
    await house.publish("attic")
    found = []

    async def follow():
        reader = await house.reader(event="note")
        async for record in reader.records(follow=True):
            found.append(noted(record))  # noqa: PERF401 - which would be complete in the end only

    following = asyncio.create_task(follow())
    while not found:
        await house.paced(asyncio.sleep(0.1))
    note(attic, 1, 1)
    note(attic, 4, 4)
    note(cellar, 2, 2)
    note(cellar, 3, 3)
    await house.publish("attic", "cellar")
    while len(found) < 5:
        await house.paced(asyncio.sleep(0.1))
    following.cancel()
    await asyncio.wait([following])
    assert [number for _, number in found] == [0, 1, 2, 3, 4]


async def test_a_message_that_is_damaged_is_reported(house):
    note(house.trail("attic"), 0, 0)
    await house.publish("attic")
    connection = await house.connect()
    subject = trail_subject(house.tree, "house", "cellar")
    await connection.request(subject, b"not compressed")
    assert await house.shared() == [("attic", 0)]
    [damage] = house.damages
    assert damage.file == subject
    house.damages.clear()
