"""Random graphs against a model that computes everything anew at each change.

The model knows neither heights nor queues: for each change it goes through all nodes in the order
in which they were made, and asks of each what its inputs hold and what they just told.
"""

import dataclasses
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eshet import reactive as yarp
from eshet.unknown import Unknown

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
    """A node of the model: made with its inputs, then told to `go_on` in each transaction."""

    def __init__(self, inputs):
        self.inputs = inputs
        self.out = Told(any(each.is_event for each in inputs))
        self.start()

    def start(self):
        raise NotImplementedError

    def go_on(self):
        raise NotImplementedError


class Function(Model):
    """`fn`, and all that is a function of what is told."""

    def start(self):
        if not self.out.is_event:
            result = self.function(*[each.value for each in self.inputs])
            self.out.value = yarp.NoValue if result is yarp.NoChange else result

    def go_on(self):
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
    function = staticmethod(choosy)
    real = staticmethod(yarp.fn(choosy))


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

    def go_on(self):
        if self.inputs[0].news:
            self.out.value = [*self.out.value, *self.inputs[0].news][-2:]
            self.out.news = [self.out.value]

    @staticmethod
    def real(first, *_):
        return yarp.window(first, 2)


class ToEvent(Model):
    def start(self):
        self.out = Told(True)

    def go_on(self):
        self.out.news = list(self.inputs[0].news)

    @staticmethod
    def real(first, *_):
        return yarp.value_to_event(first)


class ToValue(Model):
    def start(self):
        self.out = Told(False)

    def go_on(self):
        self.out.news = self.inputs[0].news[-1:]
        self.out.value = self.out.news[0] if self.out.news else self.out.value

    @staticmethod
    def real(first, *_):
        return yarp.event_to_value(first)


KINDS = [Add, Choosy, NoRepeat, Filter, Window, ToEvent, ToValue]
ONE_INPUT = (NoRepeat, Filter, Window, ToEvent, ToValue)

values = st.sampled_from([*range(7), Unknown, yarp.NoValue])
nodes = st.tuples(
    st.sampled_from(KINDS), st.lists(st.integers(0, 50), min_size=2, max_size=4), st.booleans()
)
sources = st.lists(st.one_of(values, st.just("event")), min_size=2, max_size=5)
changes = st.lists(st.tuples(st.integers(0, 50), values), max_size=12)


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

    def add(self, kind, picks, forget):
        usable = [at for at, told in enumerate(self.told) if not isinstance(told.value, list)]
        picked = [usable[pick % len(usable)] for pick in picks]
        picked = picked[:1] if kind in ONE_INPUT else picked
        self.models.append(kind([self.told[at] for at in picked]))
        self.told.append(self.models[-1].out)
        self.real.append(kind.real(*[self.real[at] for at in picked]))
        if forget:  # it goes on for those that depend on it
            self.forgotten.add(len(self.real) - 1)

    def listen(self):
        for at, each in enumerate(self.real):
            if at in self.forgotten:
                self.real[at] = None
            else:
                height = each._node.height
                each.on_value_changed(lambda x, at=at, h=height: self.log.append((h, at, x)))

    def change(self, pick, value):
        at = pick % self.count
        told = self.told[at]
        for each in self.told:
            each.news = []
        told.news = [value]
        told.value = told.value if told.is_event else value
        for model in self.models:
            model.go_on()
        self.log.clear()
        yarp.emit_fn(self.real[at])(value)

    def check(self):
        heights = [height for height, _, _ in self.log]
        assert heights == sorted(heights)
        for at, (real, told) in enumerate(zip(self.real, self.told, strict=True)):
            if real is not None:
                assert [x for _, each, x in self.log if each == at] == told.news
                assert same(real.value, told.value)


def same(a, b):
    return a is b or (type(a) is type(b) and a == b)


@given(sources, st.lists(nodes, max_size=20), changes)
@settings(max_examples=500, deadline=None)
def test_a_graph_tells_what_the_model_tells(sources, nodes, changes):
    pair = Pair(sources)
    for node in nodes:
        pair.add(*node)
    pair.listen()
    for change in changes:
        pair.change(*change)
        pair.check()
