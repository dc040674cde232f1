"""The steps of a hand-over, with nodes that record what they are asked."""

import threading
from typing import Any

import pytest

from eshet import reactive as yarp
from eshet.reactive.core.graph import RestoreContext, ValueNode
from eshet.reactive.core.handle import node_of
from eshet.reactive.core.subscription import subscribe
from eshet.reactive.core.tracing import on_transaction
from eshet.reactive.core.transaction import thread_local
from eshet.reactive.core.value import value_of
from eshet.reactive.handover.handover import (
    Lost,
    ObservedValue,
    Snapshot,
    hand_over,
    named,
    notify,
    observed_values,
    quietly,
    snapshot_scopes,
    stateful_nodes,
    take_snapshots,
)
from eshet.scope import Scope
from tests.support.hearing import Errors, heard
from tests.support.hostile import ERRORS


class _Stateful(ValueNode):
    """Has a state, and fails where it is told to."""

    def __init__(self, state: Any, name: str | None = None, **fails: BaseException) -> None:
        super().__init__(state)
        self.origin = name
        self.fails = fails
        self.asked: list[Any] = []
        self.reported = True
        self.missed: list[Any] = []
        self.uses = 1

    def _fail(self, place: str) -> None:
        if place in self.fails:
            raise self.fails[place]

    def snapshot(self, epoch: float) -> Any:
        self._fail("snapshot")
        return None if self.value is None else [self.value, epoch]

    def restore(self, data: Any, context: RestoreContext) -> Any:
        self.asked.append(("restore", data, context))
        if data[0] == "bad":
            raise self.fails.get("restore", ValueError("bad"))
        self.value = data[0]
        return self.missed

    def start_from_inputs(self, context: RestoreContext) -> None:
        self.asked.append(("start", context))
        self._fail("start")

    def label(self) -> str:
        self._fail("label")
        return "stateful"

    @property
    def is_reported(self) -> bool:
        return self.reported


def made(*args: Any, scope: Scope | None = None, **fails: Any) -> tuple[Scope, _Stateful]:
    scope = scope or Scope("rule")
    with scope.active():
        return scope, _Stateful(*args, **fails)


CONTEXT = RestoreContext(50.0, 7.0, 20.0)


def test_a_node_with_a_state_is_restored_and_reported_as_kept() -> None:
    old, _ = made("old")
    new, node = made("new")
    node.missed = ["rang", "rang again"]
    nodes = stateful_nodes({"rule": new})
    outcome = hand_over(snapshot_scopes({"rule": old}, 7.0), nodes, CONTEXT)
    [(description, _)] = nodes
    assert node.asked == [("restore", ["old", 7.0], CONTEXT)]
    assert (outcome.kept, outcome.afresh) == ([description], [])
    assert outcome.missed == [(description, "rang"), (description, "rang again")]


def test_a_node_without_an_old_one_starts_from_its_inputs_and_is_reported() -> None:
    new, node = made("new")
    nodes = stateful_nodes({"rule": new})
    outcome = hand_over([], nodes, CONTEXT)
    assert node.asked == [("start", CONTEXT)]
    assert outcome.kept == []
    assert outcome.afresh == [(nodes[0][0], "new, or its inputs have changed")]


@pytest.mark.parametrize("snapshots", [True, False])
def test_a_node_that_is_not_worth_reporting_is_handed_over_without_a_report(
    snapshots: bool,
) -> None:
    old, _ = made("old")
    new, node = made("new")
    node.reported = False
    given = snapshot_scopes({"rule": old}) if snapshots else []
    outcome = hand_over(given, stateful_nodes({"rule": new}), CONTEXT)
    assert (outcome.kept, outcome.afresh) == ([], [])
    assert node.value == ("old" if snapshots else "new")


@pytest.mark.parametrize("error", ERRORS)
def test_a_state_that_does_not_fit_leaves_the_node_as_it_was(error: type[BaseException]) -> None:
    old, _ = made("bad")
    new, node = made("new", restore=error("no"))
    outcome = hand_over(snapshot_scopes({"": old}, 7.0), stateful_nodes({"": new}), CONTEXT)
    assert node.asked == [
        ("restore", ["bad", 7.0], CONTEXT),
        ("restore", ["new", 0.0], RestoreContext(50.0)),
        ("start", CONTEXT),
    ]
    [(_, why)] = outcome.afresh
    assert why.startswith("the old state does not fit: ")
    assert error.__name__ in why


