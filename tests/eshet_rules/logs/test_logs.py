import asyncio
import contextlib
import io
import json
import logging
import os
import socket
import sys
import threading
import warnings

import pytest
import structlog

from eshet import Client, ErrorValue
from eshet.server import Server
from eshet_rules.audit.recorder import Recorder
from eshet_rules.audit.trail import Trail
from eshet_rules.logs import (
    escape,
    format_error,
    make_logger,
    receiving_prints,
    receiving_stdlib_logs,
    renderer,
    shows_colours,
)
from eshet_rules.modules.importer import Importer


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _common_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def console():
    stream = io.StringIO()
    return make_logger(stream, "console"), stream


@contextlib.contextmanager
def receiving_alone(log):
    """Receive logs without the handlers of pytest, which raise what `logging` reports."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        with receiving_stdlib_logs(log):
            yield
    finally:
        root.handlers = before


async def test_json_has_the_common_fields_first_and_the_time_in_utc(log, advance):
    await advance(1.5)
    log.logger.info("module.loaded", rules=["a"], version="3f2a", module="hall")
    [record] = log.records
    assert list(record.items()) == [
        ("time", "2026-01-01T00:00:01.500000Z"),
        ("level", "info"),
        ("event", "module.loaded"),
        ("module", "hall"),
        ("version", "3f2a"),
        ("rules", ["a"]),
    ]


def test_json_shows_what_json_does_not_have(log):
    log.logger.info("set", value=b"\x00", text="\x1b[2J")
    assert log.records[0]["value"] == "AA=="
    assert log.records[0]["text"] == "\x1b[2J"


def test_what_is_bound_in_the_context_is_in_each_record(log):
    with structlog.contextvars.bound_contextvars(rule="hall.light"):
        log.logger.info("a")
    log.logger.info("b")
    assert [record.get("rule") for record in log.records] == ["hall.light", None]


def test_debug_messages_are_left_out(log):
    log.logger.debug("too much")
    assert log.records == []


async def test_the_console_shows_a_line_for_people(console):
    log, stream = console
    log.info(
        "module.loaded", module="hall", version="3f2a", rules=["light", "heater"], text="two words"
    )
    clock, line = stream.getvalue().split("  ", 1)
    assert len(clock) == len("00:00:00.000")
    assert line == (
        "info     hall                      loaded  "
        "version=3f2a rules=light,heater text='two words'\n"
    )


async def test_the_console_is_aligned(console):
    log, stream = console
    log.info("one", module="hall")
    log.error("two", module="hall", rule="hall.light", version="3f2a")
    one, two = stream.getvalue().splitlines()
    assert one.index("one") == two.index("two")
    assert "hall.light" in two
    assert "3f2a" not in two


def test_a_place_in_a_file_is_shown_below_with_its_source(console):
    log, stream = console
    log.error("module.import_failed", module="hall", file="/r/hall.py", line=3, source="  a = = 1")
    assert stream.getvalue().splitlines()[1:] == ["    /r/hall.py:3", "        a = = 1"]


def test_a_stack_and_a_cycle_have_lines_of_their_own_below(console):
    log, stream = console
    stack = '  File "hall.py", line 7, in light\n    sleep(9)'
    log.error("rule.blocks_loop", rule="hall.light", file="hall.py", line=7, stack=stack)
    log.error("rule.loop_cut", rule="hall.light", cycle=["state /a", "state /b"])
    first, *below = stream.getvalue().splitlines()
    assert first.endswith("rule blocks the event loop")
    assert below[:2] == ['    File "hall.py", line 7, in light', "      sleep(9)"]
    assert below[2].endswith("rules trigger each other")
    assert below[3:] == ["    state /a", "    state /b"]


def test_an_error_is_told_once_by_its_traceback(console):
    log, stream = console
    log.error("rule.failed", rule="hall.light", doing="task light", exc_info=ValueError("too dark"))
    first, below = stream.getvalue().splitlines()
    assert first.endswith("rule failed  doing='task light'")
    assert below == "    ValueError: too dark"


def test_colours_are_for_terminals_only(console):
    log, stream = console
    log.error("failed")
    assert "\x1b" not in stream.getvalue()
    terminal = Terminal()
    make_logger(terminal).error("failed")
    assert "\x1b[31mfailed" in terminal.getvalue()


@pytest.mark.parametrize(
    "value", ["\x1b[2J", "a\rb", "\x9b2J", "\x7f", "\u202egnp.exe", "a\nb", "\u2028", "a \x1b b"]
)
@pytest.mark.parametrize("field", ["event", "value", "rule", "source"])
def test_no_value_reaches_the_terminal_raw(console, field, value):
    log, stream = console
    log.info(**{"event": "set", field: value})
    shown = stream.getvalue().removesuffix("\n")
    assert value not in shown
    if field != "source":
        assert len(shown.splitlines()) == 1


def test_a_control_character_in_an_error_is_escaped(console):
    log, stream = console
    log.error("failed", exc_info=ValueError("\x1b[2J"))
    assert "\\x1b[2J" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_escape_leaves_text_alone():
    assert escape("Grüße, 21 °C\n✓") == "Grüße, 21 °C\n✓"


def failing_rule(folder):
    folder.write("hall.py", "def light(value):\n    return 1 / value\n")
    importer = Importer(folder.path)
    importer.sources = folder.sources()
    return importer, importer.load("hall").module.light


def test_a_traceback_starts_at_the_rules_own_line(folder):
    _, light = failing_rule(folder)
    with pytest.raises(ZeroDivisionError) as raised:
        light(0)
    error = raised.value
    # As if the runner had called it: the frame of this test is taken for one of ours.
    error.__traceback__ = error.__traceback__.tb_next
    assert format_error(error).splitlines()[:3] == [
        "Traceback (most recent call last):",
        f'  File "{folder.path}/hall.py", line 2, in light',
        "    return 1 / value",
    ]


def test_frames_of_the_runner_before_those_of_a_rule_are_left_out(folder):
    folder.write("hall.py", "\n\n1 / 0\n")
    importer = Importer(folder.path)
    importer.sources = folder.sources()
    with pytest.raises(Exception, match="division") as raised:
        importer.load("hall")
    cause = raised.value.__cause__
    assert "importer.py" not in format_error(cause)
    assert f'File "{folder.path}/hall.py", line 3' in format_error(cause)


def test_the_traceback_of_an_error_of_ours_ends_at_the_rules_own_line(folder):
    folder.write("hall.py", "from eshet.paths import check_base\n\ncheck_base('no path')\n")
    importer = Importer(folder.path)
    importer.sources = folder.sources()
    with pytest.raises(Exception, match="no path") as raised:
        importer.load("hall")
    assert [
        line for line in format_error(raised.value.__cause__).splitlines() if "File" in line
    ] == [f'  File "{folder.path}/hall.py", line 3, in <module>']


def test_each_rule_has_a_colour_of_its_own_which_is_always_the_same():
    def colour(rule):
        terminal = Terminal()
        make_logger(terminal).info("runner.stopped", rule=rule)
        return terminal.getvalue().partition(rule)[0].rpartition("\x1b")[2]

    assert colour("hall.light") == colour("hall.light")
    assert len({colour(f"hall.{name}") for name in "abcdefgh"}) > 3


def test_json_can_not_drive_a_terminal_either(log):
    value = "\x1b[2J\x9b2J\u202e\u2028"
    log.logger.info("set", value=value)
    assert log.records[0]["value"] == value
    assert log.stream.getvalue().strip().isascii()


def test_causes_and_groups_are_shown_too():
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ExceptionGroup("second", [OSError("third")]) from error
    except ExceptionGroup as error:
        text = format_error(error)
    assert text.index("first") < text.index("second") < text.index("third")


def test_an_error_has_its_text_and_its_traceback(log):
    log.logger.error("rule.failed", exc_info=ValueError("too dark"))
    record = log.find("rule.failed")
    assert record["error"] == "ValueError: too dark"
    assert record["traceback"] == "ValueError: too dark"


@pytest.mark.parametrize(
    "write",
    [
        lambda log, error: log.exception("failed"),
        lambda log, error: log.error("failed", exc_info=True),
        lambda log, error: log.error("failed", exc_info=1),
        lambda log, error: log.error("failed", exc_info=error),
        lambda log, error: log.error("failed", exc_info=sys.exc_info()),
    ],
)
def test_each_form_of_exc_info_gives_the_error(log, write):
    try:
        raise ValueError("no light")
    except ValueError as error:
        write(log.logger, error)
    [record] = log.records
    assert record["error"] == "ValueError: no light"
    assert record["traceback"].endswith("ValueError: no light")


@pytest.mark.parametrize("exc_info", [None, False, True, (None, None, None)])
def test_exc_info_without_an_error_adds_nothing(log, exc_info):
    log.logger.error("failed", exc_info=exc_info)
    assert log.records[0].keys() == {"time", "level", "event"}


def test_stdlib_logs_go_the_same_way(log):
    with receiving_stdlib_logs(log.logger):
        logging.getLogger("eshet.server").info("a %s", "client")
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            logging.getLogger("hall").exception("failed")
    first, second = log.records
    assert (first["event"], first["level"], first["logger"]) == ("a client", "info", "eshet.server")
    assert second["error"] == "ZeroDivisionError: division by zero"
    assert second["level"] == "error"


def test_arguments_that_do_not_fit_the_text_are_one_record(log, capsys):
    with receiving_alone(log.logger):
        logging.getLogger("hall").info("light", 40)
    [record] = log.records
    assert (record["event"], record["level"], record["args"]) == ("light", "info", "(40,)")
    assert record["problem"].startswith("TypeError: not all arguments converted")
    assert record["file"] == __file__
    assert "needs a %s for each argument" in record["advice"]
    assert capsys.readouterr() == ("", "")


def test_an_argument_whose_text_fails_is_one_record(log, capsys):
    class Lamp:
        def __repr__(self):
            raise ValueError("no lamp")

    with receiving_alone(log.logger):
        logging.getLogger("hall").info("light %s", Lamp())
    [record] = log.records
    assert (record["event"], record["problem"]) == ("light %s", "ValueError: no lamp")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("number", "level"), [(25, "info"), (35, "warning"), (99, "critical")])
def test_a_level_of_a_library_is_logged_as_the_next_lower_one(log, capsys, number, level):
    with receiving_alone(log.logger):
        logging.getLogger("hall").log(number, "light")
    assert [record["level"] for record in log.records] == [level]
    assert capsys.readouterr() == ("", "")


def test_warnings_are_logged(log):
    with receiving_stdlib_logs(log.logger), warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in log.records[0]["event"]


def test_stdlib_logging_is_afterwards_as_it_was(log):
    root = logging.getLogger()
    before = (root.level, root.handlers.copy())
    with receiving_stdlib_logs(log.logger):
        assert (root.level, root.handlers) != before
    assert (root.level, root.handlers) == before
    logging.getLogger("eshet").error("afterwards")
    assert log.records == []


def test_each_printed_line_is_a_record_and_one_without_an_end_waits(log, capsys):
    with receiving_prints(log.logger):
        print("begun", end="")
        log.logger.info("runner.started", modules=1, folder="rules")
        print(", ended\ntwo", flush=True)
        print(1, 2, sep="\n")
        print("\x1b[2J\ud800")
        sys.stdout.write("x" * 100_000)
        print("last", end="")
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")
    printed = [r for r in log.records if r.get("logger") == "print"]
    assert [record["event"] for record in printed[:5]] == [
        "begun, ended", "two", "1", "2", "\x1b[2J\\ud800",
    ]  # fmt: skip
    assert [len(record["event"]) for record in printed[5:]] == [100_000, len("last")]
    assert log.records[0]["event"] == "runner.started"
    assert capsys.readouterr().out == ""


def test_threads_print_lines_of_their_own(log):
    print_half = threading.Barrier(2)

    def work():
        print("a thread", end="")
        print_half.wait()
        print(" prints")

    with receiving_prints(log.logger):
        thread = threading.Thread(target=work)
        thread.start()
        print("the main thread", end="")
        print_half.wait()
        thread.join()
        print(" prints")
    assert log.events() == ["a thread prints", "the main thread prints"]


def test_a_forked_child_prints_to_the_stream_itself(log, capfd):
    with receiving_prints(log.logger):
        if (child := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                print("of the child", flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    assert log.records == []
    assert capfd.readouterr().out == "of the child\n"


def test_json_lines_are_lines(log):
    log.logger.info("a\nb", value="c\nd")
    assert json.dumps("a\nb")[1:-1] in log.stream.getvalue()
    assert len(log.stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    ("surroundings", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
)
def test_a_terminal_is_coloured_unless_it_or_its_user_wants_none(
    monkeypatch, surroundings, coloured
):
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    assert not shows_colours(io.StringIO())
    assert shows_colours(Terminal()) is coloured


def test_a_value_with_any_space_in_it_can_not_be_taken_for_fields():
    record = {"time": "2026-11-25T18:30:00.000000Z", "level": "info", "event": "x"}
    line = renderer("console", colours=False)(None, "", record | {"a": "1\xa0outcome=done"})
    assert line.endswith(r"a='1\xa0outcome=done'")


def a_pipe():
    return os.pipe()


def a_terminal():
    return os.openpty()


def a_socket():
    reading, writing = socket.socketpair()
    return reading.detach(), writing.detach()


@pytest.fixture(params=[a_pipe, a_terminal, a_socket])
def stalled(request):
    """A stream whose reader does not read, and the descriptor that it would read from."""
    reading, writing = request.param()
    with os.fdopen(writing, "w") as stream:
        yield stream, reading
    os.close(reading)


def read_lines(reading, log):
    """Let the reader read, while a line is logged now and then, until that comes through."""
    os.set_blocking(reading, False)
    data = b""
    while not (b"the end" in data and data.endswith(b"\n")):
        try:
            data += os.read(reading, 1 << 20)
        except BlockingIOError:
            log.info("the end", logger="hall")
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("length", [1000, 100_000])
def test_a_reader_that_stalls_holds_up_nobody(stalled, tmp_path, length):
    stream, reading = stalled
    recorder = Recorder()
    sent = 4_000_000 // length
    with recorder.keeping(Trail(tmp_path / "trail.jsonl", size=1 << 30)):
        log = make_logger(stream, "json", recorder=recorder)
        for number in range(sent):
            log.info("told", logger="hall", text="x" * length, number=number)
        lines = read_lines(reading, log)
    shown = [line["number"] for line in lines if line["event"] == "told"]
    assert shown == list(range(len(shown)))  # those that came first, none of them torn
    assert 0 < len(shown) < sent
    [notice] = [line for line in lines if line["event"] == "log.lines_dropped"]
    assert sent - len(shown) <= notice["lines"]
    trail = [json.loads(line) for line in (tmp_path / "trail.jsonl").read_text().splitlines()]
    assert [record["error"] for record in trail if record.get("event") == "log.not_shown"] == [
        "the reader does not keep up"
    ]
    assert sum(record.get("event") == "told" for record in trail) == sent


async def test_what_waits_is_written_when_the_reader_reads_again(stalled):
    stream, reading = stalled
    log = make_logger(stream, "json")
    for _ in range(100):
        log.info("told", logger="hall", text="x" * 3000)
    log.info("the end", logger="hall")

    def read():
        data = b""
        while b"the end" not in data:
            data += os.read(reading, 1 << 20)
        return data

    data = await asyncio.to_thread(read)
    assert data.count(b"x" * 3000) == 100


def test_the_open_file_that_others_share_stays_blocking(stalled):
    stream, _ = stalled
    make_logger(stream).info("told", logger="hall")
    assert os.get_blocking(stream.fileno())


def test_the_name_of_a_field_can_not_drive_the_terminal():
    record = {"time": "2026-11-25T18:30:00.000000Z", "level": "info", "event": "x"}
    line = renderer("console", colours=False)(None, "", record | {"a\x1b[2J\nb": 1})
    assert line.endswith(r"a\x1b[2J\nb=1")


async def test_an_expected_error_without_a_line_of_a_rule_is_one_line(log):
    async with Server() as server, Client(server=server) as client:
        with pytest.raises(ErrorValue) as caught:
            await client.set("/heater", True)
    # The frame of this test stands for the rule's own line.
    log.logger.error("rule.failed", exc_info=caught.value)
    assert "traceback" in log.records[0]
    caught.value.__traceback__ = caught.value.__traceback__.tb_next
    log.logger.error("rule.failed", exc_info=caught.value)
    assert log.records[1]["error"].endswith("ErrorValue: set /heater: path_not_found")
    assert "traceback" not in log.records[1]


def test_half_a_character_can_be_logged(log, console):
    log.logger.info("set", value="\ud800")
    assert log.records[0]["value"] == r"\ud800"  # as in the trail
    console[0].info("set", value="\ud800")
    assert r"value=\ud800" in console[1].getvalue()
