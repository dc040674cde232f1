import os
from pathlib import Path

import pytest

from eshet_rules.exceptions import InsecurePath
from eshet_rules.permissions import check_writers

STRANGER = 12345

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to others")


@pytest.fixture(autouse=True)
def secure(tmp_path):
    tmp_path.chmod(0o755)


@pytest.fixture
def tree(tmp_path):
    """A file in a folder in a folder."""
    file = tmp_path / "house" / "rules" / "hall.py"
    file.parent.mkdir(parents=True)
    file.touch()
    for path in (file, file.parent, file.parent.parent):
        path.chmod(0o755)
    return file


def make(path, mode):
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o775, 0o664])
def test_what_only_the_owner_and_a_group_can_write_is_secure(tree, mode):
    check_writers([make(tree, mode)])


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
@pytest.mark.parametrize("name", ["hall.py", "."])
def test_what_everybody_can_write_is_refused(tree, name, mode):
    path = make(tree.parent / name, mode)
    with pytest.raises(InsecurePath, match=f"chmod o-w {path}`, or use --insecure"):
        check_writers([path])


@pytest.mark.parametrize("exists", [True, False])
def test_a_parent_that_everybody_can_write_is_refused(tree, exists):
    parent = make(tree.parent.parent, 0o777)
    path = tree if exists else parent / "state" / "checkpoint"
    with pytest.raises(InsecurePath, match=rf"{parent} .* can replace .*`chmod o-w {parent}`"):
        check_writers([path])


@pytest.mark.parametrize("exists", [True, False])
def test_a_parent_with_the_sticky_bit_is_secure(tree, exists):
    parent = make(tree.parent.parent, 0o1777)
    check_writers([tree if exists else parent / "state" / "checkpoint"])


@as_root
@pytest.mark.parametrize("name", ["hall.py", "."])
def test_what_belongs_to_somebody_else_is_refused(tree, name):
    path = tree.parent / name
    os.chown(path, STRANGER, -1)
    with pytest.raises(InsecurePath, match=rf"belongs to user {STRANGER}, .*`chown 0 {path}`"):
        check_writers([path])
    check_writers([path], user=STRANGER)


@as_root
def test_what_belongs_to_root_is_secure_for_everybody(tree):
    check_writers([tree], user=STRANGER)


def test_the_target_of_a_link_is_checked_with_its_parents(tree, tmp_path):
    link = tmp_path / "link.py"
    link.symlink_to(tree)
    check_writers([link])
    make(tree.parent, 0o777)
    with pytest.raises(InsecurePath, match=f"chmod o-w {tree.parent}`"):
        check_writers([link])


@as_root
def test_a_link_that_belongs_to_somebody_else_is_refused(tree, tmp_path):
    link = tmp_path / "link.py"
    link.symlink_to(tree)
    os.chown(link, STRANGER, -1, follow_symlinks=False)
    with pytest.raises(InsecurePath, match=f"chown -h 0 {link}`"):
        check_writers([link])


@pytest.mark.parametrize("path", ["/dev/null", "/dev/null/x"])
def test_a_device_that_everybody_can_write_is_left_as_it_is(path):
    check_writers([Path(path)])


def test_the_advice_is_quoted_for_the_shell(tmp_path):
    path = tmp_path / "my rules; rm"
    path.mkdir()
    make(path, 0o777)
    with pytest.raises(InsecurePath, match=f"chmod o-w '{path}'`"):
        check_writers([path])
