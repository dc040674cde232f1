import types
from textwrap import dedent

import pytest

from eshet import Unknown
from eshet_rules.config import Configuration, ConfigurationFile
from eshet_rules.exceptions import AllDisabled, NotInCluster, NotReloaded, UnknownName
from eshet_rules.runner.control import Control
from eshet_rules.runner.switches import RuleSwitches

TWO = """
    from eshet import yarp
    from eshet_rules import rule

    @rule
    async def light(config):
        await yarp.state_register("/light", yarp.Value(config.get("level", 0)))

    @rule
    async def fan():
        speed = yarp.Value(1)
        await yarp.state_register("/fan", speed, settable=True)
    """

CHOSEN = """
    from eshet.utils import RunSerially
    from eshet_rules import rule

    @rule(strategy=RunSerially(retry=True))
    async def light():
        pass
    """


@pytest.fixture
def configured(folder):
    """Read what is configured."""

    def configured(text):
        path = folder.path / "eshet-rules.toml"
        path.write_text(dedent(text))
        return ConfigurationFile(path).read()

    return configured


@pytest.fixture
def make(house, tmp_path):
    def make(configuration=None, **options):
        return Control(
            house.reloader,
            configuration or Configuration(),
            RuleSwitches(tmp_path / "switches.json", house.log.logger),
            house.log.logger,
            scan=house.folder.look,
            **options,
        )

    return make


@pytest.fixture
async def running(house):
    """A house with two rules in `hall`, and one in `bath`."""
    house.write("hall.py", TWO)
    house.write_level("bath", 1)

    async def running():
        await house.reload()
        house.log.clear()

    return running


def states(house):
    return {report.rule: str(report.status.state) for report in house.reloader.reports()}


ALL_RUN = {"bath.level": "running", "hall.fan": "running", "hall.light": "running"}


async def test_a_rule_that_is_disabled_ends_and_no_other_is_touched(house, make, running):
    control = make()
    await running()
    await house.viewer.set("/fan", 3)
    assert await control.disable("hall.light") == ["hall.light"]
    await house.advance(0)
    assert await house.get("/light") is Unknown
    assert await house.get("/fan") == 3
    assert states(house) == {**ALL_RUN, "hall.light": "disabled"}
    assert house.log.events() == ["control.disable_requested", "rule.disabled"]


async def test_a_rule_that_is_enabled_again_runs_again(house, make, running):
    control = make()
    await running()
    await control.disable("hall")
    assert await control.enable("hall.*") == ["hall.fan", "hall.light"]
    await house.advance(0)
    assert await house.get("/light") == 0
    assert states(house) == ALL_RUN


async def test_disabled_is_disabled_also_while_the_file_is_broken(house, make, running):
    control = make()
    await running()
    house.write("hall.py", "a = = 1")
    assert not await house.reload()
    await control.disable("hall.light")
    assert states(house)["hall.light"] == "disabled"


async def test_it_stays_disabled_over_a_reload_and_a_restart(house, make, running):
    control = make()
    await running()
    await control.disable("hall.light")
    house.write("hall.py", TWO + "\n# edited")
    await house.reload()
    assert states(house)["hall.light"] == "disabled"
    make()  # as the next runner does
    assert house.reloader._settings("hall.light").disabled == "by command"


async def test_a_command_beats_the_configuration(house, make, running, configured):
    control = make(configured("[rules.hall]\nenabled = false"))
    await running()
    assert states(house)["hall.light"] == "disabled"
    await control.enable("hall.light")
    assert states(house)["hall.light"] == "running"
    assert states(house)["hall.fan"] == "disabled"


async def test_a_reload_of_one_module_reloads_that_one_changed_or_not(house, make, running):
    control = make()
    await running()
    assert await control.reload("hall.light") == ["hall"]
    assert house.log.events() == ["control.reload_requested", "module.reloaded"]
    assert house.log.find("module.reloaded")["module"] == "hall"


async def test_a_reload_of_what_is_broken_says_so_and_reloads_the_rest(house, make, running):
    control = make()
    await running()
    house.write("hall.py", "a = = 1")
    with pytest.raises(NotReloaded, match=r"not reloaded: hall: .*hall.py:1: SyntaxError"):
        await control.reload("hall")
    with pytest.raises(NotReloaded):
        await control.reload()
    assert "bath" in {r["module"] for r in house.log.records if r["event"] == "module.reloaded"}
    assert await control.reload("bath") == ["bath"]


