"""`eshet bridge`: which bridge a command line runs, and what wrong ones say."""

import logging
import sys

import pytest
from click.testing import CliRunner

from eshet.bridges.settings import BrokerUrl, HomeAssistantSettings, MqttSettings
from eshet.cli import main

TWO = """
[bridges.z2m]
type = "mqtt"
broker = "mqtt://one"
[bridges.ha]
type = "homeassistant"
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command line, and return the name and settings of the bridge, or the error."""
    ran = []
    module = sys.modules["eshet.cli.bridge"]  # the package has the command of this name
    monkeypatch.setattr(module, "_run", lambda server, *chosen: ran.append(chosen))

    def run(*arguments, config=None):
        if config is not None:
            file = tmp_path / "bridges.toml"
            file.write_text(config)
            arguments = (*arguments, "--config", str(file))
        result = CliRunner().invoke(main, ["bridge", *arguments])
        return ran.pop() if ran else (result.exit_code, result.output)

    return run


def test_without_a_file_all_is_as_by_default(run):
    assert run("mqtt") == ("mqtt", MqttSettings())
    assert run("homeassistant") == ("homeassistant", HomeAssistantSettings())


def test_the_command_line_says_where_it_connects_to(run):
    broker = BrokerUrl("b", 8883, is_encrypted=True, user="me")
    assert run("mqtt", "--broker", "mqtts://me@b", "--name", "x") == (
        "x",
        MqttSettings(broker=broker),
    )
    url = "http://ha"
    assert run("homeassistant", "--url", url) == ("homeassistant", HomeAssistantSettings(url=url))


def test_the_only_bridge_of_the_file_is_run(run):
    assert run("mqtt", config=TWO) == ("z2m", MqttSettings(broker=BrokerUrl("one", 1883)))
    assert run("homeassistant", "--name", "ha", config=TWO) == ("ha", HomeAssistantSettings())


@pytest.mark.parametrize(
    ("arguments", "config", "problem"),
    [
        (["mqtt", "--broker", "b"], None, "write a URL without a password"),
        (["mqtt", "--broker", "mqtt://me:secret@b"], None, "write a URL without a password"),
        (["mqtt", "--broker", "http://b"], None, "write a URL without a password"),
        (["mqtt", "--name", "a-b"], None, "--name: write a name of letters A-Z, digits and _"),
        (["homeassistant", "--url", "ha.local"], None, 'found "ha.local"; write a URL'),
        (["homeassistant", "--url", "http://u:secret@ha"], None, "write a URL in quotes"),
        (["mqtt"], "[bridge.z2m]", 'no key "bridge"; did you mean "bridges"?'),
        (["mqtt", "--broker", "mqtt://b"], TWO, "leave out --broker"),
        (["mqtt", "--name", "x"], TWO, "with --name; the bridges of this type are: z2m"),
        (["mqtt"], "", "of this type are: none"),
        (["mqtt"], f'{TWO}[bridges.b]\ntype="mqtt"', "of this type are: b, z2m"),
        (["mqtt"], "[bridges.z2m]", "bridges.toml:1: bridges.z2m.type: there is no type"),
        (["mqtt"], "[bridges", "bridges.toml:1: "),
    ],
)
def test_a_mistake_is_named(run, arguments, config, problem):
    code, output = run(*arguments, config=config)
    assert code != 0
    assert problem in " ".join(output.replace("\n", " ").split())
    assert "secret" not in output


def test_a_file_that_can_not_be_read_is_named(run, tmp_path):
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff")
    code, output = run("mqtt", "--config", str(file))
    assert (code, "can't read" in output) == (1, True)


def test_the_log_escapes_control_characters(monkeypatch):
    """A device may have any name, and the log may be shown by a terminal."""
    module = sys.modules["eshet.cli.bridge"]

    def log(work):
        work.close()
        logging.getLogger("eshet.bridges").warning("%s is odd", "a\x1b[31m\nb")

    monkeypatch.setattr(module, "run", log)
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.root.level)  # restored at the end
    result = CliRunner().invoke(main, ["bridge", "mqtt"])
    assert result.output.endswith("WARNING a\\x1b[31m\\nb is odd\n")
