"""The log of the runner: readable lines for a console, or JSON lines.

Each record has `time` (UTC, ISO 8601, microseconds), `level`, `event` and, where known, `rule`,
`module`, `version`, `cause` and `parent`; all other fields belong to the event, see
`eshet_rules.audit.records`. Messages of the standard library's `logging`, from `eshet` or from a
rule, and output that a rule prints are logged in the same way, with the same fields. The audit
trail keeps all records; the stream shows those of the configured level and above.

Values are untrusted input: on a console their control characters are escaped, or the text of a
sensor could clear the screen.

logger         the structlog logger and its processors
rendering      renders records as lines for a terminal, or as JSON
line_writer    writes lines without ever waiting for the reader
stdlib         receives `logging`, `warnings`, and errors of threads
prints         receives the output that rules print
errors         formats tracebacks, reduced to the lines of rules
advice         advice on common errors
"""

from eshet_rules.logs.advice import with_advice
from eshet_rules.logs.errors import format_error, frames_of_rules, line_in
from eshet_rules.logs.logger import make_logger
from eshet_rules.logs.prints import receiving_prints
from eshet_rules.logs.rendering import FORMATS, escape, renderer, shows_colours
from eshet_rules.logs.stdlib import receiving_stdlib_logs

__all__ = [
    "FORMATS",
    "escape",
    "format_error",
    "frames_of_rules",
    "line_in",
    "make_logger",
    "receiving_prints",
    "receiving_stdlib_logs",
    "renderer",
    "shows_colours",
    "with_advice",
]
