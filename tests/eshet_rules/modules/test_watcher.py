import asyncio
import os
import shutil
from contextlib import aclosing

import pytest

from eshet_rules.modules import watcher
from eshet_rules.modules.watcher import DOUBT, _may_be_incomplete, watch, watch_file
from eshet_rules.threads import RunnerThreads
from tests.support.rules import Folder


@pytest.fixture
async def contents(folder, log, threads, rescan, doubt):
    """What is in the folder; nothing but hints of the system tells of a change."""
    watched = folder.path / "rules"
    watched.mkdir()
    folder.path = watched
    folder.write("hall.py", "a = 1")
    async with aclosing(
        watch(watched, log.logger, rescan=rescan, doubt=doubt, threads=threads)
    ) as contents:
        yield contents


@pytest.fixture
def threads():
    threads = RunnerThreads()
    yield threads
    threads.close()


@pytest.fixture
def doubt():
    """So that what is seen is believed, unless a test says otherwise."""
    return 0.0


@pytest.fixture
def rescan():
    """So that nothing but hints counts, unless a test says otherwise."""
    return 3600.0


@pytest.fixture
def next_change(contents, advance):
    async def watch_for_it():
        change = asyncio.create_task(anext(contents))
        await advance(0)
        return change

    return watch_for_it


async def test_the_first_content_is_what_is_there(contents):
    assert list(await anext(contents)) == ["hall"]


@pytest.mark.parametrize("save", ["write", "rename"])
async def test_a_save_is_seen(folder, contents, next_change, save):
    await anext(contents)
    change = await next_change()
    if save == "write":
        folder.write("hall.py", "a = 2")
    else:
        folder.write("hall.py.new", "a = 2").rename(folder.path / "hall.py")
    assert (await change)["hall"].data == b"a = 2"


async def test_new_and_removed_files_are_seen(folder, contents, next_change):
    await anext(contents)
    change = await next_change()
    folder.write("upstairs/bath.py", "")
    folder.remove("hall.py")
    assert list(await change) == ["upstairs.bath"]


@pytest.fixture
async def next_look(monkeypatch):
    """Return what is found when the folder is looked at the next time."""
    looks, discover = asyncio.Queue(), watcher.discover
    loop = asyncio.get_running_loop()

    def look(*args):
        found = discover(*args)
        loop.call_soon_threadsafe(looks.put_nowait, found)
        return found

    monkeypatch.setattr(watcher, "discover", look)
    return looks.get


def begin_to_save(folder, by):
    if by == "emptying":
        folder.write("hall.py", "")
    else:
        folder.remove("hall.py")


@pytest.mark.parametrize("doubt", [DOUBT])
@pytest.mark.parametrize("by", ["emptying", "moving away"])
async def test_a_file_that_is_being_saved_is_not_taken_for_empty(
    folder, next_look, contents, next_change, advance, by
):
    await anext(contents)
    change = await next_change()
    begin_to_save(folder, by)
    while (found := await next_look()) and found["hall"].data:
        pass
    folder.write("hall.py", "a = 2")
    await advance(DOUBT)
    assert (await change)["hall"].data == b"a = 2"


@pytest.mark.parametrize("doubt", [DOUBT])
@pytest.mark.parametrize(("by", "left"), [("emptying", {"hall": b""}), ("moving away", {})])
async def test_a_file_that_stays_empty_is_believed_to_be(
    folder, next_look, contents, next_change, advance, by, left
):
    await anext(contents)
    change = await next_change()
    begin_to_save(folder, by)
    while (found := await next_look()) and found["hall"].data:
        pass
    await advance(DOUBT / 2)
    assert not change.done()
    await advance(DOUBT / 2)
    assert {name: source.data for name, source in (await change).items()} == left


async def test_many_files_at_once_are_one_change(folder, contents, next_change):
    await anext(contents)
    change = await next_change()
    for number in range(200):
        folder.write(f"room_{number}.py", "")
    assert len(await change) == 201


async def test_what_is_touched_only_is_no_change(folder, contents, next_change):
    await anext(contents)
    change = await next_change()
    (folder.path / "hall.py").touch()
    folder.write("notes.txt", "not a module")
    folder.write("bath.py", "")
    assert list(await change) == ["bath", "hall"]


async def test_a_folder_that_is_replaced_is_watched_again(folder, contents, next_change, advance):
    await anext(contents)
    change = await next_change()
    shutil.rmtree(folder.path)
    assert await change == {}
    change = await next_change()
    folder.path.mkdir()
    folder.write("hall.py", "a = 2")
    await advance(1)
    assert (await change)["hall"].data == b"a = 2"
    change = await next_change()
    folder.write("hall.py", "a = 3")
    assert (await change)["hall"].data == b"a = 3"


