"""A file of the state folder that is no regular file counts as unreadable, and holds nothing up."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eshet_rules.reload.checkpoint import Checkpoint
from eshet_rules.runner.committed import Committed
from eshet_rules.runner.roll_backs import RollBacks
from eshet_rules.runner.switches import RuleSwitches

Read = Callable[[Path, Any], object]

FILES: dict[str, tuple[Read, str]] = {
    "roll-backs": (lambda file, log: RollBacks(file, log.logger).all(), "roll_backs.unreadable"),
    "overrides": (lambda file, log: RuleSwitches(file, log.logger).all(), "overrides.unreadable"),
    "committed": (lambda file, log: Committed(file, log.logger), "committed.unreadable"),
    "checkpoint": (
        lambda file, log: Checkpoint(file, log.logger).read(0.0),
        "checkpoint.unreadable",
    ),
}


def make_pipe(file: Path) -> None:
    os.mkfifo(file)


def make_endless(file: Path) -> None:
    file.symlink_to("/dev/zero")


def make_large(file: Path) -> None:
    file.touch()
    os.truncate(file, 1 << 40)


KINDS = [make_pipe, make_endless, make_large]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_it_is_logged_and_the_start_goes_on(name, make, tmp_path, log):
    file = tmp_path / "file"
    make(file)
    read, event = FILES[name]
    read(file, log)
    text = log.find(event)["error"]
    assert "is not a regular file" in text or "is larger than" in text
