"""Wrong command lines: each error names the place, the cause and a remedy."""

import os
import socket

import pytest
from click.testing import CliRunner

from eshet_rules.cli import main
from eshet_rules.runner import server as house_server
from tests.support.processes import line, running
from tests.support.rules import Folder

RULE = """
from eshet_rules import rule

@rule
async def light():
    pass
"""

# A command line; the place, the cause and the remedy that its error names.
MISTAKES = [
    ("rum", "command", "'rum'", "run"),
    ("lst", "command", "'lst'", "list"),
    ("nonsense", "command", "'nonsense'", "eshet-rules --help"),
    ("--verbos", "option", "--verbos", "--version"),
    ("run --onec", "option", "--onec", "--once"),
    ("run --nonsense", "option", "--nonsense", "eshet-rules run --help"),
    ("run one two", "argument", "two", "eshet-rules run --help"),
    ("run --log-format xml", "--log-format", "'xml'", "'console', 'json'"),
    ("run --log-format", "--log-format", "requires an argument", "eshet-rules run --help"),
    ("run --once=yes", "--once", "does not take a value", "eshet-rules run --help"),
    ("run --server a:b:c", "--server", "'a:b:c'", "write HOST or HOST:PORT"),
    ("run --server house:0", "--server", "'house:0'", "write HOST or HOST:PORT"),
    ("run --server http://house", "--server", "'http://house'", "like localhost:11236"),
    ("run --server=", "--server", "''", "write HOST or HOST:PORT"),
    ("run --name my-house", "--name", "'my-house'", "use letters A-Z"),
    ("run --only=", "--only", "''", "write one"),
    ("run -v -q", "--quiet", "contradict each other", "leave one of them out"),
    ("run --no-audit --audit x", "--audit", "contradict each other", "leave one of them out"),
    ("audit --from 5m --to 9m", "--from", "must be before --to", "eshet-rules audit --help"),
    ("run gone", "gone", "there is no such folder", "name the one with your rules"),
    ("run file", "file", "this is a file", "name its folder"),
    ("run --config gone", "gone", "there is no such file", "eshet-rules init"),
    ("run --config folder", "--config", "is a directory", "eshet-rules run --help"),
    ("run --config broken", "broken:1: lag", '"lag"', 'did you mean "log"?'),
    ("run --state-dir file", "--state-dir", "is a file", "eshet-rules run --help"),
    ("run --state file", "--state ", "is now called", "--state-dir: write that instead"),
    ("run --state=file", "--state ", "is now called", "--state-dir: write that instead"),
    ("run --no-state --state-dir x", "--state-dir", "contradict each other", "leave one of them"),
    ("audit --state file", "--state ", "is now called", "--state-dir: write that instead"),
    ("list --state file", "option", "'--state'", "eshet-rules list --help"),
    ("init full", "full/hall.py", "exists already", "choose another folder"),
    ("init file", "file", "can't be written", "choose a folder that you may write to"),
    ("init one two", "argument", "two", "eshet-rules init --help"),
    ("enable", "NAMES", "Missing argument", "eshet-rules enable --help"),
    ("disable", "NAMES", "Missing argument", "eshet-rules disable --help"),
    ("restart", "NAMES", "Missing argument", "eshet-rules restart --help"),
    ("list --josn", "option", "--josn", "--json"),
    ("list --nonsense", "option", "--nonsense", "eshet-rules list --help"),
    ("list full/", "'full/'", "is a folder", "write names of rules or modules"),
    ("list .", "'.'", "is a folder", "write names of rules or modules"),
    ("restart ./full", "'./full'", "is a folder", "write names of rules or modules"),
    ("reload full/hall.py", "'full/hall.py'", "is a file", "write the name of its module"),
    ("graph full/", "'full/'", "is a folder", "write names of rules or modules"),
    ("list --server house:port", "--server", "'house:port'", "write HOST or HOST:PORT"),
    ("list --runner a/b", "--runner", "'a/b'", "use letters A-Z"),
    ("list --config broken", "broken:1: lag", '"lag"', 'did you mean "log"?'),
    ("reload --runner", "--runner", "requires an argument", "eshet-rules reload --help"),
]

