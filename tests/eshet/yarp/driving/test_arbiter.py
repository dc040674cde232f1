"""Who decides over a path, as a function of what has happened: without I/O, to the instant."""

import math

import pytest

from eshet.reactive.core.markers import NoValue
from eshet.unknown import Unknown
from eshet.yarp.driving.arbiter import Arbiter
from eshet.yarp.driving.driver import (
    Contested,
    Decided,
    Driver,
    OverrideBegan,
    OverrideEnded,
    Person,
    Send,
)

HOUR = 3600.0


class Path:
    """An arbiter with a clock, and a device that obeys unless it is told not to."""

    def __init__(self, shown=Unknown, *, obeys=True):
        self.arbiter = Arbiter()
        self.now = 0.0
        self.obeys = obeys
        self.sent = []
        self.senders = []
        self.events = []
        self.arbiter.show(shown, self.now)
        self._numbers = iter(range(1000))

    def driver(self, value=NoValue, **options):
        driver = Driver(number=next(self._numbers), **options)
        driver.value = value
        self.arbiter.join(driver)
        return driver

    def decide(self):
        for effect in self.arbiter.arbitrate(self.now):
            if isinstance(effect, Send):
                self.sent.append((self.now, effect.sent.value))
                self.senders.append(effect.driver)
                self.arbiter.note_attempt(effect.sent, self.now)
                if self.obeys:
                    self.answer(effect.sent)
            else:
                self.events.append((self.now, effect))
        return self

    def answer(self, sent, shown=None):
        sent.is_pending = False
        sent.is_done = True
        self.show(sent.value if shown is None else shown)

    def change(self, driver, value):
        self.arbiter.change(driver, value)
        return self.decide()

    def show(self, value, **options):
        self.arbiter.show(value, self.now, **options)
        return self.decide()

    def wait(self, seconds):
        """Let time pass, with a decision at each deadline."""
        end = self.now + seconds
        while (deadline := self.arbiter.deadline(self.now)) <= end:
            self.now = deadline
            self.decide()
        self.now = end
        return self

    def leave(self, driver):
        self.arbiter.leave(driver)
        return self.decide()

    @property
    def decides(self):
        return self.arbiter.decides

    def kinds(self, *kinds):
        return [(at, effect) for at, effect in self.events if isinstance(effect, kinds)]


# --- priorities ---------------------------------------------------------------------------------


def test_the_highest_priority_with_an_opinion_decides():
    path = Path(0)
    low = path.driver(1, priority=1)
    high = path.driver(2, priority=5)
    path.decide()
    assert path.sent == [(0, 2)]
    assert path.decides is high
    assert path.leave(high).sent == [(0, 2), (0, 1)]
    assert path.decides is low


def test_a_driver_without_an_opinion_lets_the_next_one_decide():
    path = Path(0)
    path.driver(1)
    safety = path.driver(NoValue, priority=10)
    path.decide()
    path.change(safety, 0)
    path.change(safety, NoValue)
    assert path.sent == [(0, 1), (0, 0), (0, 1)]


def test_when_nobody_has_an_opinion_nothing_is_sent():
    path = Path(0)
    only = path.driver(1)
    path.decide().change(only, NoValue)
    assert path.sent == [(0, 1)]
    assert path.decides is None
    assert path.arbiter.target is NoValue
    assert path.change(only, 1).sent == [(0, 1)]  # it is so


def test_of_equal_priorities_the_later_rule_decides_whatever_the_order_of_joining():
    for rules in (["attic.a", "hall.b"], ["hall.b", "attic.a"]):
        path = Path(0)
        for rule in rules:
            path.driver(rule, rule=rule)
        assert path.decide().sent == [(0, "hall.b")]


def test_of_equal_priorities_in_one_rule_the_last_call_decides():
    path = Path(0)
    path.driver("first", rule="hall.light")
    path.driver("last", rule="hall.light")
    assert path.decide().sent == [(0, "last")]


def test_a_change_of_a_driver_that_does_not_decide_sends_nothing():
    path = Path(0)
    low = path.driver(1)
    path.driver(2, priority=1)
    path.decide().change(low, 7)
    assert path.sent == [(0, 2)]


def test_the_withdrawal_of_the_decider_sends_nothing_if_the_next_wants_the_same():
    path = Path(0)
    path.driver(1)
    high = path.driver(1, priority=1)
    path.decide().leave(high)
    assert path.sent == [(0, 1)]
    assert [type(effect.by) for _, effect in path.kinds(Decided)] == [Driver, Driver]


def test_what_the_path_shows_is_not_sent():
    path = Path(21.0)
    driver = path.driver(21)
    assert path.decide().sent == []
    assert path.change(driver, 22).sent == [(0, 22)]


