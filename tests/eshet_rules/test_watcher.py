import asyncio
import shutil
from contextlib import aclosing

import pytest

from eshet_rules import watcher
from eshet_rules.watcher import watch


@pytest.fixture
async def contents(folder):
    """What is in the folder; nothing but hints of the system tells of a change."""
    watched = folder.path / "rules"
    watched.mkdir()
    folder.path = watched
    folder.write("hall.py", "a = 1")
    async with aclosing(watch(watched)) as contents:
        yield contents


@pytest.fixture(autouse=True)
def only_hints(monkeypatch):
    monkeypatch.setattr(watcher, "_RESCAN_MS", 3_600_000)


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


async def test_a_change_behind_a_link_is_seen_though_the_system_does_not_tell(
    folder, contents, next_change, monkeypatch, tmp_path_factory
):
    monkeypatch.setattr(watcher, "_RESCAN_MS", 50)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "shared.py"
    elsewhere.write_text("a = 1")
    (folder.path / "shared.py").symlink_to(elsewhere)
    assert (await anext(contents))["shared"].data == b"a = 1"
    change = await next_change()
    elsewhere.write_text("a = 22")
    assert (await change)["shared"].data == b"a = 22"
