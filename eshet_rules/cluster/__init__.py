"""Runners that share modules: each module runs on one of them, and moves when that one ends.

cluster            composes everything: decides what a runner is to run, until it stops
loading            loads the modules whose leases this runner holds, and unloads the others
announcement       tells the others which modules this runner may run
trail_publisher    stores the records of this runner in NATS
trail_reader       reads the records of all runners from there
shared_trail       how they are stored
shared_switches    rules that were enabled or disabled by command
shared_quarantine  rules that have ended a runner, which no other one runs then
shared_values      what all runners know of rules, by which both are shared
leases             takes the leases of modules, and gives them up
lease              the lease of a module that this runner holds
presence           keeps the presence of this runner, on which its leases depend
probe              finds out whether another runner is gone
published_rules    takes over what is published for the cluster
published_folder   keeps the rules folder equal to a publication
publishing         stores the publications in NATS
publication        what is published, and the files of it
rule_files         reads the files to be published
checkpoints        the snapshots of modules, which move with them
balancing          decides which leases to take, and which to give up
comparison         warns of runners with different rules
summary            what a runner tells of itself and its cluster
suspension         suspends the rules while others may run them without this runner knowing it
roster             the runners of the cluster, and who holds which lease
entries            the entries in NATS by which runners agree
assignment         ranks the runners for each module
absence            modules of which nobody can be asked, as text

Except for `absence`, only a runner with `--cluster`, `audit --cluster`, `stats --cluster` and
`publish` import this package, and with it `eshet.nats`.
"""
