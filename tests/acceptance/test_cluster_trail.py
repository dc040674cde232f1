"""The trail of all runners of a cluster, which `audit --cluster` reads from NATS."""

import itertools
import json
import subprocess
import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from eshet_rules.audit.lines import decode
from tests.support.nats import NatsServer, nats_program, nats_server
from tests.support.processes import command, line, running
from tests.support.rules import Folder
from tests.support.runner import Runner, runner

NUMBERS = itertools.count()
PATIENCE = 20.0

BEATS = """
from eshet import yarp
from eshet_rules import rule

@rule
async def beats(log):
    await yarp.state_register("/beats/{name}", yarp.Value(True))

    @yarp.now(0.05).on_value_changed
    def beat(_):
        log.info("beat", password="secret")
"""


class House:
    """A cluster of runners, each with a trail of its own.

    Args:
        url: of its tree on NATS.
        folder: for its files.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder
        self._rules = Folder(folder / "rules")
        self._rules.path.mkdir()
        for name in ("one", "two", "three", "four"):
            self._rules.write(f"{name}.py", BEATS.format(name=name))

    def start(self, name: str, line: str = "") -> AbstractContextManager[Runner]:
        """Start a runner, with a line in its table `[cluster]`."""
        config = self._folder / f"{name}.toml"
        config.write_text(
            f"""
            [cluster]
            name = "house"
            server = "{self.url}"
            listen = "127.0.0.1:0"
            runner = "{name}"
            ttl = 10
            {line}

            [log]
            redact = ["password"]
            """
        )
        audit = ["--audit", str(self._folder / name)]
        state = ["--state-dir", str(self._folder / "state" / name)]
        return runner(self._rules, "", "--config", str(config), *audit, *state)

    def in_file(self, name: str) -> list[dict[str, Any]]:
        """Return the records in the file of a runner."""
        lines = (self._folder / name / "trail.jsonl").read_bytes().splitlines(keepends=True)
        return [decode(each) for each in lines if each.endswith(b"\n")]

    def arguments(self, *options: str) -> list[str]:
        return ["eshet-rules", "audit", "--cluster", "--server", self.url, "--json", *options]

    def shared(self, *options: str) -> list[dict[str, Any]]:
        """Return the records in NATS, as the command prints them."""
        printed = command(*self.arguments(*options))
        assert printed.returncode == 0, printed.stderr
        return [json.loads(each) for each in printed.stdout.splitlines()]

    def counted(self, form: str) -> list[Any]:
        """Return the statistics of the records in NATS: the lines of a format, which are JSON."""
        options = ["--cluster", "--server", self.url, "--format", form]
        printed = command("eshet-rules", "stats", *options)
        assert printed.returncode == 0, printed.stderr
        return [json.loads(each) for each in printed.stdout.splitlines()]

    def wait_until_shared(self, *names: str) -> None:
        """Wait until NATS has all records that are now in the files of the runners."""
        last = {name: self.in_file(name)[-1]["time"] for name in names}
        deadline = time.monotonic() + PATIENCE
        while any(self.times(name)[-1:] < [last[name]] for name in names):
            assert time.monotonic() < deadline, "not all records are shared"

    def times(self, name: str) -> list[str]:
        return [each["time"] for each in self.shared() if each["runner"] == name]


@pytest.fixture
def house(nats: NatsServer, tmp_path: Path) -> House:
    return House(f"{nats.url}/test{next(NUMBERS)}", tmp_path)


def of(name: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the records of a runner are in its file: the reader adds its name."""
    return [each for each in records if each["runner"] == name]


def as_shared(name: str, record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "runner": name}


def test_the_records_of_all_runners_are_read_in_order_when_none_is_running(house: House) -> None:
    with house.start("attic") as attic:
        attic.wait_for("beat")
        with house.start("cellar") as cellar:
            cellar.wait_for("beat")
            attic.wait_for("beat")
            assert cellar.stop() == 0
        assert attic.stop() == 0
    shared = house.shared()
    for name in ("attic", "cellar"):
        expected = [as_shared(name, each) for each in house.in_file(name)]
        assert of(name, shared) == expected
    times = [each["time"] for each in shared]
    assert times == sorted(times)
    taken = {(each["module"], each["token"]) for each in shared if each["event"] == "module.taken"}
    beats = {(each["module"], each["token"]) for each in shared if each["event"] == "beat"}
    assert beats == taken
    assert "secret" not in json.dumps(shared)


