"""Runners of a cluster in processes of their own, which are killed, stopped and frozen."""

import asyncio
import contextlib
import itertools
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.nats import NatsServer
from tests.support.processes import command
from tests.support.proxy import Proxy
from tests.support.rules import Folder
from tests.support.runner import Runner, runner

Start = Callable[..., "contextlib.AbstractContextManager[Runner]"]

NUMBERS = itertools.count()

BEATS = """
import os
from eshet import yarp
from eshet_rules import keep, rule

@rule
async def beats(log):
    count = keep("count", 0)
    await yarp.state_register("/beats", count)

    @yarp.now(0.1).on_value_changed
    def beat(_):
        count.value += 1
        with open({file!r}, "a") as file:
            file.write(f"{{os.getpid()}} {{count.value}}\\n")
        log.info("beat")
"""


@pytest.fixture
def start(nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a runner; one that starts sooner has a larger weight.

    Its URL of NATS may be that of a proxy.
    """
    tree, weights = f"test{next(NUMBERS)}", itertools.chain([100], itertools.repeat(0.01))
    folder = Folder(tmp_path_factory.mktemp("rules"))
    file = folder.path / "beats.txt"
    folder.write("beats.py", BEATS.format(file=str(file)))

    @contextlib.contextmanager
    def start(name: str, url: str = nats.url) -> Iterator[Runner]:
        place = tmp_path_factory.mktemp(name)
        config = place / "eshet-rules.toml"
        config.write_text(
            f"""
            [cluster]
            name = "house"
            server = "{url}/{tree}"
            listen = "127.0.0.1:0"
            runner = "{name}"
            weight = {next(weights)}
            ttl = 10
            """
        )
        options = ["--config", str(config), "--state-dir", str(place / "state")]
        with runner(folder, "", *options) as running:
            yield running

    start.file = file  # type: ignore[attr-defined]
    return start


def beats(start: Start) -> list[tuple[int, int]]:
    """Return the process and the number of each beat."""
    lines = start.file.read_text().splitlines()  # type: ignore[attr-defined]
    return [(int(pid), int(number)) for pid, number in map(str.split, lines)]


def turns(start: Start) -> list[int]:
    """Return the processes in the order in which they took turns."""
    return [pid for pid, _ in itertools.groupby(pid for pid, _ in beats(start))]


def save(start: Start) -> None:
    """Change the module, without a consequence."""
    with (start.file.parent / "beats.py").open("a") as file:  # type: ignore[attr-defined]
        file.write("# changed")


def wait_until_running(runner: Runner) -> dict[str, object]:
    taken = runner.wait_for("module.taken")
    runner.wait_for("beat")
    return taken


class ThreadedProxy:
    """A proxy in front of a NATS server, in a thread of its own."""

    def __init__(self, proxy: Proxy, loop: asyncio.AbstractEventLoop) -> None:
        self.address = proxy.address
        self._proxy = proxy
        self._loop = loop

    def call(self, method: Callable[[Proxy], object]) -> None:
        """Call a method of the proxy in its thread."""
        done = threading.Event()

        def run() -> None:
            method(self._proxy)
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10)


@contextlib.contextmanager
def proxied(nats: NatsServer) -> Iterator[ThreadedProxy]:
    with asyncio.Runner() as runner:
        proxy = Proxy(("127.0.0.1", nats.port))
        loop = runner.get_loop()
        runner.run(proxy.__aenter__())
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield ThreadedProxy(proxy, loop)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            runner.run(proxy.__aexit__(None, None, None))


@contextlib.contextmanager
def both(start: Start, *urls: str) -> Iterator[tuple[Runner, Runner]]:
    """Start a runner that runs the module, and then another one."""
    with start("attic", *urls) as attic:
        wait_until_running(attic)
        with start("cellar") as cellar:
            cellar.wait_for("cluster.joined", others=["attic"])
            yield attic, cellar


def test_a_killed_runner_is_replaced_within_seconds_and_its_state_goes_on(start: Start) -> None:
    with both(start) as (attic, cellar):
        attic.process.kill()
        taken = wait_until_running(cellar)
        assert (taken["why"], taken["from_runner"]) == ("gone", "attic")
        assert taken["without_s"] < 9  # without waiting for the end of the lease
        assert cellar.stop() == 0
        numbers = [number for _, number in beats(start)]
        last = max(number for pid, number in beats(start) if pid == attic.process.pid)
        assert numbers[-1] > last - 15  # what was stored at most a second before
        assert turns(start) == [attic.process.pid, cellar.process.pid]


def test_a_stopped_runner_hands_its_modules_over_without_a_beat_too_many(start: Start) -> None:
    with both(start) as (attic, cellar):
        assert attic.stop() == 0
        taken = wait_until_running(cellar)
        assert (taken["why"], taken["from_runner"]) == ("moved", "attic")
        assert taken["without_s"] < 2
        assert cellar.stop() == 0
        assert turns(start) == [attic.process.pid, cellar.process.pid]
        numbers = [number for _, number in beats(start)]
        assert numbers == list(range(len(numbers)))


def test_a_frozen_runner_drops_its_modules_before_it_acts_again(start: Start) -> None:
    with both(start) as (attic, cellar):
        attic.process.send_signal(signal.SIGSTOP)
        taken = wait_until_running(cellar)
        assert taken["why"] == "gone"
        attic.process.send_signal(signal.SIGCONT)
        attic.wait_for("cluster.leases_lost", modules=["beats"])
        again = wait_until_running(attic)
        assert again["token"] > taken["token"]
        assert (again["why"], again["from_runner"]) == ("moved", "cellar")
        assert turns(start) == [attic.process.pid, cellar.process.pid, attic.process.pid]
        assert attic.stop() == 0


@pytest.mark.parametrize("is_reloaded", [False, True], ids=["", "after a reload"])
def test_a_runner_without_nats_is_suspended_before_another_one_acts(
    start: Start, nats: NatsServer, is_reloaded: bool
) -> None:
    with proxied(nats) as proxy, both(start, f"nats://{proxy.address}") as (attic, cellar):
        if is_reloaded:
            save(start)
            attic.wait_for("module.reloaded")
        proxy.call(Proxy.stall)
        proxy.call(Proxy.cut)
        taken = wait_until_running(cellar)
        assert (taken["why"], taken["from_runner"]) == ("gone", "attic")
        assert taken["without_s"] < 8  # so the presence of the other one had not ended for itself
        proxy.call(Proxy.flow)
        proxy.call(Proxy.cut)
        suspended = attic.wait_for("cluster.rules_suspended")
        assert suspended["why"] == "there is no connection to NATS"
        wait_until_running(attic)
        assert turns(start) == [attic.process.pid, cellar.process.pid, attic.process.pid]
        assert attic.stop() == 0


def test_rules_go_on_where_they_were_after_an_outage_of_seconds(
    start: Start, nats: NatsServer
) -> None:
    with proxied(nats) as proxy, start("attic", f"nats://{proxy.address}") as attic:
        wait_until_running(attic)
        proxy.call(Proxy.stall)
        proxy.call(Proxy.cut)
        attic.wait_for("connection.lost")  # of its clients: it was cut off for 2 s
        proxy.call(Proxy.flow)
        proxy.call(Proxy.cut)
        assert attic.wait_for("cluster.rules_suspended")["seconds"] > 1
        attic.wait_for("beat")
        numbers = [number for _, number in beats(start)]
        assert numbers == list(range(len(numbers)))
        assert attic.stop() == 0
        said = {record["event"] for record in attic.records}
        assert "cluster.leases_lost" not in said


def test_commands_reach_a_runner_through_nats(start: Start, nats: NatsServer) -> None:
    with both(start) as (attic, cellar):
        server = attic.records[0]["address"]
        listed = command("eshet-rules", "list", "--server", server, "--runner", "attic")
        assert "beats.beats" in listed.stdout
        drained = command("eshet-rules", "drain", "--server", server, "--runner", "attic")
        assert (drained.stdout, drained.stderr) == ("gave up beats\n", "")
        assert wait_until_running(cellar)["from_runner"] == "attic"
        undone = command("eshet-rules", "drain", "--undo", "--server", server, "--runner", "attic")
        assert undone.stdout == "attic runs modules again\n"
        assert wait_until_running(attic)["from_runner"] == "cellar"
