"""Records for explanations: from a trail, from memory, and from a list."""

import msgspec
import pytest

from eshet.unknown import Unknown
from eshet_rules.audit import trail as trail_module
from eshet_rules.audit.archive import closed_files
from eshet_rules.audit.last_records import LastRecords
from eshet_rules.audit.lines import encode
from eshet_rules.audit.query import Damage
from eshet_rules.audit.records.inputs_outputs import Input, ValueSet
from eshet_rules.audit.trail import Trail
from eshet_rules.why.backward import backward
from eshet_rules.why.explanation import explain
from eshet_rules.why.memory import recall, recent_records
from eshet_rules.why.sources import ListedRecords, TrailRecords

LATE = "9999"


def stamp(second):
    return f"2099-11-25T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000000Z"


def received(second, path, value, **fields):
    unknown = value is Unknown
    fields = {"kind": "state", "module": "hall", "rule": "hall.light", **fields}
    return Input(
        stamp(second), "debug", Input.EVENT, path=path, unknown=unknown,
        value=None if unknown else value, **fields,
    )  # fmt: skip


def sent(second, path, value, outcome="done", **fields):
    fields = {"module": "hall", "rule": "hall.light", **fields}
    return ValueSet(
        stamp(second), "debug", ValueSet.EVENT, path=path, value=value, outcome=outcome, **fields
    )


@pytest.fixture(autouse=True)
def the_clock_shows_the_time_of_the_first_record(monkeypatch):
    monkeypatch.setattr(trail_module, "wall_stamp", lambda: stamp(0))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "trail.jsonl"


def write(file, records, size=3000):
    trail = Trail(file, size=size)
    trail.open()
    for record in records:
        assert trail.append(record, record.time)
    trail.close()


def test_records_of_a_path_come_newest_first_from_all_files(file):
    write(file, [received(n, f"/p{n % 3}", n) for n in range(100)])
    assert len(closed_files(file)) > 3
    found = [each["value"] for each in backward(file, "/p1", LATE)]
    assert found == list(range(97, 0, -3))
    assert [each["value"] for each in backward(file, "/p1", stamp(13))] == [10, 7, 4, 1]
    assert list(backward(file, "/p", LATE)) == []
    assert list(backward(file.with_name("no.jsonl"), "/p1", LATE)) == []


def test_no_more_is_read_than_is_asked_for(file, monkeypatch):
    write(file, [received(n, "/p", n) for n in range(100)])
    monkeypatch.setattr("eshet_rules.why.backward.read_frame", lambda *args: pytest.fail("read"))
    assert next(backward(file, "/p", LATE))["value"] == 99


def test_damaged_and_torn_lines_are_reported_and_skipped(file):
    write(file, [received(n, "/p", n) for n in range(5)], size=1 << 20)
    lines = file.read_bytes().replace(b'"value":3', b'"value":7')
    file.write_bytes(lines + b'{"time":"2099","path":"/p","val')
    damages = []
    assert [each["value"] for each in backward(file, "/p", LATE, damages.append)] == [4, 2, 1, 0]
    assert set(damages) == {Damage(file, "it has damaged lines")}


def test_a_damaged_frame_is_reported_and_skipped(file):
    write(file, [received(n, "/p", n) for n in range(100)])
    first, *_ = closed_files(file)
    data = bytearray(first.read_bytes())
    data[60] ^= 0xFF
    first.write_bytes(data)
    damages = []
    values = [each["value"] for each in backward(file, "/p", LATE, damages.append)]
    [damage] = damages
    assert damage.file == first
    assert damage.lines
    assert values[0] == 99
    assert values == sorted(values, reverse=True)
    assert len(values) < 100


def test_a_file_that_is_no_trail_is_reported(file):
    file.write_text("one\ntwo\n")
    damages = []
    assert list(backward(file, "/p", LATE, damages.append)) == []
    assert damages == [Damage(file, "its first line is no record: it has no checksum")]
    file.write_text('{"time":"20')
    assert list(backward(file, "/p", LATE, pytest.fail)) == []


@pytest.mark.parametrize(("event", "name"), [("output.set", "outcome"), ("input.received", "kind")])
def test_an_incomplete_record_is_reported_and_skipped(file, event, name):
    whole = {"time": stamp(1), "event": event, "path": "/p", "outcome": "done", "kind": "state"}
    incomplete = {key: value for key, value in whole.items() if key != name}
    file.write_bytes(encode(whole) + encode(incomplete))
    damages = []
    [record] = backward(file, "/p", LATE, damages.append)
    assert record[name]
    assert damages == [Damage(file, "it has incomplete records")]


HISTORY = [
    received(1, "/lamp", False),
    received(2, "/lamp", True),
    received(3, "/lamp", True),
    received(4, "/lamp", True, module=None),
    received(4, "/lamp", True, kind="get"),
    sent(5, "/lamp", False),
    sent(6, "/lamp", True, "failed", error="no"),
    sent(7, "/lamp", True, "skipped", why="unchanged"),
    sent(8, "/lamp", True, "skipped", why="unchanged"),
    received(9, "/bell", "ding", kind="event"),
    received(10, "/bell", "ding", kind="event"),
    received(11, "/lux", Unknown),
]


