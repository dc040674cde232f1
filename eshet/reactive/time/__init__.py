"""Nodes and operators that depend on time.

schedules         times of day, cron, the sun
plans             values that follow a plan of the day or of the week
wall_clock        values that depend on nothing but the wall clock, as nodes
solar             where the sun is, instants of sunrise, sunset and noon
cron              instants of a time of day or a cron expression
fsm               state machines with timeouts
holding           debounce, throttle, hold, for_duration, stale, fold_state
operators         delay, time_window, rate_limit, emit_at, now
nodes             time_window, delay and all others as nodes, each of which sets its timer
timer             the class of these timers, and the order in which they fire
causes            the causes of timer-driven outputs
schedule_state    the state of schedules
duration_state    the state of the operators in holding, and when it is due
state             the state of time_window, delay and the other operators, and when it is due
"""
