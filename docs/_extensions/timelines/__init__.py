"""Timelines of operators, as text in the Markdown source and as pictures on the page.

directive   the Sphinx directive `timeline`
picture     a timeline as SVG
play        runs the expressions of a timeline in virtual time
rows        the text of a timeline
"""

from .directive import setup

__all__ = ["setup"]
