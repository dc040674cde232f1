"""Runners that share modules, through a real nats-server."""

import asyncio
import itertools
import zlib

import msgspec
import pytest

from eshet import ErrorValue
from eshet.nats.bucket import Bucket
from eshet.nats.jetstream import api
from eshet_rules.config import Where
from tests.support.clustered import ClusteredHouse
from tests.support.nats import nats_cluster
from tests.support.rules import Folder

NUMBERS = itertools.count()
MODULES = [f"room{number}" for number in range(8)]

COUNTER = """
from eshet import yarp
from eshet_rules import keep, rule

@rule
async def counter():
    pressed = await yarp.event_listen("/{name}/button")
    count = keep("count", 0)
    await yarp.state_register("/{name}/count", count)

    @pressed.on_event
    def add(by):
        count.value += by

    await yarp.state_register("/{name}/recent", yarp.len(yarp.time_window(pressed, 60)))
"""

SLOW = """
import asyncio
from eshet_rules import rule

async def work():
    try:
        await asyncio.sleep(1e6)
    finally:
        await asyncio.sleep(60)

@rule
async def slow():
    asyncio.create_task(work())
"""


SLOW_TO_LISTEN = """
import asyncio
from eshet import yarp
from eshet_rules import keep, rule

@rule
async def counter():
    count = keep("count", 0)
    await yarp.state_register("/{name}/count", count)
    await asyncio.sleep(1.5)
    pressed = await yarp.event_listen("/{name}/button")

    @pressed.on_event
    def add(by):
        count.value += by
"""

DELAYER = """
from eshet import yarp
from eshet_rules import keep, rule

@rule
async def delayer():
    pressed = await yarp.event_listen("/{name}/button")
    count = keep("count", 0)
    await yarp.state_register("/{name}/count", count)

    @yarp.delay(pressed, 1.0).on_event
    def add(by):
        count.value += by
"""

ADDER = """
from eshet_rules import rule

@rule
async def adder(client):
    await client.action_register("/{name}/add", lambda x, y: x + y)
"""


@pytest.fixture
async def house(folder, nats, advance):
    """A house with buttons, and rules that count how often each is pressed."""
    for name in MODULES:
        folder.write(f"{name}.py", COUNTER.format(name=name))
    async with ClusteredHouse(nats, f"test{next(NUMBERS)}", folder, advance) as house:
        house.buttons = {
            name: await house.paced(house.client.event_register(f"/{name}/button"))
            for name in MODULES
        }
        yield house


async def press(house, *names, by=1):
    for name in names or MODULES:
        await house.paced(house.buttons[name](by))
    await house.pass_time(0.1)


def press_all(house, *, pause=0.005):
    """Press all buttons again and again; return the task, and how often each was pressed."""
    pressed = dict.fromkeys(MODULES, 0)

    async def press():
        while True:
            for name in MODULES:
                await house.buttons[name](1)
                pressed[name] += 1
            await asyncio.sleep(pause)

    return asyncio.create_task(press()), pressed


async def move_all(house, attic):
    """Let another runner join, and then stop the first one; return the other one."""
    cellar = house.start("cellar")
    await house.until_shared("attic", "cellar")
    await house.pass_time(0.5)
    await house.paced(attic.stop())
    await house.until_shared("cellar")
    await house.pass_time(0.5)
    return cellar


async def counts(house):
    return {name: await house.get(f"/{name}/count") for name in MODULES}


def records(runner, event):
    return [record for record in runner.log.records if record["event"] == event]


def taken(runner, why):
    return [record for record in records(runner, "module.taken") if record["why"] == why]


async def test_a_single_runner_takes_all_modules_and_gives_them_up_when_it_stops(house):
    attic = house.start("attic")
    await house.until_shared("attic")
    await press(house)
    assert await counts(house) == dict.fromkeys(MODULES, 1)
    assert {each["why"] for each in records(attic, "module.taken")} == {"new"}
    await house.paced(attic.stop())
    given_up = records(attic, "module.given_up")
    assert sorted(each["module"] for each in given_up) == MODULES
    assert {each["why"] for each in given_up} == {"stopping"}
    assert attic.log.events()[-2:] == ["cluster.left", "runner.stopped"]


