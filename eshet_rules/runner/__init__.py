"""The runner: its components, the states that it publishes, and the commands that it accepts.

main            composes everything: folder, server, state folder, trail
runner          loads the rules, follows changes, shuts everything down
bridges         runs the configured bridges to devices
publisher       publishes the state of the runner and of each rule
drive_reports   reports on paths with drivers, for messages
path_warnings   warns of paths that several rules set, or that nothing provides
view            the parts of the runner that a page in its process needs
explaining      answers the questions of `eshet-rules why`
control         executes commands such as reload; applies changes of the configuration
switches        rules that were enabled or disabled by command
saves           applies a saved change at once, or when it is committed
committed       the committed sources, which run while saved changes wait
replays         reports which past outputs a saved change would have made different
side_process    runs slow work in a process of its own
replay_process  starts the process that replays a change
roll_backs      modules that run an earlier version until their files change
probation       takes new versions back of which a rule fails soon
rolling_back    rolls modules back to earlier versions
state_file      a file of the state folder that is written as a whole
version_writer  keeps the sources of versions that have become live
clustering      joins the cluster of a runner
server          finds the server, or starts one
connections     logs lost connections, once for all clients
components      restarts components of the runner that fail
state_folder    locates the state folder of a rules folder
lock            allows one runner for each state folder and each trail
signals         signals that stop the runner or reload the rules
systemd         notifications to systemd
terminal        the terminal that the runner was started in
"""
