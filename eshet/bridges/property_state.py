"""The state of a property: its reported and its published value, and confirmed sets."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from eshet.bridges.device import Setter
from eshet.bridges.exceptions import NotAllowed, NotConfirmed, ReadOnly, WrongKind
from eshet.bridges.kinds import DATA, Kind, Number
from eshet.unknown import Unknown

__all__ = ["PropertyState", "send_confirmed"]

_log: Final = logging.getLogger("eshet.bridges")

_ROUNDING: Final = 0.005
"""The largest difference between a sent and a reported number, as a part of the range."""


class PropertyState:
    """The state of a property of a device.

    Args:
        name: of the property.
        kind: of its values.
        setter: sends a value to the device; None if the property is read-only.
        publish: publishes a value, the second argument, as the state with a path, the first.
    """

    __slots__ = (
        "_confirmations",
        "_publish",
        "_published",
        "_was_wrong",
        "is_negated",
        "kind",
        "name",
        "path",
        "setter",
        "value",
    )

    def __init__(
        self,
        name: str,
        kind: Kind,
        setter: Setter | None,
        publish: Callable[[str, object], object],
    ) -> None:
        self.name: Final = name
        self.kind: Kind = kind
        self.setter: Setter | None = setter
        self.path: str = ""
        self.is_negated: bool = False
        """Whether true is published as false, and false as true."""
        self.value: object = Unknown
        """The last reported value, which may not be current."""
        self._publish = publish
        self._published: object = Unknown
        self._confirmations: list[tuple[object, asyncio.Future[None]]] = []
        self._was_wrong = False

    def report(self, value: object) -> None:
        """Take a reported value. One of a wrong kind is logged once, and the last value is kept.

        `Unknown` is always allowed: the device has no value.
        """
        try:
            self.value = value if value is Unknown else self.negated(self.kind.read(value))
        except WrongKind as error:
            if not self._was_wrong:
                _log.warning("%s: the device reported %s", self.path, error)
            self._was_wrong = True
            return
        self._was_wrong = False
        for wanted, confirmed in self._confirmations:
            if not confirmed.done() and _is_near(self.kind, wanted, self.value):
                confirmed.set_result(None)

    def declare(self, kind: Kind, setter: Setter | None) -> None:
        """Replace the declaration; the last value is dropped if it is not of the new kind."""
        self.setter = setter
        if kind == self.kind:
            return
        self.kind = kind
        self._was_wrong = False
        if self.value is not Unknown:
            try:
                self.value = kind.read(self.value)
            except WrongKind:
                self.value = Unknown

    def show(self, is_current: bool) -> None:
        """Publish the value, or `Unknown` if it is not current, unless that was published last."""
        value = self.value if is_current else Unknown
        published = self._published
        if type(value) is not type(published) or value != published:
            self._published = value
            self._publish(self.path, value)

    def show_again(self) -> None:
        """Publish the value after the state was registered."""
        if self._published is not Unknown:
            self._publish(self.path, self._published)

    def set(self, value: object, confirm: float | None) -> Awaitable[object]:
        """Check a value, and send it to the device; the errors come at once or when awaited.

        Args:
            value: the value.
            confirm: seconds within which the device must report it, unless it was the last report;
                None not to wait for the report.

        Raises:
            NotAllowed: the device does not accept it.
            ReadOnly: the property can't be set.
            NotConfirmed: it was not reported in time.
        """
        setter = self.setter
        if setter is None:
            raise ReadOnly(self.name)
        checked = self._checked(value)
        sent = self.negated(checked)
        if confirm is None:
            return setter(sent)
        return send_confirmed([(self, checked)], lambda: setter(sent), confirm)

    def negated(self, value: object) -> object:
        """Return a reported value as a published one, and the other way round."""
        return not value if self.is_negated and isinstance(value, bool) else value

    def _checked(self, value: object) -> object:
        try:
            return self.kind.check(value)
        except NotAllowed as error:
            name = f"{self.name}.{error.name}" if error.name else self.name
            raise NotAllowed(error.value, error.allowed, name) from None

    @contextlib.contextmanager
    def confirmation(self, value: object) -> Iterator[asyncio.Future[None]]:
        """Yield a future that is done when the device has reported a value."""
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (value, confirmed)
        self._confirmations.append(entry)
        try:
            yield confirmed
        finally:
            self._confirmations.remove(entry)


async def send_confirmed(
    wanted: Iterable[tuple[PropertyState, object]],
    send: Callable[[], Awaitable[object]],
    confirm: float | None,
) -> None:
    """Send values of one device, and wait until the device has reported them.

    Args:
        wanted: the states, and the value that each is to have. A value that was the last report
            is not waited for.
        send: sends all of them.
        confirm: seconds within which the device must report them; None not to wait.

    Raises:
        NotConfirmed: one of them was not reported in time.
    """
    awaited = [
        (state, value) for state, value in wanted if not _is_near(state.kind, value, state.value)
    ]
    if confirm is None or not awaited:
        await send()
        return
    with contextlib.ExitStack() as stack:
        confirmations = [stack.enter_context(state.confirmation(value)) for state, value in awaited]
        await send()
        await asyncio.wait(confirmations, timeout=confirm)
        for (state, value), confirmed in zip(awaited, confirmations, strict=True):
            if not confirmed.done():
                raise NotConfirmed(value, confirm, state.value)


def _is_near(kind: Kind, wanted: object, reported: object) -> bool:
    """Whether a reported value confirms a sent one; devices round numbers."""
    if isinstance(wanted, dict) and isinstance(reported, dict):
        return all(
            name in reported and _is_near(DATA, item, reported[name])
            for name, item in wanted.items()
        )
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return wanted == reported
    if not isinstance(reported, int | float):
        return False
    span = abs(wanted)
    if isinstance(kind, Number) and kind.minimum is not None and kind.maximum is not None:
        span = kind.maximum - kind.minimum
    return abs(wanted - reported) <= _ROUNDING * span
