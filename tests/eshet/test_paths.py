"""The grammar of paths."""

import pytest

from eshet.exceptions import InvalidPath
from eshet.paths import check_base, is_path, resolve

GOOD = ["/a", "/a/b", "/A_1/b2", "/_", "/0/1/2"]
BAD = ["", "/", "/a/", "//a", "/a//b", "/a-b", "/a b", "/ä", "/a\n", "/a.b", "a/"]


@pytest.mark.parametrize("path", GOOD)
def test_a_path_is_names_with_a_slash_before_each(path: str) -> None:
    assert is_path(path)
    assert resolve("/base", path) == path


@pytest.mark.parametrize("path", BAD)
def test_anything_else_is_an_error_that_says_what_to_write(path: str) -> None:
    assert not is_path(path)
    with pytest.raises(InvalidPath, match="write a slash before each name") as caught:
        resolve("/base", path)
    assert caught.value.path == path


def test_a_relative_path_is_below_the_base() -> None:
    assert resolve(check_base("/house/hall/"), "light") == "/house/hall/light"
    assert resolve(check_base("/house"), "hall/light") == "/house/hall/light"
    assert resolve(check_base("/"), "light") == "/light"


@pytest.mark.parametrize("base", ["", "house", "//", "/a-b", "/a//b"])
def test_a_base_is_a_directory(base: str) -> None:
    with pytest.raises(InvalidPath):
        check_base(base)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/a" * 33, "it has 33 levels, and may have at most 32"),
        ("/" + "a" * 1024, "it has 1025 characters, and may have at most 1024"),
        ("/a" * 500_000, "it has 1000000 characters"),
    ],
)
def test_a_path_over_the_limits_says_which(path: str, says: str) -> None:
    with pytest.raises(InvalidPath, match=says) as caught:
        resolve("", path)
    assert len(str(caught.value)) < 400
    with pytest.raises(InvalidPath, match="and may have at most"):
        check_base(path)


def test_a_path_up_to_the_limits_is_one() -> None:
    assert resolve("/a" * 31, "a") == "/a" * 32
    assert resolve("", "/" + "a" * 1023) == "/" + "a" * 1023
