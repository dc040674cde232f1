"""The rules of running modules: reports on them, how they are restarted, and how disabled."""

from dataclasses import replace
from typing import Any

import pytest

from eshet.utils import RunSerially
from eshet_rules.config import RuleSettings
from eshet_rules.supervision.limits import RuleLimits
from tests.support.house import House

PLAIN = """
    from eshet import yarp
    from eshet_rules import rule

    NOTE = {note!r}

    @rule
    async def light():
        motion = await yarp.state_observe("/motion")
        await yarp.state_register("/light", motion)

    @rule
    async def heater(client):
        level = yarp.Value(1)
        await yarp.set_value("/heater", level)
        await client.event_listen_cb("/bell", print)
    """

COUNTING = """
    from eshet import yarp
    from eshet_rules import keep, rule

    NOTE = {note!r}
    STARTED = []

    def migrate(old, version):
        return old + [version]

    @rule
    async def counting(client):
        count = keep("count", [], migrate)
        await yarp.state_register("/count", count)
        await client.event_listen_cb("/add", lambda n: setattr(count, "value", [*count.value, n]))
    """


OTHER = """
    @rule
    async def light():
        await yarp.state_register("/light", yarp.Value(1))
    """


def events(house: House, *, since: int = 0) -> list[str]:
    return [record["event"] for record in house.log.records[since:]]


def states(house: House) -> dict[str, str]:
    return {report.rule: str(report.status.state) for report in house.reloader.reports()}


def disabling(*rules: str, why: str = "for the test", **more: Any) -> Any:
    return lambda rule: RuleSettings(disabled=why if rule in rules else None, **more)


async def test_a_report_names_the_paths_and_the_status_of_each_rule(house: House) -> None:
    sets = await house.sets("/heater")
    await (await house.viewer.state_register("/motion")).changed(3)
    house.write("hall.py", PLAIN.format(note="first"))
    assert await house.update()
    heater, light = house.reloader.reports()
    version = house.reloader.instances["hall"].version.source.version
    assert (heater.rule, heater.module, light.rule) == ("hall.heater", "hall", "hall.light")
    assert (heater.reads, heater.writes, heater.holds) == (("/bell",), ("/heater",), ("/heater",))
    assert (light.reads, light.writes, light.holds) == (("/motion",), ("/light",), ())
    assert (heater.status.version, str(heater.status.state)) == (version, "running")
    assert house.reloader.states() == {"running": 2}
    assert house.reloader.rules == {"hall": ["hall.light", "hall.heater"]}
    assert house.reloader.asking_for("client") == {"hall.heater"}
    assert house.reloader.asking_for("log") == set()
    assert [rule.name for rule in house.reloader.supervised()] == ["hall.light", "hall.heater"]
    assert house.reloader.restored == (0, 0)
    assert house.reloader.with_snapshot == ["hall"]
    assert house.reloader.snapshot("bath") is None
    assert sets == [1]


async def test_a_restarted_rule_starts_without_its_state_and_the_other_goes_on(
    house: House,
) -> None:
    house.write("hall.py", COUNTING.format(note="first") + OTHER)
    await house.viewer.event_register("/add")
    await house.update()
    first = {rule.name: rule for rule in house.reloader.supervised()}
    await house.viewer.event_emit("/add", 1)
    await house.advance(0)
    assert await house.get("/count") == [1]
    await house.reloader.restart(["hall.counting", "hall.none", "bath.counting"])
    await house.advance(1)
    second = {rule.name: rule for rule in house.reloader.supervised()}
    assert await house.get("/count") == []
    assert second["hall.counting"] is not first["hall.counting"]
    assert second["hall.light"] is first["hall.light"]
    assert first["hall.counting"].scope.disposed


async def test_an_edit_after_a_restart_migrates_with_the_version_of_before(house: House) -> None:
    add = await house.viewer.event_register("/add")
    house.write("hall.py", COUNTING.format(note="first"))
    await house.update()
    version = house.reloader.instances["hall"].version.source.version
    await house.reloader.restart(["hall.counting"])
    await house.advance(1)
    await add(1)
    await house.advance(0)
    house.write("hall.py", COUNTING.format(note="second"))
    assert await house.update()
    assert await house.get("/count") == [1, version]


async def test_a_disabled_rule_stops_and_goes_on_with_what_it_kept(house: House) -> None:
    add = await house.viewer.event_register("/add")
    house.write("hall.py", COUNTING.format(note="first"))
    await house.update()
    await add(1)
    await house.advance(0)
    house.reloader.configure(disabling("hall.counting"))
    for _ in range(2):
        await house.reloader.follow()
        await house.advance(1)
    [report] = house.reloader.reports()
    assert (str(report.status.state), report.status.why) == ("disabled", "for the test")
    assert (report.reads, report.writes) == ((), ())
    assert events(house).count("rule.disabled") == 1
    record = house.log.find("rule.disabled")
    assert (record["rule"], record["why"]) == ("hall.counting", "for the test")
    since = report.status.since
    await house.advance(10)
    house.reloader.configure(disabling("hall.counting", why="for another reason"))
    await house.reloader.follow()
    [report] = house.reloader.reports()
    assert report.status.why == "for another reason"
    assert report.status.since > since
    house.reloader.configure(lambda rule: RuleSettings())
    await house.reloader.follow()
    await house.advance(1)
    assert await house.get("/count") == [1]
    assert states(house) == {"hall.counting": "running"}


