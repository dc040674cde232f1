import asyncio
import gc
import logging
import sys
import weakref
from textwrap import dedent

import pytest

from eshet import Unknown
from eshet_rules.config import Parameters, RuleSettings
from tests.support.house import LEVEL


async def test_a_module_is_loaded_and_its_rules_run(house):
    house.write_level("hall", 1)
    assert await house.update()
    assert await house.get("/hall/level") == 1
    assert house.log.find("module.loaded")["rules"] == ["level"]


async def test_a_saved_edit_is_live_and_the_old_version_is_gone(house):
    house.write_level("hall", 1)
    await house.update()
    old = weakref.ref(house.reloader.instances["hall"].version.module)
    house.write_level("hall", 2)
    assert await house.update()
    assert await house.get("/hall/level") == 2
    assert house.log.events("hall") == ["module.loaded", "module.reloaded"]
    gc.collect()
    assert old() is None


async def test_what_did_not_change_is_left_alone(house):
    house.write_level("hall", 1)
    house.write_level("bath", 1)
    await house.update()
    bath = house.reloader.instances["bath"]
    house.write_level("hall", 2)
    await house.update()
    assert house.reloader.instances["bath"] is bath
    assert house.log.events("bath") == ["module.loaded"]


async def test_a_new_file_is_loaded_and_a_removed_one_unloaded(house):
    house.write_level("hall", 1)
    await house.update()
    house.write_level("bath", 2)
    house.folder.remove("hall.py")
    await house.update()
    assert await house.get("/hall/level") is Unknown
    assert await house.get("/bath/level") == 2
    assert house.log.events("hall") == ["module.loaded", "module.unloaded"]


async def test_a_module_without_rules_is_not_alive(house):
    house.write("lights.py", "warm = 2700")
    assert await house.update()
    assert house.reloader.instances == {}
    assert house.log.events() == []


async def test_a_module_that_loses_its_rules_is_unloaded(house):
    house.write_level("hall", 1)
    await house.update()
    house.write("hall.py", "warm = 2700")
    assert await house.update()
    assert house.reloader.instances == {}
    assert await house.get("/hall/level") is Unknown


async def test_a_module_may_get_rules_only_later(house):
    house.write("hall.py", "warm = 2700")
    await house.update()
    house.write_level("hall", 1)
    await house.update()
    assert await house.get("/hall/level") == 1


async def test_a_changed_helper_reloads_exactly_those_that_import_it(house):
    house.write("_settings.py", "LEVEL = 1")
    house.write(
        "hall.py",
        "from _settings import LEVEL\n" + dedent(LEVEL.format(name="hall", level="LEVEL")),
    )
    house.write_level("bath", 5)
    await house.update()
    house.write("_settings.py", "LEVEL = 2")
    await house.update()
    assert await house.get("/hall/level") == 2
    assert house.log.events("hall") == ["module.loaded", "module.reloaded"]
    assert house.log.events("bath") == ["module.loaded"]


@pytest.mark.parametrize("broken", ["a = = 1", "1 / 0", "import nothing_of_that_name"])
async def test_an_edit_that_cannot_be_imported_keeps_the_old_version_undisturbed(house, broken):
    seen = []
    house.write_level("hall", 1)
    await house.update()
    await house.viewer.state_observe("/hall/level", seen.append)
    house.write("hall.py", broken)
    assert not await house.update()
    assert await house.get("/hall/level") == 1
    assert seen == []
    record = house.log.find("module.import_failed_again")
    assert record["file"] == str(house.folder.path / "hall.py")
    assert (record["line"], record["source"]) == (1, broken)


async def test_a_repaired_edit_is_live(house):
    house.write_level("hall", 1)
    await house.update()
    house.write("hall.py", "a = = 1")
    await house.update()
    house.write_level("hall", 3)
    assert await house.update()
    assert await house.get("/hall/level") == 3


