import pytest

from eshet.settings.lines import Lines

FILE = """\
# a comment

top = 1
[log]
format = "json"   # and another

redact = [
  "a",
  "b",
]
text = '''
[watch]
'''
after = 1

[rules."hall.*"]
parameters.target = 21
strategy = { run = "serially", retry = true }

[rules]
other.enabled = false
[[rows]]
a = 1
[[rows]]
b = 1
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["top"], 3),
        (["log"], 4),
        (["log", "format"], 5),
        (["log", "redact"], 7),
        (["log", "text"], 11),
        (["log", "after"], 14),
        (["rules", "hall.*"], 16),
        (["rules", "hall.*", "parameters", "target"], 17),
        (["rules", "hall.*", "strategy", "retry"], 18),
        (["rules", "other"], 21),
        (["rules", "other", "enabled"], 21),
        (["rows"], 22),
    ],
)
def test_a_key_is_on_the_line_that_its_statement_begins_on(keys, line):
    assert Lines(FILE).of(keys) == line


def test_a_key_that_is_not_there_is_on_the_line_of_its_table():
    assert Lines(FILE).of(["log", "level"]) == 4


def test_a_file_without_the_key_and_its_table_is_told_by_its_first_line():
    assert Lines("").of(["log", "level"]) == 1
