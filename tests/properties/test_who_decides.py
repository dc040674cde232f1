"""Any sequence of wishes, changes by people and outages: the path shows what should be so."""

from hypothesis import given
from hypothesis import strategies as st

from eshet.reactive.core.markers import NoValue
from eshet.unknown import Unknown
from eshet.yarp.driving.arbiter import MAX_CORRECTIONS, Arbiter
from eshet.yarp.driving.driver import Driver, Person, Send

HOUR = 3600.0

OPTIONS = st.sampled_from(
    [{"override": HOUR}, {"override": 2 * HOUR}, {"verify": 5.0}, {"override": HOUR, "verify": 5.0}]
)
DRIVERS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), OPTIONS), max_size=4)
VALUES = st.sampled_from([0, 1, 2])
STEPS = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 3), VALUES | st.just(NoValue)),
    st.tuples(st.just("person"), VALUES),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 20.0, 900.0, HOUR])),
    st.tuples(st.just("away"), VALUES),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.just("join"), st.integers(0, 3)),
    st.tuples(st.just("release")),
)


class Path:
    """An arbiter, and a device that obeys at once."""

    def __init__(self, drivers):
        self.arbiter = Arbiter()
        self.now = 0.0
        self.sent = 0
        self.arbiter.show(0, self.now)
        self.drivers = [
            Driver(rule, number, priority, **options)
            for number, (priority, rule, options) in enumerate(drivers)
        ]
        for each in self.drivers:
            self.arbiter.join(each)

    def decide(self):
        for effect in self.arbiter.arbitrate(self.now):
            if isinstance(effect, Send):
                assert effect.sent.value == self.arbiter.target
                self.sent += 1
                self.arbiter.note_attempt(effect.sent, self.now)
                effect.sent.is_pending = False
                effect.sent.is_done = True
                self.arbiter.show(effect.sent.value, self.now)
        self.arbiter.arbitrate(self.now)

    def take(self, step):
        match step:
            case ("change", index, value) if index < len(self.drivers):
                self.arbiter.change(self.drivers[index], value)
            case ("person", value):
                self.arbiter.show(value, self.now)
            case ("away", value):
                self.arbiter.show(Unknown, self.now)
                self.arbiter.show(value, self.now)
            case ("leave", index) if index < len(self.drivers):
                self.arbiter.leave(self.drivers[index])
            case ("join", index) if index < len(self.drivers):
                if self.drivers[index] not in self.arbiter.drivers:
                    self.arbiter.join(self.drivers[index])
            case ("release",):
                self.arbiter.release("command")
            case ("wait", seconds):
                self.wait(seconds)
        self.decide()

    def wait(self, seconds):
        end = self.now + seconds
        while (deadline := self.arbiter.deadline(self.now)) <= end:
            assert deadline > self.now
            self.now = deadline
            self.decide()
        self.now = end


def wanted_by_rules(path):
    """Return what the rules want, and who: the plain definition."""
    opinions = [each for each in path.arbiter.drivers if each.has_opinion]
    return max(opinions, key=lambda each: (each.priority, each.rule, each.number), default=None)


@given(DRIVERS, st.lists(STEPS, max_size=30))
def test_the_path_shows_what_should_be_so(drivers, steps):
    path = Path(drivers)
    path.decide()
    for step in steps:
        before = path.sent
        path.take(step)
        arbiter = path.arbiter
        assert arbiter.decides is None or arbiter.is_so or arbiter.is_contested
        if not isinstance(arbiter.decides, Person):
            assert arbiter.decides is wanted_by_rules(path)
        if step[0] != "wait":
            assert path.sent - before <= 1


PLAIN_DRIVERS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.sampled_from([{}, {"override": HOUR}])),
    max_size=4,
)
PLAIN_STEPS = STEPS.filter(lambda step: step[0] not in ("leave", "join"))


@given(PLAIN_DRIVERS, st.lists(PLAIN_STEPS, max_size=30))
def test_a_person_who_is_outranked_never_wins(drivers, steps):
    path = Path(drivers)
    path.decide()
    for step in steps:
        path.take(step)
        arbiter = path.arbiter
        stand_by = [d for d in arbiter.drivers if d.stands_by_until(arbiter.person) > path.now]
        if stand_by and isinstance(arbiter.decides, Driver):
            assert arbiter.is_so or arbiter.is_contested
            assert arbiter.is_so or arbiter.deadline(path.now) <= path.now + 60


@given(DRIVERS, st.lists(STEPS, max_size=15), st.lists(VALUES, min_size=5, max_size=40))
def test_a_fight_ends(drivers, steps, others):
    path = Path(drivers)
    for step in steps:
        path.take(step)
    before = path.sent
    for value in others:
        path.take(("person", value))
    assert path.sent - before <= MAX_CORRECTIONS + 1


@given(DRIVERS, st.lists(STEPS, max_size=20))
def test_an_exchange_of_all_drivers_changes_nothing(drivers, steps):
    path = Path(drivers)
    for step in steps:
        path.take(step)
    arbiter, sent, since = path.arbiter, path.sent, path.arbiter.since
    decides, person = type(arbiter.decides), arbiter.person
    for old in list(arbiter.drivers):
        arbiter.leave(old)
        new = Driver(old.rule, old.number + 10, old.priority, old.override, old.verify)
        arbiter.join(new)
        new.value, new.is_released = old.value, old.is_released
    path.decide()
    assert (path.sent, arbiter.since, type(arbiter.decides)) == (sent, since, decides)
    assert arbiter.person is person


UNIQUE_DRIVERS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("ab"), OPTIONS),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each[:2],
)


@given(UNIQUE_DRIVERS, st.lists(STEPS, max_size=20), st.randoms(use_true_random=False))
def test_a_restart_changes_nothing_in_whatever_order_the_drivers_join(drivers, steps, random):
    path = Path(drivers)
    for step in steps:
        path.take(step)
    before = path.arbiter
    states = {each.key: before.snapshot(each, 0.0) for each in before.drivers}
    after = Path([])
    after.now = path.now
    after.arbiter.show(path.arbiter.shown, after.now)
    for old in random.sample(before.drivers, len(before.drivers)):
        new = Driver(old.rule, old.number, old.priority, old.override, old.verify, value=old.value)
        after.arbiter.join(new)
        if random.random() < 0.5 or after.arbiter.since is None:
            after.arbiter.restore(states[old.key], new, 0.0)
        after.decide()
    if before.drivers:
        assert after.arbiter.target == before.target
        assert type(after.arbiter.decides) is type(before.decides)
        assert not any(each.is_absent for each in after.arbiter.drivers)
