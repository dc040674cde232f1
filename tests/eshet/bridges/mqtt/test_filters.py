import pytest

from eshet.bridges.mqtt.filters import check_filter, check_topic, matches


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        ("a/b", "a/b"),
        ("a/+", "a/b"),
        ("+/b", "a/b"),
        ("+/+", "a/b"),
        ("a/+", "a/"),
        ("+", "a"),
        ("#", "a/b/c"),
        ("a/#", "a/b/c"),
        ("a/#", "a"),
        ("a/+/#", "a/b"),
        ("/+", "/a"),
        ("$SYS/#", "$SYS/uptime"),
        ("a/$b", "a/$b"),
        ("a/+", "a/$b"),
    ],
)
def test_a_filter_matches(pattern, topic):
    assert matches(pattern, topic)


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        ("a/b", "a/B"),
        ("a/+", "a"),
        ("a/+", "a/b/c"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("+", "/a"),
        ("a/#", "ab"),
        ("a/+/#", "a"),
        ("#", "$SYS/uptime"),
        ("+/uptime", "$SYS/uptime"),
    ],
)
def test_a_filter_does_not_match(pattern, topic):
    assert not matches(pattern, topic)


@pytest.mark.parametrize("pattern", ["a", "a/+/b", "#", "+", "/", "a//b", "a/#", "$SYS/#", "ä b"])
def test_a_filter_is_valid(pattern):
    check_filter(pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "the filter is empty"),
        ("a/b+", "replace a whole level"),
        ("a#", "replace a whole level"),
        ("#/a", "must be the last level"),
        ("a\n", "control character '\\\\n'"),
        ("a\x85/b", "control character"),
        ("a\ufffe", "control character"),
        ("a\U0010ffff", "control character"),
        ("a/" * 128 + "b", "more than 128 levels"),
        ("$share/a/b", "shared subscriptions"),
        ("$share", "shared subscriptions"),
        ("a\0", "null character"),
        ("\udc80", "UTF-8"),
        ("ä" * 40_000, "80000 bytes: at most 65535"),
    ],
)
def test_an_invalid_filter_is_refused_with_the_reason(pattern, why):
    with pytest.raises(ValueError, match=why):
        check_filter(pattern)


@pytest.mark.parametrize("topic", ["lamps/+", "#", "", "a\0"])
def test_nothing_is_published_to_an_invalid_topic(topic):
    with pytest.raises(ValueError, match="topic"):
        check_topic(topic)