@pytest.mark.parametrize("error", ERRORS)
def test_a_state_that_can_not_be_read_is_lost(error: type[BaseException]) -> None:
    old, _ = made("old", snapshot=error("no"))
    new, node = made("new")
    outcome = hand_over(snapshot_scopes({"": old}), stateful_nodes({"": new}), CONTEXT)
    assert node.asked == [("start", CONTEXT)]
    [(_, why)] = outcome.afresh
    assert why.startswith("its state can't be read: ")


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_when_a_node_starts_from_its_inputs_is_reported_to_its_scope(
    error: type[BaseException],
) -> None:
    errors = Errors()
    _, failing = made("new", "first", scope=errors.scope, start=error("no"))
    _, other = made("new", "second", scope=errors.scope)
    hand_over([], stateful_nodes({"": errors.scope}), CONTEXT)
    assert errors.reported == [(repr(error("no")), "first")]
    assert (len(failing.asked), len(other.asked)) == (1, 1)


@pytest.mark.parametrize("error", ERRORS)
def test_a_node_that_can_not_be_described_is_reported_and_left_out(
    error: type[BaseException],
) -> None:
    errors = Errors()
    _, _ = made("a", "first", scope=errors.scope, label=error("no"))
    _, _ = made("b", "second", scope=errors.scope)
    scopes = {"": errors.scope}
    assert [d.name for d, _ in stateful_nodes(scopes)] == ["second"]
    assert [each.description.name for each in snapshot_scopes(scopes)] == ["second"]
    assert errors.reported == [(repr(error("no")), "first")] * 2


def test_the_snapshots_of_scopes_are_those_of_their_stateful_nodes() -> None:
    hall, _ = made("h", "one")
    made(None, "without a state", scope=hall)
    landing, _ = made("l", "two")
    scopes = {"hall": hall, "landing": landing}
    snapshots = snapshot_scopes(scopes, 5.0)
    assert snapshots == take_snapshots(stateful_nodes(scopes), 5.0)
    assert [(each.description.rule, each.description.name, each.data) for each in snapshots] == [
        ("hall", "one", ["h", 5.0]),
        ("landing", "two", ["l", 5.0]),
    ]
    assert [each.data for each in snapshot_scopes(scopes)] == [["h", 0.0], ["l", 0.0]]
    assert [each.data for each in take_snapshots(stateful_nodes(scopes))] == [
        ["h", 0.0],
        ["l", 0.0],
    ]


def test_each_node_is_restored_from_its_own_snapshot() -> None:
    old, _ = made("a", "one")
    made("b", "two", scope=old)
    new, two = made("new", "two")
    _, one = made("new", "one", scope=new)
    hand_over(snapshot_scopes({"": old}), stateful_nodes({"": new}), CONTEXT)
    assert (one.value, two.value) == ("a", "b")


def test_a_lost_state_tells_its_reason() -> None:
    new, _ = made("new")
    [(description, node)] = stateful_nodes({"": new})
    outcome = hand_over([Snapshot(description, Lost("why"))], [(description, node)], CONTEXT)
    assert outcome.afresh == [(description, "why")]


# --- descriptions -----------------------------------------------------------------------------


def described(reactive: Any, **names: Any) -> Any:
    [(description, _)] = [
        each for each in stateful_nodes(names) if each[1] is node_of(reactive)
    ]  # fmt: skip
    return description


def windowed(make: Any) -> Any:
    """Return the description of the window of what `make` derives from two named Values."""
    scope = Scope("rule")
    with scope.active():
        a, b = yarp.Value(1, name="/a"), yarp.Value(2, name="/b")
        window = yarp.window(make(a, b), 2)
    return described(window, rule=scope)


DERIVATIONS = [
    lambda a, b: (a + 1) * 2,
    lambda a, b: (b + 1) * 2,
    lambda a, b: (a - 1) * 2,
    lambda a, b: (a + 1) / 2,
    lambda a, b: ((a + 1) + 1) * 2,
    lambda a, b: (a + b) * 2,
    lambda a, b: (b + a) * 2,
    lambda a, b: yarp.fn(lambda *xs: xs)(a + 1, a * 2),
    lambda a, b: yarp.fn(lambda *xs: xs)(a * 2, a + 1),
    lambda a, b: a,
]


