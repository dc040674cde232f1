import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet.nats.entry import Entry
from eshet_rules.cluster.entries import (
    LeaseEntry,
    Modules,
    ModulesEntry,
    PresenceEntry,
    modules_key,
    pack,
    pack_modules,
    presence_key,
    role_of,
    runner_key,
    unpack,
    unpack_modules,
)

NAMES = st.text(min_size=1, max_size=20)
KEY = re.compile(r"[-/_=A-Za-z0-9]+(\.[-/_=A-Za-z0-9]+)*")

LEASE = LeaseEntry(
    module="hall", token=7, runner="attic", server="ab", presence=3, version="3f2a", to="cellar"
)
MODULES = ModulesEntry(
    presence=3, modules=Modules(runs={"hall": "3f2a"}, excluded={}, helpers={"_lib": "11"})
)


def entry(value, revision=1, *, is_deleted=False):
    return Entry("house.hall", value, revision, is_deleted, 0.0)


@given(NAMES)
def test_each_runner_has_keys_of_its_own_from_which_its_name_can_be_read(name):
    for kind, key in (("presence", presence_key), ("modules", modules_key)):
        made = key("house", name)
        assert KEY.fullmatch(made)
        assert runner_key("house", made) == (name, kind)
        assert runner_key("flat", made) is None


@given(st.lists(st.text(max_size=8), min_size=2, max_size=2, unique=True))
def test_each_module_has_a_role_of_its_own(names):
    roles = [role_of("house", name) for name in names]
    assert all(KEY.fullmatch(role) for role in roles)
    assert roles[0] != roles[1]


def test_the_role_of_a_usual_module_is_easy_to_read():
    assert role_of("house", "upstairs.bath_2") == "house.upstairs.bath_2"
    assert role_of("house", "küche") == "house.k=C3=BCche"
    assert presence_key("house", "attic.lan") == "house.attic=2Elan.presence"


@pytest.mark.parametrize("key", ["house", "house.attic", "house.attic.other", "house.a.b.presence"])
def test_other_keys_are_ignored(key):
    assert runner_key("house", key) is None


def test_an_entry_is_read_as_it_was_written():
    assert unpack(entry(pack(LEASE)), LeaseEntry) == LEASE
    assert unpack_modules(entry(pack_modules(MODULES))) == MODULES


def test_a_deleted_entry_has_no_content():
    assert unpack(entry(pack(LEASE), is_deleted=True), LeaseEntry) is None
    assert unpack_modules(entry(pack_modules(MODULES), is_deleted=True)) is None


@given(st.binary(max_size=200) | st.sampled_from([pack(LEASE)[:-1], pack_modules(MODULES)[:-1]]))
def test_an_entry_of_another_kind_has_no_content(value):
    assert unpack(entry(value), PresenceEntry) is None
    assert unpack_modules(entry(value)) is None
    assert unpack(entry(pack_modules(MODULES)), LeaseEntry) is None
    assert unpack_modules(entry(pack(LEASE))) is None
