"""`[bridges.NAME]` and `[alias]`: valid settings, and the text for each mistake."""

import os
from pathlib import Path

import pytest

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.names import Alias
from eshet.bridges.settings import (
    BrokerUrl,
    HomeAssistantSettings,
    MqttSettings,
    PublishedPath,
    read_bridges,
)
from eshet.settings.problem import SettingsError
from eshet.settings.table import TableReader
from eshet.settings.toml import parse_toml

FILE = Path("/rules/eshet-rules.toml")


def read(text):
    """Return the bridges of a file, and its mistakes as texts."""
    reader = TableReader(text, FILE)
    bridges = read_bridges(reader, parse_toml(text, FILE))
    return bridges, [str(problem) for problem in reader.problems]


def problem_in(text):
    """Return the only mistake of a file."""
    _, problems = read(text)
    assert len(problems) == 1, problems
    return problems[0]


def mqtt(line):
    return f'[bridges.z2m]\ntype = "mqtt"\n{line}\n'


def test_the_type_is_enough():
    assert read(mqtt("")) == ({"z2m": MqttSettings()}, [])
    assert read('[bridges.ha]\ntype = "homeassistant"') == ({"ha": HomeAssistantSettings()}, [])
    assert read("") == ({}, [])


def test_all_settings_are_read():
    bridges, problems = read("""
        [bridges.z2m]
        type = "mqtt"
        broker = "mqtts://house@broker.lan"
        password_file = "secrets/mqtt"
        ca_file = "/etc/ca.pem"
        client_id = "me"
        zigbee2mqtt = ["zigbee2mqtt", "upstairs/z2m"]
        tasmota = false
        shelly = false
        discovery = false
        topics = ["weather/+/rain", "door/#"]
        confirm = 5
        stale_after = {"Hall sensor" = 7200}
        [bridges.z2m.publish."/hall/*"]
        settable = true
        unit = "°C"
        min = 5
        max = 30
        step = 0.5
        options = ["eco"]
        name = "Target"
        [alias]
        "/house/hall/lamp" = "z2m/Hall/lamp"
        "/house/open" = "not z2m/Door/contact"
    """)
    assert problems == []
    assert bridges["z2m"] == MqttSettings(
        broker=BrokerUrl("broker.lan", 8883, is_encrypted=True, user="house"),
        password_file=FILE.parent / "secrets/mqtt",
        ca_file=Path("/etc/ca.pem"),
        client_id="me",
        zigbee2mqtt=("zigbee2mqtt", "upstairs/z2m"),
        tasmota=False,
        shelly=False,
        discovery=(),
        topics=("weather/+/rain", "door/#"),
        confirm=5.0,
        stale_after={"Hall sensor": 7200.0},
        publish={
            "/hall/*": PublishedPath(
                settable=True, name="Target", unit="°C", min=5, max=30, step=0.5, options=("eco",)
            )
        },
        aliases={
            "Hall/lamp": Alias("/house/hall/lamp"),
            "Door/contact": Alias("/house/open", is_negated=True),
        },
    )


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://localhost", BrokerUrl("localhost", 1883)),
        ("mqtt://10.0.0.2:1884/", BrokerUrl("10.0.0.2", 1884)),
        ("mqtts://b", BrokerUrl("b", 8883, is_encrypted=True)),
        ("mqtt://a%40b@h", BrokerUrl("h", 1883, user="a@b")),
        ("mqtt://[::1]:5", BrokerUrl("::1", 5)),
    ],
)
def test_the_url_of_a_broker(url, broker):
    assert BrokerUrl.parse(url) == broker