def test_an_unknown_path_is_sent_what_should_be_so():
    path = Path(Unknown, obeys=False)
    path.driver(1)
    assert path.decide().sent == [(0, 1)]


def test_several_changes_before_a_decision_are_one():
    path = Path(0)
    driver, other = path.driver(1), path.driver(NoValue, priority=1)
    path.arbiter.change(driver, 2)
    path.arbiter.change(other, 3)
    assert path.decide().sent == [(0, 3)]


# --- a person -----------------------------------------------------------------------------------


def lamp_with_motion(**options):
    path = Path(0)
    motion = path.driver(100, rule="hall.motion", override=2 * HOUR, **options)
    path.decide()
    path.wait(60)
    return path, motion


def test_after_a_change_by_a_person_a_driver_stands_by_to_the_instant():
    path, motion = lamp_with_motion()
    path.show(30).wait(100)
    path.change(motion, 0).change(motion, 50)
    assert path.sent == [(0, 100)]
    path.wait(2 * HOUR - 101)
    assert path.sent == [(0, 100)]
    path.wait(1)
    assert path.sent == [(0, 100), (60 + 2 * HOUR, 50)]
    [began] = path.kinds(OverrideBegan)
    [ended] = path.kinds(OverrideEnded)
    assert (began[0], began[1].person.value, began[1].rules) == (60, 30, ["hall.motion"])
    assert began[1].until == 60 + 2 * HOUR
    assert (ended[0], ended[1].why) == (60 + 2 * HOUR, "time")


def test_another_change_by_the_person_renews_the_override():
    path, _ = lamp_with_motion()
    path.show(30).wait(HOUR).show(40).wait(1.5 * HOUR)
    assert path.sent == [(0, 100)]
    assert path.wait(0.5 * HOUR).sent == [(0, 100), (60 + 3 * HOUR, 100)]


def test_a_driver_without_an_override_does_not_stand_by():
    path = Path(0)
    driver = path.driver(100)
    path.decide().show(30)
    assert path.decides is driver
    assert path.sent == [(0, 100)]  # as with `set_value`: until it wants something else
    assert path.change(driver, 50).sent == [(0, 100), (0, 50)]


def test_safety_decides_at_once_over_the_person():
    path, _ = lamp_with_motion()
    safety = path.driver(NoValue, rule="smoke", priority=100)
    path.show(0)
    assert isinstance(path.decides, Person)
    path.wait(5).change(safety, 100)
    assert path.sent == [(0, 100), (65, 100)]
    assert path.decides is safety


def test_when_safety_withdraws_the_value_of_the_person_is_back():
    path, motion = lamp_with_motion()
    safety = path.driver(NoValue, rule="smoke", priority=100)
    path.show(30).change(safety, 100).wait(5).change(safety, NoValue)
    assert path.sent == [(0, 100), (60, 100), (65, 30)]
    assert isinstance(path.decides, Person)
    assert path.senders[-1] is motion  # by its client and strategy


def test_drivers_below_the_person_do_not_decide_either():
    path, motion = lamp_with_motion()
    path.driver(10, rule="base", priority=-5)
    path.show(30).change(motion, NoValue)
    assert path.sent == [(0, 100)]
    assert path.wait(2 * HOUR).sent[1:] == [(60 + 2 * HOUR, 10)]


def test_a_change_counts_as_that_of_a_person_while_no_driver_has_an_opinion():
    path = Path(0)
    motion = path.driver(NoValue, override=HOUR)
    path.decide().wait(10)
    path.show(1).wait(10).change(motion, 0)
    assert path.sent == []
    assert path.wait(HOUR - 10).sent == [(10 + HOUR, 0)]


def test_each_driver_stands_by_for_its_own_time():
    path = Path(0)
    path.driver(1, rule="a", override=HOUR, priority=1)
    path.driver(2, rule="b", override=2 * HOUR)
    path.decide().wait(60).show(9).wait(HOUR)
    assert path.sent == [(0, 1), (60 + HOUR, 1)]
    assert path.kinds(OverrideEnded) == []
    path.wait(HOUR)
    assert [(at, effect.why) for at, effect in path.kinds(OverrideEnded)] == [
        (60 + 2 * HOUR, "time")
    ]


def test_the_person_gives_the_decision_back_by_setting_what_should_be_so():
    path, motion = lamp_with_motion()
    path.show(30).wait(60).show(100)
    assert [effect.why for _, effect in path.kinds(OverrideEnded)] == ["given back"]
    assert path.decides is motion
    assert path.change(motion, 0).sent == [(0, 100), (120, 0)]