async def test_an_edit_that_is_taken_back_is_told_of_and_reloads_nothing(house):
    house.write_level("hall", 1)
    await house.update()
    house.write("hall.py", "a = = 1")
    await house.update()
    house.write_level("hall", 1)
    assert await house.update()
    assert await house.update()
    said = ["module.loaded", "module.import_failed_again", "module.repaired"]
    assert house.log.events("hall") == said
    assert house.reloader.broken == {}


async def test_a_module_that_never_could_be_imported_disturbs_no_other(house):
    house.write("hall.py", "a = = 1")
    house.write_level("bath", 1)
    assert not await house.update()
    assert await house.get("/bath/level") == 1
    assert house.log.find("module.import_failed")["module"] == "hall"


FAILING_IMPORTS = {
    "by itself": ("raise OSError('no line')", "hall.py"),
    "by a helper": ("import _lamps", "_lamps.py"),
    "by a helper of a module that is fine": ("import bath", "_lamps.py"),
    "for want of a module": ("import _missing", "_missing.py"),
    "for want of a module in a folder": ("import up.missing", "up/missing.py"),
    "for want of a name in a folder": ("from up import missing", "up/missing.py"),
    "for want of a package": ("import later.missing", "later/missing.py"),
}


@pytest.mark.parametrize(("text", "remedy"), FAILING_IMPORTS.values(), ids=FAILING_IMPORTS)
async def test_a_failed_import_is_repeated_when_a_file_that_took_part_has_changed(
    house, text, remedy
):
    house.write("_lamps.py", "raise OSError('no line')")
    house.write("bath.py", "import _lamps")
    house.write("up/_floor.py", "")
    house.write("hall.py", text)
    assert not await house.update()
    assert house.log.events("hall") == ["module.import_failed"]
    house.write_level("kitchen", 1)
    assert not await house.update()
    assert house.log.events("hall") == ["module.import_failed"]
    assert "hall" in house.reloader.broken
    house.write(remedy, "light = 1")
    await house.update()
    assert house.log.events("hall") == ["module.import_failed"]
    assert "hall" not in house.reloader.broken


async def test_a_failed_import_is_repeated_by_command_and_after_it_was_mended(house):
    broken = "raise OSError('no line')"
    house.write_level("hall", 1)
    await house.update()
    house.write("hall.py", broken)
    await house.update()
    house.reloader.renew(["hall"])
    await house.update()
    house.write_level("hall", 1)
    await house.update()
    house.write("hall.py", broken)
    await house.update()
    kept = "module.import_failed_again"
    events = [event for event in house.log.events("hall") if event == kept]
    assert len(events) == 3


SET_UP_FAILS = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def level():
        await yarp.state_register("/hall/level", yarp.Value(2))
        raise OSError("no line")
    """


async def test_a_file_that_can_not_be_read_any_more_is_told_and_its_rules_go_on(house):
    house.write_level("hall", 1)
    await house.update()
    file = house.folder.path / "hall.py"
    file.unlink()
    file.symlink_to("nowhere")
    assert not await house.update()
    failed = house.log.find("module.import_failed_again")
    assert (failed["file"], failed["error"]) == (str(file), "OSError: hall.py is a link to nothing")
    assert await house.get("/hall/level") == 1


SETS_EVERY_MINUTE = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def lamp():
        await yarp.set_value("/lamp", yarp.fn(str)(yarp.now(60)))
    """


async def test_failures_without_a_connection_are_not_logged_each_time(house):
    house.write("hall.py", SETS_EVERY_MINUTE)
    await house.update()
    house.log.clear()
    await house.advance(60)
    assert house.log.find("rule.failed")["doing"] == "task set_value of /lamp"
    house.log.clear()
    house.cables["hall"].unplug()
    await house.advance(3600)
    assert "rule.failed" not in house.log.events()
    house.cables["hall"].is_unplugged = False
    await house.advance(120)
    assert "rule.failed" in house.log.events()