def test_a_broker_is_shown_without_its_user():
    assert str(BrokerUrl.parse("mqtts://me@[::1]")) == "mqtts://[::1]:8883"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('broker = "localhost"', 'broker: found "localhost"; write the URL of a broker'),
        ('broker = "mqtt://"', "write the URL of a broker in quotes, without a password"),
        ('broker = "http://h:1883"', "write the URL of a broker"),
        ('broker = "//h:1883"', "write the URL of a broker"),
        ('broker = "mqtt://h:99999"', "write the URL of a broker"),
        ('broker = "mqtt://h/path"', "write the URL of a broker"),
        ('broker = "mqtt://h:0"', "write the URL of a broker"),
        ('broker = "mqtt://h\\u0000x"', "write the URL of a broker"),
        ('broker = "mqtt://h x"', "write the URL of a broker"),
        ("broker = 5", "found 5; write the URL of a broker"),
        ('zigbee2mqtt = "z2m/#"', "write a base topic in quotes"),
        ("zigbee2mqtt = [1]", "write a base topic in quotes"),
        ("zigbee2mqtt = true", "write a base topic in quotes"),
        ('tasmota = "no"', "true or false"),
        ('topics = ["a/#/b"]', "write a list of topics in quotes"),
        ('topics = ["a", 3]', "write a list of topics in quotes"),
        ("confirm = -1", "confirm: found -1"),
        ("confirm = inf", "confirm: found inf"),
        ("stale_after = 5", "a table of seconds by device"),
        ('stale_after = {"x" = 0}', "a table of seconds by device"),
        ('client_id = ""', 'a text in quotes, such as "eshet-house"'),
        ('client_id = "a\\u0000"', 'a text in quotes, such as "eshet-house"'),
        (f'client_id = "{"x" * 70_000}"', 'a text in quotes, such as "eshet-house"'),
        (f'zigbee2mqtt = "{"x" * 70_000}"', "write a base topic in quotes"),
        (f'topics = ["{"x" * 70_000}"]', "write a list of topics in quotes"),
        ('brokr = "mqtt://x"', '[bridges.z2m] has no key "brokr"; did you mean "broker"?'),
        ("publsh = {}", 'did you mean "publish"? Write one of: '),
        ('brokr = "x"', "password_file, publish, shelly"),
        ("aliases = {}", '[bridges.z2m] has no key "aliases"'),
        ("publish = 3", "publish: found 3; write a table"),
        ('publish."/x" = 3', 'write a table: [bridges.z2m.publish."/x"]'),
        ('publish."/x".settable = 1', "true or false"),
        ('publish."/x".min = "low"', "write a number"),
        ('publish."/x".step = 0', "found 0; write a number above 0"),
        ('publish."/x".options = "a"', 'such as ["eco", "boost"]'),
        ('publish."/x" = {min = 5, max = 5}', "found 5.0, but max is 5.0: write a smaller number"),
        ('publish."house/*" = {}', 'no path matches: write a glob of paths, such as "/house/*/'),
        ('publish."/x".colour = 1', 'has no key "colour"'),
    ],
)
def test_a_mistake_has_its_line_and_a_correction(line, problem):
    text = problem_in(mqtt(line))
    assert text.startswith(f"{FILE}:3: bridges.z2m.")
    assert problem in text


@pytest.mark.parametrize("password", ["hunter2", "p@hunter2", "hunter2/x?y#z", "a:hunter2"])
@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "http"])
def test_the_password_in_a_url_is_not_shown(scheme, password):
    text = problem_in(mqtt(f'broker = "{scheme}://house:{password}@broker.lan"'))
    assert f'found "{scheme}://house:…@broker.lan"; write the URL of a broker' in text
    assert "hunter2" not in text


def test_the_password_in_a_line_with_a_syntax_error_is_not_shown():
    with pytest.raises(SettingsError) as caught:
        read(mqtt("broker = mqtt://house:hunter2@broker.lan"))
    assert "found `broker = mqtt://house:…@broker.lan`" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("secret", ["password", "token"])
def test_a_secret_is_not_written_in_the_file_and_not_shown(secret):
    text = problem_in(mqtt(f'{secret} = "hunter2"'))
    assert f"write it in another file, {secret}_file, or in the environment variable" in text
    assert f"ESHET_Z2M_{secret.upper()}" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[bridges.z2m]", ':1: bridges.z2m.type: there is no type; write type = "mqtt", '),
        ('[bridges.z2m]\ntype = "mqqt"', ':2: bridges.z2m.type: found "mqqt"; write type ='),
        ("[bridges.z2m]\ntype = 5", "found 5; write type ="),
        ('[bridges.z2m]\ntype = ["mqtt"]', "write type ="),
        ('[bridges]\nz2m = "mqtt"\n', "write a table: [bridges.z2m]"),
        ("bridges = 5", "found 5; write a table: [bridges]"),
        ('[bridges."a b"]\ntype = "mqtt"', "write a name of letters A-Z, digits and _"),
        ('[bridges.ha]\ntype = "homeassistant"\nurl = "ha.local"', "write a URL in quotes"),
        ('[bridges.ha]\ntype = "homeassistant"\nurl = "http://u:p@h"', "write a URL in quotes"),
        ('[bridges.ha]\ntype = "homeassistant"\nurl = "http://h:x"', "write a URL in quotes"),
    ],
)
def test_a_wrong_bridge_is_named(text, problem):
    _, problems = read(text)
    assert any(problem in each for each in problems), problems


