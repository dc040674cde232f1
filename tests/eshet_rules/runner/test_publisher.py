import asyncio
import os
import re

import pytest

from eshet import Client, ErrorValue
from eshet.exceptions import Disconnected
from eshet_rules.audit.redaction import REDACTED, Redaction
from eshet_rules.config import Configuration
from eshet_rules.runner.control import Control
from eshet_rules.runner.explaining import Explaining
from eshet_rules.runner.publisher import Publisher, runner_name
from eshet_rules.runner.switches import RuleSwitches
from tests.support.cable import Cable

RULE = """
    from eshet import yarp
    from eshet.utils import RunSerially
    from eshet_rules import rule

    @rule(strategy=RunSerially(retry=True))
    async def light(client):
        lux = await yarp.state_observe("/lux")
        await yarp.set_value("/lamp", lux)
        await client.event_register("/moved")
    """

BASE = "/eshet_rules/home"


@pytest.fixture
def cables():
    """The connections of the publishers to the server, in the order in which they were made."""
    return []


@pytest.fixture
def controls():
    """What executes the requests to each of the publishers."""
    return []


@pytest.fixture
async def publish(house, log, cables, controls):
    """Publish what a house does, until the end of the test."""
    publishers = []

    async def publish(name="home", client_id="of the first", redaction=None, **options):
        controls.append(
            Control(
                house.reloader,
                Configuration(),
                RuleSwitches(None, log.logger),
                log.logger,
                scan=house.folder.look,
            )
        )
        cables.append(Cable(house.server))
        client = Client(server=cables[-1], client_id=client_id)
        publisher = Publisher(
            client,
            name,
            house.reloader,
            controls[-1],
            log.logger,
            house.folder.path,
            redaction,
            **options,
        )
        running = asyncio.create_task(publisher.run())
        publishers.append((publisher, running))
        await house.advance(1)
        return publisher

    yield publish
    for publisher, running in publishers:
        running.cancel()
        await publisher.close()


async def test_each_rule_has_a_state_that_says_how_it_is(house, publish):
    house.write("hall.py", RULE)
    await house.reload()
    await publish()
    told = await house.get(f"{BASE}/rules/hall/light")
    assert told.pop("since").endswith("Z")
    assert told.pop("version") == house.reloader.instances["hall"].version.source.version
    assert told == {
        "rule": "hall.light",
        "module": "hall",
        "state": "running",
        "strategy": "RunSerially(retry=True)",
        "restarts": 0,
        "last_error": None,
        "errors": 0,
        "why": "",
        "running": 0,
        "queued": 0,
        "waiting": 0,
        "waiting_s": 0.0,
        "reads": ["/lux"],
        "writes": ["/lamp", "/moved"],
    }


async def test_the_runner_has_a_state_that_says_how_many_are_how(house, publish):
    house.write_level("hall", 1)
    house.write("bath.py", "a = = 1")
    await house.reload()
    await publish()
    told = await house.get(f"{BASE}/runner")
    assert told["name"] == "home"
    assert told["folder"] == str(house.folder.path)
    assert told["rules"] == {"running": 1}
    assert told["broken"] == ["bath"]


async def test_an_error_is_published_without_what_is_secret(house, publish):
    house.write(
        "hall.py",
        """
        from eshet_rules import rule

        @rule
        async def first():
            raise ValueError("the code is s3cret")

        @rule
        async def second(client):
            await client.set("/alarm/code", 1)
        """,
    )
    await house.reload()
    redaction = Redaction(["/alarm/*"])
    redaction.hide("s3cret")
    await publish(redaction=redaction)
    first = await house.get(f"{BASE}/rules/hall/first")
    second = await house.get(f"{BASE}/rules/hall/second")
    assert first["last_error"] == f"ValueError: the code is {REDACTED}"
    assert second["last_error"] == REDACTED
    told = (await house.viewer.action_call(f"{BASE}/list"))["rules"]
    assert [each["last_error"] for each in told] == [first["last_error"], REDACTED]


async def test_only_changed_states_are_published(house, publish):
    house.write_level("hall", 1)
    house.write_level("bath", 1)
    await house.reload()
    await publish()
    hall = await house.watch(f"{BASE}/rules/hall/level")
    bath = await house.watch(f"{BASE}/rules/bath/level")
    runner = await house.watch(f"{BASE}/runner")
    await house.advance(10)
    assert [len(hall), len(bath), len(runner)] == [1, 1, 1]
    await house.viewer.action_call(f"{BASE}/disable", "hall")
    await house.advance(1)
    assert [each["state"] for each in hall] == ["running", "disabled"]
    assert len(bath) == 1
    assert [each["rules"] for each in runner] == [{"running": 2}, {"disabled": 1, "running": 1}]


