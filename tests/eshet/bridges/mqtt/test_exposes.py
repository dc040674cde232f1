"""Definitions of values in zigbee2mqtt as kinds: all shapes of real ones, and wrong ones."""

import json
from pathlib import Path

import pytest

from eshet.bridges.exceptions import WrongKind
from eshet.bridges.kinds import DATA, Flag, Number, Record, Text
from eshet.bridges.mqtt.exposes import read_exposes

SHAPES = Path(__file__).with_name("exposes.json")


def read_one(feature):
    values, unread = read_exposes([feature])
    assert unread == []
    (value,) = values
    return value


def feature(kind, **more):
    return {"type": kind, "name": "x", "property": "x", "access": 7, **more}


def test_access_is_read_as_reported_settable_and_gettable():
    value = read_one(feature("text", access=5))
    assert (value.is_reported, value.is_settable, value.is_gettable) == (True, False, True)


def test_a_number_has_limits_and_a_unit():
    value = read_one(feature("numeric", value_min=-5, value_max=30, value_step=0.5, unit="°C"))
    assert value.kind == Number(-5, 30, 0.5, unit="°C")
    assert read_one(feature("numeric", value_step=0)).kind == Number()
    assert read_one(feature("numeric", value_min="low", value_max=True)).kind == Number()


def test_an_enum_gives_back_the_values_of_the_device():
    value = read_one(feature("enum", values=["a", 1, 2.5]))
    assert value.kind == Text(("a", "1", "2.5"))
    assert [value.to_wire(text) for text in value.kind.choices] == ["a", 1, 2.5]


def test_a_composite_is_a_record_of_its_features():
    x = {"type": "numeric", "name": "x", "access": 7}
    on = {"type": "binary", "name": "on", "access": 7, "value_on": "YES", "value_off": "NO"}
    value = read_one(feature("composite", features=[x, on]))
    assert value.kind == Record({"x": Number(), "on": Flag()})
    assert value.from_wire({"x": 1, "on": "YES", "more": 2}) == {"x": 1, "on": True, "more": 2}
    assert value.to_wire({"on": False}) == {"on": "NO"}
    assert value.from_wire("nothing") == "nothing"


def test_a_list_is_data():
    assert read_one(feature("list", item_type={"type": "numeric"})).kind == DATA


def test_the_colour_of_a_lamp_has_all_its_notations():
    def colour(name, *fields):
        parts = [{"type": "numeric", "name": each, "access": 7} for each in fields]
        return {**feature("composite", features=parts), "name": name, "property": "color"}

    features = [colour("color_xy", "x", "y"), colour("color_hs", "hue", "saturation")]
    value = read_one({"type": "light", "features": features})
    assert value.kind.fields.keys() == {"x", "y", "hue", "saturation"}


@pytest.mark.parametrize("mired", [0, -1, 0.5, True, "warm", 1e-320])
def test_an_invalid_colour_temperature_is_of_a_wrong_kind(mired):
    temperature = {"type": "numeric", "name": "color_temp", "property": "color_temp", "access": 7}
    value = read_one({"type": "light", "features": [temperature]})
    assert value.kind == Number(1, None, unit="K")
    with pytest.raises(WrongKind):
        value.from_wire(mired)


@pytest.mark.parametrize(
    "exposes",
    [
        None,
        {},
        "text",
        7,
        [None],
        ["x"],
        [[]],
        [{}],
        [feature("hologram")],
        [feature(["numeric"])],
        [feature({"a": 1})],
        [feature("numeric", property=None)],
        [feature("numeric", property={"a": 1})],
        [feature("numeric", access="all")],
        [feature("binary")],
        [feature("enum", values="abc")],
        [feature("enum", values=5)],
        [feature("enum")],
        [feature("composite", features="abc")],
        [feature("composite", features=[1])],
        [feature("composite", features=[{"type": "numeric"}])],
        [{"type": "light", "features": 3}],
        [{"type": "light", "features": [feature("composite", features={"a": 1})]}],
        [{"type": "light", "features": [{"type": [], "features": [1]}]}],
    ],
)
def test_unreadable_features_are_named_and_the_others_are_read(exposes):
    values, unread = read_exposes(exposes)
    assert (values, len(unread)) == ([], 1)
    if isinstance(exposes, list):
        values, unread = read_exposes([*exposes, feature("text")])
        assert ([each.key for each in values], len(unread)) == (["x"], 1)


def test_features_nested_too_deeply_are_named():
    inner = feature("text")
    for _ in range(10):
        inner = feature("composite", features=[inner])
    assert read_exposes([inner]) == ([], ["composite x"])


def test_all_shapes_of_real_definitions_are_read():
    shapes = json.loads(SHAPES.read_text())["shapes"]
    assert len(shapes) > 100
    for shape in shapes:
        values, unread = read_exposes([shape])
        assert unread == [], shape
        assert values, shape
        for value in values:
            value.kind.describe()
