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