async def test_frequent_changes_are_published_together(house, publish, controls):
    house.write_level("hall", 1)
    await house.reload()
    await publish()
    hall = await house.watch(f"{BASE}/rules/hall/level")
    for _ in range(20):
        await controls[0].restart("hall")
    await house.advance(0.5)
    assert len(hall) <= 2


async def test_a_rule_that_is_gone_has_no_state_any_more(house, publish):
    house.write_level("hall", 1)
    house.write_level("bath", 1)
    await house.reload()
    await publish()
    house.folder.remove("hall.py")
    await house.reload()
    await house.advance(1)
    entries = (await house.viewer.action_call("/meta/ls", f"{BASE}/rules"))[1]
    assert [name for name, _ in entries] == ["bath"]


async def test_names_that_are_no_paths_get_paths_of_their_own(house, publish):
    house.write(
        "upstairs/bath.py",
        """
        from eshet_rules import rule

        @rule.each("küche", "kuche")
        async def light(room): ...

        @rule(name="light_kuche_")
        async def third(): ...
        """,
    )
    await house.reload()
    await publish()
    base = f"{BASE}/rules/upstairs_bath"
    names = [name for name, _ in (await house.viewer.action_call("/meta/ls", base))[1]]
    assert sorted(names) == ["light_k_che_", "light_kuche_", "light_kuche__2"]
    rules = {(await house.get(f"{base}/{name}"))["rule"] for name in names}
    assert rules == {
        "upstairs.bath.light[küche]",
        "upstairs.bath.light[kuche]",
        "upstairs.bath.light_kuche_",
    }


async def test_all_rules_are_listed_page_by_page(house, publish):
    for number in range(130):
        house.write_level(f"room_{number:03}_{'x' * 200}", number)
    await house.reload()
    await publish()
    rules, after, pages = [], "", 0
    while after is not None:
        page = await house.viewer.action_call(f"{BASE}/list", after)
        rules += [rule["module"][:8] for rule in page["rules"]]
        after, pages = page["next"], pages + 1
    assert rules == [f"room_{number:03}" for number in range(130)]
    assert pages > 1


async def test_it_does_what_it_is_told_and_answers_with_what_that_was(house, publish):
    house.write_level("hall", 1)
    await house.reload()
    await publish()
    call = house.viewer.action_call
    assert await call(f"{BASE}/disable", "hall") == ["hall.level"]
    assert (await house.get(f"{BASE}/rules/hall/level"))["state"] == "disabled"
    assert await call(f"{BASE}/enable", "hall.level") == ["hall.level"]
    assert await call(f"{BASE}/restart", "hall") == ["hall.level"]
    assert await call(f"{BASE}/reload") == ["hall"]


async def test_what_it_can_not_do_is_the_answer_and_in_the_log(house, publish):
    house.write_level("hall", 1)
    await house.reload()
    await publish()
    with pytest.raises(ErrorValue, match="there is no rule and no module 'hal'; did you mean hall"):
        await house.viewer.action_call(f"{BASE}/disable", "hal")
    assert "no module 'hal'" in house.log.find("control.request_refused")["error"]


async def test_a_name_that_another_runner_has_is_told_once_with_a_remedy(house, publish):
    house.write_level("hall", 1)
    await house.reload()
    await publish()
    await publish(client_id="of the second")
    await house.advance(600)
    problem = house.log.find("publisher.unavailable")
    whose = f"the runner of {house.folder.path}, process {os.getpid()},"
    assert problem["error"] == f"{whose} has the name 'home' on this server"
    assert "--name" in problem["advice"]
    assert await house.get("/hall/level") == 1
    assert (await house.get(f"{BASE}/runner"))["rules"] == {"running": 1}


async def test_the_remedy_names_the_setting_that_the_name_is_from(house, publish):
    await publish()
    await publish(client_id="of the second", setting="`runner` below [cluster]")
    advice = house.log.find("publisher.unavailable")["advice"]
    assert advice == "start one of them with another name: `runner` below [cluster]"


async def test_the_name_is_taken_when_it_is_free(house, publish):
    house.write_level("hall", 1)
    await house.reload()
    first = await publish()
    await publish(client_id="of the second")
    await first.close()
    await house.advance(120)
    assert house.log.find("publisher.available")["path"] == BASE
    assert (await house.get(f"{BASE}/rules/hall/level"))["rule"] == "hall.level"
    assert await house.viewer.action_call(f"{BASE}/reload") == ["hall"]


async def test_a_runner_whose_name_is_taken_while_its_connection_is_away_withdraws(
    house, publish, cables, controls
):
    house.write_level("hall", 1)
    await house.reload()
    await publish()
    async with Client(server=house.server) as thief:
        cables[0].cut()
        await thief.state_register(f"{BASE}/runner")
        await house.advance(1)
        await controls[0].disable("hall")
        await house.advance(1)
        assert "another runner has the name" in house.log.find("publisher.unavailable")["error"]
        with pytest.raises(ErrorValue):
            await house.viewer.action_call(f"{BASE}/list")
    await house.advance(120)
    assert (await house.get(f"{BASE}/runner"))["rules"] == {"disabled": 1}


