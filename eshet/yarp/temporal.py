"""Time operators, under yarp's module name."""

from eshet.reactive import delay, emit_at, now, rate_limit, time_window

__all__ = ["delay", "emit_at", "now", "rate_limit", "time_window"]
