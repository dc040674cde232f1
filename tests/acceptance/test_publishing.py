"""Rules that are published for the runners of a cluster, with real processes."""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from eshet.nats.address import NatsAddress
from eshet.nats.bucket import Bucket
from eshet.nats.connection import NatsConnection
from eshet_rules.cluster.publication import digest_of
from eshet_rules.cluster.publishing import Publishing
from tests.support.nats import NatsServer
from tests.support.processes import COMMANDS, command, environment, running
from tests.support.rules import Folder
from tests.support.runner import Runner, runner

T = TypeVar("T")

NO_RUNNER = "eshet-rules: no runner of the cluster house is there to take them over\n"

NUMBERS = itertools.count()
PATIENCE = 20.0

ROOM = """
from eshet import yarp
from eshet_rules import rule

@rule
async def {name}():
    await yarp.state_register("/{name}", yarp.Value({value}))
"""


class House:
    """Rules to publish, in a git repository, and runners that take them over.

    Args:
        url: of its tree on NATS.
        folder: for its files.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.rules = Folder(folder / "repository" / "rules")
        self.rules.path.mkdir(parents=True)
        self.git("init", "-q")
        self.git("config", "user.name", "Ann")
        self.git("config", "user.email", "ann@example.org")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(self.rules.path.parent), *arguments],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, subject: str) -> str:
        """Commit the rules, and return the first digits of the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        return self.git("rev-parse", "HEAD")[:8]

    def room(self, name: str, value: int) -> None:
        self.rules.write(f"{name}.py", ROOM.format(name=name, value=value))

    def arguments(self, *options: str) -> list[str]:
        place = ["--cluster", "house", "--server", self.url]
        return ["eshet-rules", "publish", str(self.rules.path), *place, *options]

    def publish(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = self.arguments(*options)
        return subprocess.run(  # noqa: S603 - the project's own command
            [str(COMMANDS / program), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**environment(""), "PATH": os.environ["PATH"], **variables},  # for git
        )

    def published(self, *options: str) -> list[str]:
        """Publish, and return the printed lines."""
        done = self.publish(*options)
        assert (done.stderr.replace(NO_RUNNER, ""), done.returncode) == ("", 0)
        return done.stdout.splitlines()

    def of(self, name: str) -> Folder:
        """Return the rules folder of a runner."""
        folder = Folder(self.folder / name)
        folder.path.mkdir(exist_ok=True)
        return folder

    @contextlib.contextmanager
    def start(self, name: str) -> Iterator[Runner]:
        config = self.folder / f"{name}.toml"
        config.write_text(
            f"""
            [cluster]
            name = "house"
            server = "{self.url}"
            listen = "127.0.0.1:0"
            runner = "{name}"
            ttl = 10
            """
        )
        state = ["--state-dir", str(self.folder / "state" / name)]
        options = ["--config", str(config), *state, "--published"]
        with runner(self.of(name), "", *options) as started:
            yield started

    def texts(self, name: str) -> dict[str, str]:
        """Return the rules of a runner, by path."""
        return modules(self.of(name))

    def in_nats(self, work: Callable[[Publishing], Awaitable[T]]) -> T:
        """Return the result of some work on what is published."""
        address = NatsAddress.parse(self.url)

        async def run() -> T:
            connection = NatsConnection(address, name="test")
            await connection.open()
            try:
                return await work(
                    Publishing(Bucket(connection, f"{address.prefix}_rules"), "house")
                )
            finally:
                await connection.close()

        return asyncio.run(run())


def modules(folder: Folder) -> dict[str, str]:
    return {
        file.relative_to(folder.path).as_posix(): file.read_text()
        for file in folder.path.rglob("*.py")
        if not any(part.startswith(".") for part in file.relative_to(folder.path).parts)
    }


@pytest.fixture
def house(nats: NatsServer, tmp_path: Path) -> House:
    return House(f"{nats.url}/test{next(NUMBERS)}", tmp_path)


def short(line: str) -> str:
    """Return the hash in a line such as `published 3f2a91bc: 2 files`."""
    return line.split()[1].rstrip(":")


def test_two_runners_take_over_what_is_published(house: House) -> None:
    house.room("hall", 1)
    house.rules.write("up stairs/_lib.py", "LUX = 3\n")
    commit = house.commit("Light the hall")
    lines = house.published()
    assert lines[:2] == ["added hall.py", "added up stairs/_lib.py"]
    first = short(lines[2])
    assert lines[2] == f'published {first}: 2 files, {commit} "Light the hall"'
    with house.start("attic") as attic, house.start("cellar") as cellar:
        for each in (attic, cellar):
            taken = each.wait_for("rules.taken_over", publication=first)
            assert (taken["revision"], taken["added"]) == (commit, ["hall.py", "up stairs/_lib.py"])
            each.wait_for("cluster.joined")
        before = modules(house.rules)
        assert house.texts("attic") == house.texts("cellar") == before

        house.room("hall", 2)
        house.room("bath", 1)
        house.rules.remove("up stairs/_lib.py")
        lines = house.published("--dry-run")
        changes = ["added bath.py", "changed hall.py", "removed up stairs/_lib.py"]
        assert lines[:3] == changes
        second = short(lines[3].removeprefix("would "))
        assert (
            lines[3] == f'would publish {second}: 2 files, changes after {commit} "Light the hall"'
        )
        assert house.published()[:3] == changes
        for each in (attic, cellar):
            taken = each.wait_for("rules.taken_over", publication=second)
            assert taken["revision"] == f"{commit} with changes"
        assert house.texts("attic") == house.texts("cellar") == modules(house.rules)
        (same,) = house.published()
        assert same.startswith(f"nothing has changed since {second} by ")

        assert house.published("--again", first[:3])[-1].startswith(f"published {first}: 2 files")
        for each in (attic, cellar):
            each.wait_for("rules.taken_over", publication=first)
        assert house.texts("attic") == house.texts("cellar") == before
        listed = house.published("--list")
        assert [line.split()[0] for line in listed] == ["HASH", first, second]
        assert listed[1].endswith(f'2      {commit} "Light the hall"')
        for each in (attic, cellar):
            assert each.stop() == 0


def test_a_git_revision_is_published_whatever_the_checkout_has(house: House) -> None:
    house.room("hall", 1)
    house.commit("First")
    house.room("hall", 2)
    house.commit("Second")
    house.rules.write("hall.py", "not python (")
    status = house.git("status", "--porcelain")
    lines = house.published("--revision", "HEAD~1")
    first = house.git("rev-parse", "HEAD~1")[:8]
    assert lines[-1].endswith(f': 1 file, {first} "First"')
    assert house.git("status", "--porcelain") == status
    with house.start("attic") as attic:
        attic.wait_for("rules.taken_over", revision=first)
        assert house.texts("attic") == {"hall.py": ROOM.format(name="hall", value=1)}


def test_what_would_remove_most_files_is_only_published_if_that_is_wanted(house: House) -> None:
    for name in ("hall", "bath", "attic"):
        house.room(name, 1)
    house.published()
    house.rules.remove("hall.py")
    house.published()  # one of three
    house.rules.remove("bath.py")
    house.rules.remove("attic.py")
    house.room("other", 1)
    for options in ([], ["--dry-run"]):
        done = house.publish(*options)
        assert done.returncode == 1
        assert done.stdout.splitlines() == ["added other.py", "removed attic.py", "removed bath.py"]
        assert done.stderr == (
            "eshet-rules: 2 of 2 published files would be removed from all runners, so nothing was "
            "published: name the right folder, or give --yes if this is wanted\n"
        )
    assert len(house.published("--list")) == 3
    assert house.published("--yes")[-1].endswith(": 1 file")


def test_what_looks_like_the_wrong_folder_is_only_published_if_that_is_wanted(house: House) -> None:
    house.rules.write("setup.py", "import os\n")
    house.rules.write("tools/backup.py", "")
    for options in ([], ["--dry-run"]):
        done = house.publish(*options)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "eshet-rules: 2 of 2 modules have no rules, and no module with rules imports them "
            "(setup.py, tools/backup.py), so nothing was published: name the right folder, or give "
            "--yes if this is wanted\n"
        )
    house.rules.remove("tools/backup.py")
    house.room("hall", 1)
    for home in (house.rules.path, house.rules.path / "ann"):
        done = house.publish(HOME=str(home))
        assert (done.returncode, done.stdout) == (2, "")
        assert "this is your home folder, or contains it: name the folder with your" in done.stderr
    assert house.publish("--list").stderr == "eshet-rules: nothing is published for house\n"
    done = house.publish()
    assert done.stdout.splitlines()[:2] == ["added hall.py", "added setup.py"]
    assert done.stderr == (
        "eshet-rules: setup.py has no rules, and no module with rules imports it\n" + NO_RUNNER
    )
    assert house.publish("--yes", HOME=str(house.rules.path)).returncode == 0


