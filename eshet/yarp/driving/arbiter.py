"""Decides who decides over one path, and when its value has to be sent.

It has no clock and no I/O: the caller passes the time in, carries out the effects that `arbitrate`
returns, and calls `arbitrate` again at `deadline`. All other methods only note a change.

    arbiter.show(value, now)         the path shows a value
    arbiter.change(driver, value)    a driver wants a value
    for effect in arbitrate(now):    ...

The drivers are ranked: by priority, then by the name of the rule, where the later name wins, then
by the order of the calls in the rule. The first with an opinion decides. After a change that no
rule has made, the drivers with an override stand by. Then the person has the rank of the first of
them: drivers above it decide as before, and those below it do not decide. If one above it decides,
its value is sent again at once.

Invariants: `arbitrate` decides by the present state alone, so events before it are one step. A
value that the path shows already is not sent. A value is corrected three times in ten minutes, and
beyond that at most once a minute.
"""

import math
from dataclasses import replace
from typing import Any, Final

from eshet.reactive.core.markers import NoValue
from eshet.unknown import Unknown
from eshet.yarp.driving.corrections import MAX_CORRECTIONS, Corrections
from eshet.yarp.driving.driver import (
    Contested,
    Decided,
    Driver,
    Effect,
    EndOfOverride,
    OverrideBegan,
    OverrideEnded,
    Person,
    Send,
    WhySent,
)
from eshet.yarp.driving.sent_values import SentValue, SentValues, matches

__all__ = ["MAX_CORRECTIONS", "Arbiter"]

_PERSON: Final = "person"

_NO_DRIVER: Final = "no driver"


