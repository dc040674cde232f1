"""Helpers, under the name of the module in which the later yarp has them."""

from eshet.reactive import emit_fn, make_same_type, on_value

__all__ = ["emit_fn", "make_same_type", "on_value"]
