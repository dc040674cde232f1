"""What should be so at a path, where several rules and a person may want different things.

sink            `yarp.drive`: one driver, which follows a Value
drives          all driven paths of a runner, or of a program
driven_path     sends what the arbiter of one path decides, and tells it what the path shows
corrections     when a value is sent again that others have changed
arbiter         decides who decides over one path; without I/O, and without a clock
driver          a driver, a person, and what an arbiter reports
sent_values     the values that were sent to a path, to recognize them when it shows them
duration        lengths of time, such as "2h"
"""
