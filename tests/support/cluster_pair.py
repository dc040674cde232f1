"""Two runners of a cluster in processes of their own, with pages, joined by a real nats-server."""

import contextlib
import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.nats import NatsServer
from tests.support.processes import command
from tests.support.rules import Folder
from tests.support.runner import Runner, runner

__all__ = ["Pair", "pair"]

_NUMBERS = itertools.count()

_RULE = """
from eshet import yarp
from eshet_rules import rule

@rule
async def follow():
    value = await yarp.state_observe("/{of}")
    await yarp.state_register("/{name}", value)
"""

_SOURCE = """
from eshet import yarp
from eshet_rules import rule

@rule
async def follow():
    await yarp.state_register("/free", yarp.Value(True))
    await yarp.drive("/driven", yarp.Value(True), override="2h")
"""

_CONFIGURATION = """
[cluster]
name = "house"
server = "{url}"
listen = "127.0.0.1:0"
runner = "{name}"
labels = ["of_{name}"]
weight = {weight}
ttl = {ttl}

[cluster.where]
hall = "runner == 'attic'"
lamp = "runner == 'cellar'"
camera = "label == 'gpu'"

[web]
enabled = true
address = "127.0.0.1:0"
"""


class Pair:
    """The runners attic, which runs hall and free, and cellar, which runs lamp."""

    def __init__(self, attic: Runner, cellar: Runner, place: Path) -> None:
        self.attic = attic
        self.cellar = cellar
        self.place = place
        self.server = attic.records[0]["address"]

    def run(self, *args: str) -> Any:
        return command("eshet-rules", args[0], "--server", self.server, *args[1:])

    @property
    def page(self) -> str:
        """The URL of the page of the attic."""
        return _page_of(self.attic)

    def token(self, name: str) -> str:
        """Return a token with which the page of a runner acts."""
        place = ["--rules", str(self.place / "rules"), "--state-dir", str(self.place / name)]
        return str(command("eshet-rules", "web", "token", "--act", *place).stdout.split()[-1])

    def ask_page(
        self, path: str, token: str = "", /, *, of: Runner | None = None, **fields: Any
    ) -> Any:
        """Return the answer of a page, by default of the attic; with a token, to a POST."""
        url = _page_of(of or self.attic)
        request = urllib.request.Request(f"{url}/api/1/{path}")  # noqa: S310 - of the page
        if token:
            request.data = json.dumps(fields).encode()
            request.add_header("Authorization", f"Bearer {token}")
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def refusal(self, path: str, token: str = "", /, **given: Any) -> tuple[int, str]:
        """Return the status and the message with which a page refuses what `ask_page` asks."""
        try:
            answer = self.ask_page(path, token, **given)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, str(json.load(error)["message"])
        raise AssertionError(f"it was not refused: {answer}")

    def states(self) -> dict[str, str]:
        listed = json.loads(self.run("list", "--json").stdout or '{"rules": []}')
        return {rule["rule"]: rule["state"] for rule in listed["rules"]}


def _page_of(runner: Runner) -> str:
    served = [each for each in runner.records if each["event"] == "page.served"]
    return str((served or [runner.wait_for("page.served")])[0]["url"])


@contextlib.contextmanager
def pair(nats: NatsServer, place: Path, ttl: int = 10) -> Iterator[Pair]:
    """Run both, within a `with` statement.

    Args:
        nats: the server that joins them.
        place: a folder for their files.
        ttl: seconds without a sign of life after which a runner loses its modules.
    """
    tree = f"test{next(_NUMBERS)}"
    folder = Folder(place / "rules")
    folder.path.mkdir()
    for name, of in {"hall": "free", "lamp": "hall", "camera": "lamp"}.items():
        folder.write(f"{name}.py", _RULE.format(name=name, of=of))
    folder.write("free.py", _SOURCE)

    def start(name: str, weight: float) -> contextlib.AbstractContextManager[Runner]:
        config = place / f"{name}.toml"
        url = f"{nats.url}/{tree}"
        config.write_text(_CONFIGURATION.format(url=url, name=name, weight=weight, ttl=ttl))
        return runner(folder, "", "--config", str(config), "--state-dir", str(place / name))

    with start("attic", 100) as attic:
        attic.wait_for("module.loaded", module="hall")
        with start("cellar", 0.01) as cellar:
            cellar.wait_for("module.loaded", module="lamp")
            house = Pair(attic, cellar, place)
            while house.states().keys() != {"free.follow", "hall.follow", "lamp.follow"}:
                pass  # the list is asked for until both runners have published theirs
            yield house