async def test_an_edit_that_fails_in_set_up_keeps_the_old_version(house):
    house.write_level("hall", 1)
    await house.update()
    old = house.reloader.instances["hall"].version
    house.write("hall.py", SET_UP_FAILS)
    assert not await house.update()
    assert await house.get("/hall/level") == 1
    assert house.reloader.instances["hall"].version is old
    failed = house.log.find("rule.failed")
    assert failed["rule"] == "hall.level"
    assert failed["error"] == "OSError: no line"
    assert 'hall.py", line 8, in level' in failed["traceback"]
    kept = house.log.find("module.reload_aborted")
    assert (kept["version"], kept["refused"]) == (old.source.version, failed["version"])


async def test_an_edit_that_failed_in_set_up_is_not_tried_again_until_it_changes(house):
    house.write_level("hall", 1)
    await house.update()
    house.write("hall.py", SET_UP_FAILS)
    await house.update()
    kept = house.reloader.instances["hall"]
    house.write_level("bath", 1)
    assert await house.update()
    assert house.reloader.instances["hall"] is kept
    house.write_level("hall", 3)
    await house.update()
    assert await house.get("/hall/level") == 3


async def test_a_first_version_that_fails_in_set_up_leaves_its_other_rules_running(house):
    house.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def broken():
            raise OSError("no line")

        @rule
        async def level():
            await yarp.state_register("/hall/level", yarp.Value(1))
        """,
    )
    assert not await house.update()
    assert await house.get("/hall/level") == 1
    assert {r.get("rule") for r in house.log.records if r["level"] != "info"} == {"hall.broken"}


async def test_an_error_later_disturbs_nobody_and_is_logged_with_its_rule(house):
    house.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def divide():
            event = await yarp.event_listen("/number")
            event.on_event(lambda number: 1 / number)

        @rule
        async def echo():
            event = await yarp.event_listen("/number")
            await yarp.state_register("/last", yarp.event_to_value(event))
        """,
    )
    await house.update()
    emit = await house.viewer.event_register("/number")
    await emit(0)
    await house.advance(0)
    assert await house.get("/last") == 0
    record = house.log.find("rule.failed")
    assert (record["rule"], record["error"]) == (
        "hall.divide",
        "ZeroDivisionError: division by zero",
    )


