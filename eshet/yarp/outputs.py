"""What sinks send, and what they hold back while their version of a rule is prepared.

A version that is prepared beside the one that works must not be noticed: each of its sinks keeps
what it would send. When the version takes over, a sink that the old version had too goes on from
what that one has sent; the house is told only what is different.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eshet.cause import Cause, current_cause, use_cause
from eshet.reactive.core.markers import NoValue, is_same
from eshet.reactive.handover.handover import Lost, Snapshot
from eshet.reactive.handover.matching import Description, match
from eshet.scope import Scope, current_scope, is_contained
from eshet.text import safe_repr
from eshet.unknown import Unknown

__all__ = ["HeldOutput", "Outputs", "is_unknown", "left_in", "own_output"]


@dataclass(eq=False, slots=True)
class HeldOutput:
    """One sink. What is unknown is not sent.

    Args:
        label: what it does, as `"set_value of /hall/light"`.
        send: sends a value; may be what a strategy wraps.
        follows: whether it sends the values of a Value, so that only the present one matters; else
            it sends emissions, each for itself.
        skip: is told of a value that is not sent, and why.
        held: what it holds back; None when it does not.
        last: the value that was sent last, in a list; empty if none was.
    """

    label: str
    send: Callable[[Any], object]
    follows: bool
    skip: Callable[[Any, str], object] = lambda value, why: None
    held: list[Any] | None = None
    last: list[Any] = field(default_factory=list)

    def unfinished(self) -> list[tuple[Any, Cause | None]]:
        """Return the values that have not arrived and would be sent again, and their causes."""
        return []

    def resume(self, value: Any) -> None:
        """Be told of a value that is sent again, and may be on its way already."""

    @property
    def has_failed(self) -> bool:
        """Whether what was sent last has not arrived."""
        return False

    def check(self, value: Any) -> None:
        """See that a value is in place that was sent before nobody was here for a while."""
        self.skip(value, "unchanged")

    def __call__(self, value: Any) -> None:
        """Send a value, or hold it back."""
        known = [] if is_unknown(value) else [value]
        if self.held is not None:
            self.held = known if self.follows else self.held + known
        elif known:
            self.last = known
            self.send(value)
        else:
            self.skip(value, "unknown")

    def snapshot(self) -> Any:
        """Return what the next version of this sink has to know, as plain data."""
        unfinished = [[value, cause and cause.snapshot()] for value, cause in self.unfinished()]
        has_arrived = bool(unfinished) or not self.has_failed
        return {"last": self.last if has_arrived else [], "unfinished": unfinished}

    def release(self, given: Any = None, *, was_down: bool = False) -> None:
        """Hold nothing back from now on.

        Args:
            given: by the sink of the old version, if it had this one. What an Event emitted while
                it was prepared is not sent then: the old version has done so in its time.
            was_down: whether nobody was there since, so that the house may have changed.
        """
        held, self.held = self.held or [], None
        if given is None:
            for value in held:
                self(value)
            return
        self.last = list(given["last"])
        for value, cause in left_in(given):
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
        held_back: whether they hold back what they would send, until they are released.
    """

    def __init__(self, *, held_back: bool = False) -> None:
        self._held_back = held_back
        self._outputs: dict[HeldOutput, Scope | None] = {}

    def add(self, output: HeldOutput) -> HeldOutput:
        """Take a sink in, until the current scope ends."""
        scope = current_scope()
        self._outputs[output] = scope
        output.held = [] if self._held_back else None
        if scope is not None:
            scope.own(lambda: self._outputs.pop(output, None))
        return output

    def snapshot(self, rules: Mapping[Scope, str]) -> list[Snapshot]:
        """Return what each sink gives; see `HeldOutput.snapshot`.

        Args:
            rules: the names of rules, by their scopes.
        """
        described = zip(self._describe(rules), self._outputs, strict=True)
        return [Snapshot(description, _snapshot_of(output)) for description, output in described]

    def paths(self, rules: Mapping[Scope, str]) -> dict[str, set[str]]:
        """Return where sinks send to, or would if they had something to send, by their rules."""
        paths: dict[str, set[str]] = {}
        for each in self._describe(rules):
            paths.setdefault(each.rule, set()).add(each.label.rpartition(" of ")[2])
        return paths

    def release(
        self, rules: Mapping[Scope, str], memos: Sequence[Snapshot] = (), *, was_down: bool = False
    ) -> list[Snapshot]:
        """Let all sinks go on where those of the old version end, or begin.

        A sink whose predecessor is not clear goes on from whatever was last sent to its path.

        Args:
            rules: the names of rules, by their scopes.
            memos: what the sinks of the old version gave.
            was_down: see `HeldOutput.release`.

        Returns:
            Those of the memos that no sink goes on with.
        """
        self._held_back = False
        memos = [memo for memo in memos if _is_given(memo.data)]
        taken = []
        matching = match([memo.description for memo in memos], self._describe(rules))
        last_of_path = {memo.description.label: memo.data for memo in memos if memo.data["last"]}
        for position, (output, scope) in enumerate(list(self._outputs.items())):
            given = last_of_path.get(output.label)
            if position in matching.pairs:
                given = memos[matching.pairs[position]].data
            taken.append(given)
            try:
                output.release(given, was_down=was_down)
            except BaseException as error:  # whatever a strategy raises: the others are released
                if not is_contained(error, scope):
                    raise
                if scope is not None:
                    scope.report(error, output.label)
        return [memo for memo in memos if not any(memo.data is given for given in taken)]

    def _describe(self, rules: Mapping[Scope, str]) -> list[Description]:
        return [
            Description(rules.get(scope, "") if scope else "", output.label, output.label)
            for output, scope in self._outputs.items()
        ]


def _snapshot_of(output: HeldOutput) -> Any:
    try:
        return output.snapshot()
    except BaseException as error:  # whatever a strategy of a rule's own raises
        return Lost(f"what it has sent can't be read: {safe_repr(error)}")


def _is_given(given: Any) -> bool:
    """Whether this is what an `HeldOutput` gives; a file may say anything."""
    match given:
        case {"last": [] | [_] as last, "unfinished": list() as unfinished}:
            return isinstance(last, list) and all(map(_is_unfinished, unfinished))
    return False


def _is_unfinished(given: Any) -> bool:
    match given:
        case [_, None | [str(), str() | None, str(), str()]]:
            return True
    return False


def left_in(given: Any) -> Iterator[tuple[Any, Cause | None]]:
    """Iterate over what a sink has given as unfinished, and its causes: the present one without."""
    for value, cause in given["unfinished"]:
        yield value, Cause.restored(cause) or current_cause()


def is_unknown(value: Any) -> bool:
    """Whether a value is, or holds, NoValue or Unknown."""
    if value is NoValue or value is Unknown:
        return True
    if isinstance(value, dict):
        return any(is_unknown(item) for pair in value.items() for item in pair)
    return isinstance(value, list | tuple | set | frozenset) and any(map(is_unknown, value))


def own_output(output: HeldOutput) -> HeldOutput:
    """Add the output of a sink to the outputs of the current scope, if it has any; return it."""
    scope = current_scope()
    outputs = None if scope is None else scope.find(Outputs)
    return output if outputs is None else outputs.add(output)
