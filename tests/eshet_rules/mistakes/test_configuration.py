"""What can be wrong in `eshet-rules.toml`: each mistake is told with place, cause and remedy."""

import pytest

from eshet_rules.config import ConfigurationFile
from eshet_rules.exceptions import ConfigurationError

# What is written; the line and key that are told; what is said to be wrong; what is to be written.
MISTAKES = [
    # --- no TOML
    ("[log]\nformat = json", 2, "", "`format = json`", "a string needs quotes"),
    ("[log]\nformat = 'json", 2, "", "`format = 'json`", "close the quotes"),
    ('[log]\nformat = "json', 2, "", '`format = "json`', "close the quotes"),
    ("[log]\nformat json", 2, "", "`format json`", "write KEY = VALUE"),
    ("[log]\nformat: 'json'", 2, "", "`format: 'json'`", "write KEY = VALUE"),
    ("[log]\nformat =", 2, "", "`format =`", "numbers, true or false"),
    ("[log\nlevel = 'info'", 1, "", "`[log`", "close the table"),
    ("[log]\nredact = ['/alarm'\n", 2, "", "redact", "close the list with ]"),
    ("[log] format = 'json'", 1, "", "`[log] format = 'json'`", "on a line of its own"),
    ("[log]\na = 1 b = 2", 2, "", "`a = 1 b = 2`", "on a line of its own"),
    ("[log]\nlevel = 'info'\nlevel = 'debug'", 3, "", "cannot overwrite", "keep one of them"),
    ("[log]\n[watch]\n[log]", 3, "", "cannot declare", "below the first one"),
    ("[rules.hall.*]", 1, "", "`[rules.hall.*]`", "needs quotes"),
    ("[rules.küche]", 1, "", "`[rules.küche]`", "needs quotes"),
    ("[state]\nfolder = 'C:\\\\x'\nfolder2 = \"C:\\x\"", 3, "", "folder2", "the backslash twice"),
    ("[watch]\nreload = True", 2, "", "`reload = True`", "true or false"),
    ("[watch]\nsettle = 1,5", 2, "", "`settle = 1,5`", "on a line of its own"),
    ("[watch]\nsettle = .5", 2, "", "`settle = .5`", "other values are numbers"),
    ("[rules.hall]\nparameters = { a = 1", 2, "", "parameters", "as TOML"),
    # --- tables
    ("[sever]", 1, "sever", 'no key "sever"', 'did you mean "server"?'),
    ("[logging]", 1, "logging", 'no key "logging"', "Write one of: alias, audit,"),
    ("[rule.hall]", 1, "rule", 'no key "rule"', 'did you mean "rules"?'),
    ("\nformat = 'json'", 2, "format", 'no key "format"', "Write one of: alias, audit,"),
    ("server = 'house'", 1, "server", 'found "house"', "[server] on a line of its own"),
    ("log = true", 1, "log", "found true", "[log] on a line of its own"),
    ("rules = ['hall']", 1, "rules", 'found ["hall"]', "[rules] on a line of its own"),
    ("[[log]]", 1, "log", "found [{}]", "[log] on a line of its own"),
    ("strategy = 'serially'", 1, "strategy", 'found "serially"', '{run = "serially"'),
    # --- [server]
    ("[server]\nadress = 'house'", 2, "server.adress", '"adress"', 'did you mean "address"?'),
    ("[server]\naddress = 11236", 2, "server.address", "found 11236", "write an address"),
    ("[server]\naddress = 'a:b'", 2, "server.address", 'found "a:b"', 'as "localhost"'),
    ("[server]\naddress = ''", 2, "server.address", 'found ""', "write an address"),
    ("[server]\naddress = 'h:99999'", 2, "server.address", "h:99999", '"house:11236"'),
    ("[server]\nname = 'my house'", 2, "server.name", 'found "my house"', 'as "house"'),
    ("[server]\nname = 'küche'", 2, "server.name", "found", "letters A-Z"),
    ("[server]\nname = true", 2, "server.name", "found true", "write a name"),
    # --- [log]
    ("[log]\nformat = 'jsn'", 2, "log.format", 'found "jsn"', 'did you mean "json"?'),
    ("[log]\nformat = 'xml'", 2, "log.format", 'found "xml"', 'write "console" or "json"'),
    ("[log]\nlevel = 'WARN'", 2, "log.level", 'found "WARN"', 'did you mean "warning"?'),
    ("[log]\nlevel = 3", 2, "log.level", "found 3", '"info", "warning" or "error"'),
    ("[audit]\nenabled = 1", 2, "audit.enabled", "found 1", "true or false"),
    ("[log]\naudit = false", 2, "log.audit", "now called", "audit.enabled"),
    ("[log]\nredact = '/alarm'", 2, "log.redact", 'found "/alarm"', "write a list of strings"),
    ("[log]\nredact = [1]", 2, "log.redact", "found [1]", 'as ["/alarm/code"]'),
    (
        "[audit]\nfile_bytes = '64M'",
        2,
        "audit.file_bytes",
        'found "64M"',
        "a whole number of bytes",
    ),
    ("[audit]\nfile_bytes = 10", 2, "audit.file_bytes", "found 10", "at least 4096"),
    ("[audit]\ntotal_bytes = 1e9", 2, "audit.total_bytes", "found 1000000000.0", "a whole number"),
    # --- [state]
    ("[state]\nfolder = false", 2, "state.folder", "found false", "a path in quotes"),
    ("[state]\nfolder = ''", 2, "state.folder", 'found ""', "a path in quotes"),
    ("[state]\npath = 'x'", 2, "state.path", '"path"', "Write one of: folder"),
    # --- [watch]
    ("[watch]\nreload = 'no'", 2, "watch.reload", 'found "no"', "true or false, without quotes"),
    ("[watch]\nreload = 0", 2, "watch.reload", "found 0", "true or false, without quotes"),
    ("[watch]\nsettle = 0", 2, "watch.settle", "found 0", "a number of seconds above 0"),
    ("[watch]\nsettle = true", 2, "watch.settle", "found true", "a number of seconds"),
    ("[watch]\nrescan = inf", 2, "watch.rescan", "found inf", "a number of seconds"),
    *[
        (f"[{table}]\n{key} = {time}", 2, f"{table}.{key}", "found 1", "and at most 31536000")
        for table, key in (
            ("watch", "settle"),
            ("watch", "rescan"),
            ("supervision", "end_after"),
            ("supervision", "blocked_after"),
            ("supervision", "restart_period"),
            ("rules.hall.limits", "backoff_max"),
        )
        for time in ("1e300", "1" + 400 * "0", "1e9")
    ],
    (
        "[reload]\nprobation = -1",
        2,
        "reload.probation",
        "found -1",
        "a number of seconds 0 or more",
    ),
    ("[watch]\nrescan = nan", 2, "watch.rescan", "found nan", "a number of seconds"),
    # --- [supervision]
    ("[supervision]\nrestart = 3", 2, "supervision.restart", '"restart"', "max_restarts"),
    ("[supervision]\nmax_restarts = -1", 2, "supervision.max_restarts", "found -1", "at least 0"),
    ("[supervision]\nmax_restarts = 1.5", 2, "supervision.max_restarts", "1.5", "a whole number"),
    ("[supervision]\nloop_rounds = 0", 2, "supervision.loop_rounds", "found 0", "write 1 or more"),
    *[
        (
            f"[{table}]\n{old} = 5",
            2,
            f"{table}.{old}",
            "is now called",
            f"{table}.{new}: write that instead",
        )
        for table in ("supervision", "rules.hall.limits", 'rules."hall.*".limits')
        for old, new in (
            ("first_pause", "backoff_initial"),
            ("longest_pause", "backoff_max"),
            ("restarts", "max_restarts"),
            ("short_life", "min_uptime"),
            ("short_lives", "max_failed_starts"),
        )
    ],
    (
        "[supervision]\nbackoff_initial = '1s'",
        2,
        "supervision.backoff_initial",
        '"1s"',
        "of seconds",
    ),
    (
        "[supervision]\nblocked_after = 9",
        2,
        "supervision.blocked_after",
        "is longer than interrupt_after",
        "make it shorter",
    ),
    # --- strategies
    ("[strategy]\nrun = 'serialy'", 2, "strategy.run", "'serialy' is not a strategy", '"serially"'),
    ("[strategy]\nretry = true", 1, "strategy", "is not a valid strategy", "write one of"),
    ("[strategy]\nrun = 'serially'\nretry = 1", 3, "strategy.retry", "1 is neither", "true"),
    (
        "[strategy]\nrun = 'serially'\nonly_last = true",
        3,
        "strategy.only_last",
        "no such option",
        "did you mean only_latest?",
    ),
    ("[strategy]\nrun = 'concurrently'", 1, "strategy", "limit", "write a number"),
    (
        "[strategy]\nrun = 'serially'\ntimeout = '5'",
        3,
        "strategy.timeout",
        "'5' is not a number",
        "timeout",
    ),
    (
        "[strategy]\nrun = 'serially'\nretry = true\nretry_on = ['OSEror']",
        4,
        "strategy.retry_on",
        "there is no error 'OSEror'",
        'write "OSError"',
    ),
    # --- [rules]
    ("[rules]\nhall = false", 2, "rules.hall", "found false", '[rules."hall.*"]'),
    ('[rules.""]', 1, 'rules.""', 'found ""', "write a name"),
    ("[rules.hall]\nenable = true", 2, "rules.hall.enable", '"enable"', '"enabled"?'),
    (
        "[rules.hall.light]\nenabled = true",
        1,
        "rules.hall.light",
        "found the table rules.hall.light",
        'use the full name of the rule: [rules."hall.light"]',
    ),
    ("[rules.hall]\nenabled = 'no'", 2, "rules.hall.enabled", 'found "no"', "true or false"),
    ("[rules.hall]\nparameters = 3", 2, "rules.hall.parameters", "found 3", "write a table"),
    ("[rules.hall]\nparameter.a = 3", 2, "rules.hall.parameter", '"parameter"', '"parameters"?'),
    ("[rules.hall]\ndark = 40", 2, "rules.hall.dark", '"dark"', "parameters"),
    ("[rules.hall]\nlimits = 3", 2, "rules.hall.limits", "found 3", "write a table"),
    ("[rules.hall]\nlimits.restart = 3", 2, "rules.hall.limits.restart", '"restart"', "restarts"),
    ("[rules.hall]\nstrategy = 'serially'", 2, "rules.hall.strategy", "serially", "{run ="),
    (
        "[rules.\"hall.*\"]\nstrategy.run = 'x'",
        2,
        'rules."hall.*".strategy.run',
        "'x' is not a strategy",
        "write one of",
    ),
]


