"""What a checkpoint holds, and what is made of one that holds something else."""

import hashlib
import math
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet import Unknown, yarp
from eshet.reactive.core.markers import NoValue
from eshet.reactive.handover.handover import Lost, Snapshot
from eshet.reactive.handover.matching import Description
from eshet_rules.reload.checkpoint import Checkpoint, decode, encode, encode_module
from eshet_rules.reload.snapshot import ModuleSnapshot
from tests.support.hostile import EXPANDING, HOSTILE
from tests.support.rules import Log

ABOUT = Description("light", "time_window of /motion", "0123", "60.0", None)
OTHER = Description("light", "keep", "4567", "", "count")


def legacies(*given, about=ABOUT):
    return {"hall": ModuleSnapshot("abcd", [Snapshot(about, each) for each in given])}


def nested(depth, kind):
    value = 0
    for _ in range(depth):
        value = kind(value)
    return value


def signed(body, magic=b"eshet-rules checkpoint 3\n"):
    """Return a file with a right checksum."""
    return magic + hashlib.sha256(body).digest() + body


# --- what is kept -------------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.sampled_from([Unknown, NoValue, yarp.FSM.START])
    | st.datetimes(
        datetime(1900, 1, 1),
        timezones=st.sampled_from(
            [None, UTC, timezone(timedelta(hours=5, minutes=30)), ZoneInfo("Europe/Berlin")]
        ),
        allow_imaginary=False,
    )
)
hashables = st.recursive(scalars, lambda inner: st.lists(inner).map(tuple), max_leaves=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(hashables, inner),
)


@given(values)
def test_plain_data_comes_back_as_it_was(value):
    [[memo]] = [snapshot.nodes for snapshot in decode(encode(legacies(value)), 7).values()]
    assert memo == Snapshot(ABOUT, value)
    assert repr(memo.data) == repr(value)  # equal values may differ in type


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00", "\ufeff", "👋"])
def test_any_text_comes_back_as_a_value_and_as_a_name(text):
    about = Description(text, text, text, text, text)
    back = decode(encode({text: ModuleSnapshot(text, [Snapshot(about, {text: text})])}), 0)
    assert back[text].nodes == [Snapshot(about, {text: text})]


def test_numbers_that_are_none_come_back():
    [snapshot] = decode(encode(legacies([math.nan, math.inf])), 0).values()
    assert repr(snapshot.nodes[0].data) == "[nan, inf]"


@pytest.mark.parametrize("kind", [lambda x: (x,), lambda x: [x], lambda x: {"x": x}])
def test_deep_values_come_back(kind):
    value = nested(200, kind)
    [snapshot] = decode(encode(legacies(value)), 0).values()
    assert snapshot.nodes[0].data == value


# --- what can't be kept -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HOSTILE | EXPANDING)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [0.0, x], lambda x: {"k": (x,)}])
def test_what_can_not_be_packed_is_left_out_and_the_rest_is_kept(kind, wrap):
    snapshot = ModuleSnapshot(
        "abcd", [Snapshot(ABOUT, wrap((HOSTILE | EXPANDING)[kind]())), Snapshot(OTHER, ["abcd", 7])]
    )
    _, left_out = encode_module(snapshot)
    assert list(left_out) == [ABOUT]
    assert 0 < len(left_out[ABOUT]) < 300
    left_out[ABOUT].encode()
    assert snapshot.kept() == {"count": ["abcd", 7]}


def test_what_is_left_out_is_logged_once_with_its_rule(tmp_path):
    log = Log()
    checkpoint = Checkpoint(tmp_path / "checkpoint", log.logger)
    for _ in range(3):
        checkpoint.pack_module("hall", legacies(object())["hall"])
    record = log.find("state.not_plain_data")
    assert record["rule"] == "hall.light"
    assert record["why"] == "it contains an object of the class object"
    log.check()


# --- what a file may hold -----------------------------------------------------------------------

packable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=20)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5))
    | st.sampled_from(["version", "nodes", "outputs"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 3), inner, max_size=4)
        | st.fixed_dictionaries({"version": inner, "nodes": inner, "outputs": inner})
        | inner.map(msgpack.packb)
    ),
)


@pytest.mark.parametrize("magic", [b"eshet-rules checkpoint 2\n", b"eshet-rules checkpoint 3\n"])
@given(value=packable)
def test_any_structure_with_a_right_checksum_gives_legacies_or_is_refused(magic, value):
    try:
        found = decode(signed(msgpack.packb(value), magic), 0)
    except ValueError:
        return
    for snapshot in found.values():
        assert isinstance(snapshot.version, str)
        assert all(isinstance(memo.description, Description) for memo in snapshot.nodes)


@given(st.binary(max_size=100))
def test_any_bytes_with_a_right_checksum_give_legacies_or_are_refused(body):
    try:
        decode(signed(body), 0)
    except ValueError:
        return


MODULE = {
    "version": "abcd",
    "nodes": [[["light", "keep", "4567", "", "count"], msgpack.packb(["abcd", 7])]],
    "outputs": [],
}


def without(key):
    return {name: value for name, value in MODULE.items() if name != key}


def with_memo(memo):
    return {**MODULE, "nodes": [memo, *MODULE["nodes"]]}


