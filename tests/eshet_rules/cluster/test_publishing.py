"""Publications in a real nats-server, and runners that take them over."""

import asyncio
import contextlib
import itertools
import random
import threading

import msgspec
import pytest

from eshet.nats.bucket import Bucket
from eshet_rules.cluster.publication import (
    KEPT,
    FileList,
    Publication,
    PublishedFile,
    digest_of,
    short_hash,
)
from eshet_rules.cluster.published_folder import MARKER, REPLACED, PublishedFolder
from eshet_rules.cluster.published_rules import PublishedRules
from eshet_rules.cluster.publishing import Publishing
from eshet_rules.exceptions import PublicationDamaged, PublishedMeanwhile
from eshet_rules.threads import RunnerThreads
from tests.support.clustered import ClusteredHouse
from tests.support.nats import at_real_pace
from tests.support.rules import Folder
from tests.support.waiting import eventually, passing_time, until

NUMBERS = itertools.count()
TIMES = itertools.count()

ROOM = """
from eshet import yarp
from eshet_rules import rule

@rule
async def {name}():
    await yarp.state_register("/{name}", yarp.Value({value}))
"""


@pytest.fixture
def publishing(bucket):
    return Publishing(bucket, "house")


@pytest.fixture
def threads():
    threads = RunnerThreads()
    yield threads
    threads.close()


@pytest.fixture
def attic(publishing, folder, log, threads):
    """What takes over publications at a runner."""
    kept = PublishedFolder(folder.path, (), threading.Lock())
    return PublishedRules(publishing, kept, threads, log.logger)


def publication(contents):
    encoded = FileList.of(contents).encode()
    return Publication(
        hash=digest_of(encoded),
        size=len(encoded),
        files=len(contents),
        revision="8c1e0d2f77",
        by="ann@desk",
        time=str(next(TIMES)),
    )


def texts(**files):
    return {f"{name}.py": text.encode() for name, text in files.items()}


async def publish(publishing, contents, before=None):
    before = before or await publishing.read()
    made = publication(contents)
    await publishing.publish(contents, made, before)
    return made


async def contents_of(publishing):
    """Return the contents of the present publication, all of them checked."""
    files = await publishing.files_of((await publishing.read()).current)
    return await publishing.contents_of(files.files)


def blob(content):
    return f"blob.house.{digest_of(content)}.0"


def present(folder):
    return {each.name: each.read_bytes() for each in folder.path.glob("*.py")}


# --- storing --------------------------------------------------------------------------------------


async def test_what_is_published_is_read_again(publishing):
    contents = {"hall.py": b"1", "up stairs/küche.py": b"", "data.bin": bytes(range(256)) * 5000}
    made = await publish(publishing, contents)
    published = await publishing.read()
    assert published.current == made
    assert await contents_of(publishing) == contents
    assert await Publishing(publishing.bucket, "other").read() == ((), 0, "")


async def test_without_a_bucket_nothing_is_published(connection):
    bucket = Bucket(connection, f"test_{next(NUMBERS)}_missing")
    assert await Publishing(bucket, "house").read() == ((), 0, "")


async def test_thousands_of_files(publishing):
    contents = {f"floor{n % 20}/room{n}.py": str(n).encode() for n in range(2000)}
    await publish(publishing, contents)
    assert await contents_of(publishing) == contents


async def test_of_two_publishers_at_once_one_succeeds(publishing):
    before = await publishing.read()
    results = await asyncio.gather(
        *(publish(publishing, texts(hall=str(n)), before) for n in range(5)), return_exceptions=True
    )
    (made,) = [each for each in results if isinstance(each, Publication)]
    refused = [each for each in results if each != made]
    assert {type(each) for each in refused} == {PublishedMeanwhile}
    assert (await publishing.read()).publications == (made,)
    await contents_of(publishing)


async def test_a_publisher_removes_nothing_that_another_one_is_storing(publishing, monkeypatch):
    await publish(publishing, texts(hall="1"))
    other = Publishing(publishing.bucket, "house")
    contents, keys, tried = texts(hall="3", bath="4"), publishing.bucket.keys, []

    async def publish_first(below):
        monkeypatch.setattr(publishing.bucket, "keys", keys)
        before = await other.read()
        for data in (*contents.values(), FileList.of(contents).encode()):
            await other._put(data)
        tried.append(before)
        return await keys(below)

    monkeypatch.setattr(publishing.bucket, "keys", publish_first)
    await publish(publishing, texts(hall="2"))
    (before,) = tried
    await other.make_current(publication(contents), before)
    assert await contents_of(publishing) == contents