def test_a_file_in_place_of_the_folder_is_refused(house: House) -> None:
    house.room("hall", 1)
    place = str(house.rules.path / "hall.py")
    options = ["--cluster", "house", "--server", house.url]
    for arguments in (["publish"], ["publish", "--list"], ["stats", "--cluster"]):
        placed = [*arguments, place, *(options[2:] if arguments[0] == "stats" else options)]
        done = command("eshet-rules", *placed)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{place}: this is a file; name its folder" in done.stderr


def test_a_cluster_without_runners_is_told_of_with_those_that_have_some(house: House) -> None:
    house.room("hall", 1)
    assert house.publish().stderr == NO_RUNNER
    with house.start("attic") as attic:
        attic.wait_for("cluster.joined")
        assert house.publish().stderr == ""
        assert house.publish("--cluster", "hous").stderr == (
            "eshet-rules: no runner of the cluster hous is there to take them over; clusters with "
            "runners: house\n"
        )
        assert attic.stop() == 0
    assert house.publish().stderr == NO_RUNNER


def test_a_damaged_content_leaves_each_folder_as_it_was(house: House) -> None:
    house.room("hall", 1)
    house.published()
    with house.start("attic") as attic:
        attic.wait_for("runner.started")
        before = house.texts("attic")
        house.room("hall", 2)
        house.room("bath", 2)
        content = (house.rules.path / "hall.py").read_bytes()
        key = f"blob.house.{digest_of(content)}.0"
        attic.process.send_signal(signal.SIGSTOP)  # until the damage is done
        made = short(house.published()[-1])
        house.in_nats(lambda publishing: publishing.bucket.put(key, b"x", None))
        attic.process.send_signal(signal.SIGCONT)
        failed = attic.wait_for("rules.not_taken_over", publication=made)
        assert failed["error"] == "hall.py is damaged in NATS; publish the rules again"
        assert house.texts("attic") == before
        assert house.publish("--again", made).stderr.startswith("eshet-rules: hall.py is damaged")
        house.published()
        attic.wait_for("rules.taken_over", publication=made)
        assert house.texts("attic") == modules(house.rules)


