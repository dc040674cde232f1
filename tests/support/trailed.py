"""A house whose rules leave a trail."""

import asyncio
import io

import pytest

from eshet import Client
from eshet_rules.audit.actor import Actor, use_actor
from eshet_rules.audit.observer import RecordingObserver
from eshet_rules.audit.query import Filter, Reader
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.records.schema import check
from eshet_rules.audit.redaction import Redaction
from eshet_rules.logs import make_logger
from eshet_rules.modules.importer import Importer
from eshet_rules.reload.checkpoint import decode, encode, encode_module
from eshet_rules.reload.checkpoint_writer import wall_epoch
from eshet_rules.reload.reloader import Reloader
from eshet_rules.supervision.scope import TaskScope
from tests.support.cable import Cable

__all__ = ["Trailed"]


class Trailed:
    """A house whose rules leave a trail."""

    def __init__(self, folder, server, advance, redact=()):
        self.folder = folder
        self.server = server
        self.advance = advance
        self.viewer = Client(server=server)
        self.console = io.StringIO()
        self.recorder = Recorder(Redaction(redact))
        self.file = folder.path / "audit" / "trail.jsonl"
        self._log = make_logger(self.console, level="debug", recorder=self.recorder)
        self.cables = {}  # between each module and the server
        self.reloader = self._make_reloader()

    def _make_reloader(self, inherited=None):
        observer = RecordingObserver(self.recorder)

        def make_client(module):
            self.cables[module] = cable = Cable(self.server)
            with use_actor(Actor(module=module)):
                client = Client(server=cable, client_id=module)
            client.attach(observer)
            return client

        return Reloader(
            Importer(self.folder.path, TaskScope), make_client, self._log, inherited=inherited
        )

    async def start_again(self):
        """End the rules, and load them as another process does that finds their checkpoint."""
        given = {
            name: self.reloader.snapshot(name, wall_epoch()) for name in self.reloader.with_snapshot
        }
        assert not any(
            encode_module(snapshot)[1] for snapshot in given.values()
        )  # what is left out
        data = encode(given)
        await self.reloader.close()
        self.reloader = self._make_reloader(decode(data, wall_epoch()))
        assert await self.update()

    async def update(self):
        update = asyncio.create_task(self.reloader.update(self.folder.sources()))
        await self.advance(2)
        return await update

    def records(self, **wanted):
        records = list(Reader(self.file, Filter(**wanted), pytest.fail).records())
        for record in records:
            check(record)
        return records

    def one(self, **wanted):
        [record] = self.records(**wanted)
        return record

    def whole_chain(self, record):
        """Return where each cause that led to a record came in, or what it is."""
        chain = []
        cause = record["cause"]
        while cause is not None:
            first = next(r for r in self.records() if r.get("cause") == cause)
            heard = first["event"] == "input.received"
            chain.append(first["path"] if heard else first["trigger"].partition(" ")[0])
            cause = first.get("parent")
        return chain

    def chain(self, record):
        """Return where what led to a record came in, from the last input to the first."""
        chain, cause = [], record["cause"]
        while cause is not None:
            of_cause = [r for r in self.records(cause=cause) if r["cause"] == cause]
            chain += [r["path"] for r in of_cause if r["event"] == "input.received"]
            cause = of_cause[0].get("parent")
        return chain
