import pytest

from eshet.bridges.nats.selection import Selection


@pytest.mark.parametrize(
    ("only", "left_out", "path", "expected"),
    [
        ((), (), "/a", True),
        ((), (), "/meta/tree", False),
        ((), (), "/metal", True),
        (("/meta",), (), "/meta/tree", False),
        (("/",), (), "/a/b", True),
        (("/a",), (), "/a", True),
        (("/a",), (), "/a/b/c", True),
        (("/a/",), (), "/a/b", True),
        (("/a",), (), "/ab", False),
        (("/a", "/b"), (), "/b/c", True),
        (("/a",), ("/a/b",), "/a/b/c", False),
        (("/a",), ("/a/b",), "/a/bc", True),
        ((), ("/a",), "/b", True),
        ((), ("/",), "/b", False),
    ],
)
def test_a_path_takes_part_or_not(only, left_out, path, expected):
    assert Selection(only, left_out).includes(path) is expected