async def test_many_publishers_at_once_lose_nothing(publishing, connection):
    """They have most contents in common, which others remove when no publication needs them."""

    async def publish_often(seed):
        rng = random.Random(seed)  # noqa: S311
        other = Publishing(Bucket(connection, publishing.bucket.name), "house")
        made = 0
        while made < 8:
            contents = {f"{name}.py": b"%d" % rng.randrange(3) for name in rng.sample("abcdef", 3)}
            with contextlib.suppress(PublishedMeanwhile):
                await publish(other, contents)
                made += 1

    await asyncio.gather(*map(publish_often, range(4)))
    published = await publishing.read()
    assert len(published.publications) == KEPT
    for each in published.publications:
        await publishing.contents_of((await publishing.files_of(each)).files)


async def test_what_a_killed_publisher_has_left_is_removed_by_the_next_one(publishing, bucket):
    await bucket.put(blob(b"left"), b"left", None)
    made = await publish(publishing, texts(hall="1"))
    keys = {f"blob.house.{made.hash}.0", blob(b"1")}
    assert set(await bucket.keys("blob")) == keys


async def test_the_last_ten_publications_stay_and_what_only_others_needed_goes(publishing, bucket):
    other = Publishing(bucket, "cottage")
    await publish(other, texts(hall="cottage"))
    made = [await publish(publishing, texts(hall=str(n), same="same")) for n in range(13)]
    published = await publishing.read()
    assert published.publications == tuple(made[3:])
    keys = await bucket.keys("blob.house")
    assert len(keys) == 10 + 10 + 1
    for each in published.publications:
        await publishing.contents_of((await publishing.files_of(each)).files)
    assert await contents_of(other) == texts(hall="cottage")


async def test_an_earlier_publication_becomes_the_present_one_again(publishing):
    first = await publish(publishing, texts(hall="1"))
    second = await publish(publishing, texts(hall="2"))
    await publishing.make_current(first, await publishing.read())
    assert (await publishing.read()).publications == (second, first)
    assert await contents_of(publishing) == texts(hall="1")


@pytest.mark.parametrize("damage", [b"", b"2", b"11", None])
async def test_a_damaged_content_is_noticed_and_stored_again_by_another_publication(
    publishing, bucket, damage
):
    contents = texts(hall="1", bath="0")
    await publish(publishing, contents)
    if damage is None:
        await bucket.delete(blob(b"1"), None)
    else:
        await bucket.put(blob(b"1"), damage, None)
    with pytest.raises(PublicationDamaged, match=r"hall\.py is damaged in NATS; publish"):
        await contents_of(publishing)
    await publish(publishing, contents)
    assert await contents_of(publishing) == contents
    assert len((await publishing.read()).publications) == 1


async def test_a_missing_part_of_a_content(publishing, bucket):
    made = await publish(publishing, {"hall.py": b"#" * (1 << 20)})
    key = f"blob.house.{digest_of(b'#' * (1 << 20))}"
    assert sorted(await bucket.keys("blob")) == sorted(
        [f"{key}.0", f"{key}.1", f"blob.house.{made.hash}.0"]
    )
    await bucket.purge(key, 1 << 40)
    with pytest.raises(PublicationDamaged, match=r"hall\.py is missing in NATS"):
        await contents_of(publishing)


async def test_a_head_of_garbage_is_replaced(publishing, bucket):
    await bucket.put("head.house", b"garbage", None)
    published = await publishing.read()
    assert published.current is None
    assert published.problem
    made = await publish(publishing, texts(hall="1"))
    assert (await publishing.read()).publications == (made,)


# --- taking over ----------------------------------------------------------------------------------


@pytest.fixture
async def following(attic):
    """Publications are followed in the background."""
    running = asyncio.create_task(attic.run())
    yield
    running.cancel()
    await asyncio.wait([running])


async def logged(log, event, number=1):
    """Wait for the last of several records of an event, and return it."""
    found = await eventually(
        lambda: [each for each in log.records if each["event"] == event],
        lambda found: len(found) == number,
    )
    return found[-1]


async def test_a_runner_takes_over_what_is_published_before_it_starts(
    publishing, attic, folder, log
):
    made = await publish(publishing, texts(hall="1", bath="2"))
    await attic.begin()
    assert present(folder) == texts(hall="1", bath="2")
    taken = log.find("rules.taken_over")
    assert (taken["publication"], taken["revision"], taken["by"], taken["added"]) == (
        short_hash(made.hash),
        "8c1e0d2f",
        "ann@desk",
        ["bath.py", "hall.py"],
    )
    await attic.begin()
    assert log.events() == ["rules.taken_over"]