@pytest.mark.parametrize(
    ("configured", "folder_name", "name"),
    [
        ("home", "rules", "home"),
        (None, "rules", "rules"),
        (None, "my house", "my_house"),
        (None, "", "rules"),
    ],
)
def test_a_runner_is_named_as_is_configured_or_as_its_folder(
    tmp_path, configured, folder_name, name
):
    folder = tmp_path / folder_name if folder_name else tmp_path.__class__("/")
    assert runner_name(configured, folder) == name


async def test_a_module_that_came_and_went_while_the_server_was_away_costs_nothing(house, publish):
    house.write_level("hall", 1)
    await house.reload()
    await publish()
    register = Client.state_register
    fails = True

    async def away(self, path, *args, **kwargs):
        if fails and "/rules/bath/" in path:
            raise Disconnected("away")
        return await register(self, path, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "state_register", away)
        house.write_level("bath", 1)
        await house.reload()
        await house.advance(5)
        house.folder.remove("bath.py")
        await house.reload()
        await house.advance(5)
        fails = False
        house.write_level("attic", 1)
        await house.reload()
        await house.advance(70)
    assert (await house.get(f"{BASE}/rules/attic/level"))["state"] == "running"


ODD = """
    from eshet import yarp
    from eshet.utils import RunInTask
    from eshet_rules import rule

    class Odd(RunInTask):
        def __repr__(self):
            {repr}

    class Own(BaseException):
        pass

    @rule(name={name}, strategy=Odd())
    async def odd():
        raise {error}
    """

ODD_TEXTS = {
    "long error": {"error": "ValueError('x' * 70_000)"},
    "surrogate error": {"error": r"ValueError('\ud800' * 70_000)"},
    "control characters": {"error": r"ValueError('\x1b[2J' * 70_000)"},
    "long strategy": {"repr": "return 'x' * 70_000"},
    "surrogate strategy": {"repr": r"return '\ud800' * 70_000"},
    "strategy without a text": {"repr": "raise Own"},
    "strategy with a number": {"repr": "return 5"},
    "long name": {"name": "'n' * 70_000"},
}


@pytest.mark.parametrize("texts", ODD_TEXTS.values(), ids=ODD_TEXTS)
async def test_texts_of_any_kind_are_published_and_listed(house, publish, texts):
    given = {"error": "ValueError('x')", "repr": "return 'Odd()'", "name": "'odd'"} | texts
    house.write("hall.py", ODD.format(**given))
    house.write_level("bath", 1)
    await house.update()
    await publish()
    await house.advance(5)
    listed, after = [], ""
    while after is not None:
        page = await house.viewer.action_call(f"{BASE}/list", after)
        listed += page["rules"]
        after = page["next"]
    assert [rule["module"] for rule in listed] == ["bath", "hall"]
    assert listed[1]["state"] in ("failed", "restarting")
    _, [[name, _]] = await house.viewer.action_call("/meta/ls", f"{BASE}/rules/hall")
    assert (await house.get(f"{BASE}/rules/hall/{name}"))["last_error"] == listed[1]["last_error"]


async def test_many_modules_that_can_not_be_used_fit_into_a_message(house, publish):
    for number in range(300):
        house.write(f"bad{number}.py", f"raise ValueError('{'x' * 2000}')")
    house.write_level("bath", 1)
    await house.update()
    await publish()
    await house.advance(2)
    page = await house.viewer.action_call(f"{BASE}/list")
    assert 0 < len(page["broken"]) < 300
    assert len((await house.get(f"{BASE}/runner"))["broken"]) == len(page["broken"])


