"""Names of devices as segments of paths, and aliases."""

import pytest

from eshet.bridges.names import Alias, Aliases, DistinctPaths, segment, segments


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Hall lamp", "Hall_lamp"),
        ("Küche, links", "Kuche_links"),
        ("Straße/Außen", "Strasse/Aussen"),
        ("a//b/", "a/b"),
        ("0x00124b0022", "0x00124b0022"),
        ("灯", ""),
        (" _lamp_ ", "lamp"),
    ],
)
def test_a_name_becomes_a_path(name, path):
    assert segments(name) == path


def test_a_slash_in_one_segment_is_replaced():
    assert segment("a/b") == "a_b"


def test_the_first_alias_of_several_targets_is_found_and_the_others_are_unused():
    aliases = Aliases({"0x12": Alias("/lamp"), "Lamp/state": Alias("/on"), "Gone": Alias("/gone")})
    assert aliases.find("Lamp", "0x12") == Alias("/lamp")
    assert aliases.find("Lamp/state", "0x12/state") == Alias("/on")
    assert aliases.find("Other") is None
    assert aliases.unused == ["Gone"]


def test_an_alias_with_not_for_a_whole_device_is_logged_once(caplog):
    aliases = Aliases({"Hall/lamp": Alias("/lamp", is_negated=True), "Door": Alias("/door")})
    for _ in range(3):
        assert aliases.directory("Hall/lamp", "0x1") == "/lamp"
        assert aliases.directory("Door") == "/door"
        assert aliases.directory("Other") is None
    assert caplog.messages == [
        '/lamp: "not" has no effect for a whole device: write the name of a property as well'
    ]


def test_an_alias_of_a_device_that_has_one_by_its_other_name_is_logged_once(caplog):
    aliases = Aliases({"Lamp": Alias("/lamp"), "0x12": Alias("/other")})
    for _ in range(2):
        assert aliases.find("Lamp", "0x12") == Alias("/lamp")
        assert aliases.find("Lamp", "Lamp") == Alias("/lamp")
    assert aliases.unused == []
    assert caplog.messages == [
        "/other has no effect: '0x12' is 'Lamp', which is /lamp already; keep one of both aliases"
    ]


def test_paths_of_endless_names_are_bounded():
    assert segment("x" * 10_000) == "x" * 64
    assert segments("a/" * 10_000) == "/".join("a" * 8)


def test_each_node_gets_a_path_of_its_own():
    paths = DistinctPaths()
    taken = [paths.take(path) for path in ("/d/a", "/d/a", "/d/b/c", "/d/b", "/d/a/x", "/d/a/x")]
    assert taken == ["/d/a", "/d/a_", "/d/b/c", "/d/b_", "/d/a__/x", "/d/a__/x_"]


def test_thousands_of_nodes_with_one_name_get_short_paths():
    paths = DistinctPaths()
    taken = [paths.take("/d/value") for _ in range(2000)]
    assert len(set(taken)) == 2000
    assert taken[:3] == ["/d/value", "/d/value_", "/d/value__"]
    assert taken[8:11] == ["/d/value________", "/d/value_9", "/d/value_10"]
    assert taken[-1] == "/d/value_1999"


def test_a_number_skips_a_name_that_has_it_already():
    paths = DistinctPaths()
    assert paths.take("/d/value_9") == "/d/value_9"
    assert [paths.take("/d/value") for _ in range(10)][-1] == "/d/value_10"
    assert paths.take("/d/value/x") == "/d/value_11/x"