def aliased(line):
    return mqtt(f"[alias]\n{line}")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('"house/x" = "z2m/x"', 'write a path before the =, such as "/house/hall/lamp"'),
        ('"/x y" = "z2m/x"', "write a path before the ="),
        ('"/x" = "z2m"', 'found "z2m"; write the bridge and the device'),
        ('"/x" = "z2m/"', 'found "z2m/"; write the bridge and the device'),
        ('"/x" = 3', "found 3; write the bridge and the device"),
        ('"/x" = "not z2m/lamp"', 'write its name as well, such as "not z2m/lamp/state"'),
        ('"/x" = "zzz/lamp"', "there is no bridge 'zzz'; the bridges of this file are: z2m"),
    ],
)
def test_a_wrong_alias_is_named(line, problem):
    text = problem_in(aliased(line))
    assert text.startswith(f"{FILE}:4: alias.")
    assert problem in text


def test_bridges_of_one_broker_have_different_client_ids():
    tables = [
        f'[bridges.{name}]\ntype = "mqtt"\nbroker = "mqtt://{broker}"\nclient_id = "me"\n'
        for name, broker in (("one", "a"), ("two", "b"), ("three", "a"))
    ]
    text = problem_in("".join(tables))
    assert text.startswith(f'{FILE}:12: bridges.three.client_id: found "me"')
    assert "the client id of the bridge one; write another one" in text


def test_aliases_of_bridges_in_a_misspelt_table_are_no_further_mistakes():
    table = '[bridge.z2m]\ntype = "mqtt"\n[alias]\n'
    assert read(f'{table}"/x" = "z2m/lamp"') == ({}, [])
    assert "there is no bridge 'ha'" in problem_in(f'{table}"/x" = "ha/lamp"')


def test_a_device_has_one_alias():
    text = problem_in(aliased('"/a" = "z2m/lamp/x"\n"/b" = "not z2m/lamp/x"'))
    assert text.startswith(
        f'{FILE}:5: alias."/b": "not z2m/lamp/x" is /a already; keep one of both'
    )


def test_a_password_is_in_a_file_or_in_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    assert MqttSettings(password_file=file).password("z2m") == "hunter2"
    monkeypatch.setenv("ESHET_Z2M_PASSWORD", "hunter3")
    assert MqttSettings().password("z2m") == "hunter3"
    assert MqttSettings().password("other") is None
    assert "hunter" not in repr(MqttSettings(password_file=file))
    with pytest.raises(BridgeError, match="can't read the secret in"):
        MqttSettings(password_file=tmp_path / "gone").password("z2m")
    file.write_bytes(b"\xff")
    with pytest.raises(BridgeError, match="can't read the secret in"):
        MqttSettings(password_file=file).password("z2m")


def test_a_password_is_not_read_from_a_pipe_or_a_large_file(tmp_path):
    """A pipe would stop all rules until somebody writes to it."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    large.write_bytes(b"x" * 100_000)
    for file, problem in (
        (pipe, "it is not a regular file"),
        (tmp_path, "it is not a regular file|Is a directory"),
        (large, "it has more than 65536 bytes"),
    ):
        with pytest.raises(BridgeError, match=problem):
            MqttSettings(password_file=file).password("z2m")


def test_a_token_is_needed(monkeypatch):
    monkeypatch.delenv("ESHET_HA_TOKEN", raising=False)
    with pytest.raises(BridgeError, match="the bridge ha has no access token: write it in a file"):
        HomeAssistantSettings().token("ha")
    monkeypatch.setenv("ESHET_HA_TOKEN", "t")
    assert HomeAssistantSettings().token("ha") == "t"