def test_a_driver_that_comes_to_want_what_the_person_has_set_does_not_end_the_override():
    path, motion = lamp_with_motion()
    path.show(30).change(motion, 30).change(motion, 0)
    assert path.sent == [(0, 100)]
    assert isinstance(path.decides, Person)


def test_an_override_lasts_as_long_as_its_condition():
    path = Path(0)
    driver = path.driver(1, override=math.inf)
    path.decide().wait(60).show(9).wait(100 * HOUR)
    assert path.sent == [(0, 1)]
    driver.may_stand_by = False
    path.arbiter.end_stand_by(driver, "condition")
    path.decide()
    assert path.sent[1:] == [(60 + 100 * HOUR, 1)]
    path.show(9)
    assert path.decides is driver  # the condition is not true now


def test_a_driver_whose_condition_is_not_true_does_not_stand_by_when_it_joins():
    path, _ = lamp_with_motion()
    path.show(30)
    path.driver(7, rule="late", override=math.inf, may_stand_by=False, priority=1)
    path.decide()
    assert path.sent == [(0, 100), (60, 7)]


def test_a_value_that_was_sent_is_wanted_until_something_else_should_be_so():
    path = Path(0, obeys=False)
    driver = path.driver(1)
    path.decide()
    assert path.arbiter.wants(path.arbiter.last)
    path.change(driver, NoValue)
    assert not path.arbiter.wants(path.arbiter.last)


def test_an_event_ends_the_override_of_its_driver_only():
    path = Path(0)
    low = path.driver(1, rule="low", override=HOUR)
    high = path.driver(2, rule="high", override=HOUR, priority=1)
    path.decide().wait(60).show(9)
    path.arbiter.end_stand_by(high, "released")
    path.decide()
    assert path.sent[1:] == [(60, 2)]
    assert low.stands_by_until(path.arbiter.person) == 60 + HOUR
    path.arbiter.end_stand_by(low, "released")
    path.decide()
    assert [effect.why for _, effect in path.kinds(OverrideEnded)] == ["released"]


def test_the_next_override_of_a_driver_begins_although_its_last_was_released():
    path, motion = lamp_with_motion()
    path.show(30)
    path.arbiter.end_stand_by(motion, "released")
    path.decide().wait(60).show(40)
    assert isinstance(path.decides, Person)


def test_a_release_by_command_sends_what_should_be_so():
    path, _ = lamp_with_motion()
    path.show(30)
    assert path.arbiter.release("command")
    assert path.decide().sent == [(0, 100), (60, 100)]
    assert not path.arbiter.release("command")


# --- whose change it was ------------------------------------------------------------------------


def test_a_device_that_answers_late_is_no_person():
    path = Path(0, obeys=False)
    driver = path.driver(1, override=HOUR)
    path.decide().wait(30)  # the request is still pending
    path.show(1)
    assert path.decides is driver


def test_a_device_that_shows_a_value_ten_seconds_after_its_answer_is_no_person():
    path = Path(0, obeys=False)
    driver = path.driver(1, override=HOUR)
    path.decide()
    path.arbiter.last.is_pending = False
    path.wait(10).show(1)
    path.change(driver, 2)
    path.arbiter.last.is_pending = False
    path.wait(10.5).show(2)
    assert path.decides is driver  # this is what should be so
    assert path.kinds(OverrideBegan) == []


def test_an_older_value_that_comes_late_is_no_person():
    path = Path(0, obeys=False)
    driver = path.driver(1, override=HOUR)
    path.decide().change(driver, 2)
    path.show(1).show(2)
    assert path.decides is driver
    assert path.sent == [(0, 1), (0, 2)]


def test_each_sent_value_is_recognized_once():
    path = Path(0)
    driver = path.driver(0, override=HOUR)
    path.decide().change(driver, 1).wait(1).change(driver, 0).wait(1).change(driver, 1)
    path.wait(1).show(0)  # it was sent two seconds ago, and was shown then
    assert isinstance(path.decides, Person)


def test_a_value_that_was_never_sent_is_not_recognized():
    path = Path(0, obeys=False)
    driver = path.driver(5, override=HOUR)
    path.arbiter.arbitrate(path.now)  # it is superseded before it is sent
    path.change(driver, 1)
    path.answer(path.arbiter.last)
    path.wait(HOUR).show(5)
    assert isinstance(path.decides, Person)


def test_a_lamp_that_fades_is_no_person():
    path = Path(0, obeys=False)
    driver = path.driver(100, override=HOUR)
    path.decide()
    for shown in (10, 40, 70, 100):
        path.wait(0.5).show(shown)
    assert path.decides is driver
    path.wait(30).show(40)
    assert isinstance(path.decides, Person)


def test_a_change_by_another_rule_of_ours_is_no_person():
    path, motion = lamp_with_motion()
    path.show(30, by_rule=True)
    assert path.decides is motion
    assert path.sent == [(0, 100)]


