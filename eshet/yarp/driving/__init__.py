"""The wanted value of a path, if several rules and a person may want different values.

sink            `yarp.drive`: one driver, which follows a Value
drives          all driven paths of a runner, or of a program
driven_path     sends the decisions of the arbiter of one path, and passes it the shown values
corrections     when a value is sent again that others have changed
arbiter         decides who decides over one path; without I/O, and without a clock
driver          a driver, a person, and the effects that an arbiter returns
sent_values     the values that were sent to a path, to recognize them when it shows them
duration        lengths of time, such as "2h"
"""