@pytest.mark.parametrize(
    "body",
    [None, 7, "text", [], [MODULE], {1: b""}, {b"hall": b""}, b"\xc1", {None: {}}],
    ids=repr,
)
def test_a_file_of_another_structure_is_set_aside_and_named(tmp_path, body):
    packed = body if body == b"\xc1" else msgpack.packb(body)
    path, log = tmp_path / "checkpoint", Log()
    path.write_bytes(signed(packed))
    assert Checkpoint(path, log.logger).read(0) == {}
    record = log.find("checkpoint.damaged")
    assert record["set_aside"] == str(tmp_path / "checkpoint.damaged")
    assert (tmp_path / "checkpoint.damaged").exists()
    log.check()


@pytest.mark.parametrize(
    "module",
    [None, 7, b"", b"\xc1", [], {}, *map(without, MODULE), {**MODULE, "nodes": 3},
     {**MODULE, "version": None}, {**MODULE, "outputs": {}}, MODULE],
    ids=repr,
)  # fmt: skip
def test_a_module_of_another_structure_costs_that_module(tmp_path, module):
    is_packed = isinstance(module, bytes) or module is MODULE
    broken = module if is_packed else msgpack.packb(module)  # MODULE itself is not packed
    path, log = tmp_path / "checkpoint", Log()
    path.write_bytes(signed(msgpack.packb({"bath": broken, "hall": msgpack.packb(MODULE)})))
    found = Checkpoint(path, log.logger).read(0)
    assert {name: snapshot.kept() for name, snapshot in found.items()} == {
        "hall": {"count": ["abcd", 7]}
    }
    record = log.find("checkpoint.partly_damaged")
    assert record["error"].startswith("module bath: ")
    assert (tmp_path / "checkpoint.damaged").read_bytes() == path.read_bytes()
    log.check()


@pytest.mark.parametrize(
    "memo",
    [
        None,
        [],
        [["light", "keep"], b"\xc0"],
        [["light", "keep", "1", "", 7], b"\xc0"],
        [["light", "keep", "1", "", "x"], "no bytes"],
        [["light", "keep", "1", "", "x"], b"\xc1"],
        [["light", "keep", "1", "", "x"], b""],
        [["light", "keep", "1", "", "x"], b"\xc0\xc0"],
        [["light", "keep", "1", "", "x"], msgpack.packb(msgpack.ExtType(77, b""))],
        [["light", "keep", "1", "", "x"], b"\x81\x91\x00\x00"],  # a list as a key
        [["light", "keep", "1", "", "x"], b"\x91" * 100_000],
        [["light", "keep", "1", "", "x"], b"\x81\xc7\x00\x00" * 100_000],
        [["light", "keep", "1", "", "x"], b"\xdd\xff\xff\xff\xff"],
    ],
    ids=lambda memo: repr(memo)[:60],
)
def test_a_damaged_memo_costs_that_memo(memo):
    problems = []
    data = signed(msgpack.packb({"hall": msgpack.packb(with_memo(memo))}))
    found = decode(data, 0, problems.append)
    assert found["hall"].kept() == {"count": ["abcd", 7]}
    assert len(problems) == 1
    assert all(isinstance(memo.data, Lost) for memo in found["hall"].nodes[:-1])


def old_tuple(depth):
    packed = msgpack.packb(0)
    for _ in range(depth):
        packed = msgpack.packb(msgpack.ExtType(0, msgpack.packb([msgpack.unpackb(packed)])))
    return packed


def test_a_checkpoint_of_the_version_before_is_read():
    modules = {"hall": {**MODULE, "nodes": [[[*MODULE["nodes"][0][0]], old_tuple(9)]]}}
    data = signed(msgpack.packb(modules), b"eshet-rules checkpoint 2\n")
    assert decode(data, 0)["hall"].nodes[0].data == nested(9, lambda x: (x,))


def test_deep_tuples_of_the_version_before_cost_that_memo():
    nodes = [[[*MODULE["nodes"][0][0]], old_tuple(2000)], *MODULE["nodes"]]
    modules = {"hall": {**MODULE, "nodes": nodes}}
    data = signed(msgpack.packb(modules), b"eshet-rules checkpoint 2\n")
    lost, kept = decode(data, 0)["hall"].nodes
    assert "nested over 32 deep" in lost.data.why
    assert kept.data == ["abcd", 7]


def test_the_order_of_timers_comes_back_without_what_was_left_out():
    nodes = [
        Snapshot(ABOUT, 1, 12),
        Snapshot(OTHER, object(), 5),
        Snapshot(OTHER, 2),
        Snapshot(OTHER, 3, 7),
    ]
    data = encode({"hall": ModuleSnapshot("abcd", nodes)})
    assert decode(data, 0)["hall"].nodes == [nodes[0], *nodes[2:]]


@pytest.mark.parametrize("timers", [None, 7, [], ["12"], [None], [1, 2, 3]])
def test_a_checkpoint_with_another_order_of_timers_is_read(timers):
    module = MODULE if timers is None else {**MODULE, "timers": timers}
    data = signed(msgpack.packb({"hall": msgpack.packb(module)}))
    assert [node.data for node in decode(data, 0)["hall"].nodes] == [["abcd", 7]]