DRIVER = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def light():
        await yarp.drive("/lamp", {level}, override="1h", priority={level})
    """


async def test_who_decides_over_a_path_is_told_and_released(house, publish):
    lamp = await house.viewer.state_register("/lamp", lambda value: lamp.changed(value))
    house.write("hall.py", DRIVER.format(level=1))
    house.write("stairs.py", DRIVER.format(level=2))
    await house.reload()
    await publish()
    await house.advance(5)
    await lamp.changed(7)
    await house.advance(5)
    told = await house.viewer.action_call(f"{BASE}/drives")
    [report] = told["drives"]
    assert told["next"] is None
    assert (report["path"], report["decides"], report["value"]) == ("/lamp", "person", 7)
    assert [(each["rule"], each["value"]) for each in report["drivers"]] == [
        ("stairs.light", 2),
        ("hall.light", 1),
    ]
    assert await house.viewer.action_call(f"{BASE}/release", "/lamp") == ["/lamp"]
    await house.advance(1)
    assert await house.get("/lamp") == 2
    assert await house.viewer.action_call(f"{BASE}/release", "/lamp") == []


async def test_a_rule_that_is_disabled_or_restarted_lets_the_next_one_decide(house, publish):
    sets = await house.sets("/lamp")
    house.write("hall.py", DRIVER.format(level=1))
    house.write("stairs.py", DRIVER.format(level=2))
    await house.reload()
    await publish()
    call = house.viewer.action_call
    await call(f"{BASE}/disable", "stairs")
    await house.advance(1)
    await call(f"{BASE}/enable", "stairs")
    await house.advance(1)
    assert sets[-3:] == [2, 1, 2]
    await call(f"{BASE}/restart", "stairs")
    await house.advance(1)
    assert sets[-1] == 2
    [report] = (await call(f"{BASE}/drives"))["drives"]
    assert report["decides"] == "stairs.light"


async def test_a_path_that_no_rule_drives_is_not_released(house, publish):
    await house.sets("/lamp")
    house.write("hall.py", DRIVER.format(level=1))
    await house.reload()
    await publish()
    with pytest.raises(ErrorValue, match=r"no rule drives /lanp with .*; did you mean /lamp"):
        await house.viewer.action_call(f"{BASE}/release", "/lanp")


@pytest.mark.parametrize(
    ("action", "arguments", "error"),
    [
        ("release", [5], "no rule drives 5 with yarp.drive"),
        ("release", [None, {}], "no rule drives None with yarp.drive"),
        ("drives", [-5], "wrong arguments for drives: -5 is not a text"),
        ("drives", ["", ""], "wrong arguments for drives: too many positional arguments"),
        ("list", [None], "wrong arguments for list: None is not a text"),
        ("rollback", [], "wrong arguments for rollback: missing a required argument: 'target'"),
        ("why", [], "wrong arguments for why: missing a required argument: 'path'"),
        ("why", ["/a", 2], "wrong arguments for why: too many positional arguments"),
    ],
)
async def test_odd_arguments_are_refused_in_plain_words(house, publish, action, arguments, error):
    house.write("hall.py", DRIVER.format(level=1))
    await house.sets("/lamp")
    await house.reload()
    await publish(answers={"why": Explaining(house.reloader, None).why})
    with pytest.raises(ErrorValue, match=error):
        await house.viewer.action_call(f"{BASE}/{action}", *arguments)
    assert error in house.log.find("control.request_refused")["error"]
    assert "Traceback" not in house.log.stream.getvalue()


async def test_why_tells_the_line_of_an_output_that_only_the_trail_remembers(house, publish):
    """As after a restart, before the rule has sent anything."""
    house.write("hall.py", DRIVER.format(level=1))
    await house.sets("/lamp")
    await house.reload()
    await publish(answers={"why": Explaining(house.reloader, None).why})
    known = await house.viewer.action_call(f"{BASE}/why", "/lamp")
    assert known["outputs"] == {}
    [place] = known["places"]["/lamp"].values()
    assert re.fullmatch(r"hall\.py:\d+", place)


async def test_the_value_of_a_secret_path_is_not_told(house, publish):
    await house.sets("/lamp")
    house.write("hall.py", DRIVER.format(level=1))
    await house.reload()
    await publish(redaction=Redaction(["/lamp"]))
    [report] = (await house.viewer.action_call(f"{BASE}/drives"))["drives"]
    assert report == {"path": "/lamp", "hidden": True}


async def test_values_that_can_not_be_sent_are_told_as_texts(house, publish):
    await house.sets("/lamp")
    house.write("hall.py", DRIVER.format(level="set()").replace("priority=set()", "priority=1"))
    await house.reload()
    await publish()
    [report] = (await house.viewer.action_call(f"{BASE}/drives"))["drives"]
    assert report["value"] == "set()"


ODD_DRIVER = """
    from eshet import yarp
    from eshet_rules import rule

    deep = 1
    for _ in range(127):
        deep = [deep]

    @rule
    async def light():
        await yarp.drive("/lamp", {value}, override="365d")

    @rule
    async def other():
        await yarp.drive("/other", 1, override="365d")
    """


@pytest.mark.parametrize("value", ["deep", "[0] * 60_000", "10**400"])
async def test_an_odd_value_of_one_path_does_not_hide_the_other_paths(house, publish, value):
    await house.sets("/lamp")
    await house.sets("/other")
    house.write("hall.py", ODD_DRIVER.format(value=value))
    await house.reload()
    await publish()
    odd, other = (await house.viewer.action_call(f"{BASE}/drives"))["drives"]
    assert isinstance(odd["value"], str)
    assert other["value"] == 1
