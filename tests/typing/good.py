"""What a type checker must accept: it is checked, and not run."""

from datetime import datetime
from typing import assert_type

from eshet import yarp
from eshet.unknown import Unknown, UnknownType


def values_and_events() -> None:
    lux = yarp.Value(30.0)
    assert_type(lux, yarp.Value[float])
    assert_type(lux.value, float)
    lux.value = 20
    bell: yarp.Event[str] = yarp.Event()
    bell.emit("front door")
    unset: yarp.Value[int] = yarp.Value()
    unset.value = 3


def callbacks() -> None:
    lux = yarp.Value(30.0)

    @lux.on_value_changed
    def show(value: float) -> None:
        print(value + 1)

    assert_type(lux.subscribe(show), yarp.Subscription)
    show(3)


def functions() -> None:
    @yarp.fn
    def feels_like(temperature: float, wind: float) -> int:
        return round(temperature - wind / 10)

    felt = feels_like(yarp.Value(20.0), 5)
    assert_type(felt, yarp.Value[int])
    assert_type(felt.value, int)


def functions_may_say_no_change() -> None:
    @yarp.fn
    def positive(x: int) -> int:
        return x if x > 0 else yarp.NoChange

    assert_type(positive(yarp.Value(1)), yarp.Value[int])


def states_may_be_unknown() -> None:
    lux: yarp.Value[float | UnknownType] = yarp.Value(Unknown)
    if lux.value is Unknown:
        return
    assert_type(lux.value, float)


def operators() -> None:
    lux = yarp.Value(30.0)
    assert_type(lux < 40, yarp.Value[bool])
    dark = (lux < 40) & yarp.not_(lux == 0)
    dark.on_value_changed(print)


async def words() -> None:
    motion: yarp.Event[None] = yarp.Event()
    moved = yarp.hold(motion, 120)
    assert_type(moved, yarp.Value[bool])
    assert_type(yarp.for_duration(moved, 60), yarp.Value[bool])
    assert_type(yarp.count(motion), yarp.Value[int])
    assert_type(yarp.schedule("07:30"), yarp.Event[datetime])
    with yarp.transaction():
        motion.emit(None)
