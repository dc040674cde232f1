"""Parses TOML, and suggests a correction for each syntax error."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from eshet.settings.kinds import without_password
from eshet.settings.problem import Problem, SettingsError

__all__ = ["parse_toml"]

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_SYNTAX: Final = {
    "Invalid value": 'a string needs quotes, as in format = "json"; other values are numbers, true '
    "or false, a [list] or a {table}",
    "Cannot overwrite a value": "this key occurs twice; keep one of them",
    "Cannot declare": "this table occurs twice; move its keys below the first one",
    "Expected '=' after a key": "write KEY = VALUE; a name with other characters than A-Z, a-z, "
    '0-9, _ and - needs quotes, as in [rules."hall.*"]',
    "Invalid initial character": "a name with a * or other characters than A-Z, a-z, 0-9, _ and - "
    'needs quotes, as in [rules."hall.*"]',
    'Expected "\'"': "close the quotes",
    "Expected ']'": 'close the table, as in [rules."hall.*"]; a name with a * needs quotes',
    "Unclosed array": "close the list with ]",
    "Expected newline": "write each key on a line of its own",
    "Illegal character": "close the quotes on the same line",
    "Unterminated string": "close the quotes",
    "Unescaped '\\'": "write the backslash twice, or use single quotes",
}


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Return the content of a file.

    Args:
        text: the text of the file.
        path: the path of the file, for errors.

    Raises:
        SettingsError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = _syntax_problem(str(error), text, path)
    except ValueError as error:  # an integer of more digits than Python reads
        problem = Problem(str(path), 0, "", f"{error}; write it shorter")
    except RecursionError:
        advice = "lists or tables are nested too deeply; write them flat"
        problem = Problem(str(path), 0, "", advice)
    raise SettingsError([problem])


def _syntax_problem(message: str, text: str, path: Path) -> Problem:
    place = _PLACE.search(message)
    what = _PLACE.sub("", message)
    line = int(place[1]) if place and place[1] else text.rstrip("\n").count("\n") + 1
    remedy = next((advice for start, advice in _SYNTAX.items() if what.startswith(start)), None)
    lines = text.split("\n")
    written = without_password(lines[line - 1].strip()) if line <= len(lines) else ""
    advice = remedy or "write it as TOML, KEY = VALUE on each line"
    return Problem(
        str(path), line, "", f"found `{written}`, {what[:1].lower()}{what[1:]}; {advice}"
    )
