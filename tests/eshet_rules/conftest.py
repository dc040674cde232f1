import pytest

from tests.support.rules import Folder, Log


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def log():
    return Log()
