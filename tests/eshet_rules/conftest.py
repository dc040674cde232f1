import asyncio

import pytest

from eshet.server import Server
from eshet_rules.supervision.scope import own_tasks_by_scope
from tests.support.house import House
from tests.support.rules import Folder, Log


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def log(request):
    """A log whose records are checked in the end, but for those of a test's own making."""
    log = Log()
    yield log
    if request.path.stem != "test_logs":
        log.check()


@pytest.fixture
async def house(folder, log, advance):
    own_tasks_by_scope(asyncio.get_running_loop())
    async with Server() as server:
        house = House(server, folder, log, advance)
        async with house.viewer:
            yield house
            await house.reloader.close()
