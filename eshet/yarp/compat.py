"""Names that exist for rules written for PyPI's yarp only; new rules use the plain operators.

They are in `eshet.yarp` as well, so that such rules change nothing but their import.
"""

from eshet.reactive import instantaneous
from eshet.reactive.conversions import emit_fn, make_instantaneous, make_persistent, make_same_type
from eshet.reactive.instantaneous import *  # noqa: F403 - all of them

__all__ = [
    *instantaneous.__all__,
    "emit_fn",
    "make_instantaneous",
    "make_persistent",
    "make_same_type",
]
