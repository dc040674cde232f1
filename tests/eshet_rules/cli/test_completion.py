import pytest
from click.testing import CliRunner

from eshet_rules.cli import main
from eshet_rules.cli.completion import device_names, names_in
from tests.support.bridged import bridged_house
from tests.support.processes import command, line, running
from tests.support.rules import Folder

RULES = """
    import eshet_rules
    from eshet_rules import rule

    @rule
    async def light():
        pass

    @rule(name="night light")
    async def other():
        pass

    @eshet_rules.rule()
    async def fan():
        pass

    async def no_rule():
        pass
    """


@pytest.fixture
def place(tmp_path):
    """A place to type in, with a rules folder; there is no runner."""
    Folder(tmp_path / "rules").write("hall.py", RULES)
    Folder(tmp_path / "rules").write("_helper.py", RULES)
    Folder(tmp_path / "rules").write("bath.py", "a = = 1")
    return tmp_path


def complete(*typed, **surroundings):
    """Return what the shell would offer for the last word."""
    variables = {
        "_ESHET_RULES_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["eshet-rules", *typed]),
        "COMP_CWORD": str(len(typed)),
        **surroundings,
    }
    result = CliRunner(env=variables).invoke(main, prog_name="eshet-rules")
    return [each.partition(",")[2] for each in result.output.splitlines()]


def test_the_names_of_rules_are_read_from_the_folder(place):
    names = {"bath", "hall", "hall.light", "hall.fan", "hall.night light"}
    assert names_in(place / "rules") == names


def test_commands_and_options_are_completed():
    assert complete("re") == ["release", "reload", "replay", "restart"]
    assert "--log-format" in complete("run", "--l")
    assert complete("run", "--log-format", "j") == ["json"]


def test_without_a_runner_names_are_those_of_the_folder(place, monkeypatch):
    monkeypatch.chdir(place)
    offered = complete("disable", "hall.", ESHET_SERVER="127.0.0.1:1")
    assert offered == [
        "hall.fan",
        "hall.light",
        "hall.night light",
    ]


def test_with_a_runner_names_are_those_that_it_runs(place, monkeypatch):
    monkeypatch.chdir(place)
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as server:
        address = line(server).split()[-1]
        Folder(place / "other").write("kitchen.py", RULES)
        with running("eshet-rules", "run", str(place / "other"), "--server", address) as runner:
            while "running" not in line(runner):
                pass
            while "kitchen" not in command("eshet-rules", "list", server=address).stdout:
                pass
            offered = complete("reload", "k", ESHET_SERVER=address)
            assert offered[0] == "kitchen"
            assert "kitchen.light" in offered


async def test_the_names_of_devices_and_their_paths_by_aliases_are_completed(advance):
    async with bridged_house(advance, aliases={"Hall lamp": "/house/hall/lamp"}) as house:
        for name in ("Hall lamp", "Plug"):
            config = {"stat_t": "x", "dev": {"ids": name, "name": name}}
            house.publish_now(f"homeassistant/sensor/{name[0]}/config", config)
        await house.settle()
        assert await device_names(house.client) == {
            "Hall lamp", "/house/hall/lamp", "Plug", "/mqtt/house/Plug",
        }  # fmt: skip


def test_the_names_of_devices_come_from_the_server(monkeypatch):
    async def device_names(client):
        return {"Hall lamp", "/house/hall/lamp"}

    monkeypatch.setattr("eshet_rules.cli.completion.device_names", device_names)
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as server:
        address = line(server).split()[-1]
        assert complete("devices", "/h", ESHET_SERVER=address) == ["/house/hall/lamp"]
        assert complete("devices", "--server", address, "H") == ["Hall lamp"]
    assert complete("devices", "/h", ESHET_SERVER="127.0.0.1:1") == [""]


def test_a_script_for_the_shell_is_given():
    variables = {"_ESHET_RULES_COMPLETE": "zsh_source"}
    result = CliRunner(env=variables).invoke(main, prog_name="eshet-rules")
    assert "compdef" in result.output