@pytest.mark.parametrize(
    ("written", "line", "key", "cause", "remedy"), MISTAKES, ids=[m[0] for m in MISTAKES]
)
def test_the_error_of_a_mistake_names_its_place_its_cause_and_a_remedy(
    tmp_path, written, line, key, cause, remedy
):
    file = tmp_path / "eshet-rules.toml"
    file.write_text(written)
    with pytest.raises(ConfigurationError) as caught:
        ConfigurationFile(file).read()
    [message] = str(caught.value).splitlines()
    place = f"{file}:{line}: {key}: " if key else f"{file}:{line}: "
    assert message.startswith(place)
    told = message.removeprefix(place)
    assert cause in told
    assert remedy in told


def sparse(file, size):
    with file.open("wb") as made:
        made.truncate(size)


@pytest.mark.parametrize(
    ("make", "cause", "remedy"),
    [
        (lambda file: None, "there is no such file", "eshet-rules init"),
        (lambda file: file.mkdir(), "Is a directory", "check its type"),
        (lambda file: file.write_bytes(b"a = '\xff'"), "byte 5 is not UTF-8", "save the file as"),
        (lambda file: file.write_text(f"a = {'[' * 5000}"), "too deep", "write them flat"),
        (lambda file: file.symlink_to(file), "symbolic links", "check its type"),
        (lambda file: file.symlink_to("/dev/zero"), "not a regular file", "replace it by"),
        (lambda file: sparse(file, 2 << 20), "larger than 1 MiB", "replace it by"),
    ],
)
def test_the_error_of_an_unreadable_file_names_its_cause_and_a_remedy(
    tmp_path, make, cause, remedy
):
    file = tmp_path / "eshet-rules.toml"
    make(file)
    with pytest.raises(ConfigurationError) as caught:
        ConfigurationFile(file, must_exist=True).read()
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert cause in message
    assert remedy in message
