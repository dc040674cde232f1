"""The conformance suite against the server as a user runs it, with uvloop where that is there."""

import subprocess
import sys
from pathlib import Path

from tests.support.processes import line, running

SUITE = Path(__file__).parents[1] / "conformance" / "test_server.py"


def test_the_server_that_a_user_runs_conforms() -> None:
    with running("eshet", "serve", "--listen", "127.0.0.1:0", stderr=subprocess.DEVNULL) as server:
        address = line(server).removeprefix("listening on ")
        suite = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pytest", str(SUITE), "--server", address, "-q", "-n0"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert suite.returncode == 0, suite.stdout