class Arbiter:
    """The drivers of one path, the person, and the value that the path shows."""

    def __init__(self) -> None:
        self.drivers: list[Driver] = []
        """By rank; the first one has the highest."""
        self.person: Person | None = None
        """The person for whom drivers stand by."""
        self.shown: object = Unknown
        self.target: object = NoValue
        """What should be so; `NoValue` if nobody decides."""
        self.decides: Driver | Person | None = None
        self.since: float | None = None
        """When who decides has changed last; None if nobody has decided yet."""
        self.last: SentValue | None = None
        """The value that was sent last."""
        self._last_driver: Driver | None = None  # that has sent it
        self._decides_key: object = None
        self._sent = SentValues()
        self._corrections = Corrections()
        self._must_check: WhySent | None = None  # why to send the value if the path lacks it
        self._was_changed = False  # whether others have changed the path
        self._change_cause: Any = None  # of the last change by others, or return of the owner
        self._is_restored = False  # whether the override is from before a restart
        self._owner_was_away = False  # when the state became unknown
        self._ending: EndOfOverride | None = None  # why the override ends, if that is not its time
        self._effects: list[Effect] = []

    # --- drivers ------------------------------------------------------------------------------

    def join(self, driver: Driver) -> None:
        """Add a driver."""
        driver.is_released = not driver.may_stand_by
        if driver.override is not None:
            self._forget_absent(driver.key)
        self.drivers.append(driver)
        self.drivers.sort(key=lambda each: each.rank, reverse=True)

    def leave(self, driver: Driver) -> None:
        """Remove a driver. A value that it has not delivered yet is sent by another driver."""
        if driver not in self.drivers:
            return
        self.drivers.remove(driver)
        if driver.stands_by_until(self.person) > -math.inf:
            self._ending = _NO_DRIVER
        if driver is self._last_driver and self.last is not None and not self.last.is_done:
            self.last.is_pending = False
            self._must_check = "decision"

    def change(self, driver: Driver, value: object) -> None:
        """Note the value that a driver wants; `NoValue` if it has no opinion."""
        driver.value = value

    # --- the person ---------------------------------------------------------------------------

    def end_stand_by(self, driver: Driver, why: EndOfOverride) -> None:
        """Let a driver decide again; the override ends with the last one that stands by."""
        if self.person is not None and driver.stands_by_until(self.person) > -math.inf:
            driver.is_released = True
            self._ending = why

    def release(self, why: EndOfOverride) -> bool:
        """End the override, and send the wanted value if the path does not show it.

        Returns:
            Whether there was an override.
        """
        self._must_check = "decision"
        self._corrections.clear()
        return self._end_override(why)

    def _end_override(self, why: EndOfOverride) -> bool:
        person, self.person = self.person, None
        self._forget_absent()
        if person is None or person.is_interrupted:
            return False
        self._effects.append(OverrideEnded(person, why))
        return True

    # --- the path -----------------------------------------------------------------------------

    def show(
        self,
        value: object,
        now: float,
        *,
        by_rule: bool = False,
        by_owner: bool = True,
        cause: Any = None,
    ) -> None:
        """Note the value that the path shows.

        Args:
            value: the value; `Unknown` if it is unknown.
            now: the time.
            by_rule: whether a rule of ours has set it, as far as causes show it.
            by_owner: of an unknown state: whether its owner is away; else the connection is lost.
            cause: of the change; only passed on.
        """
        before, self.shown = self.shown, value
        if value is Unknown:
            self._owner_was_away = by_owner
            return
        tolerance = self._tolerance
        is_sent = self._sent.take(value, tolerance, now)
        if before is Unknown:
            self._note_return(value, cause)
        elif matches(before, value) or is_sent or by_rule:
            pass
        elif not self._sent.is_on_the_way(before, value, now):
            self._note_change(value, now, cause)

    def note_owner(self) -> None:
        """Note that the owner of the path has registered it again."""
        self._corrections.clear()
        self._must_check, self._change_cause = "owner", None

    def _note_return(self, value: object, cause: Any) -> None:
        """The state is known again: an owner that was away may have lost its setting."""
        person = self.person
        is_by_person = person is not None and (
            self.decides is person or (person.is_interrupted and self.decides is None)
        )
        if is_by_person and not self._owner_was_away:
            self._adopt(value)
        elif not self._sent.has_pending():
            self._must_check = "owner" if self._owner_was_away else "reconnected"
            self._change_cause = cause
            self._corrections.clear()

    def _adopt(self, value: object) -> None:
        """Take a value for that of the person: it was changed while it could not be seen."""
        assert self.person is not None  # noqa: S101 - the callers have checked it
        self.person = replace(self.person, value=value)
        self.decides, self.target = self.person, value

    def _note_change(self, value: object, now: float, cause: Any) -> None:
        """Handle a change that no rule of ours has made."""
        self._was_changed, self._change_cause = True, cause
        wanted = next((each for each in self.drivers if each.has_opinion), None)
        if wanted is not None and matches(value, wanted.value, self._tolerance):
            self._end_override("given back")
            return
        standing_by = [
            each for each in self.drivers if each.override is not None and each.may_stand_by
        ]
        for each in self.drivers:
            each.is_released = not each.may_stand_by
        if not standing_by:
            self._note_meanwhile(value, now, cause)
            return
        self.person = Person(value, now, cause)
        self._note_begin(self.person, standing_by)

    def _note_meanwhile(self, value: object, now: float, cause: Any) -> None:
        """Attribute a change to the person, if the override goes on when its rule is back."""
        if self.person is not None and self.person.is_interrupted:
            self.person = Person(value, now, cause, is_interrupted=True)

    # --- decisions ----------------------------------------------------------------------------

    def deadline(self, now: float) -> float:
        """Return when `arbitrate` must be called again; infinite if only after another change."""
        times = [each.stands_by_until(self.person) for each in self.drivers]
        times.append(self._corrections.deadline())
        return min((each for each in times if each > now), default=math.inf)

    def is_override_over(self, now: float) -> bool:
        """Whether the time of an override is over that has not been ended yet."""
        person = self.person
        if person is None or person.is_interrupted:
            return False
        ends = [each.stands_by_until(person) for each in self.drivers]
        return -math.inf < max(ends, default=-math.inf) <= now

    @property
    def is_contested(self) -> bool:
        """Whether others change the path again and again."""
        return self._corrections.is_contested

    @property
    def is_so(self) -> bool:
        """Whether the path shows the wanted value."""
        return self.shows(self.target)

    def shows(self, value: object) -> bool:
        """Whether the path shows a value."""
        return self.shown is not Unknown and matches(self.shown, value, self._tolerance)

    def arbitrate(self, now: float) -> list[Effect]:
        """Decide, and return the value to send and the changes since the last call, as effects."""
        ending, self._ending = self._ending, None
        self._follow_override(now, ending)
        decides, target, sender = self._choose(now)
        is_other = _key_of(decides) != self._decides_key
        is_new = not matches(target, self.target)
        self.decides, self.target = decides, target
        if is_other:
            self.since, self._decides_key = now, _key_of(decides)
            self._effects.append(Decided(decides, target))
        if is_other or is_new:
            self._corrections.clear()
            self._must_check = "decision"
        self._corrections.follow(now, is_so=self.is_so)
        was_changed, self._was_changed = self._was_changed, False
        must_check, self._must_check = self._must_check, None
        if sender is not None:
            if must_check is not None:
                if self._must_send(now, is_new=is_new):
                    self._send(sender, now, must_check)
            elif was_changed and self._corrects(sender, now):
                self._request_correction(sender, now)
            if self._corrections.is_due(now):
                self._correct(sender, now)
        effects, self._effects = self._effects, []
        return effects

    def _follow_override(self, now: float, ending: EndOfOverride | None) -> None:
        """End the override when no driver stands by, or interrupt it when the last one has left."""
        person = self.person
        if person is None:
            return
        standing_by = self._standing_by(now)
        is_restored, self._is_restored = self._is_restored, False
        if standing_by and (person.is_interrupted or is_restored):
            person.is_interrupted = False
            self._note_begin(person, standing_by, is_restored=is_restored)
        elif not standing_by and not person.is_interrupted:
            if ending == _NO_DRIVER or (ending is None and self._awaits_condition):
                person.is_interrupted = True  # its rule may be restarted soon
                self._forget_absent()
                self._effects.append(OverrideEnded(person, _NO_DRIVER))
            else:
                self._end_override(ending or "time")

    def _standing_by(self, now: float) -> list[Driver]:
        return [each for each in self.drivers if each.stands_by_until(self.person) > now]

    def _note_begin(
        self, person: Person, standing_by: list[Driver], *, is_restored: bool = False
    ) -> None:
        until = max(each.stands_by_until(person) for each in standing_by)
        rules = [each.rule for each in standing_by]
        self._effects.append(OverrideBegan(person, rules, until, is_restored))

    def _choose(self, now: float) -> tuple[Driver | Person | None, object, Driver | None]:
        """Return who decides, the value that should be so, and the driver that sends it."""
        for each in self.drivers:
            if self.person is not None and each.stands_by_until(self.person) > now:
                return self.person, self.person.value, each
            if each.has_opinion:
                return each, each.value, each
        return None, NoValue, None

    def _must_send(self, now: float, *, is_new: bool) -> bool:
        """Whether the path does not show the wanted value, or may soon show something else."""
        if self.is_so:
            return self._sent.has_other(self.target, self._tolerance, now)
        last = self.last
        is_coming = last is not None and last.is_pending and matches(last.value, self.target)
        return is_new or not is_coming

    def _corrects(self, sender: Driver, now: float) -> bool:
        """Whether a value is sent again that others have changed.

        The one who decides outranks those who stand by, and so also the person.
        """
        if self.decides is not sender:
            return False
        return sender.verify is not None or bool(self._standing_by(now))

    def _request_correction(self, sender: Driver, now: float) -> None:
        is_threatened = not self.is_so or self._must_send(now, is_new=False)
        if is_threatened and self._corrections.request(now):
            self._effects.append(Contested(self.target, self.shown, sender))

    def _correct(self, sender: Driver, now: float) -> None:
        if self._must_send(now, is_new=False):
            self._corrections.note_sent(now)
            self._send(sender, now, "correction")
        else:
            self._corrections.postpone(now)

    def _send(self, sender: Driver, now: float, why: WhySent) -> None:
        if sender.is_absent:
            present = next((each for each in self.drivers if not each.is_absent), None)
            if present is None:
                return
            sender = present
        self.last = SentValue(self.target, now)
        self._last_driver = sender
        person = self.person if self.decides is self.person else None
        if person is not None:
            why = "override"
        cause = self._change_cause if why in ("correction", "owner", "reconnected") else None
        self._effects.append(Send(sender, self.last, person, why, cause))

    def wants(self, sent: SentValue) -> bool:
        """Whether a value that was sent last is still the wanted value."""
        return sent is self.last and matches(sent.value, self.target)

    def note_attempt(self, sent: SentValue, now: float) -> None:
        """Note that a value is being sent, for the first time or again: the path may show it."""
        self._sent.add(sent, now)

    def note_refused(self, sent: SentValue) -> None:
        """Note that a value was refused: the path will not show it."""
        self._sent.remove(sent)

    @property
    def _tolerance(self) -> float:
        return max((each.tolerance for each in self.drivers), default=0.0)

    # --- hand-over ----------------------------------------------------------------------------

    def snapshot(self, driver: Driver, epoch: float) -> dict[str, Any]:
        """Return the state for the next process, as plain data; it is part of that of a driver.

        Args:
            driver: the driver.
            epoch: the time that counts as 0 in it.
        """
        person, last = self.person, self.last
        key = self._decides_key
        return {
            "person": None if person is None else [person.value, person.since - epoch],
            "decides": list(key) if isinstance(key, tuple) else key,
            "since": None if self.since is None else self.since - epoch,
            "target": [] if self.target is NoValue else [self.target],
            "sent": [] if last is None else [last.value, last.at - epoch],
            "released": driver.is_released,
            "interrupted": person is not None and person.is_interrupted,
            "stand_by": [
                [each.rule, each.priority, _limited(each.override)]
                for each in self.drivers
                if each.is_absent or each.stands_by_until(person) > -math.inf
            ],
        }

    def restore(self, state: Any, driver: Driver | None, epoch: float) -> None:
        """Continue from the state of an earlier process, unless this has decided already.

        Args:
            state: see `snapshot`; data from a file may be anything, and is then ignored.
            driver: the driver that has taken over from the one of the snapshot; None if none has.
            epoch: the time that counts as 0 in it.
        """
        match state:
            case {"released": True} if driver is not None:
                driver.is_released = True
        if self.since is not None or self.person is not None:
            return
        match state:
            case {"person": [value, float() as since]}:
                is_interrupted = state.get("interrupted") is True
                self.person = Person(value, since + epoch, is_interrupted=is_interrupted)
                self._stand_in(state.get("stand_by"))
                self._is_restored = True
        match state:
            case {"decides": decides, "since": float() as since, "target": list() as target}:
                self._decides_key = tuple(decides) if isinstance(decides, list) else decides
                self.since = since + epoch
                self.target = target[0] if target else NoValue
                self._must_check = "decision"
        match state:
            case {"sent": [value, float() as at]}:
                self.last = SentValue(value, at + epoch, is_pending=False, is_done=True)
        if self.person is not None and self._decides_key == _PERSON:
            self.decides = self.person
            if self.shown is not Unknown:
                self._adopt(self.shown)

    # --- drivers of rules that have not joined yet --------------------------------------------

    def _stand_in(self, standing_by: Any) -> None:
        """Let absent drivers stand by for those of an earlier process that have not joined.

        Args:
            standing_by: see `snapshot`; may be anything.
        """
        present = {each.key for each in self.drivers if not each.is_absent}
        for each in standing_by if isinstance(standing_by, list) else []:
            match each:
                case [str() as rule, int() | float() as priority, int() | float() | None as length]:
                    absent = Driver(rule, -1, priority, length, is_absent=True)
                    if absent.key not in present:
                        self.drivers.append(absent)
        self.drivers.sort(key=lambda each: each.rank, reverse=True)

    def _forget_absent(self, key: object = None) -> None:
        """Remove the absent drivers, or those with a key."""
        self.drivers = [
            each for each in self.drivers if not each.is_absent or key not in (None, each.key)
        ]

    @property
    def _awaits_condition(self) -> bool:
        """Whether an absent driver has an override that lasts as long as a Value is true."""
        return any(each.is_absent and each.override is None for each in self.drivers)


def _limited(override: float | None) -> float | None:
    """Return the length of an override; None if it depends on a Value, which is not known now."""
    return None if override is None or math.isinf(override) else override


def _key_of(decides: Driver | Person | None) -> object:
    if decides is None:
        return None
    return _PERSON if isinstance(decides, Person) else decides.key
