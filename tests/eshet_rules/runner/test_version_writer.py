import pytest

from eshet_rules.reload.version_store import VersionStore
from eshet_rules.runner.version_writer import VersionWriter
from eshet_rules.threads import RunnerThreads


@pytest.fixture
async def threads():
    threads = RunnerThreads()
    yield threads
    threads.close()


@pytest.fixture
def store(tmp_path):
    return VersionStore(tmp_path / "state" / "versions")


@pytest.fixture
def writer(house, store, threads):
    writer = VersionWriter(store, house.log.logger, threads)
    house.reloader.on_take_over = lambda old, new: writer.add(new.version)
    return writer


async def test_each_version_that_takes_over_is_kept(house, store, writer):
    for level in (1, 2):
        house.write_level("hall", level)
        await house.reload()
    await writer.written()
    newest, oldest = store.versions("hall")
    assert newest.version == house.reloader.instances["hall"].version.source.version
    assert b"yarp.Value(1)" in store.read(oldest)


async def test_a_version_that_fails_is_not_kept(house, store, writer):
    house.write_level("hall", 1)
    await house.reload()
    house.write_level("hall", "1 / 0")
    await house.reload()
    house.write("hall.py", "a = = 1")
    await house.reload()
    await writer.written()
    assert len(store.versions("hall")) == 1


async def test_helpers_are_kept_as_modules_of_their_own(house, store, writer):
    house.write("_settings.py", "LEVEL = 1")
    house.write("hall.py", "from _settings import LEVEL\nfrom eshet_rules import rule\n"
                "@rule\nasync def light():\n    pass\n")  # fmt: skip
    await house.reload()
    house.write("_settings.py", "LEVEL = 2")
    await house.reload()
    await writer.written()
    assert store.modules() == ["_settings", "hall"]
    assert [store.read(each) for each in store.versions("_settings")] == [
        b"LEVEL = 2",
        b"LEVEL = 1",
    ]
    assert len(store.versions("hall")) == 1


async def test_a_full_folder_is_logged_once_until_it_has_space(house, store, writer):
    store.folder.parent.mkdir()
    store.folder.touch()
    for level in (1, 2):
        house.write_level("hall", level)
        assert await house.reload()
        await writer.written()
    assert house.log.find("versions.not_kept")["folder"] == str(store.folder)
    store.folder.unlink()
    house.write_level("hall", 3)
    await house.reload()
    await writer.close()
    assert len(store.versions("hall")) == 1
