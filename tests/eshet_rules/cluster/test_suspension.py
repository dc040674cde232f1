"""When the rules of a runner are suspended, and when they go on."""

from typing import Any

import pytest

from eshet_rules.cluster.suspension import Suspension
from tests.support.rules import Log


class Presence:
    number = 7
    renewals = 0

    def renew_soon(self) -> None:
        self.renewals += 1


class Rules:
    are_suspended = False

    def suspend_rules(self) -> None:
        assert not self.are_suspended
        self.are_suspended = True

    def resume_rules(self) -> None:
        assert self.are_suspended
        self.are_suspended = False


class Runner:
    """A runner whose process the test stops, and disconnects from NATS."""

    def __init__(self) -> None:
        self.presence, self.rules, self.log = Presence(), Rules(), Log()
        self.sure_since: float | None = 0.0
        self.now = self.slept = 0.0
        presence: Any = self.presence
        self.suspension = Suspension(
            self.rules,
            presence=presence,
            sure_since=lambda: self.sure_since,
            now=lambda: self.now,
            elapsed=lambda: self.now + self.slept,
            log=self.log.logger,
        )
        self.give_sign()

    def wake_after(self, seconds: float) -> bool:
        """Return whether the rules are suspended then."""
        self.now += seconds
        self.suspension.check()
        return self.rules.are_suspended

    def run(self, seconds: float) -> bool:
        """Wake up twice a second."""
        for _ in range(round(2 * seconds)):
            self.wake_after(0.5)
        return self.rules.are_suspended

    def disconnect(self) -> None:
        self.sure_since = None

    def connect(self) -> None:
        """Connect, and renew the server."""
        self.sure_since = self.now
        self.suspension.server_renewed()

    def give_sign(self) -> None:
        """Have a sign of life stored that is sent now."""
        self.suspension.renewed(self.now)


@pytest.fixture
def runner() -> Runner:
    return Runner()


def test_a_process_that_stood_still_waits_for_a_sign_of_life_that_was_sent_since(
    runner: Runner,
) -> None:
    assert not runner.run(10)
    sent_before = runner.now
    assert runner.wake_after(1.2)
    assert runner.presence.renewals == 1
    runner.suspension.renewed(sent_before)
    assert runner.rules.are_suspended
    runner.suspension.renewed(runner.now)
    assert not runner.rules.are_suspended
    assert runner.log.records == []  # nobody has noticed


def test_a_machine_that_slept_is_noticed_though_the_clock_of_the_loop_stood_still(
    runner: Runner,
) -> None:
    assert not runner.run(1)
    runner.slept = 3600
    assert runner.wake_after(0.01)


def test_a_process_that_stands_still_again_waits_for_another_sign_of_life(runner: Runner) -> None:
    assert runner.wake_after(5)
    sent = runner.now
    assert runner.wake_after(5)
    runner.suspension.renewed(sent)
    assert runner.rules.are_suspended
    runner.suspension.renewed(runner.now)
    assert not runner.rules.are_suspended


def test_rules_are_suspended_before_a_server_without_nats_is_missed(runner: Runner) -> None:
    runner.run(10)
    runner.disconnect()
    assert not runner.run(0.5)
    assert runner.run(0.5)
    assert runner.run(3)
    assert runner.presence.renewals == 1
    runner.connect()
    assert runner.presence.renewals == 2
    assert runner.run(0.5)
    runner.give_sign()
    assert not runner.run(1)
    assert [record["event"] for record in runner.log.records] == ["cluster.rules_suspended"]
    assert runner.log.records[0]["seconds"] == 3.5


def test_a_short_outage_suspends_nothing_however_often_it_comes(runner: Runner) -> None:
    for _ in range(10):
        runner.disconnect()
        assert not runner.run(0.5)
        runner.connect()
        runner.give_sign()
        assert not runner.run(0.5)


def test_a_connection_that_is_lost_before_a_sign_of_life_was_stored_does_not_count(
    runner: Runner,
) -> None:
    runner.disconnect()
    assert not runner.run(0.5)
    runner.connect()
    assert not runner.wake_after(0.1)
    runner.disconnect()
    assert runner.run(0.5)
    sent = runner.now
    runner.wake_after(0.1)
    runner.connect()
    runner.suspension.renewed(sent)
    assert runner.rules.are_suspended
    runner.give_sign()
    assert not runner.rules.are_suspended


def test_a_sign_of_life_does_not_count_while_the_server_may_be_missed(runner: Runner) -> None:
    runner.disconnect()
    assert runner.run(1)
    runner.give_sign()
    assert runner.run(1)
    runner.connect()
    assert runner.rules.are_suspended
    runner.give_sign()
    assert not runner.rules.are_suspended


def test_without_a_presence_there_is_nothing_to_suspend(runner: Runner) -> None:
    runner.presence.number = 0
    assert not runner.wake_after(100)
    runner.disconnect()
    assert not runner.run(10)


def test_the_end_of_the_presence_ends_it(runner: Runner) -> None:
    assert runner.wake_after(5)
    runner.suspension.end()
    assert not runner.rules.are_suspended
    runner.suspension.end()