def test_a_device_that_rounds_needs_a_tolerance():
    path = Path(20, obeys=False)
    driver = path.driver(70.2, override=HOUR, tolerance=0.5)
    path.decide()
    path.answer(path.arbiter.last, shown=70)
    assert path.decides is driver
    assert path.arbiter.is_so
    assert path.change(driver, 70.4).sent == [(0, 70.2)]  # 70 is near enough
    path.wait(60).show(71)
    assert isinstance(path.decides, Person)


def test_without_a_tolerance_a_rounded_value_is_a_change():
    path = Path(20, obeys=False)
    path.driver(70.2, override=HOUR)
    path.decide()
    path.answer(path.arbiter.last, shown=70.5)
    assert isinstance(path.decides, Person)


def test_true_is_not_within_the_tolerance_of_a_number():
    path = Path(True)
    path.driver(0.7, tolerance=0.5)
    assert path.decide().sent == [(0, 0.7)]


# --- devices ------------------------------------------------------------------------------------


def test_a_device_that_comes_back_gets_what_it_has_lost():
    path = Path(0)
    path.driver(1, override=HOUR)
    path.decide().wait(60)
    path.show(Unknown).wait(60).show(0)
    assert path.sent == [(0, 1), (120, 1)]
    assert path.kinds(OverrideBegan) == []


def test_a_device_that_comes_back_with_its_value_gets_nothing():
    path = Path(0)
    path.driver(1)
    path.decide().show(Unknown).show(1)
    assert path.sent == [(0, 1)]


def test_a_device_that_comes_back_during_an_override_gets_the_value_of_the_person():
    path, _ = lamp_with_motion()
    path.show(30).wait(60).show(Unknown).show(0)
    assert path.sent == [(0, 100), (120, 30)]


def test_a_change_during_an_outage_of_the_connection_is_that_of_the_person_who_decides():
    path, _ = lamp_with_motion()
    path.show(30).wait(60).show(Unknown, by_owner=False).wait(60).show(40)
    assert path.sent == [(0, 100)]
    assert path.arbiter.person.value == 40
    assert path.arbiter.person.since == 60


def test_an_owner_that_registers_an_unknown_state_again_gets_what_should_be_so():
    path = Path(0)
    path.driver(1)
    path.decide().show(Unknown)
    path.obeys = False
    path.arbiter.note_owner()
    assert path.decide().sent == [(0, 1), (0, 1)]
    path.arbiter.note_owner()
    assert len(path.decide().sent) == 2  # that request is not answered yet


def test_an_override_that_ends_while_the_state_is_unknown_sends_when_it_is_known():
    path, _ = lamp_with_motion()
    path.show(30).wait(60).show(Unknown, by_owner=False)
    path.obeys = False
    path.wait(2 * HOUR)
    path.arbiter.last.is_pending = False  # it failed
    path.obeys = True
    path.wait(60).show(30)
    assert path.sent == [(0, 100), (60 + 2 * HOUR, 100), (180 + 2 * HOUR, 100)]


def test_what_others_have_changed_is_sent_again_only_with_verify():
    for verify, sent in ((None, [(0, 1)]), (5, [(0, 1), (60, 1)])):
        path = Path(0)
        path.driver(1, verify=verify)
        path.decide().wait(60).show(0)
        assert path.sent == sent


def frost_over_a_person(**options):
    path = Path(16)
    presence = path.driver(21, rule="presence", override=2 * HOUR)
    frost = path.driver(12, rule="frost", priority=100, **options)
    path.decide().wait(60)
    return path, presence, frost


@pytest.mark.parametrize("verify", [None, 5])
def test_a_person_who_is_outranked_is_corrected_at_once(verify):
    path, _, frost = frost_over_a_person(verify=verify)
    path.show(10)
    assert path.sent == [(0, 12), (60, 12)]
    assert path.decides is frost
    [(_, began)] = path.kinds(OverrideBegan)
    assert began.rules == ["presence"]
    path.wait(5).change(frost, NoValue)
    assert path.sent[2:] == [(65, 10)]
    assert isinstance(path.decides, Person)


def test_a_person_is_not_corrected_while_nobody_stands_by():
    path, presence, frost = frost_over_a_person()
    presence.may_stand_by = False
    path.show(10)
    assert path.sent == [(0, 12)]
    assert path.change(frost, 13).sent == [(0, 12), (60, 13)]


