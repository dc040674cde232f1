"""What `why` names is what mattered: without it, the output is not made, or another one.

Random houses have three rules that pass values on, with windows, holds, delays, switches and
retries, and are reloaded in between. Each of their outputs is explained. Then the same inputs are
given again, once without each path: if that changes the output, `why` must have named the path; and
without the one input that it marks as the trigger, the output must not be made at that time.

`why --needed` replays the recorded inputs without each input that is named. Here it has to say the
same as houses that never had that input.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eshet import yarp
from eshet.utils import RunSerially
from eshet_rules import rule
from eshet_rules.audit.lines import encode
from eshet_rules.config import Configuration
from eshet_rules.reload.version_store import VersionStore
from eshet_rules.replay.needed import find_needed
from eshet_rules.replay.versions import PastRules
from eshet_rules.testing.house import House
from eshet_rules.why.explanation import Explanation, explain
from eshet_rules.why.sources import ListedRecords

STATES = ("/in/a", "/in/b", "/in/c")
EVENTS = ("/in/x", "/in/y")
START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """An output that was made: the time in milliseconds, its path and its value."""

    at: int
    path: str
    value: object


def sources():
    return st.sampled_from([*STATES, *EVENTS])


def graphs(paths):
    """Return descriptions of Values: nested tuples of an operator and what it is applied to."""
    leaf = st.one_of(
        st.tuples(st.just("above"), st.sampled_from(paths), st.integers(0, 3)),
        st.tuples(st.just("hold"), st.sampled_from(EVENTS), st.sampled_from([2, 5])),
        st.tuples(st.just("window"), st.sampled_from(EVENTS), st.sampled_from([2, 5])),
        st.tuples(st.just("latest"), st.sampled_from(EVENTS), st.just(0)),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["and", "or"]), inner, inner),
            st.tuples(st.just("not"), inner, st.just(0)),
            st.tuples(st.just("delay"), inner, st.sampled_from([1, 3])),
            st.tuples(st.just("when"), inner, inner),
        ),
        max_leaves=4,
    )


async def build(graph):
    kind, one, other = graph
    if kind == "above":
        return await yarp.state_observe(one) > other
    if kind in ("hold", "window", "latest"):
        event = await yarp.event_listen(one)
        if kind == "hold":
            return yarp.hold(event, other)
        if kind == "window":
            return yarp.len(yarp.time_window(event, other)) > 1
        return yarp.latest(event, initial=0) > 1
    inner = await build(one)
    if kind == "not":
        return yarp.not_(inner)
    if kind == "delay":
        return yarp.delay(inner, other)
    second = await build(other)
    if kind == "and":
        return inner & second
    if kind == "or":
        return inner | second
    return yarp.when(inner, second, otherwise=False)


def rules_of(first, second, third):
    @rule
    async def one():
        await yarp.state_register("/mid/one", yarp.no_repeat(await build(first)))

    @rule
    async def two():
        passed = await yarp.state_observe("/mid/one")
        await yarp.state_register("/mid/two", yarp.no_repeat(await build(second) & passed))

    @rule(strategy=RunSerially(retry=True, retry_start=1, retry_end=1))
    async def three():
        passed = await yarp.state_observe("/mid/two")
        shown = yarp.fn(lambda a, b: f"{a} {b}")(await build(third), passed)
        await yarp.set_value("/out", yarp.no_repeat(shown))

    return one, two, three


def inputs(least=1):
    one = st.tuples(st.integers(1, 12), sources(), st.integers(0, 4))
    return st.lists(one, min_size=least, max_size=8)


def at_different_times(given_inputs):
    """Return inputs of which no two, and no timers that they start, are within a tenth second."""
    return [(at + 0.12 * n, path, value) for n, (at, path, value) in enumerate(given_inputs)]


def live(set_up, given_inputs, *, restarts=True):
    """Return the records of a house, in whose middle the rules are restarted.

    Args:
        set_up: sets up the rules in the house that it gets.
        given_inputs: the inputs.
        restarts: whether the rules are restarted.
    """
    with House(start=START) as house:

        async def live():
            devices = {path: house.device(path, 0, settable=False) for path in STATES}
            house.device("/out", "", fails=1)
            await set_up(house)
            last = 0
            for number, (at, path, value) in enumerate(sorted(given_inputs, key=lambda i: i[0])):
                await house.advance(at - last)
                last = at
                if path in devices:
                    await devices[path].report(value)
                else:
                    await house.emit(path, value)
                if restarts and number == len(given_inputs) // 2:
                    await house.restart()
            await house.advance(30)
            house.errors.clear()

        house.run(live())
        return [each.record for each in house.happenings.all]


def play(rules, given_inputs, *, explained=False, restarts=True):
    """Return the outputs of a house, and their explanations if they are wanted."""

    async def set_up(house):
        for each in rules:
            await house.rule(each)

    return outputs_of(live(set_up, given_inputs, restarts=restarts), explained=explained)


def outputs_of(records, *, explained=False):
    """Return the outputs in records, and their explanations if they are wanted."""
    records = [each if isinstance(each, dict) else msgspec.structs.asdict(each) for each in records]
    outputs = []
    for number, record in enumerate(records):
        is_output = record["event"].startswith("output.") and record.get("module")
        is_new = not (record.get("trigger") or "").startswith(("set-up", "restart", "reload"))
        if is_output and record["outcome"] == "done" and is_new and record.get("attempt", 1) == 1:
            moment = datetime.fromisoformat(record["time"]) - START
            made = Made(round(moment.total_seconds() * 1000), record["path"], record["value"])
            tree = None
            if explained:
                tree = explain(record["path"], ListedRecords(records[: number + 1]))
            outputs.append((made, tree))
    return outputs


def named_paths(tree: Explanation) -> set[str]:
    named = {tree.path}
    for each in tree.inputs:
        named.add(each.name)
        if each.explanation is not None:
            named |= named_paths(each.explanation)
    return named | (set() if tree.trigger is None else named_paths(tree.trigger))


def everything(least=1):
    return st.tuples(graphs([*STATES]), graphs([*STATES]), graphs([*STATES]), inputs(least))


@settings(max_examples=25, deadline=None)
@given(everything())
def test_each_path_without_which_an_output_would_be_another_one_is_named(house):
    *parts, given_inputs = house
    rules = rules_of(*parts)
    outputs = play(rules, given_inputs, explained=True)
    for path in {path for _, path, _ in given_inputs}:
        without = {made for made, _ in play(rules, [i for i in given_inputs if i[1] != path])}
        for made, tree in outputs:
            if made not in without:
                assert path in named_paths(tree), (made, sorted(named_paths(tree)))


def trigger_of(tree: Explanation) -> tuple[int, str] | None:
    """Return the time, in milliseconds, and the path of the input that has led to an output."""
    output = tree.output
    path = (output.get("after_input") or "").partition(" ")[2]
    moment = datetime.fromisoformat(output["time"]) - START
    if output.get("trigger") and output.get("after_s") is None:
        return None  # the timer was started before the restart, and its age is not known
    if path.startswith("/in/"):
        return round((moment.total_seconds() - (output.get("after_s") or 0)) * 1000), path
    changed = [each.explanation for each in tree.inputs if each.has_changed]
    return trigger_of(changed[0]) if changed and changed[0].is_by_rule else None


@settings(max_examples=25, deadline=None)
@given(everything())
def test_without_its_trigger_an_output_is_not_made_then(house):
    *parts, given_inputs = house
    given_inputs = at_different_times(given_inputs)
    rules = rules_of(*parts)
    for made, tree in play(rules, given_inputs, explained=True):
        trigger = trigger_of(tree)
        if trigger is None:
            continue
        others = [i for i in given_inputs if (round(i[0] * 1000), i[1]) != trigger]
        assert len(others) == len(given_inputs) - 1, (made, trigger)
        assert made not in {each for each, _ in play(rules, others)}, (made, trigger)


MODULE = """
from tests.properties.test_why import rules_of

