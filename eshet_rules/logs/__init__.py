"""What the runner logs, and how: lines for people, or JSON for machines.

Each record has `time` (UTC, ISO 8601, microseconds), `level`, `event` and, where they are known,
`rule`, `module`, `version`, `cause` and `parent`; the rest are the event's own fields, see
`eshet_rules.audit.records`. What comes through the standard library's `logging`, from `eshet` or
from a rule, and what a rule prints, goes the same way and has the same fields. The trail of a
recorder keeps all of it; the stream shows what matters enough.

Values come from the outside: on a console their control characters are escaped, or a sensor's text
could clear the screen.

logger         the pipeline that each record goes through
rendering      records as lines for a terminal, or as JSON
line_writer    writes lines without ever waiting for the reader
stdlib         `logging`, `warnings`, and errors of threads
prints         what rules print
errors         tracebacks, reduced to the lines of rules
advice         what to do about common errors
"""

from eshet_rules.logs.advice import with_advice
from eshet_rules.logs.errors import format_error, frames_of_rules
from eshet_rules.logs.logger import make_logger
from eshet_rules.logs.prints import receiving_prints
from eshet_rules.logs.rendering import FORMATS, escape, renderer, shows_colours
from eshet_rules.logs.stdlib import receiving_stdlib_logs

__all__ = [
    "FORMATS",
    "escape",
    "format_error",
    "frames_of_rules",
    "make_logger",
    "receiving_prints",
    "receiving_stdlib_logs",
    "renderer",
    "shows_colours",
    "with_advice",
]