async def test_a_runner_that_joins_gets_its_share_with_the_state(house):
    attic = house.start("attic")
    await house.until_shared("attic")
    await press(house)
    cellar = house.start("cellar")
    await house.until_shared("attic", "cellar")
    assert attic.loaded()
    assert await counts(house) == dict.fromkeys(MODULES, 1)
    await press(house)
    assert await counts(house) == dict.fromkeys(MODULES, 2)
    assert await house.get("/room0/recent") == 2
    moved = records(cellar, "module.taken")
    assert {each["why"] for each in moved} == {"moved"}
    assert {each["from_runner"] for each in moved} == {"attic"}
    assert max(each["without_s"] for each in moved) < 5
    assert cellar.log.find("cluster.joined")["others"] == ["attic"]
    assert attic.log.find("cluster.runners_changed")["joined"] == ["cellar"]


async def test_a_runner_that_joins_later_disables_what_was_disabled(house):
    attic = house.start("attic")
    await house.until_shared("attic")
    assert await house.call("/eshet_rules/attic/disable", "room[0-3]") == [
        f"{name}.counter" for name in MODULES[:4]
    ]
    await house.call("/eshet_rules/attic/enable", "room3")
    await house.pass_time(0.2)
    cellar = house.start("cellar")
    await house.until_shared("attic", "cellar")
    await house.paced(attic.stop())
    await house.until_shared("cellar")
    await press(house, "room3", "room4")
    assert await house.get("/room3/count") == await house.get("/room4/count") == 1
    for name in MODULES[:3]:
        with pytest.raises(ErrorValue, match="path_not_found"):
            await house.get(f"/{name}/count")
    asked = records(cellar, "control.disable_requested")
    assert [each["rules"] for each in asked] == [[f"{name}.counter" for name in MODULES[:3]]]
    attic.start()
    await house.until_shared("attic", "cellar")
    await house.call("/eshet_rules/cellar/enable", *(f"{name}.counter" for name in MODULES[:3]))

    def enabled():
        done = records(attic, "control.enable_requested")
        return {rule for each in done for rule in each["rules"]}

    await house.until(lambda: {f"{name}.counter" for name in MODULES[:3]} <= enabled())
    await press(house)
    assert (await counts(house))["room0"] == 1


async def test_no_event_is_lost_or_counted_twice_while_modules_move(house):
    attic = house.start("attic")
    await house.until_shared("attic")
    pressing, pressed = press_all(house)
    cellar = await move_all(house, attic)
    pressing.cancel()
    await house.pass_time(0.5)
    assert len(records(cellar, "module.taken")) == len(MODULES)
    assert min(pressed.values()) > 100
    assert await counts(house) == pressed


async def test_no_event_is_lost_at_a_rule_that_listens_only_after_a_while(house):
    house.folder.write("room0.py", SLOW_TO_LISTEN.format(name="room0"))
    attic = house.start("attic")
    await house.until_shared("attic")
    cellar = house.start("cellar", weight=1e6)
    await house.until(lambda: "room0" in cellar.loaded())
    await house.paced(house.buttons["room0"](1))
    await house.pass_time(3)
    await house.paced(house.buttons["room0"](1))
    await house.pass_time(0.5)
    assert "room0" not in attic.leased()
    assert await house.get("/room0/count") == 2


async def test_no_event_is_lost_when_saves_abort_the_set_up_of_modules_that_move(house):
    def save(number):
        for name in MODULES:
            text = COUNTER + "    await asyncio.sleep(0.3)\n\nimport asyncio\n"
            house.folder.write(f"{name}.py", text.format(name=name) + f"# {number}\n")

    save(0)
    attic = house.start("attic")
    await house.until_shared("attic")
    pressing, pressed = press_all(house, pause=0.02)
    cellar = house.start("cellar", weight=1e6)
    for number in itertools.count(1):
        await house.pass_time(0.2)
        if cellar.leased():
            save(number)
        if len(records(cellar, "module.reload_superseded")) > 2:
            break
    await house.until(lambda: cellar.loaded() == set(MODULES))
    await house.pass_time(0.5)
    pressing.cancel()
    await house.pass_time(0.5)
    assert attic.leased() == set()
    assert await counts(house) == pressed


