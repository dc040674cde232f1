import contextlib

import pytest

from eshet.reactive.core.graph import RestoreContext
from eshet.reactive.core.handle import node_of
from eshet.scope import Scope
from eshet_rules import keep
from eshet_rules.keep import Keeping


@contextlib.contextmanager
def keeping(kept):
    """Make Values in a scope that continues with what an old version kept."""
    scope = Scope("rule")
    scope.provide(Keeping, kept)
    with scope.active():
        yield


def kept_by(version, value):
    """Return what a version gives that keeps a value."""
    with keeping(Keeping(version, {})):
        return node_of(keep("lamps", value)).snapshot(0)


def test_without_an_old_version_it_is_a_value_of_its_own():
    lamps = keep("lamps", 3)
    assert lamps.value == 3
    lamps.value = 4
    assert lamps.value == 4


def test_it_holds_what_was_kept_by_the_time_it_returns():
    with keeping(Keeping("v2", {"lamps": kept_by("v1", 7)})):
        assert keep("lamps", 3).value == 7
        assert keep("other", 3).value == 3


def test_what_was_kept_is_migrated_with_the_old_version():
    with keeping(Keeping("v2", {"lamps": kept_by("v1", 7)})):
        assert keep("lamps", [], lambda old, version: [old, version]).value == [7, "v1"]


def test_what_the_same_version_left_is_not_migrated():
    with keeping(Keeping("v1", {"lamps": kept_by("v1", 7)})):
        assert keep("lamps", 3, lambda old, version: 1 / 0).value == 7


def test_an_error_of_migrate_is_raised_in_the_set_up():
    with (
        keeping(Keeping("v2", {"lamps": kept_by("v1", 7)})),
        pytest.raises(ZeroDivisionError),
    ):
        keep("lamps", 3, lambda old, version: 1 / 0)


def test_what_changed_since_the_set_up_is_taken_over_too():
    with keeping(Keeping("v2", {"lamps": kept_by("v1", 7)})):
        lamps = keep("lamps", 3)
    node_of(lamps).restore(kept_by("v1", 8), RestoreContext(0))
    assert lamps.value == 8


def test_what_the_set_up_has_set_is_not_undone():
    with keeping(Keeping("v2", {"lamps": kept_by("v1", 7)})):
        lamps = keep("lamps", 3)
        lamps.value += 1
    node_of(lamps).restore(kept_by("v1", 7), RestoreContext(0))
    assert lamps.value == 8


def test_a_second_call_with_the_same_name_returns_the_same_value():
    with keeping(Keeping("v2", {"lamps": kept_by("v1", 7)})):
        first, second = keep("lamps", 3), keep("lamps", 4)
        first.value += 1
        assert (first.value, second.value) == (8, 8)
        assert keep("others", 5).value == 5


def test_outside_of_a_rule_each_call_makes_a_value():
    first, second = keep("lamps", 3), keep("lamps", 4)
    assert (first.value, second.value) == (3, 4)