def test_nothing_is_published_if_a_file_can_not_be(house: House, tmp_path: Path) -> None:
    house.room("hall", 1)
    house.published()
    house.room("hall", 2)
    house.rules.write("bath.py", "x = 1\ny = (\n")
    (tmp_path / "outside.py").write_text("")
    (house.rules.path / "link.py").symlink_to(tmp_path / "outside.py")
    done = house.publish()
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "eshet-rules: bath.py:2: SyntaxError: '(' was never closed",
        f"eshet-rules: link.py is a link to {tmp_path}/outside.py, outside of the rules folder: "
        "replace it by a copy",
        "eshet-rules: nothing was published",
    ]
    assert len(house.published("--list")) == 2


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--list", "--dry-run"], 2, "--list only lists"),
        (["--again", "3f", "--revision", "main"], 2, "--again takes the files of an earlier"),
        (["--again", "3f"], 1, "there is no publication 3f"),
        (["--revision", "nowhere"], 1, "; name a revision such as HEAD~1"),
        (["--with", "x.toml"], 1, "x.toml matches no file in"),
        (
            ["--server", "house:11236"],
            2,
            "needs NATS servers: name them with --server nats://HOST, not house",
        ),
        (["--server", "nats://127.0.0.1:1"], 1, "can't connect to nats://127.0.0.1:1/eshet"),
        (["--cluster", "a.b"], 2, "is not a valid name"),
    ],
)
def test_errors_of_the_command(house: House, options: list[str], code: int, text: str) -> None:
    house.room("hall", 1)
    house.commit("First")
    done = house.publish(*options)
    assert done.returncode == code
    assert text in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert house.publish("--list").stderr == "eshet-rules: nothing is published for house\n"


