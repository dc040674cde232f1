"""How commands ask a running runner."""

import asyncio

import pytest

from eshet import Client
from eshet.server import Server
from eshet_rules.cli.asking import Runner
from eshet_rules.exceptions import NoRunner


@pytest.mark.parametrize(("action", "seconds"), [("list", 5), ("reload", 120)])
async def test_a_runner_that_does_not_answer_is_told_of(advance, action, seconds):
    async with Server() as server, Client(server=server) as stuck, Client(server=server) as client:
        await stuck.action_register(f"/eshet_rules/house/{action}", lambda: asyncio.sleep(3600))
        asked = asyncio.create_task(Runner(client, "house", "here").call(action))
        await advance(seconds - 0.1)
        assert not asked.done()
        await advance(0.2)
        with pytest.raises(NoRunner, match=f"'house' at here has not answered {action} for"):
            await asked