async def test_a_reload_of_all_takes_what_is_in_the_files(house, make, running):
    control = make()
    await running()
    house.write_level("bath", 2)
    assert await control.reload() == ["bath", "hall"]
    assert await house.get("/bath/level") == 2


async def test_a_restart_starts_one_rule_afresh(house, make, running):
    control = make()
    await running()
    await house.viewer.set("/fan", 3)
    assert await control.restart("hall.fan") == ["hall.fan"]
    await house.advance(0)
    assert await house.get("/fan") == 1


async def test_what_is_disabled_is_not_restarted(house, make, running):
    control = make()
    await running()
    await control.disable("hall.fan")
    assert await control.restart("hall") == ["hall.light"]
    with pytest.raises(AllDisabled, match=r"first run `eshet-rules enable hall.fan`"):
        await control.restart("hall.fan")
    assert states(house) == {**ALL_RUN, "hall.fan": "disabled"}


@pytest.mark.parametrize("command", ["reload", "restart", "enable", "disable"])
async def test_a_name_that_means_nothing_is_an_error_that_names_what_is_near(
    house, make, running, command
):
    control = make()
    await running()
    with pytest.raises(UnknownName, match=r"'hall.lihgt'; did you mean hall.light\?"):
        await getattr(control, command)("hall", "hall.lihgt")
    assert house.log.events() == []
    assert states(house) == ALL_RUN


async def test_only_those_that_were_asked_for_run(house, make, running):
    control = make(only="hall.l*")
    await running()
    assert states(house) == {
        "bath.level": "disabled",
        "hall.fan": "disabled",
        "hall.light": "running",
    }
    control.check_only()
    with pytest.raises(UnknownName):
        make(only="kitchen").check_only()


# --- the configuration ----------------------------------------------------------------------------


async def test_a_changed_parameter_reloads_the_modules_that_use_it_only(
    house, make, running, configured
):
    control = make(configured("[rules.hall]\nparameters.level = 1"))
    await running()
    assert await house.get("/light") == 1
    await control.configure(configured("[rules.hall]\nparameters.level = 2"))
    assert await house.get("/light") == 2
    assert house.log.events("hall") == ["module.reloaded"]
    assert house.log.events("bath") == []


async def test_a_parameter_of_rules_that_use_none_reloads_nothing(house, make, running, configured):
    control = make(configured(""))
    await running()
    await control.configure(configured("[rules.bath]\nparameters.level = 2"))
    assert "module.reloaded" not in house.log.events()
    assert house.log.find("config.reloaded")["modules"] == []


async def test_a_changed_strategy_reloads_the_rules_that_choose_none(
    house, make, running, configured
):
    control = make(configured(""))
    house.write("kitchen.py", CHOSEN)
    await running()
    await control.configure(configured('[strategy]\nrun = "serially"'))
    assert house.log.find("config.reloaded")["modules"] == ["bath", "hall"]
    strategies = {r.rule: r.status.strategy for r in house.reloader.reports()}
    assert strategies["hall.light"] == "RunSerially()"
    assert strategies["kitchen.light"] == "RunSerially(retry=True)"


async def test_changed_enabled_starts_and_ends_rules_without_a_reload(
    house, make, running, configured
):
    control = make(configured(""))
    await running()
    await control.configure(configured('[rules."hall.light"]\nenabled = false'))
    assert states(house)["hall.light"] == "disabled"
    await control.configure(configured(""))
    assert states(house) == ALL_RUN
    assert "module.reloaded" not in house.log.events()


async def test_new_parameters_with_which_the_set_up_fails_leave_the_old_version(
    house, make, running, configured
):
    control = make(configured(""))
    house.write("hall.py", TWO.replace('config.get("level", 0)', "1 / config.level"))
    await house.reload()
    await control.configure(configured("[rules.hall]\nparameters.level = 4"))
    assert await house.get("/light") == 0.25
    await control.configure(configured("[rules.hall]\nparameters.level = 0"))
    assert await house.get("/light") == 0.25
    assert "module.reload_aborted" in house.log.events()
    await control.configure(configured("[rules.hall]\nparameters.level = 2"))
    assert await house.get("/light") == 0.5