async def test_a_rule_may_run_for_ever(house):
    house.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet_rules import rule

        @rule
        async def count():
            client = await yarp.get_default_eshet_client()
            state = await client.state_register("/count")
            total = 0
            async for number in client.event_listen("/number"):
                total += number
                await state.changed(total)
        """,
    )
    assert await house.update()
    emit = await house.viewer.event_register("/number")
    for number in (1, 2, 3):
        await emit(number)
    await house.advance(0)
    assert await house.get("/count") == 6
    house.folder.remove("hall.py")
    await house.update()
    assert await house.get("/count") is Unknown
    assert house.log.events("hall") == ["module.loaded", "module.unloaded"]


async def test_a_strategy_with_retries_sets_up_a_rule_in_the_end(house):
    house.write(
        "hall.py",
        """
        from eshet import yarp
        from eshet.utils import RunSerially
        from eshet_rules import rule

        attempts = []

        @rule(strategy=RunSerially(retry=True))
        async def level():
            attempts.append(1)
            await yarp.state_register("/hall/level", yarp.Value(len(attempts)))
            if len(attempts) < 3:
                raise OSError("no line yet")
        """,
    )
    await house.update()
    await house.advance(10)
    assert await house.get("/hall/level") == 3


async def test_tasks_and_timers_of_an_old_version_never_act_again(house):
    code = """
        import asyncio
        from eshet import yarp
        from eshet_rules import rule

        async def tick():
            client = await yarp.get_default_eshet_client()
            while True:
                await asyncio.sleep(10)
                await client.event_emit("/tick", VERSION)

        @rule
        async def clock():
            asyncio.create_task(tick())
            yarp.delay(yarp.Value(1), 5)
        """
    ticks = []
    await house.viewer.event_register("/tick")
    await house.viewer.event_listen_cb("/tick", ticks.append)
    house.write("hall.py", "VERSION = 1\n" + dedent(code))
    await house.update()
    house.write("hall.py", "VERSION = 2\n" + dedent(code))
    await house.update()
    await house.advance(60)
    assert set(ticks) == {2}


async def test_each_module_has_a_client_of_its_own_with_a_stable_id(house):
    house.write_level("hall", 1)
    house.write_level("bath", 1)
    await house.update()
    clients = {each.connection for each in house.reloader.instances.values()}
    assert len(clients) == 2


async def test_closing_disposes_all_and_leaves_states_unknown(house):
    house.write_level("hall", 1)
    house.write_level("bath", 1)
    await house.update()
    await house.reloader.close()
    assert await house.get("/hall/level") is Unknown
    assert await house.get("/bath/level") is Unknown


async def test_a_hundred_reloads_leave_nothing_behind(house, advance):
    house.write_level("hall", 0)
    await house.update()
    tasks = len(asyncio.all_tasks())
    for level in range(100):
        house.write_level("hall", level)
        await house.reloader.update(house.folder.sources())
    assert await house.get("/hall/level") == 99
    await advance(0)
    assert len(asyncio.all_tasks()) == tasks


GIVEN = """
    from eshet_rules import rule

    @rule
    async def level(scope, client, log, config):
        await (await client.state_register("/level")).changed(config.get("level"))
        log.info("set up", scope=scope.name)
    """


async def test_a_rule_is_given_what_it_asks_for_by_name(house):
    house.write("hall.py", GIVEN)
    house.reloader.configure(lambda rule: RuleSettings(parameters=Parameters({"level": 7})))
    await house.reload()
    assert await house.get("/level") == 7
    record = house.log.find("set up")
    assert (record["rule"], record["scope"]) == ("hall.level", "level")


@pytest.mark.parametrize(
    ("rules", "advice"),
    [
        ("async def level(lux)", "unknown parameters: lux"),
        ("async def level(self, client)", "unknown parameters: self"),
    ],
)
async def test_what_a_rule_can_not_be_given_is_an_error_that_lists_what_it_can(
    house, rules, advice
):
    house.write("hall.py", f"from eshet_rules import rule\n\n@rule\n{rules}: pass\n")
    assert not await house.reload()
    error = house.log.find("module.import_failed")["error"]
    assert advice in error
    assert all(f"`{name}`" in error for name in ("client", "config", "log", "scope"))


async def test_a_task_of_a_module_itself_ends_with_its_version(house):
    code = """
        import asyncio
        from eshet import yarp
        from eshet_rules import rule

        ticks = yarp.Value({start})

        async def tick():
            while True:
                await asyncio.sleep(1)
                ticks.value += 1

        task = asyncio.get_running_loop().create_task(tick())

        @rule
        async def level():
            await yarp.state_register("/level", ticks)
        """
    house.write("hall.py", code.format(start=0))
    await house.reload()
    old = house.reloader.instances["hall"].version.module.task
    house.write("hall.py", code.format(start=100))
    await house.reload()
    await house.advance(1)
    assert old.cancelled()
    assert await house.get("/level") == 101


async def test_a_hundred_saves_during_a_slow_set_up_leave_the_last(house):
    house.write_level("hall", 0)
    await house.reload()
    tasks = len(asyncio.all_tasks())
    slow = LEVEL.replace("    await yarp", "    await asyncio.sleep(1)\n        await yarp")
    updates = []
    for level in range(1, 101):
        house.write("hall.py", "    import asyncio" + slow.format(name="hall", level=level))
        updates.append(house.start_update())
        await house.advance(0.01)
    await house.advance(5)
    assert [await update for update in updates] == [False] * 99 + [True]
    assert await house.get("/hall/level") == 100
    assert house.log.events("hall") == [
        "module.loaded",
        "module.set_up_slow",
        "module.reloaded",
    ]
    assert len(asyncio.all_tasks()) == tasks


async def test_a_rule_that_saves_its_own_file_is_not_cut_off_in_the_midst_of_a_step(house):
    house.write(
        "hall.py",
        f"""
        from pathlib import Path
        from eshet_rules import rule

        @rule
        async def edit(client, scope):
            file = Path({str(house.folder.path / "hall.py")!r})

            async def improve():
                file.write_text(file.read_text() + "# improved")
                return "saved"

            await client.action_register("/improve", improve)
        """,
    )
    await house.reload()
    assert await house.viewer.action_call("/improve") == "saved"
    await house.reload()
    assert house.log.events("hall") == ["module.loaded", "module.reloaded"]


async def test_closing_while_something_is_prepared_leaves_nothing(house):
    house.write_level("hall", 0)
    await house.reload()
    house.write(
        "hall.py",
        """
        import asyncio
        from eshet_rules import rule

        @rule
        async def slow():
            await asyncio.sleep(1)
        """,
    )
    update = house.start_update()
    await house.advance(0.5)
    update.cancel()
    await house.advance(0)
    assert update.cancelled()
    assert await house.get("/hall/level") == 0


# --- rules that fail ----------------------------------------------------------------------------

FAILING = """
from eshet import yarp
from eshet_rules import rule