async def test_a_rule_that_is_disabled_keeps_its_state_over_edits(house: House) -> None:
    add = await house.viewer.event_register("/add")
    house.write("hall.py", COUNTING.format(note="first"))
    await house.update()
    version = house.reloader.instances["hall"].version.source.version
    await add(1)
    await house.advance(0)
    house.reloader.configure(disabling("hall.counting"))
    await house.reloader.follow()
    for note in ("second", "third"):
        house.write("hall.py", COUNTING.format(note=note))
        assert await house.update()
        assert states(house) == {"hall.counting": "disabled"}
    house.reloader.configure(lambda rule: RuleSettings())
    await house.reloader.follow()
    await house.advance(1)
    assert await house.get("/count") == [1, version]


async def test_only_modules_with_changed_settings_are_reloaded(house: House) -> None:
    house.write_level("hall", 1)
    house.write_level("bath", 2)
    await house.update()
    before = dict(house.reloader.instances)
    limits = RuleLimits(max_restarts=1)
    assert house.reloader.configure(lambda rule: RuleSettings()) == []
    changed = house.reloader.configure(
        lambda rule: RuleSettings(limits=limits if rule == "bath.level" else RuleLimits())
    )
    assert changed == ["bath"]
    assert await house.update()
    assert house.reloader.instances["hall"] is before["hall"]
    assert house.reloader.instances["bath"] is not before["bath"]
    [rule] = [each for each in house.reloader.supervised() if each.name == "bath.level"]
    assert rule.limits == limits
    assert house.reloader.configure(disabling("bath.level", limits=limits)) == ["hall"]


async def test_rules_get_what_they_ask_for_and_the_strategy_of_the_settings(house: House) -> None:
    house.write(
        "hall.py",
        """
        from eshet_rules import rule

        @rule
        async def light(log, client):
            await client.state_register("/known")
            log.info("begins", number=7)
        """,
    )
    settings = RuleSettings(strategy=RunSerially(retry=True))
    house.reloader.configure(lambda rule: settings)
    assert await house.update()
    [report] = house.reloader.reports()
    assert report.status.strategy == "RunSerially(retry=True)"
    [record] = [each for each in house.log.records if each["event"] == "begins"]
    assert (record["number"], record["logger"], record["rule"]) == (7, "hall.light", "hall.light")
    assert record["module"] == "hall"


@pytest.mark.parametrize("fails", [False, True])
async def test_modules_that_are_reloaded_together_are_committed_together(
    house: House, fails: bool
) -> None:
    house.write("_shared.py", "LEVEL = 1")
    text = """
        import _shared
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def level():
            await yarp.state_register("/{name}", yarp.Value(_shared.LEVEL))
            {end}
        """
    for name in ("hall", "bath"):
        house.write(f"{name}.py", text.format(name=name, end=""))
    await house.update()
    house.write("_shared.py", "LEVEL = 2")
    house.write("bath.py", text.format(name="bath", end="raise OSError('no')" if fails else "1"))
    assert await house.update() is not fails
    levels = [await house.get(f"/{name}") for name in ("hall", "bath")]
    assert levels == ([1, 1] if fails else [2, 2])
    assert len(house.reloader.instances) == 2


async def test_the_rules_of_a_version_that_is_given_up_end(house: House) -> None:
    house.write("_shared.py", "ENDED = []")
    text = """
        import asyncio, _shared
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def waiting():
            try:
                await asyncio.Event().wait()
            finally:
                _shared.ENDED.append({note!r})

        @rule
        async def failing():
            {end}
        """
    house.write("hall.py", text.format(note="first", end="pass"))
    await house.update()
    shared = house.reloader.instances["hall"].version.imports["_shared"].namespace
    house.write("hall.py", text.format(note="second", end="raise OSError('no')"))
    assert not await house.update()
    assert shared["ENDED"] == ["second"]
    assert house.reloader.states() == {"running": 2}
    house.write("hall.py", text.format(note="third", end="pass"))
    assert await house.update()
    assert shared["ENDED"] == ["second", "first"]


async def test_a_module_without_its_file_is_unloaded_with_its_connection(house: House) -> None:
    house.write_level("hall", 1)
    house.write_level("bath", 2)
    await house.update()
    connection = house.reloader.instances["hall"].connection
    house.folder.remove("hall.py")
    assert await house.update()
    assert list(house.reloader.instances) == ["bath"]
    assert connection.closed
    assert house.reloader.rules == {"bath": ["bath.level"]}
    assert "module.unloaded" in events(house)
    house.write("bath.py", "x = 1")
    assert await house.update()
    assert house.reloader.instances == {}


async def test_a_set_up_that_goes_on_is_waited_for_only_a_second_at_first(house: House) -> None:
    house.write(
        "hall.py",
        """
        import asyncio
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def slow():
            await asyncio.sleep(5)
            await yarp.state_register("/slow", yarp.Value(1))
        """,
    )
    update = house.start_update()
    await house.advance(0.9)
    assert not update.done()
    await house.advance(0.2)
    assert update.done()
    assert await update
    await house.advance(5)
    house.write("hall.py", (house.folder.path / "hall.py").read_text() + "\n")
    update = house.start_update()
    await house.advance(4)
    assert not update.done()  # the old version completed its set-up, so the new one should
    await house.advance(2)
    assert update.done()
    assert await house.get("/slow") == 1


async def test_settings_that_differ_only_by_disabling_do_not_reload(house: House) -> None:
    house.write_level("hall", 1)
    await house.update()
    settings = RuleSettings()
    house.reloader.configure(lambda rule: settings)
    assert house.reloader.configure(lambda rule: replace(settings, disabled="why")) == []
