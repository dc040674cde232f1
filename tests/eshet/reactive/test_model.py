"""Random graphs against a model that computes everything anew at each change.

The model knows neither heights nor queues: for each change it goes through all nodes in the order
in which they were made, and asks of each what its inputs hold and what they just told. Time is
virtual.
"""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eshet import reactive as yarp
from eshet.reactive.core.handle import node_of
from eshet.scope import Scope
from eshet.unknown import Unknown
from eshet_rules.testing.virtual_time import VirtualLoop

ABSENT = (yarp.NoValue, Unknown)


def absent(x):
    return any(x is each for each in ABSENT)


@dataclasses.dataclass
class Told:
    """What a node of the model holds, and what it told in the present transaction."""

    is_event: bool
    value: Any = yarp.NoValue
    news: list = dataclasses.field(default_factory=list)

    def hold(self, value):
        """Take a new value, as a node of a Value does."""
        if value is yarp.NoChange or (absent(value) and value is self.value):
            return
        self.value = value
        self.news = [value]


def calls_of(inputs):
    """Return the arguments of each call that is made because of what the inputs told."""
    if not any(each.is_event for each in inputs):
        return [[each.value for each in inputs]] if any(each.news for each in inputs) else []
    return [
        [news if at == position else each.value for at, each in enumerate(inputs)]
        for position, event in enumerate(inputs)
        if event.is_event
        for news in event.news
    ]


class Model:
    """A node of the model: made with its inputs, then told to `go_on` in each transaction.

    Attributes:
        due: for what takes time, when it is to change to what by itself.
        ended: whether its scope was disposed.
        runs: how often its function is to be called in the present transaction.
    """

    def __init__(self, inputs, length):
        self.inputs = inputs
        self.length = length
        self.out = Told(any(each.is_event for each in inputs))
        self.due = []
        self.ended = False
        self.runs = 0
        self.start()

    def start(self):
        raise NotImplementedError

    def go_on(self, now):
        raise NotImplementedError

    def wake(self, now):
        """Do what was due first."""
        raise NotImplementedError

    def make(self, real):
        """Return the real one, made of the real inputs."""
        return self.real(*real)


class Function(Model):
    """`fn`, and all that is a function of what is told."""

    def start(self):
        if not self.out.is_event:
            result = self.function(*[each.value for each in self.inputs])
            self.out.value = yarp.NoValue if result is yarp.NoChange else result

    def go_on(self, now):
        for args in calls_of(self.inputs):
            result = self.function(*args)
            if not self.out.is_event:
                self.out.hold(result)
            elif result is not yarp.NoChange:
                self.out.news.append(result)


class Add(Function):
    def function(self, *args):
        for each in args:
            if absent(each):
                return yarp.NoChange if self.out.is_event and each is yarp.NoValue else each
        return sum(args)

    @staticmethod
    def real(*inputs):
        return inputs[0] + inputs[1] if len(inputs) == 2 else yarp.sum(list(inputs))


def choosy(*args):
    """Return the arguments, or now and then nothing, or that it is unknown."""
    known = sum(each for each in args if isinstance(each, int))
    return {3: yarp.NoChange, 5: Unknown}.get(known % 7, known % 7)


class Choosy(Function):
    """A function that counts its calls."""

    def function(self, *args):
        self.runs += 1
        return choosy(*args)

    def make(self, real):
        self.calls = 0

        def counted(*args):
            self.calls += 1
            return choosy(*args)

        return yarp.fn(counted)(*real)


class Switch(Model):
    """Follows the second input while the first is odd, and else the third."""

    def start(self):
        self.out = Told(False, self.selected().value)

    def selected(self):
        first, *others = self.inputs
        return others[0] if isinstance(first.value, int) and first.value % 2 else others[-1]

    def go_on(self, now):
        if self.inputs[0].news or self.selected().news:
            self.out.value = self.selected().value
            self.out.news = [self.out.value]

    @staticmethod
    def real(first, *others):
        odd, even = others[0], others[-1]
        return yarp.switch(yarp.fn(lambda x: odd if isinstance(x, int) and x % 2 else even)(first))