@rule
async def failing():
    await yarp.state_register("/hall/tries", yarp.Value(1))
    raise OSError("no line")

@rule
async def level():
    await yarp.state_register("/hall/level", yarp.Value({level}))
"""


async def test_a_rule_that_fails_again_and_again_stays_failed_until_its_file_changes(house):
    house.write("hall.py", FAILING.format(level=1))
    level = await house.watch("/hall/level")
    assert not await house.update(600)
    failing, healthy = (report.status for report in house.reloader.reports())
    assert failing.state == "failed"
    assert failing.last_error == "OSError: no line"
    assert healthy.state == "running"
    assert level == [Unknown, 1]
    restarts = [r["restart"] for r in house.log.records if r["event"] == "rule.restarted"]
    assert restarts == [1, 2, 3, 4, 5]

    house.write("hall.py", FAILING.format(level=2).replace("raise", "pass #"))
    assert await house.update()
    statuses = [report.status.state for report in house.reloader.reports()]
    assert statuses == ["running", "running"]
    assert level == [Unknown, 1, 2]
    assert await house.get("/hall/tries") == 1


COUNTING = """
from eshet import yarp
from eshet_rules import keep, rule

@rule
async def counting(client):
    count = keep("count", 0)
    await yarp.state_register("/count", count)
    async def add(_):
        count.value += 1
    await client.event_listen_cb("/add", add)
    async for _ in client.event_listen("/break"):
        raise OSError("no line")