async def test_a_runner_starts_with_its_folder_if_nothing_is_published(attic, folder, log):
    folder.write("hall.py", "mine")
    await attic.begin()
    assert present(folder) == texts(hall="mine")
    assert "nothing is published" in log.find("rules.of_folder")["why"]


async def test_a_runner_starts_with_its_folder_if_nats_is_away(attic, folder, connection, log):
    await connection.close()
    await attic.begin()
    assert log.events() == ["rules.of_folder"]


async def test_a_runner_starts_with_its_folder_if_nats_does_not_answer(
    nats, publishing, attic, log, advance
):
    await publish(publishing, texts(hall="1"))
    nats.freeze()
    try:
        await passing_time(attic.begin(), advance)
    finally:
        nats.thaw()
    assert log.events() == ["rules.of_folder"]


async def test_a_runner_waits_for_a_slow_disk_at_the_start(
    publishing, attic, folder, log, threads, advance, monkeypatch
):
    await publish(publishing, texts(hall="1"))
    run, is_writing = threads.run, asyncio.Event()

    async def run_slowly(function, *arguments):
        if function.__name__ == "take_over":
            is_writing.set()
            await asyncio.sleep(60)
        return await run(function, *arguments)

    monkeypatch.setattr(threads, "run", run_slowly)
    starting = asyncio.create_task(attic.begin())
    await until(is_writing.is_set, advance)
    await passing_time(starting, advance)
    assert present(folder) == texts(hall="1")
    assert log.events() == ["rules.taken_over"]


@pytest.mark.usefixtures("following")
async def test_each_new_publication_is_taken_over(publishing, folder, log, advance):
    for number in range(3):
        contents = texts(hall=str(number), bath="same")
        await publish(publishing, contents)
        taken = await at_real_pace(logged(log, "rules.taken_over", number + 1), advance)
        assert present(folder) == contents
    assert taken["changed"] == ["hall.py"]
    assert log.events() == ["rules.taken_over"] * 3


async def test_a_damaged_content_leaves_the_folder_as_it_was_until_it_is_published_again(
    publishing, bucket, attic, folder, log, advance, monkeypatch
):
    monkeypatch.setattr("eshet_rules.cluster.published_rules._RETRY", 0.2)
    await publish(publishing, texts(hall="1", bath="1"))
    await attic.begin()
    contents = texts(hall="2", bath="2", new="2", other="3")
    made = await publish(publishing, contents)
    await bucket.put(blob(b"2"), b"x", None)
    running = asyncio.create_task(attic.run())
    failed = await at_real_pace(logged(log, "rules.not_taken_over"), advance)
    assert failed["publication"] == short_hash(made.hash)
    assert failed["error"].endswith("is damaged in NATS; publish the rules again")
    assert attic.publication not in ("", failed["publication"])
    assert attic.problem == f"not {failed['publication']}: {failed['error']}"
    await at_real_pace(asyncio.sleep(1), advance)  # it is tried again in vain
    assert present(folder) == texts(hall="1", bath="1")
    await publish(publishing, contents)
    await at_real_pace(logged(log, "rules.taken_over", 2), advance)
    assert present(folder) == contents
    assert (attic.publication, attic.problem) == (short_hash(made.hash), "")
    assert log.events() == ["rules.taken_over", "rules.not_taken_over", "rules.taken_over"]
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.usefixtures("following")
async def test_a_head_of_garbage_leaves_the_folder_as_it_was(
    publishing, bucket, folder, log, advance
):
    await publish(publishing, texts(hall="1"))
    await at_real_pace(logged(log, "rules.taken_over"), advance)
    await bucket.put("head.house", b"\xc1garbage", None)
    failed = await at_real_pace(logged(log, "rules.not_taken_over"), advance)
    assert "publication" not in failed
    assert present(folder) == texts(hall="1")
    await publish(publishing, texts(hall="2"))
    await at_real_pace(logged(log, "rules.taken_over", 2), advance)
    assert present(folder) == texts(hall="2")


@pytest.mark.parametrize(
    "path",
    ["../../etc/x", "/etc/x", "../x.py", MARKER, "up/../../x.py", "eshet-rules.toml", "a\0b"],
)
async def test_paths_that_leave_the_folder_are_not_written(
    publishing, bucket, attic, folder, log, path
):
    """As someone could store who does not use our command."""
    files = FileList({"hall.py": PublishedFile(1, digest_of(b"1"))})
    bad = FileList({**files.files, path: PublishedFile(1, digest_of(b"1"))})
    encoded = bad.encode()
    await bucket.put(blob(b"1"), b"1", None)
    await bucket.put(blob(encoded), encoded, None)
    made = Publication(hash=digest_of(encoded), size=len(encoded), files=2, by="x", time="")
    await bucket.put("head.house", msgspec.msgpack.encode([made]), None)
    await attic.begin()
    assert short_hash(made.hash) in log.find("rules.not_taken_over")["error"]
    assert list(folder.path.iterdir()) == []
    with pytest.raises(PublicationDamaged):
        await publishing.files_of(made)