async def test_no_delay_is_lost_while_modules_move(house):
    for name in MODULES:
        house.folder.write(f"{name}.py", DELAYER.format(name=name))
    attic = house.start("attic")
    await house.until_shared("attic")
    pressing, pressed = press_all(house)
    cellar = await move_all(house, attic)
    pressing.cancel()
    await house.pass_time(1.5)
    assert len(records(cellar, "module.taken")) == len(MODULES)
    assert await counts(house) == pressed


async def test_no_call_fails_while_modules_move(house):
    for name in MODULES:
        house.folder.write(f"{name}.py", ADDER.format(name=name))
    attic = house.start("attic")
    await house.until_shared("attic")
    calls = 0

    async def call_all():
        nonlocal calls
        while True:
            for name in MODULES:
                assert await house.client.action_call(f"/{name}/add", calls, 1) == calls + 1
                calls += 1
            await asyncio.sleep(0.002)

    await house.call("/room0/add", 1, 1)
    calling = asyncio.create_task(call_all())
    cellar = await move_all(house, attic)
    await house.until(lambda: calls > 1000 or calling.done())
    assert not calling.done(), calling.result()
    calling.cancel()
    assert len(records(cellar, "module.taken")) == len(MODULES)


async def test_when_a_runner_stops_another_continues_its_modules_with_the_state(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    await press(house)
    await house.paced(attic.stop())
    await house.until_shared("cellar")
    await press(house)
    assert await counts(house) == dict.fromkeys(MODULES, 2)
    assert records(cellar, "cluster.runners_changed")[-1]["gone"] == ["attic"]


async def test_a_runner_that_ends_without_a_word_is_replaced_soon(house):
    async with house.proxy() as proxy:
        attic, cellar = house.start("attic", proxy), house.start("cellar")
        await house.until_shared("attic", "cellar")
        await press(house)
        of_attic = attic.loaded()
        await house.pass_time(1)  # until the state is stored
        await house.paced(attic.crash(proxy))
        began = house.now
        await house.until(lambda: cellar.loaded() == set(MODULES))
        assert house.now - began < 10
        assert {each["module"] for each in taken(cellar, "gone")} == of_attic
        assert {each["from_runner"] for each in taken(cellar, "gone")} == {"attic"}
        await press(house)
        assert await counts(house) == dict.fromkeys(MODULES, 2)


async def test_a_runner_that_is_cut_off_drops_its_modules_before_others_run_them(house):
    async with house.proxy() as proxy:
        attic, cellar = house.start("attic", proxy), house.start("cellar")
        await house.until_shared("attic", "cellar")
        of_attic = attic.loaded()
        proxy.stall()
        await house.until(lambda: cellar.loaded() == set(MODULES))
        await house.until(lambda: not attic.loaded())
        lost = attic.log.find("cluster.leases_lost")
        assert set(lost["modules"]) == of_attic
        await press(house)
        assert await counts(house) == dict.fromkeys(MODULES, 1)
        proxy.flow()
        await house.until_shared("attic", "cellar")
        await press(house)
        assert await counts(house) == dict.fromkeys(MODULES, 2)


async def test_without_nats_all_modules_are_dropped_and_run_again_when_it_is_back(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    await press(house)
    await house.pass_time(1)
    house.nats.kill()
    await house.until(lambda: not attic.loaded() and not cellar.loaded())
    house.nats.start()
    await house.until_shared("attic", "cellar")
    assert await counts(house) == dict.fromkeys(MODULES, 1)


async def test_when_nats_has_lost_everything_the_runners_agree_again_and_keep_the_state(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    await press(house)
    await house.pass_time(2)
    house.nats.stop()
    house.nats.lose_files()
    house.nats.start()
    await house.until(lambda: len(records(attic, "cluster.joined")) == 2)
    await house.until(lambda: len(records(cellar, "cluster.joined")) == 2)
    await house.until_shared("attic", "cellar")
    lost = records(attic, "cluster.leases_lost") + records(cellar, "cluster.leases_lost")
    assert sorted(module for each in lost for module in each["modules"]) == MODULES
    await house.pass_time(2)
    await press(house)
    await house.paced(attic.stop())
    await house.until_shared("cellar")
    assert await counts(house) == dict.fromkeys(MODULES, 2)
    assert await house.get("/room0/recent") == 2


async def test_a_runner_waits_at_its_start_until_nats_is_there(house):
    house.nats.stop()
    attic = house.start("attic")
    await house.until(lambda: "server.nats_unreachable" in attic.log.events())
    await house.pass_time(3)
    assert attic.log.find("server.nats_unreachable")["error"] == "Connection refused"
    house.nats.start()
    await house.until_shared("attic")


async def test_a_short_outage_of_nats_moves_nothing(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    before = attic.loaded(), cellar.loaded()
    house.nats.stop()
    house.nats.start()
    await house.pass_time(5)
    await press(house)
    assert (attic.loaded(), cellar.loaded()) == before
    assert await counts(house) == dict.fromkeys(MODULES, 1)
    for runner in (attic, cellar):
        assert "cluster.leases_lost" not in runner.log.events()


async def test_drain_gives_all_modules_up_until_it_is_undone(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    await press(house)
    of_attic = attic.loaded()
    done = await house.call("/eshet_rules/attic/drain")
    assert set(done["modules"]) == of_attic
    assert done["without_runner"] == []
    await house.until_shared("cellar")
    assert {each["why"] for each in records(attic, "module.given_up")} >= {"draining"}
    await house.pass_time(5)
    assert cellar.loaded() == set(MODULES)
    assert await counts(house) == dict.fromkeys(MODULES, 1)
    assert await house.call("/eshet_rules/attic/drain", True) == {
        "modules": [],
        "without_runner": [],
        "was_draining": True,
    }
    await house.until_shared("attic", "cellar")
    assert await counts(house) == dict.fromkeys(MODULES, 1)


async def test_no_module_that_is_given_up_waits_for_a_rule_that_ends_slowly(house):
    house.folder.write("slow.py", SLOW)
    attic = house.start("attic")
    await house.until_shared("attic")
    house.start("cellar", where=(("slow", Where("runner == 'attic'")),))
    await house.until(lambda: len(attic.loaded()) < len(MODULES))
    await house.pass_time(2)
    drain = asyncio.create_task(house.client.action_call("/eshet_rules/attic/drain"))
    await house.until(lambda: attic.leased() == {"slow"})
    assert not drain.done()
    await house.paced(drain)
    assert attic.leased() == set()


async def test_a_module_only_runs_where_its_condition_holds(house):
    where = (("room[0-3]", Where("label == 'upstairs'")), ("room7", Where("label == 'garden'")))
    attic = house.start("attic", labels=("upstairs",), where=where)
    cellar = house.start("cellar", where=where)
    await house.until(lambda: attic.loaded() | cellar.loaded() == set(MODULES) - {"room7"})
    await house.until(lambda: not cellar.loaded() & {"room0", "room1", "room2", "room3"})
    await house.until(lambda: "cluster.modules_without_runner" in cellar.log.events())
    assert cellar.log.find("cluster.modules_without_runner")["modules"] == ["room7"]


async def test_a_runner_with_a_larger_weight_runs_more(house):
    attic, cellar = house.start("attic", weight=9.0), house.start("cellar")
    await house.until_shared("attic", "cellar")
    assert len(attic.loaded()) > len(cellar.loaded())


async def test_runners_with_different_files_run_what_they_have_and_are_named(
    house, tmp_path_factory
):
    other = Folder(tmp_path_factory.mktemp("other"))
    for name in MODULES[1:]:
        other.write(f"{name}.py", COUNTER.format(name=name))
    other.write("room1.py", COUNTER.format(name="room1") + "# edited")
    attic = house.start("attic")
    cellar = house.start("cellar", folder=other)
    await house.until(lambda: "cluster.versions_differ" in attic.log.events())
    differ = attic.log.find("cluster.versions_differ")
    assert (differ["runners"], differ["modules"]) == (["attic", "cellar"], ["room1"])
    await house.until(lambda: attic.loaded() | cellar.loaded() == set(MODULES))
    assert "room0" in attic.loaded()


async def test_a_module_that_a_runner_cannot_load_goes_to_one_that_can(house, tmp_path_factory):
    broken = Folder(tmp_path_factory.mktemp("broken"))
    for name in MODULES:
        broken.write(f"{name}.py", COUNTER.format(name=name) + "import nothing_of_this_name")
    attic = house.start("attic")
    await house.until_shared("attic")
    await press(house)
    cellar = house.start("cellar", folder=broken)
    await house.until(lambda: bool(records(cellar, "module.given_up")))
    await house.until(lambda: attic.loaded() == attic.leased() == set(MODULES))
    assert {each["why"] for each in records(cellar, "module.given_up")} == {"unfit"}
    await press(house)
    assert await counts(house) == dict.fromkeys(MODULES, 2)
    for name in MODULES:
        broken.write(f"{name}.py", COUNTER.format(name=name))
    await house.until_shared("attic", "cellar")
    assert await counts(house) == dict.fromkeys(MODULES, 2)


async def test_a_module_that_no_runner_can_load_stays_at_one_of_them(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    house.folder.write("odd.py", "import nothing_of_this_name")
    given_up = [house.runners[name].log.records for name in ("attic", "cellar")]
    await house.until(lambda: any("odd" in each.leased() for each in (attic, cellar)))
    await house.pass_time(5)
    moves = [r for log in given_up for r in log if r["event"] == "module.given_up"]
    assert len([each for each in moves if each["module"] == "odd"]) <= 1
    assert sum("odd" in each.leased() for each in (attic, cellar)) == 1
    house.folder.write("odd.py", COUNTER.format(name="odd"))
    await house.until(lambda: any("odd" in each.loaded() for each in (attic, cellar)))


async def test_a_module_that_is_repaired_for_all_runners_can_run_on_each_again(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    both = {attic, cellar}
    await house.until_shared("attic", "cellar")
    house.folder.write("odd.py", "import nothing_of_this_name")
    await house.until(lambda: all("module.import_failed" in each.log.events() for each in both))
    await house.pass_time(2)
    house.folder.write("odd.py", SLOW_TO_LISTEN.format(name="odd"))
    await house.until(lambda: any("odd" in each.loaded() for each in both))
    await house.pass_time(5)
    [first] = [each for each in both if "odd" in each.leased()]
    [second] = both - {first}
    await house.paced(first.stop())
    await house.until(lambda: "odd" in second.loaded())


async def test_without_the_bucket_of_states_modules_run_without_their_state(house):
    attic, _ = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    await press(house)
    connection = house.server.connection
    stream = f"KV_{house.tree}_checkpoints"
    await house.paced(api(connection, f"STREAM.DELETE.{stream}", {}, "delete"))
    await house.paced(attic.stop())
    await house.until_shared("cellar")
    await press(house)
    assert set((await counts(house)).values()) <= {1, 2}


async def test_after_a_purge_the_runners_agree_again(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    for bucket in ("runners", "leases"):
        call = f"STREAM.PURGE.KV_{house.tree}_{bucket}"
        await house.paced(api(house.server.connection, call, {}, "purge"))
    await house.until(
        lambda: len(records(attic, "cluster.joined")) == len(records(cellar, "cluster.joined")) == 2
    )
    await house.until_shared("attic", "cellar")
    await house.paced(house.client.wait_for_connection())
    await press(house)


async def test_a_runner_that_never_was_is_no_runner(house):
    ghost = {
        "runner": "ghost",
        "host": "x",
        "server": "",
        "number": 0,
        "ttl": 1e4,
        "weight": 1e6,
        "is_draining": False,
    }
    modules = {"presence": 1, "modules": {"runs": dict.fromkeys(MODULES, "1")}}
    modules["modules"] |= {"excluded": {}, "helpers": {}}
    bucket = Bucket(house.server.connection, f"{house.tree}_runners")
    await house.paced(bucket.open())
    pack = msgspec.msgpack.encode
    await house.paced(bucket.put("house.other.presence", pack(ghost), 0))
    await house.paced(bucket.put("house.other.modules", zlib.compress(pack(modules)), 0))
    attic = house.start("attic")
    await house.until_shared("attic")
    assert attic.log.find("cluster.joined")["others"] == []


async def test_a_saved_module_is_reloaded_where_it_runs_and_a_new_one_is_taken(house):
    attic, cellar = house.start("attic"), house.start("cellar")
    await house.until_shared("attic", "cellar")
    await press(house)
    for name in MODULES:
        house.folder.write(f"{name}.py", COUNTER.format(name=name) + "# edited")
    house.folder.write("room8.py", COUNTER.format(name="room8"))
    await house.until(
        lambda: sum(len(records(each, "module.reloaded")) for each in (attic, cellar)) == 8
    )
    await house.until_shared("attic", "cellar")
    assert await counts(house) == dict.fromkeys(MODULES, 1)
    assert await house.get("/room8/count") == 0


async def test_a_module_whose_file_is_removed_ends_with_its_state(house):
    attic = house.start("attic")
    await house.until_shared("attic")
    await press(house)
    await house.pass_time(1)
    house.folder.remove("room0.py")
    await house.until(lambda: "room0" not in attic.leased())
    assert records(attic, "module.given_up")[-1]["why"] == "removed"
    house.folder.write("room0.py", COUNTER.format(name="room0"))
    await house.until_shared("attic")
    assert await house.get("/room0/count") == 0
    assert await house.get("/room1/count") == 1


async def test_a_second_runner_with_the_same_name_waits_until_the_first_has_stopped(
    house, tmp_path
):
    attic = house.start("attic")
    await house.until_shared("attic")
    second = house.start("attic", key="second")
    await house.until(lambda: "cluster.name_taken" in second.log.events())
    assert second.loaded() == set()
    await house.paced(attic.stop())
    await house.until_shared("second")


async def test_a_restarted_runner_has_the_state_of_its_modules(house):
    attic = house.start("attic")
    await house.until_shared("attic")
    await press(house)
    await house.paced(attic.stop())
    house.start("attic")
    await house.until_shared("attic")
    assert await counts(house) == dict.fromkeys(MODULES, 1)


async def test_the_end_of_a_leading_nats_server_moves_nothing(folder, advance, tmp_path_factory):
    for name in MODULES:
        folder.write(f"{name}.py", COUNTER.format(name=name))
    with nats_cluster(tmp_path_factory.mktemp("nats")) as nats:
        async with ClusteredHouse(nats, "test", folder, advance, speed=1) as house:
            attic, cellar = house.start("attic"), house.start("cellar")
            await house.until_shared("attic", "cellar")
            before = attic.loaded(), cellar.loaded()
            info = api(house.server.connection, "STREAM.INFO.KV_test_runners", {}, "look at")
            nats.server((await house.paced(info))["cluster"]["leader"]).kill()
            await house.pass_time(12)
            assert (attic.loaded(), cellar.loaded()) == before
            for runner in (attic, cellar):
                assert "cluster.leases_lost" not in runner.log.events()


async def test_a_module_with_a_very_long_name_runs_like_others(house):

    place = house.folder.path
    for part in ("p" * 250, "q" * 250, "r" * 250, "s" * 250):
        place = place / part
        place.mkdir(exist_ok=True)
    (place / "odd.py").write_text(COUNTER.format(name="odd"))
    attic = house.start("attic")
    await house.until_shared("attic")
    await house.until(lambda: len(attic.loaded()) == len(MODULES) + 1)
    assert await house.get("/odd/count") == 0