class Delay(Model):
    def start(self):
        self.out = Told(self.inputs[0].is_event, self.inputs[0].value)

    def go_on(self, now):
        self.due += [(now + self.length, news) for news in self.inputs[0].news]

    def wake(self, now):
        _, value = self.due.pop(0)
        self.out.news = [value]
        if not self.out.is_event:
            self.out.value = value

    def make(self, real):
        return yarp.delay(real[0], self.length)


class TimeWindow(Model):
    def start(self):
        self.present = [] if self.inputs[0].is_event else [self.inputs[0].value]
        self.out = Told(False, list(self.present))

    def go_on(self, now):
        for news in self.inputs[0].news:
            aging = [news] if self.inputs[0].is_event else self.present
            self.due += [(now + self.length, each) for each in aging]
            self.present = [] if self.inputs[0].is_event else [news]
        if self.inputs[0].news:
            self.tell()

    def wake(self, now):
        self.due.pop(0)
        self.tell()

    def tell(self):
        self.out.value = [*(each for _, each in self.due), *self.present]
        self.out.news = [self.out.value]

    def make(self, real):
        return yarp.time_window(real[0], self.length)


class NoRepeat(Function):
    def function(self, value):
        if hasattr(self, "last") and not value != self.last:  # noqa: SIM202 - as no_repeat has it
            return yarp.NoChange
        self.last = value
        return value

    @staticmethod
    def real(first, *_):
        return yarp.no_repeat(first)


class Filter(Function):
    def function(self, value):
        return value if value is not yarp.NoValue else yarp.NoChange

    @staticmethod
    def real(first, *_):
        return yarp.filter(first)


class Window(Model):
    def start(self):
        first = self.inputs[0]
        self.out = Told(False, [] if first.is_event else [first.value])

    def go_on(self, now):
        if self.inputs[0].news:
            self.out.value = [*self.out.value, *self.inputs[0].news][-2:]
            self.out.news = [self.out.value]

    @staticmethod
    def real(first, *_):
        return yarp.window(first, 2)


class ToEvent(Model):
    def start(self):
        self.out = Told(True)

    def go_on(self, now):
        self.out.news = list(self.inputs[0].news)

    @staticmethod
    def real(first, *_):
        return yarp.value_to_event(first)


class ToValue(Model):
    def start(self):
        self.out = Told(False)

    def go_on(self, now):
        self.out.news = self.inputs[0].news[-1:]
        self.out.value = self.out.news[0] if self.out.news else self.out.value

    @staticmethod
    def real(first, *_):
        return yarp.event_to_value(first)


KINDS = [Add, Choosy, NoRepeat, Filter, Window, ToEvent, ToValue, Switch, Delay, TimeWindow]
ONE_INPUT = (NoRepeat, Filter, Window, ToEvent, ToValue, Delay, TimeWindow)

values = st.sampled_from([*range(7), Unknown, yarp.NoValue])
nodes = st.tuples(
    st.sampled_from(KINDS),
    st.lists(st.integers(0, 50), min_size=2, max_size=4),
    st.sampled_from(["kept", "forgotten", "in a scope"]),
)
sources = st.lists(st.one_of(values, st.just("event")), min_size=2, max_size=5)
changes = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 50), values), st.sampled_from(["time passes", "scope ends"])
    ),
    max_size=12,
)

LOOP = VirtualLoop()
SHORT = 1e-4


