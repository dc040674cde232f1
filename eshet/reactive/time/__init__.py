"""Nodes and operators that depend on time.

schedules         times of day, cron, the sun
solar             when the sun rises and sets
cron              when a time of day or an expression of cron comes
fsm               state machines with timeouts
holding           debounce, throttle, hold, for_duration, fold_state
operators         delay, time_window, rate_limit, emit_at, now
nodes             nodes that timers drive
causes            the cause of what a timer emits
schedule_state    the state of schedules
duration_state    the state of the operators in holding
state             the state of the other operators
"""
