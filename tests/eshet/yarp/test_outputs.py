"""What sinks send, and hold back while their version of a rule is prepared."""

import pytest

from eshet import Unknown
from eshet.cause import Cause, current_cause, use_cause
from eshet.reactive import NoValue
from eshet.scope import Scope
from eshet.yarp.outputs import HeldOutput, Outputs, is_unknown, left_in, own_output


class Unfinished(HeldOutput):
    """A sink of which some values have not arrived."""

    __slots__ = ("left",)

    def unfinished(self):
        return self.left


class Version:
    """The sinks of one version of a rule, all of the same path unless told otherwise."""

    def __init__(self, *, held_back=False):
        self.scope = Scope("light")
        self.outputs = Outputs(held_back=held_back)
        self.sent = []

    def sink(self, *, follows=True, path="/lamp", unfinished=()):
        output = Unfinished("set_value", path, self.sent.append, follows)
        output.left = [(v, None) for v in unfinished]
        with self.scope.active():
            return self.outputs.add(output)

    @property
    def rules(self):
        return {self.scope: "light"}

    def take_over(self, old):
        self.outputs.release(self.rules, old.outputs.snapshot(old.rules))


@pytest.mark.parametrize("value", [NoValue, Unknown, [1, (Unknown,)], {"a": NoValue}, {Unknown: 1}])
def test_what_is_unknown_is_not_sent(value):
    version = Version()
    version.sink()(value)
    assert is_unknown(value)
    assert version.sent == []


def test_nothing_is_sent_before_it_is_released():
    new = Version(held_back=True)
    new.sink()(1)
    assert new.sent == []
    new.outputs.release(new.rules)
    assert new.sent == [1]


@pytest.mark.parametrize(
    ("sent", "held", "expected"),
    [
        ([1], [1], []),
        ([1], [2], [2]),
        ([1], [2, 1], []),
        ([1], [2, Unknown], []),
        ([2, 1], [2], [2]),
        ([], [1], [1]),
        ([1], [], []),
    ],
)
def test_of_a_value_only_what_differs_is_sent(sent, held, expected):
    old, new = Version(), Version(held_back=True)
    for sink, values in ((old.sink(), sent), (new.sink(), held)):
        for value in values:
            sink(value)
    new.take_over(old)
    assert new.sent == expected


def test_of_an_event_only_a_new_sink_sends_what_was_emitted_meanwhile():
    old, new = Version(), Version(held_back=True)
    old.sink(follows=False)
    new.sink(follows=False)("set up")
    new.sink(follows=False, path="/bell")("ding")
    new.take_over(old)
    assert new.sent == ["ding"]


def test_what_the_old_one_could_not_finish_is_sent_first():
    old, new = Version(), Version(held_back=True)
    old.sink(follows=False, unfinished=[1, 2])(2)
    new.sink(follows=False)
    new.take_over(old)
    assert new.sent == [1, 2]


def test_a_value_that_waits_to_be_sent_again_is_not_sent_twice():
    old, new = Version(), Version(held_back=True)
    old.sink(unfinished=[2])(2)
    new.sink()(2)
    new.take_over(old)
    assert new.sent == [2]


def test_what_no_sink_goes_on_with_is_returned():
    old, new = Version(), Version(held_back=True)
    old.sink(path="/gone", unfinished=[1])(1)
    old.sink(unfinished=[2])(2)
    new.sink()
    [left] = new.outputs.release(new.rules, old.outputs.snapshot(old.rules))
    assert left.description.label == "set_value of /gone"
    assert [value for value, _ in left_in(left.data)] == [1]
    assert new.sent == [2]


def test_what_the_old_one_could_not_finish_is_sent_for_the_cause_that_it_was_for():
    cause = Cause("event", "/bell")
    output = Unfinished("set_value", "/lamp", lambda value: None, False)
    output.left = [(1, cause), (2, None)]
    causes = []
    new = HeldOutput("set_value", "/lamp", lambda value: causes.append(current_cause()), False)
    with use_cause(Cause("reload", "hall")) as reload:
        new.release(output.snapshot())
    assert [each.id for each in causes] == [cause.id, reload.id]


def test_two_sinks_of_one_path_are_told_apart_by_their_order():
    old, new = Version(), Version(held_back=True)
    old.sink()(True)
    old.sink()(False)
    for value in (True, False):
        new.sink()(value)
    new.take_over(old)
    assert new.sent == []


def test_a_sink_of_another_rule_goes_on_from_what_was_last_sent_to_its_path():
    old, new = Version(), Version(held_back=True)
    old.sink()(1)
    new.sink()(1)
    new.outputs.release({new.scope: "another"}, old.outputs.snapshot(old.rules))
    assert new.sent == []


@pytest.mark.parametrize("rule", ["light", "another"])
def test_of_several_new_sinks_of_one_path_one_continues_what_was_unfinished(rule):
    old, new, other = Version(), Version(held_back=True), Scope("other")
    old.sink(follows=False, unfinished=[1, 2])(2)
    new.sink(follows=False)
    with other.active():
        new.outputs.add(HeldOutput("set_value", "/lamp", new.sent.append, False))
    rules = {new.scope: "light", other: rule}
    assert new.outputs.release(rules, old.outputs.snapshot(old.rules)) == []
    assert new.sent == [1, 2]


def test_a_new_sink_of_events_sends_its_first_even_if_another_rule_has_the_path():
    old, new, other = Version(), Version(held_back=True), Scope("other")
    old.sink(follows=False)("old")
    new.sink(follows=False)
    with other.active():
        new.outputs.add(HeldOutput("set_value", "/lamp", new.sent.append, False))("set up")
    new.outputs.release({new.scope: "light", other: "b"}, old.outputs.snapshot(old.rules))
    assert new.sent == ["set up"]


def test_a_sink_goes_with_its_scope():
    version = Version()
    version.sink()(1)
    version.scope.dispose()
    assert version.outputs.snapshot({}) == []


def test_an_error_of_one_sink_does_not_hold_the_others_back():
    new, errors = Version(held_back=True), []
    new.scope = Scope("light", on_error=lambda error, doing: errors.append((str(error), doing)))
    with new.scope.active():
        new.outputs.add(HeldOutput("set_value", "/a", fail, follows=True))(1)
    new.sink()(2)
    new.outputs.release(new.rules)
    assert new.sent == [2]
    assert errors == [("no line", "set_value of /a")]


def fail(value):
    raise OSError("no line")


def test_sinks_made_in_a_scope_belong_to_its_outputs():
    outputs, output = Outputs(held_back=True), HeldOutput("set_value", "/a", print, follows=True)
    scope = Scope("rule")
    scope.provide(Outputs, outputs)
    with scope.active():
        own_output(output)
    assert output.held == []
    assert own_output(HeldOutput("set_value", "/b", print, follows=True)).held is None
