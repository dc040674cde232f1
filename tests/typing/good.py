"""What a type checker must accept: it is checked, and not run."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, assert_type

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


LUX = yarp.Value(30.0)
COUNT = yarp.Value(3)
DARK = yarp.Value(False)
NAME = yarp.Value("hall")
LUXES: yarp.Value[list[float]] = yarp.Value([30.0])
COUNTS: yarp.Value[list[int]] = yarp.Value([3])
ROOMS: yarp.Value[dict[str, float]] = yarp.Value({"hall": 30.0})
SENSOR: yarp.Value[float | UnknownType] = yarp.Value(Unknown)
OBSERVED: yarp.Value[Any] = yarp.Value()
BELL: yarp.Event[str] = yarp.Event()
LEVEL: yarp.Event[float] = yarp.Event()
STEP: yarp.Event[int] = yarp.Event()
STEPS: yarp.Event[list[int]] = yarp.Event()


def an_event_among_the_arguments_makes_an_event() -> None:
    @yarp.fn
    def label(name: str, lux: float, dark: bool, count: int) -> str:
        return f"{name} {lux} {dark} {count}"

    assert_type(label(NAME, LUX, DARK, COUNT), yarp.Value[str])
    assert_type(label(BELL, LUX, DARK, COUNT), yarp.Event[str])
    assert_type(label(NAME, LEVEL, DARK, COUNT), yarp.Event[str])
    assert_type(label(NAME, LUX, yarp.Event[bool](), COUNT), yarp.Event[str])
    assert_type(label(name="hall", lux=LUX, dark=DARK, count=0), yarp.Value[str])
    assert_type(label(OBSERVED, OBSERVED, OBSERVED, OBSERVED), yarp.Value[str])

    @yarp.fn(on_error=0)
    def level(lux: float) -> int:
        return round(lux)

    assert_type(level(LUX), yarp.Value[int])

    @yarp.instantaneous_fn
    def steps(lux: float) -> int:
        return round(lux)

    assert_type(steps(LUX), yarp.Event[int])


def symbols() -> None:
    assert_type(LUX < 40, yarp.Value[bool])
    assert_type(LUX <= COUNT, yarp.Value[bool])
    assert_type(LUX == 3, yarp.Value[bool])
    assert_type(LUX != 3, yarp.Value[bool])
    assert_type(LUX > LEVEL, yarp.Event[bool])
    assert_type(LEVEL >= 3, yarp.Event[bool])
    assert_type((LUX < 40) & yarp.not_(LUX == 0), yarp.Value[bool])
    assert_type(DARK | True, yarp.Value[bool])
    assert_type(True ^ DARK, yarp.Value[bool])
    assert_type(DARK & (STEP > 1), yarp.Event[bool])
    assert_type(~COUNT, yarp.Value[int])
    assert_type(COUNT << 1, yarp.Value[int])
    assert_type(8 >> COUNT, yarp.Value[int])
    assert_type(LUX + 1, yarp.Value[float])
    assert_type(COUNT + 1, yarp.Value[int])
    assert_type(COUNT + 0.5, yarp.Value[float])
    assert_type(COUNT + LUX, yarp.Value[float])
    assert_type(DARK + DARK, yarp.Value[int])
    assert_type(1 - COUNT, yarp.Value[int])
    assert_type(COUNT + STEP, yarp.Event[int])
    assert_type(STEP + LUX, yarp.Event[float])
    assert_type(NAME + "!", yarp.Value[str])
    assert_type("the " + NAME, yarp.Value[str])
    assert_type(LUXES + LUXES, yarp.Value[list[float]])
    assert_type(COUNT - 1, yarp.Value[int])
    assert_type(COUNT * 2, yarp.Value[int])
    assert_type(COUNT * LUX, yarp.Value[float])
    assert_type(COUNT // 2, yarp.Value[int])
    assert_type(LUX % 2, yarp.Value[float])
    assert_type(COUNT / 2, yarp.Value[float])
    assert_type(1 / STEP, yarp.Event[float])
    assert_type(COUNT**2, yarp.Value[Any])
    assert_type(-COUNT, yarp.Value[int])
    assert_type(+LUX, yarp.Value[float])
    assert_type(-LEVEL, yarp.Event[float])
    assert_type(abs(LUX), yarp.Value[float])
    assert_type(abs(STEP), yarp.Event[int])
    assert_type(round(LUX), yarp.Value[int])
    assert_type(round(LUX, 1), yarp.Value[float])
    assert_type(LUXES[0], yarp.Value[float])
    assert_type(LUXES[STEP], yarp.Event[float])
    assert_type(ROOMS["hall"], yarp.Value[float])
    assert_type(STEPS[0], yarp.Event[int])
    assert_type(yarp.Value(timedelta(1)) + timedelta(1), yarp.Value[timedelta])
    assert_type(yarp.Value(datetime(2026, 1, 1)) + timedelta(1), yarp.Value[datetime])
    assert_type(OBSERVED + 1, yarp.Value[Any])
    assert_type((OBSERVED < 3) & OBSERVED, yarp.Value[Any])
    assert_type(SENSOR < 3, yarp.Value[bool])
    assert_type(SENSOR + 1, yarp.Value[Any])


def functions_of_python() -> None:
    assert_type(yarp.bool(COUNT), yarp.Value[bool])
    assert_type(yarp.any(LUXES), yarp.Value[bool])
    assert_type(yarp.all(STEPS), yarp.Event[bool])
    assert_type(yarp.min(LUXES), yarp.Value[float])
    assert_type(yarp.min(COUNT, LUX), yarp.Value[float])
    assert_type(yarp.min(OBSERVED), yarp.Value[Any])
    assert_type(yarp.max(STEPS), yarp.Event[int])
    assert_type(yarp.max(COUNT, 0), yarp.Value[int])
    assert_type(yarp.max(COUNT, STEP), yarp.Event[int])
    assert_type(yarp.max([LUX, LUX]), yarp.Value[float])
    assert_type(yarp.sum(COUNTS), yarp.Value[int])
    assert_type(yarp.sum(LUXES), yarp.Value[float])
    assert_type(yarp.sum(STEPS), yarp.Event[int])
    assert_type(yarp.map(str, COUNTS), yarp.Value[Iterator[str]])
    assert_type(yarp.sorted(COUNTS), yarp.Value[list[int]])
    assert_type(yarp.sorted(STEPS, reverse=True), yarp.Event[list[int]])
    assert_type(yarp.str(LUX), yarp.Value[str])
    assert_type(yarp.repr(LUX), yarp.Value[str])
    assert_type(yarp.oct(STEP), yarp.Event[str])
    assert_type(yarp.hex(COUNT), yarp.Value[str])
    assert_type(yarp.zip(COUNTS, LUXES), yarp.Value[Iterator[tuple[int, float]]])
    assert_type(yarp.len(NAME), yarp.Value[int])
    assert_type(yarp.len(BELL), yarp.Event[int])
    assert_type(yarp.getattr(NAME, "upper"), yarp.Value[Any])
    assert_type(yarp.str_format("{} lux", LUX), yarp.Value[str])
    assert_type(yarp.str_format("{} rang", BELL), yarp.Event[str])


def functions_of_the_operator_module() -> None:
    assert_type(yarp.lt(LUX, 3), yarp.Value[bool])
    assert_type(yarp.le(LUX, LEVEL), yarp.Event[bool])
    assert_type(yarp.eq(LUX, 3), yarp.Value[bool])
    assert_type(yarp.ne(LUX, 3), yarp.Value[bool])
    assert_type(yarp.ge(LUX, 3), yarp.Value[bool])
    assert_type(yarp.gt(LUX, 3), yarp.Value[bool])
    assert_type(yarp.not_(DARK), yarp.Value[bool])
    assert_type(yarp.truth(BELL), yarp.Event[bool])
    assert_type(yarp.is_(SENSOR, Unknown), yarp.Value[bool])
    assert_type(yarp.is_not(SENSOR, Unknown), yarp.Value[bool])
    assert_type(yarp.abs(LUX), yarp.Value[float])
    assert_type(yarp.add(COUNT, 1), yarp.Value[int])
    assert_type(yarp.add(1.5, COUNT), yarp.Value[float])
    assert_type(yarp.add(COUNT, STEP), yarp.Event[int])
    assert_type(yarp.add(OBSERVED, 1), yarp.Value[Any])
    assert_type(yarp.and_(DARK, True), yarp.Value[bool])
    assert_type(yarp.floordiv(COUNT, 2), yarp.Value[int])
    assert_type(yarp.index(COUNT), yarp.Value[int])
    assert_type(yarp.inv(COUNT), yarp.Value[int])
    assert_type(yarp.invert(STEP), yarp.Event[int])
    assert_type(yarp.lshift(COUNT, 1), yarp.Value[int])
    assert_type(yarp.mod(LUX, 2), yarp.Value[float])
    assert_type(yarp.mul(LUX, COUNT), yarp.Value[float])
    assert_type(yarp.matmul(OBSERVED, OBSERVED), yarp.Value[Any])
    assert_type(yarp.neg(LUX), yarp.Value[float])
    assert_type(yarp.or_(DARK, DARK), yarp.Value[bool])
    assert_type(yarp.pos(STEP), yarp.Event[int])
    assert_type(yarp.pow(COUNT, 2), yarp.Value[Any])
    assert_type(yarp.rshift(COUNT, 1), yarp.Value[int])
    assert_type(yarp.sub(COUNT, 1), yarp.Value[int])
    assert_type(yarp.truediv(COUNT, 2), yarp.Value[float])
    assert_type(yarp.xor(DARK, DARK), yarp.Value[bool])
    assert_type(yarp.concat(NAME, "!"), yarp.Value[str])
    assert_type(yarp.concat(BELL, NAME), yarp.Event[str])
    assert_type(yarp.contains(COUNTS, 3), yarp.Value[bool])
    assert_type(yarp.countOf(COUNTS, 3), yarp.Value[int])
    assert_type(yarp.getitem(LUXES, 0), yarp.Value[float])
    assert_type(yarp.getitem(STEPS, 0), yarp.Event[int])
    assert_type(yarp.indexOf(COUNTS, 3), yarp.Value[int])
    assert_type(yarp.length_hint(COUNTS), yarp.Value[int])


def containers() -> None:
    assert_type(yarp.reactive_list([LUX, LUX]), yarp.Value[list[float]])
    assert_type(yarp.reactive_list([BELL]), yarp.Event[list[str]])
    assert_type(yarp.reactive_tuple((COUNT, COUNT)), yarp.Value[tuple[int, ...]])
    assert_type(yarp.reactive_dict({"hall": LUX}), yarp.Value[dict[str, float]])
    assert_type(yarp.reactive_dict({"hall": BELL}), yarp.Event[dict[str, str]])
    assert_type(yarp.value_list([LUX, LUX]), yarp.Value[list[float]])
    assert_type(yarp.value_tuple((NAME,)), yarp.Value[tuple[str, ...]])
    assert_type(yarp.value_dict({1: LUX}), yarp.Value[dict[int, float]])
    assert_type(yarp.ensure_reactive(LUX), yarp.Value[float])
    assert_type(yarp.ensure_reactive(BELL), yarp.Event[str])
    assert_type(yarp.ensure_value(LUX), yarp.Value[float])
    assert_type(yarp.ensure_value(BELL), yarp.Value[yarp.Event[str]])


def conversions() -> None:
    assert_type(yarp.value_to_event(LUX), yarp.Event[float])
    assert_type(yarp.event_to_value(BELL), yarp.Value[str])
    assert_type(yarp.event_to_value(BELL, None), yarp.Value[str | None])
    assert_type(yarp.make_instantaneous(LUX), yarp.Event[float])
    assert_type(yarp.make_persistent(BELL, ""), yarp.Value[str])
    assert_type(yarp.make_same_type(LUX), yarp.Value[float])
    assert_type(yarp.make_same_type(LUX, initial_value=0.5), yarp.Value[float])
    assert_type(yarp.make_same_type(BELL), yarp.Event[str])
    yarp.emit_fn(BELL)("front door")
    yarp.emit_fn(LUX)(3.5)

    def show(lux: float) -> None:
        print(lux)

    yarp.on_value(LUX, show)(3)
    yarp.on_value(LUX)(show)(3)


def changes() -> None:
    assert_type(yarp.changes(SENSOR), yarp.Event[float])
    assert_type(yarp.changes(OBSERVED), yarp.Event[Any])
    assert_type(yarp.rising(DARK), yarp.Event[bool])
    assert_type(yarp.falling(STEP), yarp.Event[int])
    assert_type(yarp.when(BELL, DARK), yarp.Event[str])
    assert_type(yarp.when(LUX, DARK), yarp.Value[float])
    assert_type(yarp.when(LUX, DARK, otherwise=COUNT), yarp.Value[float])
    assert_type(yarp.when(LUX, DARK, otherwise=None), yarp.Value[float | None])
    assert_type(yarp.merge(LEVEL, STEP), yarp.Event[float])
    assert_type(yarp.merge(LUX, COUNT), yarp.Event[float])
    assert_type(yarp.map_to(BELL, 3), yarp.Event[int])
    assert_type(yarp.map_to(LUX, LUX), yarp.Event[float])
    assert_type(yarp.latest(BELL), yarp.Value[str])
    assert_type(yarp.latest(BELL, initial=None), yarp.Value[str | None])
    assert_type(yarp.default(SENSOR, 0), yarp.Value[float])
    assert_type(yarp.default(LUX, 0), yarp.Value[float])
    assert_type(yarp.default(LEVEL, LUX), yarp.Event[float])
    assert_type(yarp.default(OBSERVED, 0), yarp.Value[Any])
    assert_type(yarp.sample(LUX, BELL), yarp.Event[float])
    assert_type(yarp.scan(STEP, lambda total, step: total + step, 0), yarp.Value[int])
    assert_type(yarp.scan(BELL, lambda total, name: total + len(name), 0), yarp.Value[int])
    assert_type(yarp.count(BELL), yarp.Value[int])
    assert_type(yarp.hysteresis(LUX, 20, 30), yarp.Value[bool])
    assert_type(yarp.hysteresis(LEVEL, 20, 30), yarp.Event[bool])
    assert_type(yarp.switch(yarp.Value(LUX)), yarp.Value[float])
    assert_type(yarp.switch(yarp.Value(BELL)), yarp.Event[str])


def constants() -> None:
    assert_type(yarp.when(21, LUX > 3, otherwise=17), yarp.Value[int])
    assert_type(yarp.when(21.5, LUX > 3, otherwise=LUX), yarp.Value[float])


def filters() -> None:
    assert_type(yarp.window(LUX, 3), yarp.Value[list[float]])
    assert_type(yarp.window(BELL, COUNT), yarp.Value[list[str]])
    assert_type(yarp.no_repeat(LUX), yarp.Value[float])
    assert_type(yarp.no_repeat(BELL, name="bell"), yarp.Event[str])
    assert_type(yarp.no_repeat(OBSERVED), yarp.Value[Any])
    assert_type(yarp.filter(LUX, lambda lux: lux > 3), yarp.Value[float])
    assert_type(yarp.filter(BELL), yarp.Event[str])
    assert_type(yarp.replace_novalue(LUX), yarp.Value[float | None])
    assert_type(yarp.replace_novalue(LUX, 0), yarp.Value[float])
    assert_type(yarp.replace_unknown(SENSOR), yarp.Value[float | None])
    assert_type(yarp.replace_unknown(SENSOR, LUX), yarp.Value[float])
    assert_type(yarp.average(yarp.window(COUNT, 3)), yarp.Value[float])
    assert_type(yarp.average(yarp.window(SENSOR, 3)), yarp.Value[float | UnknownType])
    assert_type(yarp.minimum(yarp.time_window(LUX, 60)), yarp.Value[float])
    assert_type(yarp.maximum(STEPS), yarp.Event[int])
    assert_type(yarp.rate(BELL, 60), yarp.Value[float])


async def operators_with_a_timer() -> None:
    motion: yarp.Event[None] = yarp.Event()
    assert_type(yarp.delay(LUX, 3), yarp.Value[float])
    assert_type(yarp.delay(BELL, LUX, missed="emit"), yarp.Event[str])
    assert_type(yarp.time_window(LUX, 3), yarp.Value[list[float]])
    assert_type(yarp.time_window(BELL, 3, "none"), yarp.Value[list[str]])
    assert_type(yarp.rate_limit(LUX), yarp.Value[float])
    assert_type(yarp.rate_limit(BELL, 3), yarp.Event[str])
    assert_type(yarp.debounce(LUX, 3), yarp.Value[float])
    assert_type(yarp.debounce(BELL, 3), yarp.Event[str])
    assert_type(yarp.throttle(LUX, 3), yarp.Value[float])
    assert_type(yarp.throttle(BELL, 3), yarp.Event[str])
    moved = yarp.hold(motion, 120)
    assert_type(moved, yarp.Value[bool])
    assert_type(yarp.for_duration(moved, 60), yarp.Value[bool])
    assert_type(yarp.stale(LUX, 3600), yarp.Value[bool])
    assert_type(yarp.stale(BELL, COUNT), yarp.Value[bool])
    assert_type(yarp.fold_state(STEP, lambda state, step: state + step, 0), yarp.Value[int])
    assert_type(yarp.emit_at(3.5), yarp.Event[None])
    assert_type(yarp.emit_at((3.5, "ding")), yarp.Event[str])
    assert_type(yarp.now(), yarp.Value[datetime])
    assert_type(yarp.schedule("07:30"), yarp.Event[datetime])
    assert_type(yarp.plan({"06:30": 21.0, "22:00": 17.0}), yarp.Value[float])
    assert_type(yarp.sun_elevation(latitude=52.5, longitude=13.4), yarp.Value[float])
    assert_type(yarp.sun_azimuth(latitude=52.5, longitude=13.4), yarp.Value[float])
    assert_type(yarp.sun("sunset", latitude=52.5, longitude=13.4), yarp.Event[datetime])

    def next_state(state: object, timeout: float | None, lux: float) -> tuple[str, float | None]:
        return "dark" if lux < 3 else "light", None

    machine = yarp.FSM(next_state, [LUX])
    assert_type(machine.state, yarp.Value[str])
    assert_type(machine.timeout_time, yarp.Value[float | None])
    assert_type(machine.timeout_event, yarp.Event[float])
    with yarp.transaction():
        motion.emit(None)


def instantaneous() -> None:
    assert_type(yarp.instantaneous_bool(LUX), yarp.Event[bool])
    assert_type(yarp.instantaneous_any(LUXES), yarp.Event[bool])
    assert_type(yarp.instantaneous_all(LUXES), yarp.Event[bool])
    assert_type(yarp.instantaneous_min(LUXES), yarp.Event[float])
    assert_type(yarp.instantaneous_max(COUNT, 3), yarp.Event[int])
    assert_type(yarp.instantaneous_sum(COUNTS), yarp.Event[int])
    assert_type(yarp.instantaneous_map(str, COUNTS), yarp.Event[Iterator[str]])
    assert_type(yarp.instantaneous_sorted(LUXES), yarp.Event[list[float]])
    assert_type(yarp.instantaneous_str(LUX), yarp.Event[str])
    assert_type(yarp.instantaneous_repr(LUX), yarp.Event[str])
    assert_type(yarp.instantaneous_oct(COUNT), yarp.Event[str])
    assert_type(yarp.instantaneous_hex(COUNT), yarp.Event[str])
    assert_type(yarp.instantaneous_zip(COUNTS, LUXES), yarp.Event[Iterator[tuple[int, float]]])
    assert_type(yarp.instantaneous_len(NAME), yarp.Event[int])
    assert_type(yarp.instantaneous_getattr(NAME, "upper"), yarp.Event[Any])
    assert_type(yarp.instantaneous_str_format("{} lux", LUX), yarp.Event[str])
    assert_type(yarp.instantaneous_lt(LUX, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_le(LUX, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_eq(LUX, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_ne(LUX, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_ge(LUX, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_gt(LUX, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_not_(LUX), yarp.Event[bool])
    assert_type(yarp.instantaneous_truth(LUX), yarp.Event[bool])
    assert_type(yarp.instantaneous_is_(LUX, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_is_not(LUX, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_abs(LUX), yarp.Event[float])
    assert_type(yarp.instantaneous_add(COUNT, 1), yarp.Event[int])
    assert_type(yarp.instantaneous_and_(DARK, True), yarp.Event[bool])
    assert_type(yarp.instantaneous_floordiv(COUNT, 1), yarp.Event[int])
    assert_type(yarp.instantaneous_index(COUNT), yarp.Event[int])
    assert_type(yarp.instantaneous_inv(COUNT), yarp.Event[int])
    assert_type(yarp.instantaneous_invert(COUNT), yarp.Event[int])
    assert_type(yarp.instantaneous_lshift(COUNT, 1), yarp.Event[int])
    assert_type(yarp.instantaneous_mod(LUX, 2), yarp.Event[float])
    assert_type(yarp.instantaneous_mul(LUX, 2), yarp.Event[float])
    assert_type(yarp.instantaneous_matmul(OBSERVED, OBSERVED), yarp.Event[Any])
    assert_type(yarp.instantaneous_neg(LUX), yarp.Event[float])
    assert_type(yarp.instantaneous_or_(DARK, True), yarp.Event[bool])
    assert_type(yarp.instantaneous_pos(COUNT), yarp.Event[int])
    assert_type(yarp.instantaneous_pow(COUNT, 2), yarp.Event[Any])
    assert_type(yarp.instantaneous_rshift(COUNT, 1), yarp.Event[int])
    assert_type(yarp.instantaneous_sub(COUNT, 1), yarp.Event[int])
    assert_type(yarp.instantaneous_truediv(COUNT, 2), yarp.Event[float])
    assert_type(yarp.instantaneous_xor(DARK, DARK), yarp.Event[bool])
    assert_type(yarp.instantaneous_concat(NAME, "!"), yarp.Event[str])
    assert_type(yarp.instantaneous_contains(COUNTS, 3), yarp.Event[bool])
    assert_type(yarp.instantaneous_countOf(COUNTS, 3), yarp.Event[int])
    assert_type(yarp.instantaneous_getitem(LUXES, 0), yarp.Event[float])
    assert_type(yarp.instantaneous_indexOf(COUNTS, 3), yarp.Event[int])
    assert_type(yarp.instantaneous_length_hint(COUNTS), yarp.Event[int])


async def say(text: object, count: int) -> str:
    return f"{text} {count}"


async def paths() -> None:
    assert_type(await yarp.state_observe("/hall/lux"), yarp.Value[Any])
    assert_type(await yarp.event_listen("/hall/motion"), yarp.Event[Any])
    assert_type(await yarp.state_register_set_event("/hall/level", LUX), yarp.Event[Any])
    await yarp.state_register("/hall/lux", LUX)
    await yarp.event_register("/hall/bell", BELL)
    await yarp.set_value("/hall/light", LUX < 3)
    await yarp.drive("/hall/light", LUX < 3, priority=1, override="2h", release=BELL, verify=5)
    await yarp.drive("/hall/light", True, override=LUX < 3, tolerance=0.5, unknown="keep")
    await yarp.act(say, BELL, COUNT)
    await yarp.action_call("/hall/say", BELL, COUNT)
    assert_type(yarp.file_backed_value("count.json", 0), yarp.Value[Any])