@pytest.mark.parametrize("source", ["trail", "list", "memory"])
def test_all_sources_answer_alike(file, source):
    write(file, HISTORY)
    trail = TrailRecords(file)
    if source == "memory":
        last = LastRecords()
        for each in HISTORY:
            (last.note_input if isinstance(each, Input) else last.note_output)(each)
        recalled = {"inputs": {}, "outputs": {}, "skipped": {}}
        for path in ("/lamp", "/bell", "/lux"):
            for kind, known in recall(last, path).items():
                recalled[kind].update(known)
        records = recent_records(recalled, trail)
    else:
        listed = ListedRecords(backward(file, "/lamp", LATE))
        records = trail if source == "trail" else listed
    if source == "list":
        every = [r for path in ("/lamp", "/bell", "/lux") for r in backward(file, path, LATE)]
        records = ListedRecords(sorted(every, key=lambda record: record["time"]))
    assert records.output("/lamp")["time"] == stamp(6)
    assert records.output("/lamp", stamp(6))["time"] == stamp(5)
    assert records.output("/lamp", stamp(5)) is None
    assert records.input("/lamp")["time"] == stamp(2)
    assert records.input("/lamp", stamp(2))["time"] == stamp(1)
    assert records.input("/bell")["time"] == stamp(10)
    assert records.input("/lux")["unknown"] is True
    assert records.skipped("/lamp") == {"unchanged": 2}
    assert records.skipped("/bell") == {}


def test_a_value_that_a_rule_found_at_its_set_up_began_when_the_trail_says():
    """After a restart, the memory of the runner begins with the set-ups of its rules."""
    earlier = [
        received(1, "/lamp", False),
        received(4, "/lamp", True, parent="a-1"),
        sent(5, "/lamp", True, cause="a-1"),
        received(6, "/lux", 10),
    ]
    last = LastRecords()
    for path, value in (("/lamp", True), ("/lux", 20)):
        last.note_input(received(9, path, value, trigger="set-up hall"))
    for path, begin, is_from_outside in (("/lamp", 4, False), ("/lux", 9, True)):
        explanation = explain(path, recent_records(recall(last, path), ListedRecords(
            msgspec.to_builtins(earlier)
        )))  # fmt: skip
        assert explanation.since == stamp(begin)
        assert explanation.is_from_outside is is_from_outside
    off = [*earlier, sent(7, "/lamp", False)]
    records = recent_records(recall(last, "/lamp"), ListedRecords(msgspec.to_builtins(off)))
    assert explain("/lamp", records).since == stamp(9), "somebody has turned it on since"
    last.note_input(received(12, "/lamp", False))
    records = recent_records(recall(last, "/lamp"), ListedRecords(msgspec.to_builtins(earlier)))
    assert explain("/lamp", records).is_from_outside


def test_a_runner_recalls_what_led_to_a_path_and_shortens_long_values():
    last = LastRecords()
    last.note_input(received(1, "/lux", 5))
    last.note_output(sent(2, "/dark", True, inputs={"/lux": 5}, after_input="state /lux"))
    last.note_output(sent(3, "/lamp", "x" * 20_000, inputs={"/dark": True}, unknown_inputs=["/m"]))
    last.note_output(sent(3, "/other", 1))
    recalled = recall(last, "/lamp")
    assert recalled["outputs"].keys() == {"/lamp", "/dark"}
    assert recalled["inputs"].keys() == {"/lux"}
    assert len(recalled["outputs"]["/lamp"]["value"]) < 300
    assert recall(last, "/nowhere") == {"inputs": {}, "outputs": {}, "skipped": {}}


def test_it_is_not_known_since_when_a_value_is_that_a_rule_found_at_its_set_up():
    last = LastRecords()
    assert last.since("/lux") is None
    last.note_input(received(1, "/lux", 10, trigger="set-up hall"))
    last.note_input(received(1, "/bell", 1, kind="event"))
    last.note_input(received(2, "/lux", 10, trigger="reload hall"))
    assert (last.since("/lux"), last.since("/bell")) == (None, stamp(1))
    last.note_input(received(3, "/lux", 20, trigger="reload hall"))
    assert last.since("/lux") == stamp(3), "the value was another one before"


def test_a_value_that_can_not_be_compared_is_kept():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

    last = LastRecords()
    for second in (1, 2):
        last.note_input(received(second, "/odd", Odd()))
    assert last.inputs["/odd"].time == stamp(2)


def test_only_the_newest_paths_are_kept(monkeypatch):
    monkeypatch.setattr("eshet_rules.audit.last_records._MAX_PATHS", 3)
    last = LastRecords()
    for number in range(5):
        last.note_output(sent(number, f"/p{number}", 1))
        last.note_output(sent(number, f"/p{number}", 1, "skipped", why="unknown"))
        last.note_input(received(number, f"/p{number}", 1))
    assert list(last.outputs) == list(last.inputs) == list(last.skipped) == ["/p2", "/p3", "/p4"]