async def test_changes_by_hand_hold_until_something_else_is_published(
    publishing, attic, folder, log
):
    await publish(publishing, texts(hall="1", bath="1"))
    await attic.begin()
    folder.write("hall.py", "by hand")
    folder.write("mine.py", "mine")
    log.clear()
    await attic.begin()
    assert log.events() == ["rules.changed_by_hand"]
    assert log.records[0]["files"] == ["hall.py", "mine.py"]
    log.clear()
    await publish(publishing, texts(hall="2", bath="1"))
    await attic.begin()
    assert present(folder) == texts(hall="2", bath="1")
    assert log.events() == ["rules.taken_over", "rules.moved_aside"]
    moved = log.find("rules.moved_aside")
    assert moved["files"] == ["hall.py", "mine.py"]
    (place,) = (folder.path / REPLACED).iterdir()
    assert moved["folder"] == str(place)
    assert (place / "hall.py").read_text() == "by hand"


async def test_a_folder_with_rules_of_its_own_is_left_alone(publishing, attic, folder, log):
    folder.write("hall.py", "mine")
    await publish(publishing, texts(hall="1", bath="1"))
    await attic.begin()
    assert present(folder) == texts(hall="mine")
    assert (
        "has rules of its own, which published ones do not replace: hall.py; move them"
        in (log.find("rules.not_taken_over")["error"])
    )


@pytest.mark.usefixtures("following")
async def test_publications_are_followed_again_after_an_outage(
    publishing, connection, folder, log, nats, advance
):
    await publish(publishing, texts(hall="1"))
    await at_real_pace(logged(log, "rules.taken_over"), advance)
    nats.kill()
    await until(lambda: not connection.is_connected, advance)
    nats.start()
    await until(lambda: connection.is_connected, advance, 0.1)
    await at_real_pace(publish(publishing, texts(hall="2")), advance)
    await at_real_pace(logged(log, "rules.taken_over", 2), advance)
    assert present(folder) == texts(hall="2")


# --- runners --------------------------------------------------------------------------------------


@pytest.fixture
async def house(folder, nats, advance):
    async with ClusteredHouse(nats, f"tree{next(NUMBERS)}", folder, advance) as house:
        bucket = Bucket(house.server.connection, f"{house.tree}_rules")
        await house.paced(bucket.open())
        house.publishing = Publishing(bucket, "house")
        yield house


def rooms(**values):
    return {
        f"{name}.py": ROOM.format(name=name, value=value).encode() for name, value in values.items()
    }


async def test_two_runners_reload_once_what_was_published(house, tmp_path_factory):
    first = {f"room{number}": 1 for number in range(8)}
    await house.paced(publish(house.publishing, rooms(**first)))
    runners = [
        house.start(name, folder=Folder(tmp_path_factory.mktemp(name)), rules="published")
        for name in ("one", "two")
    ]
    await house.until(
        lambda: (
            all(each.loaded() for each in runners)
            and sum(len(each.loaded()) for each in runners) == 8
        )
    )
    for each in runners:
        events = each.log.events()
        assert events.index("rules.taken_over") < events.index("runner.started")
        each.log.check()
        each.log.clear()
    second = {**dict.fromkeys(first, 2), "garage": 2}
    del second["room0"]
    await house.paced(publish(house.publishing, rooms(**second)))
    await house.until(lambda: all("rules.taken_over" in each.log.events() for each in runners))
    await house.until(
        lambda: (
            sum(each.log.events().count("module.reloaded") for each in runners) >= 7
            and any("module.loaded" in each.log.events() for each in runners)
        )
    )
    await house.pass_time(1)
    for name in second:
        assert await house.get(f"/{name}") == 2
    events = [event for each in runners for event in each.log.events()]
    assert events.count("module.reloaded") == 7
    assert events.count("rules.taken_over") == 2
    assert "cluster.versions_differ" not in events


async def test_a_runner_that_has_nothing_yet_runs_what_is_published_later(house, tmp_path_factory):
    runner = house.start("one", folder=Folder(tmp_path_factory.mktemp("one")), rules="published")
    await house.until(lambda: "runner.started" in runner.log.events())
    await house.paced(publish(house.publishing, rooms(hall=1)))
    await house.until(lambda: runner.loaded() == {"hall"})
    assert await house.get("/hall") == 1
