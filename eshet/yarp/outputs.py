"""The outputs of sinks, held back while their version of a rule is being prepared.

A version that is being prepared beside the running one must have no effect: each of its sinks keeps
its output. When the version takes over, a sink that the old version also had continues from the
last output of that one; only differences are sent.

`eshet.client.view` holds back direct calls of the client as well. A sink can't leave it to that:
its value changes again when the state of the old version is restored, and only the restored value
may be compared or sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from eshet.cause import Cause, current_cause, use_cause
from eshet.reactive.core.graph import Node
from eshet.reactive.core.markers import NoValue, is_same
from eshet.reactive.core.origin import Origin, place_of, where
from eshet.reactive.core.subscription import Subscription
from eshet.reactive.handover.handover import Lost, Snapshot
from eshet.reactive.handover.matching import Description, match
from eshet.reactive.upstream import InputValues
from eshet.scope import Scope, current_scope, is_contained
from eshet.text import safe_repr
from eshet.unknown import Unknown

__all__ = [
    "HeldOutput",
    "Outputs",
    "current_inputs",
    "is_unknown",
    "left_in",
    "own_output",
    "sinks_of",
]

current_inputs: Final[ContextVar[InputValues | None]] = ContextVar("eshet.inputs", default=None)
"""The values from which the value came that is being sent; None if it came from no Value or Event,
or where causes are not tracked."""

_COLLECTIONS: Final = (list, tuple, set, frozenset)


@dataclass(eq=False, slots=True)
class HeldOutput:
    """One sink. Unknown values are not sent.

    Args:
        function: the name of the wrapper that made it, such as `"set_value"`.
        path: the path of the output.
        send: sends a value; may be wrapped by a strategy.
        follows: whether it sends the values of a Value, so that only the current one matters; else
            it sends emissions, each on its own.
        skip: called with a value that is not sent, and why.
        made_at: the place in the rule where it was made.
        held: the held-back values; None when nothing is held back.
        last: a list with the last sent value; empty if there is none.
    """

    function: str
    path: str
    send: Callable[[Any], object]
    follows: bool
    skip: Callable[[Any, str], object] = lambda value, why: None
    made_at: Origin = None
    held: list[object] | None = None
    last: list[object] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The sink as text, such as `"set_value of /hall/light"`."""
        return f"{self.function} of {self.path}"

    @property
    def place(self) -> str:
        """The place where it was made, such as `hall.py:14`; empty if it is not known."""
        return place_of(self.made_at).removeprefix(" at ")

    def unfinished(self) -> list[tuple[object, Cause | None]]:
        """Return the values that were not delivered and would be repeated, with their causes."""
        return []

    @property
    def next_attempt(self) -> float | None:
        """The loop time at which a failed output is attempted again; None if none is pending."""
        return None

    def resume(self, value: object) -> None:
        """Prepare for sending a value again, for which a request may still be pending."""

    @property
    def has_failed(self) -> bool:
        """Whether the last sent value was not delivered."""
        return False

    def check(self, value: object) -> None:
        """Verify that a value is still in effect that was sent before the runner was down."""
        self.skip(value, "unchanged")

    def note_owner(self) -> None:
        """Note that the owner of the path has registered it again, and may have lost the value."""

    def __call__(self, value: object) -> None:
        """Send a value, or hold it back."""
        known = [] if is_unknown(value) else [value]
        if self.held is not None:
            self.held = known if self.follows else self.held + known
        elif known:
            self.last = known
            self.send(value)
        else:
            self.skip(value, "unknown")

    def snapshot(self, epoch: float = 0.0) -> object:
        """Return the state for the next version of this sink, as plain data.

        Args:
            epoch: the loop's time that counts as 0 in it.
        """
        unfinished = [[value, cause and cause.snapshot()] for value, cause in self.unfinished()]
        has_arrived = bool(unfinished) or not self.has_failed
        return {
            "function": self.function,
            "path": self.path,
            "last": self.last if has_arrived else [],
            "unfinished": unfinished,
        }

    def release(self, state: Any = None, *, was_down: bool = False, epoch: float = 0.0) -> None:
        """Stop holding values back.

        Args:
            state: the state of the old version's sink, if that had this sink. Then emissions that
                were held back are dropped: the old version has sent them.
            was_down: whether the runner was down since, so that the device may have changed.
            epoch: the loop's time that counts as 0 in the state.
        """
        held, self.held = self.held or [], None
        if state is None:
            for value in held:
                self(value)
            return
        self.last = list(state["last"])
        for value, cause in left_in(state):
            with use_cause(cause):
                self.resume(value)
                self(value)
        if self.follows and held:
            if not is_same(held, self.last):
                self(held[0])
            elif was_down:
                self.check(held[0])
            else:
                self.skip(held[0], "unchanged")