def test_a_person_who_repeats_is_corrected_once_a_minute_and_never_wins():
    path, _, frost = frost_over_a_person()
    for _ in range(120):  # ten minutes long, every five seconds
        path.show(10).wait(5)
    assert [at for at, _ in path.sent[1:]] == [60, 65, 70, *range(130, 660, 60)]
    [(at, contested)] = path.kinds(Contested)
    assert (at, contested.value, contested.shown, contested.driver) == (75, 12, 10, frost)
    path.wait(60)
    assert path.arbiter.shown == 12


def test_a_value_that_the_path_keeps_for_ten_minutes_is_not_contested_any_more():
    path, _, _ = frost_over_a_person()
    for _ in range(4):
        path.show(10)
    assert path.arbiter.is_contested
    path.wait(60)
    assert path.arbiter.is_so
    path.wait(599)
    assert path.arbiter.is_contested
    path.wait(1)
    assert not path.arbiter.is_contested
    assert path.arbiter.deadline(path.now) > path.now + HOUR  # that of the override
    path.show(10)
    assert path.sent[-1] == (path.now, 12)
    assert len(path.kinds(Contested)) == 1


def test_a_change_while_the_value_is_contested_begins_the_ten_minutes_again():
    path, _, _ = frost_over_a_person()
    for _ in range(4):
        path.show(10)
    path.wait(360).show(10).wait(599)
    assert path.arbiter.is_so
    assert path.arbiter.is_contested
    path.wait(1)
    assert not path.arbiter.is_contested


def test_a_correction_that_is_due_is_made_although_the_override_ends_before():
    path, presence, _ = frost_over_a_person()
    for _ in range(4):
        path.show(10)
    path.arbiter.end_stand_by(presence, "released")
    path.decide().wait(60)
    assert path.arbiter.shown == 12


def test_a_correction_waits_for_the_answer_to_a_request_with_the_same_value():
    path, _, _ = frost_over_a_person()
    path.obeys = False
    path.show(10)
    assert path.sent[1:] == [(60, 12)]
    path.show(9).wait(59)
    assert len(path.sent) == 2
    path.arbiter.last.is_pending = False
    assert path.wait(1).sent[2:] == [(120, 12)]


def test_two_programs_do_not_fight_endlessly():
    path = Path(0)
    driver = path.driver(1, verify=5)
    path.decide()
    for _ in range(20):
        path.wait(1).show(0)
        path.show(0.5)
    assert path.sent == [(0, 1), (1, 1), (1, 1), (2, 1)]
    [(at, contested)] = path.kinds(Contested)
    assert (at, contested.value, contested.shown) == (2, 1, 0.5)
    assert path.change(driver, 2).sent[4:] == [(20, 2)]  # a new value is sent
    path.show(0)
    assert path.sent[5:] == [(20, 2)]


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("change", "decision"),
        ("command", "decision"),
        ("others", "correction"),
        ("returned", "owner"),
        ("registered", "owner"),
        ("reconnected", "reconnected"),
    ],
)
def test_each_value_is_sent_with_the_reason_and_the_cause_of_the_change(way, why):
    path = Path(0)
    driver = path.driver(1, verify=5)
    path.decide()
    cause = object()
    match way:
        case "change":
            path.arbiter.change(driver, 2)
        case "command":
            path.arbiter.show(0, 0, by_rule=True)
            path.arbiter.release("command")
        case "others":
            path.arbiter.show(0, 0, cause=cause)
        case "registered":
            path.arbiter.show(0, 0, by_rule=True)
            path.arbiter.note_owner()
        case _:
            path.arbiter.show(Unknown, 0, by_owner=way == "returned")
            path.arbiter.show(0, 0, cause=cause)
    [send] = path.arbiter.arbitrate(0)
    assert (send.why, send.person) == (why, None)
    assert send.cause is (cause if way in ("others", "returned", "reconnected") else None)


def test_the_value_of_a_person_is_sent_with_the_person():
    path, _ = lamp_with_motion()
    safety = path.driver(NoValue, rule="smoke", priority=100)
    path.arbiter.show(30, path.now, cause="cause")
    path.decide().change(safety, 100)
    path.arbiter.change(safety, NoValue)
    _, send = path.arbiter.arbitrate(path.now)
    assert (send.why, send.person.value, send.person.cause) == ("override", 30, "cause")


@pytest.mark.parametrize("way", ["returned", "registered", "released"])
def test_a_fight_is_over_when_the_owner_is_back_or_by_command(way):
    path = Path(0)
    path.driver(1, verify=5)
    path.decide()
    for _ in range(20):
        path.show(0)
    assert path.arbiter.is_contested
    assert path.arbiter.shown == 0
    if way == "returned":
        path.show(Unknown).show(0)
    elif way == "registered":
        path.arbiter.note_owner()
    else:
        path.arbiter.release("command")
    path.decide()
    assert path.arbiter.shown == 1
    assert not path.arbiter.is_contested