# The same, where it takes a server to be wrong. {server} is one, {nobody} an address of none.
MISTAKES_ON_A_SERVER = [
    ("run --once empty --server {server}", "empty", "no rule in this folder", "write one into"),
    ("run --once full --server {nobody}", "{nobody}", "there is no server", "--server ADDRESS"),
    ("run --once full --server {other}", "{other}", "is not an ESHET server", "name your server"),
    (
        "run --once full --server {server} --only hall.lght",
        "'hall.lght'",
        "there is no rule",
        "hall.light",
    ),
    (
        "run --once full --server {server} --state-dir /dev/null/x",
        "/dev/null/x",
        "can't be",
        "--state-dir",
    ),
    ("run full --server {server} --state-dir state", "state", "process {pid}", "kill {pid}"),
    ("list folder --server {server}", "'folder'", "it is a folder", "without it, lists all"),
    ("list --server {nobody}", "{nobody}", "there is no server", "eshet serve"),
    ("reload --server {nobody}", "{nobody}", "there is no server", "eshet serve"),
    ("list --server {other}", "{other}", "is not an ESHET server", "name your server"),
    ("list --server {bare}", "{bare}", "there is no runner", "eshet-rules run"),
    ("list --server {server} --runner two", "'two' at {server}", "no runner", "there are: full"),
    ("disable hal --server {server}", "'hal'", "there is no rule and no module", "mean hall"),
    ("enable nothing.*  --server {server}", "'nothing.*'", "there is no rule", "eshet-rules list"),
    ("restart hall.ligt --server {server}", "'hall.ligt'", "there is no rule", "mean hall.light"),
    ("reload kitchen --server {server}", "'kitchen'", "there is no rule", "eshet-rules list"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the mistakes are made."""
    place = tmp_path_factory.mktemp("place")
    for name in ("folder", "full", "empty"):
        (place / name).mkdir()
    (place / "file").touch()
    (place / "broken").write_text("[lag]")
    Folder(place / "full").write("hall.py", RULE)
    return place


@pytest.fixture(scope="module")
def names(place):
    """The values of the names in braces above."""
    with (
        running("eshet", "serve", "--listen", "127.0.0.1:0") as server,
        running("eshet", "serve", "--listen", "127.0.0.1:0") as bare,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = _address(closed)
        address = line(server).split()[-1]
        arguments = ("--server", address, "--state-dir", "state")
        with running("eshet-rules", "run", "full", *arguments, cwd=place) as runner:
            while "running" not in line(runner):
                pass
            with running("eshet-rules", "list", "--watch", "--server", address) as shown:
                while "hall.light" not in line(shown):
                    pass
            yield {
                "server": address,
                "bare": line(bare).split()[-1],
                "other": _address(other),
                "nobody": nobody,
                "pid": str(runner.pid),
            }


def _address(listening):
    return f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def told(place, monkeypatch):
    """Run a command line, and return its error as one line."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state-home"))
    monkeypatch.setattr(house_server, "_HELLO_TIME", 0.2)  # what is no server says nothing for ever

    def told(typed):
        result = CliRunner().invoke(main, typed.split(), prog_name="eshet-rules")
        assert result.exit_code in (1, 2)
        assert isinstance(result.exception, SystemExit)
        return " ".join(result.stderr.split())

    return told


@pytest.mark.parametrize(
    ("typed", "where", "cause", "remedy"), MISTAKES, ids=[m[0] for m in MISTAKES]
)
def test_the_error_of_a_mistake_names_its_place_its_cause_and_a_remedy(
    told, typed, where, cause, remedy
):
    message = told(typed)
    assert where in message
    assert cause in message
    assert remedy in message


@pytest.mark.parametrize(
    ("typed", "where", "cause", "remedy"),
    MISTAKES_ON_A_SERVER,
    ids=[m[0] for m in MISTAKES_ON_A_SERVER],
)
def test_an_error_on_a_server_names_its_place_its_cause_and_a_remedy(
    told, names, typed, where, cause, remedy
):
    message = told(typed.format_map(names))
    assert where.format_map(names) in message
    assert cause.format_map(names) in message
    assert remedy.format_map(names) in message


@pytest.mark.parametrize(
    ("variable", "value", "cause", "remedy"),
    [
        ("ESHET_SERVER", "house:port", "'house:port'", "write HOST or HOST:PORT"),
        ("ESHET_RULES_CONFIG", "gone.toml", "there is no such file", "eshet-rules init"),
        ("ESHET_RULES_STATE_DIR", "file", "is a file", "eshet-rules run --help"),
        ("ESHET_RULES_STATE", "folder", "is now called", "ESHET_RULES_STATE_DIR: write that"),
    ],
)
def test_the_error_of_an_environment_variable_names_its_cause_and_a_remedy(
    told, monkeypatch, variable, value, cause, remedy
):
    monkeypatch.setenv(variable, value)
    message = told("run full")
    assert variable in message or value in message
    assert cause in message
    assert remedy in message


def test_an_ambiguous_runner_is_an_error_that_lists_the_names(told, names, place):
    Folder(place / "two").write("hall.py", RULE)
    with running("eshet-rules", "run", "two", "--server", names["server"], cwd=place) as other:
        while "running" not in line(other):
            pass
        with running(
            "eshet-rules", "list", "--watch", "--runner", "two", "--server", names["server"]
        ) as shown:
            while "hall.light" not in line(shown):
                pass
        message = told(f"list --server {names['server']}")
    assert f"several runners at {names['server']}: full, two" in message
    assert "say which one with --runner NAME" in message


def test_there_are_a_hundred_mistakes_and_more():
    from tests.eshet_rules.mistakes.test_configuration import MISTAKES as IN_THE_FILE

    assert len(MISTAKES) + len(MISTAKES_ON_A_SERVER) + len(IN_THE_FILE) >= 100
    assert os.environ.get("ESHET_SERVER") is None
