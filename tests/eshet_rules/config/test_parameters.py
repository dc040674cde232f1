import copy
import pickle

import pytest

from eshet_rules.config import Parameters
from eshet_rules.exceptions import MissingParameter


@pytest.fixture
def config():
    values = {"dark": 40, "rooms": ["hall", "bath"], "lamp": {"warm": 2700}, "get": 1}
    return Parameters(values, rule="hall.light", file="rules/eshet-rules.toml")


def test_a_parameter_is_an_item_and_an_attribute(config):
    assert config.dark == config["dark"] == config.get("dark") == 40
    assert ("dark" in config, "lux" in config) == (True, False)
    assert list(config) == ["dark", "rooms", "lamp", "get"]
    assert len(config) == 4
    assert dict(config) == config


def test_what_has_the_name_of_a_method_is_an_item_only(config):
    assert config["get"] == 1
    assert callable(config.get)


def test_what_is_in_it_can_not_be_changed_either(config):
    assert config.rooms == ("hall", "bath")
    assert config.lamp.warm == 2700
    with pytest.raises(TypeError):
        config["dark"] = 41
    with pytest.raises(TypeError):
        config.lamp["warm"] = 1


def test_a_default_is_for_what_is_not_there(config):
    assert config.get("lux", 7) == 7
    assert getattr(config, "lux", 7) == 7


def test_a_missing_parameter_is_an_error_that_says_where_to_write_it(config):
    with pytest.raises(MissingParameter) as caught:
        _ = config.drak
    assert str(caught.value) == (
        "rule hall.light has no parameter 'drak': write `drak = ...` into "
        "rules/eshet-rules.toml, below [rules.\"hall.light\".parameters]; or did you mean 'dark'?"
    )
    with pytest.raises(KeyError, match=r'below \[rules."hall.light".parameters.lamp\]$'):
        _ = config.lamp["brightness"]


def test_it_shows_what_is_in_it(config):
    assert repr(config.lamp) == "Parameters({'warm': 2700})"


def test_it_can_be_copied(config):
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config  # noqa: S301


def test_equal_parameters_are_equal_whoever_has_them():
    assert Parameters({"a": [1]}, rule="x") == Parameters({"a": [1]}, rule="y")
    assert Parameters({"a": 1}) != Parameters({"a": 2})
