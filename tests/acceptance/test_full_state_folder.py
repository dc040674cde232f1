"""The runner where its state folder is full or read-only, on a file system of its own."""

import os
import shutil
import signal
import subprocess

import pytest

from tests.support.processes import COMMANDS, environment
from tests.support.rules import Folder

RULE = """
from eshet_rules import keep, rule

@rule
async def counter():
    keep("n", 1)
"""


def can_mount():
    if shutil.which("unshare") is None:
        return False
    mounting = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(mounting, capture_output=True, check=False).returncode == 0  # noqa: S603


pytestmark = pytest.mark.skipif(not can_mount(), reason="may not mount a file system")


def run(tmp_path, mount_options, before, *options):
    """Run the rules until they run, with a state folder that is a file system of its own."""
    rules, state = tmp_path / "rules", tmp_path / "state"
    rules.mkdir(mode=0o755)
    state.mkdir(mode=0o700)
    Folder(rules).write("hall.py", RULE)
    command = f"{COMMANDS}/eshet-rules run {rules} --log-format json {' '.join(options)}"
    script = f"mount -t tmpfs -o mode=0700,{mount_options} none {state}; {before}; exec {command}"
    process = subprocess.Popen(  # noqa: S603
        ["unshare", "--mount", "/bin/sh", "-c", script],  # noqa: S607
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment("127.0.0.1:1") | {"PATH": os.environ["PATH"]},
        cwd=state,
    )
    with process:
        shown = ""
        while '"runner.started"' not in shown and (line := process.stdout.readline()):
            shown += line
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=20)
        return process.returncode, shown + rest + errors


@pytest.mark.parametrize(
    ("mount_options", "before"),
    [
        ("nr_inodes=1", "true"),  # no file and no folder can be made
        ("nr_inodes=4", "true"),
        ("size=4k", "cat /dev/zero > fill"),  # files can be made, but nothing is written
        ("size=64k", "cat /dev/zero > fill"),
    ],
)
def test_rules_run_without_memory_and_the_log_says_so(tmp_path, mount_options, before):
    before = f"cd {tmp_path}/state; {before} 2>/dev/null"
    state = str(tmp_path / "state")
    code, shown = run(tmp_path, mount_options, before, "--state-dir", state)
    assert code == 0, shown
    assert '"runner.started"' in shown
    assert "No space left on device" in shown or "state_folder.full" in shown


def test_a_read_only_one_is_refused_with_what_to_do(tmp_path):
    before = f"mount -o remount,ro {tmp_path}/state"
    code, shown = run(tmp_path, "size=64k", before, "--state-dir", str(tmp_path / "state"))
    assert code == 1
    assert "Read-only file system" in shown
    assert "or keep no state with --no-state" in shown


def test_without_state_nothing_is_written_and_rules_run(tmp_path):
    before = f"mount -o remount,ro {tmp_path}/state"
    code, shown = run(tmp_path, "size=64k", before, "--no-state")
    assert code == 0, shown
    assert '"runner.started"' in shown
