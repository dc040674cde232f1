"""What takes time, under the name of the module in which yarp has it."""

from eshet.reactive import delay, emit_at, now, rate_limit, time_window

__all__ = ["delay", "emit_at", "now", "rate_limit", "time_window"]
