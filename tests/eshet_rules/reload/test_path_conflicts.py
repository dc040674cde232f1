"""Rules that want a path which another client provides."""

from eshet import Client, Unknown

TWO = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def level():
        await yarp.state_register("/{name}/level", yarp.Value(1))

    @rule
    async def other():
        await yarp.state_register("/{name}/other", yarp.Value(2))
    """


def conflicts(house):
    return [r for r in house.log.records if r["event"] == "path.taken"]


async def test_all_paths_that_one_client_provides_are_one_message(house):
    async with Client(server=house.server, client_id="the old house") as old:
        await old.state_register("/hall/level")
        await old.state_register("/hall/other")
        house.write("hall.py", TWO.format(name="hall"))
        await house.update()
        [conflict] = conflicts(house)
    assert conflict["level"] == "warning"
    assert conflict["owner"] == "client the old house"
    file = house.folder.path / "hall.py"
    assert conflict["conflicts"] == [
        f"/hall/level: hall.level at {file}:7",
        f"/hall/other: hall.other at {file}:11",
    ]
    assert "rule.failed" not in [r["event"] for r in house.log.records if r["level"] != "debug"]


async def test_a_rule_has_its_path_soon_after_that_is_free(house):
    async with Client(server=house.server) as old:
        await old.state_register("/hall/level")
        house.write("hall.py", TWO.format(name="hall"))
        await house.update(100)
        assert await house.get("/hall/level") is Unknown
        states = {r.rule: (str(r.status.state), r.status.why) for r in house.reloader.reports()}
        assert states["hall.level"] == (
            "restarting",
            "/hall/level is provided by another rule or client",
        )
        assert states["hall.other"][0] == "running"
    await house.advance(61)
    assert await house.get("/hall/level") == 1
    assert len(conflicts(house)) == 1


async def test_two_rules_of_one_house_are_named_as_well(house):
    house.write("hall.py", TWO.format(name="hall"))
    house.write("porch.py", TWO.format(name="hall"))
    await house.update()
    [conflict] = conflicts(house)
    assert conflict["owner"] in ("module hall of this runner", "module porch of this runner")
    assert len(conflict["conflicts"]) == 2
    assert "runner" not in conflict["advice"]


async def test_a_path_registered_twice_by_one_rule_is_named(house):
    text = TWO.format(name="hall").replace("/hall/other", "/hall/level")
    house.write("hall.py", text)
    await house.update()
    [conflict] = conflicts(house)
    assert conflict["owner"] == "module hall of this runner"


async def test_clients_whose_ids_are_no_texts_are_named(house):
    async with Client(server=house.server, client_id=[7, b"x"]) as old:
        await old.state_register("/hall/level")
        house.write("hall.py", TWO.format(name="hall"))
        await house.update()
    [conflict] = conflicts(house)
    assert conflict["owner"] == "client [7, b'x']"


async def test_of_many_conflicts_the_first_are_listed(house):
    text = "from eshet import yarp\nfrom eshet_rules import rule\n"
    async with Client(server=house.server, client_id="old") as old:
        for number in range(25):
            await old.state_register(f"/{number}")
            text += f"@rule\nasync def r{number}():\n"
            text += f"    await yarp.state_register('/{number}', yarp.Value(1))\n"
        house.write("hall.py", text)
        await house.update()
        [conflict] = conflicts(house)
    assert len(conflict["conflicts"]) == 11
    assert conflict["conflicts"][-1] == "and 15 more"


async def test_what_others_publish_where_runners_do_disturbs_nothing(house):
    async with Client(server=house.server, client_id="old") as old:
        await (await old.state_register("/eshet_rules/a/runner")).changed(7)
        await (await old.state_register("/eshet_rules/b/runner")).changed({"folder": "/f"})
        await old.state_register("/eshet_rules/c")
        await old.state_register("/hall/level")
        house.write("hall.py", TWO.format(name="hall"))
        await house.update()
        [conflict] = conflicts(house)
    assert conflict["owner"] == "client old"


async def test_a_module_is_reloaded_while_one_of_its_rules_waits_for_a_path(house):
    async with Client(server=house.server) as old:
        await old.state_register("/hall/level")
        text = TWO.format(name="hall")
        house.write("hall.py", text)
        await house.update(5)
        house.write("hall.py", text.replace("Value(2)", "Value(3)"))
        assert await house.update()
        assert await house.get("/hall/other") == 3
        assert not house.reloader.broken
    await house.advance(61)
    assert await house.get("/hall/level") == 1


async def test_a_version_that_needs_a_taken_path_is_tried_again_at_the_next_change(house):
    house.write("hall.py", TWO.format(name="hall"))
    house.write("porch.py", TWO.format(name="porch"))
    await house.update()
    house.write("porch.py", TWO.format(name="porch").replace("/porch/level", "/hall/level"))
    assert not await house.update()
    aborted = house.log.find("module.reload_aborted")
    assert (aborted["module"], aborted["taken_paths"]) == ("porch", ["/hall/level"])
    assert "/hall/level" in house.reloader.broken["porch"]
    assert await house.get("/porch/level") == 1
    house.write("hall.py", TWO.format(name="hall").replace("/hall/level", "/hall/old"))
    assert await house.update()
    assert not house.reloader.broken
    assert await house.get("/hall/level") == 1
    assert await house.get("/hall/old") == 1


async def test_a_conflict_that_comes_back_is_logged_again(house):
    for times in (1, 2):
        async with Client(server=house.server, client_id="old") as old:
            await old.state_register("/hall/level")
            house.write("hall.py", TWO.format(name="hall") + "\n" * times)
            await house.update(100)
            assert len(conflicts(house)) == times
        await house.advance(61)
        assert await house.get("/hall/level") == 1
        house.folder.remove("hall.py")
        await house.update(200)


async def test_a_rule_gets_a_path_late_if_the_module_that_was_to_release_it_is_broken(house):
    hall, porch = (TWO.format(name=name) for name in ("hall", "porch"))
    house.write("hall.py", hall)
    house.write("porch.py", porch)
    await house.update()
    house.write("hall.py", hall.replace("/hall/level", "/hall/old").replace("Value(2)", "Valu(2)"))
    house.write("porch.py", porch.replace("/porch/level", "/hall/level"))
    await house.update(10)
    assert await house.get("/hall/level") == 1
    assert conflicts(house)[0]["owner"] == "module hall of this runner"

    house.write("hall.py", hall.replace("/hall/level", "/hall/old").replace("Value(1)", "Value(7)"))
    await house.update(61)
    assert await house.get("/hall/old") == 7
    assert await house.get("/hall/level") == 1
    await house.advance(3600)
    house.folder.remove("hall.py")
    await house.update(10)
    assert await house.get("/hall/level") == 1
