"""The presence of runners in a bucket of a real nats-server."""

import asyncio

import pytest

from eshet.nats.exceptions import NotConnected
from eshet_rules.cluster.entries import PresenceEntry, presence_key
from eshet_rules.cluster.presence import MARGIN, Presence, end_presence
from eshet_rules.cluster.roster import Roster
from tests.support.nats import at_real_pace
from tests.support.waiting import until

TTL = 12.0


class Probe:
    """Knows which runners are gone."""

    def __init__(self):
        self.gone = set()

    async def is_gone(self, known):
        return known.presence.server in self.gone


class Runner:
    """The presence of a runner, and what it notices."""

    def __init__(self, bucket, log, server, name):
        self.name = name
        self.server = server
        self.ends = []
        self.probe = Probe()
        self.roster = Roster("house", asyncio.get_running_loop().time)
        self.is_ready = asyncio.Event()
        self.is_known = asyncio.Event()
        self.watch = bucket.watch(self._on_entry, self.is_ready.set, self.roster.reset_runners)
        entry = PresenceEntry(runner=name, host="machine", server="", number=0, ttl=TTL, weight=1.0)
        self.presence = Presence(
            bucket, self.roster, entry, self.probe, lambda: self.server, log.logger
        )
        self.presence.on_end = self.ends.append
        self.keeping = None

    async def begin(self):
        await self.is_ready.wait()
        await self.presence.begin()
        await self.is_known.wait()
        self.keeping = asyncio.create_task(self.presence.keep())

    def _on_entry(self, entry):
        self.roster.on_runner_entry(entry)
        if self.known is not None:
            self.is_known.set()

    @property
    def known(self):
        return self.roster.runners.get(self.name)


@pytest.fixture
async def make(bucket, log):
    runners = []

    def make(server="s1", name="attic"):
        runners.append(Runner(bucket, log, server, name))
        return runners[-1]

    yield make
    for runner in runners:
        if runner.keeping is not None:
            runner.keeping.cancel()
            await asyncio.wait([runner.keeping])
        await runner.watch.close()


@pytest.fixture
def pass_time(advance):
    """Let time pass, but not faster than answers arrive from the nats-server."""

    async def pass_time(seconds):
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await advance(min(0.5, left))
            await loop.run_in_executor(None, asyncio.run, asyncio.sleep(0.005))

    return pass_time


async def test_it_is_valid_from_its_beginning_and_known_to_others(make, advance):
    runner, other = make(), make()
    await runner.begin()
    presence = runner.presence
    assert presence.number > 0
    assert presence.is_valid(presence.number)
    assert not presence.is_valid(presence.number + 1)
    await until(lambda: other.known is not None, advance)
    assert (other.known.number, other.known.presence.server) == (presence.number, "s1")


async def test_it_is_renewed_six_times_in_its_time_to_live(make, bucket, advance, monkeypatch):
    runner = make()
    await runner.begin()
    loop, number = asyncio.get_running_loop(), runner.presence.number
    began, times = loop.time(), []

    async def put(key, value, revision):
        times.append(round(loop.time() - began, 6))
        return revision + 1

    monkeypatch.setattr(bucket, "put", put)
    await advance(24)
    assert times == [2 * number for number in range(1, 13)]
    assert runner.presence.is_valid(number)


async def test_it_ends_before_others_may_end_it_when_it_is_not_renewed(
    make, bucket, advance, monkeypatch
):
    runner = make()
    await runner.begin()
    number = runner.presence.number

    async def fail(*args):
        raise NotConnected

    monkeypatch.setattr(bucket, "put", fail)
    await advance(TTL - MARGIN - 0.1)
    assert runner.presence.is_valid(number)
    assert runner.ends == []
    await advance(0.2)
    assert not runner.presence.is_valid(number)
    assert runner.ends == ["no sign of life could be given for 10 s: not connected to NATS"]
    assert not runner.known.is_silent(asyncio.get_running_loop().time())


async def test_it_counts_from_before_a_sign_of_life_was_sent(make, bucket, advance, monkeypatch):
    runner = make()
    await runner.begin()
    put = bucket.put

    async def late(*args):
        await asyncio.sleep(5)
        return await put(*args)

    monkeypatch.setattr(bucket, "put", late)
    runner.presence.renew_soon()
    sent = asyncio.get_running_loop().time()
    await advance(0)
    await until(lambda: runner.presence.expires > sent + 9, advance, step=0.1)
    assert runner.presence.expires == pytest.approx(sent + TTL - MARGIN, abs=0.01)


async def test_after_a_time_in_which_the_process_stood_still_a_check_ends_it(make, advance):
    runner = make()
    await runner.begin()
    number = runner.presence.number
    asyncio.get_running_loop()._now += 60  # no timer was called meanwhile
    assert not runner.presence.is_valid(number)
    assert runner.ends == []
    runner.presence.check()
    assert len(runner.ends) == 1