def test_a_new_value_is_sent_although_the_path_shows_it_while_another_is_on_its_way():
    path = Path(0, obeys=False)
    driver = path.driver(1)
    path.decide().change(driver, 0)
    assert path.sent == [(0, 1), (0, 0)]


# --- reload and restart -------------------------------------------------------------------------


def test_an_exchange_of_a_driver_before_a_decision_changes_nothing():
    path, motion = lamp_with_motion()
    path.show(30)
    since = path.arbiter.since
    path.arbiter.leave(motion)
    new = path.driver(100, rule="hall.motion", override=2 * HOUR)
    path.decide()
    assert path.sent == [(0, 100)]
    assert len(path.kinds(OverrideBegan)) == 1
    assert path.kinds(OverrideEnded) == []
    assert path.arbiter.since == since
    assert path.wait(2 * HOUR).sent[1:] == [(60 + 2 * HOUR, 100)]
    assert path.decides is new


def test_a_longer_override_after_a_reload_counts_from_the_change():
    path, motion = lamp_with_motion()
    path.show(30).wait(HOUR)
    path.arbiter.leave(motion)
    path.driver(100, rule="hall.motion", override=3 * HOUR)
    path.decide().wait(2 * HOUR)
    assert path.sent[1:] == [(60 + 3 * HOUR, 100)]


def test_another_priority_after_a_reload_decides_at_once():
    path = Path(0)
    path.driver(1, rule="a", priority=1)
    other = path.driver(2, rule="b")
    path.decide()
    path.arbiter.leave(other)
    path.driver(2, rule="b", priority=2)
    assert path.decide().sent == [(0, 1), (0, 2)]


def test_a_value_that_a_driver_has_not_delivered_is_sent_by_the_next():
    path = Path(0, obeys=False)
    old = path.driver(1, rule="hall.light")
    path.decide()
    path.arbiter.leave(old)
    new = path.driver(1, rule="hall.light")
    path.decide()
    assert path.sent == [(0, 1), (0, 1)]
    assert path.senders == [old, new]


def test_an_override_outlasts_the_restart_of_the_only_rule_that_stands_by():
    path, motion = lamp_with_motion()
    path.driver(NoValue, rule="smoke", priority=100)
    path.show(30).leave(motion).wait(10)
    path.driver(100, rule="hall.motion", override=2 * HOUR)
    path.decide()
    assert path.sent == [(0, 100)]
    assert [effect.why for _, effect in path.kinds(OverrideEnded)] == ["no driver"]
    assert [at for at, _ in path.kinds(OverrideBegan)] == [60, 70]
    assert path.wait(2 * HOUR).sent[1:] == [(60 + 2 * HOUR, 100)]


def test_a_change_while_the_rule_of_an_override_restarts_is_that_of_the_person():
    path, motion = lamp_with_motion()
    path.driver(NoValue, rule="smoke", priority=100)
    path.show(30).leave(motion).wait(10).show(80).wait(10)
    assert path.sent == [(0, 100)]
    path.driver(100, rule="hall.motion", override=2 * HOUR)
    path.decide()
    assert path.sent == [(0, 100)]
    assert path.arbiter.person.value == 80
    assert path.wait(2 * HOUR).sent[1:] == [(70 + 2 * HOUR, 100)]


def test_a_change_that_nobody_has_observed_is_that_of_the_person_whose_rule_restarts():
    path, motion = lamp_with_motion()
    path.show(30).leave(motion).wait(10)
    path.show(Unknown, by_owner=False).show(80)
    path.driver(100, rule="hall.motion", override=2 * HOUR)
    path.decide()
    assert path.sent == [(0, 100)]
    assert path.arbiter.person.value == 80
    assert path.wait(2 * HOUR).sent[1:] == [(60 + 2 * HOUR, 100)]


def test_a_value_of_another_driver_is_not_that_of_the_person_whose_rule_restarts():
    path, motion = lamp_with_motion()
    path.show(30)
    path.driver(2, rule="low", priority=-1)
    path.leave(motion)
    path.show(Unknown, by_owner=False).show(2)
    assert path.arbiter.person.value == 30
    assert path.sent[1:] == [(60, 2)]


def restarted(path, shown, down, **options):
    """Return the path in a new process, whose clock begins at 0, with its only driver."""
    [old] = path.arbiter.drivers
    state = path.arbiter.snapshot(old, path.now)  # 0 in it is the time of the snapshot
    after = Path(shown)
    after.now = 1000.0
    driver = after.driver(old.value, rule=old.rule, override=old.override, **options)
    after.arbiter.restore(state, driver, after.now - down)
    after.decide()
    return after


