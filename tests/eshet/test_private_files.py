import contextlib
import os
import stat

import pytest

from eshet.private_files import (
    make_private_folder,
    open_private,
    replacing_privately,
    write_privately,
)


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request):
    """Each test of this has all of these, as the mode of what is made depends on none."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_file_is_private_whatever_the_umask(tmp_path, umask):
    write_privately(tmp_path / "file", b"content")
    assert mode_of(tmp_path / "file") == 0o600
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("umask", [0o000, 0o022], indirect=True)
def test_folders_that_are_made_are_private_and_those_that_are_there_keep_their_mode(
    tmp_path, umask
):
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path / "a" / "b")
    assert [mode_of(tmp_path / name) for name in (".", "a", "a/b")] == [0o755, 0o700, 0o700]


def test_a_folder_can_not_be_made_where_a_file_is(tmp_path):
    (tmp_path / "file").touch()
    for place in ("file", "file/folder"):
        with pytest.raises(OSError, match=r"File exists|Not a directory"):
            make_private_folder(tmp_path / place)


@pytest.mark.parametrize("target", ["precious", "nothing"])
def test_a_planted_link_is_replaced_and_not_followed(tmp_path, target):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "file").symlink_to(target)
    write_privately(tmp_path / "file", b"content")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()
    assert not (tmp_path / "file").is_symlink()


@pytest.mark.parametrize("target", ["precious", "nothing"])
def test_a_planted_link_is_not_opened(tmp_path, target):
    (tmp_path / "precious").touch()
    (tmp_path / "file").symlink_to(target)
    with pytest.raises(OSError, match="symbolic link, which is not followed: use the path"):
        open_private(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_old_file_stays_if_writing_is_interrupted(tmp_path, error):
    (tmp_path / "file").write_bytes(b"old")
    with contextlib.suppress(error), replacing_privately(tmp_path / "file") as file:
        file.write(b"half")
        raise error
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_writers_of_one_file_do_not_mix_their_contents(tmp_path):
    path = tmp_path / "file"
    with replacing_privately(path) as first:
        first.write(b"first")
        with replacing_privately(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"


def test_what_writers_left_that_were_killed_is_deleted_later(tmp_path):
    with replacing_privately(tmp_path / "file"):
        [left] = tmp_path.iterdir()
        os.link(left, tmp_path / f"file.0{left.name.removeprefix('file.')}")
    left = next(path for path in tmp_path.iterdir() if path.name != "file")
    other = tmp_path / "another.new"
    other.touch()
    write_privately(tmp_path / "file", b"soon after")
    assert left.exists()
    for path in (left, other):
        os.utime(path, (0, 0))
    write_privately(tmp_path / "file", b"a minute after")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another.new", "file"]
