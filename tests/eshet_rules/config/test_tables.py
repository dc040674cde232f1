import dataclasses
import socket
from pathlib import Path

import pytest

from eshet.nats.address import NatsAddress
from eshet.server_address import parse_server_address
from eshet.utils import RunInTask, RunSerially
from eshet_rules.config import (
    ClusterSettings,
    Configuration,
    ConfigurationFile,
    ServerSettings,
    WebSettings,
)
from eshet_rules.supervision.limits import RuleLimits


@pytest.fixture
def read(tmp_path):
    def read(text):
        file = tmp_path / "eshet-rules.toml"
        file.write_text(text)
        return ConfigurationFile(file).read()

    return read


def test_by_default_a_rule_is_enabled_and_has_nothing_of_its_own():
    settings = Configuration().for_rule("hall.light")
    assert settings.disabled is None
    assert settings.strategy is None
    assert settings.limits == RuleLimits()
    assert dict(settings.parameters) == {}


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("hall.light", True),
        ("hall", True),
        ("hall.*", True),
        ("*.light", True),
        ("h?ll", True),
        ("*", True),
        ("hall.lights", False),
        ("light", False),
        ("bath.*", False),
    ],
)
def test_a_name_is_that_of_a_rule_or_of_a_module_or_a_glob(read, name, matches):
    settings = read(f'[rules."{name}"]\nenabled = false').for_rule("hall.light")
    assert (settings.disabled == "by the configuration") is matches


def test_a_name_with_brackets_is_itself_before_it_is_a_glob(read):
    configuration = read('[rules."hall.light[bath]"]\nenabled = false')
    assert configuration.for_rule("hall.light[bath]").disabled
    assert configuration.for_rule("hall.lighta").disabled  # which the glob means


def test_the_last_table_that_says_something_counts_key_by_key(read):
    configuration = read(
        """
        [supervision]
        max_restarts = 7
        [strategy]
        run = "serially"
        [rules."*"]
        parameters = { dark = 40, minutes = 2 }
        limits = { max_restarts = 8, backoff_initial = 2 }
        enabled = false
        [rules.hall]
        parameters.dark = 50
        limits.max_restarts = 9
        enabled = true
        strategy.run = "in task"
        """
    )
    hall, bath = configuration.for_rule("hall.light"), configuration.for_rule("bath.light")
    assert dict(hall.parameters) == {"dark": 50, "minutes": 2}
    assert dict(bath.parameters) == {"dark": 40, "minutes": 2}
    assert (hall.limits.max_restarts, hall.limits.backoff_initial) == (9, 2.0)
    assert (bath.limits.max_restarts, bath.limits.backoff_initial) == (8, 2.0)
    assert (hall.disabled, bath.disabled) == (None, "by the configuration")
    assert (hall.strategy, bath.strategy) == (RunInTask(), RunSerially())


def test_limits_that_do_not_fit_to_those_of_another_table_are_left_as_they_are(read):
    configuration = read(
        '[rules."*"]\nlimits.backoff_initial = 30\n[rules.hall]\nlimits.backoff_max = 20'
    )
    assert configuration.for_rule("hall.light").limits == RuleLimits(backoff_initial=30.0)


def test_the_same_settings_are_equal_and_others_are_not(read):
    one, same, other = (
        read(f"[rules.hall]\nparameters.dark = {dark}").for_rule("hall.light")
        for dark in (40, 40, 41)
    )
    assert one == same
    assert one != other


def test_a_configuration_can_not_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Configuration().strategy = RunInTask()


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, None),
        ({"address": "localhost:11238"}, None),
        ({"address": "[::1]:11238", "hosts": ("house.example",)}, None),
        ({"address": "192.0.2.7:0"}, None),
        ({"address": "192.0.2.7:11238"}, "http://192.0.2.7:11238/"),
        ({"address": "[2001:db8::7]:80"}, "http://[2001:db8::7]:80/"),
        ({"address": "0.0.0.0:11238", "hosts": ("attic",)}, "http://attic:11238/"),
        ({"address": "0.0.0.0:11238", "hosts": ("attic:443",)}, "http://attic:443/"),
        ({"address": "0.0.0.0:443", "tls_cert": Path("x")}, f"https://{socket.gethostname()}:443/"),
    ],
)
def test_the_page_has_a_url_for_others_only_where_they_can_open_it(settings, url):
    assert WebSettings(**settings).public_url == url


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:11238/"),
        ({"address": "[::1]:80", "tls_cert": Path("x")}, "https://[::1]:80/"),
        ({"address": "localhost:0"}, None),
        ({"address": "192.0.2.7:11238"}, None),
        ({"hosts": ("house.example",)}, None),
    ],
)
def test_the_page_has_a_url_for_this_machine_where_only_that_can_open_it(settings, url):
    assert WebSettings(**settings).local_url == url


@pytest.mark.parametrize(
    ("address", "listen", "nats", "expected"),
    [
        (None, None, None, "127.0.0.1:11236"),
        (None, "127.0.0.1:21231", "nats://nats1", "127.0.0.1:21231"),
        ("house", "127.0.0.1:21231", "nats://nats1", "house:11236"),
        (None, "127.0.0.1:0", "nats://nats1", "nats://nats1:4222/eshet"),
    ],
)
def test_other_programs_find_a_runner_where_it_listens(address, listen, nats, expected):
    server = ServerSettings(None if address is None else parse_server_address(address))
    cluster = ClusterSettings(server=None if nats is None else NatsAddress.parse(nats))
    if listen is not None:
        cluster = dataclasses.replace(cluster, listen=listen)
    assert str(Configuration(server=server, cluster=cluster).server_of_runner) == expected
