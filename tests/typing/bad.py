"""What a type checker must refuse: each line that says so, and no other. It is not run."""

from eshet import yarp


def values_and_events() -> None:
    lux = yarp.Value(30.0)
    lux.value = "dark"  # refused: assignment
    bell: yarp.Event[str] = yarp.Event()
    bell.emit(3)  # refused: arg-type
    bell.value = "rung"  # refused: assignment
    lux.on_value_chnged(print)  # refused: attr-defined
    bell.on_evnt(print)  # refused: attr-defined
    lux.emit(3)  # refused: attr-defined


def callbacks() -> None:
    lux = yarp.Value(30.0)

    def show(value: str) -> None:
        print(value)

    lux.subscribe(show)  # refused: arg-type
    lux.on_value_changed(3)  # refused: type-var


def functions() -> None:
    @yarp.fn
    def feels_like(temperature: float, wind: float) -> int:
        return round(temperature - wind / 10)

    felt = feels_like(yarp.Value(20.0), 5)
    felt.value.upper()  # refused: attr-defined
    text: yarp.Value[str] = felt  # refused: assignment
    print(text)


def operators() -> None:
    lux, count, bell = yarp.Value(30.0), yarp.Value(3), yarp.Event[int]()
    dark: yarp.Value[str] = lux < 40  # refused: assignment
    sum_: yarp.Value[str] = lux + 1  # refused: assignment
    whole: yarp.Value[int] = count / 2  # refused: assignment
    rung: yarp.Value[int] = count + bell  # refused: assignment
    (lux * 2).value.upper()  # refused: attr-defined
    (bell > 1).emit("yes")  # refused: arg-type
    (~count).on_value_chnged(print)  # refused: attr-defined
    print(dark, sum_, whole, rung)


def named_operators() -> None:
    lux, bell = yarp.Value(30.0), yarp.Event[str]()
    length: yarp.Value[str] = yarp.len(lux)  # refused: assignment
    greatest: yarp.Value[str] = yarp.max(lux, 3)  # refused: arg-type
    event: yarp.Event[int] = yarp.len(lux)  # refused: assignment
    names: yarp.Value[list[str]] = yarp.window(lux, 3)  # refused: arg-type
    rising: yarp.Event[str] = yarp.rising(lux)  # refused: arg-type
    kept: yarp.Value[str] = yarp.no_repeat(bell)  # refused: assignment
    either: yarp.Event[str] = yarp.merge(lux, bell)  # refused: arg-type
    members: yarp.Value[list[str]] = yarp.value_list([lux])  # refused: list-item
    yarp.value_list([bell])  # refused: arg-type
    yarp.emit_fn(lux)("dark")  # refused: arg-type
    yarp.window(lux, "3")  # refused: call-overload
    yarp.when(lux, lux < 3, 0)  # refused: call-overload
    yarp.count(bell).value.upper()  # refused: attr-defined
    print(length, greatest, event, names, rising, kept, either, members)


async def words() -> None:
    yarp.sun("teatime", latitude=52.5, longitude=13.4)  # refused: arg-type
    yarp.schedule("07:30", skipped="maybe")  # refused: arg-type
    yarp.schedule(730)  # refused: arg-type
    yarp.fold_state(yarp.Event(), lambda state: state, "off")  # refused: arg-type, misc
    held: yarp.Value[int] = yarp.hold(yarp.Event(), 5)  # refused: assignment
    late: yarp.Value[str] = yarp.delay(yarp.Value(3), 5)  # refused: arg-type
    yarp.delay(yarp.Value(3), "5")  # refused: call-overload
    yarp.hold(yarp.Event(), 5, 60)  # refused: call-arg
    print(held, late)