@pytest.mark.parametrize("option", ["--once", "--shadow", "--only=hall", ""])
def test_only_a_runner_of_a_cluster_takes_over_what_is_published(house: House, option: str) -> None:
    house.room("hall", 1)
    options = [option] if option else []
    done = command("eshet-rules", "run", str(house.rules.path), "--published", *options)
    assert done.returncode == 2
    assert "--published is for a runner of a cluster" in done.stderr.replace("\n", " ")


def test_a_publisher_that_is_killed_leaves_the_last_publication(house: House) -> None:
    for number in range(100):
        house.room(f"room{number}", 1)
    complete = house.published()[-1]
    for killed in range(6):
        for number in range(100):
            house.room(f"room{number}", 2 + killed)
        with running(*house.arguments()) as publisher:
            assert publisher.stdout is not None
            publisher.stdout.readline()  # from now on it stores the files
            time.sleep(0.01 * killed)  # at another moment each time
            publisher.kill()
            publisher.wait()
        listed = house.published("--list")[1].split()[0]
        if listed != short(complete):  # it was faster
            complete = f"published {listed}: 100 files"

        async def check(publishing: Publishing) -> None:
            current = (await publishing.read()).current
            assert current is not None
            files = await publishing.files_of(current)
            assert len(await publishing.contents_of(files.files)) == 100

        house.in_nats(check)
    for number in range(100):
        house.room(f"room{number}", 100)
    house.published()
    with house.start("attic") as attic:
        attic.wait_for("rules.taken_over")
        assert house.texts("attic") == modules(house.rules)


def test_a_runner_that_is_killed_while_it_writes_completes_that_at_the_next_start(
    house: House,
) -> None:
    folder, made = house.of("attic"), ""
    for attempt in range(4):
        for number in range(100):
            house.room(f"floor{number % 7}_{number}", attempt)
        made = short(house.published()[-1])
        with house.start("attic") as attic:
            deadline = time.monotonic() + PATIENCE
            while not is_writing(folder, attempt):
                assert time.monotonic() < deadline
            time.sleep(0.004 * attempt)
            attic.process.kill()
            attic.process.wait()
        for text in modules(folder).values():
            assert text.endswith("\n")  # none is cut off
    with house.start("attic") as attic:
        attic.wait_for("runner.started")
        taken = [each for each in attic.records if each["event"].startswith("rules.")]
        assert [each["event"] for each in taken] in (["rules.taken_over"], [])
        assert modules(folder) == modules(house.rules)
        assert sorted(each.name for each in folder.path.iterdir() if each.name[0] == ".") == [
            ".eshet-rules-published.json"
        ]
    assert house.published("--list")[1].startswith(made)


def is_writing(folder: Folder, attempt: int) -> bool:
    """Whether the runner has begun to write, or has done so already."""
    if any(each.name.startswith(".publication-") for each in folder.path.iterdir()):
        return True
    return f"yarp.Value({attempt})" in "".join(modules(folder).values())


def test_a_runner_without_rights_says_what_it_can_not_write(house: House) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything")
    house.room("hall", 1)
    house.published()
    house.of("attic").path.chmod(0o555)
    with house.start("attic") as attic:
        assert "Permission denied" in attic.wait_for("rules.not_taken_over")["error"]
