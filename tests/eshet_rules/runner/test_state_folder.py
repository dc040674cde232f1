import asyncio
import contextlib
import errno
import os
import shutil
import subprocess
import sys

import pytest

from eshet.server import Server
from eshet_rules.exceptions import StateInUse
from eshet_rules.runner import lock as lock_module
from eshet_rules.runner import state_folder as state_module
from eshet_rules.runner.lock import locked
from eshet_rules.runner.main import run
from eshet_rules.runner.state_folder import adopt_state, mark_state, state_folder
from tests.eshet_rules.runner.test_lock import HOLD

RULE = """
from eshet_rules import keep, rule

@rule
async def counter():
    keep("n", 1)
"""


@contextlib.contextmanager
def holding(place):
    """Let another process hold the lock of a state folder."""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLD, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.fixture
def base(tmp_path):
    return tmp_path / "state"


class TestRename:
    """The state folder of a rules folder that has another path now."""

    @pytest.fixture
    def rules(self, tmp_path):
        folder = tmp_path / "rules"
        folder.mkdir()
        return folder

    def start(self, base, folder, log):
        """Do what a start of the runner does; return what it finds in its state folder."""
        adopt_state(base, folder, log.logger)
        place = state_folder(base, folder)
        with locked(place):
            mark_state(place, folder)
        found = (place / "memory").read_text() if (place / "memory").exists() else None
        (place / "memory").write_text(str(folder))
        return found

    def test_it_is_found_and_that_is_logged(self, base, rules, log, tmp_path):
        self.start(base, rules, log)
        renamed = rules.rename(tmp_path / "house")
        assert self.start(base, renamed, log) == str(rules)
        record = log.find("state_folder.renamed")
        assert (record["before"], record["folder"]) == (str(rules), str(renamed))
        assert self.start(base, renamed.rename(rules), log) == str(renamed)

    def test_it_stays_with_the_original_of_a_copy(self, base, rules, log, tmp_path):
        self.start(base, rules, log)
        copy = tmp_path / "copy"
        shutil.copytree(rules, copy)
        assert os.listxattr(copy) == os.listxattr(rules)
        assert self.start(base, copy, log) is None
        assert self.start(base, rules, log) == str(rules)
        shutil.rmtree(rules)  # the copy has got an id of its own
        renamed = copy.rename(tmp_path / "renamed")
        assert self.start(base, renamed, log) == str(copy)

    def test_without_an_id_it_is_reported_with_what_to_do(
        self, base, rules, log, tmp_path, monkeypatch
    ):
        def refuse(*args):
            raise OSError(errno.ENOTSUP, "Operation not supported")

        monkeypatch.setattr(os, "setxattr", refuse)
        self.start(base, rules, log)
        renamed = rules.rename(tmp_path / "house")
        assert self.start(base, renamed, log) is None
        record = log.find("state_folder.orphan_found")
        assert record["before"] == str(rules)
        before, after = state_folder(base, rules), state_folder(base, renamed)
        assert record["advice"].endswith(f"run `mv {before} {after}`")

    def test_one_that_another_runner_uses_is_refused(self, base, rules, log, tmp_path):
        self.start(base, rules, log)
        place = state_folder(base, rules)
        renamed = rules.rename(tmp_path / "house")
        with holding(place), pytest.raises(StateInUse, match="runs these rules already"):
            adopt_state(base, renamed, log.logger)
        assert place.exists()

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"id":', "[" * 100_000, "\ud800"])
    def test_a_damaged_mark_is_written_again(self, base, rules, log, content):
        self.start(base, rules, log)
        mark = state_folder(base, rules) / "rules-folder.json"
        good = mark.read_bytes()
        mark.write_bytes(content.encode(errors="surrogatepass"))
        self.start(base, rules, log)
        assert mark.read_bytes() == good


class TestRemoved:
    """The state folder, or the lock in it, is deleted while the runner uses it."""

    @pytest.fixture
    async def runner(self, folder, log, base, advance):
        folder.write("hall.py", RULE)
        async with Server() as server:
            work = run(folder.path, log.logger, server=server, state=base, guarded=False)
            runner = asyncio.create_task(work)
            await advance(2)
            yield runner
            runner.cancel()
            await asyncio.wait([runner])

    @pytest.fixture
    def place(self, folder, base):
        return state_folder(base, folder.path)

    def second(self, place):
        """Try to be a second runner, and return what that one is told."""
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-c", HOLD, str(place)],
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.stdout + ended.stderr.rpartition("\n  ")[2]

    async def test_a_lock_is_made_again_and_was_never_free(self, runner, place, advance, log):
        (place / "lock").unlink()
        assert "another runner runs these rules already" in self.second(place)
        await advance(1)
        assert (place / "lock").read_text() == f"{os.getpid()}\n"
        assert log.find("lock.restored")["folder"] == str(place)
        assert f"process {os.getpid()}" in self.second(place)

    async def test_a_folder_is_made_again_with_all_that_was_in_it(
        self, runner, place, advance, log
    ):
        before = {path.name for path in place.iterdir()}
        shutil.rmtree(place)
        await advance(2)
        assert {path.name for path in place.iterdir()} == before
        assert {"checkpoint", "lock", "rules-folder.json"} <= before
        assert f"process {os.getpid()}" in self.second(place)

    async def test_the_first_runner_ends_if_a_second_one_was_faster(self, runner, place, advance):
        shutil.rmtree(place)
        with holding(place) as other:
            await advance(1)
            with pytest.raises(StateInUse, match=f"process {other.pid}"):
                await runner

    async def test_what_can_not_be_made_again_is_logged_once_and_tried_again(
        self, runner, place, advance, log
    ):
        shutil.rmtree(place.parent)
        place.parent.touch()  # a file, in which there can be no folder
        await advance(5)
        assert log.events().count("lock.not_restored") == 1
        assert not runner.done()
        place.parent.unlink()
        await advance(2)
        assert (place / "checkpoint").exists()


async def test_without_space_rules_run_and_state_is_kept_as_soon_as_there_is_some(
    folder, log, base, advance, monkeypatch
):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder.write("hall.py", RULE)
    place = state_folder(base, folder.path)
    async with Server() as server:
        with monkeypatch.context() as patched:
            for module in (lock_module, state_module):
                patched.setattr(module, "make_private_folder", full, raising=False)
            patched.setattr("eshet_rules.reload.checkpoint.make_private_folder", full)
            patched.setattr("eshet_rules.reload.version_store.make_private_folder", full)
            work = run(folder.path, log.logger, server=server, state=base)
            runner = asyncio.create_task(work)
            await advance(2)
        assert log.find("state_folder.full")
        assert log.find("runner.started")["modules"] == 1
        assert not place.exists()
        await advance(2)
        kept = {"checkpoint", "lock", "rules-folder.json", "versions"}
        assert kept <= {p.name for p in place.iterdir()}
        runner.cancel()
        await asyncio.wait([runner])
