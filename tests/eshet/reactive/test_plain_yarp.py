"""Values of plain yarp and ours, in each other's functions."""

import gc
import os
import subprocess
import sys

import pytest
import yarp as plain

from eshet import reactive as yarp
from eshet.reactive.core.handle import node_of
from eshet.scope import Scope
from tests.support.hearing import heard


def test_ours_are_plain_values():
    assert isinstance(yarp.Value(1), plain.Value)
    assert isinstance(yarp.Event(), plain.Value)


def test_a_plain_value_is_followed_by_our_functions():
    source = plain.Value(1)
    result = yarp.fn(lambda x, y: (x, y))(source, [source])
    told = heard(result)
    source.value = 2
    assert result.value == (2, [2])
    assert told == [(2, [2])]


def test_a_plain_value_is_followed_once_however_often_it_is_used():
    callbacks = []

    class Followed(plain.Value):
        def on_value_changed(self, callback):
            callbacks.append(callback)
            return super().on_value_changed(callback)

    source = Followed(1)
    results = [yarp.fn(abs)(source) for _ in range(5)]
    assert len(callbacks) == 1
    source.value = -3
    assert [each.value for each in results] == [3] * 5


def test_an_instantaneous_change_of_a_plain_value_is_one_of_ours():
    source = plain.Value()
    told = heard(yarp.make_instantaneous(source)), heard(yarp.fn(lambda x: x)(source))
    source.set_instantaneous_value(5)
    assert told == ([5], [5])
    assert yarp.fn(lambda x: x)(source).value is yarp.NoValue


def test_an_operator_of_both_is_ours():
    for result in (plain.Value(7) % yarp.Value(4), yarp.Value(7) % plain.Value(4)):
        assert type(result) is yarp.Value
        assert result.value == 3


def test_our_value_is_followed_by_plain_functions():
    source = yarp.Value(1)
    result = plain.fn(lambda x: x + 1)(source)
    doubled = plain.Value(10) + result
    source.value = 2
    assert (result.value, doubled.value) == (3, 13)


def test_our_event_is_followed_by_plain_functions():
    event = yarp.Event()
    persistent = plain.make_persistent(event)
    event.emit(5)
    assert persistent.value == 5


def test_plain_yarp_s_window_takes_ours():
    source = yarp.Value(1)
    window = plain.window(source, yarp.Value(2))
    source.value = 2
    source.value = 3
    assert window.value == [2, 3]


def test_a_plain_value_keeps_what_follows_it_alive_and_nothing_more():
    source = plain.Value(1)
    told = heard(yarp.fn(abs)(source))
    gc.collect()
    source.value = -2
    assert told == [2]
    node = node_of(source)
    assert node.uses == 2
    dropped = yarp.fn(abs)(source)
    del dropped
    assert node.uses == 2


def test_a_plain_value_first_used_in_a_scope_is_followed_after_that_ended():
    source = plain.Value(1)
    scope = Scope("rule")
    with scope.active():
        heard(yarp.fn(abs)(source))
    scope.dispose()
    told = heard(yarp.fn(abs)(source))
    source.value = -2
    assert told == [2]


def hysteresis(yarp):
    """A rule as it is written for plain yarp: `yarp` is the one imported line."""
    temperature = yarp.Value(20.0)
    target = yarp.Value(21.0)
    log = []

    @yarp.fn
    def difference(a, b):
        return a - b

    too_cold = yarp.no_repeat(difference(temperature, target) < -1)
    recent = yarp.window(yarp.filter(temperature, lambda t: t > 0), 3)
    warmest = yarp.max(recent)
    text = yarp.str_format("{:.1f} of {}", temperature, yarp.value_list([target, warmest]))

    @text.on_value_changed
    def show(value):
        log.append(value)

    too_cold.on_value_changed(log.append)
    bell = yarp.Value()
    rung = yarp.make_persistent(yarp.instantaneous_add(bell, 1), 0)
    bell.set_instantaneous_value(41)
    temperature.value = 19.5
    target.value = 22
    temperature.value = -3.0
    return log[-1], too_cold.value, recent.value, warmest.value, rung.value, bell.value


def test_a_rule_for_plain_yarp_runs_after_changing_one_import_line():
    assert hysteresis(yarp) == hysteresis(plain)
    assert hysteresis(yarp)[1:] == (True, [20.0, 19.5], 20.0, 42, yarp.NoValue)


@pytest.mark.parametrize("convert", [yarp.value_list, yarp.value_tuple])
def test_collections_take_plain_values(convert):
    source = plain.Value(1)
    combined = convert((source, yarp.Value(2)))
    source.value = 5
    assert list(combined.value) == [5, 2]


def test_a_later_yarp_is_an_error_that_says_what_to_install(tmp_path):
    (tmp_path / "yarp.py").write_text("class Event: ...\nclass Value: ...\nNoValue = object()\n")
    ran = subprocess.run(
        [sys.executable, "-c", "import eshet.yarp"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode == 1
    assert f"{tmp_path}/yarp.py is a later one: install yarp==0.4.0" in ran.stderr