"""


async def test_what_a_rule_keeps_goes_on_when_it_is_restarted_and_when_it_was_failed(house):
    for event in ("/add", "/break"):
        await house.viewer.event_register(event)
    house.write("hall.py", COUNTING)
    await house.update()
    await house.viewer.event_emit("/add", 1)
    await house.viewer.event_emit("/break", 1)
    await house.advance(2)
    assert await house.get("/count") == 1

    for _ in range(5):
        await house.viewer.event_emit("/add", 1)
        await house.viewer.event_emit("/break", 1)
        await house.advance(60)
    [report] = house.reloader.reports()
    assert report.status.state == "failed"
    house.write("hall.py", COUNTING + "\n")
    await house.update()
    assert await house.get("/count") == 6


async def test_fifty_reloads_leave_nothing_in_global_tables(house):
    text = """
        import logging
        from eshet import yarp
        from eshet_rules import keep, rule

        log = logging.getLogger(__name__)

        @rule
        async def level(log):
            log.info("level", number={number})
            logging.getLogger(f"{{__name__}}.level").info("level")
            await yarp.state_register("/level", yarp.fn(abs)(keep("level", {number})))
        """

    async def save(number):
        house.write("up/hall.py", text.format(number=number))
        assert await house.reload()
        return len(logging.root.manager.loggerDict), len(sys.modules), len(sys.meta_path)

    first = await save(0)
    assert {await save(number) for number in range(1, 51)} == {first}


SLOW = """
    import asyncio
    from eshet_rules import rule

    @rule
    async def slow(client):
        emit = await client.event_register("/done")
        async for number in client.event_listen("/number"):
            await asyncio.sleep(1)
            await emit(number)
        # {edit}
    """


async def test_events_that_wait_for_an_async_for_are_handled_by_the_new_version(house):
    house.write("hall.py", SLOW.format(edit=1))
    await house.update()
    emit = await house.viewer.event_register("/number")
    done = []
    await house.viewer.event_listen_cb("/done", done.append)
    for number in range(6):
        await emit(number)
    await house.advance(2.5)
    assert done == [0, 1]
    house.write("hall.py", SLOW.format(edit=2))
    assert await house.update()  # the set-up never ends, so it is committed after a second
    await emit(6)
    await house.advance(10)
    # The handling of 3 was cancelled with the old version, as every task is.
    assert done == [0, 1, 2, 4, 5, 6]


async def test_a_module_that_is_not_at_rest_does_not_hold_up_the_commit_of_others(house):
    busy = """
        import asyncio
        from eshet import yarp
        from eshet_rules import rule

        async def work(turns):
            if turns:
                asyncio.ensure_future(work(turns - 1))

        @rule
        async def busy(client):
            await client.event_listen_cb("/go", work)
            await yarp.state_register("/busy", yarp.Value({value}))
        """
    house.write("busy.py", busy.format(value=1))
    house.write_level("hall", 1)
    await house.update()
    levels, busies = await house.watch("/hall/level"), await house.watch("/busy")
    go = await house.viewer.event_register("/go")
    house.write("busy.py", busy.format(value=2))
    house.write_level("hall", 2)
    await go(500)
    update = house.start_update()
    for _ in range(200):
        await asyncio.sleep(0)
    assert (levels, busies) == ([1, 2], [1])
    await house.advance(1)
    assert await update
    assert busies == [1, 2]


TWO_ITERATIONS = """
import asyncio
from eshet_rules import rule

@rule.each({rooms})
async def log_motion(room, client):
    async for number in client.event_listen("/motion"):
        await client.event_emit(f"/seen/{{room}}", number)
        if room == "bath":
            await asyncio.sleep(2)
"""


@pytest.mark.parametrize(
    ("rooms", "bath"),
    [
        ("'hall', 'bath'", [0, 1, 2, 3]),
        ("'bath', 'hall'", [0, 1, 2, 3]),
        ("'hall',", [0]),
    ],
)
async def test_events_that_wait_for_an_async_for_stay_with_their_rule(house, rooms, bath):
    emit = await house.viewer.event_register("/motion")
    seen = {"bath": [], "hall": []}
    for room, numbers in seen.items():
        await house.viewer.event_register(f"/seen/{room}")
        await house.viewer.event_listen_cb(f"/seen/{room}", numbers.append)
    house.write("log.py", TWO_ITERATIONS.format(rooms="'bath', 'hall'"))
    await house.update(2)
    for number in range(4):
        await emit(number)
    await house.advance(0.1)
    house.write("log.py", TWO_ITERATIONS.format(rooms=rooms))
    await house.update()
    await house.advance(30)
    assert seen == {"bath": bath, "hall": [0, 1, 2, 3]}


async def test_events_that_wait_for_an_async_for_follow_a_renamed_rule(house):
    emit = await house.viewer.event_register("/motion")
    await house.viewer.event_register("/seen/bath")
    seen = []
    await house.viewer.event_listen_cb("/seen/bath", seen.append)
    text = TWO_ITERATIONS.format(rooms="'bath',")
    house.write("log.py", text)
    await house.update(2)
    for number in range(4):
        await emit(number)
    await house.advance(0.1)
    house.write("log.py", text.replace("log_motion", "note_motion"))
    await house.update()
    await house.advance(30)
    assert seen == [0, 1, 2, 3]