def test_an_override_outlasts_a_restart():
    path, _ = lamp_with_motion()
    path.show(30).wait(HOUR)
    after = restarted(path, 30, down=60)
    assert after.sent == []
    assert isinstance(after.decides, Person)
    assert after.wait(HOUR).sent == [(1000 + HOUR - 60, 100)]


def test_an_override_that_outlasts_a_restart_is_reported_once():
    path, _ = lamp_with_motion()
    path.show(30).wait(HOUR)
    [(_, began)] = path.kinds(OverrideBegan)
    assert not began.is_restored
    after = restarted(path, 30, down=60)
    after.decide().wait(60)
    [(at, again)] = after.kinds(OverrideBegan)
    assert (at, again.is_restored, again.rules) == (1000, True, ["hall.motion"])
    assert again.until == 1000 + HOUR - 60
    after.show(40)
    assert [each.is_restored for _, each in after.kinds(OverrideBegan)] == [True, False]


def test_an_override_whose_time_is_over_is_known_before_it_ends():
    path, _ = lamp_with_motion()
    assert not path.arbiter.is_override_over(path.now)
    path.show(30)
    assert not path.arbiter.is_override_over(path.now + 2 * HOUR - 1)
    assert path.arbiter.is_override_over(path.now + 2 * HOUR)
    path.wait(2 * HOUR)
    assert not path.arbiter.is_override_over(path.now)


def test_an_override_without_a_driver_is_not_over():
    path, motion = lamp_with_motion()
    path.show(30)
    path.arbiter.leave(motion)
    assert not path.arbiter.is_override_over(path.now + 3 * HOUR)
    path.decide()
    assert not path.arbiter.is_override_over(path.now + 3 * HOUR)


def test_an_override_that_has_ended_during_the_restart_is_over():
    path, _ = lamp_with_motion()
    path.show(30)
    after = restarted(path, 30, down=3 * HOUR)
    assert after.sent == [(1000, 100)]
    assert [effect.why for _, effect in after.kinds(OverrideEnded)] == ["time"]


def test_a_change_during_a_restart_is_that_of_the_person_who_decides():
    path, _ = lamp_with_motion()
    path.show(30)
    after = restarted(path, 40, down=60)
    assert after.sent == []
    assert after.arbiter.person.value == 40


def test_after_a_restart_what_the_path_does_not_show_is_sent():
    path, _ = lamp_with_motion()
    assert restarted(path, 100, down=60).sent == []
    assert restarted(path, 0, down=60).sent == [(1000, 100)]


def test_who_decides_since_when_outlasts_a_restart():
    path, _ = lamp_with_motion()
    after = restarted(path, 100, down=30)
    assert after.arbiter.since == 1000 - 30 - 60
    assert after.kinds(Decided) == []


def test_a_released_override_stays_released_after_a_restart():
    path = Path(0)
    driver = path.driver(1, rule="a", override=HOUR)
    path.driver(2, rule="b", override=HOUR, priority=-1)
    path.decide().wait(60).show(9)
    path.arbiter.end_stand_by(driver, "released")
    path.decide()
    state = path.arbiter.snapshot(driver, path.now)
    after = Path(1)
    again = after.driver(1, rule="a", override=HOUR)
    after.arbiter.restore(state, again, 0)
    assert after.decide().decides is again


def restarted_without(path, absent, shown, down, *others):
    """Return the path in a new process, in which the rule of a driver has not joined yet."""
    state = path.arbiter.snapshot(absent, path.now)
    after = Path(shown)
    after.now = 1000.0
    for options in others:
        after.driver(**options)
    after.arbiter.restore(state, None, after.now - down)
    return after


def test_an_override_outlasts_a_restart_in_which_its_rule_joins_after_another():
    path, motion = lamp_with_motion()
    path.show(30)
    after = restarted_without(path, motion, 30, 60, {"value": 2, "rule": "low", "priority": -1})
    after.decide().wait(60)
    assert isinstance(after.decides, Person)
    assert after.sent == []
    after.driver(100, rule="hall.motion", override=2 * HOUR)
    after.decide().wait(2 * HOUR)
    assert after.sent == [(1000 - 60 + 2 * HOUR, 100)]
    assert [effect.why for _, effect in after.kinds(OverrideEnded)] == ["time"]


def test_the_value_of_the_person_is_sent_by_another_driver_while_the_rule_is_absent():
    path, motion = lamp_with_motion()
    path.show(30)
    after = restarted_without(path, motion, 30, 60, {"value": 2, "rule": "low", "priority": -1})
    after.decide().show(Unknown).show(0)
    assert after.sent == [(1000, 30)]
    assert [each.rule for each in after.senders] == ["low"]


