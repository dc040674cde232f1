"""The walk in docs/running.md, typed as it stands there; what it shows is what is really said.

In a `console` block each line after a `$` is typed, and what follows is all that it prints. One
that ends with a `&`, or with a comment that names another terminal, goes on in the background; what
that prints later stands in blocks that are named after it, as `text run`. Only times, ports and the
home folder are others there.
"""

import contextlib
import queue
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.processes import environment

PAGE = Path(__file__).parents[2] / "docs" / "running.md"
_WALK = re.compile(r"^## A walk\n(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(console|text \w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HOME = "/home/you"
_OTHERS = [
    (r"\d\d:\d\d:\d\d\.\d{3}", "21:04:11.021"),
    (r"\d\d:\d\d:\d\d(?![\d.])", "21:04:11"),
    (r"\d{4}-\d\d-\d\d", "2026-11-25"),
    (r"took='[\d.]+ ms'", "took='0.5 ms'"),
    (r"[0-9a-f]{8}-[0-9a-f]+", "9e5042d1-4"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:11236"),
    ("using the named server", "using a running server"),  # named as its port is another
    (r"in \d+\.\d\ds", "in 0.02s"),
]
_PATIENCE = 20


class Terminal:
    """Something that runs in the background, and what it says."""

    def __init__(self, process):
        self.process = process
        self._said = queue.Queue()
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self):
        for text in self.process.stdout:
            self._said.put(text.rstrip("\n"))

    def line(self):
        return self._said.get(timeout=_PATIENCE)


class Walk:
    """Whoever types what stands on the page."""

    def __init__(self, home, stack):
        self._home = home
        self._stack = stack
        self._server = ""
        self._terminals = {}
        self.typed = []

    def go(self, kind, block):
        if kind == "console":
            for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                typed, _, shown = step.partition("\n")
                self._type(typed, shown.splitlines())
        else:
            self._hear(kind.removeprefix("text "), block.splitlines())

    def _type(self, typed, shown):
        typed, _, comment = typed.partition("   #")
        self.typed.append(typed)
        if typed == "^C":
            self._terminals["run"].process.send_signal(signal.SIGINT)
            assert self._terminals["run"].process.wait(timeout=_PATIENCE) == 0
        elif comment or typed.endswith("&"):
            name = typed.rstrip(" &").split()[1]
            self._terminals[name] = terminal = self._start(typed.rstrip(" &"))
            if name == "serve":
                said = terminal.line()
                self._server = said.split()[-1]
                assert [self._as_shown(said)] == shown
            else:
                self._hear(name, shown)
        else:
            done = subprocess.run(  # noqa: S603
                ["/bin/bash", "-c", typed], **self._place(), capture_output=True, timeout=_PATIENCE
            )
            said = [*done.stdout.splitlines(), *done.stderr.splitlines()]
            assert [self._as_shown(each) for each in said if each.strip()] == shown, typed

    def _start(self, typed):
        if typed == "eshet serve":
            typed += " --listen 127.0.0.1:0"
        process = subprocess.Popen(  # noqa: S603
            ["/bin/bash", "-c", f"exec {typed}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **self._place(),
        )
        self._stack.enter_context(process)
        terminal = Terminal(process)
        self._stack.callback(terminal.reading.join)
        self._stack.callback(process.kill)
        return terminal

    def _hear(self, name, shown):
        for wanted in shown:
            said = self._as_shown(self._terminals[name].line())
            while name == "list" and said != wanted:  # it may show more on the way
                said = self._as_shown(self._terminals[name].line())
            assert said == wanted, shown

    def _place(self):
        surroundings = environment(self._server)
        # A user has our plugin, and not the tools that test this project.
        surroundings["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        surroundings["PYTEST_PLUGINS"] = "eshet_rules.testing.plugin"
        surroundings |= {"PATH": f"{surroundings['PATH']}:/usr/bin:/bin", "HOME": str(self._home)}
        return {"cwd": self._home / "house", "env": surroundings, "text": True}

    def _as_shown(self, said):
        said = said.replace(str(self._home), _HOME)
        for others, here in _OTHERS:
            said = re.sub(others, here, said)
        return said


@pytest.mark.timeout(120)
def test_the_walk_of_the_page_is_as_it_is_shown(tmp_path):
    (tmp_path / "house").mkdir()
    walk = _WALK.search(PAGE.read_text())[1]
    with contextlib.ExitStack() as stack:
        walker = Walk(tmp_path, stack)
        for block in _BLOCK.finditer(walk):
            walker.go(block[1], block[2])
    for command in ("init", "run", "list --watch", "disable", "reload", "audit --follow"):
        assert any(typed.startswith(f"eshet-rules {command}") for typed in walker.typed)