class Outputs:
    """The sinks of one version of a module.

    Args:
        held_back: whether outputs are held back until they are released.
    """

    def __init__(self, *, held_back: bool = False) -> None:
        self._held_back = held_back
        self._outputs: dict[HeldOutput, Scope | None] = {}

    def add(self, output: HeldOutput) -> HeldOutput:
        """Add a sink, until the current scope ends."""
        scope = current_scope()
        self._outputs[output] = scope
        output.held = [] if self._held_back else None
        if scope is not None:
            scope.own(lambda: self._outputs.pop(output, None))
        return output

    def snapshot(self, rules: Mapping[Scope, str], epoch: float = 0.0) -> list[Snapshot]:
        """Return the state of each sink; see `HeldOutput.snapshot`.

        Args:
            rules: the names of rules, by their scopes.
            epoch: the loop's time that counts as 0 in the states.
        """
        described = zip(self._describe(rules), self._outputs, strict=True)
        return [Snapshot(about, _snapshot_of(output, epoch)) for about, output in described]

    def all(self) -> list[HeldOutput]:
        """Return all sinks."""
        return list(self._outputs)

    def by_rule(self, rules: Mapping[Scope, str]) -> dict[str, list[HeldOutput]]:
        """Return the sinks of each rule, even if nothing was sent yet."""
        outputs: dict[str, list[HeldOutput]] = {}
        for each, output in zip(self._describe(rules), self._outputs, strict=True):
            outputs.setdefault(each.rule, []).append(output)
        return outputs

    def release(
        self,
        rules: Mapping[Scope, str],
        snapshots: Sequence[Snapshot] = (),
        *,
        was_down: bool = False,
        epoch: float = 0.0,
    ) -> list[Snapshot]:
        """Let all sinks continue from those of the old version, or start.

        A sink without a clear predecessor continues from one of the same function and path from
        which no other continues; else, if it follows a Value, from the last value sent to the path.

        Args:
            rules: the names of rules, by their scopes.
            snapshots: the state of the old version's sinks.
            was_down: see `HeldOutput.release`.
            epoch: the loop's time that counts as 0 in the snapshots.

        Returns:
            The snapshots from which no sink continues.
        """
        self._held_back = False
        snapshots = [snapshot for snapshot in snapshots if _is_state(snapshot.data)]
        states = self._predecessors(rules, snapshots)
        last_of_path = {
            snapshot.description.label: {**snapshot.data, "unfinished": []}
            for snapshot in snapshots
            if snapshot.data["last"]
        }
        for output, scope in list(self._outputs.items()):
            state = states.get(output)
            if state is None and output.follows:
                state = last_of_path.get(output.label)
            try:
                output.release(state, was_down=was_down, epoch=epoch)
            except BaseException as error:  # raised by a strategy; the others are still released
                if not is_contained(error, scope):
                    raise
                if scope is not None:
                    scope.report(error, output.label)
        taken = {id(state) for state in states.values()}
        return [snapshot for snapshot in snapshots if id(snapshot.data) not in taken]

    def _predecessors(
        self, rules: Mapping[Scope, str], snapshots: Sequence[Snapshot]
    ) -> dict[HeldOutput, Any]:
        """Return the states from which sinks continue, each of at most one sink."""
        outputs = list(self._outputs)
        pairs = match([each.description for each in snapshots], self._describe(rules)).pairs
        left: dict[str, list[Any]] = {}
        for position, snapshot in enumerate(snapshots):
            if position not in pairs.values():
                left.setdefault(snapshot.description.label, []).append(snapshot.data)
        states = {outputs[ours]: snapshots[theirs].data for ours, theirs in pairs.items()}
        for output in outputs:
            if output not in states and left.get(output.label):
                states[output] = left[output.label].pop(0)
        return states

    def _describe(self, rules: Mapping[Scope, str]) -> list[Description]:
        return [
            Description(rules.get(scope, "") if scope else "", output.label, output.label)
            for output, scope in self._outputs.items()
        ]


def _snapshot_of(output: HeldOutput, epoch: float) -> object:
    try:
        return output.snapshot(epoch)
    except BaseException as error:  # raised by a user's strategy
        return Lost(f"its last outputs can't be read: {safe_repr(error)}")


def _is_state(state: object) -> bool:
    """Whether this is the state of a `HeldOutput`; data from a file may be anything."""
    match state:
        case {"last": [] | [_] as last, "unfinished": list() as unfinished}:
            return isinstance(last, list) and all(map(_is_unfinished, unfinished))
    return False


def _is_unfinished(state: object) -> bool:
    match state:
        case [_, None]:
            return True
        case [_, [str(), str() | None, str(), str(), *_] as cause]:
            return len(cause) % 4 == 0
    return False


def left_in(state: Any) -> Iterator[tuple[Any, Cause | None]]:
    """Iterate over the unfinished values in a sink's state, with their causes."""
    for value, cause in state["unfinished"]:
        yield value, Cause.restored(cause) or current_cause()


def is_unknown(value: object) -> bool:
    """Whether a value is, or contains, NoValue or Unknown."""
    if value is NoValue or value is Unknown:
        return True
    if isinstance(value, dict):
        return any(is_unknown(item) for pair in value.items() for item in pair)
    return isinstance(value, _COLLECTIONS) and any(map(is_unknown, value))


def sinks_of(node: Node) -> list[HeldOutput]:
    """Return the sinks that follow a node directly."""
    subscriptions = (each for each in node.callbacks or () if isinstance(each, Subscription))
    return [each.callback for each in subscriptions if isinstance(each.callback, HeldOutput)]


def own_output(output: HeldOutput) -> HeldOutput:
    """Add a sink to the outputs of the current scope, if there are any; return it."""
    output.made_at = where()
    scope = current_scope()
    outputs = None if scope is None else scope.find(Outputs)
    return output if outputs is None else outputs.add(output)
