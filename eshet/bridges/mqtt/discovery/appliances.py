"""Covers, climate devices, locks and fans."""

from eshet.bridges.kinds import Flag, Number, Text
from eshet.bridges.mqtt.discovery.options import (
    Options,
    command_of,
    constant,
    flag_reader,
    flag_writer,
    parts_with,
    read_number,
    read_text,
    reading_of,
    texts_in,
    write_number,
)
from eshet.bridges.mqtt.discovery.parts import Parts, Value
from eshet.unknown import Unknown

__all__ = ["climate_parts", "cover_parts", "fan_parts", "lock_parts"]


def cover_parts(options: Options) -> Parts:
    """Return the values of a cover, and the actions that move it."""
    opened = float(options.get("position_open", 100))
    closed = float(options.get("position_closed", 0))
    position = Value(
        "position",
        Number(0, 100, unit="%"),
        reading_of(
            options,
            lambda text: round((float(text) - closed) / (opened - closed) * 100),
            "position_topic",
            "position_template",
        ),
        command_of(
            options,
            lambda value: write_number(closed + value / 100 * (opened - closed)),
            "set_position_topic",
            "set_position_template",
        ),
    )
    tilt = Value(
        "tilt",
        Number(float(options.get("tilt_min", 0)), float(options.get("tilt_max", 100))),
        reading_of(options, read_number, "tilt_status_topic", "tilt_status_template"),
        command_of(options, write_number, "tilt_command_topic", "tilt_command_template"),
    )
    states = {
        str(options.get(f"state_{state}", state)): state
        for state in ("open", "closed", "opening", "closing", "stopped")
    }
    state = Value(
        "state",
        Text(tuple(states.values())),
        reading_of(options, lambda text: states.get(text, Unknown)),
    )
    parts = parts_with(state, position, tilt)
    for what in ("open", "close", "stop"):
        payload = options.get(f"payload_{what}", what.upper())
        command = command_of(options, constant(payload), template="")
        if command is not None and payload is not None:
            parts.presses.append((what, command))
    return parts


def climate_parts(options: Options) -> Parts:
    """Return the modes and temperatures of a heating or air conditioner."""
    unit = f"°{options.get('temperature_unit') or 'C'}"
    least, most = float(options.get("min_temp", 7)), float(options.get("max_temp", 35))
    wanted = Number(least, most, float(options.get("temp_step", 1)) or None, unit=unit)

    def target(name: str) -> Value:
        return Value(
            name,
            wanted,
            reading_of(options, read_number, f"{name}_state_topic", f"{name}_state_template"),
            command_of(options, write_number, f"{name}_command_topic", f"{name}_command_template"),
        )

    def chosen(name: str, choices: str, default: tuple[str, ...]) -> Value:
        return Value(
            name,
            Text(texts_in(options.get(choices) or default)),
            reading_of(options, read_text, f"{name}_state_topic", f"{name}_state_template"),
            command_of(options, str, f"{name}_command_topic", f"{name}_command_template"),
        )

    modes = ("auto", "off", "cool", "heat", "dry", "fan_only")
    preset = Value(
        "preset_mode",
        Text(("none", *texts_in(options.get("preset_modes") or ()))),
        reading_of(options, read_text, "preset_mode_state_topic", "preset_mode_value_template"),
        command_of(options, str, "preset_mode_command_topic", "preset_mode_command_template"),
    )
    return parts_with(
        chosen("mode", "modes", modes),
        target("temperature"),
        target("temperature_low"),
        target("temperature_high"),
        chosen("fan_mode", "fan_modes", ("auto", "low", "medium", "high")),
        chosen("swing_mode", "swing_modes", ("on", "off")),
        preset,
        Value(
            "current_temperature",
            Number(unit=unit),
            reading_of(
                options, read_number, "current_temperature_topic", "current_temperature_template"
            ),
        ),
        Value(
            "current_humidity",
            Number(unit="%"),
            reading_of(options, read_number, "current_humidity_topic", "current_humidity_template"),
        ),
        Value("action", Text(), reading_of(options, read_text, "action_topic", "action_template")),
    )


def lock_parts(options: Options) -> Parts:
    """Return whether a lock is locked, and the action that opens the door."""
    locked = str(options.get("state_locked", "LOCKED"))
    unlocked = str(options.get("state_unlocked", "UNLOCKED"))
    passing = {
        str(options.get(f"state_{state}", state.upper()))
        for state in ("locking", "unlocking", "jammed")
    }
    flag = flag_reader(locked, unlocked)

    def convert(text: str) -> object:
        return Unknown if text in passing else flag(text)

    on, off = options.get("payload_lock", "LOCK"), options.get("payload_unlock", "UNLOCK")
    parts = parts_with(
        Value(
            "locked",
            Flag(),
            reading_of(options, convert),
            command_of(options, flag_writer(on, off)),
        )
    )
    if "payload_open" in options and (
        command := command_of(options, constant(options["payload_open"]))
    ):
        parts.presses.append(("open", command))
    return parts


def fan_parts(options: Options) -> Parts:
    """Return the values of a fan."""
    on, off = options.get("payload_on", "ON"), options.get("payload_off", "OFF")
    slowest, fastest = (
        float(options.get(f"speed_range_{end}", default))
        for end, default in (("min", 1), ("max", 100))
    )
    steps = fastest - slowest + 1
    turning = (
        options.get("payload_oscillation_on", "oscillate_on"),
        options.get("payload_oscillation_off", "oscillate_off"),
    )
    return parts_with(
        Value(
            "state",
            Flag(),
            reading_of(options, flag_reader(on, off), template="state_value_template"),
            command_of(options, flag_writer(on, off)),
        ),
        Value(
            "percentage",
            Number(0, 100, unit="%"),
            reading_of(
                options,
                lambda text: round((float(text) - slowest + 1) / steps * 100),
                "percentage_state_topic",
                "percentage_value_template",
            ),
            command_of(
                options,
                lambda value: str(round(value / 100 * steps + slowest - 1)),
                "percentage_command_topic",
                "percentage_command_template",
            ),
        ),
        Value(
            "preset_mode",
            Text(texts_in(options.get("preset_modes") or ())),
            reading_of(options, read_text, "preset_mode_state_topic", "preset_mode_value_template"),
            command_of(options, str, "preset_mode_command_topic", "preset_mode_command_template"),
        ),
        Value(
            "oscillation",
            Flag(),
            reading_of(
                options,
                flag_reader(*turning),
                "oscillation_state_topic",
                "oscillation_value_template",
            ),
            command_of(
                options,
                flag_writer(*turning),
                "oscillation_command_topic",
                "oscillation_command_template",
            ),
        ),
        Value(
            "direction",
            Text(("forward", "reverse")),
            reading_of(options, read_text, "direction_state_topic", "direction_value_template"),
            command_of(options, str, "direction_command_topic", "direction_command_template"),
        ),
    )