def test_an_override_whose_rule_never_joins_ends_in_time():
    path, motion = lamp_with_motion()
    path.show(30)
    after = restarted_without(path, motion, 30, 60, {"value": 2, "rule": "low", "priority": -1})
    after.decide().wait(2 * HOUR)
    assert after.sent == [(1000 - 60 + 2 * HOUR, 2)]
    assert [each.rule for each in after.arbiter.drivers] == ["low"]


def test_a_driver_above_an_absent_one_decides():
    path, motion = lamp_with_motion()
    path.show(30)
    after = restarted_without(path, motion, 30, 60, {"value": 2, "rule": "high", "priority": 1})
    after.decide()
    assert after.sent == [(1000, 2)]


def test_a_person_is_kept_until_the_only_rule_has_joined():
    path, motion = lamp_with_motion()
    path.show(30)
    after = restarted_without(path, motion, 80, 60)
    after.driver(100, rule="hall.motion", override=2 * HOUR)
    after.decide()
    assert after.sent == []
    assert after.arbiter.person.value == 80


def test_an_override_of_a_condition_is_interrupted_until_its_rule_has_joined():
    path = Path(0)
    party = path.driver(1, rule="party", override=math.inf)
    path.decide().show(30)
    low = {"value": 2, "rule": "low", "priority": -1}
    after = restarted_without(path, party, 30, 60, low)
    after.decide()
    assert after.sent == [(1000, 2)]
    assert [effect.why for _, effect in after.kinds(OverrideEnded)] == ["no driver"]
    after.driver(1, rule="party", override=math.inf)
    after.decide()
    assert after.sent[1:] == [(1000, 30)]


def test_an_interrupted_override_is_interrupted_after_a_restart():
    path, motion = lamp_with_motion()
    low = path.driver(2, rule="low", priority=-1)
    path.show(30).leave(motion)
    after = restarted_without(path, low, 2, 60, {"value": 2, "rule": "low", "priority": -1})
    after.decide()
    assert after.sent == []
    assert after.kinds(OverrideEnded) == []
    after.driver(100, rule="hall.motion", override=2 * HOUR)
    after.decide()
    assert after.sent == [(1000, 30)]


def test_a_command_ends_the_override_of_an_absent_driver():
    path, motion = lamp_with_motion()
    path.show(30)
    after = restarted_without(path, motion, 30, 60, {"value": 2, "rule": "low", "priority": -1})
    after.decide()
    assert after.arbiter.release("command")
    assert after.decide().sent == [(1000, 2)]
    after.driver(100, rule="hall.motion", override=2 * HOUR)
    assert after.decide().sent[1:] == [(1000, 100)]


def test_nothing_is_sent_while_only_an_absent_driver_is_left():
    path, motion = lamp_with_motion()
    path.show(30)
    after = restarted_without(path, motion, 30, 60)
    low = after.driver(2, rule="low", priority=-1)
    after.decide().leave(low).show(Unknown).show(0)
    assert after.sent == []
    assert after.wait(3 * HOUR).decides is None


@pytest.mark.parametrize("stand_by", [None, 3, [3], [["a"]], [["a", "b", 1]], [["a", 0, "2h"]]])
def test_damaged_absent_drivers_are_ignored(stand_by):
    path = Path(0)
    driver = path.driver(1)
    path.arbiter.restore({"person": [30, 0.0], "stand_by": stand_by}, driver, 0)
    assert path.decide().sent == [(0, 1)]


def test_a_snapshot_is_plain_data_and_is_restored_as_it_was():
    path, motion = lamp_with_motion()
    path.show(30).wait(10)
    state = path.arbiter.snapshot(motion, 50.0)
    assert state == {
        "person": [30, 10.0],
        "decides": "person",
        "since": 10.0,
        "target": [30],
        "sent": [100, -50.0],
        "released": False,
        "interrupted": False,
        "stand_by": [["hall.motion", 0, 2 * HOUR]],
    }
    after = Path(30)
    driver = after.driver(100, rule="hall.motion", override=2 * HOUR)
    after.arbiter.restore(state, driver, 50.0)
    assert after.arbiter.target == 30
    assert after.arbiter.snapshot(driver, 50.0) == state


def test_a_snapshot_before_anything_was_decided_has_nothing():
    path = Path(0)
    driver = path.driver()
    assert path.decide().arbiter.snapshot(driver, 0.0) == {
        "person": None,
        "decides": None,
        "since": None,
        "target": [],
        "sent": [],
        "released": False,
        "interrupted": False,
        "stand_by": [],
    }


@pytest.mark.parametrize("state", [None, 3, {}, {"person": 1, "decides": {}, "since": "x"}])
def test_a_damaged_state_is_ignored(state):
    path = Path(0)
    driver = path.driver(1)
    path.arbiter.restore(state, driver, 0)
    assert path.decide().sent == [(0, 1)]
