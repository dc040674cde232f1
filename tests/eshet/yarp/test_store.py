"""Values that are kept in files."""

import copy
import json
import pickle
import re

import pytest

from eshet import yarp
from eshet.exceptions import ReactiveTypeError
from eshet.scope import Scope
from eshet.yarp.store import (
    FakeStoreConfig,
    FileStoreConfig,
    default_store,
    null_store,
)
from tests.support.hearing import Errors


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state.json"


def test_a_file_backed_value_is_there_again(file):
    value = yarp.file_backed_value(file, 1)
    assert json.loads(file.read_text()) == {"version": 0, "value": 1}
    value.value = {"lamps": ["Küche", 2.5, None]}
    assert yarp.file_backed_value(str(file)).value == {"lamps": ["Küche", 2.5, None]}


def test_without_a_file_it_is_what_it_was_given_or_not_set(file):
    value = yarp.file_backed_value(file)
    assert value.value is yarp.NoValue
    assert yarp.file_backed_value(file, "not this, as NoValue was stored").value is yarp.NoValue
    value.value = None
    assert yarp.file_backed_value(file, 5).value is None


def test_what_cannot_be_read_is_reported_and_kept_beside(file):
    file.write_text('{"version": 0, "val')
    errors = Errors()
    with errors.scope.active():
        value = yarp.file_backed_value(file, 7)
    assert value.value == 7
    assert json.loads(file.read_text())["value"] == 7
    assert (file.parent / "state.json.unreadable").read_text() == '{"version": 0, "val'
    assert [doing for _, doing in errors.reported] == [f"loading {file}"]


class Trap:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return (print, ("sprung",))


def test_a_pickle_is_read_only_when_told_to(file, capsys):
    file.write_bytes(pickle.dumps(Trap()))
    errors = Errors()
    with errors.scope.active():
        assert yarp.file_backed_value(file, 1).value == 1
    assert capsys.readouterr().out == ""
    assert "read_pickle=True" in errors.reported[0][0]
    file.write_bytes(pickle.dumps({"a": 1}))
    assert yarp.file_backed_value(file, read_pickle=True).value == {"a": 1}
    assert yarp.file_backed_value(file).value == {"a": 1}


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), b"bytes"])
def test_what_json_cannot_hold_is_reported_and_the_old_file_stays(file, value):
    errors = Errors()
    with errors.scope.active():
        kept = yarp.file_backed_value(file, "old")
    kept.value = value
    [(error, _)] = errors.reported
    assert "JSON" in error
    assert json.loads(file.read_text())["value"] == "old"
    assert [each.name for each in file.parent.iterdir()] == ["state.json"]


def test_a_write_that_fails_half_way_leaves_the_old_file(file, monkeypatch):
    value = yarp.file_backed_value(file, "old")
    monkeypatch.setattr("os.fsync", lambda _: 1 / 0)
    value.value = "new"
    assert json.loads(file.read_text())["value"] == "old"


def test_it_stores_no_more_when_its_scope_has_ended(file):
    scope = Scope("rule")
    with scope.active():
        value = yarp.file_backed_value(file, 1)
    scope.dispose()
    value.value = 2
    assert json.loads(file.read_text())["value"] == 1


def test_a_tree_of_stores_is_one_of_folders(tmp_path):
    place = FileStoreConfig(base_dir=tmp_path) / "hall" / "light"
    light = place.build_value(initial_value="off")
    assert list(tmp_path.iterdir()) == []  # the initial value is not stored
    light.value = "on"
    assert (tmp_path / "hall" / "light" / "state.json").exists()
    assert place.build_value("off").value == "on"


def test_the_initial_value_is_stored_if_asked():
    place = FakeStoreConfig()
    place.build_value(5, store_initial=True)
    assert place.build().load("nothing") == 5


def test_another_version_is_converted_or_the_default():
    place = FakeStoreConfig() / "x"
    place.build(version=1).store(20)
    errors = Errors()
    with errors.scope.active():
        assert place.build(version=2).load("default") == "default"
    assert re.search("version 1, not 2", errors.reported[0][0])
    assert place.build(version=2).load(0, convert=lambda old, value: (old, value)) == (1, 20)


def test_what_does_not_validate_is_reported():
    place = FakeStoreConfig()
    place.build().store(-1)

    def positive(value):
        if value < 0:
            raise ValueError(value)

    errors = Errors()
    with errors.scope.active():
        assert place.build_value(3, validate=positive).value == 3
    assert errors.reported == [("ValueError(-1)", "loading ")]


def test_a_deep_copy_of_fake_stores_is_independent():
    place = FakeStoreConfig()
    place.build().store([1])
    other = copy.deepcopy(place)
    other.build().store([2])
    assert place.build().load(None) == [1]


def test_a_value_can_be_stored_at_the_end(tmp_path):
    fake = FakeStoreConfig()
    fake.build().store_atexit(lambda: "last")
    assert fake.build().load(None) is None
    fake.data.run_atexits()
    assert fake.build().load(None) == "last"
    store = FileStoreConfig(base_dir=tmp_path).build()
    store.store_atexit(lambda: "closed")
    store.close()
    assert store.load(None) == "closed"


def test_the_null_store_keeps_nothing():
    place = null_store / "anything"
    value = place.build_value(1)
    value.value = 2
    place.build().store_atexit(print)
    assert place.build_value(1).value == 1


def test_the_default_store_is_in_the_current_folder():
    assert str(default_store.base_dir) == "."


def test_a_store_says_what_json_cannot_hold(tmp_path):
    with pytest.raises(ReactiveTypeError, match=r"state\.json is JSON"):
        FileStoreConfig(base_dir=tmp_path).build().store({1})