class Pair:
    """A graph and its model, made and changed together."""

    def __init__(self, sources):
        self.real = [yarp.Event() if each == "event" else yarp.Value(each) for each in sources]
        self.told = [Told(each == "event", each) for each in sources]
        for each in self.told:
            each.value = yarp.NoValue if each.is_event else each.value
        self.models = []
        self.count = len(sources)
        self.log = []
        self.forgotten = set()
        self.scope = Scope("pair")

    def add(self, kind, picks, life):
        usable = [
            at
            for at, told in enumerate(self.told)
            if not isinstance(told.value, list) and not (kind is Switch and told.is_event)
        ]
        if not usable:
            return
        picked = [usable[pick % len(usable)] for pick in picks]
        picked = picked[:1] if kind in ONE_INPUT else picked
        # Lengths of which no sums are the same, so that hardly ever two things are due at once.
        model = kind([self.told[at] for at in picked], 3 + math.sqrt(2 + len(self.models)) / 8)
        self.models.append(model)
        self.told.append(model.out)
        real = [self.real[at] for at in picked]
        if life == "in a scope":
            with self.scope.active():
                self.real.append(model.make(real))
            model.owned = node_of(self.real[-1]) not in {node_of(each) for each in real}
        else:
            self.real.append(model.make(real))
            model.owned = False
        if life == "forgotten":  # it goes on for those that depend on it
            self.forgotten.add(len(self.real) - 1)

    def listen(self):
        for at, each in enumerate(self.real):
            if at in self.forgotten:
                self.real[at] = None
            else:
                node = node_of(each)
                each.on_value_changed(lambda x, at=at, n=node: self.log.append((n.height, at, x)))

    async def play(self, change):
        if change == "time passes":
            await self.pass_time(5)
        elif change == "scope ends":
            self.end_scope()
        else:
            await self.pass_time(1)
            self.change(*change)

    def change(self, pick, value):
        at = pick % self.count
        told = self.told[at]
        self.begin()
        told.news = [value]
        told.value = told.value if told.is_event else value
        self.settle(self.models, LOOP.time())
        yarp.emit_fn(self.real[at])(value)
        self.check()

    async def pass_time(self, seconds):
        """Let time pass, up to each moment in which something is due."""
        end = LOOP.time() + seconds
        while True:
            due = sorted((model.due[0][0], at) for at, model in enumerate(self.models) if model.due)
            if not due or due[0][0] > end:
                break
            time, at = due[0]
            # There is no right order of what is due at once.
            assume(len(due) == 1 or due[1][0] > time + 4 * SHORT)
            await LOOP.advance(max(0, time - LOOP.time() - SHORT))
            self.begin()
            transactions = self.wake(at, time)
            await LOOP.advance(time - LOOP.time() + SHORT)
            self.check(transactions)
        await LOOP.advance(max(0, end - LOOP.time()))

    def wake(self, at, time):
        """Let the model do all that is due, and return in how many transactions."""
        model, transactions = self.models[at], 0
        news = [[] for _ in self.told]
        while model.due and model.due[0][0] == time:
            transactions += 1
            for each in self.told:
                each.news = []
            model.wake(time)
            self.settle(self.models[at + 1 :], time)
            for heard, each in zip(news, self.told, strict=True):
                heard += each.news
        for heard, each in zip(news, self.told, strict=True):
            each.news = heard
        return transactions

    def end_scope(self):
        self.begin()
        self.scope.dispose()
        for model in self.models:
            if model.owned:
                model.ended, model.due = True, []
        self.check()

    def begin(self):
        for each in self.told:
            each.news = []
        for model in self.models:
            model.runs = 0
            if isinstance(model, Choosy):
                model.calls = 0
        self.log.clear()

    def settle(self, models, now):
        for model in models:
            if not model.ended:
                model.go_on(now)

    def check(self, transactions=1):
        heights = [height for height, _, _ in self.log]
        assert heights == sorted(heights) or transactions > 1
        for at, (real, told) in enumerate(zip(self.real, self.told, strict=True)):
            if real is not None:
                assert [x for _, each, x in self.log if each == at] == told.news
                assert same(real.value, told.value)
        for at, model in enumerate(self.models, self.count):
            if isinstance(model, Choosy):  # what nothing uses has ended, and does not run
                assert model.calls == model.runs or (model.calls == 0 and at in self.forgotten)


def same(a, b):
    return a is b or (type(a) is type(b) and a == b)


async def play(sources, nodes, changes):
    pair = Pair(sources)
    for node in nodes:
        pair.add(*node)
    pair.listen()
    for change in changes:
        await pair.play(change)
    pair.scope.dispose()


@pytest.mark.parametrize("part", range(5))  # for as many processes, each with graphs of its own
@given(sources, st.lists(nodes, max_size=20), changes)
@settings(max_examples=1_000, deadline=None)
def test_a_graph_tells_what_the_model_tells(part, sources, nodes, changes):
    LOOP.run_until_complete(play(sources, nodes, changes))
