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
    dark: yarp.Value[str] = yarp.Value(30.0) < 40  # refused: assignment
    print(dark)


async def words() -> None:
    yarp.sun("teatime", latitude=52.5, longitude=13.4)  # refused: arg-type
    yarp.schedule("07:30", skipped="maybe")  # refused: arg-type
    yarp.schedule(730)  # refused: arg-type
    yarp.fold_state(yarp.Event(), lambda state: state, "off")  # refused: arg-type, misc
    held: yarp.Value[int] = yarp.hold(yarp.Event(), 5)  # refused: assignment
    print(held)
