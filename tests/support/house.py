"""A house with a server, a folder of rules that run on it, and somebody who looks at both."""

import asyncio
from typing import Any

from eshet import Client, ErrorValue, Unknown
from eshet.server import Server
from eshet_rules.modules.discovery import Source
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.scope import TaskScope
from tests.conftest import Advance
from tests.support.cable import Cable
from tests.support.rules import Folder, Log

__all__ = ["LEVEL", "House"]

LEVEL = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def level():
        await yarp.state_register("/{name}/level", yarp.Value({level}))
    """


class House:
    """A house in virtual time, whose folder is edited and whose paths are watched."""

    def __init__(self, server: Server, folder: Folder, log: Log, advance: Advance) -> None:
        self.folder = folder
        self.log = log
        self.advance = advance
        self.server = server
        self.viewer = Client(server=server)
        self.cables: dict[str, Cable] = {}
        """Between each module and the server; that of its last version."""
        self.reloader = Reloader(Importer(folder.path, TaskScope), self._make_client, log.logger)

    def _make_client(self, module: str) -> Client:
        self.cables[module] = cable = Cable(self.server)
        return Client(server=cable, client_id=f"test/{module}")

    def write(self, name: str, text: str) -> None:
        """Save a file."""
        self.folder.write(name, text)

    def write_level(self, name: str, level: object) -> None:
        """Save a module that publishes a state, `/NAME/level`."""
        self.write(f"{name}.py", LEVEL.format(name=name, level=level))

    def start_update(self) -> asyncio.Task[bool]:
        """Let the runner see what is in the folder, as after a save."""
        sources: dict[str, Source] = self.folder.sources()
        return asyncio.create_task(self.reloader.update(sources))

    async def update(self, seconds: float = 2) -> bool:
        """Let the runner see what is in the folder, and let time pass for that."""
        update = self.start_update()
        await self.advance(seconds)
        return await update

    async def reload(self) -> bool:
        """Do the same in no time, where no set-up takes any."""
        return await self.update(0)

    async def get(self, path: str) -> Any:
        """Return what a state is; Unknown also where there is none."""
        try:
            return await self.viewer.get(path)
        except ErrorValue:
            return Unknown

    async def watch(self, path: str) -> list[Any]:
        """Return a list of what a state is, which grows by all that its observers are told."""
        told: list[Any] = []
        told.append(await self.viewer.state_observe(path, told.append))
        return told

    async def calls(self, path: str) -> list[Any]:
        """Register an action, and return a list of the arguments of its calls."""
        calls: list[Any] = []
        await self.viewer.action_register(path, lambda *args: calls.append(list(args)))
        return calls

    async def sets(self, path: str) -> list[Any]:
        """Register a state to be set, and return a list of what it is set to."""
        sets: list[Any] = []
        await self.viewer.state_register(path, sets.append)
        return sets