async def test_what_waits_for_a_restart_is_said(house, make, running, configured):
    control = make(configured(""))
    await running()
    await control.configure(configured('[log]\nlevel = "debug"\n[server]\nname = "x"'))
    record = house.log.find("config.needs_restart")
    assert record["tables"] == ["server", "log"]


async def test_a_name_in_it_that_no_rule_has_is_told_with_what_is_near(
    house, make, running, configured
):
    control = make(configured(""))
    await running()
    await control.configure(configured("[rules.hal]\nenabled = false"))
    record = house.log.find("config.unknown_rule")
    assert (record["name"], record["near"]) == ("hal", ["hall"])


async def test_parameters_that_no_rule_asks_for_are_told(house, make, running, configured):
    control = make(configured(""))
    await running()
    await control.configure(configured("[rules.bath]\nparameters.level = 1"))
    record = house.log.find("config.unused_parameters")
    assert (record["name"], record["parameters"]) == ("bath", ["level"])
    assert record["advice"] == "give the rule a parameter named config"


# --- causes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "told", "done"),
    [
        ("reload", "control.reload_requested", "module.reloaded"),
        ("disable", "control.disable_requested", "rule.disabled"),
        ("enable", "control.enable_requested", None),
        ("restart", "control.restart_requested", None),
    ],
)
async def test_a_command_is_the_cause_of_what_it_leads_to(
    house, make, running, command, told, done
):
    control = make()
    await running()
    await getattr(control, command)("bath")
    await house.advance(1)
    cause = house.log.find(told)["cause"]
    if done is not None:
        record = house.log.find(done)
        assert cause in (record["cause"], record.get("parent"))


async def test_what_a_rule_does_when_it_is_restarted_goes_back_to_who_told_it(house, make, running):
    house.write(
        "bath.py",
        """
        from eshet_rules import rule

        @rule
        async def level(log):
            log.info("I begin")
        """,
    )
    control = make()
    await running()
    await control.restart("bath")
    await house.advance(1)
    assert (
        house.log.find("I begin")["parent"] == house.log.find("control.restart_requested")["cause"]
    )


KEPT = """
    from eshet import yarp
    from eshet_rules import keep, rule

    @rule
    async def heating():
        target = keep("target", 21)
        await yarp.state_register("/target", target, settable=True)
    # {edit}
    """


async def test_a_rule_that_was_disabled_continues_with_what_it_kept(house, make):
    house.write("heating.py", KEPT.format(edit=1))
    await house.reload()
    control = make()
    await house.viewer.set("/target", 26)
    await control.disable("heating")
    assert await house.get("/target") is Unknown
    await control.enable("heating")
    await house.advance(1)
    assert await house.get("/target") == 26


async def test_a_disabled_rule_keeps_its_values_over_an_edit(house, make):
    house.write("heating.py", KEPT.format(edit=1))
    await house.reload()
    control = make()
    await house.viewer.set("/target", 26)
    await control.disable("heating")
    house.write("heating.py", KEPT.format(edit=2))
    await house.reload()
    await control.enable("heating")
    await house.advance(1)
    assert await house.get("/target") == 26


async def test_a_rule_that_is_restarted_by_command_forgets_what_it_kept(house, make):
    house.write("heating.py", KEPT.format(edit=1))
    await house.reload()
    await house.viewer.set("/target", 26)
    await make().restart("heating")
    await house.advance(1)
    assert await house.get("/target") == 21


@pytest.mark.parametrize("undo", [False, True])
async def test_a_runner_without_a_cluster_cannot_be_drained(make, undo):
    with pytest.raises(NotInCluster, match="start it with --cluster NAME"):
        await make().drain(undo=undo)


async def test_a_configured_rule_may_be_one_that_another_runner_of_the_cluster_runs(
    make, running, house, configured
):
    await running()
    configuration = configured("[rules.attic]\nenabled = false")
    cluster = types.SimpleNamespace(
        switches=types.SimpleNamespace(), quarantine=types.SimpleNamespace()
    )
    make(configuration, cluster=cluster).check_patterns()
    assert house.log.events() == []
    make(configuration).check_patterns()
    assert house.log.events() == ["config.unknown_rule"]
