"""The page of a running runner, and its API: for `eshet-rules run --web`.

site           serves the page, its API and the gateway at one address
api            the routes of `/api/1`
endpoints      the endpoints as data: their arguments, and how they answer
schema         the shapes of the answers
openapi        the description of the API
live           observes what open pages show
visitor        a page that is open in a browser, and the messages to it
share          limits the time of the event loop that open pages use
overview       the problems of the house, worst first
silences       what was regular and has stopped
rules          the rules, and one rule with its source, inputs, outputs and timers
paths          the tree of paths, and one path
history        the past values of a path
explanations   why, and why not
trail          the newest records of the audit trail
devices        bridges, and their devices
other_runners  the other runners of a cluster, and their rules
questions      questions to the other runners, answered without those that are silent
versions       kept versions, and their differences
actions        what the page does: switch rules, set, call, release, roll back
neighbours     the graph around a rule or path
tree           the nodes of the server
plain          values and times in answers
metrics        numbers for Prometheus
static_files   the files of the page, which are in the folder `static`

The modules in the middle know no HTTP: each returns plain data from a `RunnerView`.
"""
