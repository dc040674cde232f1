"""A running runner: what it is made of, what it publishes, and what it can be asked to do.

main            composes everything: folder, server, state folder, trail
runner          loads the rules, follows changes, ends everything
publisher       publishes the state of the runner and of each rule
control         reload, enable, disable, restart; changes of the configuration
overrides       rules that were enabled or disabled by command
server          finds the server, or starts one
connections     logs lost connections, once for all clients
components      restarts the parts of the runner that fail
state_folder    where the state of a rules folder is kept
lock            one runner for each state folder
signals         how signals end the runner or reload the rules
systemd         notifications to systemd
terminal        the terminal that the runner was started in
"""