@pytest.mark.parametrize("make", DERIVATIONS)
def test_the_shape_of_a_node_depends_on_all_below_it_and_their_order(make: Any) -> None:
    shape = windowed(make).shape
    assert windowed(make).shape == shape
    others = [windowed(other).shape for other in DERIVATIONS]
    assert others.count(shape) == 1


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda a, b: a, "window of /a"),
        (lambda a, b: (b + a) * 2, "window of /b"),
        (lambda a, b: yarp.fn(lambda *xs: xs)(a + 1, b), "window of /a"),
        (lambda a, b: named(a * 2, "double"), "window of double"),
        (lambda a, b: yarp.Value(1), "window"),
    ],
)
def test_a_node_is_labelled_by_the_first_named_node_below_it(make: Any, label: str) -> None:
    assert windowed(make).label == label


def test_a_name_is_kept_with_the_place_and_none_changes_nothing() -> None:
    scope = Scope("rule")
    with scope.active():
        value = yarp.Value(1)
        place = node_of(value).origin
        assert named(value, None) is value
        assert node_of(value).origin == place
        assert named(value, "lux") is value
    assert node_of(value).origin == "lux"
    assert node_of(value).full_name() == "rule: lux"


# --- quiet changes, and notifying -------------------------------------------------------------


@pytest.mark.parametrize("error", [None, KeyError])
def test_changes_are_quiet_until_the_block_ends_also_by_an_error(
    error: type[Exception] | None,
) -> None:
    a, event = yarp.Value(1), yarp.Event()
    told, emitted = heard(a), heard(event + 0)
    try:
        with quietly():
            a.value = 2
            event.emit(1)
            if error is not None:
                raise error
    except KeyError:
        pass
    assert (told, emitted, a.value) == ([], [], 2)
    a.value = 3
    event.emit(2)
    assert (told, emitted) == ([3], [2])


def test_an_observed_value_knows_what_its_observers_were_told_last() -> None:
    node = ValueNode(5)
    observed = ObservedValue(node)
    assert (observed.was_notified, observed.known, observed.differs) == (False, 5, False)
    observed.restore(Lost("why"))
    assert (observed.was_notified, observed.known, observed.differs) == (False, 5, False)
    observed.restore([4])
    assert (observed.was_notified, observed.known, observed.differs) == (True, 4, True)
    node.value = 4
    assert (observed.was_notified, observed.known, observed.differs) == (True, 4, False)


def test_the_observed_values_of_scopes_are_those_with_callbacks_or_events_of_their_changes() -> (
    None
):
    scope = Scope("rule")
    with scope.active():
        values = {name: yarp.Value(0, name=name) for name in "abcde"}
        values["a"].on_value_changed(print)
        event = yarp.value_to_event(values["b"])
        subscribe(node_of(values["c"]), print, is_sink=True)
        values["d"].subscribe(print).dispose()
        derived = values["e"] + 1
        yarp.Event(name="event").on_event(print)
    names = [d.name for d, _ in observed_values({"rule": scope})]
    assert names == ["a", "b"]
    assert (event.value, derived.value) == (yarp.NoValue, 1)


def test_values_that_are_not_observed_or_do_not_differ_are_not_notified() -> None:
    steps: list[Any] = []
    a, b = ValueNode(1), ValueNode(2)
    told = [heard(value_of(a)), heard(value_of(b))]
    watching = on_transaction(steps.append)
    observed = [ObservedValue(a), ObservedValue(b)]
    observed[0].restore([1])
    notify(observed)
    assert (steps, told) == ([], [[], []])
    observed[0].restore([0])
    notify(iter(observed))
    watching.dispose()
    assert (len(steps), told) == (1, [[1], []])
    assert thread_local.transactions.known == {}


def test_nothing_is_known_any_more_after_an_interrupt_of_the_hand_over() -> None:
    node = ValueNode(1)
    value = value_of(node)

    @value.on_value_changed
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    observed = ObservedValue(node)
    observed.restore([0])
    with pytest.raises(KeyboardInterrupt):
        notify([observed])
    assert thread_local.transactions.known == {}


def test_a_hand_over_of_one_thread_leaves_another_alone() -> None:
    quiet: list[bool] = []
    with quietly():
        thread = threading.Thread(target=lambda: quiet.append(thread_local.transactions.quiet))
        thread.start()
        thread.join()
    assert quiet == [False]
