import os
import re
from pathlib import Path

import pytest

from eshet.address import Address
from eshet.utils import RunSerially
from eshet_rules.cli.templates import template
from eshet_rules.config import Configuration, ConfigurationFile, Where
from eshet_rules.exceptions import ConfigurationError
from eshet_rules.supervision.limits import RuleLimits


@pytest.fixture
def file(tmp_path):
    return tmp_path / "eshet-rules.toml"


@pytest.fixture
def read(file):
    def read(text, **options):
        file.write_text(text)
        return ConfigurationFile(file, **options).read()

    return read


def test_without_a_file_all_is_as_by_default(file):
    assert ConfigurationFile(file).read() == Configuration(file=file)


def test_each_key_is_read_as_what_it_means(read, file):
    configuration = read(
        """
        [server]
        address = "house"
        name = "upstairs"
        [log]
        format = "json"
        level = "warning"
        redact = ["/alarm/*"]
        [audit]
        path = "trail"
        file_bytes = 5000
        total_bytes = 50_000
        [state]
        folder = "~/state"
        [watch]
        reload = false
        settle = 1
        rescan = 0.5
        [reload]
        probation = 0
        [supervision]
        max_restarts = 0
        blocked_after = 1
        [strategy]
        run = "serially"
        retry = true
        """
    )
    assert configuration.server.address == Address("house", 11236)
    assert configuration.server.name == "upstairs"
    log = configuration.log
    assert (log.format, log.level, log.redact) == ("json", "warning", ("/alarm/*",))
    audit = configuration.audit
    assert (audit.enabled, audit.path) == (True, file.parent / "trail")
    assert (audit.file_bytes, audit.total_bytes) == (5000, 50_000)
    assert configuration.state.folder == Path.home() / "state"
    watch = configuration.watch
    assert (watch.reload, watch.settle, watch.rescan) == (False, 1.0, 0.5)
    assert configuration.reload.probation == 0.0
    assert configuration.supervision == RuleLimits(max_restarts=0, blocked_after=1.0)
    assert configuration.strategy == RunSerially(retry=True)


def test_a_pipe_that_the_command_line_names_is_read_once():
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "w") as writer:
        writer.write("[log]\nlevel = 'error'")
        writer.close()
        file = ConfigurationFile(Path(f"/dev/fd/{read}"), must_exist=True)
        for _ in range(2):
            assert file.read().log.level == "error"
            assert file.is_pipe


def test_no_configuration_can_be_named():
    file = ConfigurationFile(Path(os.devnull), must_exist=True)
    assert file.read() == Configuration(file=file.path)


@pytest.mark.parametrize("must_exist", [True, False])
def test_a_pipe_in_the_place_of_the_file_is_refused_and_not_waited_for(tmp_path, must_exist):
    path = tmp_path / "eshet-rules.toml"
    path.touch()
    file = ConfigurationFile(path, must_exist=must_exist)
    file.read()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        file.read()


def test_what_the_command_line_says_beats_the_file_and_the_rest_is_as_it_is(read):
    configuration = read(
        '[server]\naddress = "house"\nname = "upstairs"',
        overrides={
            "server": {"address": Address("other", 1), "name": None},
            "watch": {"reload": False},
        },
    )
    assert configuration.server.address == Address("other", 1)
    assert configuration.server.name == "upstairs"
    assert configuration.watch.reload is False


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_lines(read):
    with pytest.raises(ConfigurationError) as caught:
        read('[log]\nlevl = "info"\nformat = "jsn"\n[sever]\n[watch]\nsettle = 0\n')
    problems = [(problem.line, problem.key) for problem in caught.value.problems]
    assert problems == [(2, "log.levl"), (3, "log.format"), (4, "sever"), (6, "watch.settle")]
    assert len(str(caught.value).splitlines()) == 4


def test_a_misspelt_table_of_bridges_is_one_mistake(read):
    with pytest.raises(ConfigurationError) as caught:
        read('[bridge.z2m]\ntype = "mqtt"\n[alias]\n"/x" = "z2m/lamp"')
    (problem,) = caught.value.problems
    assert 'did you mean "bridges"?' in problem.text


def test_the_template_is_right_and_has_every_key_with_its_default(read):
    text = template("eshet-rules.toml")
    as_it_is = read(text)
    assert dict(as_it_is.for_rule("hall.hall_light").parameters) == {"minutes": 2, "dark": 40}
    written = re.sub(r"(?m)^# (?=\[[\w.]+\]$|\S+ = )", "", text)
    written = re.sub(
        r"(?m)^(address|name|folder|server|runner|enabled|strategy|limits) .*$", "", written
    )
    all_written = read(written)
    assert all_written.log == Configuration().log
    assert all_written.watch == Configuration().watch
    assert all_written.cluster == Configuration().cluster
    assert all_written.supervision == RuleLimits()
    keys = {
        field
        for table in ("server", "log", "state", "watch", "cluster", "supervision")
        for field in vars(getattr(Configuration(), table))
    }
    assert {key for key in keys if not re.search(rf"(?m)^# {key} = ", text)} == set()


def test_a_cluster_has_conditions_for_modules_of_which_the_last_one_counts(read):
    cluster = read(
        """
        [cluster]
        name = "house"
        runner = "attic.lan"
        labels = ["floor2", "gpu"]
        weight = 2
        ttl = 10
        [cluster.where]
        "*" = "label == 'gpu'"
        "upstairs.*" = "label == 'floor2'"
        """
    ).cluster
    assert (cluster.name, cluster.runner, cluster.labels) == (
        "house",
        "attic.lan",
        ("floor2", "gpu"),
    )
    assert (cluster.weight, cluster.ttl) == (2.0, 10.0)
    assert cluster.where_of("hall") == Where("label == 'gpu'")
    assert cluster.where_of("upstairs.bath") == Where("label == 'floor2'")
    assert Configuration().cluster.where_of("hall") is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("weight = 0", "a number from 0.01 to 100"),
        ("ttl = 5", "a number of seconds from 10 to 15"),
        ('runner = "the attic"', "letters A-Z, digits and _.-"),
        ("trail_bytes = 1", "a whole number of bytes from 1048576 to 9223372036854775807"),
        ("trail_bytes = 9223372036854775808", "from 1048576 to 9223372036854775807"),
        ("trail_days = 1e-6", "a number of days from 0.01 to 3650, or 0"),
        ("trail_days = -1", "from 0.01 to 3650, or 0"),
        ("labels = [3]", 'a list of strings, such as ["upstairs"]'),
        ("wher = {}", 'did you mean "where"?'),
        ('where = "label == 3"', "write a table: [cluster.where]"),
        ('where = { hall = "label == 3" }', "can't contain label == 3: write label == 'floor2'"),
        ("where = { hall = 3 }", "found 3, which is not a text"),
    ],
)
def test_a_mistake_in_a_cluster_is_told_with_what_to_write(read, line, problem):
    with pytest.raises(ConfigurationError) as caught:
        read(f"[cluster]\n{line}")
    assert problem in str(caught.value)
