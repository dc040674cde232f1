"""The Sphinx directive `timeline`."""

from pathlib import Path
from typing import Any, ClassVar, Final

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from .picture import draw
from .play import checked
from .rows import Mistake, moment, seconds, text_of

__all__ = ["TimelineDirective", "setup"]

_MODULES: Final = sorted(Path(__file__).parent.glob("*.py"))


class TimelineDirective(SphinxDirective):
    """Checks a timeline against a run of its expressions, and draws that run.

    Options:
        step: the time between two moments, such as `6 h`; the default is `1 s`.
        start: the date and time of the first moment, with a time zone; the axis then has times of
            day.
    """

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"step": seconds, "start": moment}

    def run(self) -> list[nodes.Node]:
        """Return the code, and the picture or the text."""
        for module in _MODULES:
            self.env.note_dependency(str(module))  # a changed extension draws all pages again
        lines = list(self.content)
        step, start = self.options.get("step", 1.0), self.options.get("start")
        try:
            timeline, tracks = checked(lines, step, start)
        except Mistake as mistake:
            line = self.lineno + self.content_offset + mistake.line + 1
            return [self.state_machine.reporter.error(str(mistake), line=line)]
        code = [line for line in lines if line.startswith((">>> ", "... "))]
        text = "\n".join(text_of(timeline))
        picture = draw(tracks, step, start, text)
        shown: list[nodes.Node] = []
        if code:
            block = "\n".join(code)
            shown.append(nodes.literal_block(block, block, language="pycon"))
        shown.append(nodes.raw("", f'<div class="timeline">{picture}</div>', format="html"))
        instead = addnodes.only(expr="not html")
        instead += nodes.literal_block(text, text, language="text")
        return [*shown, instead]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive; called by Sphinx."""
    app.add_directive("timeline", TimelineDirective)
    app.add_css_file("timelines.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