async def test_a_link_to_the_folder_that_is_swapped_is_followed_at_once(
    tmp_path, log, threads, advance
):
    rules = Folder(tmp_path)
    rules.write("one/hall.py", "a = 1")
    rules.write("two/hall.py", "a = 2")
    link = tmp_path / "current"
    link.symlink_to("one")
    async with aclosing(
        watch(link, log.logger, rescan=3600.0, doubt=0.0, threads=threads)
    ) as contents:
        assert (await anext(contents))["hall"].data == b"a = 1"
        change = asyncio.create_task(anext(contents))
        await advance(0)
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").replace(link)
        assert (await change)["hall"].data == b"a = 2"
        change = asyncio.create_task(anext(contents))
        await advance(0)
        rules.write("two/hall.py", "a = 3")
        assert (await change)["hall"].data == b"a = 3"


@pytest.mark.parametrize("rescan", [0.05])
async def test_a_change_behind_a_link_is_seen_though_the_system_does_not_tell(
    folder, contents, next_change, tmp_path_factory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "shared.py"
    elsewhere.write_text("a = 1")
    (folder.path / "shared.py").symlink_to(elsewhere)
    assert (await anext(contents))["shared"].data == b"a = 1"
    change = await next_change()
    elsewhere.write_text("a = 22")
    assert (await change)["shared"].data == b"a = 22"


async def test_a_storm_of_saves_ends_with_the_last_and_few_batches(
    folder, contents, next_change, advance
):
    await anext(contents)
    change = await next_change()
    for number in range(300):
        folder.write("hall.py", f"a = {number}")
    seen = [await change]
    while seen[-1]["hall"].data != b"a = 299":
        seen.append(await anext(contents))
    assert len(seen) <= 2


@pytest.mark.parametrize("rescan", [0.1])
async def test_a_checkout_of_new_nested_folders_is_seen_whole(folder, contents, next_change):
    await anext(contents)
    change = await next_change()
    for number in range(500):
        folder.write(f"floor_{number % 7}/wing_{number % 11}/room_{number}.py", "a = 1")
    seen = await change
    while len(seen) < 501:
        seen = await anext(contents)
    assert len({source.path for source in seen.values()}) == 501


async def test_a_checkout_that_changes_many_files_is_one_batch(folder, contents, next_change):
    for number in range(200):
        folder.write(f"room_{number}.py", "a = 1")
    await anext(contents)
    change = await next_change()
    for number in range(200):
        folder.write(f"room_{number}.py.new", "a = 2").rename(folder.path / f"room_{number}.py")
    seen = await change
    assert sum(source.data == b"a = 2" for source in seen.values()) == 200


async def test_what_editors_and_version_control_leave_is_no_change(folder, contents, next_change):
    await anext(contents)
    change = await next_change()
    for name in (
        "hall.py~",
        ".hall.py.swp",
        "#hall.py#",
        "4913",
        ".git/index.lock",
        "hall.py.orig",
    ):
        folder.write(name, "not a module")
    folder.write("bath.py", "")
    assert list(await change) == ["bath", "hall"]


@pytest.mark.parametrize("rescan", [0.05])
async def test_a_folder_that_is_swapped_for_another_is_seen(
    folder, contents, next_change, tmp_path, advance
):
    await anext(contents)
    change = await next_change()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "hall.py").write_text("a = 2")
    folder.path.rename(tmp_path / "old")
    (tmp_path / "new").rename(folder.path)
    seen = await change
    while not seen:
        pending = await next_change()
        await advance(1)
        seen = await pending
    assert seen["hall"].data == b"a = 2"
    change = await next_change()
    folder.write("hall.py", "a = 3")
    assert (await change)["hall"].data == b"a = 3"


@pytest.mark.parametrize("rescan", [0.05])
async def test_a_linked_folder_is_followed(folder, contents, next_change, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "bath.py").write_text("a = 1")
    (folder.path / "upstairs").symlink_to(elsewhere)
    assert (await anext(contents))["upstairs.bath"].data == b"a = 1"
    change = await next_change()
    (elsewhere / "bath.py").write_text("a = 22")
    assert (await change)["upstairs.bath"].data == b"a = 22"


async def test_a_link_that_leads_back_is_not_followed(folder, contents):
    (folder.path / "again").symlink_to(folder.path)
    (folder.path / "itself").symlink_to(folder.path / "itself")
    assert list(await anext(contents)) == ["hall"]


# --- one file -------------------------------------------------------------------------------------


async def test_a_file_is_told_when_it_comes_changes_and_goes(tmp_path, log, threads, advance):
    file = tmp_path / "eshet-rules.toml"
    async with aclosing(
        watch_file(file, log.logger, rescan=3600.0, doubt=0.0, threads=threads)
    ) as contents:
        assert await anext(contents) is None
        for text in ("a = 1", "a = 2"):
            change = asyncio.create_task(anext(contents))
            await advance(0)
            (tmp_path / "other").write_text(text)
            file.write_text(text)
            assert await change == text.encode()
        change = asyncio.create_task(anext(contents))
        await advance(0)
        file.unlink()
        assert await change is None


