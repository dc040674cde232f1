"""Warnings about paths that several rules set, or that nothing provides."""

import asyncio

import pytest

from eshet import Client
from eshet_rules.config import WarningSettings
from eshet_rules.runner.path_warnings import PathWarnings
from tests.support.cable import Cable


@pytest.fixture
async def warnings(house, log):
    client = Client(server=Cable(house.server))
    await client.wait_for_connection()
    warnings = PathWarnings(client, house.reloader, log.logger, WarningSettings(("/guest/*",)))
    running = asyncio.create_task(warnings.run())
    await asyncio.sleep(0)
    yield warnings
    running.cancel()
    await client.close()


SETS = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def light():
        await yarp.set_value("/lamp", 1)
        await yarp.set_value("/guest/lamp", 1)
        await yarp.action_call("/notify", "light")
    """


async def test_two_rules_that_set_one_path_are_named_once_with_their_lines(house, warnings):
    await house.sets("/lamp")
    await house.sets("/guest/lamp")
    await house.viewer.action_register("/notify", lambda text: None)
    for name in ("hall", "stairs"):
        house.write(f"{name}.py", SETS)
    await house.reload()
    warnings.look_at_writers(house.reloader.reports())
    told = house.log.find("path.set_by_several_rules")
    assert (told["path"], told["rules"]) == (
        "/lamp",
        ["hall.light (hall.py:7)", "stairs.light (stairs.py:7)"],
    )
    house.log.clear()
    house.write(
        "attic.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def at_an_event(client):
            await client.set("/lamp", 2)
            await yarp.set_value("/lamp", yarp.value_to_event(yarp.Value(1)))
        """,
    )
    await house.update()
    warnings.look_at_writers(house.reloader.reports())
    assert "path.set_by_several_rules" not in house.log.events()


READS = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def reads():
        for path in ("/hall/lihgt", "/hall/light", "/cellar/lux", "/guest/lihgt"):
            yarp.on_value(await yarp.state_observe(path), lambda value: None)
        for path in ("/hall/motoin", "/door/bell"):
            (await yarp.event_listen(path)).on_event(lambda value: None)
    """


DRIVES = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def light():
        await yarp.drive("/lamp", 1)
    """


async def test_rules_that_drive_one_path_are_no_rivals_unless_another_sets_it(house, warnings):
    await house.sets("/lamp")
    for name in ("hall", "stairs"):
        house.write(f"{name}.py", DRIVES)
    await house.reload()
    warnings.look_at_writers(house.reloader.reports())
    assert "path.set_by_several_rules" not in house.log.events()
    house.write("attic.py", DRIVES.replace("drive", "set_value"))
    await house.update()
    warnings.look_at_writers(house.reloader.reports())
    told = house.log.find("path.set_by_several_rules")
    assert [each.split()[0] for each in told["rules"]] == [
        "attic.light",
        "hall.light",
        "stairs.light",
    ]
    assert "yarp.drive" in told["advice"]


async def test_a_path_that_nothing_provides_is_named_after_a_minute(house, warnings):
    for path in ("/hall/light", "/guest/light"):
        await house.viewer.state_register(path)
    await house.viewer.event_register("/hall/motion")
    house.write("hall.py", READS)
    await house.reload()
    await house.advance(110)
    assert "path.not_provided" not in house.log.events()
    await house.advance(20)
    told = [r for r in house.log.records if r["event"] == "path.not_provided"]
    assert [(r["path"], r["advice"]) for r in told] == [
        ("/cellar/lux", "check its name, and that its device is connected"),
        ("/hall/lihgt", "did you mean /hall/light?"),
        ("/hall/motoin", "did you mean /hall/motion?"),
    ]
    assert told[0]["rules"] == ["hall.reads"]
    house.log.clear()
    await house.advance(600)
    assert "path.not_provided" not in house.log.events()


async def test_a_path_that_is_provided_within_the_minute_is_not_named(house, warnings):
    house.write("hall.py", READS)
    await house.reload()
    await house.advance(70)
    for path in ("/hall/lihgt", "/hall/light", "/cellar/lux"):
        await house.viewer.state_register(path)
    await house.advance(60)
    assert "path.not_provided" not in house.log.events()


async def test_new_settings_apply_to_further_warnings(house, warnings):
    warnings.configure(WarningSettings(("/*",)))
    house.write("hall.py", READS)
    await house.reload()
    await house.advance(200)
    assert "path.not_provided" not in house.log.events()