rules_of(*{parts!r})
"""


def marked(explanation: Explanation):
    """Return the inputs from outside in an explanation, and whether they were needed."""
    return [
        (each.from_outside, each.is_needed)
        for each in explanation.parts()
        if each.from_outside is not None
    ]


def without(given_inputs, record):
    """Return inputs without that of a record; all of them if it is none of them."""
    moment = datetime.fromisoformat(record["time"]) - START
    removed = round(moment.total_seconds() * 1000), record["path"]
    return [each for each in given_inputs if (round(each[0] * 1000), each[1]) != removed]


@settings(max_examples=60, deadline=None)
@given(everything(least=5), st.integers(0, 100))
def test_exactly_the_needed_inputs_are_those_without_which_the_output_is_not_made(house, chosen):
    *parts, given_inputs = house
    given_inputs = at_different_times(given_inputs)
    rules = rules_of(*parts)
    with TemporaryDirectory() as place:
        folder, trail = Path(place) / "rules", Path(place) / "trail.jsonl"
        folder.mkdir()
        (folder / "house.py").write_text(MODULE.format(parts=parts))
        records = live(lambda house: house.load(folder / "house.py"), given_inputs, restarts=False)
        trail.write_bytes(b"".join(encode(each) for each in records))
        outputs = outputs_of(records, explained=True)
        assume(outputs)
        made, tree = outputs[chosen % len(outputs)]
        past = PastRules(folder, VersionStore(Path(place) / "versions"), Configuration())
        found = marked(find_needed(tree, trail, past).explanation)
    for record, is_needed in found:
        others = without(given_inputs, record)
        if is_needed is None:  # its value from the start
            assert len(others) == len(given_inputs), (made, record)
        else:
            assert len(others) == len(given_inputs) - 1, (made, record)
            remaining = {each for each, _ in play(rules, others, restarts=False)}
            assert is_needed == (made not in remaining), (made, record)