def test_the_rules_of_all_runners_are_counted_when_none_is_running(house: House) -> None:
    with house.start("attic") as attic:
        attic.wait_for("beat")
        with house.start("cellar") as cellar:
            cellar.wait_for("beat")
            assert cellar.stop() == 0
        assert attic.stop() == 0
    published = [each for each in house.shared() if each["event"] == "output.published"]
    assert {each["runner"] for each in published} == {"attic", "cellar"}
    [counted] = house.counted("json")
    outputs = {rule: each["outputs"]["done"] for rule, each in counted["rules"].items()}
    assert outputs == Counter(each["rule"] for each in published)
    resources = [
        each["resourceSpans"][0]["resource"]["attributes"] for each in house.counted("spans")
    ]
    instances = Counter(each["value"]["stringValue"] for _, each in resources)
    assert instances == Counter(each["runner"] for each in published)


def test_a_killed_runner_sends_what_its_file_has_after_its_restart(house: House) -> None:
    for _ in range(2):
        with house.start("attic") as attic:
            attic.wait_for("module.taken")
            for _ in range(40):
                attic.wait_for("beat")
            attic.process.kill()
    with house.start("attic") as attic:
        attic.wait_for("module.taken")
        assert attic.stop() == 0
    assert house.shared() == [as_shared("attic", each) for each in house.in_file("attic")]


def test_new_records_are_followed_through_an_outage_of_nats(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats", nats_program()) as nats:
        house = House(f"{nats.url}/{next(NUMBERS)}", tmp_path)
        with house.start("attic") as attic:
            attic.wait_for("beat")
            house.wait_until_shared("attic")
            with running(*house.arguments("--follow"), stderr=subprocess.DEVNULL) as following:
                assert json.loads(line(following))["event"] == "trail.started"
                nats.kill()
                attic.wait_for("cluster.leases_lost")
                nats.start()
                attic.wait_for("module.taken")
                attic.wait_for("beat")
                assert attic.stop() == 0
                followed = ["trail.started"]
                while followed[-1] != "runner.stopped":
                    followed.append(json.loads(line(following))["event"])
        assert followed == [each["event"] for each in house.in_file("attic")]


def test_a_runner_may_share_nothing(house: House) -> None:
    with house.start("attic", "trail_days = 0") as attic:
        attic.wait_for("beat")
        assert attic.stop() == 0
    printed = command(*house.arguments())
    assert (printed.returncode, printed.stdout) == (1, "")
    assert printed.stderr.startswith(f"eshet-rules: there is no trail in {house.url}: ")
    assert printed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--cluster"], 2, "a cluster needs NATS servers: name them with --server nats://HOST"),
        (["--server", "nats://house"], 2, "--server is for --cluster"),
        (["--cluster", "--server", "house:1"], 2, "--server nats://HOST, not house:1"),
        (["--cluster", "--server", "nats://a/b/c"], 2, "is not the address of NATS servers"),
        (["--cluster", "--audit", "here"], 2, "choose one"),
        (["--cluster", "--server", "nats://127.0.0.1:1"], 1, "can't connect to nats://127.0.0.1:1"),
    ],
)
@pytest.mark.parametrize("name", ["audit", "stats"])
def test_wrong_usage_is_explained_in_a_line(
    tmp_path: Path, name: str, options: list[str], code: int, said: str
) -> None:
    printed = command("eshet-rules", name, *options, cwd=tmp_path)
    assert printed.returncode == code
    assert said in printed.stderr.splitlines()[-1]
    assert printed.stdout == ""


def test_a_chain_is_read_from_the_files_of_one_runner(tmp_path: Path) -> None:
    options = ["--cluster", "--cause", "a-1", "--chain"]
    printed = command("eshet-rules", "audit", *options, cwd=tmp_path)
    assert printed.returncode == 2
    assert "--chain reads from files" in printed.stderr.splitlines()[-1]