async def test_a_file_that_is_no_ordinary_one_counts_as_none(tmp_path, log, threads, advance):
    file = tmp_path / "eshet-rules.toml"
    file.write_text("a = 1")
    watching = watch_file(file, log.logger, rescan=3600.0, doubt=0.0, threads=threads)
    async with aclosing(watching) as contents:
        assert await anext(contents) == b"a = 1"
        change = asyncio.create_task(anext(contents))
        await advance(0)
        file.unlink()
        os.mkfifo(file)
        assert await change is None


@pytest.fixture
def hint_each_second(monkeypatch):
    """Hints in virtual time, in the place of those of the system."""

    async def awatch(*args, **kwargs):
        while True:
            await asyncio.sleep(1)
            yield set()

    monkeypatch.setattr(watcher, "awatch", awatch)


class SlowThreads:
    """Scans take a second of virtual time."""

    def __init__(self):
        self.scans = 0

    async def run(self, function, *args):
        self.scans += 1
        await asyncio.sleep(1)
        return function(*args)


async def test_a_folder_whose_scan_takes_long_is_scanned_less_often_without_a_hint(
    folder, log, advance, hint_each_second
):
    threads = SlowThreads()
    watching = watch(folder.path, log.logger, rescan=1.0, doubt=0.0, threads=threads)
    async with aclosing(watching) as contents:
        first = asyncio.create_task(anext(contents))
        await advance(1)
        assert await first == {}
        change = asyncio.create_task(anext(contents))
        await advance(25)
        assert threads.scans == 2
        folder.write("hall.py", "a = 1")
        await advance(10)
        assert list(await change) == ["hall"]
        assert threads.scans == 3


@pytest.mark.parametrize("text", [None, "", "a = 1", "a = 1\nb"])
async def test_a_file_that_is_being_saved_is_not_told_until_it_is_stable(
    tmp_path, log, threads, advance, hint_each_second, text
):
    file = tmp_path / "eshet-rules.toml"
    file.write_text("a = 1\nb = 2")
    watching = watch_file(file, log.logger, rescan=3600.0, doubt=10.0, threads=threads)
    async with aclosing(watching) as contents:
        await anext(contents)
        change = asyncio.create_task(anext(contents))
        await advance(0)
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        await advance(3)  # what it holds now is seen, and doubted
        file.write_text("a = 1\nb = 3")
        await advance(5)
        assert not change.done()
        await advance(30)
        assert await change == b"a = 1\nb = 3"


async def test_a_module_that_has_no_rules_any_more_is_doubted(
    folder, log, threads, advance, hint_each_second
):
    whole = "from eshet_rules import rule\n@rule\nasync def light(): pass\n"
    folder.write("hall.py", whole)
    watching = watch(folder.path, log.logger, rescan=3600.0, doubt=10.0, threads=threads)
    async with aclosing(watching) as contents:
        await anext(contents)
        change = asyncio.create_task(anext(contents))
        await advance(0)
        folder.write("hall.py", "import math\n")
        await advance(3)
        folder.write("hall.py", whole + "# edited\n")
        await advance(30)
        assert (await change)["hall"].data.endswith(b"# edited\n")


TWO_RULES = """from eshet_rules import rule

@rule
async def light():
    pass

@rule
async def heater():
    pass
"""


@pytest.mark.parametrize("end", range(len(TWO_RULES)))
async def test_a_part_of_a_file_is_doubted(end):
    part = TWO_RULES[:end].encode()
    is_whole = end > TWO_RULES.rindex("rule") + 4 and part.endswith(b"\n")
    assert _may_be_incomplete(part, TWO_RULES.encode()) is not is_whole


# --- what the system can't watch -----------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [OSError(24, "inotify instance limit reached"), RuntimeError("x"), UnicodeError("x")]
)
async def test_without_hints_the_folder_is_scanned_at_intervals_and_that_is_logged_once(
    folder, log, threads, advance, monkeypatch, error
):
    async def awatch(*args, **kwargs):
        raise error
        yield

    monkeypatch.setattr(watcher, "awatch", awatch)
    folder.write("hall.py", "a = 1")
    watching = watch(folder.path, log.logger, rescan=2.0, doubt=0.0, threads=threads)
    async with aclosing(watching) as contents:
        await anext(contents)
        for number in range(3):
            change = asyncio.create_task(anext(contents))
            await advance(0)
            folder.write("hall.py", f"b = {number}")
            await advance(5)
            assert (await change)["hall"].data == f"b = {number}".encode()
    assert log.find("watcher.unavailable")["interval_s"] == 2.0
