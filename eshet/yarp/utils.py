"""Helpers, under the module name of later yarp versions."""

from eshet.reactive import emit_fn, make_same_type, on_value

__all__ = ["emit_fn", "make_same_type", "on_value"]