async def test_it_ends_when_another_runner_has_ended_it(make, bucket, advance, pass_time):
    runner, other = make(), make()
    await runner.begin()
    await until(lambda: other.known is not None, advance)
    assert await end_presence(bucket, "house", other.known)
    while not runner.ends:
        await pass_time(0.5)
    assert runner.ends == ["another runner has noticed that it was gone, and has ended its leases"]
    await runner.keeping


async def test_a_runner_that_gives_a_sign_of_life_at_the_last_moment_is_not_ended(
    make, bucket, advance
):
    runner, other = make(), make()
    await runner.begin()
    await until(lambda: other.known is not None, advance)
    known, revision = other.known, other.known.revision
    runner.presence.renew_soon()
    await until(lambda: other.known.revision > revision, advance)
    known.revision = revision  # as if that had not been received yet
    assert not await end_presence(bucket, "house", known)
    assert runner.presence.is_valid(runner.presence.number)


async def test_a_sign_of_life_whose_answer_was_lost_is_adopted(
    make, bucket, advance, pass_time, monkeypatch
):
    runner = make()
    await runner.begin()
    number, put = runner.presence.number, bucket.put
    lost = []

    async def lose(*args):
        revision = await put(*args)
        if not lost:
            lost.append(revision)
            raise NotConnected
        return revision

    monkeypatch.setattr(bucket, "put", lose)
    await pass_time(20)
    assert lost
    assert runner.ends == []
    assert runner.presence.is_valid(number)


async def test_it_tells_of_a_new_server_and_of_draining(make, advance):
    runner = make()
    await runner.begin()
    number = runner.presence.number
    runner.server = "s2"
    runner.presence.renew_soon(is_draining=True)
    await until(lambda: runner.known.presence.is_draining, advance)
    assert (runner.known.presence.server, runner.known.number) == ("s2", number)
    runner.server = ""  # while it is cut off
    runner.presence.renew_soon(is_draining=False)
    await until(lambda: not runner.known.presence.is_draining, advance)
    assert runner.known.presence.server == "s2"


async def test_it_can_be_left_and_begun_again(make, bucket, advance):
    runner = make()
    await runner.begin()
    number = runner.presence.number
    await runner.presence.leave()
    assert (await bucket.get(presence_key("house", "attic"))).is_deleted
    assert runner.ends == []
    await until(lambda: runner.known is None, advance)
    await runner.begin()
    assert runner.presence.number > number


async def test_an_earlier_presence_of_the_same_process_is_ended_at_once(make, advance):
    runner = make()
    await runner.begin()
    runner.presence.end("test")
    assert runner.ends == ["test"]
    await until(lambda: runner.known is not None, advance)
    await at_real_pace(runner.begin(), advance)
    assert runner.presence.number > 1


async def test_a_runner_waits_for_its_name_until_another_one_is_gone(make, advance, log):
    first, second = make("s1"), make("s2")
    await first.begin()
    await second.is_ready.wait()
    await until(lambda: second.known is not None, advance)
    task = asyncio.create_task(second.begin())
    await until(lambda: "cluster.name_taken" in log.events(), advance, step=0.001)
    assert log.find("cluster.name_taken")["host"] == "machine"
    assert not task.done()
    second.probe.gone.add("s1")
    await at_real_pace(task, advance)
    assert second.presence.number > first.presence.number
    assert log.events() == ["cluster.name_taken"]


async def test_a_runner_waits_while_one_is_there_whose_name_is_the_same_in_paths(
    make, advance, log
):
    first, second = make("s1", "attic.1"), make("s2", "attic-1")
    await first.begin()
    await second.is_ready.wait()
    await until(lambda: "attic.1" in second.roster.runners, advance)
    task = asyncio.create_task(second.begin())
    await until(lambda: "cluster.name_taken" in log.events(), advance, step=0.001)
    assert log.find("cluster.name_taken")["runner"] == "attic.1"
    assert not task.done()
    await first.presence.leave()
    await at_real_pace(task, advance)
    assert second.presence.number > first.presence.number


async def test_of_two_whose_names_are_the_same_in_paths_the_first_one_stays(
    make, advance, pass_time
):
    first, second = make("s1", "attic.1"), make("s2", "attic-1")
    await first.begin()
    await second.is_ready.wait()
    await until(lambda: "attic.1" in second.roster.runners, advance)
    second.roster.reset_runners()  # as if it did not know of the first one yet
    await at_real_pace(second.begin(), advance)
    await pass_time(5)
    assert first.presence.is_valid(first.presence.number)
    assert first.ends == []
    assert second.ends == ["attic.1 has the same name in paths"]
